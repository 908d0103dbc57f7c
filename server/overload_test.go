//go:build linux

package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// overloadServer, set to one of the cases, makes the test binary the server of BenchmarkOverload: a process of its own.
const overloadServer = "HOLDFAST_OVERLOAD_SERVER"

// In the case "capped" one append to the log takes syncTime, and room is how many requests are let in at once: so the log bounds what is
// answered, and ten times as much can be offered by one core. In the case "processor" log and limits are as delivered.
const (
	syncTime = 16 * time.Millisecond
	room     = 64
)

// TestOverloadServer is the other process of BenchmarkOverload; without it, nothing.
func TestOverloadServer(t *testing.T) {
	cfg := server.DefaultConfig()
	var e *engine.Engine
	var err error
	switch os.Getenv(overloadServer) {
	case "":
		t.Skip("BenchmarkOverload starts it")
	case "capped":
		log := memlog.New()
		log.Gate = func(uint64, int) error {
			time.Sleep(syncTime)
			return nil
		}
		cfg.MaxInFlight = room
		e, err = engine.Open(log, engine.DefaultConfig())
	default:
		e, err = engine.OpenDir(t.TempDir(), engine.DefaultConfig())
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(e, nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		os.Stdin.Read(make([]byte, 1)) // ends with who started it
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Shutdown(ctx)
	}()
	fmt.Printf("listens on %s\n", l.Addr())
	if err := s.Serve(l); err != nil {
		t.Fatal(err)
	}
	e.Close()
}

// BenchmarkOverload offers ten times what the server answers at its best, for 20 s: open loop, so what is due is sent whether or not what
// was sent is answered. Server and load are pinned to one core each. The peak is that of a closed loop over the best number of connections,
// with the same server. Reported: what was offered, and what was confirmed, over the peak; the p99 of who was let in; and how long after the
// overload began the second in which nobody is turned away any more, at half of the peak.
//
//	go test -run '^$' -bench Overload -benchtime 1x ./server
func BenchmarkOverload(b *testing.B) {
	for _, c := range []struct {
		name  string
		conns []int // of the closed loop, of which the best counts
		crowd int   // connections of the overload
		span  time.Duration
	}{
		{"capped/20s", []int{room / 2, room, 2 * room}, 4_000, 20 * time.Second},
		{"capped/5s", []int{room / 2, room, 2 * room}, 4_000, 5 * time.Second},
		{"processor/20s", []int{32, 128, 512}, 16_000, 20 * time.Second},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				overloadOnce(b, strings.Split(c.name, "/")[0], c.conns, c.crowd, c.span)
			}
		})
	}
}

func overloadOnce(b *testing.B, name string, conns []int, crowd int, span time.Duration) {
	o := startOverload(b, name)
	o.closed(b, conns[1], time.Second) // warms up
	peak, best := 0.0, 0
	for _, n := range conns {
		if rate := o.closed(b, n, 3*time.Second).rate(confirmed); rate > peak {
			peak, best = rate, n
		}
	}
	flood := o.open(b, crowd, 10*peak, span)
	after := o.open(b, 256, peak/2, 15*time.Second)
	// The machine may have become slower or faster meanwhile: the better peak counts.
	peak = max(peak, o.closed(b, best, 3*time.Second).rate(confirmed))
	b.ReportMetric(peak, "peak/s")
	b.ReportMetric(float64(best), "peak-conns")
	offered := flood.rate(confirmed, late, turned, wrong) / peak
	if name == "capped" && offered < 9 {
		b.Errorf("only %.1f times the peak was offered: it shows nothing of ten times", offered)
	}
	b.ReportMetric(offered, "offered/peak")
	b.ReportMetric(flood.rate(confirmed), "goodput/s")
	b.ReportMetric(flood.rate(confirmed)/peak, "goodput/peak")
	b.ReportMetric(flood.p99(confirmed), "p99-in-ms")
	b.ReportMetric(flood.p99(turned), "p99-turned-ms")
	b.ReportMetric(flood.missed, "not-offered")
	b.ReportMetric(float64(flood.count(late)), "late")
	b.ReportMetric(float64(flood.count(wrong)+after.count(wrong)), "wrong")
	b.ReportMetric(after.normal().Seconds(), "s-until-normal")
	for _, why := range []string{"in_flight", "load"} {
		b.ReportMetric(o.metric(b, `holdfast_turned_away_total{why="`+why+`"}`), "turned-by-"+why)
	}
	b.ReportMetric(0, "ns/op")
}

// overload is the server's process, as the load sees it.
type overload struct {
	addr string
	next atomic.Int64 // persons so far
}

// pin lets the thread tid (0 = this one) run on one core only.
func pin(b *testing.B, tid, core int) {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		b.Fatal(err)
	}
}

// cores are the two that this process may use; its threads come to the second one, until the benchmark ends.
func cores(b *testing.B) (theirs int) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		b.Fatal(err)
	}
	var two []int
	for core := 0; len(two) < 2 && core < 1024; core++ {
		if all.IsSet(core) {
			two = append(two, core)
		}
	}
	if len(two) < 2 {
		b.Skip("it takes two cores")
	}
	each := func(set func(tid int)) {
		tasks, _ := filepath.Glob("/proc/self/task/*")
		for _, task := range tasks {
			if tid, err := strconv.Atoi(filepath.Base(task)); err == nil {
				set(tid)
			}
		}
	}
	each(func(tid int) { pin(b, tid, two[1]) }) // threads to come take it over
	procs := runtime.GOMAXPROCS(1)
	b.Cleanup(func() {
		runtime.GOMAXPROCS(procs)
		each(func(tid int) { unix.SchedSetaffinity(tid, &all) })
	})
	return two[0]
}

func startOverload(b *testing.B, name string) *overload {
	core := cores(b)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestOverloadServer$")
	if profile := os.Getenv("HOLDFAST_OVERLOAD_PROFILE"); profile != "" {
		cmd.Args = append(cmd.Args, "-test.cpuprofile", profile)
	}
	cmd.Env = append(os.Environ(), overloadServer+"="+name, "GOMAXPROCS=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread() // a process begins with the cores of the thread that starts it
	var mine unix.CPUSet
	unix.SchedGetaffinity(0, &mine)
	pin(b, 0, core)
	err = cmd.Start()
	unix.SchedSetaffinity(0, &mine)
	runtime.UnlockOSThread()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	o := &overload{}
	for scan := bufio.NewScanner(out); o.addr == "" && scan.Scan(); {
		_, o.addr, _ = strings.Cut(scan.Text(), "listens on ")
	}
	for _, path := range []string{"/v1/realms/spring", "/v1/realms/spring/pools/c0"} {
		body := ""
		if strings.HasSuffix(path, "c0") {
			body = `{"capacity":30}`
		}
		req, _ := http.NewRequest("PUT", "http://"+o.addr+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(path, err, resp)
		}
		resp.Body.Close()
	}
	return o
}

// metric reads one of the server's.
func (o *overload) metric(b *testing.B, name string) float64 {
	resp, err := http.Get("http://" + o.addr + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
		if text, found := strings.CutPrefix(scan.Text(), name+" "); found {
			n, _ := strconv.ParseFloat(text, 64)
			return n
		}
	}
	return 0
}

// fate is what became of a request.
type fate uint8

const (
	confirmed fate = iota
	late           // decided, not confirmed within the server's 250 ms
	turned         // away, with the time to come again
	wrong          // anything else
)

// request is one that was answered. Times are since the load began; due is when it was to be sent.
type request struct {
	due, took time.Duration
	fate      fate
}

// load is what became of one.
type load struct {
	requests []request
	took     time.Duration
	missed   float64 // what was due while every connection waited, and was not sent
}

func (l *load) count(fates ...fate) (n int) {
	for _, r := range l.requests {
		if slices.Contains(fates, r.fate) {
			n++
		}
	}
	return n
}

func (l *load) rate(fates ...fate) float64 { return float64(l.count(fates...)) / l.took.Seconds() }

func (l *load) p99(of fate) float64 {
	var took []time.Duration
	for _, r := range l.requests {
		if r.fate == of {
			took = append(took, r.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100]) / 1e6
}

// normal is when the first second began in which every request was confirmed; a minute if there was none.
func (l *load) normal() (from time.Duration) {
	slices.SortFunc(l.requests, func(a, b request) int { return int(a.due - b.due) })
	for _, r := range l.requests {
		if r.fate != confirmed {
			from = r.due
		} else if r.due-from > time.Second {
			return from
		}
	}
	return time.Minute
}

// client is one connection of the load.
type client struct {
	net.Conn
	r *bufio.Reader

	sent chan time.Duration // when what is not answered was due
	done []request
}

func (o *overload) dial(b *testing.B, n int) []*client {
	list := make([]*client, n)
	for i := range list {
		conn, err := net.Dial("tcp", o.addr)
		if err != nil {
			b.Fatal(err)
		}
		list[i] = &client{Conn: conn, r: bufio.NewReaderSize(conn, 1<<10), sent: make(chan time.Duration, 1)}
	}
	return list
}

// ask sends a claim of a new person.
func (o *overload) ask(c *client, buf []byte) ([]byte, error) {
	buf = append(buf[:0], "PUT /v1/realms/spring/pools/c0/claims/p"...)
	buf = append(strconv.AppendInt(buf, o.next.Add(1), 10), " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"...)
	_, err := c.Write(buf)
	return buf, err
}

// closed has n connections ask, each as soon as it is answered.
func (o *overload) closed(b *testing.B, n int, span time.Duration) *load {
	list := o.dial(b, n)
	began := time.Now()
	var all sync.WaitGroup
	for _, c := range list {
		all.Go(func() {
			var buf []byte
			for due := time.Since(began); due < span; due = time.Since(began) {
				var err error
				if buf, err = o.ask(c, buf); err != nil {
					b.Error(err)
					return
				}
				if err := c.take(began, due); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return gather(b, list, began)
}

// open sends rate requests a second, each when it is due, over whichever of n connections is free.
func (o *overload) open(b *testing.B, n int, rate float64, span time.Duration) *load {
	list := o.dial(b, n)
	free := make(chan *client, n)
	var all sync.WaitGroup
	began := time.Now()
	for _, c := range list {
		free <- c
		all.Go(func() {
			for due := range c.sent {
				if err := c.take(began, due); err != nil {
					b.Error(err)
					return
				}
				free <- c
			}
		})
	}
	missed := o.send(b, free, began, rate, span)
	for _, c := range list {
		close(c.sent)
	}
	all.Wait()
	l := gather(b, list, began)
	l.took, l.missed = span, missed // the last answers come a little later
	return l
}

func (o *overload) send(b *testing.B, free chan *client, began time.Time, rate float64, span time.Duration) (missed float64) {
	var buf []byte
	due := 0.0
	for now := time.Since(began); now < span; now = time.Since(began) {
		for ; due < rate*now.Seconds(); due++ {
			var c *client
			select {
			case c = <-free:
			default:
				missed += rate*now.Seconds() - due
				due = rate * now.Seconds()
				continue
			}
			var err error
			if buf, err = o.ask(c, buf); err != nil {
				b.Error(err)
				return missed
			}
			c.sent <- time.Duration(due / rate * float64(time.Second))
		}
		time.Sleep(200 * time.Microsecond)
	}
	return missed
}

func gather(b *testing.B, list []*client, began time.Time) *load {
	l := &load{took: time.Since(began)}
	for _, c := range list {
		c.Close()
		l.requests = append(l.requests, c.done...)
	}
	if n := l.count(wrong); n > 0 {
		b.Errorf("%d answers were wrong", n)
	}
	return l
}

// take reads one answer.
func (c *client) take(began time.Time, due time.Duration) error {
	r, length, again := request{due: due, fate: wrong}, 0, false
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first:
			switch string(line[9:12]) {
			case "200":
				r.fate = confirmed
			case "202":
				r.fate = late
			case "503":
				r.fate = turned
			}
		case bytes.HasPrefix(line, lengthName):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(line[len(lengthName):])))
		case bytes.HasPrefix(line, []byte("Retry-After: ")):
			again = true
		case len(line) == 2:
			if r.fate == turned && !again {
				r.fate = wrong
			}
			r.took = time.Since(began) - due
			c.done = append(c.done, r)
			_, err := c.r.Discard(length)
			return err
		}
	}
}
