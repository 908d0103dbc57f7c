package live_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/engine"
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

// TestPositions: they are told at most once a second, and the last one always.
func TestPositions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 0)
		people := crowd(20)
		w.claim("c1", people...)
		last, _ := w.settled(people[19])
		var told []push
		for i := range 19 {
			w.release("c1", people[i])
			time.Sleep(130 * time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		told = last.take()
		if len(told) < 3 || len(told) > 5 {
			t.Fatalf("%d pushes in %v", len(told), 19*130*time.Millisecond)
		}
		for i := range told[1:] {
			if gap := told[i+1].at.Sub(told[i].at); gap < time.Second {
				t.Errorf("a position %v after the one before", gap)
			}
		}
		if p := told[len(told)-1]; len(p.Claims) != 1 || p.Claims[0].Position != 1 {
			t.Errorf("the last one told is %+v", p)
		}
		w.true(last, people[19])
		w.claim("c1", "new") // behind everybody
		time.Sleep(3 * time.Second)
		last.none()
	})
}

// TestPromotionIsNotHeldUp: while positions wait for their second, and the position of another pool stays out of the push.
func TestPromotionIsNotHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 1)
		w.claim("c1", "ann", "bob", "cyd", "dan")
		w.claim("c2", "ann", "bob", "dan")
		dan, _ := w.settled("dan")
		w.release("c1", "bob") // dan is second of c1 now
		if p := dan.expect("c1=waiting"); p.Claims[0].Position != 2 {
			t.Errorf("%+v", p)
		}
		time.Sleep(100 * time.Millisecond)
		w.release("c1", "cyd")
		dan.none()
		w.release("c2", "bob", "ann")
		if p := dan.expect("c2=seated"); len(p.Claims) != 1 {
			t.Errorf("%+v", p)
		}
		time.Sleep(900*time.Millisecond - 1)
		dan.none()
		time.Sleep(1)
		if p := dan.expect("c1=waiting"); p.Claims[0].Position != 1 {
			t.Errorf("%+v", p)
		}
		w.true(dan, "dan")
	})
}

// TestUnconfirmed: nothing is told before it is durable, and then at once.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		ann, _ := w.settled("ann")
		pool := newEar(t)
		w.hub.Subscribe(term, "c1", pool)
		synctest.Wait()
		pool.take()
		w.gate.close()
		w.claim("c1", "ann")
		bob, _ := w.watch("bob", live.Cursor{}) // its state rests on ann's claim
		time.Sleep(time.Minute)
		ann.none()
		bob.none()
		pool.none()
		w.gate.open()
		ann.expect("c1=seated")
		bob.expect("")
		if p := pool.only(); p.Seated != 1 {
			t.Errorf("%+v", p)
		}
	})
}

// TestResume: everything that can happen while a watcher is away.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, away func(w *world)
		want         string
	}{
		"nothing":   {func(w *world) { w.claim("c1", "ann") }, func(w *world) {}, ""},
		"another":   {func(w *world) { w.claim("c1", "ann") }, func(w *world) { w.release("c1", "ann"); w.claim("c2", "ann") }, "c1=released c2=seated"},
		"released":  {func(w *world) { w.claim("c1", "ann") }, func(w *world) { w.release("c1", "ann") }, "c1=released"},
		"promoted":  {func(w *world) { w.claim("c1", "bob", "ann") }, func(w *world) { w.release("c1", "bob") }, "c1=seated"},
		"offered":   {func(w *world) { w.claim("offer", "bob", "ann") }, func(w *world) { w.release("offer", "bob") }, "offer=offered"},
		"in line":   {func(w *world) { w.claim("c1", "bob", "cyd", "ann") }, func(w *world) { w.release("c1", "bob") }, "c1=waiting"},
		"the same":  {func(w *world) { w.claim("c1", "bob", "ann") }, func(w *world) {}, "c1=waiting"},
		"swap lost": {swapWaits, func(w *world) { w.release("c1", "ann") }, "c1=released c2=waiting"},
		"deadline": {func(w *world) { w.claim("offer", "bob", "ann"); w.release("offer", "bob") },
			func(w *world) {
				w.pool("offer", 1, offers(time.Hour), func(c *seat.Config) { c.PromoteUntil = seat.TimeOf(time.Now().Add(time.Second)) })
			}, "offer=offered"},
		"a restart": {func(w *world) { w.claim("offer", "bob", "ann"); w.claim("c1", "ann"); w.release("offer", "bob") },
			func(w *world) { time.Sleep(59*time.Minute + 30*time.Second); w.restart() }, "offer=offered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer func() { w.stop() }()
				w.pool("c1", 1)
				w.pool("c2", 1)
				w.pool("offer", 1, offers(time.Hour))
				c.before(w)
				ann, watch := w.settled("ann")
				watch.Close()
				c.away(w)
				synctest.Wait()
				ann.none()
				w.hub.Watch(term, "ann", ann.since(memID), ann)
				if p := ann.expect(c.want); p.All {
					t.Errorf("a cursor that is good got everything: %+v", p)
				}
				w.true(ann, "ann")
			})
		})
	}
}

func swapWaits(w *world) {
	w.claim("c2", "bob")
	w.claim("c1", "ann")
	a := w.ok(seat.Basket{Person: "ann", Mode: seat.EachOrWait, Items: []seat.Item{{Pool: "c2", Swap: "c1"}}})
	if a.Items[0].Status != seat.Waiting || a.Items[0].Swap != "c1" {
		w.Fatalf("%+v", a.Items)
	}
}

// TestCursorOfNoUse: of another log, ahead of this one, none; a log that is trimmed behind a cursor does not matter.
func TestCursorOfNoUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 1)
		w.claim("c1", "ann")
		w.claim("c2", "ann")
		w.release("c2", "ann")
		synctest.Wait()
		end := w.engine.Durable().Seq
		for _, since := range []live.Cursor{{}, {"other", 3}, {"", end}, {memID, end + 1}, {memID, 1 << 63}} {
			ann, watch := w.watch("ann", since)
			if p := ann.expect("c1=seated c2=released"); !p.All || p.AsOf != end {
				t.Errorf("cursor %+v: %+v", since, p)
			}
			watch.Close()
		}
		if err := w.log.Trim(end); err != nil {
			t.Fatal(err)
		}
		ann, _ := w.watch("ann", live.Cursor{Log: memID, Seq: 5})
		if p := ann.expect("c2=released"); p.All {
			t.Errorf("%+v", p)
		}
		w.claim("c2", "ann")
		ann.expect("c2=seated")
	})
}

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

// TestLimits: a realm's limits change who may sit, a pool's promote_until the deadlines of its offers.
func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 1)
		w.pool("offer", 0, offers(time.Hour))
		w.claim("c2", "bob", "ann")
		w.claim("c1", "ann")
		w.claim("offer", "ann")
		w.pool("offer", 1, offers(time.Hour))
		ann, _ := w.settled("ann")
		one := uint32(1)
		w.ok(holdfast.PutRealm{Limits: seat.Limits{MaxSeats: &one, MaxWaits: 20}})
		ann.expect("c2=waiting")
		time.Sleep(2 * time.Second)
		w.pool("offer", 1, offers(time.Hour), func(c *seat.Config) { c.PromoteUntil = seat.TimeOf(time.Now().Add(time.Minute)) })
		ann.expect("offer=offered")
		w.true(ann, "ann")
		time.Sleep(time.Minute)
		ann.expect("offer=released")
		w.true(ann, "ann")
	})
}

// TestAgain: everything once more, also if nothing changed, and only once.
func TestAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		w.pool("c2", 0)
		w.claim("c1", "ann")
		w.claim("c2", "ann")
		w.release("c2", "ann")
		ann, watch := w.settled("ann")
		watch.Again()
		watch.Again()
		if p := ann.expect("c1=seated c2=released"); !p.All {
			t.Errorf("%+v", p)
		}
		ann.none()
		watch.Close()
		watch.Close()
		watch.Again()
		watch.Told(&seat.Standing{Pool: "c1", Seq: 99})
		w.release("c1", "ann")
		ann.none()
	})
}

// TestManyWatchers: of one person, closed in every order; what is left of them hears, and nothing is left in the end.
func TestManyWatchers(t *testing.T) {
	t.Parallel()
	for order := range 6 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			w.pool("c1", 1)
			ears, watches := make([]*ear, 3), make([]*live.Watch, 3)
			for i := range ears {
				ears[i], watches[i] = w.settled("ann")
			}
			left := []int{0, 1, 2}
			for _, pick := range []int{order % 3, order / 3, 0} {
				watches[left[pick]].Close()
				left = append(left[:pick], left[pick+1:]...)
				if w.ok(seat.Look{Pool: "c1", Person: "ann"}).Status == seat.Seated {
					w.release("c1", "ann")
				} else {
					w.claim("c1", "ann")
				}
				synctest.Wait()
				for i, s := range ears {
					want := 0
					if slices.Contains(left, i) {
						want = 1
					}
					if got := len(s.take()); got != want {
						t.Errorf("order %d: watcher %d heard %d, want %d", order, i, got, want)
					}
				}
			}
			if st := w.hub.Stats(); st.Watches != 0 || st.Due != 0 || st.Lag != 0 || w.hub.Realms() != 0 {
				t.Errorf("%+v, %d realms", st, w.hub.Realms())
			}
		})
	}
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

func crowd(n int) (people []string) {
	for i := range n {
		people = append(people, fmt.Sprintf("s%05d", i))
	}
	return people
}

// tell is what a connection does with an answer: its one standing, or the first of a basket.
func tell(watch *live.Watch, a engine.Answer) {
	st := a.Standing
	if len(a.Items) > 0 {
		st = a.Items[0].Standing
	}
	watch.Told(&st)
}
