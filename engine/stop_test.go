package engine_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/seat"
)

func TestCloseConfirms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, g := gated(t, engine.DefaultConfig())
		g.shut.Store(true)
		var answers []engine.Answer
		for n := range 100 {
			answers = append(answers, mustDo(t, e, claimant(n)))
			if n == 0 {
				synctest.Wait()
			}
		}
		closed := make(chan error, 2)
		go func() { closed <- e.Close() }()
		go func() { closed <- e.Close() }()
		synctest.Wait()
		if _, err := e.Do(workRealm, claimant(1)); !errors.Is(err, engine.ErrStopped) {
			t.Errorf("Do while closing: %v", err)
		}
		select {
		case <-closed:
			t.Error("Close returned before all was durable")
		case <-e.Done():
			t.Error("Done before all was durable")
		default:
		}
		g.open()
		if err := errors.Join(<-closed, <-closed, e.Close(), e.Err()); err != nil {
			t.Error(err)
		}
		for n, a := range answers {
			if !a.Confirmed() {
				t.Errorf("answer %d is not confirmed", n)
			}
		}
		<-e.Done()
		if err := e.Ready(); !errors.Is(err, engine.ErrStopped) {
			t.Errorf("Ready: %v", err)
		}
	})
}

// TestDoBesideClose: whoever got an answer hears that it is confirmed, or, if the log fails, unknown.
func TestDoBesideClose(t *testing.T) {
	t.Parallel()
	for round := range 24 {
		log := memlog.New()
		var l ledger
		var h history
		var appends atomic.Int32
		breaks := round%3 == 0
		log.Gate = func(uint64, int) error {
			if appends.Add(1) > int32(round/3) && breaks && round > 5 {
				return errBroken
			}
			return nil
		}
		e := mustOpen(t, witness{log, &h}, engine.DefaultConfig())
		var wait sync.WaitGroup
		for n := range 8 {
			wait.Go(func() {
				work := newWorkload(uint64(n))
				if err := work.run(e, &l, 1_000_000); !errors.Is(err, engine.ErrStopped) {
					t.Error(err)
				}
			})
		}
		for e.Stats().Head < uint64(round)*5 && e.Ready() == nil {
		}
		for range 2 {
			wait.Go(func() { e.Close() })
		}
		wait.Wait()
		err := e.Close()
		confirmed, unknown := l.settleAll()
		if (err != nil) != (unknown > 0) && !breaks {
			t.Errorf("Close: %v; %d confirmed, %d unknown", err, confirmed, unknown)
		}
		hashes, err := h.hashes(&l)
		if err != nil {
			t.Fatal(err)
		}
		c := crashRun{history: history{frames: h.frames}}
		if _, err := c.matches(log.Reopen(), l.confirmed(), hashes); err != nil {
			t.Error(err)
		}
	}
}

func TestSubscriptionsEnd(t *testing.T) {
	t.Parallel()
	for _, fail := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e, g := gated(t, engine.DefaultConfig())
			one, other := mustSubscribe(t, e, 0), mustSubscribe(t, e, 0)
			g.shut.Store(true)
			last := mustDo(t, e, claimant(1)).AsOf
			seen := make(chan uint64)
			go func() {
				after := uint64(0)
				for {
					ev, err := one.Next(t.Context())
					if err != nil {
						if !errors.Is(err, engine.ErrStopped) {
							t.Error(err)
						}
						seen <- after
						return
					}
					after = ev.Seq
				}
			}()
			synctest.Wait()
			go e.Close()
			synctest.Wait()
			want := last
			if fail {
				want--
				g.let(errBroken)
			} else {
				g.let(nil)
			}
			if got := <-seen; got != want {
				t.Errorf("failed %t: a subscription ended at %d, want %d", fail, got, want)
			}
			<-e.Done()
			if got := drainSubscription(t, other, 0); got != want { // one that comes late gets everything too
				t.Errorf("failed %t: a late one ended at %d, want %d", fail, got, want)
			}
			late := mustSubscribe(t, e, want-1)
			if got := drainSubscription(t, late, want-1); got != want {
				t.Errorf("failed %t: one after the end gave up to %d, want %d", fail, got, want)
			}
			for _, s := range []*engine.Subscription{one, other, late} {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// drainSubscription reads until ErrStopped and checks that nothing is left out or given twice.
func drainSubscription(t testing.TB, s *engine.Subscription, after uint64) uint64 {
	t.Helper()
	for {
		ev, err := s.Next(context.Background())
		if errors.Is(err, engine.ErrStopped) {
			return after
		}
		if err != nil {
			t.Fatal(err)
		}
		after = checkEvents(t, ev, after)
	}
}

func checkEvents(t testing.TB, ev engine.Events, after uint64) uint64 {
	t.Helper()
	if ev.First != after+1 || ev.Seq != after+uint64(len(ev.List)) || ev.List[0].Seq != ev.First {
		t.Fatalf("after %d came %d events from %d to %d", after, len(ev.List), ev.First, ev.Seq)
	}
	for _, e := range ev.List {
		if after++; e.Seq != after {
			t.Fatalf("event %d where %d was due", e.Seq, after)
		}
	}
	return after
}

func mustSubscribe(t testing.TB, e *engine.Engine, after uint64) *engine.Subscription {
	t.Helper()
	s, err := e.Subscribe(after)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// slowKeeper is a log whose snapshots take as long as the test says.
type slowKeeper struct {
	engine.Log
	begun, let chan struct{}
}

func (l slowKeeper) PutSnapshot(at engine.Position, write func(io.Writer) error) error {
	l.begun <- struct{}{}
	<-l.let
	return l.Log.PutSnapshot(at, write)
}

// TestCloseWaitsForSnapshots: when Close has returned, nothing of this engine touches the log.
func TestCloseWaitsForSnapshots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := slowKeeper{memlog.New(), make(chan struct{}), make(chan struct{})}
		e := mustOpen(t, log, engine.DefaultConfig())
		mustConfirm(t, mustDo(t, e, holdfast.PutRealm{}))
		result := make(chan error, 1)
		go func() { result <- e.Snapshot() }()
		<-log.begun
		synctest.Wait()
		var closed atomic.Bool
		go func() {
			e.Close()
			closed.Store(true)
		}()
		synctest.Wait()
		if closed.Load() {
			t.Error("Close returned while a snapshot was being written")
		}
		if err := e.Snapshot(); !errors.Is(err, engine.ErrStopped) {
			t.Errorf("a snapshot while closing: %v", err)
		}
		log.let <- struct{}{}
		if err := <-result; !errors.Is(err, engine.ErrStopped) {
			t.Errorf("a snapshot that Close has overtaken: %v", err)
		}
		synctest.Wait()
		if !closed.Load() {
			t.Error("Close did not return")
		}
	})
}

// TestOpenFails: a log that cannot be opened is released, whatever is wrong.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	bad := engine.DefaultConfig()
	bad.FrameBytes = 1
	short := engine.DefaultConfig()
	short.PendingBytes = 1
	eternal := engine.DefaultConfig()
	eternal.Grace = -1
	for _, cfg := range []engine.Config{bad, short, eternal, engine.DefaultConfig()} {
		log := memlog.New()
		log.Gate = func(uint64, int) error { return errBroken }
		if _, err := engine.Open(log, cfg); err == nil {
			t.Error("opened")
		}
		log.Gate = nil
		if _, err := log.Append(1, 1, nil); err == nil {
			t.Error("the log is still open")
		}
	}
}

// TestMalformed: what is malformed is refused before the lock, and what is no command is no reason to panic.
func TestMalformed(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, memlog.New(), engine.DefaultConfig())
	defer e.Close()
	for name, c := range map[string]struct {
		realm string
		body  holdfast.Body
	}{
		"realm":      {"a b", holdfast.PutRealm{}},
		"no realm":   {"", holdfast.PutRealm{}},
		"person":     {"r", seat.Claim{Pool: "p"}},
		"its own":    {"r", holdfast.Start{Epoch: 99}},
		"a pointer":  {"r", &seat.Claim{Pool: "p", Person: "a"}},
		"a stranger": {"r", stranger{}},
	} {
		var invalid *seat.Invalid
		if _, err := e.Do(c.realm, c.body); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := e.Stats(); s.Head != 1 || s.PendingBytes != 0 {
		t.Errorf("something was decided: %+v", s)
	}
	if zero := (engine.Stamp{}); !zero.Confirmed() || zero.Wait(t.Context()) != nil || zero.Settled() != nil {
		t.Error("the zero Stamp is not confirmed")
	}
}

type stranger struct{}

func (stranger) Valid() error { return nil }
