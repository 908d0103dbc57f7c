package live_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
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
		time.Sleep(900*time.Millisecond - time.Nanosecond)
		dan.none()
		time.Sleep(time.Nanosecond)
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

func crowd(n int) (people []string) {
	for i := range n {
		people = append(people, fmt.Sprintf("s%05d", i))
	}
	return people
}
