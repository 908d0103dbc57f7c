package mirror

import (
	"fmt"
	"math/rand/v2"
	"time"

	"holdfast"
	"holdfast/desk"
)

// deskWorld does at desks what agents, clients and staff do, by the real rules.
type deskWorld struct {
	*world
	rng   *rand.Rand
	often int // commands at desks beside each at a pool
	conn  uint64
}

const (
	worldDesks   = 3
	worldAgents  = 4
	worldClients = 9
)

func deskID(i int) string   { return fmt.Sprintf("d%d", i) }
func agentID(i int) string  { return fmt.Sprintf("a%02d", i) }
func clientID(i int) string { return fmt.Sprintf("k%02d", i) }

// hostileText is what a data, a reason or a name of staff may have.
const hostileText = "Grüße 😀 \x00 \"quoted\" \\u0000 'x'; DROP TABLE requests; --\n\t\u2028"

func (w *deskWorld) config(i int) desk.Config {
	c := desk.DefaultConfig()
	c.MaxAttempts, c.MaxWait = uint32(1+w.rng.IntN(4)), time.Duration(30+w.rng.IntN(300))*time.Second
	c.WrapUp, c.RestartGrace = time.Duration(w.rng.IntN(3)*20)*time.Second, time.Duration(w.rng.IntN(200))*time.Second
	c.Receipt = time.Duration(w.rng.IntN(3)) * 2 * time.Second
	if i > 0 {
		c.Policy, c.QueueLimit = desk.Queue, 5
	}
	if i == 1 {
		c.Topics = []string{"tax", "visa"}
	}
	if i == 2 {
		c.SingleDevice = true
	}
	if w.rng.IntN(3) == 0 {
		c.OnLost = desk.Close
	}
	return c
}

// setup makes desks with agents.
func (w *deskWorld) setup() {
	for _, realm := range []string{"spring", "autumn"} {
		for i := range worldDesks {
			w.do(realm, desk.PutDesk{Desk: deskID(i), Config: w.config(i)})
			for j := range worldAgents {
				w.putAgent(realm, deskID(i), agentID(j))
			}
		}
	}
	w.frame()
}

func (w *deskWorld) putAgent(realm, at, agent string) {
	var p desk.Profile
	if at == deskID(1) && w.rng.IntN(2) == 0 {
		p.Topics = []string{[]string{"tax", "visa"}[w.rng.IntN(2)]}
	}
	if w.rng.IntN(4) == 0 {
		p.Reach = desk.Push
	}
	w.do(realm, desk.PutAgent{Desk: at, Agent: agent, Profile: p})
}

// one is one command at a desk.
func (w *deskWorld) one() {
	realm, at := []string{"spring", "autumn"}[w.rng.IntN(2)], deskID(w.rng.IntN(worldDesks))
	state := w.step.State.Realm(realm).Desks
	agent, client := agentID(w.rng.IntN(worldAgents)), clientID(w.rng.IntN(worldClients))
	view, _ := state.Agent(at, agent)
	view.Agent = agent // also where they were removed
	conn := uint64(0)
	if n := len(view.Connections); n > 0 {
		conn = view.Connections[w.rng.IntN(n)]
	}
	switch k := w.rng.IntN(100); {
	case k < 35:
		w.agent(realm, at, &view, conn)
	case k < 55:
		w.request(realm, at, client)
	case k < 60:
		w.act(realm, desk.Detach{Desk: at, Agent: agent, Conn: conn})
	case k < 65:
		w.client(realm, at, state)
	case k < 72:
		w.cancel(realm, at, state)
	case k < 76:
		w.act(realm, desk.Pause{Desk: at, Agent: agent, Conn: conn, Staff: desk.Staff{Reason: "lunch \x00"}})
	case k < 79:
		w.act(realm, desk.GoOffline{Desk: at, Agent: agent, Conn: conn})
	case k < 83:
		to := []desk.AgentState{desk.Offline, desk.Idle}[w.rng.IntN(2)]
		w.do(realm, desk.Force{Desk: at, Agent: agent, To: to, Staff: desk.Staff{By: hostileText, Reason: hostileText}})
	case k < 85:
		w.do(realm, desk.RemoveAgent{Desk: at, Agent: agent, Staff: desk.Staff{By: "boss", Reason: hostileText}})
	case k < 88:
		w.putAgent(realm, at, agent)
	case k < 89:
		i := w.rng.IntN(worldDesks)
		w.do(realm, desk.PutDesk{Desk: deskID(i), Config: w.config(i)})
	default:
		w.answer(realm, at, state)
	}
}

// agent: comes, goes online, answers or finishes, as their state asks for.
func (w *deskWorld) agent(realm, at string, v *desk.AgentView, conn uint64) {
	switch {
	case conn == 0 && (v.Profile.Reach == desk.Socket || w.rng.IntN(4) == 0) || w.rng.IntN(20) == 0:
		w.conn++
		w.do(realm, desk.Attach{Desk: at, Agent: v.Agent, Conn: w.conn})
	case !v.Accepting:
		w.act(realm, desk.Online{Desk: at, Agent: v.Agent, Conn: conn})
	case v.Offer != nil:
		w.offered(realm, at, v, conn)
	case v.Session != nil && w.rng.IntN(2) == 0:
		w.do(realm, desk.Finish{Desk: at, Agent: v.Agent, Conn: conn, Session: v.Session.ID, Staff: desk.Staff{Reason: hostileText}})
	default:
		w.act(realm, desk.Hear{Desk: at, Agent: v.Agent, Conn: conn})
	}
}

func (w *deskWorld) offered(realm, at string, v *desk.AgentView, conn uint64) {
	if w.rng.IntN(2) == 0 {
		w.act(realm, desk.Receive{Desk: at, Agent: v.Agent, Conn: conn, Offer: v.Offer.ID})
	}
	switch w.rng.IntN(4) {
	case 0, 1:
		w.act(realm, desk.AcceptOffer{Desk: at, Agent: v.Agent, Conn: conn, Offer: v.Offer.ID})
	case 2:
		w.act(realm, desk.RejectOffer{Desk: at, Agent: v.Agent, Conn: conn, Offer: v.Offer.ID, Reason: hostileText})
	}
}

// answer lets an agent with an offer answer it.
func (w *deskWorld) answer(realm, at string, state *desk.State) {
	for i := range worldAgents {
		if v, ok := state.Agent(at, agentID(i)); ok && v.Offer != nil {
			conn := uint64(0)
			if len(v.Connections) > 0 {
				conn = v.Connections[0]
			}
			w.offered(realm, at, &v, conn)
			return
		}
	}
}

func (w *deskWorld) request(realm, at, client string) {
	ask := desk.Ask{Priority: uint8(w.rng.IntN(3)), Reach: desk.Push}
	if at == deskID(1) {
		ask.Topic = []string{"tax", "visa"}[w.rng.IntN(2)]
	}
	if w.rng.IntN(2) == 0 {
		ask.Data, ask.Key = hostileText, fmt.Sprintf("key%d", w.rng.IntN(1000))
	}
	conn := uint64(0)
	if w.rng.IntN(2) == 0 {
		w.conn++
		ask.Reach, conn = desk.Socket, w.conn
	}
	w.do(realm, desk.Request{Desk: at, Client: client, Conn: conn, Ask: ask})
}

// client comes again, or goes.
func (w *deskWorld) client(realm, at string, state *desk.State) {
	rows, _ := state.Requests(at, 0, desk.RequestState.Live, 20)
	if len(rows) == 0 {
		return
	}
	r := rows[w.rng.IntN(len(rows))]
	w.conn++
	if w.rng.IntN(2) == 0 {
		w.do(realm, desk.AttachClient{Desk: at, Client: r.Client, Conn: w.conn})
		return
	}
	for conn := range w.conn { // whichever it has
		w.act(realm, desk.DetachClient{Desk: at, Client: r.Client, Conn: conn})
	}
}

func (w *deskWorld) cancel(realm, at string, state *desk.State) {
	rows, _ := state.Requests(at, 0, desk.RequestState.Live, 20)
	if len(rows) == 0 {
		return
	}
	r := rows[w.rng.IntN(len(rows))]
	c := desk.Cancel{Desk: at, Request: r.ID, Staff: desk.Staff{By: "desk lead", Reason: hostileText}}
	if w.rng.IntN(2) == 0 {
		c.Client = r.Client
	}
	w.do(realm, c)
}

// noteDesk counts what the histories had.
func (w *world) noteDesk(e *holdfast.Event) {
	d := e.Desk
	if d == nil {
		return
	}
	switch d.Kind {
	case desk.OfferEnded:
		w.seen["offer "+d.Outcome.String()+" "+d.Cause.String()]++
	case desk.SessionFinished:
		w.seen["session "+d.Then.String()+" "+d.Cause.String()]++
	case desk.RequestEnded:
		w.seen["request "+d.Then.String()+" "+d.Cause.String()]++
	}
}

// act does what may be malformed: no connection where there must be one.
func (w *deskWorld) act(realm string, body holdfast.Body) {
	if body.Valid() == nil {
		w.do(realm, body)
	}
}
