package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"holdfast/internal/vfs"
)

// small is a configuration whose segments hold a few frames.
func small() Config {
	c := DefaultConfig()
	c.SegmentBytes, c.MaxFrameBytes, c.PendingBytes, c.BlockBytes = 16<<10, 2000, 4<<10, 512
	c.RetryPause = time.Millisecond
	return c
}

// payload is what the tests put into the frame that begins with first: its
// length and content depend on first alone.
func payload(first uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(first*31 + uint64(i)*7 + uint64(i>>8))
	}
	copy(b, fmt.Sprintf("frame %d ", first))
	return b
}

func mustOpen(t testing.TB, fs vfs.FS, cfg Config) *Journal {
	t.Helper()
	j, err := Open(fs, "log", cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return j
}

func collect(r *Reader) (frames []Frame, err error) {
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		f.Payload = bytes.Clone(f.Payload)
		frames = append(frames, f)
	}
}

func TestSmoke(t *testing.T) {
	t.Parallel()
	for _, fs := range []vfs.FS{vfs.NewMem(), vfs.OS{}} {
		dir := "log"
		if _, ok := fs.(vfs.OS); ok {
			dir = t.TempDir()
		}
		seq := uint64(0)
		for round := range 4 {
			j, err := Open(fs, dir, small())
			if err != nil {
				t.Fatal(err)
			}
			for i := range 40 {
				n := 1 + i%3
				pos, err := j.Append(seq+1, n, payload(seq+1, 100+i*40))
				if err != nil {
					t.Fatal(err)
				}
				seq += uint64(n)
				if pos != j.Last() || pos.Seq != seq || pos.Epoch != uint64(round+1) {
					t.Fatalf("pos %+v last %+v", pos, j.Last())
				}
			}
			r, err := j.Read(0)
			if err != nil {
				t.Fatal(err)
			}
			frames, err := collect(r)
			if err != nil || len(frames) != 40*(round+1) || frames[len(frames)-1].Last() != seq {
				t.Fatalf("%d frames, %v", len(frames), err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if round%2 == 0 {
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				j.Abort()
			}
			v, err := OpenReadOnly(fs, dir, small())
			if err != nil || v.Report().Sealed != (round%2 == 0) || v.Last().Seq != seq {
				t.Fatalf("%v %+v", err, v)
			}
		}
	}
}
