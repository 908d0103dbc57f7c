package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/journal"
	"holdfast/internal/memlog"
	"holdfast/internal/vfs"
	"holdfast/seat"
)

var errBroken = errors.New("the disk is gone")

// expectEnded checks an engine whose log failed.
func expectEnded(e *engine.Engine, cause error) error {
	<-e.Done()
	if err := e.Err(); !errors.Is(err, cause) {
		return fmt.Errorf("Err: %w", err)
	}
	if _, err := e.Do(workRealm, seat.Claim{Pool: "p0", Person: "late"}); !errors.Is(err, engine.ErrStopped) && !errors.Is(err, engine.ErrBusy) {
		return fmt.Errorf("Do after the end: %w", err)
	}
	if _, err := e.Read(func(*holdfast.State) {}); !errors.Is(err, engine.ErrStopped) {
		return fmt.Errorf("Read after the end: %w", err)
	}
	if err := e.Snapshot(); !errors.Is(err, engine.ErrStopped) {
		return fmt.Errorf("Snapshot after the end: %w", err)
	}
	if e.Ready() == nil {
		return errors.New("an engine that has ended is ready")
	}
	if err := e.Close(); !errors.Is(err, cause) {
		return fmt.Errorf("Close after the end: %w", err)
	}
	return nil
}

// TestEveryAppendFails lets the n-th append fail, for every n, without effect and with it.
func TestEveryAppendFails(t *testing.T) {
	t.Parallel()
	for _, tookEffect := range []bool{false, true} {
		t.Run(fmt.Sprintf("took effect %t", tookEffect), func(t *testing.T) {
			t.Parallel()
			unknown, runs := 0, 0
			for n := 2; ; n++ { // the first append marks the start
				fired, lost := failAppend(t, n, tookEffect)
				if !fired {
					break
				}
				unknown += lost
				runs++
			}
			if t.Logf("%d runs, %d unknown answers", runs, unknown); runs < 10 || unknown < 20 {
				t.Error("too little failed to mean anything")
			}
		})
	}
}

// failAppend is one run; several clients are at work.
func failAppend(t *testing.T, n int, tookEffect bool) (fired bool, unknown int) {
	t.Helper()
	var l ledger
	var h history
	log, count := memlog.New(), 0
	fail := func(uint64, int) error {
		if count++; count == n {
			fired = true
			return errBroken
		}
		return nil
	}
	if log.Gate = fail; tookEffect {
		log.Gate, log.Late = nil, fail
	}
	e, err := engine.Open(witness{log, &h}, crashEngine())
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for seed := range uint64(3) {
		wait.Go(func() {
			if err := newWorkload(seed).run(e, &l, 30); err != nil && !errors.Is(err, engine.ErrStopped) {
				t.Errorf("append %d fails: %v", n, err)
			}
		})
	}
	wait.Wait()
	if err := e.Close(); fired == (err == nil) {
		t.Errorf("append %d fails (%t): Close: %v", n, fired, err)
	}
	_, unknown = l.settleAll()
	if !fired {
		if unknown > 0 {
			t.Errorf("%d answers are unknown and nothing failed", unknown)
		}
		return false, 0
	}
	if err := expectEnded(e, errBroken); err != nil {
		t.Errorf("append %d fails: %v", n, err)
	}
	hashes, err := h.hashes(&l)
	if err != nil {
		t.Errorf("append %d fails: %v", n, err)
		return true, unknown
	}
	again := log.Reopen()
	c := crashRun{history: history{frames: h.frames}}
	if _, err := c.matches(again, l.confirmed(), hashes); err != nil {
		t.Errorf("append %d fails: %v", n, err)
	}
	return true, unknown
}

// TestEveryDiskOperationFails runs the whole engine over a disk whose operation n fails, once or for good, before or
// after it took effect, for every n until none is left.
func TestEveryDiskOperationFails(t *testing.T) {
	t.Parallel()
	for _, forever := range []bool{false, true} {
		for _, tookEffect := range []bool{false, true} {
			t.Run(fmt.Sprintf("forever %t, took effect %t", forever, tookEffect), func(t *testing.T) {
				t.Parallel()
				ended, compared, n := 0, 0, int64(1)
				for ; ; n++ {
					plan := vfs.Plan{At: n, Forever: forever, TookEffect: tookEffect}
					fired, failed, c := failDisk(t, plan)
					if !fired {
						break
					}
					if failed {
						ended++
					}
					compared += c
				}
				if t.Logf("%d operations, %d ended the engine, %d comparisons", n, ended, compared); n < 60 || ended < 20 || compared < 2000 {
					t.Error("too little failed to mean anything")
				}
			})
		}
	}
}

func failDisk(t *testing.T, plan vfs.Plan) (fired, failed bool, compared int) {
	t.Helper()
	mem := vfs.NewMem()
	disk := vfs.NewFault(mem, nil)
	disk.Set(plan)
	var c crashRun
	err := liveOn(disk, &c)
	fired = disk.Fired() > 0
	if err != nil && !fired {
		t.Fatal(err)
	}
	confirmed, _ := c.ledger.settleAll()
	disk.Set(vfs.Plan{})
	hashes, err2 := c.history.hashes(&c.ledger)
	if err2 != nil {
		t.Errorf("%+v: %v", plan, err2)
		return fired, true, 0
	}
	rng := rand.New(rand.NewPCG(uint64(plan.At), 3))
	for _, mode := range vfs.CrashModes() {
		im := image{mem.CrashClone(rng, mode), c.ledger.confirmed(), mode.String()}
		n, err := c.reopen(im, hashes)
		if err != nil {
			t.Errorf("%+v, then %s: %v", plan, mode, err)
		}
		compared += n
	}
	return fired, confirmed < len(c.ledger.list) || err != nil, compared
}

// liveOn opens an engine and works with it; the first error ends it.
func liveOn(disk vfs.FS, c *crashRun) error {
	j, err := journal.Open(disk, crashDir, crashJournal())
	if err != nil {
		return err
	}
	e, err := engine.Open(witness{engine.JournalLog(j), &c.history}, crashEngine())
	if err != nil {
		return err
	}
	work := newWorkload(5)
	for range 2 {
		if err := work.run(e, &c.ledger, 20); err != nil {
			return errors.Join(err, e.Close())
		}
		// A snapshot that fails costs nothing but a longer log.
		if err := e.Snapshot(); err != nil {
			err = work.run(e, &c.ledger, 5)
			return errors.Join(err, e.Close())
		}
	}
	return e.Close()
}

// TestWaitAfterFailure: an answer that was durable before the failure stays confirmed, and a waiter whose context has
// ended may ask again.
func TestWaitAfterFailure(t *testing.T) {
	t.Parallel()
	log := memlog.New()
	broken, release := make(chan struct{}), make(chan struct{})
	log.Gate = func(first uint64, _ int) error {
		if first < 4 {
			return nil
		}
		close(broken)
		<-release
		return errBroken
	}
	e := mustOpen(t, log, engine.DefaultConfig())
	one := mustDo(t, e, holdfast.PutRealm{})
	mustConfirm(t, one)
	mustConfirm(t, mustDo(t, e, seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1}}))
	two := mustDo(t, e, seat.Claim{Pool: "p", Person: "a"})
	<-broken
	three := mustDo(t, e, seat.Look{Pool: "p", Person: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, a := range []engine.Answer{two, three} {
		if err := a.Wait(ctx); !errors.Is(err, context.Canceled) || a.Confirmed() {
			t.Errorf("before the end: %v, confirmed %t", err, a.Confirmed())
		}
	}
	close(release)
	for _, a := range []engine.Answer{two, three} {
		if err := a.Wait(t.Context()); !errors.Is(err, engine.ErrUnknown) || a.Confirmed() {
			t.Errorf("after the failure: %v, confirmed %t", err, a.Confirmed())
		}
	}
	if err := one.Wait(ctx); err != nil || !one.Confirmed() {
		t.Errorf("confirmed before the failure, now: %v", err)
	}
	if err := expectEnded(e, errBroken); err != nil {
		t.Error(err)
	}
}

// TestPanicEndsTheEngine: a decision that panics leaves a state that nobody may decide on.
func TestPanicEndsTheEngine(t *testing.T) {
	t.Parallel()
	for name, provoke := range map[string]func(*engine.Engine){
		"half of a turn recorded": func(e *engine.Engine) { e.PanicInTurn() },
		"Do": func(e *engine.Engine) {
			e.Break()
			e.Do("other", holdfast.PutRealm{})
		},
	} {
		log := memlog.New()
		e := mustOpen(t, log, engine.DefaultConfig())
		mustConfirm(t, mustDo(t, e, holdfast.PutRealm{}))
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			provoke(e)
		}()
		if _, err := e.Do(workRealm, holdfast.PutRealm{}); !errors.Is(err, engine.ErrStopped) {
			t.Errorf("%s: Do after a panic: %v", name, err)
		}
		if err := e.Close(); err == nil {
			t.Errorf("%s: Close after a panic gave nil", name)
		}
		if end := log.Last().Seq; end != 2 {
			t.Errorf("%s: a part of a turn reached the log: it ends at %d", name, end)
		}
	}
}

func mustOpen(t testing.TB, log engine.Log, cfg engine.Config) *engine.Engine {
	t.Helper()
	e, err := engine.Open(log, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustDo(t testing.TB, e *engine.Engine, body holdfast.Body) engine.Answer {
	t.Helper()
	a, err := e.Do(workRealm, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustConfirm(t testing.TB, a engine.Answer) {
	t.Helper()
	if err := a.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, e *engine.Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
