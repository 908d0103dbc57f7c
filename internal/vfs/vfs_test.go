package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestConformance: every implementation is the same file system to its caller.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]FS{"os": OS{}, "mem": NewMem(), "fault over mem": NewFault(NewMem(), nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conform(t, fsys, t.TempDir())
		})
	}
}

func conform(t *testing.T, fsys FS, root string) {
	dir := filepath.Join(root, "a", "b")
	if _, err := fsys.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("ReadDir of nothing: %v", err)
	}
	must(t, fsys.MkdirAll(dir))
	must(t, fsys.MkdirAll(dir))
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for _, err := range []error{
		second(fsys.OpenFile(one, ReadOnly)), second(fsys.Stat(one)), fsys.Remove(one), fsys.Rename(one, two),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("a missing file: %v", err)
		}
	}
	f, err := fsys.Create(one)
	must(t, err)
	_, err = f.WriteAt([]byte("hello"), 3)
	must(t, err)
	must(t, f.Datasync())
	must(t, f.Truncate(6))
	must(t, f.Sync())
	if size, err := f.Size(); size != 6 || err != nil {
		t.Fatalf("size %d, %v", size, err)
	}
	b := make([]byte, 8)
	if n, err := f.ReadAt(b, 0); n != 6 || err != io.EOF || !bytes.Equal(b[:6], []byte("\x00\x00\x00hel")) {
		t.Fatalf("%d %v %q", n, err, b)
	}
	if n, err := f.ReadAt(b, 6); n != 0 || err != io.EOF {
		t.Fatalf("%d %v at the end", n, err)
	}
	must(t, fsys.Rename(one, two))
	must(t, fsys.SyncDir(dir))
	if names, err := fsys.ReadDir(dir); err != nil || !slices.Equal(names, []string{"two"}) {
		t.Fatalf("%v, %v", names, err)
	}
	if size, err := fsys.Stat(two); size != 6 || err != nil {
		t.Fatalf("size %d, %v", size, err)
	}
	r, err := fsys.OpenFile(two, ReadOnly)
	must(t, err)
	if _, err := r.WriteAt(b, 0); err == nil {
		t.Fatal("a write to a file that is open to read")
	}
	must(t, r.Datasync())
	must(t, fsys.Remove(two))
	if n, err := r.ReadAt(b[:6], 0); n != 6 || err != nil {
		t.Fatalf("an open file that was removed: %d, %v", n, err)
	}
	must(t, r.Close())
	must(t, f.Close())
	if err := f.Close(); err == nil {
		t.Fatal("closed twice")
	}
	lock, err := fsys.Lock(filepath.Join(dir, "LOCK"))
	must(t, err)
	if _, err := fsys.Lock(filepath.Join(dir, "LOCK")); !errors.Is(err, ErrLocked) {
		t.Fatalf("locked twice: %v", err)
	}
	must(t, lock.Close())
	lock, err = fsys.Lock(filepath.Join(dir, "LOCK"))
	must(t, err)
	must(t, lock.Close())
}

func second[T any](_ T, err error) error { return err }

// TestCrashKeepsWhatWasSynced: random writes, syncs and crashes against an
// oracle: synced sectors keep their bytes, others hold old, new or, if torn, any.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	t.Parallel()
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		const sectors = 8
		mem := NewMem()
		f, _ := mem.Create("f")
		_ = f.Truncate(sectors * Sector)
		_ = f.Sync()
		_ = mem.SyncDir(".")
		durable, seen := make([]byte, sectors*Sector), make([]byte, sectors*Sector)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				_ = f.Datasync()
				copy(durable, seen)
			default:
				from := rapid.IntRange(0, sectors*Sector-1).Draw(t, "from")
				n := rapid.IntRange(1, min(3*Sector, sectors*Sector-from)).Draw(t, "n")
				p := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n)
				_, _ = f.WriteAt(p, int64(from))
				copy(seen[from:], p)
			}
		}
		for _, mode := range CrashModes() {
			clone := mem.CrashClone(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), mode)
			g, err := clone.OpenFile("f", ReadOnly)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, sectors*Sector)
			if _, err := g.ReadAt(got, 0); err != nil {
				t.Fatal(err)
			}
			for s := range sectors {
				is, old, now := got[s*Sector:][:Sector], durable[s*Sector:][:Sector], seen[s*Sector:][:Sector]
				isOld, isNew := bytes.Equal(is, old), bytes.Equal(is, now)
				if (mode == DropAll && !isOld) || (mode == KeepAll && !isNew) || (mode == Mix && !isOld && !isNew) {
					t.Fatalf("%v: sector %d is neither", mode, s)
				}
				compared++
			}
		}
	})
	if compared < 1000 {
		t.Fatalf("only %d sectors compared", compared)
	}
}

// TestTearNeverReachesSynced: garbage only where something was written and not
// synced.
func TestTearNeverReachesSynced(t *testing.T) {
	t.Parallel()
	mem := NewMem()
	f, err := mem.Create("f")
	must(t, err)
	synced := bytes.Repeat([]byte{7}, 4*Sector)
	_, err = f.WriteAt(synced, 0)
	must(t, err)
	must(t, f.Datasync())
	must(t, mem.SyncDir("."))
	_, err = f.WriteAt(bytes.Repeat([]byte{9}, Sector), 2*Sector)
	must(t, err)
	fates := map[string]int{}
	for seed := range uint64(200) {
		g, err := mem.CrashClone(rand.New(rand.NewPCG(seed, 1)), Tear).OpenFile("f", ReadOnly)
		must(t, err)
		got := make([]byte, 4*Sector)
		_, err = g.ReadAt(got, 0)
		must(t, err)
		if !bytes.Equal(got[:2*Sector], synced[:2*Sector]) || !bytes.Equal(got[3*Sector:], synced[3*Sector:]) {
			t.Fatal("a synced sector is torn")
		}
		switch torn := got[2*Sector : 3*Sector]; {
		case bytes.Equal(torn, synced[:Sector]):
			fates["old"]++
		case torn[0] == 9 && torn[Sector-1] == 9:
			fates["new"]++
		default:
			fates["torn"]++
		}
	}
	if len(fates) != 3 {
		t.Fatalf("%v", fates)
	}
}

// TestFailedSyncMarksClean: after a sync that failed, a sync that succeeds does
// not make the old write durable (the page cache still shows it).
func TestFailedSyncMarksClean(t *testing.T) {
	t.Parallel()
	mem := NewMem()
	fsys := NewFault(mem, nil)
	f, err := fsys.Create("f")
	must(t, err)
	must(t, f.Truncate(2*Sector))
	must(t, f.Sync())
	must(t, mem.SyncDir("."))
	_, err = f.WriteAt([]byte("lost"), 0)
	must(t, err)
	fsys.Set(Plan{At: 1, Only: func(op Op) bool { return op.Kind == OpDatasync }})
	if err := f.Datasync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("kept"), Sector)
	must(t, err)
	must(t, f.Datasync())
	for _, mode := range []CrashMode{DropAll, KeepAll} {
		b := make([]byte, 2*Sector)
		_, err = f.ReadAt(b, 0)
		must(t, err)
		if string(b[:4]) != "lost" {
			t.Fatal("the page cache forgot")
		}
		g, err := mem.CrashClone(rand.New(rand.NewPCG(1, 1)), mode).OpenFile("f", ReadOnly)
		must(t, err)
		_, err = g.ReadAt(b, 0)
		must(t, err)
		if b[0] != 0 || string(b[Sector:][:4]) != "kept" {
			t.Fatalf("%v: %q %q", mode, b[:4], b[Sector:][:4])
		}
	}
}

// TestEntriesNeedSyncDir: names are durable only after SyncDir.
func TestEntriesNeedSyncDir(t *testing.T) {
	t.Parallel()
	mem := NewMem()
	f, err := mem.Create("old")
	must(t, err)
	must(t, f.Sync())
	names := func(mode CrashMode) []string {
		got, err := mem.CrashClone(rand.New(rand.NewPCG(1, 1)), mode).ReadDir(".")
		must(t, err)
		return got
	}
	if got := names(DropAll); len(got) != 0 {
		t.Fatalf("%v", got)
	}
	must(t, mem.SyncDir("."))
	must(t, mem.Rename("old", "new"))
	if got := names(DropAll); !slices.Equal(got, []string{"old"}) {
		t.Fatalf("%v", got)
	}
	if got := names(KeepAll); !slices.Equal(got, []string{"new"}) {
		t.Fatalf("%v", got)
	}
	must(t, mem.SyncDir("."))
	if got := names(DropAll); !slices.Equal(got, []string{"new"}) {
		t.Fatalf("%v", got)
	}
}

// TestFaultPlans: once, for good, short writes, and failures that took effect.
func TestFaultPlans(t *testing.T) {
	t.Parallel()
	mem := NewMem()
	var after int
	fsys := NewFault(mem, func(Op) { after++ })
	f, err := fsys.Create("f")
	must(t, err)
	fsys.Set(Plan{At: 2, Err: syscall.ENOSPC, Only: func(op Op) bool { return op.Kind == OpWrite }})
	_, err = f.WriteAt([]byte("abcd"), 0)
	must(t, err)
	if n, err := f.WriteAt([]byte("efgh"), 4); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%d, %v", n, err)
	}
	if size, err := f.Size(); size != 6 || err != nil {
		t.Fatalf("a short write left %d bytes, %v", size, err)
	}
	_, err = f.WriteAt([]byte("efgh"), 4)
	must(t, err)
	if fsys.Fired() != 1 || after != 4 || fsys.Ops() != 5 {
		t.Fatalf("fired %d, after %d, ops %d", fsys.Fired(), after, fsys.Ops())
	}
	fsys.Set(Plan{At: 1, TookEffect: true, Forever: true})
	if err := fsys.Rename("f", "g"); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if _, err := mem.Stat("g"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
	}
	must(t, f.Close())
}
