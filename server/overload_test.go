//go:build unix

package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// overloadServer, set, makes the test binary the server of BenchmarkOverload: a process of its own, with one processor.
const overloadServer = "HOLDFAST_OVERLOAD_SERVER"

// TestOverloadServer is the other process of BenchmarkOverload; without it, nothing.
func TestOverloadServer(t *testing.T) {
	if os.Getenv(overloadServer) == "" {
		t.Skip("BenchmarkOverload starts it")
	}
	log := memlog.New()
	log.Gate = func(uint64, int) error {
		time.Sleep(syncTime)
		return nil
	}
	e, err := engine.Open(log, engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.DefaultConfig()
	cfg.MaxInFlight = room
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
		s.Shutdown(t.Context())
	}()
	fmt.Printf("listens on %s\n", l.Addr())
	if err := s.Serve(l); err != nil {
		t.Fatal(err)
	}
	e.Close()
}

// syncTime is what one append to the log takes here, and room how many requests are let in at once: so that not the processor, which the load
// shares, bounds what is answered (about room/syncTime a second), and ten times as much can be offered on a small machine.
const (
	syncTime = 16 * time.Millisecond
	room     = 32
)

// BenchmarkOverload offers ten times what the server answers at its best, for 20 s: admission is capped low, server and load have one core
// each (GOMAXPROCS=1). It reports the goodput under overload over the peak, and the seconds after the overload until it is as before.
//
//	GOMAXPROCS=1 go test -run '^$' -bench Overload -benchtime 1x ./server
func BenchmarkOverload(b *testing.B) {
	for range b.N {
		o := startOverload(b)
		peak := o.offer(b, room, 0, 5*time.Second) // closed loop: as much as is answered
		flood := o.offer(b, 512, 10*peak.good(), 20*time.Second)
		began, back := time.Now(), 0.0
		for {
			after := o.offer(b, room, peak.good()/2, 500*time.Millisecond)
			if after.turned.Load() == 0 && after.good() >= 0.9*peak.good()/2 || time.Since(began) > 30*time.Second {
				back = time.Since(began).Seconds()
				break
			}
		}
		for _, why := range []string{"in_flight", "load"} {
			b.ReportMetric(o.metric(b, `holdfast_turned_away_total{why="`+why+`"}`), "turned-by-"+why)
		}
		b.ReportMetric(peak.good(), "peak/s")
		b.ReportMetric((flood.good()+float64(flood.turned.Load())/flood.took.Seconds())/peak.good(), "offered/peak")
		b.ReportMetric(flood.good(), "goodput/s")
		b.ReportMetric(flood.good()/peak.good(), "goodput/peak")
		b.ReportMetric(back, "s-until-normal")
		b.ReportMetric(float64(flood.wrong.Load()), "wrong")
		b.ReportMetric(0, "ns/op")
	}
}

// overload is the server's process, as the load sees it.
type overload struct {
	addr string
	next atomic.Int64 // persons so far
}

func startOverload(b *testing.B) *overload {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestOverloadServer$")
	cmd.Env = append(os.Environ(), overloadServer+"=1", "GOMAXPROCS=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
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
			body = `{"capacity":10000000}`
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

// offered is what became of a load.
type offered struct {
	answered, turned, wrong atomic.Int64
	took                    time.Duration
}

func (o *offered) good() float64 { return float64(o.answered.Load()) / o.took.Seconds() }

// offer asks over so many connections, altogether rate times a second (0 = each as soon as it is answered), for a while. Every claim is of
// a new person.
func (o *overload) offer(b *testing.B, conns int, rate float64, span time.Duration) *offered {
	sum := &offered{}
	var all sync.WaitGroup
	began := time.Now()
	for i := range conns {
		conn, err := net.Dial("tcp", o.addr)
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer conn.Close()
			r := bufio.NewReader(conn)
			for n := 0; time.Since(began) < span; n++ {
				if rate > 0 { // the n-th of this connection is due then; who is late asks at once
					time.Sleep(time.Until(began.Add(time.Duration((float64(n*conns+i) / rate) * float64(time.Second)))))
				}
				fmt.Fprintf(conn, "PUT /v1/realms/spring/pools/c0/claims/p%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", o.next.Add(1))
				if err := sum.take(r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	sum.took = time.Since(began)
	return sum
}

// take reads one answer.
func (o *offered) take(r *bufio.Reader) error {
	status, length, after := "", 0, false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); {
		case status == "":
			status = strings.Fields(line)[1]
		case name == "Content-Length":
			length, _ = strconv.Atoi(value)
		case name == "Retry-After":
			after = true
		case name == "":
			switch {
			case status == "200" || status == "202": // 202: decided, not confirmed within 250 ms
				o.answered.Add(1)
			case status == "503" && after:
				o.turned.Add(1)
			default:
				o.wrong.Add(1)
			}
			_, err := r.Discard(length)
			return err
		}
	}
}
