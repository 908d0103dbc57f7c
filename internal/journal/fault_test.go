package journal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"holdfast/internal/vfs"
)

// TestEveryOperationFails makes operation n fail, for n = 1, 2, … until none
// does: no acknowledged frame may be missing afterwards.
func TestEveryOperationFails(t *testing.T) {
	t.Parallel()
	for _, plan := range []vfs.Plan{
		{Err: syscall.EIO},
		{Err: syscall.EIO, Forever: true},
		{Err: syscall.ENOSPC},
		{Err: syscall.ENOSPC, Forever: true},
		{Err: syscall.EIO, TookEffect: true},
	} {
		t.Run(fmt.Sprintf("%v/forever=%v/took=%v", plan.Err, plan.Forever, plan.TookEffect), func(t *testing.T) {
			t.Parallel()
			fired, frames := 0, 0
			for n := int64(1); ; n++ {
				mem := vfs.NewMem()
				fs := vfs.NewFault(mem, nil)
				plan.At = n
				fs.Set(plan)
				var l ledger
				err := l.workload(fs, small())
				if fs.Fired() == 0 {
					must(t, err)
					break
				}
				fired++
				fs.Set(vfs.Plan{})
				p := l.promise()
				images := []*vfs.Mem{mem.CrashClone(seeded(uint64(n)), vfs.DropAll), mem.CrashClone(seeded(uint64(n)), vfs.Tear)}
				// The process alone has died: what a failed sync left in the page
				// cache is read back. What the log then shows must be on the disk.
				j, err := Open(mem, "log", small())
				if err != nil {
					t.Fatalf("operation %d: %v", n, err)
				}
				shown := promise{acked: j.Last().Seq, trimmed: p.trimmed}
				got, err := shown.reopen(mem.CrashClone(seeded(uint64(n)), vfs.DropAll), small())
				if err != nil {
					t.Fatalf("operation %d, read back, then power lost: %v", n, err)
				}
				frames += got
				j.Abort()
				for _, after := range append(images, mem) {
					got, err := p.reopen(after, small())
					if err != nil {
						t.Fatalf("operation %d: %v", n, err)
					}
					frames += got
				}
			}
			if fired < 200 || frames < 5000 {
				t.Fatalf("only %d faults and %d frames compared", fired, frames)
			}
			t.Logf("%d faults, %d frames compared", fired, frames)
		})
	}
}

// TestErrorIsFinal: after a failed write or sync nothing is ever written again,
// also when the disk would work.
func TestErrorIsFinal(t *testing.T) {
	t.Parallel()
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpDatasync} {
		fs := vfs.NewFault(vfs.NewMem(), nil)
		j := mustOpen(t, fs, small())
		var l ledger
		must(t, l.append(j, 3))
		end := j.Last()
		current := segmentPath("log", 1) + tempSuffix // the name under which it was opened
		fs.Set(vfs.Plan{At: 1, Only: func(op vfs.Op) bool { return op.Kind == kind && op.Path == current }})
		first := l.append(j, 1)
		if !errors.Is(first, syscall.EIO) {
			t.Fatalf("%s: %v", kind, first)
		}
		fs.Set(vfs.Plan{At: 1, Forever: true, Only: func(op vfs.Op) bool { return op.Kind.Changes() && op.Path == current }})
		for range 3 {
			if err := l.append(j, 1); err != first {
				t.Fatalf("%s: %v, then %v", kind, first, err)
			}
		}
		if err := j.Close(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("close: %v", err)
		}
		if fs.Fired() != 0 || j.Last() != end {
			t.Fatalf("%s: %d writes after the error", kind, fs.Fired())
		}
	}
}

// sweep runs the workload on a disk that loses power after every operation that
// changes something, and gives every image to inspect.
type sweep struct {
	cfg      Config
	seed     uint64
	wrap     func(vfs.FS) vfs.FS
	compound int // every how many images the recovery is crashed at each step too

	images, frames, compounds atomic.Int64
}

// run gives the first broken promise.
func (s *sweep) run() error {
	var mu sync.Mutex
	var broken error
	var l ledger
	mem := vfs.NewMem()
	rng := seeded(s.seed)
	// Images are taken inside the operation, but looked at after the workload:
	// an operation that waits for another one must not deadlock.
	type image struct {
		p    promise
		at   vfs.Op
		mode vfs.CrashMode
		mem  *vfs.Mem
	}
	var images []image
	fs := vfs.NewFault(mem, func(op vfs.Op) {
		if !op.Kind.Changes() {
			return
		}
		p := l.promise() // before the image: what is acknowledged later may be in it, and need not
		mu.Lock()
		defer mu.Unlock()
		for _, mode := range vfs.CrashModes() {
			im := image{p, op, mode, mem.CrashClone(rng, mode)}
			im.p.trimmed = l.trimmed.Load() // after the image: a Trim may have begun meanwhile
			images = append(images, im)
		}
	})
	var top vfs.FS = fs
	if s.wrap != nil {
		top = s.wrap(fs)
	}
	if err := l.workload(top, s.cfg); err != nil {
		return err
	}
	mu.Lock()
	taken := slices.Clone(images)
	mu.Unlock()
	for i, im := range taken {
		s.images.Add(1)
		var err error
		if s.compound > 0 && i%s.compound == 0 {
			err = s.crashRecovery(im.mem.CrashClone(rng, vfs.KeepAll), im.p, s.seed+uint64(i))
		}
		if err == nil {
			var n int
			n, err = im.p.reopen(im.mem, s.cfg)
			s.frames.Add(int64(n))
		}
		if err != nil && broken == nil {
			broken = fmt.Errorf("power lost after operation %d (%s %s), %s: %w", im.at.N, im.at.Kind, im.at.Path, im.mode, err)
		}
	}
	return broken
}

// crashRecovery loses power again after every step of a recovery.
func (s *sweep) crashRecovery(mem *vfs.Mem, p promise, seed uint64) error {
	rng := seeded(seed)
	var mu sync.Mutex
	var again []*vfs.Mem
	fs := vfs.NewFault(mem, func(op vfs.Op) {
		if !op.Kind.Changes() {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		again = append(again, mem.CrashClone(rng, vfs.Mix), mem.CrashClone(rng, vfs.Tear))
	})
	j, err := Open(fs, "log", s.cfg)
	if err != nil {
		return err
	}
	j.Abort()
	mu.Lock()
	defer mu.Unlock()
	for _, m := range again {
		s.compounds.Add(1)
		n, err := p.reopen(m, s.cfg)
		s.frames.Add(int64(n))
		if err != nil {
			return fmt.Errorf("crash during recovery: %w", err)
		}
	}
	return nil
}

// TestCrashAfterEveryWrite loses power after every operation, in every mode.
func TestCrashAfterEveryWrite(t *testing.T) {
	t.Parallel()
	seeds := uint64(2)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := &sweep{cfg: small(), seed: seed, compound: 11}
			must(t, s.run())
			if s.images.Load() < 600 || s.compounds.Load() < 300 || s.frames.Load() < 10000 {
				t.Fatalf("only %d images, %d in recovery, %d frames", s.images.Load(), s.compounds.Load(), s.frames.Load())
			}
			t.Logf("%d images, %d in recovery, %d frames compared", s.images.Load(), s.compounds.Load(), s.frames.Load())
		})
	}
}

// TestCrashFindsPlantedBugs shows that the sweep can fail: on a file system that
// forgets one kind of sync it must report a broken promise.
func TestCrashFindsPlantedBugs(t *testing.T) {
	t.Parallel()
	for _, skip := range []vfs.OpKind{vfs.OpDatasync, vfs.OpSyncDir, vfs.OpSync} {
		t.Run(string(skip), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				s := &sweep{cfg: small(), seed: seed, wrap: func(fs vfs.FS) vfs.FS { return lazyFS{fs, skip} }}
				if err := s.run(); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Fatalf("nobody noticed that %s did nothing", skip)
		})
	}
}

// lazyFS is a file system on which one kind of sync does nothing.
type lazyFS struct {
	vfs.FS
	skip vfs.OpKind
}

func (l lazyFS) SyncDir(path string) error {
	if l.skip == vfs.OpSyncDir {
		return nil
	}
	return l.FS.SyncDir(path)
}

func (l lazyFS) Create(path string) (vfs.File, error) { return l.file(l.FS.Create(path)) }

func (l lazyFS) OpenFile(path string, access vfs.Access) (vfs.File, error) {
	return l.file(l.FS.OpenFile(path, access))
}

func (l lazyFS) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return lazyFile{f, l.skip}, nil
}

type lazyFile struct {
	vfs.File
	skip vfs.OpKind
}

func (f lazyFile) Datasync() error {
	if f.skip == vfs.OpDatasync {
		return nil
	}
	return f.File.Datasync()
}

func (f lazyFile) Sync() error {
	if f.skip == vfs.OpSync {
		return nil
	}
	return f.File.Sync()
}

// TestNoRoomToStart: an Open that finds the disk full leaves nothing behind that
// fills it further, and works once there is room.
func TestNoRoomToStart(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	fs := vfs.NewFault(mem, nil)
	fs.Set(vfs.Plan{At: 2, Forever: true, Err: syscall.ENOSPC, Only: func(op vfs.Op) bool { return op.Kind == vfs.OpWrite }})
	if _, err := Open(fs, "log", small()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	left, err := list(mem, "log")
	if err != nil || len(left.temps)+len(left.segments) > 0 {
		t.Fatalf("%+v stayed, %v", left, err)
	}
	fs.Set(vfs.Plan{})
	must(t, mustOpen(t, fs, small()).Close())
}
