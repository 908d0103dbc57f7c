package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/internal/vfs"
)

// TestSubscribeWhileAppending: every event once, in order, from any cursor, to many readers beside the writers.
func TestSubscribeWhileAppending(t *testing.T) {
	t.Parallel()
	var l ledger
	e := mustOpen(t, openJournal(t, vfs.NewMem(), crashJournal()), crashEngine())
	slow := mustSubscribe(t, e, 0) // never read until the end: it costs nobody anything
	var writers, readers sync.WaitGroup
	for seed := range uint64(2) {
		writers.Go(func() {
			if err := newWorkload(seed).run(e, &l, 1500); err != nil {
				t.Error(err)
			}
		})
	}
	for n := range uint64(4) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(n, 0))
			after := uint64(0)
			for {
				s := mustSubscribe(t, e, after) // at a place that it was given, or in the middle of a frame
				stop := after + rng.Uint64N(200)
				for after < stop {
					ev, err := s.Next(t.Context())
					if errors.Is(err, engine.ErrStopped) {
						if end := e.Durable().Seq; after != end {
							t.Errorf("the end is %d, a reader had %d", end, after)
						}
						s.Close()
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					after = checkEvents(t, ev, after)
				}
				s.Close()
				after -= min(after, rng.Uint64N(20))
			}
		})
	}
	writers.Wait()
	mustClose(t, e)
	readers.Wait()
	if got := drainSubscription(t, slow, 0); got != e.Durable().Seq || got < 300 {
		t.Errorf("the slow one ended at %d of %d", got, e.Durable().Seq)
	}
	if err := slow.Close(); err != nil {
		t.Error(err)
	}
}

func TestSubscribeCursors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, _ := gated(t, engine.DefaultConfig())
		for n := range 20 {
			mustDo(t, e, claimant(n))
		}
		synctest.Wait()
		end := e.Durable().Seq
		for after := range end + 1 {
			s := mustSubscribe(t, e, after)
			for got := after; got < end; {
				ev, ok, err := s.TryNext()
				if !ok || err != nil {
					t.Fatalf("after %d: %t %v", got, ok, err)
				}
				got = checkEvents(t, ev, got)
			}
			if _, ok, err := s.TryNext(); ok || err != nil {
				t.Errorf("behind the end: %t, %v", ok, err)
			}
			s.Close()
		}
		if _, err := e.Subscribe(end + 1); err == nil || errors.Is(err, engine.ErrTrimmed) {
			t.Errorf("a cursor beyond the end: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s := mustSubscribe(t, e, end)
		waiting := make(chan error)
		go func() {
			_, err := s.Next(ctx)
			waiting <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled Next: %v", err)
		}
		mustDo(t, e, claimant(99))
		if ev, err := s.Next(t.Context()); err != nil || checkEvents(t, ev, end) != end+1 { // nothing was lost by it
			t.Errorf("after a cancelled Next: %v", err)
		}
		s.Close()
		mustClose(t, e)
	})
}

// late is a log that is read faster than it says that an append is durable.
type late struct {
	engine.Log
	let chan struct{}
}

func (l late) Append(first uint64, count int, payload []byte) (engine.Position, error) {
	at, err := l.Log.Append(first, count, payload)
	<-l.let
	return at, err
}

// TestSubscribeAgain: what a subscription has given is a cursor, also before the committer has told of it.
func TestSubscribeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := late{memlog.New(), make(chan struct{}, 1)}
		log.let <- struct{}{}
		e := mustOpen(t, log, engine.DefaultConfig())
		s := mustSubscribe(t, e, 0)
		a := mustDo(t, e, holdfast.PutRealm{})
		synctest.Wait()
		after := uint64(0)
		for after < a.AsOf {
			ev, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			after = ev.Seq
		}
		if a.Confirmed() {
			t.Error("confirmed before Append returned")
		}
		again, err := e.Subscribe(after)
		if err != nil {
			t.Fatalf("a cursor that was given is refused: %v", err)
		}
		log.let <- struct{}{}
		again.Close()
		s.Close()
		mustClose(t, e)
	})
}
