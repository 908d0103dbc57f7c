package live_test

import (
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/live"
	"holdfast/seat"
)

func (w *world) subscribe(pool string) (*ear, *live.Subscription) {
	w.Helper()
	s := newEar(w)
	sub, ok := w.hub.Subscribe(term, pool, s)
	if !ok {
		w.Fatalf("no pool %s", pool)
	}
	return s, sub
}

func opens(in time.Duration) func(*seat.Config) {
	return func(c *seat.Config) { c.OpensAt = seat.TimeOf(time.Now().Add(in)) }
}

func closes(in time.Duration) func(*seat.Config) {
	return func(c *seat.Config) { c.ClosesAt = seat.TimeOf(time.Now().Add(in)) }
}

// TestCounts: once at the start, then at most four times a second, the last state always, the same never twice.
func TestCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 2)
		if _, ok := w.hub.Subscribe(term, "c9", newEar(t)); ok {
			t.Error("a pool that is not there")
		}
		if _, ok := w.hub.Subscribe("autumn", "c1", newEar(t)); ok {
			t.Error("a realm that is not there")
		}
		first, _ := w.subscribe("c1")
		if p := first.only(); p.Push != live.Pool || p.Pool != "c1" || p.Capacity != 2 || p.Free != 2 || !p.Open || p.AsOf != 3 {
			t.Errorf("at the start %+v", p)
		}
		time.Sleep(time.Second)
		for _, who := range crowd(100) {
			w.claim("c1", who)
			time.Sleep(20 * time.Millisecond)
		}
		second, sub := w.subscribe("c1")
		time.Sleep(time.Second)
		synctest.Wait()
		told := first.take()
		if len(told) < 8 || len(told) > 10 {
			t.Errorf("%d pushes in two seconds", len(told))
		}
		for i := range told[1:] {
			if gap := told[i+1].at.Sub(told[i].at); gap < 250*time.Millisecond {
				t.Errorf("counts %v after the ones before", gap)
			}
		}
		if p := told[len(told)-1]; p.Seated != 2 || p.Waiting != 98 || p.Free != 0 {
			t.Errorf("the last ones are %+v", p)
		}
		if list := second.take(); len(list) == 0 || list[len(list)-1].Waiting != 98 {
			t.Errorf("the second subscriber heard %+v", list)
		}
		sub.Close()
		sub.Close()
		w.release("c1", crowd(1)...)
		if p := first.only(); p.Seated != 2 || p.Waiting != 97 {
			t.Errorf("%+v", p)
		}
		second.none()
		w.ok(seat.Override{Pool: "c1", Person: "s00050", Action: seat.RemovePerson, Reason: "x"})
		w.claim("c1", "again") // the counts are what they were
		time.Sleep(time.Second)
		first.none()
		w.pool("c1", 0)
		if p := first.only(); p.Over != 2 || p.Capacity != 0 {
			t.Errorf("%+v", p)
		}
	})
}

// TestLateSubscriber: who comes within a quarter of a second of other counts that change back is told of that too.
func TestLateSubscriber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 2)
		first, _ := w.subscribe("c1")
		first.only()
		w.claim("c1", "ann")
		first.none()
		second, _ := w.subscribe("c1")
		if p := second.only(); p.Seated != 1 {
			t.Errorf("%+v", p)
		}
		w.release("c1", "ann")
		time.Sleep(time.Second)
		if p := second.only(); p.Seated != 0 {
			t.Errorf("%+v", p)
		}
	})
}

// TestOpening: at the start, every 30 s, at the instant; not for a pool that is open; with the counts; then it closes.
func TestOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 2, opens(70*time.Second+300*time.Microsecond), closes(2*time.Minute))
		began := time.Now()
		s, _ := w.subscribe("c1")
		at := func(want time.Duration, kinds string, open bool) {
			t.Helper()
			time.Sleep(time.Until(began.Add(want)) - time.Nanosecond)
			s.none()
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			list, got := s.take(), ""
			for _, p := range list {
				got += p.Push + " "
				if p.Open != open {
					t.Errorf("after %v: %+v", want, p)
				}
				left := max(0, (70*time.Second + 300*time.Microsecond - want + time.Millisecond - 1).Milliseconds())
				if p.Push == live.Opening && (p.Time != seat.TimeOf(time.Now()) || p.MS != int(left) || p.OpensAt != seat.TimeOf(began.Add(70*time.Second+300*time.Microsecond))) {
					t.Errorf("after %v: %+v", want, p)
				}
			}
			if got != kinds {
				t.Errorf("after %v heard %q, want %q", want, got, kinds)
			}
		}
		synctest.Wait()
		if list := s.take(); len(list) != 2 || list[0].Open || list[1].Open || list[1].MS != 70001 {
			t.Errorf("at the start %+v", list)
		}
		at(30*time.Second, "opening ", false)
		at(60*time.Second, "opening ", false)
		at(70*time.Second+300*time.Microsecond, "pool opening ", true)
		late, _ := w.subscribe("c1")
		if p := late.only(); p.Push != live.Pool || !p.Open {
			t.Errorf("%+v", p)
		}
		at(2*time.Minute, "pool ", false)
		time.Sleep(24 * time.Hour)
		s.none()
	})
}

// TestOpeningMoves: a PUT moves the opening, into the past, away, and back into the future.
func TestOpeningMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 2, opens(time.Hour))
		s, _ := w.subscribe("c1")
		hear := func(open bool, ms int) {
			t.Helper()
			synctest.Wait()
			openings := 0
			for _, p := range s.take() {
				if p.Push == live.Opening {
					openings++
				}
				if p.Open != open || p.MS != ms && p.Push == live.Opening {
					t.Errorf("%+v", p)
				}
			}
			if openings != 1 {
				t.Errorf("%d openings", openings)
			}
		}
		hear(false, 3_600_000)
		w.pool("c1", 2, opens(10*time.Second))
		hear(false, 10_000)
		time.Sleep(5 * time.Second)
		w.pool("c1", 2, opens(10*time.Second))
		hear(false, 10_000)
		time.Sleep(5 * time.Second)
		s.none()
		time.Sleep(5 * time.Second)
		hear(true, 0)
		w.pool("c1", 2, opens(10*time.Second))
		hear(false, 10_000)
		w.pool("c1", 2)
		hear(true, 0)
		time.Sleep(time.Hour)
		s.none()
		const far = 7000 * 365 * 24 * 3600 // seconds: longer than a time.Duration
		w.pool("c1", 2, func(c *seat.Config) { c.OpensAt = seat.TimeOf(time.Now()) + far*1_000_000 })
		hear(false, far*1000)
		w.pool("c1", 2, func(c *seat.Config) { c.ClosesAt = seat.TimeOf(time.Now()) + far*1_000_000 })
		hear(true, 0)
		time.Sleep(24 * time.Hour)
		s.none()
	})
}

// TestOpeningByTheShardsClock: the wall clock was set back behind the log, so the shard's time goes at half speed.
func TestOpeningByTheShardsClock(t *testing.T) {
	t.Parallel()
	var w *world
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Hour)
		w = newWorld(t)
		w.pool("c1", 2, opens(time.Minute))
		w.stop()
	})
	synctest.Test(t, func(t *testing.T) {
		w.tb = t
		w.log.Reopen()
		w.start()
		defer w.stop()
		s, _ := w.subscribe("c1")
		synctest.Wait()
		s.take()
		time.Sleep(time.Minute + 59*time.Second)
		synctest.Wait()
		for _, p := range s.take() {
			if p.Open {
				t.Errorf("told open too early: %+v", p)
			}
		}
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		list := s.take()
		if len(list) != 2 || !list[1].Open || list[1].Time < list[1].OpensAt {
			t.Errorf("%+v", list)
		}
		w.claim("c1", "ann")
	})
}

// TestTopicsGo: with the last subscriber a pool is let go, and begins anew with the next.
func TestTopicsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 2, opens(time.Hour))
		for range 3 {
			a, first := w.subscribe("c1")
			b, second := w.subscribe("c1")
			c, third := w.subscribe("c1")
			synctest.Wait()
			for _, s := range []*ear{a, b, c} {
				if list := s.take(); len(list) != 2 {
					t.Errorf("at the start %+v", list)
				}
			}
			first.Close()
			time.Sleep(30 * time.Second)
			a.none()
			b.only()
			third.Close()
			time.Sleep(30 * time.Second)
			c.take()
			b.only()
			if st := w.hub.Stats(); st.Subscriptions != 1 {
				t.Errorf("%+v", st)
			}
			second.Close()
			time.Sleep(30 * time.Second)
			b.none()
			if st := w.hub.Stats(); st.Subscriptions != 0 || st.Due != 0 {
				t.Errorf("%+v", st)
			}
		}
	})
}
