// Package memlog is a log in memory: the simplest thing that keeps the promises of engine.Log, for tests that need no
// disk, run under a fake clock, or want to hold back or fail a sync. Nothing of it survives the process.
package memlog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"holdfast/engine"
)

// Log keeps frames and snapshots. It is safe for concurrent use as engine.Log demands.
type Log struct {
	mu        sync.Mutex // guards what follows
	frames    []engine.Frame
	snapshots []snapshot // oldest first
	epoch     uint64
	last      engine.Position
	first     uint64
	open      bool
	failed    error
	hidden    *engine.Frame // took effect, but its Append failed: shown from the next opening on

	// Gate, if not nil, runs before each Append takes effect: it may wait, or return an error that fails the log
	// without the frame. Late is the same with it: the frame is there when the log is opened again.
	// Set them before the log is used.
	Gate, Late func(first uint64, count int) error
	// Full, if not nil, is what Room says.
	Full func() error
}

type snapshot struct {
	at   engine.Position
	data []byte
}

// New gives an empty log, open for its first epoch.
func New() *Log {
	l := &Log{}
	l.last.LogID = [16]byte{'m', 'e', 'm'}
	return l.Reopen()
}

// Reopen opens the log again as a new process would after the last one closed or aborted it. What failed is forgotten.
func (l *Log) Reopen() *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch++
	l.open, l.failed = true, nil
	if l.hidden != nil {
		l.addLocked(*l.hidden)
		l.hidden = nil
	}
	return l
}

// Append implements engine.Log.
func (l *Log) Append(first uint64, count int, payload []byte) (engine.Position, error) {
	if l.Gate != nil {
		if err := l.Gate(first, count); err != nil {
			return l.fail(err, nil)
		}
	}
	l.mu.Lock()
	epoch, err := l.epoch, l.checkLocked(first, count)
	l.mu.Unlock()
	if err != nil {
		return l.fail(err, nil)
	}
	f := engine.Frame{Epoch: epoch, First: first, Count: count, Payload: bytes.Clone(payload)}
	if l.Late != nil {
		if err := l.Late(first, count); err != nil {
			return l.fail(err, &f)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addLocked(f)
	return l.last, nil
}

// checkLocked says why a frame cannot be appended.
func (l *Log) checkLocked(first uint64, count int) error {
	switch {
	case l.failed != nil:
		return l.failed
	case !l.open:
		return errors.New("memlog: append to a closed log")
	case first != l.last.Seq+1 || count < 1:
		return fmt.Errorf("memlog: append %d events at %d after %d", count, first, l.last.Seq)
	}
	return nil
}

// fail makes an error of Append final.
func (l *Log) fail(err error, took *engine.Frame) (engine.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed, l.hidden = err, took
	}
	return engine.Position{}, l.failed
}

func (l *Log) addLocked(f engine.Frame) {
	if l.first == 0 {
		l.first = f.First
	}
	l.last.Seq, l.last.Epoch = f.Last(), f.Epoch
	l.last.Hash = sha256.Sum256(append(l.last.Hash[:], f.Payload...))
	f.Hash = l.last.Hash
	l.frames = append(l.frames, f)
}

// Room implements engine.Log.
func (l *Log) Room() error {
	if l.Full != nil {
		return l.Full()
	}
	return nil
}

// Last implements engine.Log.
func (l *Log) Last() engine.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Epoch implements engine.Log.
func (l *Log) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// First implements engine.Log.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// Read implements engine.Log.
func (l *Log) Read(after uint64) (engine.Reader, error) {
	if after+1 < l.First() {
		return nil, fmt.Errorf("memlog: the log begins at %d: %w", l.First(), engine.ErrTrimmed)
	}
	return &reader{l, after}, nil
}

type reader struct {
	log   *Log
	after uint64
}

func (r *reader) Next() (engine.Frame, error) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	i, _ := slices.BinarySearchFunc(r.log.frames, r.after+1, func(f engine.Frame, seq uint64) int {
		if f.Last() < seq {
			return -1
		}
		return 1
	})
	if i == len(r.log.frames) {
		return engine.Frame{}, io.EOF
	}
	f := r.log.frames[i]
	if f.First > r.after+1 {
		return engine.Frame{}, fmt.Errorf("memlog: the log begins at %d: %w", f.First, engine.ErrTrimmed)
	}
	r.after = f.Last()
	return f, nil
}

func (r *reader) Close() error { return nil }

// Trim implements engine.Log; every frame is a segment of its own.
func (l *Log) Trim(before uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.frames) > 1 && l.frames[0].Last() < before {
		l.frames = l.frames[1:]
		l.first = l.frames[0].First
	}
	return nil
}

// PutSnapshot implements engine.Log.
func (l *Log) PutSnapshot(at engine.Position, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := len(l.snapshots); {
	case at.LogID != l.last.LogID || at.Seq > l.last.Seq:
		return fmt.Errorf("memlog: a snapshot at %d of a log that ends at %d", at.Seq, l.last.Seq)
	case n > 0 && at.Seq < l.snapshots[n-1].at.Seq:
		return fmt.Errorf("memlog: a snapshot at %d after one at %d", at.Seq, l.snapshots[n-1].at.Seq)
	case n > 0 && at.Seq == l.snapshots[n-1].at.Seq:
		l.snapshots = l.snapshots[:n-1]
	}
	l.snapshots = append(l.snapshots, snapshot{at, b.Bytes()})
	if len(l.snapshots) > 2 {
		l.snapshots = l.snapshots[1:]
	}
	return nil
}

// Snapshots implements engine.Log.
func (l *Log) Snapshots() ([]engine.SnapshotInfo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var infos []engine.SnapshotInfo
	for _, s := range slices.Backward(l.snapshots) {
		infos = append(infos, engine.SnapshotInfo{Position: s.at, Bytes: int64(len(s.data))})
	}
	return infos, nil
}

// OpenSnapshot implements engine.Log.
func (l *Log) OpenSnapshot(seq uint64) (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.snapshots {
		if s.at.Seq == seq {
			return io.NopCloser(bytes.NewReader(s.data)), nil
		}
	}
	return nil, fmt.Errorf("memlog: no snapshot at %d", seq)
}

// Close implements engine.Log.
func (l *Log) Close() error {
	l.Abort()
	return nil
}

// Abort implements engine.Log.
func (l *Log) Abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = false
}
