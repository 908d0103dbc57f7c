package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"holdfast/internal/vfs"
)

func TestHeadersRoundTrip(t *testing.T) {
	t.Parallel()
	id := [16]byte{1, 2, 3, 15: 16}
	seg := segmentHeader{block: 512, logID: id, size: 8192, index: 3, epoch: 4, lastEpoch: 5, salt: 6, first: 7, prevHash: [32]byte{8, 31: 9}}
	got, found, reason := decodeSegmentHeader(seg.encode())
	if got != seg || found != version || reason != "" {
		t.Fatalf("%+v, version %d, %q", got, found, reason)
	}
	h := frameHeader{version: version, kind: kindData, count: 2, logID: id, epoch: 3, first: 4, length: 5, prevHash: [32]byte{6, 31: 7}}
	frame := make([]byte, 512)
	h.put(frame)
	copyPayload(frame, []byte("hello"))
	sealChecksum(frame, 8, 1024)
	back, p, ok := decodeFrame(frame, 8, 1024)
	if back != h || string(p) != "hello" || !ok {
		t.Fatalf("%+v %q %v", back, p, ok)
	}
	for _, place := range [][2]int64{{9, 1024}, {8, 512}} {
		if _, _, ok := decodeFrame(frame, uint64(place[0]), place[1]); ok {
			t.Fatalf("a frame of another place is accepted: salt %d, offset %d", place[0], place[1])
		}
	}
	at := Position{LogID: id, Epoch: 2, Seq: 3, Hash: [32]byte{4, 31: 5}}
	mem := vfs.NewMem()
	path := snapshotPath(".", 3)
	must(t, writeSnapshot(mem, path, at, bodyOf(3)))
	f, err := mem.OpenFile(path, vfs.ReadOnly)
	must(t, err)
	if got, body, err := readSnapshotHeader(f, path); got != at || body != 1500 || err != nil {
		t.Fatalf("%+v, %d bytes, %v", got, body, err)
	}
}

// TestHashes: whoever computes it, the hash of a frame is the same.
func TestHashes(t *testing.T) {
	t.Parallel()
	h := newHasher()
	defer h.stop()
	for _, size := range []int{0, 1, 1000, hashPiece - 1, hashPiece, hashPiece + 1, 512 << 10, 3 * hashPiece} {
		frame := append(bytes.Repeat([]byte{byte(size)}, frameHeaderBytes), payload(uint64(size), size)...)
		h.begin(frame[frameHeaderBytes:])
		if h.end(frame) != hashFrame(frame, frame[frameHeaderBytes:]) {
			t.Fatalf("hashes of %d bytes differ", size)
		}
	}
}

// TestLife takes a log through clean and unclean stops on a real disk and in
// memory.
func TestLife(t *testing.T) {
	t.Parallel()
	for name, fs := range map[string]vfs.FS{"mem": vfs.NewMem(), "os": vfs.OS{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "deep", "log")
			var l ledger
			for round := range uint64(6) {
				j, err := Open(fs, dir, small())
				must(t, err)
				if j.Epoch() != round+1 || j.Last().Epoch != round {
					t.Fatalf("epoch %d, last %+v in round %d", j.Epoch(), j.Last(), round)
				}
				must(t, l.append(j, 7))
				if _, err := Open(fs, dir, small()); !errors.Is(err, ErrInUse) {
					t.Fatalf("second Open: %v", err)
				}
				if n, err := l.promise().check(j); err != nil || n != 7*int(round+1) {
					t.Fatalf("%d frames, %v", n, err)
				}
				sealed := round%2 == 0
				if sealed {
					must(t, j.Close())
					must(t, j.Close())
				}
				j.Abort()
				if _, err := j.Append(1, 1, nil); !errors.Is(err, ErrClosed) {
					t.Fatalf("append after the end: %v", err)
				}
				v, err := OpenReadOnly(fs, dir, small())
				must(t, err)
				if v.Report().Sealed != sealed || v.Last() != j.Last() || v.Report().TornBytes != 0 {
					t.Fatalf("%+v", v.Report())
				}
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*Journal) error{
		"gap":       func(j *Journal) error { _, err := j.Append(3, 1, nil); return err },
		"repeat":    func(j *Journal) error { _, err := j.Append(1, 1, nil); return err },
		"no events": func(j *Journal) error { _, err := j.Append(2, 0, nil); return err },
		"too long":  func(j *Journal) error { _, err := j.Append(2, 1, make([]byte, 1001)); return err },
	} {
		j := mustOpen(t, vfs.NewMem(), small())
		_, err := j.Append(1, 1, []byte("x"))
		must(t, err)
		first := call(j)
		if first == nil {
			t.Fatalf("%s: accepted", name)
		}
		if _, err := j.Append(2, 1, nil); err != first {
			t.Fatalf("%s: %v, then %v", name, first, err)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	c := small()
	c.SegmentBytes, c.MaxFrameBytes, c.PendingBytes = 8<<20, 256<<10, 512<<10
	j, err := Open(vfs.OS{}, t.TempDir(), c)
	must(t, err)
	defer j.Abort()
	p := payload(1, 100<<10)
	seq := uint64(0)
	if n := testing.AllocsPerRun(20, func() {
		seq++
		if _, err := j.Append(seq, 1, p); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Fatalf("%v allocations in an Append", n)
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	j := mustOpen(t, mem, small())
	if j.First() != 0 {
		t.Fatalf("first of an empty log: %d", j.First())
	}
	var l ledger
	must(t, l.append(j, 60))
	begun, err := j.Read(0)
	must(t, err)
	defer begun.Close()
	late, err := j.Read(0)
	must(t, err)
	defer late.Close()
	must(t, j.Trim(1))
	if j.First() != 1 {
		t.Fatalf("first %d", j.First())
	}
	second := j.cat.segs[1].first
	must(t, j.Trim(second-1))
	if j.First() != 1 {
		t.Fatal("a segment with a frame that is still wanted is gone")
	}
	must(t, j.Trim(second))
	if j.First() != second {
		t.Fatalf("first %d, want %d", j.First(), second)
	}
	if _, err := j.Read(0); !errors.Is(err, ErrTrimmed) {
		t.Fatalf("read of what is trimmed: %v", err)
	}
	must(t, j.Trim(1<<60))
	if len(j.cat.segs) != 1 || j.Last().Seq != l.acked.Load() {
		t.Fatalf("%d segments left", len(j.cat.segs))
	}
	for err = nil; err == nil; {
		_, err = late.Next()
	}
	if !errors.Is(err, ErrTrimmed) {
		t.Fatalf("a reader that was overtaken: %v", err)
	}
	end := j.Last()
	j.Abort()
	j = mustOpen(t, mem, small())
	if j.Last() != end {
		t.Fatalf("%+v, before %+v", j.Last(), end)
	}
	l.trimmed.Store(1 << 60)
	_, err = l.promise().check(j)
	must(t, err)
}

// TestRestartsFillSegments: only start and seal frames, for several segments.
func TestRestartsFillSegments(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	var l ledger
	for range 40 {
		j := mustOpen(t, mem, small())
		must(t, j.Close())
	}
	j := mustOpen(t, mem, small())
	if len(j.cat.segs) < 3 || j.First() != 0 || j.Epoch() != 41 {
		t.Fatalf("%d segments, first %d, epoch %d", len(j.cat.segs), j.First(), j.Epoch())
	}
	must(t, l.append(j, 3))
	n, err := l.promise().check(j)
	if err != nil || n != 3 {
		t.Fatalf("%d frames, %v", n, err)
	}
	must(t, j.Trim(1))
}

func TestRoom(t *testing.T) {
	t.Parallel()
	fs := vfs.NewFault(vfs.NewMem(), nil)
	j := mustOpen(t, fs, small())
	var l ledger
	full := func(op vfs.Op) bool {
		// The creation, not the writes: a segment that is prepared already has its space, and takes its header.
		return op.Kind == vfs.OpCreate && strings.HasSuffix(op.Path, tempSuffix)
	}
	fs.Set(vfs.Plan{At: 1, Forever: true, Only: full, Err: syscall.ENOSPC})
	appended := 0
	for j.Room() == nil {
		must(t, l.append(j, 1))
		if appended++; appended > 100 {
			break // the next segment was ready before the disk was full
		}
		j.app.ahead.settleForTest()
	}
	err := j.Room()
	if !errors.Is(err, ErrNoRoom) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d frames: %v", appended, err)
	}
	// The last frame above was accepted while there was room, and belongs to what must fit.
	for size := small().MaxFrameBytes; size+1000 <= int(small().PendingBytes); size += 1000 {
		first := j.Last().Seq + 1
		if _, err := j.Append(first, countOf(first), payload(first, 1000)); err != nil {
			t.Fatalf("what was accepted before does not fit: %v", err)
		}
	}
	fs.Set(vfs.Plan{})
	j.app.ahead.retryForTest()
	if err := j.Room(); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	first := j.Last().Seq + 1
	for range 10 {
		if _, err := j.Append(first, 1, payload(first, 1000)); err != nil {
			t.Fatal(err)
		}
		first++
	}
}

// TestNoRoomAtAll: who appends although Room warned gets the cause.
func TestNoRoomAtAll(t *testing.T) {
	t.Parallel()
	fs := vfs.NewFault(vfs.NewMem(), nil)
	j := mustOpen(t, fs, small())
	fs.Set(vfs.Plan{At: 1, Forever: true, Err: syscall.ENOSPC, Only: func(op vfs.Op) bool { return op.Kind == vfs.OpCreate }})
	j.app.ahead.settleForTest()
	var l ledger
	var err error
	for range 100 {
		if err = l.append(j, 1); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrNoRoom) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// settleForTest waits until nothing more is due to be prepared.
func (a *ahead) settleForTest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.last.pausing && a.ready == nil && !a.stopped {
		a.use.urgent = true
		a.wake.Broadcast()
		a.wake.Wait()
	}
}

// retryForTest ends the pause, and waits for the attempt.
func (a *ahead) retryForTest() {
	a.mu.Lock()
	a.last.pausing = false
	a.mu.Unlock()
	a.settleForTest()
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	j := mustOpen(t, mem, small())
	var l ledger
	var at []Position
	for range 4 {
		must(t, l.append(j, 3))
		at = append(at, j.Last())
		must(t, j.PutSnapshot(j.Last(), bodyOf(j.Last().Seq)))
		crashed := mustOpen(t, mem.CrashClone(seeded(1), vfs.DropAll), small())
		if infos, err := crashed.Snapshots(); err != nil || infos[0].Position != j.Last() {
			t.Fatalf("a snapshot is not durable: %+v, %v", infos, err)
		}
	}
	infos, err := j.Snapshots()
	must(t, err)
	if len(infos) != 2 || infos[0].Position != at[3] || infos[1].Position != at[2] {
		t.Fatalf("%+v", infos)
	}
	if n, err := checkSnapshotBodies(j); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := j.OpenSnapshot(1); !errors.Is(err, ErrNoSnapshot) {
		t.Fatal(err)
	}
	for name, p := range map[string]Position{
		"ahead of the log":         {LogID: at[0].LogID, Seq: j.Last().Seq + 1},
		"of another log":           {Seq: 1},
		"older than what is there": at[0],
	} {
		if err := j.PutSnapshot(p, bodyOf(1)); err == nil {
			t.Fatalf("a snapshot %s is accepted", name)
		}
	}
	broken := errors.New("broken")
	if err := j.PutSnapshot(j.Last(), func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if n, err := checkSnapshotBodies(j); n != 2 || err != nil {
		t.Fatalf("after one that failed: %d, %v", n, err)
	}
	must(t, l.append(j, 1))

	path := snapshotPath("log", at[3].Seq)
	whole := readAll(t, mem, path)
	f, err := mem.OpenFile(path, vfs.ReadWrite)
	must(t, err)
	for off := range whole {
		_, err := f.WriteAt([]byte{whole[off] ^ 4}, int64(off))
		must(t, err)
		if r, err := j.OpenSnapshot(at[3].Seq); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d flipped: %v %v", off, r, err)
		}
		_, err = f.WriteAt(whole[off:off+1], int64(off))
		must(t, err)
	}
	for cut := len(whole) - 1; cut >= 0; cut-- {
		must(t, f.Truncate(int64(cut)))
		if r, err := j.OpenSnapshot(at[3].Seq); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d: %v %v", cut, r, err)
		}
	}
	infos, err = j.Snapshots()
	if err != nil || len(infos) != 2 || infos[0].Damage == nil || infos[1].Damage != nil {
		t.Fatalf("%+v, %v", infos, err)
	}
}

// TestSnapshotCrash loses power after every operation of a PutSnapshot.
func TestSnapshotCrash(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	var images []*vfs.Mem
	var watching bool
	var mu sync.Mutex
	rng := seeded(3)
	fs := vfs.NewFault(mem, func(op vfs.Op) {
		mu.Lock()
		defer mu.Unlock()
		for _, mode := range vfs.CrashModes() {
			if watching && op.Kind.Changes() {
				images = append(images, mem.CrashClone(rng, mode))
			}
		}
	})
	j := mustOpen(t, fs, small())
	var l ledger
	for i := range 3 {
		must(t, l.append(j, 3))
		mu.Lock()
		watching = i == 2
		mu.Unlock()
		must(t, j.PutSnapshot(j.Last(), bodyOf(j.Last().Seq)))
	}
	j.Abort()
	if len(images) < 20 {
		t.Fatalf("only %d images", len(images))
	}
	for i, m := range images {
		j := mustOpen(t, m, small())
		if n, err := checkSnapshotBodies(j); n < 2 || err != nil {
			t.Fatalf("image %d: %d snapshots, %v", i, n, err)
		}
		_, err := l.promise().check(j)
		must(t, err)
		j.Abort()
	}
}

// TestOtherVersion: a log of version 2 is not called corrupt.
func TestOtherVersion(t *testing.T) {
	t.Parallel()
	b := build(t, true)
	f, err := b.mem.OpenFile(segmentPath("log", 3), vfs.ReadWrite)
	must(t, err)
	pre := make([]byte, preambleBytes)
	_, err = f.ReadAt(pre, 0)
	must(t, err)
	binary.LittleEndian.PutUint32(pre[8:], 2)
	binary.LittleEndian.PutUint32(pre[12:], crc32.Checksum(pre[:12], castagnoli))
	_, err = f.WriteAt(pre, 0)
	must(t, err)
	_, err = Open(b.mem, "log", small())
	var v *VersionError
	if !errors.As(err, &v) || v.Found != 2 || v.Known != 1 || errors.Is(err, ErrCorrupt) || !errors.Is(err, ErrVersion) {
		t.Fatal(err)
	}
}

// TestLeftovers: temporary files of ours go, other files stay.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	must(t, mem.MkdirAll("log"))
	for _, name := range []string{"0000000007.seg.tmp", "00000000000000000009.snap.tmp", "notes.txt", "other.tmp"} {
		f, err := mem.Create(filepath.Join("log", name))
		must(t, err)
		must(t, f.Close())
	}
	mustOpen(t, mem, small()).Abort()
	names, err := mem.ReadDir("log")
	must(t, err)
	if got := strings.Join(names, " "); !strings.Contains(got, "notes.txt") || !strings.Contains(got, "other.tmp") || strings.Contains(got, ".snap.tmp") || strings.Contains(got, "07.seg.tmp") {
		t.Fatal(got)
	}
}

// TestGolden reads a log that version 1 wrote. It must stay readable for good.
func TestGolden(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "v1")
	if os.Getenv("REGENERATE_GOLDEN") != "" {
		must(t, os.RemoveAll(dir))
		c := small()
		c.Entropy = bytes.NewReader(payload(99, 4096))
		j, err := Open(vfs.OS{}, dir, c)
		must(t, err)
		var l ledger
		must(t, l.append(j, 12))
		must(t, j.PutSnapshot(j.Last(), bodyOf(j.Last().Seq)))
		must(t, l.append(j, 3))
		must(t, j.Close())
	}
	mem := vfs.NewMem()
	must(t, mem.MkdirAll("log"))
	names, err := vfs.OS{}.ReadDir(dir)
	must(t, err)
	for _, name := range names {
		b := readAll(t, vfs.OS{}, filepath.Join(dir, name))
		f, err := mem.Create(filepath.Join("log", name))
		must(t, err)
		if _, err := f.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		must(t, f.Sync())
	}
	must(t, mem.SyncDir("log"))
	j := mustOpen(t, mem, small())
	n, err := promise{acked: 23}.check(j)
	if err != nil || n != 15 || j.Epoch() != 2 {
		t.Fatalf("%d frames, epoch %d, %v", n, j.Epoch(), err)
	}
	if n, err := checkSnapshotBodies(j); n != 1 || err != nil {
		t.Fatalf("%d snapshots, %v", n, err)
	}
}
