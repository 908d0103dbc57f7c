package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"holdfast/internal/vfs"
)

// A snapshot file, integers little-endian:
//
//	0          16       20  24       40      48    56     88     88+n     +8         +32
//	├ preamble ┼ crc32c ┼ 0 ┼ log id ┼ epoch ┼ seq ┼ hash ┼ body ┼ length n ┼ SHA-256 ┤
//
// The first checksum is of bytes 20 to 88. The SHA-256 is of everything before it.
const (
	snapshotHeaderBytes  = 88
	snapshotTrailerBytes = 8 + sha256.Size
	snapshotsKept        = 2
	snapshotBuffer       = 256 << 10
)

// SnapshotInfo describes one snapshot.
type SnapshotInfo struct {
	Position Position // the frame after which it was taken
	Bytes    int64    // length of what PutSnapshot was given
	// Damage is not nil if the file cannot be a snapshot; then only Position.Seq
	// is known, from its name. OpenSnapshot finds damage in the body too.
	Damage error
}

func snapshotPath(dir string, seq uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", seq, snapshotSuffix))
}

// PutSnapshot stores what write writes as the snapshot at a place in the log,
// which must be durable, of this log, and not before the newest snapshot. It
// runs beside Append. Durable and atomic: a crash leaves the new file whole or
// not at all. The newest two are kept. An error leaves the journal as it was.
func (j *Journal) PutSnapshot(at Position, write func(io.Writer) error) error {
	j.snap.Lock()
	defer j.snap.Unlock()
	err := j.putSnapshot(at, write)
	if err != nil {
		return fmt.Errorf("journal: snapshot at %d: %w", at.Seq, err)
	}
	return nil
}

func (j *Journal) putSnapshot(at Position, write func(io.Writer) error) error {
	old, err := j.Snapshots()
	if err != nil {
		return err
	}
	end := j.Last()
	switch {
	case at.LogID != end.LogID:
		return fmt.Errorf("it belongs to log %x, this is log %x", at.LogID, end.LogID)
	case at.Seq > end.Seq:
		return fmt.Errorf("the log is durable up to %d only", end.Seq)
	case len(old) > 0 && at.Seq < old[0].Position.Seq:
		return fmt.Errorf("there is a newer one at %d", old[0].Position.Seq)
	}
	path := snapshotPath(j.dir, at.Seq)
	temp := path + tempSuffix
	if err := writeSnapshot(j.fs, temp, at, write); err != nil {
		if gone := j.fs.Remove(temp); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	if err := j.fs.Rename(temp, path); err != nil {
		return err
	}
	if err := j.fs.SyncDir(j.dir); err != nil {
		return err
	}
	// The snapshot is durable. An old one too many does no harm.
	old = slices.DeleteFunc(old, func(s SnapshotInfo) bool { return s.Position.Seq == at.Seq })
	for _, s := range old[min(len(old), snapshotsKept-1):] {
		if err := j.fs.Remove(snapshotPath(j.dir, s.Position.Seq)); err != nil {
			j.cfg.Logger.Warn("journal: an old snapshot stays", "seq", s.Position.Seq, "err", err)
		}
	}
	return nil
}

// writeSnapshot writes a whole file and syncs it.
func writeSnapshot(fsys vfs.FS, path string, at Position, write func(io.Writer) error) (err error) {
	f, err := fsys.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := &snapshotWriter{file: f, sum: sha256.New()}
	buf := bufio.NewWriterSize(out, snapshotBuffer)
	if _, err := buf.Write(encodeSnapshotHeader(at)); err != nil {
		return err
	}
	if err := write(buf); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	length := binary.LittleEndian.AppendUint64(nil, uint64(out.off-snapshotHeaderBytes))
	if _, err := out.Write(length); err != nil {
		return err
	}
	if _, err := out.Write(out.sum.Sum(nil)); err != nil {
		return err
	}
	return f.Sync()
}

// snapshotWriter appends to a file and hashes what it wrote.
type snapshotWriter struct {
	file vfs.File
	off  int64
	sum  hash.Hash
}

// Write implements io.Writer.
func (w *snapshotWriter) Write(p []byte) (int, error) {
	w.sum.Write(p)
	n, err := w.file.WriteAt(p, w.off)
	w.off += int64(n)
	return n, err
}

func encodeSnapshotHeader(at Position) []byte {
	b := make([]byte, snapshotHeaderBytes)
	putPreamble(b, snapshotMagic)
	le := binary.LittleEndian
	copy(b[24:], at.LogID[:])
	le.PutUint64(b[40:], at.Epoch)
	le.PutUint64(b[48:], at.Seq)
	copy(b[56:], at.Hash[:])
	le.PutUint32(b[16:], crc32.Checksum(b[20:], castagnoli))
	return b
}

// readSnapshotHeader checks the header of a snapshot, its name and its length.
func readSnapshotHeader(f vfs.File, path string) (at Position, body int64, err error) {
	b := make([]byte, snapshotHeaderBytes)
	if n, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return at, 0, err
	} else {
		b = b[:n]
	}
	found, ok := checkPreamble(b, snapshotMagic)
	le := binary.LittleEndian
	switch {
	case ok && found != version:
		return at, 0, &VersionError{File: path, Found: found, Known: version}
	case !ok || len(b) < snapshotHeaderBytes || le.Uint32(b[16:]) != crc32.Checksum(b[20:], castagnoli):
		return at, 0, &CorruptError{File: path, Reason: "the snapshot header is damaged"}
	}
	copy(at.LogID[:], b[24:])
	at.Epoch, at.Seq = le.Uint64(b[40:]), le.Uint64(b[48:])
	copy(at.Hash[:], b[56:])
	size, err := f.Size()
	if err != nil {
		return at, 0, err
	}
	if body = size - snapshotHeaderBytes - snapshotTrailerBytes; body < 0 {
		return at, 0, &CorruptError{File: path, Offset: size, Reason: "the snapshot is cut"}
	}
	if want := filepath.Base(snapshotPath("", at.Seq)); filepath.Base(path) != want {
		return at, 0, &CorruptError{File: path, Reason: "its header says that this is " + want}
	}
	return at, body, nil
}

// Snapshots lists the snapshots, the newest first. Concurrent with everything.
func (j *Journal) Snapshots() ([]SnapshotInfo, error) { return listSnapshots(j.fs, j.dir) }

func listSnapshots(fsys vfs.FS, dir string) ([]SnapshotInfo, error) {
	found, err := list(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("journal: snapshots: %w", err)
	}
	infos, err := describeSnapshots(fsys, dir, found.snapshots)
	if err != nil {
		return nil, fmt.Errorf("journal: snapshots: %w", err)
	}
	return infos, nil
}

// describeSnapshots reads the headers of the named files. It passes over names
// that we do not give, and files that were removed since they were listed.
func describeSnapshots(fsys vfs.FS, dir string, names []string) (infos []SnapshotInfo, err error) {
	for _, name := range slices.Backward(names) {
		seq, err := strconv.ParseUint(strings.TrimSuffix(name, snapshotSuffix), 10, 64)
		if err != nil || filepath.Base(snapshotPath(dir, seq)) != name {
			continue
		}
		info, err := describeSnapshot(fsys, snapshotPath(dir, seq))
		switch {
		case errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion):
			infos = append(infos, SnapshotInfo{Position: Position{Seq: seq}, Damage: err})
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			infos = append(infos, info)
		}
	}
	return infos, nil
}

func describeSnapshot(fsys vfs.FS, path string) (info SnapshotInfo, err error) {
	f, err := fsys.OpenFile(path, vfs.ReadOnly)
	if err != nil {
		return info, err
	}
	info.Position, info.Bytes, err = readSnapshotHeader(f, path)
	return info, errors.Join(err, f.Close())
}

// checkSnapshots refuses a log that ends before a snapshot of it does. Snapshots
// that cannot be read are left to OpenSnapshot: there are two.
func checkSnapshots(fsys vfs.FS, dir string, names []string, end Position, logger *slog.Logger) error {
	infos, err := describeSnapshots(fsys, dir, names)
	if err != nil {
		return err
	}
	for _, s := range infos {
		path := snapshotPath(dir, s.Position.Seq)
		switch at := s.Position; {
		case s.Damage != nil:
			logger.Warn("journal: a snapshot cannot be used", "err", s.Damage)
		case at.LogID != end.LogID:
			return &CorruptError{File: path, Reason: fmt.Sprintf("the snapshot belongs to log %x, the segments to log %x", at.LogID, end.LogID)}
		case at.Seq > end.Seq:
			return &CorruptError{File: path, Reason: fmt.Sprintf("the log ends with %d, before this snapshot at %d: segments are missing or cut", end.Seq, at.Seq)}
		case at.Seq == end.Seq && at.Hash != end.Hash:
			return &CorruptError{File: path, Reason: "the snapshot and the log differ at the same sequence"}
		}
	}
	return nil
}

// OpenSnapshot gives the body of the snapshot at a sequence. All of it has been
// read once and compared with its checksum before OpenSnapshot returns; damage
// is a *CorruptError, and then the other snapshot may serve. ErrNoSnapshot if
// there is none. The caller closes it.
func (j *Journal) OpenSnapshot(seq uint64) (io.ReadCloser, error) {
	return openSnapshot(j.fs, j.dir, seq)
}

func openSnapshot(fsys vfs.FS, dir string, seq uint64) (io.ReadCloser, error) {
	path := snapshotPath(dir, seq)
	f, err := fsys.OpenFile(path, vfs.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %d", ErrNoSnapshot, seq)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: open snapshot: %w", err)
	}
	body, err := verifySnapshot(f, path)
	if err != nil {
		return nil, fmt.Errorf("journal: open snapshot: %w", errors.Join(err, f.Close()))
	}
	return &snapshotReader{Reader: io.NewSectionReader(f, snapshotHeaderBytes, body), Closer: f}, nil
}

// snapshotReader is the body of a snapshot.
type snapshotReader struct {
	io.Reader
	io.Closer
}

// verifySnapshot reads a snapshot through and gives the length of its body.
func verifySnapshot(f vfs.File, path string) (body int64, err error) {
	_, body, err = readSnapshotHeader(f, path)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	whole := io.NewSectionReader(f, 0, snapshotHeaderBytes+body+8)
	if _, err := io.CopyBuffer(sum, whole, make([]byte, snapshotBuffer)); err != nil {
		return 0, err
	}
	trailer := make([]byte, snapshotTrailerBytes)
	if _, err := f.ReadAt(trailer, snapshotHeaderBytes+body); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if binary.LittleEndian.Uint64(trailer) != uint64(body) || !bytes.Equal(trailer[8:], sum.Sum(nil)) {
		return 0, &CorruptError{File: path, Offset: snapshotHeaderBytes, Reason: "the snapshot does not match its checksum"}
	}
	return body, nil
}
