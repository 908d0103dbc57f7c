package desk

import (
	"testing"
	"time"
)

// stage plays commands against a State as the engine does.
type stage struct {
	t   *testing.T
	s   *State
	now Time
	seq uint64
	log []logged
}

type logged struct {
	stamp
	e     Event
	start bool
}

func newStage(t *testing.T) *stage {
	return &stage{t: t, s: NewState(), now: 1_000_000_000}
}

func (g *stage) took(t *Turn) {
	for i := range t.Events {
		g.seq++
		g.log = append(g.log, logged{stamp: stamp{g.seq, t.Now}, e: t.Events[i]})
	}
}

func (g *stage) due(until Time) {
	for {
		next, ok := g.s.NextDue()
		if !ok || next > until {
			return
		}
		turn := Turn{Now: max(next, g.now), Clock: max(next, g.now), Seq: g.seq}
		g.now = turn.Now
		g.s.Due(&turn)
		if len(turn.Events) > MaxEvents {
			g.t.Fatalf("%d events in one turn", len(turn.Events))
		}
		g.took(&turn)
	}
}

func (g *stage) do(cmd Command) Result {
	res := g.step(cmd)
	g.check(cmd)
	return res
}

// step is do without a check, which costs a look at everything.
func (g *stage) step(cmd Command) Result {
	g.due(g.now)
	turn := Turn{Now: g.now, Clock: g.now, Seq: g.seq}
	res := g.s.Step(&turn, cmd)
	g.took(&turn)
	return res
}

func (g *stage) pass(d time.Duration) {
	end := g.now.Add(d)
	g.due(end)
	g.now = end
	g.check(d)
}

func (g *stage) check(after any) {
	g.t.Helper()
	for _, check := range []func() error{g.s.Check, g.s.CheckD4} {
		if err := check(); err != nil {
			g.t.Fatalf("%T: %v", after, err)
		}
	}
}

func (g *stage) start() {
	g.seq++
	g.log = append(g.log, logged{stamp: stamp{g.seq, g.now}, start: true})
	g.s.ApplyStart(g.now)
}

func (g *stage) replay() *State {
	s := NewState()
	g.apply(s, g.log)
	return s
}

// apply folds events as a recovery does: through their binary form.
func (g *stage) apply(s *State, log []logged) {
	g.t.Helper()
	for i := range log {
		if log[i].start {
			s.ApplyStart(log[i].at)
			continue
		}
		var e Event
		if err := e.DecodeBody(log[i].e.Kind, string(log[i].e.AppendBody(nil))); err != nil {
			g.t.Fatal(err)
		}
		if err := s.Apply(log[i].seq, log[i].at, &e); err != nil {
			g.t.Fatal(err)
		}
	}
	if err := s.Check(); err != nil {
		g.t.Fatal(err)
	}
}

func TestOneCycle(t *testing.T) {
	g := newStage(t)
	g.do(PutDesk{Desk: "acme", Config: DefaultConfig()})
	if res := g.do(Request{Desk: "acme", Client: "zoe", Conn: 9}); res.Refusal.Code != NoAgent {
		t.Fatal(res)
	}
	for i, name := range []string{"eve", "bob"} {
		g.do(PutAgent{Desk: "acme", Agent: name})
		g.do(Attach{Desk: "acme", Agent: name, Conn: uint64(i + 1)})
		g.do(Online{Desk: "acme", Agent: name, Conn: uint64(i + 1)})
	}
	res := g.do(Request{Desk: "acme", Client: "zoe", Conn: 9})
	if res.Refused() || res.Request.State != Offering || res.Request.Agent != "eve" {
		t.Fatalf("%+v", res.Request)
	}
	first := res.Request.Offer
	g.do(RejectOffer{Desk: "acme", Agent: "eve", Conn: 1, Offer: first})
	now, _ := g.s.Request("acme", res.Request.ID)
	if now.Agent != "bob" {
		t.Fatalf("%+v", now)
	}
	g.do(Receive{Desk: "acme", Agent: "bob", Conn: 2, Offer: now.Offer})
	took := g.do(AcceptOffer{Desk: "acme", Agent: "bob", Conn: 2, Offer: now.Offer})
	if took.Session == nil || took.Agent.State != Busy {
		t.Fatalf("%+v", took)
	}
	done := g.do(Finish{Desk: "acme", Agent: "bob", Conn: 2, Session: took.Session.ID})
	if done.Refused() || done.Session.Ended == 0 {
		t.Fatalf("%+v", done)
	}
	g.pass(time.Minute)
	if ring := g.s.Ring("acme", "", 10); len(ring) != 2 || ring[0].Agent != "eve" {
		t.Fatalf("%+v", ring)
	}
	g.start()
	g.pass(time.Minute)
	g.replay()
}
