//go:build unix

package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"

	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/mirror"
	"holdfast/seat"
	"holdfast/server"
)

// The measure: claims over HTTP, confirmed before the answer, with the mirror writing beside, against a bare net/http
// handler that has the same path and gives an answer of the same bytes. Both in one run, in turns, 128 connections each.
const (
	benchConns = 128
	benchPools = 300
	benchRound = 120_000 // requests of one side in one round
)

// side is one of the two servers.
type side struct {
	name  string
	addr  string
	head  string // further lines of the head of each request
	conns []net.Conn
	took  time.Duration
	cpu   time.Duration // of this whole process, the load generator included
	each  []time.Duration
	late  atomic.Int64 // answers that were not confirmed within the server's 250 ms
}

// BenchmarkClaimHTTP reports requests/s and p50 and p99 of both sides and their ratios, over rounds in turns.
// Run with -benchtime=5x for five rounds.
func BenchmarkClaimHTTP(b *testing.B) {
	b.Run("mirror=sqlite", func(b *testing.B) { compare(b, true) })
	b.Run("mirror=none", func(b *testing.B) { compare(b, false) })
}

func compare(b *testing.B, mirrored bool) {
	var log batches
	bare := &side{name: "bare", addr: listenBare(b)}
	ours := &side{name: "ours", addr: listenOurs(b, mirrored, &log)}
	for _, s := range []*side{bare, ours} {
		for range benchConns {
			conn, err := net.Dial("tcp", s.addr)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { conn.Close() })
			s.conns = append(s.conns, conn)
		}
	}
	bare.round(b, -2, benchRound/8) // warms up
	ours.round(b, -1, benchRound/8)
	for _, s := range []*side{bare, ours} {
		s.took, s.cpu, s.each = 0, 0, nil
	}
	log.reset()
	b.ResetTimer()
	for i := range b.N {
		first, second := bare, ours
		if i%2 == 1 {
			first, second = ours, bare
		}
		first.round(b, i, benchRound)
		second.round(b, i, benchRound)
	}
	b.StopTimer()
	rate := func(s *side) float64 { return float64(len(s.each)) / s.took.Seconds() }
	for _, s := range []*side{bare, ours} {
		slices.Sort(s.each)
		b.ReportMetric(rate(s), s.name+"-req/s")
		b.ReportMetric(float64(s.cpu.Microseconds())/float64(len(s.each)), s.name+"-cpu-us")
		b.ReportMetric(float64(s.each[len(s.each)/2])/1e6, s.name+"-p50-ms")
		b.ReportMetric(float64(s.each[len(s.each)*99/100])/1e6, s.name+"-p99-ms")
	}
	b.ReportMetric(rate(ours)/rate(bare), "ratio")
	b.ReportMetric(float64(ours.each[len(ours.each)*99/100])/float64(bare.each[len(bare.each)*99/100]), "p99-ratio")
	b.ReportMetric(float64(log.events.Load())/float64(log.count.Load()), "events/batch")
	b.ReportMetric(float64(log.took.Load())/float64(log.count.Load())/1e6, "append-ms")
	b.ReportMetric(float64(ours.late.Load()), "late")
	b.ReportMetric(0, "ns/op")
}

// batches sums up what the log did.
type batches struct{ count, events, took atomic.Int64 }

func (l *batches) reset() {
	l.count.Store(0)
	l.events.Store(0)
	l.took.Store(0)
}

func (l *batches) add(s engine.BatchStats) {
	l.count.Add(1)
	l.events.Add(int64(s.Events))
	l.took.Add(int64(s.Append))
}

// round sends n claims of new persons over all connections, one at a time on each.
func (s *side) round(b *testing.B, round, n int) {
	var wait sync.WaitGroup
	times := make([][]time.Duration, len(s.conns))
	began, cpu := time.Now(), cpuTime(b)
	for i, conn := range s.conns {
		wait.Go(func() {
			var err error
			if times[i], err = claims(conn, &s.late, s.head, fmt.Sprintf("r%dk%d", round, i), n/len(s.conns)); err != nil {
				b.Error(s.name, err)
			}
		})
	}
	wait.Wait()
	s.took += time.Since(began)
	s.cpu += cpuTime(b) - cpu
	for _, t := range times {
		s.each = append(s.each, t...)
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// claims sends n claims over one connection. It reads just enough of each answer to find its end.
func claims(conn net.Conn, late *atomic.Int64, head, who string, n int) ([]time.Duration, error) {
	r := bufio.NewReaderSize(conn, 4096)
	times := make([]time.Duration, 0, n)
	req := make([]byte, 0, 256)
	for i := range n {
		req = fmt.Appendf(req[:0], "PUT /v1/realms/spring/pools/c%d/claims/%s-%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n%s\r\n", i%benchPools, who, i, head)
		began := time.Now()
		if _, err := conn.Write(req); err != nil {
			return times, err
		}
		if err := skipAnswer(r, late); err != nil {
			return times, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

var lengthName = []byte("Content-Length: ")

func skipAnswer(r *bufio.Reader, late *atomic.Int64) error {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && bytes.Contains(line, []byte(" 202 ")) {
			late.Add(1)
		} else if first && !bytes.Contains(line, []byte(" 200 ")) {
			rest, _ := r.Peek(r.Buffered())
			return fmt.Errorf("%s%s", line, rest)
		}
		if rest, ok := bytes.CutPrefix(line, lengthName); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(rest)))
		}
		if len(line) == 2 {
			_, err := r.Discard(length)
			return err
		}
	}
}

// listenBare serves the floor: the path's pattern, and the bytes of an answer.
func listenBare(b *testing.B) string {
	answer := []byte(`{"realm":"spring","pool":"c101","person":"r0k17-1717","status":"waiting","position":117,"ticket":117,"seq":471117,"durability":"confirmed","as_of":471123,"at":"2026-09-01T08:00:00.123456Z"}` + "\n")
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/realms/{realm}/pools/{pool}/claims/{person}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
	// The same limits as ours: what is measured is the handler, not that a server protects itself.
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second,
		IdleTimeout: 120 * time.Second, MaxHeaderBytes: 16 << 10}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go srv.Serve(l)
	b.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

// benchRecorder makes the mirror a Recorder.
type benchRecorder struct{ *mirror.Mirror }

func (r benchRecorder) Status() (string, time.Duration, error) {
	st := r.Mirror.Status()
	return string(st.State), st.Lag, st.Err
}

// listenOurs serves an engine on a directory, with a SQLite mirror that writes beside. The pools hold few, so that nearly
// every answer is a place in line.
func listenOurs(b *testing.B, mirrored bool, log *batches, change ...func(*server.Config)) string {
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	serveOurs(b, l, mirrored, log, change...)
	return l.Addr().String()
}

func serveOurs(b *testing.B, l net.Listener, mirrored bool, log *batches, change ...func(*server.Config)) {
	cfg := engine.DefaultConfig()
	cfg.OnBatch = log.add
	e, err := engine.OpenDir(b.TempDir(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	var recorder server.Recorder
	if mirrored {
		recorder = runMirror(b, e)
	}
	scfg := server.DefaultConfig()
	for _, c := range change {
		c(&scfg)
	}
	s, err := server.New(e, recorder, scfg)
	if err != nil {
		b.Fatal(err)
	}
	go s.Serve(l)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(ctx)
	})
	if _, err := e.Do("spring", holdfast.PutRealm{Limits: seat.DefaultLimits()}); err != nil {
		b.Fatal(err)
	}
	for i := range benchPools {
		if _, err := e.Do("spring", seat.PutPool{Pool: fmt.Sprintf("c%d", i), Config: seat.Config{Capacity: 30}}); err != nil {
			b.Fatal(err)
		}
	}
}

func runMirror(b *testing.B, e *engine.Engine) server.Recorder {
	mcfg := mirror.DefaultConfig()
	mcfg.URL = "sqlite:" + filepath.Join(b.TempDir(), "mirror.db")
	m, err := mirror.Open(mcfg)
	if err != nil {
		b.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- m.Run(context.Background(), mirror.FromEngine(e)) }()
	b.Cleanup(func() {
		b.Logf("at the end %d events were confirmed and %d recorded", e.Durable().Seq, m.Recorded())
		m.Close()
		<-ran
	})
	return benchRecorder{m}
}
