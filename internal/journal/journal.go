// Package journal is the log of one machine: frames of opaque bytes, each
// durable before Append returns, in segment files of one directory.
//
// The segments are authoritative; a snapshot only shortens the replay. One
// frame is one write and one fdatasync, and there is never a second frame that
// is not yet synced. So after a crash at most the last frame can be damaged,
// and it was never acknowledged: recovery drops it. Every other damage is
// corruption, and Open refuses to start. What cannot be told apart: damage to
// the very last frame of a log that was not closed looks like a torn write.
//
// After an error of a write or a sync the journal is at its end: the state of
// the disk is unknown, nothing is retried, and only Open finds out.
//
// Assumed of the disk: a sync that returns has reached stable storage; a block
// that was synced and is not written again keeps its bytes, or their checksum
// tells; a rename is atomic.
package journal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"holdfast/internal/vfs"
)

// Position is a place in a log: just after one of its data frames.
type Position struct {
	LogID [16]byte // of the log, made at random with it
	Epoch uint64   // of the writer of the frame that ends here; 0 if Seq is 0
	Seq   uint64   // of the last event; 0 at the start of the log
	Hash  [32]byte // of the frame that ends here; zero if Seq is 0
}

// Frame is one durable batch.
type Frame struct {
	Epoch   uint64   // of the writer
	First   uint64   // sequence of the first event
	Count   int      // number of events, at least 1
	Payload []byte   // as given to Append
	Hash    [32]byte // SHA-256 over the frame, which holds the hash of the one before
}

// Last is the sequence of the last event in the frame.
func (f Frame) Last() uint64 { return f.First + uint64(f.Count) - 1 }

// Journal is an open log. Append, Close and Abort are for one goroutine at a
// time; every other method may be called by any, also beside Append. It must be
// closed. After an error of Append only Close or Abort is left to do; readers
// keep working on what was durable before.
type Journal struct {
	fs   vfs.FS
	dir  string
	cfg  Config
	lock io.Closer
	cat  *catalog
	app  *appender

	trim sync.Mutex // one Trim at a time
	snap sync.Mutex // one PutSnapshot at a time
}

// Open takes the directory, recovers the log in it, and begins a new epoch, one
// more than the last. It makes what is missing: the directory, and the log if
// there is neither segment nor snapshot. When it returns, everything it found
// and kept is durable: after an unclean stop it has rewritten the tail.
//
// Errors: ErrInUse, ErrVersion (another format), ErrCorrupt (see CorruptError),
// or what the file system says. None of them changes what is confirmed, and
// calling Open again is safe.
func Open(fsys vfs.FS, dir string, cfg Config) (*Journal, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	j := &Journal{fs: fsys, dir: dir, cfg: cfg, lock: lock}
	if err := j.recover(); err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	return j, nil
}

// Append writes one frame of count events, the first of which has the sequence
// first: one more than Last().Seq, 1 in a new log. It returns when the frame is
// durable, with the new end of the log. The payload may be reused afterwards.
//
// Any error is final, a refused argument too: whether the frame is durable is
// unknown, and every later call fails with the same error.
func (j *Journal) Append(first uint64, count int, payload []byte) (Position, error) {
	return j.app.append(first, count, payload)
}

// Last is the durable end of the log. Its epoch is that of the last frame, and
// so is older than Epoch until something is appended: the same place in the log
// is the same Position before and after a restart.
func (j *Journal) Last() Position { return j.cat.last() }

// Epoch is the number of this opening of the log, from 1. Never used twice.
func (j *Journal) Epoch() uint64 { return j.app.epoch }

// First is the oldest sequence that Read can still give, 0 if there is none.
func (j *Journal) First() uint64 { return j.cat.oldest() }

// Room is nil while everything that PendingBytes allows can surely be appended.
// Else it matches ErrNoRoom and wraps the cause: the next segment is not
// prepared (mostly: the disk is full), and the current one is nearly used up.
// Attempts to prepare it go on. It costs one atomic load.
func (j *Journal) Room() error { return j.app.ahead.room() }

// Trim removes the oldest segments whose every frame is before a sequence,
// never the current one. Durable when it returns; a crash leaves some of them.
// The caller sees to it that snapshots and mirror need none of them; the older
// of the two snapshots too.
func (j *Journal) Trim(before uint64) error {
	j.trim.Lock()
	defer j.trim.Unlock()
	for {
		s, ok := j.cat.drop(before)
		if !ok {
			return nil
		}
		if err := j.fs.Remove(segmentPath(j.dir, s.index)); err != nil {
			return fmt.Errorf("journal: trim: %w", err)
		}
		// One by one: removals that became durable in another order would leave
		// a gap, which Open takes for corruption.
		if err := j.fs.SyncDir(j.dir); err != nil {
			return fmt.Errorf("journal: trim: %w", err)
		}
	}
}

// Close seals the log, so that the next Open can tell that nothing is missing,
// and releases the directory. Readers stay usable. A second call does nothing.
// After an error of Append it writes no seal and returns that error.
func (j *Journal) Close() error {
	if err := j.app.finish(true, j.lock); err != nil {
		return fmt.Errorf("journal: close: %w", err)
	}
	return nil
}

// Abort lets go of everything as a crash would, without a seal. For an engine
// that has failed, and for tests.
func (j *Journal) Abort() {
	_ = j.app.finish(false, j.lock) // says nothing about the log, which is left as it is
}
