package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/seat"
)

const (
	benchPools = 300
	claimsEach = 8 // claims of one person: a term's courses
)

// benchDir opens an engine on a directory with 300 pools of 30 seats.
func benchDir(b *testing.B) *engine.Engine {
	b.Helper()
	cfg := engine.DefaultConfig()
	cfg.SnapshotEvery = 0
	e, err := engine.OpenDir(b.TempDir(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	benchSetup(b, e)
	return e
}

func benchSetup(b *testing.B, e *engine.Engine) {
	mustDo(b, e, holdfast.PutRealm{Limits: seat.Limits{MaxWaits: 1000}})
	for n := range benchPools {
		mustConfirm(b, mustDo(b, e, seat.PutPool{Pool: poolName(n), Config: seat.Config{Capacity: 30}}))
	}
}

func poolName(n int) string { return fmt.Sprintf("c%04d", n) }

// crowd gives claims without end, no two alike; the names are made beforehand, as the wire would have them.
type crowd struct {
	pools  []string
	people []string
}

func newCrowd(people int) *crowd {
	c := &crowd{}
	for n := range benchPools {
		c.pools = append(c.pools, poolName(n))
	}
	for n := range people {
		c.people = append(c.people, fmt.Sprintf("s%06d", n))
	}
	return c
}

// claim is the n-th: one person after the other, then everybody at the next pool. Past that it repeats.
func (c *crowd) claim(n int) seat.Claim {
	person := n % len(c.people)
	return seat.Claim{Pool: c.pools[(n/len(c.people)+person)%len(c.pools)], Person: c.people[person]}
}

// BenchmarkClaimsWaiting: 10,000 callers, each waiting until its claim is on the disk.
func BenchmarkClaimsWaiting(b *testing.B) {
	const callers = 10_000
	e, c := benchDir(b), newCrowd(max(40_000, b.N/claimsEach))
	before := e.Durable()
	var next atomic.Int64
	var wait sync.WaitGroup
	b.ResetTimer()
	b.ReportAllocs()
	used := cpu()
	for range callers {
		wait.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= b.N {
					return
				}
				a, err := e.Do(workRealm, c.claim(n))
				if err = errors.Join(err, a.Wait(context.Background())); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	report(b, e, before.Seq, used)
}

// BenchmarkClaimsNotWaiting: a few callers that wait only for their last.
func BenchmarkClaimsNotWaiting(b *testing.B) {
	for _, callers := range []int{2, 4, 8} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			e, c := benchDir(b), newCrowd(max(40_000, b.N/claimsEach))
			before := e.Durable()
			var next atomic.Int64
			var wait sync.WaitGroup
			b.ResetTimer()
			b.ReportAllocs()
			used := cpu()
			for range callers {
				wait.Go(func() {
					var last engine.Answer
					for n := int(next.Add(1)) - 1; n < b.N; n = int(next.Add(1)) - 1 {
						a, err := e.Do(workRealm, c.claim(n))
						for errors.Is(err, engine.ErrBusy) {
							last.Wait(context.Background())
							a, err = e.Do(workRealm, c.claim(n))
						}
						if err != nil {
							b.Error(err)
							return
						}
						last = a
					}
					if err := last.Wait(context.Background()); err != nil {
						b.Error(err)
					}
				})
			}
			wait.Wait()
			report(b, e, before.Seq, used)
		})
	}
}

// cpu is the time this process has had on a processor; unlike claims a second it does not depend on who else is busy.
func cpu() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func report(b *testing.B, e *engine.Engine, before uint64, used time.Duration) {
	b.StopTimer()
	b.ReportMetric(float64(cpu()-used)/float64(b.N), "cpu-ns/op")
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(b.N)/seconds, "claims/s")
	b.ReportMetric(float64(e.Durable().Seq-before)/seconds, "events/s")
	mustClose(b, e)
}

// BenchmarkRecovery replays a log of four million claims that has no snapshot.
func BenchmarkRecovery(b *testing.B) {
	const events = 4_000_000
	dir := b.TempDir()
	cfg := engine.DefaultConfig()
	cfg.SnapshotEvery = 0
	e, err := engine.OpenDir(dir, cfg)
	if err != nil {
		b.Fatal(err)
	}
	benchSetup(b, e)
	fillClaims(b, e, newCrowd(events/claimsEach), events)
	mustClose(b, e)
	runtime.GC()
	b.ReportAllocs()
	var took, used time.Duration
	var replayed uint64
	for b.Loop() {
		began, before := time.Now(), cpu()
		e, err := engine.OpenDir(dir, cfg)
		if err != nil {
			b.Fatal(err)
		}
		took, used, replayed = took+time.Since(began), used+cpu()-before, replayed+e.Stats().Head
		mustClose(b, e)
	}
	b.ReportMetric(float64(replayed)/took.Seconds(), "events/s")
	b.ReportMetric(float64(used)/float64(replayed), "cpu-ns/event")
	b.ReportMetric(float64(peakRSS())/(1<<20), "peak-MiB")
}

// fillClaims makes n claims as fast as the log takes them.
func fillClaims(b *testing.B, e *engine.Engine, c *crowd, n int) {
	b.Helper()
	var last engine.Answer
	for i := 0; i < n; {
		a, err := e.Do(workRealm, c.claim(i))
		if errors.Is(err, engine.ErrBusy) {
			last.Wait(context.Background())
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		last = a
		i++
	}
	mustConfirm(b, last)
}

// BenchmarkSnapshotStall measures the longest single Do of one caller, first alone and then while a snapshot of a
// million claims is made.
func BenchmarkSnapshotStall(b *testing.B) {
	e := benchDir(b)
	c := newCrowd(2_000_000 / claimsEach)
	fillClaims(b, e, c, 1_000_000)
	runtime.GC()
	rss := peakRSS()
	done := make(chan struct{})
	time.AfterFunc(3*time.Second, func() { close(done) })
	alone := longestDo(b, e, c, 1_000_000, done)
	b.ResetTimer()
	for range b.N {
		done = make(chan struct{})
		began := time.Now()
		go func() {
			defer close(done)
			if err := e.Snapshot(); err != nil {
				b.Error(err)
			}
		}()
		beside := longestDo(b, e, c, 1_500_000, done)
		b.ReportMetric(time.Since(began).Seconds(), "snapshot-s")
		for name, at := range map[string]int{"p99": 99_00, "p99.9": 99_90, "max": 100_00} {
			b.ReportMetric(alone.at(at), "alone-"+name+"-ms")
			b.ReportMetric(beside.at(at), "beside-"+name+"-ms")
		}
	}
	b.ReportMetric(float64(rss)/(1<<20), "before-MiB")
	b.ReportMetric(float64(peakRSS())/(1<<20), "peak-MiB")
	mustClose(b, e)
}

// durations counts calls by their length in microseconds.
type durations struct {
	counts []int
	total  int
	most   time.Duration
}

func (d *durations) add(took time.Duration) {
	d.counts[min(int(took/time.Microsecond), len(d.counts)-1)]++
	d.total++
	d.most = max(d.most, took)
}

// at is the percentile in hundredths, in milliseconds.
func (d *durations) at(percentile int) float64 {
	if percentile >= 100_00 {
		return float64(d.most) / 1e6
	}
	left := d.total * (100_00 - percentile) / 100_00
	for us := len(d.counts) - 1; us > 0; us-- {
		if left -= d.counts[us]; left <= 0 {
			return float64(us) / 1e3
		}
	}
	return 0
}

// longestDo claims at a steady 20,000 a second until done.
func longestDo(b *testing.B, e *engine.Engine, c *crowd, from int, done chan struct{}) *durations {
	b.Helper()
	d := &durations{counts: make([]int, 100_000)}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := from; ; {
		select {
		case <-done:
			return d
		case <-tick.C:
		}
		for range 20 {
			began := time.Now()
			_, err := e.Do(workRealm, c.claim(n))
			d.add(time.Since(began))
			if n++; err != nil && !errors.Is(err, engine.ErrBusy) {
				b.Fatal(err)
			}
		}
	}
}

// peakRSS is the most memory the process ever had, in bytes; 0 where the system does not tell.
func peakRSS() (bytes int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &bytes)
		}
	}
	return bytes << 10
}

// BenchmarkDo is the path of one claim by itself: no disk, nobody waiting.
func BenchmarkDo(b *testing.B) {
	e, c := mustOpen(b, discard{memlog.New()}, engine.DefaultConfig()), newCrowd(500_000)
	benchSetup(b, e)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := e.Do(workRealm, c.claim(n)); err == nil {
			n++
		}
	}
	mustClose(b, e)
}

// discard is a log that forgets at once.
type discard struct{ *memlog.Log }

func (d discard) Append(first uint64, count int, payload []byte) (engine.Position, error) {
	return engine.Position{Seq: first + uint64(count) - 1}, nil
}

func (d discard) PutSnapshot(engine.Position, func(io.Writer) error) error { return nil }
