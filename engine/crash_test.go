package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/journal"
	"holdfast/internal/vfs"
)

const crashDir = "log"

// crashJournal is small enough that a short workload goes through several segments, snapshots and trims.
func crashJournal() journal.Config {
	c := smallSegments()
	c.SegmentBytes, c.MaxFrameBytes, c.PendingBytes, c.BlockBytes = 64<<10, 8<<10, 16<<10, 2048
	return c
}

func crashEngine() engine.Config {
	c := engine.DefaultConfig()
	c.FrameBytes, c.PendingBytes, c.SnapshotEvery = 4<<10, 1<<20, 0
	return c
}

// image is a disk as a crash may have left it, and what had been confirmed to somebody before.
type image struct {
	disk *vfs.Mem
	safe uint64
	name string
}

// crashRun is one life of an engine, with the power cut at every operation of its disk.
type crashRun struct {
	ledger  ledger
	history history
	images  []image
}

// run lives one life, on a disk with a bug if wrong is not nil.
func (c *crashRun) run(t *testing.T, seed uint64, wrong func(vfs.File) vfs.File) {
	mem, rng := vfs.NewMem(), rand.New(rand.NewPCG(seed, 1))
	var shutter sync.Mutex // guards rng and c.images
	disk := vfs.NewFault(mem, func(op vfs.Op) {
		if !op.Kind.Changes() {
			return
		}
		safe := c.ledger.confirmed() // before the picture is taken
		shutter.Lock()
		defer shutter.Unlock()
		for _, mode := range vfs.CrashModes() {
			name := fmt.Sprintf("power lost after %d (%s %s), %s", op.N, op.Kind, op.Path, mode)
			c.images = append(c.images, image{mem.CrashClone(rng, mode), safe, name})
		}
	})
	var fs vfs.FS = disk
	if wrong != nil {
		fs = planted{fs, wrong}
	}
	log := openJournal(t, fs, crashJournal())
	e, err := engine.Open(witness{log, &c.history}, crashEngine())
	if err != nil {
		t.Fatal(err)
	}
	work := newWorkload(seed)
	for range 4 {
		if err := work.run(e, &c.ledger, 70); err != nil {
			t.Fatal(err)
		}
		if err := e.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	if e.First() == 1 && wrong == nil {
		t.Error("no segment was ever let go")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if confirmed, unknown := c.ledger.settleAll(); unknown > 0 {
		t.Fatalf("%d confirmed, %d unknown after a clean end", confirmed, unknown)
	}
}

// violations reopens every image and compares.
func (c *crashRun) violations(t *testing.T) (found []error, compared int) {
	hashes, err := c.history.hashes(&c.ledger)
	if err != nil {
		t.Fatal(err)
	}
	for _, im := range c.images {
		n, err := c.reopen(im, hashes)
		if err != nil {
			found = append(found, fmt.Errorf("%s: %w", im.name, err))
		}
		compared += n
	}
	return found, compared
}

// reopen checks one image: what was confirmed is there (J1), it is a fold of a prefix (J2), and life goes on.
func (c *crashRun) reopen(im image, hashes map[uint64][32]byte) (compared int, err error) {
	j, err := journal.Open(im.disk, crashDir, crashJournal())
	if err != nil {
		return 0, err
	}
	log := engine.JournalLog(j)
	compared, err = c.matches(log, im.safe, hashes)
	if err != nil {
		log.Abort()
		return compared, err
	}
	before := log.Last()
	e, err := engine.Open(log, crashEngine())
	if err != nil {
		return compared, err
	}
	live, err := goOn(e, before)
	if err = errors.Join(err, e.Close()); err != nil {
		return compared, err
	}
	if j, err = journal.Open(im.disk, crashDir, crashJournal()); err != nil {
		return compared, err
	}
	log = engine.JournalLog(j)
	defer log.Abort()
	state, err := engine.Recover(log, crashEngine())
	if err != nil {
		return compared, err
	}
	if state.Hash() != live {
		return compared, errors.New("J3: the state recovered again is not the live one")
	}
	return compared + 1, nil
}

// matches compares what a log recovered to with the history.
func (c *crashRun) matches(log engine.Log, safe uint64, hashes map[uint64][32]byte) (compared int, err error) {
	end := log.Last().Seq
	if end < safe {
		return 0, fmt.Errorf("J1: %d was confirmed, the log ends at %d", safe, end)
	}
	state, err := engine.Recover(log, crashEngine())
	if err != nil {
		return 0, err
	}
	if want, ok := hashes[end]; end > 0 && (!ok || state.Hash() != want) {
		return 0, fmt.Errorf("J2: the state at %d is not that of the history (a frame ends there: %t)", end, ok)
	}
	if err := state.Check(); err != nil {
		return 0, err
	}
	r, err := log.Read(max(log.First(), 1) - 1)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for _, want := range c.history.frames {
		if want.First < log.First() || want.First > end {
			continue
		}
		f, err := r.Next()
		if err != nil || f.First != want.First || !bytes.Equal(f.Payload, want.Payload) {
			return compared, fmt.Errorf("J2: frame %d of the log is not that of the history: %w", want.First, err)
		}
		compared += f.Count
	}
	return compared, nil
}

// goOn uses an engine after a crash.
func goOn(e *engine.Engine, before engine.Position) (hash [32]byte, err error) {
	var l ledger
	if err := newWorkload(before.Seq).run(e, &l, 20); err != nil {
		return hash, err
	}
	if _, unknown := l.settleAll(); unknown > 0 {
		return hash, errors.New("answers stay unknown after a recovery")
	}
	stamp, err := e.Read(func(s *holdfast.State) {
		hash = s.Hash()
		err = s.Check()
	})
	if err != nil {
		return hash, err
	}
	if end := e.Durable(); end.Epoch <= before.Epoch || end.LogID != before.LogID || !stamp.Confirmed() {
		return hash, fmt.Errorf("the epoch was %d, is %d; confirmed: %t", before.Epoch, end.Epoch, stamp.Confirmed())
	}
	return hash, nil
}

func openJournal(t *testing.T, fs vfs.FS, cfg journal.Config) engine.Log {
	t.Helper()
	j, err := journal.Open(fs, crashDir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return engine.JournalLog(j)
}

// TestCrashAtEveryOperation cuts the power at every operation of the disk, and asks each image whether everything that
// had been confirmed before is true in it.
func TestCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			var c crashRun
			c.run(t, seed, nil)
			found, compared := c.violations(t)
			for _, err := range found[:min(len(found), 5)] {
				t.Error(err)
			}
			t.Logf("%d images, %d answers, %d comparisons, %d violations", len(c.images), len(c.ledger.list), compared, len(found))
			if len(c.images) < 600 || compared < 20_000 || len(c.ledger.list) < 150 {
				t.Error("too little was compared to mean anything")
			}
		})
	}
}

// TestCrashFindsPlantedBugs: the check above must not be one that cannot fail.
func TestCrashFindsPlantedBugs(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(vfs.File) vfs.File{
		"skip the sync": func(f vfs.File) vfs.File { return lyingFile{f} },
		"confirm early": func(f vfs.File) vfs.File { return &hastyFile{File: f} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c crashRun
			c.run(t, 1, wrong)
			lost := 0
			found, _ := c.violations(t)
			for _, err := range found {
				if bytes.Contains([]byte(err.Error()), []byte("J1")) {
					lost++
				}
			}
			t.Logf("%d images, %d violations, %d of J1", len(c.images), len(found), lost)
			if lost < 10 {
				t.Errorf("confirmed answers are lost, but only %d of %d images show it", lost, len(c.images))
			}
		})
	}
}
