package desk

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// walk does at random what agents, clients, staff and the network do.
type walk struct {
	*stage
	r     *rand.Rand
	conns uint64
}

func (w *walk) pick(names ...string) string { return names[w.r.IntN(len(names))] }

func (w *walk) conn(of []uint64) uint64 {
	if len(of) == 0 || w.r.IntN(20) == 0 {
		return uint64(w.r.IntN(3)) * 1000
	}
	return of[w.r.IntN(len(of))]
}

func (w *walk) config() Config {
	c := DefaultConfig()
	if w.r.IntN(2) == 0 {
		c.Policy, c.QueueLimit = Queue, uint32(1+w.r.IntN(5))
	}
	if w.r.IntN(2) == 0 {
		c.Topics = []string{"tax", "law", "art"}[:1+w.r.IntN(3)]
	}
	c.SingleDevice = w.r.IntN(3) == 0
	c.OnLost = Lost(w.r.IntN(2))
	c.MaxAttempts = uint32(1 + w.r.IntN(4))
	c.WrapUp = time.Duration(w.r.IntN(3)) * time.Second
	c.RejectPause = time.Duration(w.r.IntN(3)) * time.Second
	c.IdleGrace = time.Duration(w.r.IntN(3)) * 5 * time.Second
	c.PushReceipt = time.Duration(w.r.IntN(2)) * time.Second
	c.MaxWait = time.Duration(1+w.r.IntN(100)) * time.Second
	return c
}

func (w *walk) step() {
	w.conns++
	desk, name, who := w.pick("acme", "bolt"), w.pick("ann", "bob", "cyd", "dan", "eve"), w.pick("u", "v", "w", "x", "y", "z", "q", "r", "s")
	a, _ := w.s.Agent(desk, name)
	conn := w.conn(a.Connections)
	offer := uint64(w.r.IntN(int(w.seq) + 1))
	if a.Offer != nil && w.r.IntN(8) > 0 {
		offer = a.Offer.ID
	}
	live := w.s.clients[who].liveOf(w.s.desks[desk])
	session, request := offer, offer
	var conns []uint64
	if live != nil {
		request, conns = live.id, live.conns
		if live.course.state == Assigned {
			session = live.session().id
		}
	}
	if a.Session != nil && w.r.IntN(2) == 0 {
		session, who = a.Session.ID, a.Session.Client
	}
	by := Staff{Reason: w.pick("", "why")}
	if w.r.IntN(5) == 0 {
		by.By = "root"
	}
	ask := Ask{Priority: uint8(w.r.IntN(2)), Key: w.pick("", "", "k1", "k2"), Reach: Reach(w.r.IntN(5) / 4), Data: w.pick("", "d")}
	if d := w.s.desks[desk]; d != nil {
		served := d.served()
		ask.Topic = served[w.r.IntN(len(served))].name
	}
	switch n := w.r.IntN(1000); {
	case n < 4:
		w.do(PutDesk{desk, w.config()})
	case n < 20:
		w.do(PutAgent{desk, name, Profile{Reach: Reach(w.r.IntN(4) / 3)}})
	case n < 26:
		w.do(PutAgent{desk, name, Profile{Topics: []string{w.pick("tax", "law", "art")}}})
	case n < 29:
		w.do(RemoveAgent{desk, name, by})
	case n < 35:
		w.do(Force{desk, name, AgentState(w.r.IntN(2)), by})
	case n < 110:
		w.do(Attach{desk, name, w.conns})
	case n < 140:
		w.do(Detach{desk, name, conn})
	case n < 260:
		w.do(Online{desk, name, conn})
	case n < 267:
		w.do(Pause{desk, name, conn, by})
	case n < 272:
		w.do(GoOffline{desk, name, conn, by})
	case n < 280:
		w.do(Hear{desk, name, conn})
	case n < 430:
		w.do(Receive{desk, name, conn, offer})
	case n < 520:
		w.do(AcceptOffer{desk, name, conn, offer})
	case n < 560:
		w.do(RejectOffer{desk, name, conn, offer, by.Reason})
	case n < 730:
		c := w.conns
		if ask.Reach == Push {
			c = 0
		}
		w.do(Request{desk, who, c, ask})
	case n < 760:
		w.do(AttachClient{desk, who, w.conns})
	case n < 790:
		w.do(DetachClient{desk, who, w.conn(conns)})
	case n < 800:
		w.do(Cancel{desk, w.pick(who, who, ""), request, by})
	case n < 815:
		w.do(Finish{desk, w.pick("", name), "", conn, session, by})
	case n < 820:
		w.do(Finish{desk, "", who, 0, session, by})
	case n < 823:
		w.start()
	case n < 960:
		w.pass(time.Duration(w.r.IntN(300)) * time.Millisecond)
	case n < 999:
		w.pass(time.Duration(w.r.IntN(5000)) * time.Millisecond)
	default:
		w.pass(time.Duration(w.r.IntN(int(2 * KeepFinished))))
	}
}

func snapshotOf(t *testing.T, s *State) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.WriteSnapshot(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestWalk: whatever happens, the invariants hold, the events alone give the same state, and so does a snapshot with the
// events behind it.
func TestWalk(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(40) {
		w := &walk{stage: newStage(t), r: rand.New(rand.NewPCG(seed, 4))}
		w.do(PutDesk{"acme", w.config()})
		w.do(PutDesk{"bolt", w.config()})
		half, behind := []byte(nil), 0
		for i := range 1500 {
			w.step()
			if i == 750 {
				half, behind = snapshotOf(t, w.s), len(w.log)
			}
		}
		for _, l := range w.log {
			kinds[fmt.Sprint(l.e.Kind, " ", l.e.Outcome, " ", l.e.Then, " ", l.e.Cause, " ", l.e.State, " ", l.e.Place)]++
		}
		whole := snapshotOf(t, w.s)
		if !bytes.Equal(whole, snapshotOf(t, w.replay())) {
			t.Fatalf("seed %d: the events give another state", seed)
		}
		again, err := ReadSnapshot(bufio.NewReader(bytes.NewReader(half)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !bytes.Equal(half, snapshotOf(t, again)) {
			t.Fatalf("seed %d: the snapshot reads as another state", seed)
		}
		w.apply(again, w.log[behind:])
		if !bytes.Equal(whole, snapshotOf(t, again)) {
			t.Fatalf("seed %d: a snapshot and the events behind it give another state", seed)
		}
	}
	if testing.Verbose() {
		var rows []string
		for kind, n := range kinds {
			rows = append(rows, fmt.Sprintf("%6d %s", n, kind))
		}
		slices.Sort(rows)
		for _, row := range rows {
			t.Log(row)
		}
	}
}
