package journal

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holdfast/internal/vfs"
)

// bare is what Append is measured against: write and fdatasync into a file that
// was filled with zeros before, and nothing else.
type bare struct {
	file vfs.File
	size int64
	off  int64
}

func newBare(b *testing.B, path string, size int64) *bare {
	b.Helper()
	f, err := vfs.OS{}.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros, off); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return &bare{file: f, size: size}
}

func (w *bare) append(p []byte) error {
	if w.size > 0 && w.off+int64(len(p)) > w.size {
		w.off = 0
	}
	if _, err := w.file.WriteAt(p, w.off); err != nil {
		return err
	}
	w.off += int64(len(p))
	return w.file.Datasync()
}

// BenchmarkAppend runs Append and two bare loops of write and fdatasync in turns,
// on the same disk with payloads of the same size, and gives the ratios of their
// speeds. The plain loop appends to a growing file; the other overwrites a file
// that was filled before, again and again, which no log can do for ever: 1 would
// be as fast as the disk. The preparation of segments runs beside both, as it does in
// production; back to back it doubles what the disk has to write. On a shared
// disk a stall of some milliseconds hits either side by chance and moves the
// ratio of the sums, above 1 too: then only the ratio of the medians counts.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{4 << 10, 32 << 10, 256 << 10, 512 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			dir := b.TempDir()
			filled := newBare(b, filepath.Join(dir, "filled"), 64<<20)
			growing := newBare(b, filepath.Join(dir, "growing"), 0)
			j, err := Open(vfs.OS{}, filepath.Join(dir, "log"), DefaultConfig())
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			p := payload(1, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			took := [3][]time.Duration{}
			for i := range took {
				took[i] = make([]time.Duration, 0, b.N)
			}
			b.ResetTimer()
			for i := range b.N {
				for side, run := range []func() error{
					func() error { _, err := j.Append(uint64(i+1), 1, p); return err },
					func() error { return filled.append(p) },
					func() error { return growing.append(p) },
				} {
					start := time.Now()
					if err := run(); err != nil {
						b.Fatal(err)
					}
					took[side] = append(took[side], time.Since(start))
				}
			}
			b.StopTimer()
			for side, name := range []string{"append", "filled", "growing"} {
				report(b, took[side], name)
				if side > 0 {
					b.ReportMetric(total(took[side]).Seconds()/total(took[0]).Seconds(), "ratio-vs-"+name)
					b.ReportMetric(took[side][b.N/2].Seconds()/took[0][b.N/2].Seconds(), "p50-ratio-vs-"+name)
				}
			}
			if err := j.Trim(j.Last().Seq); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func total(d []time.Duration) (sum time.Duration) {
	for _, x := range d {
		sum += x
	}
	return sum
}

func report(b *testing.B, d []time.Duration, name string) {
	slices.Sort(d)
	b.ReportMetric(float64(d[len(d)/2].Microseconds()), name+"-p50-µs")
	b.ReportMetric(float64(d[len(d)*99/100].Microseconds()), name+"-p99-µs")
}

// BenchmarkRead is the speed of a replay: checksums, chain and all.
func BenchmarkRead(b *testing.B) {
	const size = 32 << 10
	j, err := Open(vfs.OS{}, b.TempDir(), DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	for i := range 1000 {
		if _, err := j.Append(uint64(i+1), 1, payload(1, size)); err != nil {
			b.Fatal(err)
		}
	}
	r, err := j.Read(0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { r.Close() }()
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		_, err := r.Next()
		if err == nil {
			continue
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		r.Close()
		if r, err = j.Read(0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoom is what every decision pays.
func BenchmarkRoom(b *testing.B) {
	j := mustOpen(b, vfs.NewMem(), small())
	for b.Loop() {
		if err := j.Room(); err != nil {
			b.Fatal(err)
		}
	}
}
