package live_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/desk"
	"holdfast/internal/live"
	"holdfast/internal/wire"
)

// TestDesksFold: whatever happens, whoever watches knows how things stand, and so does whoever comes back.
func TestDesksFold(t *testing.T) {
	t.Parallel()
	compared := 0
	rapid.Check(t, func(rt *rapid.T) { // it cannot run inside a bubble, nor draw there
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 5, 60).Draw(rt, "steps")
		var said verdicts
		synctest.Test(t, func(*testing.T) {
			w := newWorld(&said, func(c *live.Config) { c.Hold, c.Round = 2, 2 })
			defer w.stop()
			f := &floor{world: w, devices: map[string]*handset{}, clients: map[string]*seen{}, conn: 1}
			f.begin()
			for _, s := range steps {
				f.step(s)
			}
			if wrong := f.check(); wrong != "" {
				said.Error(wrong)
			}
			compared += f.compared
		})
		if len(said.list) > 0 {
			rt.Fatal(said.list[0])
		}
	})
	if compared < 1000 {
		t.Errorf("only %d members were compared", compared)
	}
}

// step is something that happens.
type step struct {
	what                int
	agent, client, desk string
	told                bool
	ms                  int
}

func drawStep(t *rapid.T) step {
	return step{rapid.IntRange(0, 12).Draw(t, "what"), rapid.SampledFrom(floorAgents).Draw(t, "agent"), rapid.SampledFrom(floorClients).Draw(t, "client"),
		rapid.SampledFrom(floorDesks).Draw(t, "desk"), rapid.Bool().Draw(t, "told"), rapid.IntRange(1, 2500).Draw(t, "ms")}
}

// floor is two desks with agents and clients, and who watches them.
type floor struct {
	*world
	devices map[string]*handset // by agent
	clients map[string]*seen    // by client
	conn    uint64
	held    bool

	compared int
}

type handset struct {
	*party
	*live.AgentWatch
	conn uint64
}

type seen struct {
	*party
	*live.ClientWatch
	conn   uint64
	cursor live.Cursor
	known  map[string]map[string]any
}

var floorDesks, floorAgents, floorClients = []string{"d", "e"}, []string{"d/eve", "d/dan", "e/tim"}, []string{"zoe", "ann", "bob"}

func (f *floor) begin() {
	w := f.world
	w.desk("d", queueing, func(c *desk.Config) { c.OfferTime, c.ClientGrace, c.MaxAttempts = 2*time.Second, 2*time.Second, 3 })
	w.desk("e", func(c *desk.Config) { c.RejectPause, c.MissPause, c.IdleGrace = 0, 0, time.Second })
	for _, a := range floorAgents {
		w.do(desk.PutAgent{Desk: a[:1], Agent: a[2:]})
		f.come(a)
	}
	for _, c := range floorClients {
		f.clients[c] = &seen{known: map[string]map[string]any{}}
		f.clientComes(c)
	}
}

func (f *floor) come(a string) {
	if old := f.devices[a]; old != nil {
		old.Close()
		f.do(desk.Detach{Desk: a[:1], Agent: a[2:], Conn: old.conn})
	}
	f.conn++
	f.do(desk.Attach{Desk: a[:1], Agent: a[2:], Conn: f.conn})
	p := newParty(f)
	f.devices[a] = &handset{p, f.hub.WatchAgent(term, a[:1], a[2:], f.conn, p), f.conn}
}

// clientComes is a client's new connection, with the cursor of the old.
func (f *floor) clientComes(c string) {
	s := f.clients[c]
	if s.party != nil {
		synctest.Wait()
		s.Close()
		for id, r := range s.requests {
			s.known[id] = r
		}
		s.cursor.Log, s.cursor.Seq = memID, max(s.cursor.Seq, s.party.cursor)
		for _, d := range floorDesks {
			f.do(desk.DetachClient{Desk: d, Client: c, Conn: s.conn})
		}
	} else {
		s.cursor = live.Cursor{Log: memID, Seq: f.engine.Durable().Seq}
	}
	f.conn++
	s.conn, s.party = f.conn, newParty(f)
	s.ClientWatch = f.hub.WatchClient(term, c, "", s.conn, s.cursor, s.party)
	for _, d := range floorDesks {
		f.do(desk.AttachClient{Desk: d, Client: c, Conn: s.conn})
	}
}

func (f *floor) step(is step) {
	a, c, d := is.agent, is.client, is.desk
	dev, cl := f.devices[a], f.clients[c]
	var v desk.AgentView
	var asked uint64
	f.engine.Read(func(s *holdfast.State) {
		v = agentOf(s, a[:1], a[2:])
		for _, r := range s.Realm(term).Desks.OfClient(c, 1<<62, 9) {
			asked = r.ID
		}
	})
	switch what := is.what; {
	case what == 0 && !f.held:
		f.come(a)
	case what == 1 && !f.held:
		f.clientComes(c)
	case what <= 3:
		f.do(desk.Online{Desk: a[:1], Agent: a[2:], Conn: dev.conn})
	case what == 4:
		f.do(desk.Pause{Desk: a[:1], Agent: a[2:], Conn: dev.conn})
	case what <= 7:
		if r := f.do(desk.Request{Desk: d, Client: c, Conn: cl.conn}).Desk; !r.Refused() && is.told {
			cl.Told(r.Request)
			cl.mu.Lock()
			of := fmt.Sprint(r.Request.ID)
			if seq, _ := strconv.ParseUint(fmt.Sprint(cl.requests[of]["seq"]), 10, 64); seq < r.Request.Seq {
				cl.requests[of] = object(wire.AppendRequestRow(nil, r.Request, true))
			}
			cl.mu.Unlock()
		}
	case what == 8 && asked != 0:
		f.do(desk.Cancel{Desk: d, Client: c, Request: asked})
	case what <= 10 && v.Offer != nil:
		f.do(desk.Receive{Desk: a[:1], Agent: a[2:], Conn: dev.conn, Offer: v.Offer.ID})
		if what == 9 {
			f.do(desk.AcceptOffer{Desk: a[:1], Agent: a[2:], Conn: dev.conn, Offer: v.Offer.ID})
		} else {
			f.do(desk.RejectOffer{Desk: a[:1], Agent: a[2:], Conn: dev.conn, Offer: v.Offer.ID})
		}
	case what <= 10 && v.Session != nil:
		f.do(desk.Finish{Desk: a[:1], Agent: a[2:], Conn: dev.conn, Session: v.Session.ID})
	case what == 11 && !f.held:
		time.Sleep(time.Duration(is.ms) * time.Millisecond)
	case what == 12:
		synctest.Wait()
		if f.held = !f.held; f.held {
			f.gate.close()
		} else {
			f.gate.open()
		}
	}
}

// check compares what everybody knows with how things stand.
func (f *floor) check() (wrong string) {
	if f.held {
		f.gate.open()
	}
	for head := uint64(0); head != f.engine.Stats().Head; { // at rest, and positions have been told
		head = f.engine.Stats().Head
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
	}
	compare := func(of string, known, is map[string]any, names ...string) {
		for _, name := range names {
			if f.compared++; fmt.Sprint(known[name]) != fmt.Sprint(is[name]) {
				wrong += fmt.Sprintf("%s: %s is %v, known is %v; ", of, name, is[name], known[name])
			}
		}
	}
	f.engine.Read(func(s *holdfast.State) {
		for a, dev := range f.devices {
			v, pending := agentOf(s, a[:1], a[2:]), ""
			if v.Offer != nil {
				pending = fmt.Sprint(v.Offer.ID)
			}
			compare(a, dev.agent, object(wire.AppendAgentRow(nil, &v, 0, true)), "state", "accepting", "ready", "away", "silent", "misses", "connections", "idle_since", "not_before", "until")
			if dev.offer != pending || dev.over != 0 || dev.Silent() != v.Silent {
				wrong += fmt.Sprintf("%s: %q is pending, known is %q; over %d, silent %v; ", a, pending, dev.offer, dev.over, dev.Silent())
			}
		}
		for c, cl := range f.clients {
			for _, r := range s.Realm(term).Desks.OfClient(c, 0, 1000) {
				is := object(wire.AppendRequestRow(nil, &r, true))
				known := cl.requests[fmt.Sprint(r.ID)]
				if known == nil {
					known = cl.known[fmt.Sprint(r.ID)]
				}
				compare(fmt.Sprint(c, r.ID), known, is, "state", "position", "agent", "session", "offer", "seq", "cause", "away")
			}
		}
	})
	for _, dev := range f.devices {
		dev.Close()
	}
	for _, cl := range f.clients {
		cl.Close()
	}
	if left := f.hub.Empty(); left != "" {
		wrong += "left: " + left
	}
	return wrong
}
