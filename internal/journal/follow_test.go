package journal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"holdfast/internal/vfs"
)

// follow reads from the start until it has seen a sequence, and compares every
// frame. durable, if not nil, is the greatest sequence that may be shown.
func follow(l log, until uint64, durable func() uint64) error {
	r, err := l.Read(0)
	if err != nil {
		return err
	}
	defer r.Close()
	for seq := uint64(0); seq < until; {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			runtime.Gosched()
			continue
		}
		if err != nil {
			return err
		}
		if f.First != seq+1 || string(f.Payload) != string(payloadOf(f.First)) {
			return fmt.Errorf("frame %d after %d is not what was appended", f.First, seq)
		}
		seq = f.Last()
		if durable != nil && seq > durable() {
			return fmt.Errorf("frame %d is shown before it is durable", f.First)
		}
		if r.Position().Seq != seq || r.Position().Hash != f.Hash {
			return fmt.Errorf("position %+v after frame %d", r.Position(), f.First)
		}
	}
	return nil
}

// TestReadersBesideAppend: readers of the journal, viewers of its directory,
// snapshots and questions, all beside appends that roll over many segments.
func TestReadersBesideAppend(t *testing.T) {
	t.Parallel()
	for name, fs := range map[string]vfs.FS{"mem": vfs.NewMem(), "os": vfs.OS{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "log")
			j, err := Open(fs, dir, small())
			must(t, err)
			defer j.Abort()
			const frames = 150
			var until uint64
			for range frames {
				until += uint64(countOf(until + 1))
			}
			var wg sync.WaitGroup
			run := func(what string, f func() error) {
				wg.Go(func() {
					if err := f(); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
			for range 2 {
				run("reader", func() error { return follow(j, until, func() uint64 { return j.Last().Seq }) })
				run("viewer", func() error {
					v, err := OpenReadOnly(fs, dir, small())
					if err != nil {
						return err
					}
					return follow(v, until, nil)
				})
			}
			run("looks", func() error {
				for j.Last().Seq < until {
					before := j.Last().Seq
					v, err := OpenReadOnly(fs, dir, small())
					if err != nil {
						return err
					}
					if v.Last().Seq < before || v.First() > 1 {
						return fmt.Errorf("a viewer sees %d to %d, durable was %d", v.First(), v.Last().Seq, before)
					}
				}
				return nil
			})
			run("snapshots", func() error {
				for j.Last().Seq < until {
					at := j.Last()
					if err := j.PutSnapshot(at, bodyOf(at.Seq)); err != nil {
						return err
					}
					if _, err := checkSnapshotBodies(j); err != nil {
						return err
					}
					_ = j.Room()
				}
				return nil
			})
			var l ledger
			must(t, l.append(j, frames))
			wg.Wait()
		})
	}
}

// TestViewerSurvivesRestart: a reader of a viewer goes on over an unclean stop,
// which puts a copy in the place of the file it was reading.
func TestViewerSurvivesRestart(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	var l ledger
	j := mustOpen(t, mem, small())
	must(t, l.append(j, 3))
	v, err := OpenReadOnly(mem, "log", small())
	must(t, err)
	r, err := v.Read(0)
	must(t, err)
	defer r.Close()
	seen := 0
	drain := func() {
		for {
			if _, err := r.Next(); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			seen++
		}
	}
	drain()
	for range 5 {
		j.Abort()
		j = mustOpen(t, mem, small())
		must(t, l.append(j, 4))
		drain()
	}
	if seen != 23 {
		t.Fatalf("%d frames", seen)
	}
}

// TestViewerShowsOnlyDurable: what a viewer shows survives a power loss, also
// when the writer's own sync has not come back.
func TestViewerShowsOnlyDurable(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	j := mustOpen(t, mem, small())
	var l ledger
	must(t, l.append(j, 3))
	// A frame that is written and not synced.
	w := j.app
	w.mu.Lock()
	frame := make([]byte, w.cur.head.block)
	h := frameHeader{version: version, kind: kindData, first: w.at.Seq + 1, count: uint32(countOf(w.at.Seq + 1)),
		logID: w.at.LogID, epoch: w.epoch, prevHash: w.at.Hash}
	p := payloadOf(h.first)[:min(400, sizeOf(h.first))]
	h.length = uint32(len(p))
	h.put(frame)
	copyPayload(frame, p)
	sealChecksum(frame, w.cur.head.salt, w.cur.off)
	_, err := w.cur.file.WriteAt(frame, w.cur.off)
	w.mu.Unlock()
	must(t, err)
	r, err := j.Read(j.Last().Seq)
	must(t, err)
	if f, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("the journal shows frame %d, which is not durable: %v", f.First, err)
	}
	must(t, r.Close())
	v, err := OpenReadOnly(mem, "log", small())
	must(t, err)
	crashed := mustOpen(t, mem.CrashClone(seeded(1), vfs.DropAll), small())
	if v.Last().Seq <= l.acked.Load() || crashed.Last().Seq != v.Last().Seq {
		t.Fatalf("the viewer showed %d, after a power loss there is %d", v.Last().Seq, crashed.Last().Seq)
	}
}

// TestViewerChangesNothing: not a byte, not a name, and no lock.
func TestViewerChangesNothing(t *testing.T) {
	t.Parallel()
	b := build(t, false)
	f, err := b.mem.Create("log/0000000009.seg.tmp")
	must(t, err)
	must(t, f.Close())
	fs := vfs.NewFault(b.mem, func(op vfs.Op) {
		if op.Kind.Changes() && op.Kind != vfs.OpDatasync || op.Kind == vfs.OpLock {
			t.Errorf("%s %s", op.Kind, op.Path)
		}
	})
	v, err := OpenReadOnly(fs, "log", small())
	must(t, err)
	if n, err := b.p.check(v); n < 15 || err != nil {
		t.Fatalf("%d frames, %v", n, err)
	}
	infos, err := v.Snapshots()
	if err != nil || len(infos) != 1 {
		t.Fatalf("%d snapshots, %v", len(infos), err)
	}
	s, err := v.OpenSnapshot(infos[0].Position.Seq)
	must(t, err)
	must(t, s.Close())
	if r := v.Report(); r.Segments != 3 || r.SegmentBytes != 3*8<<10 || r.Sealed || r.First != 1 {
		t.Fatalf("%+v", r)
	}
	if _, err := OpenReadOnly(vfs.NewMem(), "nowhere", small()); err == nil {
		t.Fatal("a log where there is none")
	}
}
