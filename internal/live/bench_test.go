package live_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/internal/live"
	"holdfast/seat"
)

// count is a Sink that counts, and says when it has counted enough.
type count struct {
	n, enough atomic.Int64
	full      chan struct{}
}

func newCount() *count { return &count{full: make(chan struct{}, 1)} }

func (c *count) Push(string, uint64, []byte) {
	if c.n.Add(1) == c.enough.Load() {
		c.full <- struct{}{}
	}
}

// expect waits until n more pushes have come since the last expect; act makes them come.
func (c *count) expect(n int, act func()) {
	c.enough.Store(c.n.Load() + int64(n))
	act()
	<-c.full
}

// BenchmarkFanOut: a pool's change to 10,000 subscribers, from the claim to the last push.
func BenchmarkFanOut(b *testing.B) {
	w := newWorld(b, func(c *live.Config) { c.Counts = 10 * time.Millisecond })
	defer w.stop()
	w.pool("c1", 0)
	const crowd = 10_000
	sink := newCount()
	sink.expect(crowd, func() {
		for range crowd {
			w.hub.Subscribe(term, "c1", sink)
		}
	})
	n := 0
	for b.Loop() {
		b.StopTimer()
		time.Sleep(10 * time.Millisecond) // the least time between two
		b.StartTimer()
		sink.expect(crowd, func() { w.claim("c1", fmt.Sprintf("s%d", n)) })
		n++
	}
}

const rush = 40_000

// rushed is a world in which 40,000 have a seat and four places in line each.
func rushed(b *testing.B) (*world, []string) {
	w := newWorld(b)
	people := crowd(rush)
	w.pool("seat", rush)
	for p := range 4 {
		w.pool(fmt.Sprint("line", p), 0)
	}
	for _, who := range people {
		w.claim("seat", who)
		for p := range 4 {
			w.claim(fmt.Sprint("line", p), who)
		}
	}
	if err := w.ok(seat.Look{Pool: "seat", Person: people[0]}).Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	for w.hub.Stats().Lag > 0 {
		time.Sleep(time.Millisecond)
	}
	return w, people
}

// BenchmarkStorm: 40,000 come back at once, each with a cursor; until everybody has had the first push.
func BenchmarkStorm(b *testing.B) {
	w, people := rushed(b)
	defer w.stop()
	watches := make([]*live.Watch, rush)
	since := live.Cursor{Log: memID, Seq: w.engine.Durable().Seq}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		sink := newCount()
		sink.expect(rush, func() {
			for i, who := range people {
				watches[i] = w.hub.Watch(term, who, since, sink)
			}
		})
		b.StopTimer()
		if after.HeapAlloc == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/rush, "B/watch")
		}
		for _, watch := range watches {
			watch.Close()
		}
		b.StartTimer()
	}
}

// BenchmarkPositions: one leaves the head of a line in which 40,000 watch; until everybody knows.
func BenchmarkPositions(b *testing.B) {
	w, people := rushed(b)
	defer w.stop()
	sink := newCount()
	sink.expect(rush, func() {
		for _, who := range people {
			w.hub.Watch(term, who, live.Cursor{}, sink)
		}
	})
	n := 0
	for b.Loop() {
		b.StopTimer()
		time.Sleep(3 * time.Second) // the round before has rested
		b.StartTimer()
		sink.expect(rush-n, func() { w.release("line0", people[n]) })
		n++
	}
}

// BenchmarkFollow: a command a piece, by 40,000 who watch and are told by the answer; until all are followed. The
// comparison is the same without a hub.
func BenchmarkFollow(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprint("watched=", watched), func(b *testing.B) {
			w := newWorld(b)
			defer w.stop()
			people := crowd(rush)
			w.pool("c1", 0)
			watches := make([]*live.Watch, rush)
			sink := newCount()
			if watched {
				sink.expect(rush, func() {
					for i, who := range people {
						watches[i] = w.hub.Watch(term, who, live.Cursor{}, sink)
					}
				})
			} else {
				w.hub.Close()
			}
			n := 0
			for b.Loop() {
				if n%rush == 0 {
					b.StopTimer()
					w.pool(fmt.Sprint("c", n), 1)
					b.StartTimer()
				}
				var body holdfast.Body = seat.Claim{Pool: fmt.Sprint("c", n/rush*rush), Person: people[n%rush]}
				a := w.ok(body)
				if watched {
					watches[n%rush].Told(&a.Standing)
				}
				n++
			}
			if !watched {
				return
			}
			for w.hub.Stats().Lag > 0 {
				runtime.Gosched()
			}
			b.ReportMetric(float64(sink.n.Load()-rush)/float64(n), "pushes/op")
		})
	}
}
