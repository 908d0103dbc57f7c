package live_test

import (
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/live"
	"holdfast/seat"
)

// TestAtOnce: the first push comes always; seats, lines, promotions and releases come without waiting for anything.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		synctest.Wait()
		ann, bob := newEar(t), newEar(t)
		w.hub.Watch(term, "ann", live.Cursor{}, ann)
		w.hub.Watch(term, "bob", live.Cursor{Log: memID, Seq: 3}, bob)
		if p := ann.expect(""); !p.All {
			t.Errorf("no cursor, and not everything: %+v", p)
		}
		if p := bob.expect(""); p.All || p.AsOf != 3 {
			t.Errorf("resumed with %+v", p)
		}
		began := time.Now()
		w.claim("c1", "ann", "bob")
		ann.expect("c1=seated")
		bob.expect("c1=waiting")
		w.release("c1", "ann")
		ann.expect("c1=released")
		bob.expect("c1=seated")
		w.true(ann, "ann")
		w.true(bob, "bob")
		if time.Since(began) != 0 {
			t.Errorf("it took %v", time.Since(began))
		}
		w.ok(seat.Look{Pool: "c1", Person: "ann"})
		ann.none()
	})
}
