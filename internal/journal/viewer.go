package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"holdfast/internal/vfs"
)

// Viewer looks at the directory of a log without taking it or changing it, also
// while a Journal writes to it. It shows only what is durable: before it gives
// anything that it has read, it syncs the file that it read it from. Any
// goroutine may call its methods. It holds nothing open.
type Viewer struct {
	fs     vfs.FS
	dir    string
	cfg    Config
	report Report
}

// Report is what a Viewer found when it was opened.
type Report struct {
	Segments     int
	SegmentBytes int64 // of all segment files
	First        uint64
	Last         Position
	// Sealed tells that the log was closed, and nothing has been written since.
	Sealed bool
	// TornBytes counts the bytes after the last whole frame up to the last one
	// that is not zero: what recovery would drop. While a Journal is open it may
	// be the frame that is just being written.
	TornBytes int64
}

// OpenReadOnly opens a directory for looking at it. It fails as Open would on a
// log that is corrupt or of another version, and with fs.ErrNotExist if there
// is no log. Of cfg it uses the Logger only.
func OpenReadOnly(fsys vfs.FS, dir string, cfg Config) (*Viewer, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	v := &Viewer{fs: fsys, dir: dir, cfg: cfg}
	var err error
	if v.report, err = v.look(); err != nil {
		return nil, fmt.Errorf("journal: open to read: %w", err)
	}
	return v, nil
}

// Report is what was found when the Viewer was opened.
func (v *Viewer) Report() Report { return v.report }

// First is the oldest sequence there was when the Viewer was opened, 0 for none.
func (v *Viewer) First() uint64 { return v.report.First }

// Last is the durable end of the log when the Viewer was opened. A Reader goes
// further if the log has.
func (v *Viewer) Last() Position { return v.report.Last }

// Read is as Journal.Read.
func (v *Viewer) Read(after uint64) (*Reader, error) { return newReader(viewerSource{v}, after) }

// Snapshots is as Journal.Snapshots.
func (v *Viewer) Snapshots() ([]SnapshotInfo, error) { return listSnapshots(v.fs, v.dir) }

// OpenSnapshot is as Journal.OpenSnapshot.
func (v *Viewer) OpenSnapshot(seq uint64) (io.ReadCloser, error) {
	return openSnapshot(v.fs, v.dir, seq)
}

// look inspects the directory. A Trim beside it takes files away between the
// listing and the look; then it lists again.
func (v *Viewer) look() (Report, error) {
	for {
		found, err := list(v.fs, v.dir)
		if err != nil {
			return Report{}, err
		}
		if len(found.segments) == 0 && len(found.snapshots) == 0 {
			return Report{}, fmt.Errorf("%s: no log here: %w", v.dir, fs.ErrNotExist)
		}
		r, err := inspect(v.open, v.dir, found, true)
		if err == nil {
			err = errors.Join(checkSnapshots(v.fs, v.dir, found.snapshots, r.tail.at, v.cfg.Logger), r.tail.close())
		}
		if err == nil {
			return v.describe(r)
		}
		again, listErr := list(v.fs, v.dir)
		if listErr != nil || again.equal(found) {
			return Report{}, err
		}
	}
}

func (v *Viewer) describe(r recovered) (Report, error) {
	rep := Report{
		Segments: len(r.segs), First: oldest(r.segs, r.tail.at), Last: r.tail.at,
		Sealed: r.tail.sealed && r.garbage == 0, TornBytes: r.garbage,
	}
	for _, s := range r.segs {
		size, err := v.fs.Stat(segmentPath(v.dir, s.index))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return rep, err
		}
		rep.SegmentBytes += size
	}
	return rep, nil
}

func (v *Viewer) open(path string) (*walker, error) { return newWalker(viewedFile{v.fs, path}, path) }

// viewerSource is the source of a Viewer's readers. It looks at the directory
// each time it is asked.
type viewerSource struct{ v *Viewer }

func (s viewerSource) open(index uint64) (*walker, error) {
	return s.v.open(segmentPath(s.v.dir, index))
}

// holding reads headers from the newest segment back.
func (s viewerSource) holding(seq uint64) (uint64, error) {
	found, err := list(s.v.fs, s.v.dir)
	if err != nil {
		return 0, err
	}
	var segs []segment
	for _, name := range found.segments {
		w, err := s.v.open(filepath.Join(s.v.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed since the listing
		}
		if err != nil {
			return 0, err
		}
		segs = append(segs, segment{index: w.head.index, first: w.head.first})
	}
	return holding(segs, seq)
}

// extent implements source. Of the last segment nothing is certain: a writer
// may be at work on it.
func (s viewerSource) extent(index uint64) (extent, error) {
	_, err := s.v.fs.Stat(segmentPath(s.v.dir, index+1))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return extent{}, err
	}
	return extent{limit: wholeFile, final: err == nil}, nil
}

// viewedFile reads a file that may be replaced by a copy of itself (recovery
// rewrites the tail) and that somebody else writes: it opens it for each read,
// and syncs it after, so that what was read is durable.
type viewedFile struct {
	fs   vfs.FS
	path string
}

// ReadAt implements readFile.
func (f viewedFile) ReadAt(p []byte, off int64) (n int, err error) {
	file, err := f.fs.OpenFile(f.path, vfs.ReadOnly)
	if err != nil {
		return 0, err
	}
	n, err = file.ReadAt(p, off)
	if synced := file.Datasync(); synced != nil {
		n, err = 0, synced
	}
	if closed := file.Close(); closed != nil {
		n, err = 0, closed
	}
	return n, err
}

// Size implements readFile.
func (f viewedFile) Size() (int64, error) { return f.fs.Stat(f.path) }

// Close implements readFile; there is nothing open.
func (f viewedFile) Close() error { return nil }
