package live_test

import (
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/live"
	"holdfast/seat"
)

// TestTold: what an answer tells is not pushed; what it does not tell is; a push that passes it has it.
func TestTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 1)
		w.claim("c2", "bob")
		phone, watch := w.settled("ann")
		laptop, _ := w.settled("ann")
		tell(watch, w.ok(seat.Claim{Pool: "c1", Person: "ann"}))
		phone.none()
		laptop.expect("c1=seated")
		tell(watch, w.ok(seat.Basket{Person: "ann", Mode: seat.EachOrWait, Items: []seat.Item{{Pool: "c2", Swap: "c1"}}}))
		phone.none()
		laptop.expect("c2=waiting")
		time.Sleep(5 * time.Second)
		phone.none()
		tell(watch, w.ok(seat.Release{Pool: "c1", Person: "ann"}))
		phone.expect("c1=released c2=waiting") // the swap is a plain wait now
		laptop.expect("c1=released c2=waiting")
		w.release("c2", "bob")
		phone.expect("c2=seated")
		tell(watch, w.ok(seat.Release{Pool: "c2", Person: "ann"}))
		phone.none()
		w.ok(seat.Claim{Pool: "c2", Person: "ann"}) // on the laptop
		phone.expect("c2=seated")
		w.true(phone, "ann")
		laptop.take()
		w.true(laptop, "ann")
		tell(watch, w.ok(seat.Claim{Pool: "c2", Person: "ann"})) // a repeat tells nothing new
		w.ok(seat.Override{Pool: "c2", Person: "ann", Action: seat.RemovePerson, Reason: "x"})
		phone.expect("c2=released")
	})
}

// TestToldSwap: the answer of a swap tells the new seat, not that the old one is gone.
func TestToldSwap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 1)
		w.claim("c1", "ann")
		ann, watch := w.settled("ann")
		tell(watch, w.ok(seat.Basket{Person: "ann", Mode: seat.EachOrWait, Items: []seat.Item{{Pool: "c2", Swap: "c1"}}}))
		ann.expect("c1=released c2=seated")
		w.true(ann, "ann")
	})
}

// TestAnswerLost: the connection breaks before the answer was read. No push's cursor may have passed it silently.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 1)
		ann, watch := w.settled("ann")
		tell(watch, w.ok(seat.Claim{Pool: "c1", Person: "ann"}))
		w.claim("c2", "ann") // elsewhere
		ann.expect("c1=seated c2=seated")
		w.true(ann, "ann")
		tell(watch, w.ok(seat.Release{Pool: "c1", Person: "ann"}))
		ann.none()
		watch.Close()
		w.hub.Watch(term, "ann", ann.since(memID), ann)
		ann.expect("c1=released")
	})
}

// TestAnswerLostBehindALook: a look in between that finds nothing to tell must not take the answer for pushed.
func TestAnswerLostBehindALook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 1)
		w.pool("line", 0)
		w.claim("line", "ann")
		ann, watch := w.settled("ann")
		tell(watch, w.ok(seat.Claim{Pool: "c1", Person: "ann"}))
		w.ok(holdfast.PutRealm{Limits: seat.Limits{MaxWaits: 3}})
		time.Sleep(5 * time.Second)
		ann.none()
		w.claim("c2", "ann")
		ann.expect("c1=seated c2=seated")
	})
}

// TestToldOutOfOrder: two answers come to the hub in the wrong order.
func TestToldOutOfOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		ann, watch := w.settled("ann")
		w.gate.close()
		first := w.ok(seat.Claim{Pool: "c1", Person: "ann"})
		tell(watch, w.ok(seat.Release{Pool: "c1", Person: "ann"}))
		tell(watch, first)
		w.gate.open()
		ann.none()
	})
}

// TestLatePosition: the line moves after an answer was decided, the round of positions has gone by before the hub hears of the
// answer. The position comes with the next round.
func TestLatePosition(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "c2"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			w.pool("c1", 0)
			w.pool("c2", 1)
			w.pool("c3", 1)
			w.claim("c1", "bob")
			ann, watch := w.settled("ann")
			time.Sleep(5 * time.Second)
			w.gate.close()
			w.claim("c3", "bob")
			synctest.Wait() // is on its way to the disk; the next three go together
			answer := w.ok(seat.Claim{Pool: "c1", Person: "ann"})
			w.release("c1", "bob")
			if more != "" {
				w.claim(more, "ann") // elsewhere
			}
			w.gate.step()
			synctest.Wait()
			w.release("c3", "bob")
			w.gate.step()
			synctest.Wait() // followed, looked at, and waits for what bob did last
			tell(watch, answer)
			w.gate.open()
			if more == "" {
				ann.none()
			} else if p := ann.only(); len(p.Claims) != 2 {
				t.Errorf("%+v", p)
			}
			ann.answered(&answer.Standing)
			time.Sleep(time.Second)
			synctest.Wait()
			w.true(ann, "ann")
		})
	}
}

// TestAnswerAheadOfALook: what is told while an older look waits for its confirmation is neither pushed with it nor after it.
func TestAnswerAheadOfALook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		then seat.Command
		want int // pushes
	}{
		{seat.Claim{Pool: "c2", Person: "ann"}, 1},
		{seat.Release{Pool: "c1", Person: "ann"}, 0}, // the look has only what is past
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			for _, pool := range []string{"c1", "c2", "c3"} {
				w.pool(pool, 1)
			}
			ann, watch := w.settled("ann")
			w.gate.close()
			w.claim("c3", "bob")
			synctest.Wait()
			w.claim("c1", "ann") // elsewhere
			w.gate.step()
			synctest.Wait()
			w.release("c3", "bob")
			w.gate.step()
			synctest.Wait() // ann's claim is followed and looked at; the look rests on what bob did last
			tell(watch, w.ok(c.then))
			w.gate.open()
			synctest.Wait()
			list := ann.take()
			if len(list) != c.want || c.want == 1 && list[0].pools() != "c1=seated" {
				t.Errorf("after %+v heard %+v", c.then, list)
			}
			time.Sleep(5 * time.Second)
			ann.none()
		})
	}
}

// TestToldBears: an answer tells the claim, but it blocks another of the person's places in line.
func TestToldBears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("a1", 1, inGroup("a"))
		w.pool("a2", 1, inGroup("a"))
		w.claim("a1", "bob", "ann")
		ann, watch := w.settled("ann")
		tell(watch, w.ok(seat.Claim{Pool: "a2", Person: "ann"}))
		if p := ann.expect("a1=waiting a2=seated"); p.Claims[0].Blocked+p.Claims[1].Blocked != "group" {
			t.Errorf("%+v", p)
		}
		w.true(ann, "ann")
	})
}

// TestManyAnswers: what is remembered of answers is bounded, and what is forgotten is pushed.
func TestManyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		for _, pool := range crowd(70) {
			w.pool(pool, 1)
		}
		ann, watch := w.settled("ann")
		for i, pool := range crowd(70) {
			tell(watch, w.ok(seat.Claim{Pool: pool, Person: "ann"}))
			synctest.Wait()
			if heard := len(ann.take()); heard > 0 != (i == 64) {
				t.Errorf("after %d answers %d pushes", i+1, heard)
			}
		}
	})
}

// tell is what a connection does with an answer: its one standing, or the first of a basket.
func tell(watch *live.Watch, a engine.Answer) {
	st := a.Standing
	if len(a.Items) > 0 {
		st = a.Items[0].Standing
	}
	watch.Told(&st)
}
