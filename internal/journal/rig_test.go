package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/vfs"
)

// small is a configuration whose segments hold a few frames.
func small() Config {
	c := DefaultConfig()
	c.SegmentBytes, c.MaxFrameBytes, c.PendingBytes, c.BlockBytes = 8<<10, 1000, 2<<10, 512
	c.RetryPause = time.Hour // a retry comes only when it is asked for
	return c
}

// countOf, sizeOf and payloadOf say what the tests put into the frame that
// begins with a sequence, so that a reader needs no record of it.
func countOf(first uint64) int { return 1 + int(first%3) }

func sizeOf(first uint64) int { return int(first*97) % 1000 }

func payloadOf(first uint64) []byte { return payload(first, sizeOf(first)) }

func payload(first uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(first*31 + uint64(i)*7 + uint64(i>>8) + 1)
	}
	return b
}

// ledger remembers outside of the journal what was acknowledged.
type ledger struct {
	acked   atomic.Uint64 // last sequence of an Append that returned nil
	trimmed atomic.Uint64 // largest argument of a Trim that was begun
}

// append adds n frames.
func (l *ledger) append(j *Journal, n int) error {
	for range n {
		first := j.Last().Seq + 1
		at, err := j.Append(first, countOf(first), payloadOf(first))
		if err != nil {
			return err
		}
		l.acked.Store(at.Seq)
	}
	return nil
}

// promise is what must hold of a log whatever happened to it.
type promise struct{ acked, trimmed uint64 }

func (l *ledger) promise() promise { return promise{l.acked.Load(), l.trimmed.Load()} }

// log is what Journal and Viewer have in common.
type log interface {
	Read(after uint64) (*Reader, error)
	First() uint64
	Last() Position
}

// check reads a whole log and compares every frame. It gives their number.
func (p promise) check(l log) (frames int, err error) {
	first, last := l.First(), l.Last()
	if last.Seq < p.acked {
		return 0, fmt.Errorf("the log ends with %d, acknowledged was %d", last.Seq, p.acked)
	}
	if first > max(1, p.trimmed) {
		return 0, fmt.Errorf("the log begins with %d, trimmed was only up to %d", first, p.trimmed)
	}
	r, err := l.Read(max(first, 1) - 1)
	if first == 0 {
		r, err = l.Read(last.Seq)
	}
	if err != nil {
		return 0, err
	}
	defer r.Close()
	seq := max(first, 1) - 1
	if first == 0 {
		seq = last.Seq
	}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return frames, err
		}
		if f.First != seq+1 || f.Count != countOf(f.First) || !bytes.Equal(f.Payload, payloadOf(f.First)) {
			return frames, fmt.Errorf("frame %d after %d is not what was appended", f.First, seq)
		}
		seq = f.Last()
		frames++
	}
	if seq < last.Seq || r.Position().Seq != seq {
		return frames, fmt.Errorf("read up to %d, the log ends with %d", seq, last.Seq)
	}
	return frames, nil
}

// reopen opens a log after whatever happened, checks it, and uses it once more.
func (p promise) reopen(fs vfs.FS, cfg Config) (frames int, err error) {
	j, err := Open(fs, "log", cfg)
	if err != nil {
		return 0, err
	}
	defer j.Abort()
	if frames, err = p.check(j); err != nil {
		return frames, err
	}
	l := &ledger{}
	l.acked.Store(j.Last().Seq)
	l.trimmed.Store(p.trimmed)
	if err := l.append(j, 2); err != nil {
		return frames, err
	}
	if err := j.Close(); err != nil {
		return frames, err
	}
	again, err := Open(fs, "log", cfg)
	if err != nil {
		return frames, fmt.Errorf("after a clean stop: %w", err)
	}
	defer again.Abort()
	if again.Epoch() != j.Epoch()+1 {
		return frames, fmt.Errorf("epoch %d after %d", again.Epoch(), j.Epoch())
	}
	_, err = l.promise().check(again)
	return frames, err
}

// workload does everything a journal can do, until something fails.
func (l *ledger) workload(fs vfs.FS, cfg Config) error {
	j, err := Open(fs, "log", cfg)
	if err != nil {
		return err
	}
	defer j.Abort()
	if err := l.append(j, 12); err != nil {
		return err
	}
	if err := j.PutSnapshot(j.Last(), bodyOf(j.Last().Seq)); err != nil {
		return err
	}
	if err := l.append(j, 10); err != nil {
		return err
	}
	if err := j.Close(); err != nil {
		return err
	}
	if j, err = Open(fs, "log", cfg); err != nil {
		return err
	}
	defer j.Abort()
	if err := l.append(j, 8); err != nil {
		return err
	}
	for range 2 {
		if err := j.PutSnapshot(j.Last(), bodyOf(j.Last().Seq)); err != nil {
			return err
		}
		if err := l.append(j, 5); err != nil {
			return err
		}
	}
	l.trimmed.Store(j.Last().Seq - 12)
	if err := j.Trim(j.Last().Seq - 12); err != nil {
		return err
	}
	if err := l.append(j, 5); err != nil {
		return err
	}
	j.Abort()
	if j, err = Open(fs, "log", cfg); err != nil {
		return err
	}
	defer j.Abort()
	return errors.Join(l.append(j, 5), j.Close())
}

// bodyOf writes the snapshot that the tests put at a sequence.
func bodyOf(seq uint64) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(payload(seq, 1500))
		return err
	}
}

// checkSnapshotBodies reads every snapshot.
func checkSnapshotBodies(j *Journal) (int, error) {
	infos, err := j.Snapshots()
	if err != nil {
		return 0, err
	}
	for _, s := range infos {
		r, err := j.OpenSnapshot(s.Position.Seq)
		if err != nil {
			return 0, err
		}
		b, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(b, payload(s.Position.Seq, 1500)) || s.Bytes != 1500 {
			return 0, fmt.Errorf("snapshot %d is not what was put: %v", s.Position.Seq, err)
		}
		if err := r.Close(); err != nil {
			return 0, err
		}
	}
	return len(infos), nil
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func mustOpen(t testing.TB, fs vfs.FS, cfg Config) *Journal {
	t.Helper()
	j, err := Open(fs, "log", cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(j.Abort)
	return j
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
