package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"holdfast/engine"
	"holdfast/internal/journal"
	"holdfast/internal/memlog"
	"holdfast/internal/vfs"
)

// recovered is the hash of what a log recovers to.
func recovered(t testing.TB, log engine.Log) (hash [32]byte) {
	t.Helper()
	state, err := engine.Recover(log, engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Check(); err != nil {
		t.Error(err)
	}
	return state.Hash()
}

func TestSnapshotBesideDecisions(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	e := mustOpen(t, openJournal(t, mem, crashJournal()), crashEngine())
	var l ledger
	var wait sync.WaitGroup
	for seed := range uint64(2) {
		wait.Go(func() {
			if err := newWorkload(seed).run(e, &l, 1000); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			for range 10 {
				if err := e.Snapshot(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	l.settleAll()
	for range 2 {
		if err := errors.Join(newWorkload(9).run(e, &l, 100), e.Snapshot()); err != nil {
			t.Error(err)
		}
	}
	if e.First() == 1 {
		t.Error("no segment was let go")
	}
	live := hashOf(t, e)
	mustClose(t, e)
	log := openJournal(t, mem, crashJournal())
	defer log.Abort()
	if infos, err := log.Snapshots(); err != nil || len(infos) != 2 {
		t.Errorf("%+v %v", infos, err)
	}
	if recovered(t, log) != live {
		t.Error("J3: recovered from a snapshot, the state is not the live one")
	}
}

// TestRestartsChangeNothing: one workload, restarted at random places with and without snapshots, recovers each time to
// the state it had.
func TestRestartsChangeNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 0))
		mem := vfs.NewMem()
		work := newWorkload(seed)
		for life := range uint64(8) {
			log := openJournal(t, mem, crashJournal())
			cfg := crashEngine()
			cfg.SnapshotEvery = []uint64{0, 10, 100}[rng.IntN(3)]
			e := mustOpen(t, log, cfg)
			var l ledger
			if err := work.run(e, &l, rng.IntN(120)); err != nil {
				t.Fatal(err)
			}
			if l.settleAll(); rng.IntN(3) == 0 {
				if err := e.Snapshot(); err != nil {
					t.Fatal(err)
				}
			}
			live, end := hashOf(t, e), e.Stats().Head
			mustClose(t, e)
			log = openJournal(t, mem, crashJournal())
			if got := recovered(t, log); got != live || log.Last().Seq != end {
				t.Errorf("seed %d, life %d: recovered another state, at %d of %d", seed, life, log.Last().Seq, end)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// records counts what is logged at level Error.
type records struct {
	slog.Handler
	errors *atomic.Int32
}

func (r records) Handle(_ context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelError {
		r.errors.Add(1)
	}
	return nil
}

// forgetful is a log that keeps no snapshot.
type forgetful struct {
	engine.Log
	tried *atomic.Int32
}

func (f forgetful) PutSnapshot(engine.Position, func(io.Writer) error) error {
	f.tried.Add(1)
	return errBroken
}

func TestFailingSnapshotIsOnlyLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, failingSnapshot)
}

func failingSnapshot(t *testing.T) {
	log := forgetful{memlog.New(), new(atomic.Int32)}
	cfg := crashEngine()
	cfg.SnapshotEvery = 20
	logged := new(atomic.Int32)
	cfg.Logger = slog.New(records{slog.NewTextHandler(io.Discard, nil), logged})
	e := mustOpen(t, log, cfg)
	if err := e.Snapshot(); !errors.Is(err, errBroken) {
		t.Errorf("Snapshot: %v", err)
	}
	var l ledger
	if err := newWorkload(1).run(e, &l, 500); err != nil {
		t.Fatal(err)
	}
	if _, unknown := l.settleAll(); unknown > 0 || e.Err() != nil || e.Ready() != nil || e.First() != 1 {
		t.Errorf("%d unknown, %v, %v, the log begins at %d", unknown, e.Err(), e.Ready(), e.First())
	}
	synctest.Wait()
	head := e.Stats().Head
	mustClose(t, e)
	tries := log.tried.Load() - 1
	if logged.Load() != tries || tries < 1 || uint64(tries) > head/20 {
		t.Errorf("%d events, %d tries, %d logged", head, tries, logged.Load())
	}
}

// TestRetain: the log is kept from the lowest cursor on, and for a reader that has not spoken yet, all of it.
func TestRetain(t *testing.T) {
	t.Parallel()
	cfg := crashEngine()
	cfg.Readers = []string{"mirror"}
	e := mustOpen(t, memlog.New(), cfg)
	defer e.Close()
	var l ledger
	work := newWorkload(3)
	grow := func() uint64 {
		if err := work.run(e, &l, 50); err != nil {
			t.Fatal(err)
		}
		l.settleAll()
		if err := e.Snapshot(); err != nil {
			t.Fatal(err)
		}
		infos, err := e.Log().Snapshots()
		if err != nil || e.First() > infos[len(infos)-1].Position.Seq+1 {
			t.Fatalf("the log begins at %d, the snapshots are %+v, %v", e.First(), infos, err)
		}
		return e.Durable().Seq
	}
	first := grow()
	if grow(); e.First() != 1 {
		t.Fatalf("nobody knows the mirror's cursor, and the log begins at %d", e.First())
	}
	e.Retain("other", 3)
	e.Retain("mirror", first)
	if grow(); e.First() > 4 || e.First() == 1 {
		t.Errorf("the cursors are 3 and %d, the log begins at %d", first, e.First())
	}
	e.Retain("other", ^uint64(0))
	if grow(); e.First() > first+1 || e.First() < first/2 {
		t.Errorf("the cursor is %d, the log begins at %d", first, e.First())
	}
	s := mustSubscribe(t, e, first)
	defer s.Close()
	e.Retain("mirror", e.Durable().Seq)
	if grow(); e.First() <= first+1 {
		t.Errorf("nobody needs it, and the log begins at %d", e.First())
	}
	if _, err := e.Subscribe(first); !errors.Is(err, engine.ErrTrimmed) {
		t.Errorf("a cursor before the log: %v", err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, engine.ErrTrimmed) {
		t.Errorf("a subscription that trimming has overtaken: %v", err)
	}
}

// TestOvertakenJournal: the same on segments.
func TestOvertakenJournal(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, openJournal(t, vfs.NewMem(), crashJournal()), crashEngine())
	defer e.Close()
	s := mustSubscribe(t, e, 0)
	defer s.Close()
	var l ledger
	work := newWorkload(3)
	for e.First() < 200 {
		if err := errors.Join(work.run(e, &l, 100), e.Snapshot()); err != nil {
			t.Fatal(err)
		}
	}
	after := uint64(0)
	for {
		ev, err := s.Next(t.Context())
		if errors.Is(err, engine.ErrTrimmed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if after = checkEvents(t, ev, after); after == e.Durable().Seq {
			t.Fatal("nothing was missing")
		}
	}
}

// TestDamagedSnapshots: one that is damaged is passed over; when both are, and the log is trimmed, the engine says so.
func TestDamagedSnapshots(t *testing.T) {
	t.Parallel()
	for _, where := range []int64{30, 200} { // header, body
		mem := vfs.NewMem()
		e := mustOpen(t, openJournal(t, mem, crashJournal()), crashEngine())
		var l ledger
		work := newWorkload(9)
		for range 6 {
			if err := errors.Join(work.run(e, &l, 60), e.Snapshot()); err != nil {
				t.Fatal(err)
			}
		}
		l.settleAll()
		if e.First() == 1 {
			t.Fatal("nothing was trimmed")
		}
		live := hashOf(t, e)
		mustClose(t, e)
		names, err := mem.ReadDir(crashDir)
		if err != nil {
			t.Fatal(err)
		}
		var snaps []string
		for _, name := range names {
			if strings.HasSuffix(name, ".snap") {
				snaps = append(snaps, filepath.Join(crashDir, name))
			}
		}
		damage(t, mem, snaps[1], where)
		log := openJournal(t, mem, crashJournal())
		if recovered(t, log) != live {
			t.Error("recovered from the older snapshot, the state is another")
		}
		e = mustOpen(t, log, crashEngine())
		if err := errors.Join(work.run(e, &l, 60), e.Snapshot()); err != nil { // life goes on, and mends it
			t.Error(err)
		}
		live = hashOf(t, e)
		mustClose(t, e)
		log = openJournal(t, mem, crashJournal())
		if recovered(t, log) != live {
			t.Error("after a new snapshot the state is another")
		}
		infos, err := log.Snapshots()
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			damage(t, mem, filepath.Join(crashDir, fmt.Sprintf("%020d.snap", info.Position.Seq)), where+1)
		}
		if _, err := engine.Open(log, crashEngine()); err == nil || !strings.Contains(err.Error(), "no snapshot") {
			t.Errorf("both snapshots are damaged, the log is trimmed: %v", err)
		}
		if j, err := journal.Open(mem, crashDir, crashJournal()); err != nil {
			t.Errorf("the log was not released: %v", err)
		} else {
			j.Abort()
		}
	}
}

// misfiled is a log that gives its oldest snapshot, whichever is asked for.
type misfiled struct{ *memlog.Log }

func (m misfiled) OpenSnapshot(uint64) (io.ReadCloser, error) {
	infos, err := m.Snapshots()
	if err != nil {
		return nil, err
	}
	return m.Log.OpenSnapshot(infos[len(infos)-1].Position.Seq)
}

func TestMisfiledSnapshot(t *testing.T) {
	t.Parallel()
	log := memlog.New()
	e := mustOpen(t, log, crashEngine())
	var l ledger
	for range 3 {
		if err := errors.Join(newWorkload(2).run(e, &l, 30), e.Snapshot()); err != nil {
			t.Fatal(err)
		}
	}
	l.settleAll()
	live := hashOf(t, e)
	mustClose(t, e)
	if recovered(t, misfiled{log.Reopen()}) != live {
		t.Error("recovered another state")
	}
}

func damage(t *testing.T, mem *vfs.Mem, path string, at int64) {
	t.Helper()
	f, err := mem.OpenFile(path, vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 0x10
	_, err2 := f.WriteAt(b, at)
	if err := errors.Join(err, err2, f.Close()); err != nil {
		t.Fatal(err)
	}
}
