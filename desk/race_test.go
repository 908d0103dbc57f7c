package desk_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"holdfast/desk"
)

// race is one desk at which several things happen in the same instant.
type race struct {
	t     *testing.T
	state *desk.State
	now   desk.Time
	seq   uint64
}

func newRace(t *testing.T, change func(*desk.Config), agents ...string) *race {
	t.Helper()
	r := &race{t: t, state: desk.NewState(), now: dawn}
	c := desk.DefaultConfig()
	c.WarmUp, c.Receipt = 0, 0
	change(&c)
	r.do(desk.PutDesk{Desk: "d", Config: c})
	for i, name := range agents {
		r.do(desk.PutAgent{Desk: "d", Agent: name})
		r.do(desk.Attach{Desk: "d", Agent: name, Conn: uint64(i) + 1})
		r.do(desk.Online{Desk: "d", Agent: name, Conn: uint64(i) + 1})
	}
	return r
}

func (r *race) do(cmd desk.Command) desk.Result {
	r.t.Helper()
	if err := cmd.Valid(); err != nil {
		r.t.Fatal(err)
	}
	r.due()
	turn := desk.Turn{Now: r.now, Clock: r.now, Seq: r.seq}
	res := r.state.Step(&turn, cmd)
	r.seq += uint64(len(turn.Events))
	if err := r.state.Check(); err != nil {
		r.t.Fatalf("%+v: %v", cmd, err)
	}
	return res
}

func (r *race) due() {
	for more := true; more; {
		turn := desk.Turn{Now: r.now, Clock: r.now, Seq: r.seq}
		more = r.state.Due(&turn)
		r.seq += uint64(len(turn.Events))
	}
}

// TestThousandForOne: a thousand clients ask for one agent. One is offered; the others are refused, or wait in the order in
// which they came, and are served in that order.
func TestThousandForOne(t *testing.T) {
	t.Parallel()
	const crowd = 1_000
	for name, policy := range map[string]desk.Policy{"refuse": desk.Refuse, "queue": desk.Queue} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRace(t, func(c *desk.Config) {
				c.Policy, c.MaxWait = policy, 24*time.Hour
				if policy == desk.Queue {
					c.QueueLimit = crowd - 2
				}
			}, "eve")
			offered, refused, last := 0, 0, uint32(0)
			for n := range crowd {
				res := r.do(desk.Request{Desk: "d", Client: fmt.Sprintf("c%04d", n), Conn: uint64(n) + 10})
				switch {
				case res.Refused() && (policy == desk.Refuse && res.Refusal.Code == desk.NoAgent || policy == desk.Queue && res.Refusal.Code == desk.QueueFull):
					refused++
				case res.Request.State == desk.Offering:
					offered++
				case res.Request.State == desk.Queued && res.Request.Position == last+1:
					last++
				default:
					t.Fatalf("client %d heard %+v", n, res)
				}
			}
			want := map[desk.Policy][3]int{desk.Refuse: {1, crowd - 1, 0}, desk.Queue: {1, 1, crowd - 2}}[policy]
			if got := [3]int{offered, refused, int(last)}; got != want {
				t.Errorf("%d were offered, refused, or wait; wanted %d", got, want)
			}
			for n := range 1 + int(last) {
				v, _ := r.state.Agent("d", "eve")
				if v.Offer == nil || v.Offer.Client != fmt.Sprintf("c%04d", n) {
					t.Fatalf("client %d is overtaken: %+v", n, v.Offer)
				}
				s := r.do(desk.AcceptOffer{Desk: "d", Agent: "eve", Offer: v.Offer.ID}).Session
				r.do(desk.Finish{Desk: "d", Agent: "eve", Session: s.ID})
			}
		})
	}
}

// TestSameInstant: accept, reject, cancel, pause and the deadline in the same instant, in every order. What comes first in
// the log decides; what comes after it changes nothing of that.
func TestSameInstant(t *testing.T) {
	t.Parallel()
	acts := []string{"accept", "cancel", "reject", "pause", "deadline"}
	firsts := map[string]desk.OfferState{"accept": desk.Accepted, "cancel": desk.Rescinded, "reject": desk.Rejected, "pause": desk.Rejected, "deadline": desk.TimedOut}
	orders := 0
	for _, order := range permutations(acts) {
		orders++
		r := newRace(t, func(c *desk.Config) { c.Policy, c.QueueLimit, c.RejectPause, c.MissPause = desk.Queue, 9, 0, 0 }, "eve")
		asked := r.do(desk.Request{Desk: "d", Client: "zoe", Conn: 10}).Request
		end := dawn.Add(20*time.Second + desk.Slack)
		r.now = end - 1
		for _, act := range order {
			switch act {
			case "accept":
				r.do(desk.AcceptOffer{Desk: "d", Agent: "eve", Offer: asked.Offer, Conn: 1})
			case "cancel":
				r.do(desk.Cancel{Desk: "d", Client: "zoe", Request: asked.ID})
			case "reject":
				r.do(desk.RejectOffer{Desk: "d", Agent: "eve", Offer: asked.Offer, Conn: 1})
			case "pause":
				r.do(desk.Pause{Desk: "d", Agent: "eve", Conn: 1})
			case "deadline":
				r.now = end
				r.due()
			}
		}
		of, _ := r.state.Offer("d", asked.Offer)
		if of.State != firsts[order[0]] {
			t.Errorf("%v: the offer is %s", order, of.State)
		}
		request, _ := r.state.Request("d", asked.ID)
		eve, _ := r.state.Agent("d", "eve")
		// Whatever comes first, the client cancels at some time, and the agent pauses: nobody is left in the middle.
		want := desk.Cancelled
		if order[0] == "accept" {
			want = desk.Done
		}
		if request.State != want || eve.State == desk.Init || eve.State == desk.Busy || eve.Accepting {
			t.Errorf("%v: the request is %s, the agent %s, accepting %v", order, request.State, eve.State, eve.Accepting)
		}
	}
	if orders != 120 {
		t.Errorf("%d orders", orders)
	}
}

func permutations(of []string) (all [][]string) {
	if len(of) == 0 {
		return [][]string{nil}
	}
	for i, first := range of {
		rest := slices.Delete(slices.Clone(of), i, i+1)
		for _, tail := range permutations(rest) {
			all = append(all, append([]string{first}, tail...))
		}
	}
	return all
}

// TestAcceptOnTwoDevices: the same offer accepted by two devices is one session; by a device that was superseded it is none.
func TestAcceptOnTwoDevices(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{false, true} {
		r := newRace(t, func(c *desk.Config) { c.SingleDevice = single }, "eve")
		r.do(desk.Attach{Desk: "d", Agent: "eve", Conn: 2})
		of := r.do(desk.Request{Desk: "d", Client: "zoe", Conn: 10}).Request.Offer
		first := r.do(desk.AcceptOffer{Desk: "d", Agent: "eve", Offer: of, Conn: 1})
		second := r.do(desk.AcceptOffer{Desk: "d", Agent: "eve", Offer: of, Conn: 2})
		if single && (first.Refusal.Code != desk.NotConnected || first.Session != nil || second.AcceptedElsewhere || second.Session == nil) {
			t.Errorf("single device: %+v, %+v", first, second)
		}
		if !single && (first.AcceptedElsewhere || first.Session == nil || !second.AcceptedElsewhere || second.Session == nil || second.Session.ID != first.Session.ID) {
			t.Errorf("%+v, %+v", first, second)
		}
	}
}

// TestRestartWithManyOffers: a start with a hundred offers pending. Half of the agents come back, in a wrong order, and
// accept by the old ids; the requests of the others go on, and nobody is lost.
func TestRestartWithManyOffers(t *testing.T) {
	t.Parallel()
	const agents = 100
	names := make([]string, agents)
	for n := range names {
		names[n] = fmt.Sprintf("a%03d", n)
	}
	r := newRace(t, func(c *desk.Config) { c.Policy, c.QueueLimit = desk.Queue, 1_000 }, names...)
	offers := map[string]uint64{}
	for n := range agents {
		v := r.do(desk.Request{Desk: "d", Client: fmt.Sprintf("c%03d", n), Ask: desk.Ask{Reach: desk.Push}}).Request
		offers[v.Agent] = v.Offer
	}
	r.now += 20 * second
	r.seq++
	r.state.ApplyStart(r.now)
	r.due()
	for n := agents - 1; n >= 0; n -= 2 {
		r.do(desk.Attach{Desk: "d", Agent: names[n], Conn: uint64(1_000 + n)})
		if res := r.do(desk.AcceptOffer{Desk: "d", Agent: names[n], Offer: offers[names[n]], Conn: uint64(1_000 + n)}); res.Session == nil {
			t.Fatalf("%s: %+v", names[n], res.Refusal)
		}
	}
	r.now += 15 * second
	r.due()
	v, _ := r.state.Desk("d")
	if v.States != [desk.AgentStates]uint32{desk.Offline: agents / 2, desk.Busy: agents / 2} || v.Sessions != agents/2 || v.Waiting != agents/2 {
		t.Errorf("%+v", v)
	}
	for name, of := range offers {
		is, _ := r.state.Offer("d", of)
		if eve, _ := r.state.Agent("d", name); eve.State == desk.Offline && (is.State != desk.Revoked || is.Cause != desk.ByRestart || eve.Misses != 0) {
			t.Errorf("%s: %+v, %d missed", name, is, eve.Misses)
		}
	}
}

// TestStuckConnection: a device that takes nothing in loses one offer after the other to the receipt; but only the first,
// for then nothing is offered to it until it says something.
func TestStuckConnection(t *testing.T) {
	t.Parallel()
	r := newRace(t, func(c *desk.Config) { c.Policy, c.QueueLimit, c.Receipt = desk.Queue, 9, 2*time.Second }, "eve", "bob")
	for n := range 5 {
		v := r.do(desk.Request{Desk: "d", Client: fmt.Sprint("c", n), Ask: desk.Ask{Reach: desk.Push}}).Request
		if n == 0 && v.Agent != "eve" {
			t.Fatalf("%+v", v)
		}
		if n == 0 {
			r.now += 2 * second
			r.due()
		}
		bob, _ := r.state.Agent("d", "bob")
		if bob.Offer == nil {
			t.Fatalf("request %d waits for who is stuck: %+v", n, bob)
		}
		r.do(desk.Receive{Desk: "d", Agent: "bob", Offer: bob.Offer.ID})
		s := r.do(desk.AcceptOffer{Desk: "d", Agent: "bob", Offer: bob.Offer.ID}).Session
		r.do(desk.Finish{Desk: "d", Agent: "bob", Session: s.ID})
	}
	eve, _ := r.state.Agent("d", "eve")
	if !eve.Silent || eve.Ready || eve.Misses != 0 || eve.State != desk.Idle {
		t.Errorf("%+v", eve)
	}
	r.do(desk.Hear{Desk: "d", Agent: "eve", Conn: 1})
	if ring := r.state.Ring("d", "", 9); len(ring) != 2 || ring[0].Agent != "eve" {
		t.Errorf("who is heard has not the old place: %+v", ring)
	}
}
