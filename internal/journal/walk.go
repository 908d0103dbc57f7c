package journal

import (
	"errors"
	"fmt"
	"io"
)

// readAhead is how much a walker reads at once, in bytes.
const readAhead = 256 << 10

// errEnd says that a segment has no frame at the place of the walker, which is
// zero there or beyond the limit.
var errEnd = errors.New("journal: end of segment")

// badFrame says that the bytes at the place of the walker are no frame that
// follows the one before.
type badFrame struct {
	reason string
	whole  bool // the checksum is right: a frame, but not one that belongs here
}

func (e *badFrame) Error() string { return e.reason }

// readFile is what a walker needs of a file.
type readFile interface {
	io.ReaderAt
	Size() (int64, error)
	io.Closer
}

// walker reads the frames of one segment in order and checks that each follows
// from the one before. Used by recovery, readers and the viewer alike.
type walker struct {
	file readFile
	path string
	head segmentHeader
	off  int64 // where the next frame is expected
	at   Position
	// epoch is the highest one seen, of start frames too.
	epoch  uint64
	sealed bool // the last frame read was a seal

	buf     []byte // the bytes of the file from bufFrom on; a part of spare
	bufFrom int64
	spare   []byte
}

// newWalker reads the header of a segment. The walker owns the file; if it
// fails the file is closed.
func newWalker(f readFile, path string) (*walker, error) {
	head, err := readSegmentHeader(f, path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w := &walker{file: f, path: path, head: head, off: head.block, epoch: head.epoch}
	w.at = Position{LogID: head.logID, Epoch: head.lastEpoch, Seq: head.first - 1, Hash: head.prevHash}
	return w, nil
}

// readSegmentHeader reads and checks the header of an open segment, and that
// the file has the length which the header tells.
func readSegmentHeader(f readFile, path string) (segmentHeader, error) {
	size, err := f.Size()
	if err != nil {
		return segmentHeader{}, err
	}
	b := make([]byte, min(size, maxBlock))
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return segmentHeader{}, err
	}
	head, found, reason := decodeSegmentHeader(b)
	switch {
	case reason != "":
		return head, &CorruptError{File: path, Reason: reason}
	case found != version:
		return head, &VersionError{File: path, Found: found, Known: version}
	case head.size != size:
		return head, &CorruptError{File: path, Offset: min(head.size, size),
			Reason: fmt.Sprintf("the file has %d bytes and was made with %d", size, head.size)}
	}
	return head, nil
}

// next gives the next frame of any kind. limit is where to stop in the file.
// After errEnd or *badFrame the walker stands where it stood, and has forgotten
// what it read there: the next call looks at the file again.
func (w *walker) next(limit int64) (Frame, kind, error) {
	f, k, err := w.decode(limit)
	if err != nil {
		w.forget()
	}
	return f, k, err
}

func (w *walker) decode(limit int64) (Frame, kind, error) {
	limit = min(limit, w.head.size)
	if w.off+w.head.block > limit {
		return Frame{}, 0, errEnd
	}
	b, err := w.window(w.head.block, limit)
	if err != nil {
		return Frame{}, 0, err
	}
	padded, ok := peekLength(b, w.head.block)
	switch {
	case !ok && isZero(b):
		return Frame{}, 0, errEnd
	case !ok:
		return Frame{}, 0, &badFrame{reason: "no frame begins here"}
	case padded > limit-w.off:
		return Frame{}, 0, &badFrame{reason: "the frame is longer than the file"}
	}
	if b, err = w.window(padded, limit); err != nil {
		return Frame{}, 0, err
	}
	h, payload, ok := decodeFrame(b, w.head.salt, w.off)
	if !ok {
		return Frame{}, 0, &badFrame{reason: "the frame does not match its checksum"}
	}
	if err := w.check(h); err != nil {
		return Frame{}, 0, err
	}
	w.off += padded
	w.epoch, w.sealed = h.epoch, h.kind == kindSeal
	f := Frame{Epoch: h.epoch, First: h.first, Count: int(h.count), Payload: payload}
	if h.kind == kindData {
		f.Hash = hashFrame(b, payload)
		w.at = Position{LogID: h.logID, Epoch: h.epoch, Seq: f.Last(), Hash: f.Hash}
	}
	return f, h.kind, nil
}

// check tells whether a whole frame belongs here.
func (w *walker) check(h frameHeader) error {
	wrong := func(format string, args ...any) error {
		return &badFrame{reason: fmt.Sprintf(format, args...), whole: true}
	}
	switch {
	case uint32(h.version) != version:
		return &VersionError{File: w.path, Found: uint32(h.version), Known: version}
	case h.logID != w.head.logID:
		return wrong("the frame belongs to log %x, the segment to log %x", h.logID, w.head.logID)
	case h.first != w.at.Seq+1:
		return wrong("the frame begins with sequence %d after %d", h.first, w.at.Seq)
	case h.prevHash != w.at.Hash:
		return wrong("the frame does not follow from the one before: their hashes differ")
	case h.epoch < w.epoch || (h.kind == kindStart && h.epoch == w.epoch && w.off > w.head.block):
		return wrong("the frame has epoch %d after %d", h.epoch, w.epoch)
	case h.kind == kindData && h.count > 0 && h.first+uint64(h.count) > h.first:
		return nil
	case (h.kind == kindStart || h.kind == kindSeal) && h.count == 0 && h.length == 0:
		return nil
	}
	return wrong("the frame has kind %d with %d events", h.kind, h.count)
}

// window gives n bytes of the file from the place of the walker, reading more
// than that if the limit allows. n is not beyond the limit.
func (w *walker) window(n, limit int64) ([]byte, error) {
	if have := w.bufFrom + int64(len(w.buf)) - w.off; w.off >= w.bufFrom && have >= n {
		return w.buf[w.off-w.bufFrom:][:n], nil
	}
	want := min(max(n, readAhead), limit-w.off)
	if int64(cap(w.spare)) < want {
		w.spare = make([]byte, want)
	}
	w.buf, w.bufFrom = w.spare[:want], w.off
	m, err := w.file.ReadAt(w.buf, w.off)
	w.buf = w.buf[:m]
	switch {
	case int64(m) >= n:
		return w.buf[:n], nil
	case errors.Is(err, io.EOF):
		return nil, &badFrame{reason: "the file ends here"}
	}
	return nil, err
}

// forget drops what was read ahead.
func (w *walker) forget() { w.buf = nil }

// beyond looks at everything from the place of a walker that stands at errEnd
// or at a bad frame. It gives the offset of a whole frame further on (0 if there
// is none), and the number of bytes up to the last block that is not zero.
func (w *walker) beyond() (frameAt, garbage int64, err error) {
	block := w.head.block
	chunk := make([]byte, readAhead)
	for from := w.off; from < w.head.size; from += int64(len(chunk)) {
		chunk = chunk[:min(readAhead, w.head.size-from)]
		if _, err := w.file.ReadAt(chunk, from); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		for i := int64(0); i < int64(len(chunk)); i += block {
			b, off := chunk[i:][:block], from+i
			if isZero(b) {
				continue
			}
			garbage = off + block - w.off
			whole, err := w.wholeAt(b, off)
			if err != nil {
				return 0, 0, err
			}
			if whole && off > w.off {
				return off, garbage, nil
			}
		}
	}
	return 0, garbage, nil
}

// wholeAt tells whether a whole frame stands at off, b being its first block.
func (w *walker) wholeAt(b []byte, off int64) (bool, error) {
	padded, ok := peekLength(b, w.head.block)
	if !ok || padded > w.head.size-off {
		return false, nil
	}
	frame := make([]byte, padded)
	if _, err := w.file.ReadAt(frame, off); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	_, _, ok = decodeFrame(frame, w.head.salt, off)
	return ok, nil
}

// link tells why a segment cannot be the one after this walker's, which stands
// at the end of its own; "" if it can.
func (w *walker) link(next segmentHeader) string {
	switch {
	case next.logID != w.head.logID:
		return fmt.Sprintf("the segment belongs to log %x, the one before to log %x", next.logID, w.head.logID)
	case next.index != w.head.index+1:
		return fmt.Sprintf("segment %d is missing", w.head.index+1)
	case next.first != w.at.Seq+1:
		return fmt.Sprintf("the segment begins with sequence %d, the one before ends with %d", next.first, w.at.Seq)
	case next.prevHash != w.at.Hash || next.lastEpoch != w.at.Epoch:
		return "the segment does not follow from the one before: their hashes differ"
	}
	return ""
}

// corrupt places a bad frame.
func (w *walker) corrupt(reason string) error {
	return &CorruptError{File: w.path, Offset: w.off, Reason: reason}
}

// close lets go of the file.
func (w *walker) close() error { return w.file.Close() }
