package desk

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// TestSettleInTurns: what waits at the end of a warm-up is settled in the order of the line, no turn makes more events than
// it may, and nobody comes between.
func TestSettleInTurns(t *testing.T) {
	const each = 2_500
	g := newStage(t)
	config := DefaultConfig()
	config.Policy, config.QueueLimit, config.WarmUp = Queue, MaxQueue, 2*time.Second
	g.do(PutDesk{"acme", config})
	for i := range each {
		name := fmt.Sprintf("a%04d", i)
		g.step(PutAgent{"acme", name, Profile{Reach: Push}})
		g.step(Online{"acme", name, 0})
	}
	g.start()
	for i := range each {
		g.step(Request{"acme", fmt.Sprintf("c%04d", i), 0, Ask{Reach: Push, Priority: uint8(i % 2)}})
	}
	g.check("before")
	if d, _ := g.s.Desk("acme"); d.Waiting != each {
		t.Fatalf("%d wait in the warm-up", d.Waiting)
	}
	before := len(g.log)
	g.pass(2 * time.Second)
	var asked []string
	for _, l := range g.log[before:] {
		asked = append(asked, l.e.Agent+" "+l.e.Client)
	}
	want := make([]string, each)
	for i := range each / 2 {
		want[i], want[each/2+i] = fmt.Sprintf("a%04d c%04d", i, 2*i+1), fmt.Sprintf("a%04d c%04d", each/2+i, 2*i)
	}
	if !slices.Equal(asked, want) {
		t.Fatalf("%d offers, %v …", len(asked), asked[:min(10, len(asked))])
	}
	again, err := ReadSnapshot(bufio.NewReader(bytes.NewReader(snapshotOf(t, g.s))))
	if err != nil || !bytes.Equal(snapshotOf(t, again), snapshotOf(t, g.s)) {
		t.Fatal("the snapshot is of another state", err)
	}
}

// TestForget: a request that has ended stays for KeepFinished, with its key, and then leaves with all its numbers, a few with
// each event.
func TestForget(t *testing.T) {
	g := newStage(t)
	config := DefaultConfig()
	config.WrapUp, config.MaxWait = 0, time.Hour
	g.do(PutDesk{"acme", config})
	g.do(PutAgent{"acme", "eve", Profile{Reach: Push}})
	g.do(Online{"acme", "eve", 0})
	ask := Request{"acme", "zoe", 0, Ask{Reach: Push, Key: "k"}}
	first := g.do(ask).Request
	session := g.do(AcceptOffer{"acme", "eve", 0, first.Offer}).Session.ID
	g.do(Finish{Desk: "acme", Session: session})
	const more = 3 * purgeStep
	for i := range more {
		id := g.do(Request{"acme", fmt.Sprint("c", i), 0, Ask{Reach: Push}}).Request.ID
		g.do(Cancel{Desk: "acme", Request: id})
	}
	g.pass(KeepFinished)
	if again := g.do(ask).Request; again.ID != first.ID || again.State != Done {
		t.Fatalf("%+v", again)
	}
	touch := func() { g.do(PutAgent{"acme", fmt.Sprint("a", g.seq), Profile{}}) }
	touch()
	if _, _, n := g.s.Counts(); n != 1+more {
		t.Fatalf("%d requests are left at the last instant", n)
	}
	g.pass(time.Microsecond)
	touch()
	if _, _, n := g.s.Counts(); n != 1+more-purgeStep {
		t.Fatalf("%d requests are left after one event", n)
	}
	for range 3 {
		touch()
	}
	if _, _, n := g.s.Counts(); n != 0 || g.s.ids.count != 0 || len(g.s.keys) != 0 || len(g.s.clients) != 0 {
		t.Fatalf("%d requests are left, %d numbers, %d keys, %d clients", n, g.s.ids.count, len(g.s.keys), len(g.s.clients))
	}
	if again := g.do(ask).Request; again.ID == first.ID || again.State != Offering {
		t.Fatalf("%+v", again)
	}
}

// TestNoShowOfPaused: who paused in a session that came to nothing is offline after it (T15, T16); who did not has their place.
func TestNoShowOfPaused(t *testing.T) {
	for _, paused := range []bool{false, true} {
		g := newStage(t)
		g.do(PutDesk{"acme", DefaultConfig()})
		for _, name := range []string{"eve", "bob"} {
			g.do(PutAgent{"acme", name, Profile{Reach: Push}})
			g.do(Online{"acme", name, 0})
		}
		asked := g.do(Request{"acme", "zoe", 7, Ask{}}).Request
		g.do(DetachClient{"acme", "zoe", 7})
		session := g.do(AcceptOffer{"acme", "eve", 0, asked.Offer}).Session
		if session.Joined || session.JoinBy == 0 {
			t.Fatalf("%+v", session)
		}
		if paused {
			g.do(Pause{Desk: "acme", Agent: "eve"})
		}
		g.pass(DefaultConfig().JoinWithin)
		ring := g.s.Ring("acme", "", 2)
		r, _ := g.s.Request("acme", asked.ID)
		eve, _ := g.s.Agent("acme", "eve")
		if r.State != Aborted || r.Cause != ByNoShow || (eve.State == Offline) != paused || !paused && ring[0].Agent != "eve" {
			t.Fatalf("paused %t: %+v %+v", paused, r, eve)
		}
	}
}

// TestOfClient: a client is shown what lives and what ended behind a cursor; of very much that ended, the last.
func TestOfClient(t *testing.T) {
	g := newStage(t)
	config := DefaultConfig()
	config.Policy, config.QueueLimit = Queue, 10
	for _, name := range []string{"acme", "other"} {
		g.do(PutDesk{Desk: name, Config: config})
	}
	old := g.do(Request{Desk: "other", Client: "zoe", Ask: Ask{Reach: Push}}).Request.ID
	var ids, ends []uint64
	for range 50 {
		id := g.step(Request{Desk: "acme", Client: "zoe", Ask: Ask{Reach: Push}}).Request.ID
		ids, ends = append(ids, id), append(ends, g.step(Cancel{Desk: "acme", Client: "zoe", Request: id}).Request.Seq)
	}
	shown := func(since uint64, most int) (list []uint64) {
		for _, r := range g.s.OfClient("zoe", since, most) {
			list = append(list, r.ID)
		}
		return list
	}
	want := func(since uint64, most int, want ...uint64) {
		t.Helper()
		if got := shown(since, most); !slices.Equal(got, want) {
			t.Errorf("behind %d, at most %d: %v, want %v", since, most, got, want)
		}
	}
	want(0, 100, append([]uint64{old}, ids...)...)
	want(0, 10, append([]uint64{old}, ids[40:49]...)...)
	want(ends[47], 10, old, ids[48], ids[49])
	want(ends[47]-1, 10, old, ids[47], ids[48], ids[49])
	want(ends[49], 10, old)
	want(math.MaxUint64, 10, old)
	last := g.do(Cancel{Desk: "other", Client: "zoe", Request: old}).Request.Seq
	want(ends[48], 10, old, ids[49])
	want(last, 10)
}
