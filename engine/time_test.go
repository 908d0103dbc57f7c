package engine_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/seat"
)

func offerPool(name string, answer time.Duration) seat.PutPool {
	return seat.PutPool{Pool: name, Config: seat.Config{Capacity: 1, Promotion: seat.Offer, AnswerWithin: answer}}
}

// offered makes a pool in which b is offered the one seat, and c and d wait.
func offered(t *testing.T, e *engine.Engine, pool string, answer time.Duration) engine.Answer {
	t.Helper()
	mustDo(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
	mustDo(t, e, offerPool(pool, answer))
	for _, who := range []string{"a", "b", "c", "d"} {
		mustDo(t, e, seat.Claim{Pool: pool, Person: who})
	}
	mustDo(t, e, seat.Release{Pool: pool, Person: "a"})
	look := mustDo(t, e, seat.Look{Pool: pool, Person: "b"})
	if look.Status != seat.Offered || look.Deadline != look.Standing.At.Add(answer) {
		t.Fatalf("b is %+v", look.Standing)
	}
	return look
}

// standing looks without making anything happen.
func standing(t *testing.T, e *engine.Engine, pool, person string) (st seat.Standing) {
	t.Helper()
	if _, err := e.Read(func(s *holdfast.State) { st, _ = s.Realm(workRealm).Seats.Standing(pool, person) }); err != nil {
		t.Fatal(err)
	}
	return st
}

func expectStatus(t *testing.T, e *engine.Engine, pool, person string, want seat.Status) {
	t.Helper()
	if st := standing(t, e, pool, person); st.Status != want {
		t.Errorf("%s in %s is %v, want %v", person, pool, st.Status, want)
	}
}

func TestOffersEndByThemselves(t *testing.T) {
	t.Parallel()
	for _, answer := range []time.Duration{time.Second, time.Minute, 3 * time.Hour, 90 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			log := memlog.New()
			var looked atomic.Int64
			log.Full = func() error { looked.Add(1); return nil }
			e := mustOpen(t, log, engine.DefaultConfig())
			offered(t, e, "p", answer)
			synctest.Wait()
			looked.Store(0)
			time.Sleep(answer - time.Millisecond)
			expectStatus(t, e, "p", "b", seat.Offered)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			expectStatus(t, e, "p", "b", seat.Released)
			expectStatus(t, e, "p", "c", seat.Offered)
			if st := standing(t, e, "p", "c"); st.At != seat.TimeOf(time.Now()) {
				t.Errorf("the deadline was %v, c was offered the seat at %v", time.Now(), st.At.Std())
			}
			if woken, most := looked.Load(), int64(answer/time.Hour)+3; woken > most {
				t.Errorf("in %v the timekeeper woke %d times", answer, woken)
			}
			mustClose(t, e)
		})
	}
}

func TestEarlierAlarmWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := mustOpen(t, memlog.New(), engine.DefaultConfig())
		offered(t, e, "slow", 90*24*time.Hour)
		synctest.Wait() // the timekeeper sleeps far
		offered(t, e, "fast", time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		expectStatus(t, e, "fast", "b", seat.Released)
		expectStatus(t, e, "slow", "b", seat.Offered)
		mustDo(t, e, offerPool("slow", time.Hour)) // offers that are out keep their deadline
		time.Sleep(80 * 24 * time.Hour)
		synctest.Wait()
		expectStatus(t, e, "fast", "d", seat.Released)
		expectStatus(t, e, "slow", "b", seat.Offered)
		mustClose(t, e)
	})
}

// TestAcceptAgainstExpiry: the deadline is exclusive, whoever comes first, the timekeeper or the accept.
func TestAcceptAgainstExpiry(t *testing.T) {
	t.Parallel()
	for late := range 2 {
		synctest.Test(t, func(t *testing.T) {
			e := mustOpen(t, memlog.New(), engine.DefaultConfig())
			offer := offered(t, e, "p", time.Minute)
			time.Sleep(time.Minute - time.Microsecond + time.Duration(late)*time.Microsecond)
			a := mustDo(t, e, seat.Accept{Pool: "p", Person: "b", Offer: offer.Seq})
			if late == 0 && a.Status != seat.Seated {
				t.Errorf("an accept in the last microsecond: %+v", a.Result)
			}
			if late == 1 && (a.Refusal.Code != seat.NoOffer || a.Status != seat.Released) {
				t.Errorf("an accept at the deadline: %+v", a.Result)
			}
			mustClose(t, e)
		})
	}
}

// TestDueWaitsForTheDisk: with the timekeeper held up by a full disk, a command still runs what is due before it.
func TestDueWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New()
		var full atomic.Bool
		log.Full = func() error {
			if full.Load() {
				return errors.New("no room")
			}
			return nil
		}
		e := mustOpen(t, log, engine.DefaultConfig())
		offer := offered(t, e, "p", time.Minute)
		full.Store(true)
		time.Sleep(10 * time.Minute)
		expectStatus(t, e, "p", "b", seat.Offered)
		full.Store(false)
		a := mustDo(t, e, seat.Accept{Pool: "p", Person: "b", Offer: offer.Seq})
		if a.Refusal.Code != seat.NoOffer {
			t.Errorf("an accept nine minutes late: %+v", a.Result)
		}
		time.Sleep(10 * time.Minute)
		expectStatus(t, e, "p", "d", seat.Released)
		mustClose(t, e)
	})
}

func TestGraceAfterRestart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		down, grace, more time.Duration
		want              seat.Status
	}{
		{10 * time.Minute, time.Minute, time.Minute - time.Millisecond, seat.Offered},
		{10 * time.Minute, time.Minute, time.Minute, seat.Released},
		{time.Second, time.Second, 29*time.Second - time.Millisecond, seat.Offered}, // the old deadline is later
		{time.Second, time.Second, 29 * time.Second, seat.Released},
		{time.Hour, 0, 0, seat.Released},
	} {
		t.Run(fmt.Sprint(c.down, c.grace, c.more), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := memlog.New()
				e := mustOpen(t, log, engine.DefaultConfig())
				offered(t, e, "p", time.Minute)
				time.Sleep(30 * time.Second)
				mustClose(t, e)
				time.Sleep(c.down)
				cfg := engine.DefaultConfig()
				cfg.Grace = c.grace
				e = mustOpen(t, log.Reopen(), cfg)
				time.Sleep(c.more)
				synctest.Wait()
				expectStatus(t, e, "p", "b", c.want)
				mustClose(t, e)
			})
		})
	}
}

// TestClockSetBack: a log from three hours ahead. Time goes on from there, slower, until the wall clock has caught up.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	log := memlog.New()
	var last seat.Time
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Hour)
		e := mustOpen(t, log, engine.DefaultConfig())
		offered(t, e, "p", time.Minute)
		last = mustDo(t, e, seat.Look{Pool: "p", Person: "b"}).Stamp.At
		mustClose(t, e)
	})
	synctest.Test(t, func(t *testing.T) { // every bubble begins at the same instant: three hours back
		e := mustOpen(t, log.Reopen(), engine.DefaultConfig())
		now := mustDo(t, e, seat.Look{Pool: "p", Person: "b"}).Stamp.At
		if now < last || now > last.Add(time.Millisecond) || time.Until(now.Std()) < 2*time.Hour {
			t.Errorf("time went from %v to %v", last.Std(), now.Std())
		}
		time.Sleep(2*time.Minute + time.Millisecond)
		synctest.Wait()
		expectStatus(t, e, "p", "b", seat.Released)
		before := now
		for range 8 {
			time.Sleep(time.Hour)
			now := mustDo(t, e, seat.Claim{Pool: "p", Person: "x"}).Stamp.At
			if now <= before {
				t.Errorf("time stood at %v", now.Std())
			}
			before = now
		}
		if wall := seat.TimeOf(time.Now()); before != wall {
			t.Errorf("after eight hours the shard's time is %v, the wall clock's %v", before.Std(), wall.Std())
		}
		mustClose(t, e)
	})
}

// TestLateTimerDecidesNothing: due work is decided as of its own time, however late the engine comes to it, here held up
// by a full disk; but whoever is offered the seat then has the whole time to answer.
func TestLateTimerDecidesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New()
		var full atomic.Bool
		log.Full = func() error {
			if full.Load() {
				return errors.New("disk full")
			}
			return nil
		}
		e := mustOpen(t, log, engine.DefaultConfig())
		offered(t, e, "p", time.Second)
		pool := offerPool("p", time.Second)
		pool.Config.PromoteUntil = seat.TimeOf(time.Now().Add(time.Hour))
		mustDo(t, e, pool)
		deadline := standing(t, e, "p", "b").Deadline
		full.Store(true)
		time.Sleep(time.Until(deadline.Std()) + time.Second)
		expectStatus(t, e, "p", "b", seat.Offered)
		full.Store(false)
		opened := seat.TimeOf(time.Now())
		time.Sleep(time.Second / 2)
		b, c := standing(t, e, "p", "b"), standing(t, e, "p", "c")
		if b.Status != seat.Released || b.At != deadline {
			t.Errorf("b's offer ended at %v, it stands as %+v", deadline.Std(), b)
		}
		if c.Status != seat.Offered || c.At != deadline || c.Deadline < opened.Add(time.Second) {
			t.Errorf("c should be offered the seat as of %v, and have a second to answer from %v: %+v", deadline.Std(), opened.Std(), c)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
