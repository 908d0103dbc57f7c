package desk

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// snapshots gives states of some length as their snapshots.
func snapshots(t *testing.T, most uint64) [][]byte {
	t.Helper()
	var all [][]byte
	for seed := range most {
		w := &walk{stage: newStage(t), r: rand.New(rand.NewPCG(seed, 7))}
		w.do(PutDesk{"acme", w.config()})
		w.do(PutDesk{"bolt", w.config()})
		for range 200 {
			w.step()
		}
		all = append(all, snapshotOf(t, w.s))
	}
	return all
}

// tryRead reads what may be damaged: an error, or a state that is written as it was read.
func tryRead(t *testing.T, b []byte) bool {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(b))
	s, err := ReadSnapshot(in)
	if err != nil {
		return false
	}
	again := snapshotOf(t, s)
	if !bytes.Equal(again, b[:len(b)-in.Buffered()]) {
		t.Fatal("a snapshot is written otherwise than it was read")
	}
	turn := Turn{Now: 1 << 55, Clock: 1 << 55, Seq: s.seq} // whatever was read can go on
	s.Due(&turn)
	return true
}

// TestSnapshotDamaged: every byte that is changed or missing is an error or another state, never a panic.
func TestSnapshotDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	taken, refused := 0, 0
	for _, whole := range snapshots(t, 8) {
		if !tryRead(t, whole) {
			t.Fatal("a whole snapshot is not read")
		}
		for range 3_000 {
			b := bytes.Clone(whole)
			switch at := r.IntN(len(b)); r.IntN(4) {
			case 0:
				b = b[:at]
			case 1:
				b[at] ^= 1 << r.IntN(8)
			case 2:
				b[at] = byte(r.IntN(4))
			default:
				b[at]++
			}
			if tryRead(t, b) {
				taken++
			} else {
				refused++
			}
		}
	}
	if taken < 1_000 || refused < 1_000 {
		t.Fatalf("%d taken, %d refused: too few of one to tell", taken, refused)
	}
}

func FuzzReadSnapshot(f *testing.F) {
	f.Add([]byte{0, 0})
	g := &stage{t: &testing.T{}, s: NewState(), now: 1_000_000}
	g.do(PutDesk{"acme", DefaultConfig()})
	g.do(PutAgent{"acme", "eve", Profile{Reach: Push}})
	g.do(Online{"acme", "eve", 0})
	g.do(Request{"acme", "zoe", 1, Ask{Data: "hello", Key: "k"}})
	var out bytes.Buffer
	if err := g.s.WriteSnapshot(&out); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) { tryRead(t, b) })
}

// TestSnapshotOfLargeRequest: a request with all it may have fits a record.
func TestSnapshotOfLargeRequest(t *testing.T) {
	g := newStage(t)
	c := DefaultConfig()
	c.MaxAttempts, c.RejectPause, c.MaxWait, c.Policy, c.QueueLimit = MaxAttempts, 0, 24*time.Hour, Queue, 1
	g.do(PutDesk{"acme", c})
	long := string(bytes.Repeat([]byte("x"), MaxID-3))
	reason := string(bytes.Repeat([]byte("y"), MaxReason))
	ask := Ask{Data: string(bytes.Repeat([]byte("z"), MaxData)), Reach: Push}
	id := g.do(Request{"acme", long, 0, ask}).Request.ID
	for i := range MaxAttempts {
		name := long + string([]byte{'0' + byte(i/10), '0' + byte(i%10)})
		g.do(PutAgent{"acme", name, Profile{Reach: Push}})
		res := g.do(Online{"acme", name, 0})
		session := g.do(AcceptOffer{"acme", name, 0, res.Agent.Offer.ID}).Session
		g.do(RemoveAgent{"acme", name, Staff{reason, reason}})
		if session == nil {
			t.Fatal("no session")
		}
	}
	if r, _ := g.s.Request("acme", id); r.State != Expired || r.Attempts != MaxAttempts {
		t.Fatalf("%+v", r)
	}
	if !tryRead(t, snapshotOf(t, g.s)) {
		t.Fatal("not read")
	}
}
