package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"holdfast/internal/vfs"
)

const (
	lockName       = "LOCK"
	segmentSuffix  = ".seg"
	snapshotSuffix = ".snap"
	tempSuffix     = ".tmp"

	// fillChunk is how many zeros are written and synced at once.
	fillChunk = 1 << 20
)

func segmentPath(dir string, index uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%010d%s", index, segmentSuffix))
}

// segment is one segment file that has its name.
type segment struct {
	index uint64
	first uint64 // sequence of the first event in it, or to come
}

// catalog is what readers need to know of the log: which segments there are,
// and how far they are durable. Any goroutine may use it.
type catalog struct {
	mu      sync.Mutex // guards what follows
	segs    []segment  // oldest first; the last one is being written
	end     Position   // the last durable data frame
	durable int64      // where the durable frames of the last segment end, in bytes
}

// publish says that the last segment is durable up to an offset.
func (c *catalog) publish(end Position, off int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end, c.durable = end, off
}

// roll adds a segment whose frames begin at off.
func (c *catalog) roll(s segment, off int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.segs, c.durable = append(c.segs, s), off
}

func (c *catalog) last() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// oldest is the first sequence that can be read, 0 if there is none.
func (c *catalog) oldest() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return oldest(c.segs, c.end)
}

func oldest(segs []segment, end Position) uint64 {
	if len(segs) == 0 || end.Seq < segs[0].first {
		return 0
	}
	return segs[0].first
}

// drop takes the oldest segment out if all its frames are before a sequence.
func (c *catalog) drop(before uint64) (segment, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.segs) < 2 || c.segs[1].first > before {
		return segment{}, false
	}
	s := c.segs[0]
	c.segs = append([]segment(nil), c.segs[1:]...)
	return s, true
}

// holding gives the segment in which to look for a sequence.
func (c *catalog) holding(seq uint64) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return holding(c.segs, seq)
}

func holding(segs []segment, seq uint64) (uint64, error) {
	for i := len(segs) - 1; i >= 0; i-- {
		if segs[i].first <= seq {
			return segs[i].index, nil
		}
	}
	return 0, fmt.Errorf("%w: sequence %d is before the oldest segment", ErrTrimmed, seq)
}

// extent implements source.
func (c *catalog) extent(index uint64) (extent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index == c.segs[len(c.segs)-1].index {
		return extent{limit: c.durable, exact: true}, nil
	}
	return extent{limit: wholeFile, final: true}, nil
}

// plant makes a segment file under a temporary name, durable before it gets its
// own: the header, then the frames of old (nil for none), then zeros. It takes
// the place of a segment with that index. The file comes back open for writing.
// After an error there is no temporary file: on a full disk it would hold the
// room that others need.
func plant(fsys vfs.FS, dir string, head segmentHeader, old *walker) (f vfs.File, err error) {
	path := segmentPath(dir, head.index)
	if f, err = fsys.Create(path + tempSuffix); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
			if gone := fsys.Remove(path + tempSuffix); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}()
	if _, err = f.WriteAt(head.encode(), 0); err != nil {
		return f, err
	}
	filled := head.block
	if old != nil {
		if filled, err = copyFrames(f, old); err != nil {
			return f, err
		}
	}
	zeros := make([]byte, min(fillChunk, head.size))
	for filled < head.size {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), head.size-filled)], filled)
		if err != nil {
			return f, err
		}
		filled += int64(n)
	}
	if err = f.Sync(); err != nil {
		return f, err
	}
	return f, adopt(fsys, dir, head.index)
}

// copyFrames copies the frames that a walker has passed, each to its old place,
// and gives the offset of their end.
func copyFrames(to vfs.File, old *walker) (int64, error) {
	buf := make([]byte, fillChunk)
	off := old.head.block
	for off < old.off {
		n, err := old.file.ReadAt(buf[:min(int64(len(buf)), old.off-off)], off)
		if err != nil && !(errors.Is(err, io.EOF) && n > 0) {
			return 0, err
		}
		if _, err := to.WriteAt(buf[:n], off); err != nil {
			return 0, err
		}
		off += int64(n)
	}
	return off, nil
}

// adopt gives a segment file, whose bytes are durable, its name. Durable when
// it returns; atomic.
func adopt(fsys vfs.FS, dir string, index uint64) error {
	path := segmentPath(dir, index)
	if err := fsys.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// listing is what a directory holds, by kind, each sorted by name.
type listing struct {
	segments, snapshots, temps []string
}

// equal tells whether two listings have the same segments and snapshots.
func (l listing) equal(o listing) bool {
	return slices.Equal(l.segments, o.segments) && slices.Equal(l.snapshots, o.snapshots)
}

// list sorts the files of a directory out. It passes over what is not ours.
func list(fsys vfs.FS, dir string) (l listing, err error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return l, err
	}
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, segmentSuffix):
			l.segments = append(l.segments, name)
		case strings.HasSuffix(name, snapshotSuffix):
			l.snapshots = append(l.snapshots, name)
		case strings.HasSuffix(name, segmentSuffix+tempSuffix), strings.HasSuffix(name, snapshotSuffix+tempSuffix):
			l.temps = append(l.temps, name)
		}
	}
	return l, nil
}
