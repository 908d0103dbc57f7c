package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// deskHistory is a log of desks made by the rules, with what was heard on the way.
type deskHistory struct {
	rng     *rand.Rand
	stepper holdfast.Stepper
	batch   holdfast.Batch
	now     desk.Time
	epoch   uint64
	conn    uint64
	conns   map[[2]string][]uint64 // desk and agent, or desk and client
	events  []holdfast.Event
	heard   []DeskHeard
}

const deskCount = 3

func newDeskHistory(seed uint64) *deskHistory {
	h := &deskHistory{rng: rand.New(rand.NewPCG(seed, 9)), now: 1_000_000_000, conns: map[[2]string][]uint64{}}
	h.stepper.State = holdfast.NewState()
	h.start()
	h.do(holdfast.PutRealm{Limits: seat.DefaultLimits()})
	for i := range deskCount {
		c := desk.DefaultConfig()
		c.OfferTime, c.Receipt, c.RejectPause, c.MissPause, c.Misses = 5*time.Second, 0, time.Duration(i)*time.Second, 0, 0
		if i < 2 {
			c.Policy, c.QueueLimit = desk.Queue, 50
		}
		if i == 1 {
			c.Topics = []string{"tax", "law"}
		}
		h.do(desk.PutDesk{Desk: deskName(i), Config: c})
		for n := range 3 {
			p := desk.Profile{}
			if i == 1 && n > 0 {
				p.Topics = c.Topics[n-1 : n]
			}
			h.do(desk.PutAgent{Desk: deskName(i), Agent: agentName(n), Profile: p})
			h.come(deskName(i), agentName(n))
		}
	}
	return h
}

func deskName(i int) string  { return fmt.Sprintf("d%d", i) }
func agentName(i int) string { return fmt.Sprintf("a%d", i) }

func (h *deskHistory) start() {
	h.epoch++
	clear(h.conns)
	h.do(holdfast.Start{Epoch: h.epoch})
}

func (h *deskHistory) come(name, agent string) {
	h.conn++
	h.conns[[2]string{name, agent}] = append(h.conns[[2]string{name, agent}], h.conn)
	h.do(desk.Attach{Desk: name, Agent: agent, Conn: h.conn})
	h.do(desk.Online{Desk: name, Agent: agent, Conn: h.conn})
}

func (h *deskHistory) desks() *desk.State { return h.stepper.State.Realm("r").Desks }

func (h *deskHistory) do(body holdfast.Body) *desk.Result {
	realm := "r"
	if _, ok := body.(holdfast.Start); ok {
		realm = ""
	}
	if r := h.stepper.State.Realm("r"); r != nil && realm != "" {
		for {
			next, ok := r.NextDue()
			if !ok || next > h.now {
				break
			}
			h.batch.Reset()
			at := max(next, h.stepper.State.At())
			h.stepper.Due(r, at, at, &h.batch)
			h.keep()
		}
	}
	h.batch.Reset()
	res := h.stepper.Step(&holdfast.Command{Realm: realm, At: h.now, Body: body}, &h.batch)
	h.keep()
	return res.Desk
}

// keep notes the events, and what agents and clients hear of them.
func (h *deskHistory) keep() {
	if h.batch.Count == 0 {
		return
	}
	err := holdfast.Decode(h.batch.First, h.batch.Count, h.batch.Bytes, func(e *holdfast.Event) error {
		h.events = append(h.events, *e)
		return nil
	})
	if err != nil {
		panic(err)
	}
	seq := h.stepper.State.Seq()
	told := map[string]bool{}
	for _, e := range h.events[len(h.events)-h.batch.Count:] {
		if e.Desk == nil {
			continue
		}
		d := e.Desk
		if d.Kind == desk.OfferMade {
			v, _ := h.desks().Offer(d.Desk, e.Seq)
			h.heard = append(h.heard, DeskHeard{Realm: "r", Desk: d.Desk, To: d.Agent, AsOf: seq, Offer: &v})
		}
		if told[d.Desk] {
			continue
		}
		told[d.Desk] = true
		v, _ := h.desks().Desk(d.Desk)
		for _, topic := range append([]string{""}, v.Config.Topics...) {
			if a, ok := h.desks().Availability(d.Desk, topic); ok {
				h.heard = append(h.heard, DeskHeard{Realm: "r", Desk: d.Desk, To: "w", AsOf: seq, Availability: &a})
			}
		}
		for _, a := range h.desks().Agents(d.Desk, "", 9) {
			h.heard = append(h.heard, DeskHeard{Realm: "r", Desk: d.Desk, To: a.Agent, AsOf: seq, Agent: &a})
		}
		rows, _ := h.desks().Requests(d.Desk, 0, desk.RequestState.Live, 99)
		for i := range rows {
			h.heard = append(h.heard, DeskHeard{Realm: "r", Desk: d.Desk, To: rows[i].Client, AsOf: seq, Request: &rows[i]})
		}
	}
}

func (h *deskHistory) run(n int) *deskHistory {
	for range n {
		h.now += desk.Time(h.rng.IntN(700_000))
		h.step()
	}
	return h
}

func (h *deskHistory) step() {
	i := h.rng.IntN(deskCount)
	name, agent, client := deskName(i), agentName(h.rng.IntN(3)), fmt.Sprintf("c%d", h.rng.IntN(8))
	v, _ := h.desks().Agent(name, agent)
	switch n := h.rng.IntN(24); {
	case n < 6:
		c := desk.Request{Desk: name, Client: client, Ask: desk.Ask{Reach: desk.Push, Priority: uint8(h.rng.IntN(4) / 3)}}
		if i == 1 {
			c.Topic = []string{"tax", "law"}[h.rng.IntN(2)]
		}
		if h.rng.IntN(2) == 0 {
			h.conn++
			c.Reach, c.Conn = desk.Socket, h.conn
		}
		if res := h.do(c); res.Refused() {
			h.heard = append(h.heard, DeskHeard{Realm: "r", Desk: name, To: client, AsOf: h.stepper.State.Seq(), Refused: &RefusalHeard{c.Topic, res.Refusal.Code}})
		}
	case n < 14 && v.Offer != nil:
		if n%3 == 0 {
			h.do(desk.RejectOffer{Desk: name, Agent: agent, Offer: v.Offer.ID})
		} else {
			h.accept(name, agent, v.Offer.ID)
		}
	case n < 18 && v.Session != nil:
		h.do(desk.Finish{Desk: name, Agent: agent, Session: v.Session.ID})
	case n == 18:
		for r := range h.desks().OfClient(client, 1<<60, 9) {
			row := h.desks().OfClient(client, 1<<60, 9)[r]
			h.do(desk.Cancel{Desk: row.Desk, Client: client, Request: row.ID})
			break
		}
	case n == 19 || v.State == desk.Offline:
		h.come(name, agent)
	case n == 20 && len(h.conns[[2]string{name, agent}]) > 0:
		key := [2]string{name, agent}
		h.do(desk.Detach{Desk: name, Agent: agent, Conn: h.conns[key][0]})
		h.conns[key] = h.conns[key][1:]
	case n == 21:
		h.do(desk.Pause{Desk: name, Agent: agent})
	case n == 22 && len(h.events) > 0: // an offer that is over, or another's
		if e := h.events[h.rng.IntN(len(h.events))]; e.Kind() == seat.Kind(desk.OfferMade) {
			h.accept(e.Desk.Desk, e.Desk.Agent, e.Seq)
		}
	case n == 23 && h.rng.IntN(12) == 0:
		h.start()
	}
}

func (h *deskHistory) accept(name, agent string, offer uint64) {
	accept := desk.AcceptOffer{Desk: name, Agent: agent, Offer: offer}
	if v, _ := h.desks().Agent(name, agent); len(v.Connections) > 0 && offer%4 > 0 { // else over HTTP
		accept.Conn = v.Connections[len(v.Connections)-1]
	}
	res := h.do(accept)
	a := &AnswerHeard{Offer: offer, Code: res.Refusal.Code, Outcome: res.Refusal.Offer}
	if res.Session != nil {
		a.Session = res.Session.ID
	}
	h.heard = append(h.heard, DeskHeard{Realm: "r", Desk: name, To: agent, AsOf: h.stepper.State.Seq(), Answer: a})
}

func checkDesks(events []holdfast.Event, heard []DeskHeard) DeskReport {
	c := NewDeskChecker()
	for i := range events {
		c.Event(&events[i])
		for len(heard) > 0 && heard[0].AsOf == events[i].Seq {
			c.Heard(&heard[0])
			heard = heard[1:]
		}
	}
	for i := range heard {
		c.Heard(&heard[i])
	}
	return c.Finish(0)
}

func TestValidDesksHaveNoViolation(t *testing.T) {
	t.Parallel()
	checks, total := map[string]uint64{}, DeskReport{}
	for seed := range uint64(30) {
		h := newDeskHistory(seed).run(600)
		report := checkDesks(h.events, h.heard)
		for _, v := range report.Violations {
			t.Errorf("seed %d: %s", seed, v)
		}
		for name, n := range report.Checks {
			checks[name] += n
		}
		for state, n := range report.Offers {
			total.Offers[state] += n
		}
		total.Compared += report.Compared
		total.Sessions += report.Sessions
		log := NewChecker(holdfast.NewState())
		for i := range h.events {
			log.Event(&h.events[i])
		}
		if whole := log.Finish(); whole.Found > 0 || whole.Checks["D4"] == 0 {
			t.Errorf("seed %d: the checker of the whole log says %v", seed, whole.Violations)
		}
	}
	for _, name := range []string{"D1", "D2", "D3", "D4", "D5", "D6", "D7", "J1"} {
		if checks[name] < 100 {
			t.Errorf("%s was looked at only %d times", name, checks[name])
		}
	}
	t.Log(checks, total.Offers, total.Sessions, total.Compared)
	for state, n := range total.Offers {
		if n == 0 {
			t.Errorf("no offer was %s", desk.OfferState(state))
		}
	}
	if total.Compared < 60_000 || total.Sessions < 600 {
		t.Errorf("only %d messages were compared, in %d sessions", total.Compared, total.Sessions)
	}
}

// find is the first event from i on that is wanted; -1: there is none.
func (h *deskHistory) find(i int, want func(*desk.Event) bool) int {
	for ; i >= 0 && i < len(h.events); i++ {
		if e := h.events[i].Desk; e != nil && want(e) {
			return i
		}
	}
	return -1
}

func made(e *desk.Event) bool { return e.Kind == desk.OfferMade }

// TestOnlineInASession: who pauses and is online again within a session has the place of before, which a client who does not
// come leaves them.
func TestOnlineInASession(t *testing.T) {
	h := newDeskHistory(1)
	asked := h.do(desk.Request{Desk: "d0", Client: "zoe", Conn: 900}).Request
	if asked.Agent != "a0" {
		t.Fatalf("offered to %q", asked.Agent)
	}
	h.do(desk.DetachClient{Desk: "d0", Client: "zoe", Conn: 900})
	h.accept("d0", "a0", asked.Offer)
	h.do(desk.Pause{Desk: "d0", Agent: "a0"})
	h.do(desk.Online{Desk: "d0", Agent: "a0"})
	h.now += 31_000_000
	if next := h.do(desk.Request{Desk: "d0", Client: "bob", Ask: desk.Ask{Reach: desk.Push}}).Request; next.Agent != "a0" {
		t.Errorf("a no-show costs the place: offered to %q", next.Agent)
	}
	if i := h.find(0, func(e *desk.Event) bool { return e.Cause == desk.ByNoShow }); i < 0 {
		t.Error("nobody failed to come")
	}
	if report := checkDesks(h.events, h.heard); len(report.Violations) > 0 || report.Sessions != 1 {
		t.Errorf("%d sessions, %v", report.Sessions, report.Violations)
	}
}
