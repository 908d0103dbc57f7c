package journal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"holdfast/internal/vfs"
)

// recovered is what a directory turned out to hold.
type recovered struct {
	segs    []segment
	tail    *walker // at the end of the last segment; nil for an empty directory
	garbage int64   // bytes after the end of the log that are not zero
}

// opener opens a segment for reading.
type opener func(path string) (*walker, error)

func (j *Journal) open(path string) (*walker, error) { return openWalker(j.fs, path) }

// recover finds the end of the log, makes it durable, and begins an epoch. If it
// fails it has released the lock.
func (j *Journal) recover() error {
	r, err := j.inspect()
	if err != nil {
		return errors.Join(err, j.lock.Close())
	}
	cur, err := j.settle(&r)
	at, epoch := Position{LogID: cur.head.logID}, uint64(1)
	if r.tail != nil {
		at, epoch = r.tail.at, r.tail.epoch+1
		err = errors.Join(err, r.tail.close())
	}
	if err != nil {
		if cur.file != nil {
			err = errors.Join(err, cur.file.Close())
		}
		return errors.Join(err, j.lock.Close())
	}
	return j.begin(r.segs, cur, at, epoch)
}

// inspect removes what a crash left unfinished, and looks at the rest.
func (j *Journal) inspect() (r recovered, err error) {
	found, err := list(j.fs, j.dir)
	if err != nil {
		return r, err
	}
	if r, err = inspect(j.open, j.dir, found, false); err != nil {
		return r, err
	}
	if r.tail != nil {
		if err := checkSnapshots(j.fs, j.dir, found.snapshots, r.tail.at, j.cfg.Logger); err != nil {
			return r, errors.Join(err, r.tail.close())
		}
	}
	for _, name := range found.temps {
		if err := j.fs.Remove(filepath.Join(j.dir, name)); err != nil {
			if r.tail != nil {
				err = errors.Join(err, r.tail.close())
			}
			return r, err
		}
	}
	return r, nil
}

// settle makes sure that the tail is on the disk, and not only in the page
// cache of a kernel that once failed to write it, and opens it for writing.
func (j *Journal) settle(r *recovered) (current, error) {
	if r.tail == nil {
		head, err := j.newLog()
		if err != nil {
			return current{}, err
		}
		r.segs = []segment{{index: head.index, first: head.first}}
		f, err := plant(j.fs, j.dir, head, nil)
		return current{file: f, head: head, off: head.block}, err
	}
	head, off := r.tail.head, r.tail.off
	if r.tail.sealed && r.garbage == 0 {
		f, err := j.reseal(r.tail)
		return current{file: f, head: head, off: off}, err
	}
	j.cfg.Logger.Info("journal: not closed; rewriting the tail", "segment", head.index,
		"seq", r.tail.at.Seq, "bytes", off, "dropped_bytes", r.garbage)
	f, err := plant(j.fs, j.dir, head, r.tail)
	return current{file: f, head: head, off: off}, err
}

// newLog gives the header of the first segment of a new log.
func (j *Journal) newLog() (head segmentHeader, err error) {
	head = segmentHeader{block: int64(j.cfg.BlockBytes), size: j.cfg.SegmentBytes, index: 1, epoch: 1, first: 1}
	if _, err = io.ReadFull(j.cfg.Entropy, head.logID[:]); err != nil {
		return head, fmt.Errorf("entropy: %w", err)
	}
	head.salt, err = newSalt(j.cfg.Entropy)
	return head, err
}

// reseal writes the seal again and syncs it. Every frame before it was synced
// before it was written; the seal itself may be one whose sync failed.
func (j *Journal) reseal(tail *walker) (f vfs.File, err error) {
	if f, err = j.fs.OpenFile(tail.path, vfs.ReadWrite); err != nil {
		return nil, err
	}
	seal := make([]byte, tail.head.block)
	at := tail.off - tail.head.block
	if _, err = f.ReadAt(seal, at); err != nil && !errors.Is(err, io.EOF) {
		return f, err
	}
	if _, err = f.WriteAt(seal, at); err != nil {
		return f, err
	}
	return f, f.Datasync()
}

// begin starts the writer and makes the new epoch durable.
func (j *Journal) begin(segs []segment, cur current, at Position, epoch uint64) error {
	j.cat = &catalog{segs: segs, end: at, durable: cur.off}
	a := &appender{
		fs: j.fs, dir: j.dir, cfg: j.cfg, cat: j.cat, epoch: epoch, cur: cur, at: at,
		ahead: newAhead(j.fs, j.dir, j.cfg), hash: newHasher(),
		buf: make([]byte, roundUp(frameHeaderBytes+int64(j.cfg.MaxFrameBytes), maxBlock)),
	}
	j.app = a
	a.ahead.progress(cur.head.index, cur.off, cur.head.size-cur.off)
	a.mu.Lock()
	err := a.controlLocked(kindStart)
	a.mu.Unlock()
	if err != nil {
		return errors.Join(err, a.finish(false, j.lock))
	}
	return nil
}

// inspect finds the end of the log in a directory and checks everything that
// does not need a read of all segments: readers check the older ones as they
// pass. If live, a writer may be at work, and the last frame half written.
func inspect(open opener, dir string, found listing, live bool) (r recovered, err error) {
	var heads []segmentHeader
	for _, name := range found.segments {
		head, err := inspectHeader(open, dir, name, heads)
		if err != nil {
			return r, err
		}
		heads = append(heads, head)
		r.segs = append(r.segs, segment{index: head.index, first: head.first})
	}
	if len(heads) == 0 {
		if len(found.snapshots) > 0 {
			return r, &CorruptError{File: filepath.Join(dir, found.snapshots[0]), Reason: "there is a snapshot, and no log"}
		}
		return r, nil
	}
	if r.tail, err = open(segmentPath(dir, heads[len(heads)-1].index)); err != nil {
		return r, err
	}
	r.garbage, err = r.tail.toEnd(live)
	if err == nil && len(heads) > 1 && r.tail.at.Seq+1 == r.tail.head.first {
		err = inspectBefore(open, segmentPath(dir, heads[len(heads)-2].index), r.tail.head)
	}
	if err != nil {
		return recovered{}, errors.Join(err, r.tail.close())
	}
	return r, nil
}

// inspectHeader reads the header of a segment, which must follow those before.
func inspectHeader(open opener, dir, name string, before []segmentHeader) (segmentHeader, error) {
	path := filepath.Join(dir, name)
	w, err := open(path)
	if err != nil {
		return segmentHeader{}, err
	}
	if err := w.close(); err != nil {
		return segmentHeader{}, err
	}
	wrong := func(format string, args ...any) (segmentHeader, error) {
		return w.head, &CorruptError{File: path, Reason: fmt.Sprintf(format, args...)}
	}
	if want := filepath.Base(segmentPath(dir, w.head.index)); name != want {
		return wrong("its header says that this is %s", want)
	}
	if len(before) == 0 {
		return w.head, nil
	}
	last := before[len(before)-1]
	switch {
	case w.head.logID != last.logID:
		return wrong("the segment belongs to log %x, the one before to log %x", w.head.logID, last.logID)
	case w.head.index != last.index+1:
		return wrong("segment %d is missing", last.index+1)
	case w.head.first < last.first || w.head.epoch < last.epoch:
		return wrong("the segment is older than the one before")
	}
	return w.head, nil
}

// inspectBefore checks that the segment before one without data frames ends
// where that one begins: a loss there would otherwise show only in a replay.
func inspectBefore(open opener, path string, next segmentHeader) error {
	w, err := open(path)
	if err != nil {
		return err
	}
	for err == nil {
		_, _, err = w.next(wholeFile)
	}
	if bad := (*badFrame)(nil); errors.As(err, &bad) {
		err = w.corrupt(bad.reason + ", and a later segment exists")
	} else if errors.Is(err, errEnd) {
		err = nil
		if reason := w.link(next); reason != "" {
			err = w.corrupt("the frames of the segment end here; the next one does not follow: " + reason)
		}
	}
	return errors.Join(err, w.close())
}

// toEnd walks to the end of the last segment, and tells a torn tail (of
// garbage bytes) from corruption. If live, what looks like corruption is looked
// at again: a frame that was half written at the first look is whole when a
// later one is.
func (w *walker) toEnd(live bool) (garbage int64, err error) {
	for {
		for err == nil {
			_, _, err = w.next(wholeFile)
		}
		reason := "there is no frame here"
		if bad := (*badFrame)(nil); errors.As(err, &bad) {
			if reason = bad.reason; bad.whole {
				return 0, w.corrupt(reason)
			}
		} else if !errors.Is(err, errEnd) {
			return 0, err
		}
		var frameAt int64
		if frameAt, garbage, err = w.beyond(); err != nil || frameAt == 0 {
			return garbage, err
		}
		// The error above made the walker forget what it had read ahead: this is a new look at the file.
		if _, _, err = w.next(wholeFile); err != nil || !live {
			return 0, w.corrupt(fmt.Sprintf("%s, and a whole frame follows at byte %d: acknowledged frames would be lost", reason, frameAt))
		}
	}
}
