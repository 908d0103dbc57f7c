package journal

import (
	"errors"
	"io"
	"testing"

	"holdfast/internal/vfs"
)

// FuzzFrame gives the frame decoder any bytes: it must not panic, and what it
// accepts must encode to the same bytes.
func FuzzFrame(f *testing.F) {
	frame := make([]byte, 512)
	h := frameHeader{version: version, kind: kindData, count: 1, epoch: 2, first: 3, length: 5}
	h.put(frame)
	copyPayload(frame, []byte("hello"))
	sealChecksum(frame, 7, 512)
	f.Add(frame, uint64(7), int64(512), false)
	f.Add(frame, uint64(7), int64(512), true)
	f.Add(make([]byte, 512), uint64(0), int64(0), true)
	f.Fuzz(func(t *testing.T, b []byte, salt uint64, off int64, fix bool) {
		if len(b) < frameHeaderBytes {
			return
		}
		if fix { // a fuzzer does not find checksums by itself
			sealChecksum(b, salt, off)
		}
		if padded, ok := peekLength(b, 512); ok && (padded < 512 || padded > roundUp(frameHeaderBytes+maxPayload, 512)) {
			t.Fatalf("padded to %d", padded)
		}
		h, p, ok := decodeFrame(b, salt, off)
		if !ok {
			return
		}
		back := make([]byte, len(b))
		h.put(back)
		copyPayload(back, p)
		sealChecksum(back, salt, off)
		if h2, p2, ok := decodeFrame(back, salt, off); !ok || h2 != h || string(p2) != string(p) {
			t.Fatalf("%+v became %+v", h, h2)
		}
	})
}

// FuzzRecover overwrites a part of a segment with any bytes and opens the log:
// an error, or a log that reads to its end; never a panic, never a frame that
// was not appended.
func FuzzRecover(f *testing.F) {
	mem := vfs.NewMem()
	j, err := Open(mem, "log", small())
	if err != nil {
		f.Fatal(err)
	}
	var l ledger
	if err := errors.Join(l.append(j, 8), j.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{1}, uint16(0))
	f.Add([]byte("HFRM"), uint16(2048))
	f.Add(make([]byte, 600), uint16(1024))
	f.Add(make([]byte, 8<<10), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, off uint16) {
		m := mem.CrashClone(seeded(0), vfs.KeepAll)
		file, err := m.OpenFile(segmentPath("log", 1), vfs.ReadWrite)
		must(t, err)
		_, err = file.WriteAt(b, int64(off))
		must(t, err)
		j, err := Open(m, "log", small())
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		defer j.Abort()
		r, err := j.Read(0)
		must(t, err)
		defer r.Close()
		for {
			fr, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			must(t, err)
			if string(fr.Payload) != string(payloadOf(fr.First)) {
				t.Fatalf("frame %d was never appended", fr.First)
			}
		}
	})
}
