package live_test

import (
	"testing"
	"time"

	"holdfast/internal/live"
	"holdfast/seat"
)

// BenchmarkDraw: 5,000 are entered and follow; from the opening until the seats are drawn, and until everybody knows. One who reads the
// state meanwhile notices the longest hold of the lock.
func BenchmarkDraw(b *testing.B) {
	const n = 5000
	var known, drawn, held time.Duration
	for range b.N {
		w := newWorld(b)
		people := crowd(n)
		at := time.Now().Add(1500 * time.Millisecond)
		w.pool("c1", 30, lottery, func(c *seat.Config) { c.OpensAt = seat.TimeOf(at) })
		sink := newCount()
		w.claim("c1", people...)
		sink.expect(n, func() {
			for _, who := range people {
				w.hub.Watch(term, who, live.Cursor{Log: memID, Seq: w.engine.Durable().Seq}, sink)
			}
		})
		stop, stopped := make(chan struct{}), make(chan time.Duration)
		go func() {
			var worst time.Duration
			for {
				select {
				case <-stop:
					stopped <- worst
					return
				default:
				}
				began := time.Now()
				w.engine.Do(term, seat.Look{Pool: "c1", Person: "x"})
				worst = max(worst, time.Since(began))
				time.Sleep(50 * time.Microsecond)
			}
		}()
		sink.expect(n, func() {
			time.Sleep(time.Until(at))
			for w.truth(people[n-1])["c1"].Status == "entered" {
				time.Sleep(100 * time.Microsecond)
			}
			drawn += time.Since(at)
		})
		known += time.Since(at)
		close(stop)
		held = max(held, <-stopped)
		w.stop()
	}
	b.ReportMetric(float64(drawn.Microseconds())/1e3/float64(b.N), "drawn-ms")
	b.ReportMetric(float64(known.Microseconds())/1e3/float64(b.N), "known-ms")
	b.ReportMetric(float64(held.Microseconds())/1e3, "held-ms")
	b.ReportMetric(0, "ns/op")
}
