package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/internal/vfs"
	"holdfast/seat"
)

// TestCrowd: ten thousand at once for one pool of thirty. Thirty sit, everybody else has a place of their own in line,
// and nobody who was decided later sits before somebody who waits (S1, S3).
func TestCrowd(t *testing.T) {
	t.Parallel()
	const people, seats = 10_000, 30
	e := mustOpen(t, openJournal(t, vfs.NewMem(), crashJournal()), crashEngine())
	mustDo(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
	mustConfirm(t, mustDo(t, e, seat.PutPool{Pool: "p", Config: seat.Config{Capacity: seats}}))
	answers := make([]engine.Answer, people)
	start := make(chan struct{})
	var wait sync.WaitGroup
	for n := range people {
		wait.Go(func() {
			<-start
			for {
				a, err := e.Do(workRealm, claimant(n))
				if errors.Is(err, engine.ErrBusy) {
					runtime.Gosched()
					continue
				}
				if err = errors.Join(err, a.Wait(context.Background())); err != nil {
					t.Error(err)
				}
				answers[n] = a
				return
			}
		})
	}
	close(start)
	wait.Wait()
	seatOf, placeOf := map[uint32]bool{}, map[uint32]bool{}
	lastSeated, firstWaiting := uint64(0), ^uint64(0)
	for n, a := range answers {
		switch {
		case !a.Confirmed():
			t.Fatalf("%d is not confirmed", n)
		case a.Status == seat.Seated:
			seatOf[a.Seat] = true
			lastSeated = max(lastSeated, a.Seq)
		case a.Status == seat.Waiting:
			placeOf[a.Position] = true
			firstWaiting = min(firstWaiting, a.Seq)
		}
	}
	if len(seatOf) != seats || len(placeOf) != people-seats || seatOf[seats+1] || placeOf[people-seats+1] || lastSeated > firstWaiting {
		t.Errorf("%d seats, %d places; the last was seated by %d, the first put in line by %d", len(seatOf), len(placeOf), lastSeated, firstWaiting)
	}
	mustClose(t, e)
}

// TestEverythingAtOnce: two goroutines on every exported method.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	cfg := crashEngine()
	cfg.SnapshotEvery = 50
	var batches atomic.Int64
	cfg.OnBatch = func(b engine.BatchStats) { batches.Add(int64(b.Events)) }
	var h history
	var l ledger
	e := mustOpen(t, witness{openJournal(t, vfs.NewMem(), crashJournal()), &h}, cfg)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for _, run := range everyMethod(t, e, &l) {
		for n := range uint64(2) {
			wait.Go(func() {
				for !closed(stop) {
					if err := run(n); err != nil && !errors.Is(err, engine.ErrStopped) && !errors.Is(err, engine.ErrTrimmed) {
						t.Error(err)
						return
					}
					runtime.Gosched() // or one that waits for nothing starves those that do
				}
			})
		}
	}
	for l.size() < 300 {
		runtime.Gosched()
	}
	var closing sync.WaitGroup
	for range 2 {
		closing.Go(func() { e.Close() })
	}
	closing.Wait()
	close(stop)
	wait.Wait()
	if confirmed, unknown := l.settleAll(); unknown > 0 || confirmed < 100 {
		t.Errorf("%d confirmed, %d unknown", confirmed, unknown)
	}
	if _, err := h.hashes(&l); err != nil {
		t.Error(err)
	}
	if head := e.Durable().Seq; uint64(batches.Load()) != head-1 {
		t.Errorf("OnBatch was told of %d events of %d", batches.Load(), head-1)
	}
}

// everyMethod gives functions that use the exported methods; n tells the goroutines of one apart.
func everyMethod(t *testing.T, e *engine.Engine, l *ledger) []func(n uint64) error {
	work := []*workload{newWorkload(1), newWorkload(2)}
	return []func(n uint64) error{
		func(n uint64) error { return work[n].run(e, l, 50) },
		func(uint64) error {
			stamp, err := e.Read(func(s *holdfast.State) { s.Realm(workRealm) })
			if err != nil {
				return err
			}
			if stamp.Confirmed(); stamp.Settled() != nil {
				<-stamp.Settled()
			}
			return stamp.Wait(t.Context())
		},
		func(uint64) error { return e.Snapshot() },
		func(n uint64) error { e.Retain(fmt.Sprint("reader", n), e.Durable().Seq/2); return nil },
		func(uint64) error {
			if s := e.Stats(); s.Head < s.Durable || e.Err() != nil {
				return fmt.Errorf("%+v, %w", s, e.Err())
			}
			select {
			case <-e.Done():
				return engine.ErrStopped
			default:
				_ = e.Ready() // whatever it says: the method is only to be used
				return nil
			}
		},
		func(n uint64) error {
			after := max(e.First(), 1) - 1
			s, err := e.Subscribe(after)
			if err != nil {
				return err
			}
			defer s.Close()
			for range 10 {
				if _, ok, err := s.TryNext(); err != nil || !ok {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		},
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestManyRealms: what is due in one realm does not wait for a command in it.
func TestManyRealms(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, memlog.New(), engine.DefaultConfig())
	defer e.Close()
	for n := range 50 {
		realm := fmt.Sprint("realm", n)
		for _, body := range []holdfast.Body{
			holdfast.PutRealm{Limits: seat.DefaultLimits()}, seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1}},
			seat.Claim{Pool: "p", Person: "a"},
		} {
			a, err := e.Do(realm, body)
			if err != nil || a.Refused() {
				t.Fatal(err, a.Refusal)
			}
		}
	}
	a, err := e.Do("realm7", seat.Claim{Pool: "p", Person: "b"})
	if err != nil || a.Position != 1 || e.Stats().Realms != 50 {
		t.Errorf("%+v, %v", a.Result, err)
	}
}
