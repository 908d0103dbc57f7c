// Package memlog is a log in memory: the simplest thing that keeps the promises of engine.Log, for tests that need no
// disk, run under a fake clock, or want to hold back or fail a sync. Nothing of it survives the process.
package memlog

import (
	"bytes"
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

	// Gate, if not nil, runs before each Append takes effect: it may wait, or return an error that fails the log.
	// Set it before the log is used.
	Gate func(first uint64, count int) error
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
	return l
}

// Append implements engine.Log.
func (l *Log) Append(first uint64, count int, payload []byte) (engine.Position, error) {
	if l.Gate != nil {
		if err := l.Gate(first, count); err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.failed = err
			return l.last, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return l.last, l.failed
	case !l.open:
		return l.last, errors.New("memlog: append to a closed log")
	case first != l.last.Seq+1 || count < 1:
		return l.last, fmt.Errorf("memlog: append %d events at %d after %d", count, first, l.last.Seq)
	}
	if l.first == 0 {
		l.first = first
	}
	l.last.Seq, l.last.Epoch = first+uint64(count)-1, l.epoch
	l.last.Hash[0]++ // tells frames apart; nothing here can be damaged
	l.frames = append(l.frames, engine.Frame{
		Epoch: l.epoch, First: first, Count: count, Payload: bytes.Clone(payload), Hash: l.last.Hash,
	})
	return l.last, nil
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
		return nil, fmt.Errorf("memlog: the log begins at %d", l.First())
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
