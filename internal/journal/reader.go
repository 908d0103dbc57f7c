package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"holdfast/internal/vfs"
)

// wholeFile is the limit for a walker that may read all of its segment.
const wholeFile = math.MaxInt64

// extent says how far a segment may be read.
type extent struct {
	limit int64
	final bool // a later segment exists: nothing will be appended to this one
	exact bool // everything before limit is durable frames
}

// source tells a Reader what there is to read: the catalog of a Journal knows,
// a Viewer has to look.
type source interface {
	// holding gives the index of the segment in which to look for a sequence.
	holding(seq uint64) (uint64, error)
	// extent is asked again whenever a reader has come to the end.
	extent(index uint64) (extent, error)
	// open opens a segment.
	open(index uint64) (*walker, error)
}

// Reader gives the durable frames of a log in order, and checks each: its
// checksum, and that it follows from the one before. One goroutine at a time
// may use it; several Readers may work at once, beside Append. It must be
// closed. After an error other than io.EOF it gives the same error again.
type Reader struct {
	src   source
	after uint64
	index uint64
	walk  *walker
	ext   extent
	at    Position
	next  *Frame // read, and not yet given
	err   error
}

// newReader stands just before the first frame that ends after a sequence.
func newReader(src source, after uint64) (*Reader, error) {
	r, err := openReader(src, after)
	if err != nil {
		return nil, fmt.Errorf("journal: read after %d: %w", after, err)
	}
	return r, nil
}

func openReader(src source, after uint64) (*Reader, error) {
	index, err := src.holding(after + 1)
	if err != nil {
		return nil, err
	}
	r := &Reader{src: src, after: after, index: index}
	if r.walk, err = src.open(index); err != nil {
		return nil, trimmed(err)
	}
	r.at = r.walk.at
	switch f, err := r.scan(); {
	case err == nil:
		r.next = &f
	case !errors.Is(err, io.EOF):
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Position is where the reader stands: at the end of the frame before the one
// that Next gives. After Read(p.Seq) it equals p if p is a place in this log.
func (r *Reader) Position() Position { return r.at }

// Next gives the next durable frame, or io.EOF at the durable end: a later call
// gives what was appended meanwhile. The payload is valid until the next call.
// Damage is a *CorruptError; a reader that Trim has overtaken gets ErrTrimmed.
func (r *Reader) Next() (Frame, error) {
	if r.next != nil {
		f := *r.next
		r.next, r.at = nil, r.walk.at
		return f, nil
	}
	f, err := r.scan()
	if err == nil {
		r.at = r.walk.at
	}
	return f, err
}

// Close lets go of the file.
func (r *Reader) Close() error {
	if errors.Is(r.err, ErrClosed) {
		return nil
	}
	r.next, r.err = nil, ErrClosed
	return r.walk.close()
}

// scan reads on to the next data frame that the caller has not seen.
func (r *Reader) scan() (Frame, error) {
	for r.err == nil {
		f, k, err := r.step()
		switch {
		case errors.Is(err, io.EOF):
			return Frame{}, io.EOF
		case err != nil:
			r.err = trimmed(err)
		case k == kindData && f.Last() > r.after:
			return f, nil
		default:
			r.at = r.walk.at
		}
	}
	return Frame{}, r.err
}

// step reads the next frame of any kind, going on to the next segment at the
// end of one.
func (r *Reader) step() (Frame, kind, error) {
	for {
		f, k, err := r.walk.next(r.ext.limit)
		if err == nil {
			return f, k, nil
		}
		if bad := (*badFrame)(nil); errors.As(err, &bad) {
			if bad.whole || r.ext.final || r.ext.exact {
				return Frame{}, 0, r.walk.corrupt(bad.reason)
			}
		} else if !errors.Is(err, errEnd) {
			return Frame{}, 0, err
		}
		if r.ext.final {
			if err := r.advance(); err != nil {
				return Frame{}, 0, err
			}
			continue
		}
		// Asked before the second look at the file: if there is a later segment
		// now, the second look sees all of this one.
		was := r.ext
		if r.ext, err = r.src.extent(r.index); err != nil {
			return Frame{}, 0, err
		}
		if !r.ext.final && r.ext.limit == was.limit {
			return Frame{}, 0, io.EOF
		}
	}
}

// advance goes on to the next segment, which must follow from this one.
func (r *Reader) advance() error {
	next, err := r.src.open(r.index + 1)
	if err != nil {
		return err
	}
	if reason := r.walk.link(next.head); reason != "" {
		return errors.Join(r.walk.corrupt("the frames of the segment end here; the next one does not follow: "+reason), next.close())
	}
	old := r.walk
	r.walk, r.index, r.ext = next, r.index+1, extent{}
	return old.close()
}

// trimmed says what it means that a segment has gone which was there before.
func trimmed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w meanwhile: %w", ErrTrimmed, err)
	}
	return err
}

// Read gives a Reader that begins with the first frame whose Last is greater
// than after; 0 is the start of the log. If Trim has removed sequence after+1 it
// fails with ErrTrimmed: nothing is passed over silently. An after beyond the
// end of the log waits there, with io.EOF, until the log gets so far.
func (j *Journal) Read(after uint64) (*Reader, error) {
	return newReader(journalSource{j.cat, j}, after)
}

// journalSource is the source of a Journal's readers.
type journalSource struct {
	*catalog
	j *Journal
}

func (s journalSource) open(index uint64) (*walker, error) {
	return s.j.open(segmentPath(s.j.dir, index))
}

// openWalker opens a segment for reading.
func openWalker(fsys vfs.FS, path string) (*walker, error) {
	f, err := fsys.OpenFile(path, vfs.ReadOnly)
	if err != nil {
		return nil, err
	}
	return newWalker(f, path)
}
