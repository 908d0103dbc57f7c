package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"holdfast/internal/vfs"
)

// appender writes frames. One goroutine at a time uses it; the mutex only keeps
// Close and Abort from closing the file under a write.
type appender struct {
	fs    vfs.FS
	dir   string
	cfg   Config
	cat   *catalog
	ahead *ahead
	hash  *hasher
	epoch uint64

	mu  sync.Mutex // guards what follows
	cur current
	at  Position
	buf []byte
	err error // sticky: after it nothing is written any more
}

// current is the segment that is being written.
type current struct {
	file vfs.File
	head segmentHeader
	off  int64 // where the next frame goes
}

// append makes a data frame durable.
func (a *appender) append(first uint64, count int, payload []byte) (Position, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return Position{}, a.err
	}
	err := a.checkLocked(first, count, payload)
	if err == nil {
		err = a.writeLocked(frameHeader{kind: kindData, first: first, count: uint32(count)}, payload)
	}
	if err != nil {
		a.err = fmt.Errorf("journal: append of sequence %d: %w", first, err)
		return Position{}, a.err
	}
	return a.at, nil
}

// checkLocked refuses what could not be read back.
func (a *appender) checkLocked(first uint64, count int, payload []byte) error {
	switch {
	case first != a.at.Seq+1:
		return fmt.Errorf("the log ends with %d", a.at.Seq)
	case count < 1 || uint64(count) > 1<<31:
		return fmt.Errorf("a frame of %d events", count)
	case len(payload) > a.cfg.MaxFrameBytes:
		return fmt.Errorf("a payload of %d bytes, more than MaxFrameBytes %d", len(payload), a.cfg.MaxFrameBytes)
	}
	return nil
}

// controlLocked writes a start or seal frame.
func (a *appender) controlLocked(k kind) error {
	return a.writeLocked(frameHeader{kind: k, first: a.at.Seq + 1}, nil)
}

// writeLocked is the one place where frames reach the disk: one write and one
// fdatasync, with the hash computed beside them. The next segment is taken into
// use first if the frame and a seal do not both fit into what is left.
func (a *appender) writeLocked(h frameHeader, payload []byte) error {
	need := roundUp(frameHeaderBytes+int64(len(payload)), a.cur.head.block)
	if h.kind != kindSeal && a.cur.off+need+a.cur.head.block > a.cur.head.size {
		if err := a.rollLocked(); err != nil {
			return fmt.Errorf("next segment: %w", err)
		}
		need = roundUp(frameHeaderBytes+int64(len(payload)), a.cur.head.block)
	}
	h.version, h.logID, h.epoch, h.prevHash = version, a.at.LogID, a.epoch, a.at.Hash
	h.length = uint32(len(payload))
	a.buf = grown(a.buf, int(need))
	frame := a.buf
	h.put(frame)
	a.hash.begin(payload)
	copyPayload(frame, payload)
	sealChecksum(frame, a.cur.head.salt, a.cur.off)
	_, err := a.cur.file.WriteAt(frame, a.cur.off)
	if err == nil {
		err = a.cur.file.Datasync()
	}
	sum := a.hash.end(frame)
	if err != nil {
		return err
	}
	// The frame is durable.
	a.cur.off += need
	if h.kind == kindData {
		a.at = Position{LogID: h.logID, Epoch: h.epoch, Seq: h.first + uint64(h.count) - 1, Hash: sum}
	}
	a.cat.publish(a.at, a.cur.off)
	a.ahead.progress(a.cur.head.index, a.cur.off, a.cur.head.size-a.cur.off)
	return nil
}

// rollLocked takes the next segment into use. Every frame of the one before is
// durable by now. A crash in between leaves a temporary file, or a segment
// without frames.
func (a *appender) rollLocked() error {
	file, err := a.ahead.take()
	if err != nil {
		return err
	}
	head := segmentHeader{
		block: int64(a.cfg.BlockBytes), logID: a.at.LogID, size: a.cfg.SegmentBytes, index: a.cur.head.index + 1,
		epoch: a.epoch, lastEpoch: a.at.Epoch, first: a.at.Seq + 1, prevHash: a.at.Hash,
	}
	err = func() error {
		if head.salt, err = newSalt(a.cfg.Entropy); err != nil {
			return err
		}
		if _, err := file.WriteAt(head.encode(), 0); err != nil {
			return err
		}
		if err := file.Datasync(); err != nil {
			return err
		}
		return adopt(a.fs, a.dir, head.index)
	}()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	old := a.cur.file
	a.cur = current{file: file, head: head, off: head.block}
	a.cat.roll(segment{index: head.index, first: head.first}, head.block)
	return old.Close()
}

// newSalt draws the salt of a segment.
func newSalt(entropy io.Reader) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(entropy, b[:]); err != nil {
		return 0, fmt.Errorf("entropy: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// finish ends the writing, once: with a seal if clean, else as a crash would.
// It gives the sticky error, if there was one before, and then releases the lock.
func (a *appender) finish(clean bool, lock io.Closer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(a.err, ErrClosed) {
		return nil
	}
	err := a.err
	clean = clean && err == nil
	if clean {
		err = a.controlLocked(kindSeal)
	}
	a.err = ErrClosed
	a.ahead.stop(clean)
	a.hash.stop()
	return errors.Join(err, a.cur.file.Close(), lock.Close())
}
