package journal

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"holdfast/internal/vfs"
)

// built is a small log of several segments and the place of its last frame.
type built struct {
	mem        *vfs.Mem
	p          promise
	lastFile   string
	lastFrom   int64 // where the last frame begins
	lastTo     int64 // where it ends, with its padding
	beforeLast uint64
}

func build(t *testing.T, sealed bool) built {
	t.Helper()
	var b built
	b.mem = vfs.NewMem()
	var l ledger
	j := mustOpen(t, b.mem, small())
	must(t, l.append(j, 9))
	must(t, j.PutSnapshot(j.Last(), bodyOf(j.Last().Seq)))
	b.beforeLast = j.Last().Seq
	for j.app.cur.head.index < 3 || j.app.cur.off < 2000 {
		b.beforeLast, b.lastFrom = j.Last().Seq, j.app.cur.off
		must(t, l.append(j, 1))
	}
	b.lastFile, b.lastTo = segmentPath("log", j.app.cur.head.index), j.app.cur.off
	b.p = l.promise()
	if sealed {
		b.lastFrom, b.beforeLast = b.lastTo, j.Last().Seq // the seal is the last frame
		must(t, j.Close())
	}
	j.Abort()
	return b
}

// judge opens and reads a damaged copy, and says how it went: detected, whole,
// or the documented case, the last frame of a log that was not closed.
func (b built) judge(t *testing.T, mem *vfs.Mem, inLast, full bool) string {
	read := func() (Position, error) {
		if full {
			j, err := Open(mem, "log", small())
			if err != nil {
				return Position{}, err
			}
			defer j.Abort()
			_, err = promise{acked: 0}.check(j)
			return j.Last(), err
		}
		v, err := OpenReadOnly(mem, "log", small())
		if err != nil {
			return Position{}, err
		}
		_, err = promise{acked: 0}.check(v)
		return v.Last(), err
	}
	end, err := read()
	switch {
	case errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion):
		return "detected"
	case err != nil:
		t.Errorf("unexpected error: %v", err)
	case end.Seq == b.p.acked:
		return "whole"
	case end.Seq == b.beforeLast && inLast:
		return "last frame"
	}
	t.Errorf("the log ends with %d, acknowledged was %d", end.Seq, b.p.acked)
	return "lost"
}

// TestEveryByteFlipped flips each byte of a log, one at a time.
func TestEveryByteFlipped(t *testing.T) {
	t.Parallel()
	for name, sealed := range map[string]bool{"sealed": true, "unsealed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := build(t, sealed)
			names, err := b.mem.ReadDir("log")
			must(t, err)
			var detected, whole, last, tried atomic.Int64
			for _, name := range names {
				if name == lockName {
					continue
				}
				path := filepath.Join("log", name)
				f, err := b.mem.OpenFile(path, vfs.ReadWrite)
				must(t, err)
				size, err := f.Size()
				must(t, err)
				for off := int64(0); off < size; off++ {
					one := make([]byte, 1)
					if _, err := f.ReadAt(one, off); err != nil {
						t.Fatal(err)
					}
					if one[0] == 0 && off%7 != 0 {
						continue // a part of the padding is enough
					}
					flipped := []byte{one[0] ^ 1<<(off%8)}
					_, err := f.WriteAt(flipped, off)
					must(t, err)
					full := off%16 == 0
					mem := b.mem
					if full {
						mem = b.mem.CrashClone(seeded(0), vfs.KeepAll)
					}
					inLast := path == b.lastFile && off >= b.lastFrom && off < b.lastTo
					switch b.judge(t, mem, inLast, full) {
					case "detected":
						detected.Add(1)
					case "whole":
						whole.Add(1)
					case "last frame":
						last.Add(1)
					default:
						t.Fatalf("%s: byte %d flipped", path, off)
					}
					tried.Add(1)
					_, err = f.WriteAt(one, off)
					must(t, err)
				}
				must(t, f.Close())
			}
			t.Logf("%d flips: %d detected, %d harmless, %d in the last frame", tried.Load(), detected.Load(), whole.Load(), last.Load())
			if tried.Load() < 5000 || detected.Load() < 4000 || (sealed && last.Load() > 0) || (!sealed && last.Load() == 0) {
				t.Fatal("too little was tried, or too little found")
			}
		})
	}
}

// TestCutAnywhere cuts each segment at every offset: always detected.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	for name, sealed := range map[string]bool{"sealed": true, "unsealed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := build(t, sealed)
			names, err := b.mem.ReadDir("log")
			must(t, err)
			tried := 0
			for _, name := range names {
				if filepath.Ext(name) != segmentSuffix {
					continue
				}
				mem := b.mem.CrashClone(seeded(0), vfs.KeepAll)
				f, err := mem.OpenFile(filepath.Join("log", name), vfs.ReadWrite)
				must(t, err)
				size, err := f.Size()
				must(t, err)
				for cut := size - 1; cut >= 0; cut-- {
					must(t, f.Truncate(cut))
					if got := b.judge(t, mem, false, cut%64 == 0); got != "detected" {
						t.Fatalf("%s cut to %d bytes: %s", name, cut, got)
					}
					tried++
				}
				must(t, f.Truncate(size+1))
				if got := b.judge(t, mem, false, true); got != "detected" {
					t.Fatalf("%s made longer: %s", name, got)
				}
			}
			if tried < 3*8<<10 {
				t.Fatalf("only %d cuts", tried)
			}
		})
	}
}

// TestBlocksMoved swaps and repeats blocks: misdirected writes.
func TestBlocksMoved(t *testing.T) {
	t.Parallel()
	b := build(t, false)
	tried := 0
	for index := uint64(1); index <= 3; index++ {
		path := segmentPath("log", index)
		blocks := int64(small().SegmentBytes / 512)
		for from := range blocks {
			for to := range blocks {
				if (from+to)%3 != 0 || from == to {
					continue
				}
				mem := b.mem.CrashClone(seeded(0), vfs.KeepAll)
				f, err := mem.OpenFile(path, vfs.ReadWrite)
				must(t, err)
				block := make([]byte, 512)
				_, err = f.ReadAt(block, from*512)
				must(t, err)
				_, err = f.WriteAt(block, to*512)
				must(t, err)
				inLast := path == b.lastFile && to*512 >= b.lastFrom && to*512 < b.lastTo
				if got := b.judge(t, mem, inLast, false); got == "lost" {
					t.Fatalf("%s: block %d written over block %d", path, from, to)
				}
				tried++
			}
		}
	}
	if tried < 100 {
		t.Fatalf("only %d moves", tried)
	}
}

// TestCorruptDirectories puts whole files where they do not belong.
func TestCorruptDirectories(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, mem *vfs.Mem){
		"first segment lost, snapshot left": func(t *testing.T, mem *vfs.Mem) {
			for index := uint64(1); index <= 3; index++ {
				must(t, mem.Remove(segmentPath("log", index)))
			}
		},
		"segment missing": func(t *testing.T, mem *vfs.Mem) { must(t, mem.Remove(segmentPath("log", 2))) },
		"last segments missing, snapshot ahead": func(t *testing.T, mem *vfs.Mem) {
			must(t, mem.Remove(segmentPath("log", 3)))
			must(t, mem.Remove(segmentPath("log", 2)))
		},
		"segment of another log": func(t *testing.T, mem *vfs.Mem) {
			other := build(t, false)
			transplant(t, other.mem, mem, segmentPath("log", 3))
		},
		"first segment of another log": func(t *testing.T, mem *vfs.Mem) {
			other := build(t, false)
			transplant(t, other.mem, mem, segmentPath("log", 1))
		},
		"segment under another name": func(t *testing.T, mem *vfs.Mem) {
			must(t, mem.Rename(segmentPath("log", 3), segmentPath("log", 4)))
		},
		"empty segment": func(t *testing.T, mem *vfs.Mem) {
			f, err := mem.Create(segmentPath("log", 4))
			must(t, err)
			must(t, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := build(t, false)
			harm(t, b.mem)
			before, err := b.mem.ReadDir("log")
			must(t, err)
			for range 2 {
				_, err := Open(b.mem, "log", small())
				var corrupt *CorruptError
				if !errors.As(err, &corrupt) || corrupt.File == "" || corrupt.Reason == "" {
					t.Fatalf("Open: %v", err)
				}
			}
			if _, err := OpenReadOnly(b.mem, "log", small()); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("OpenReadOnly: %v", err)
			}
			after, err := b.mem.ReadDir("log")
			must(t, err)
			if len(before) != len(after) {
				t.Fatalf("a refused Open changed %v to %v", before, after)
			}
		})
	}
}

// transplant copies a file from one file system to another.
func transplant(t *testing.T, from, to vfs.FS, path string) {
	t.Helper()
	b := readAll(t, from, path)
	f, err := to.Create(path)
	must(t, err)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	must(t, f.Close())
}

func readAll(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.OpenFile(path, vfs.ReadOnly)
	must(t, err)
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(b, 0)
		must(t, err)
	}
	must(t, f.Close())
	return b
}

// TestForkDetected: frames of two histories of one log do not mix, although each
// is whole.
func TestForkDetected(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	j := mustOpen(t, mem, small())
	must(t, j.Close())
	var images [2]*vfs.Mem
	var from, to int64
	for i := range images {
		images[i] = mem.CrashClone(seeded(0), vfs.KeepAll)
		j := mustOpen(t, images[i], small())
		from = j.app.cur.off
		_, err := j.Append(1, 1, []byte{byte(i)})
		must(t, err)
		to = j.app.cur.off
		_, err = j.Append(2, 1, []byte("the same"))
		must(t, err)
		j.Abort()
	}
	path := segmentPath("log", 1)
	other := readAll(t, images[1], path)
	f, err := images[0].OpenFile(path, vfs.ReadWrite)
	must(t, err)
	_, err = f.WriteAt(other[from:to], from)
	must(t, err)
	if _, err := Open(images[0], "log", small()); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// TestLossBeforeEmptySegment: a crash just after a roll leaves a last segment
// without frames; a loss at the end of the one before must show at once.
func TestLossBeforeEmptySegment(t *testing.T) {
	t.Parallel()
	b := build(t, false)
	zero := func(index uint64, from int64) {
		f, err := b.mem.OpenFile(segmentPath("log", index), vfs.ReadWrite)
		must(t, err)
		_, err = f.WriteAt(make([]byte, small().SegmentBytes-from), from)
		must(t, err)
	}
	zero(3, 512)
	end := mustOpen(t, b.mem.CrashClone(seeded(0), vfs.KeepAll), small()).Last()
	w, err := openWalker(b.mem, segmentPath("log", 2))
	must(t, err)
	last := w.off
	for {
		off := w.off
		if _, k, err := w.next(wholeFile); err != nil {
			break
		} else if k == kindData {
			last = off
		}
	}
	if w.at != end {
		t.Fatalf("%+v, the log ends with %+v", w.at, end)
	}
	zero(2, last)
	if _, err := Open(b.mem, "log", small()); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}
