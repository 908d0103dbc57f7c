//go:build unix

package server_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/server"
)

// benchFlight is how many claims one connection has in flight.
const benchFlight = 16

// dialSocket opens a WebSocket and says hello; it reads as little as possible, so that what is measured is the server.
func dialSocket(b testing.TB, addr, hello string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	return conn, sayHello(b, conn, hello)
}

// sayHello is dialSocket over a connection that is there.
func sayHello(b testing.TB, conn net.Conn, hello string) *bufio.Reader {
	b.Helper()
	fmt.Fprintf(conn, "GET /v1/realms/spring/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReaderSize(conn, 4<<10)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			b.Fatalf("%v: %s", err, line)
		}
		if len(line) == 2 {
			break
		}
	}
	if _, err := conn.Write(textFrame(nil, hello)); err != nil {
		b.Fatal(err)
	}
	if text, err := readText(r, nil); err != nil || !bytes.Contains(text, []byte(`"do":"hello"`)) {
		b.Fatalf("%s %v", text, err)
	}
	return r
}

func textFrame(b []byte, text string) []byte {
	if len(text) < 126 {
		b = append(b, 0x81, 0x80|byte(len(text)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x81, 0x80|126), uint16(len(text)))
	}
	return append(append(b, 0, 0, 0, 0), text...)
}

// readText gives the next text frame; pings are skipped.
func readText(r *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		var head [10]byte
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			return nil, err
		}
		n := int(head[1])
		switch n {
		case 126:
			io.ReadFull(r, head[2:4])
			n = int(binary.BigEndian.Uint16(head[2:]))
		case 127:
			io.ReadFull(r, head[2:10])
			n = int(binary.BigEndian.Uint64(head[2:]))
		}
		buf = slices.Grow(buf[:0], n)[:n]
		if _, err := io.ReadFull(r, buf); err != nil {
			return nil, err
		}
		switch head[0] & 15 {
		case 1:
			return buf, nil
		case 8:
			return nil, fmt.Errorf("closed: %q", buf)
		}
	}
}

// BenchmarkClaimSocket reports claims confirmed a second over WebSockets, 16 in flight on each of 128 connections, against claims over HTTP, one
// in flight on each, in turns in one run; and the same without "quiet", where each claim is answered twice, preapproved and confirmed.
func BenchmarkClaimSocket(b *testing.B) {
	var log batches
	http := &side{name: "http", addr: listenOurs(b, false, &log)}
	for range benchConns {
		conn, err := net.Dial("tcp", http.addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		http.conns = append(http.conns, conn)
	}
	socket, twice := newSocketSide(b, listenOurs(b, false, &log)), newSocketSide(b, listenOurs(b, false, &log))
	socket.wish = `,"quiet":true`
	http.round(b, -2, benchRound/8)
	socket.round(b, -1, benchRound/8)
	twice.round(b, -1, benchRound/8)
	http.took, http.each, socket.took, socket.done, twice.took, twice.done = 0, nil, 0, 0, 0, 0
	b.ResetTimer()
	for i := range b.N {
		rounds := []func(*testing.B, int, int){http.round, socket.round, twice.round}
		for k := range rounds {
			rounds[(i+k)%len(rounds)](b, i, benchRound)
		}
	}
	b.StopTimer()
	overHTTP, over := float64(len(http.each))/http.took.Seconds(), float64(socket.done)/socket.took.Seconds()
	b.ReportMetric(overHTTP, "http-claims/s")
	b.ReportMetric(over, "socket-claims/s")
	b.ReportMetric(over/overHTTP, "ratio")
	b.ReportMetric(float64(twice.done)/twice.took.Seconds(), "twice-answered-claims/s")
	b.ReportMetric(float64(twice.done)/twice.took.Seconds()/overHTTP, "twice-answered-ratio")
	b.ReportMetric(0, "ns/op")
}

type socketSide struct {
	wish    string // of each claim, with a comma before it
	conns   []net.Conn
	readers []*bufio.Reader
	took    time.Duration
	done    int
}

func newSocketSide(b *testing.B, addr string) *socketSide {
	s := &socketSide{}
	for range benchConns {
		conn, r := dialSocket(b, addr, `{"id":1,"do":"hello"}`)
		b.Cleanup(func() { conn.Close() })
		s.conns, s.readers = append(s.conns, conn), append(s.readers, r)
	}
	return s
}

// round has n claims of new persons confirmed, over all connections.
func (s *socketSide) round(b *testing.B, round, n int) {
	var wait sync.WaitGroup
	began := time.Now()
	for i := range s.conns {
		wait.Go(func() {
			if err := s.claims(i, fmt.Sprintf("r%dk%d", round, i), n/len(s.conns)); err != nil {
				b.Error(err)
			}
		})
	}
	wait.Wait()
	s.took += time.Since(began)
	s.done += n / len(s.conns) * len(s.conns)
}

func (s *socketSide) claims(i int, who string, n int) error {
	var out, in []byte
	sent, heard := 0, 0
	for heard < n {
		out = out[:0]
		for ; sent < n && sent-heard < benchFlight; sent++ {
			out = textFrame(out, fmt.Sprintf(`{"id":%d,"do":"claim","as":"%s-%d","pool":"c%d"%s}`, sent+1, who, sent, sent%benchPools, s.wish))
		}
		if len(out) > 0 {
			if _, err := s.conns[i].Write(out); err != nil {
				return err
			}
		}
		var err error
		if in, err = readText(s.readers[i], in); err != nil {
			return err
		}
		confirmed := bytes.Count(in, []byte(`"durability":"confirmed"`))
		if told := confirmed + bytes.Count(in, []byte(`"durability":"preapproved"`)); told != bytes.Count(in, []byte("\n"))+1 {
			return fmt.Errorf("not confirmed: %s", in)
		}
		heard += confirmed
	}
	return nil
}

// smallSend has the kernel keep little of what its connections are sent: whoever does not read stalls the server, and not only the kernel.
type smallSend struct{ net.Listener }

const (
	smallBuffer = 4 << 10
	stallers    = 32 // who follow, and do not read
)

func (l smallSend) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(smallBuffer)
	}
	return c, err
}

// dialSmall connects with a small buffer for what comes; afterwards would be too late, for the room has been promised then.
func dialSmall(b *testing.B, addr string) net.Conn {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (failed error) {
		err := raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, smallBuffer)
		})
		return errors.Join(err, failed)
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkStalledReaders reports the p99 of claims over 32 WebSockets, one at a time on each, while 32 others follow the same pools and
// read nothing, and while they read; in turns in one run. It fails unless those who read nothing had the server keep what they do
// not take, or cut them: reported are the bytes kept, at the most, and how many were cut, in all rounds.
func BenchmarkStalledReaders(b *testing.B) {
	var log batches
	var metrics prometheus.Gatherer
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	serveOurs(b, smallSend{l}, false, &log, func(c *server.Config) { metrics = c.Gatherer })
	cut := func() float64 { return metricOf(b, metrics, "holdfast_sockets_closed_total", "4500") }
	var reading, stalled []time.Duration
	mostQueued, allCut := 0.0, 0.0
	for i := range b.N {
		for _, read := range []bool{i%2 == 0, i%2 != 0} {
			end := followers(b, l.Addr().String(), read)
			before, stop := cut(), make(chan struct{})
			queued := make(chan float64, 1)
			go func() {
				defer close(queued)
				queued <- watchQueued(b, metrics, stop)
			}()
			each := timedClaims(b, l.Addr().String(), fmt.Sprintf("n%d%v", i, read))
			close(stop)
			most, ended := <-queued, cut()-before
			end()
			switch {
			case read && ended > 0:
				b.Errorf("%v who read were cut", ended)
			case read:
				reading = append(reading, each...)
			case most < stallers*smallBuffer && ended < stallers:
				b.Errorf("they did not stall: at most %v bytes were queued, and %v cut", most, ended)
			default:
				stalled = append(stalled, each...)
				mostQueued, allCut = max(mostQueued, most), allCut+ended
			}
		}
	}
	if b.Failed() {
		return
	}
	p99 := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)*99/100]) / 1e6
	}
	b.ReportMetric(p99(reading), "reading-p99-ms")
	b.ReportMetric(p99(stalled), "stalled-p99-ms")
	b.ReportMetric(p99(stalled)/p99(reading), "ratio")
	b.ReportMetric(mostQueued, "queued-B")
	b.ReportMetric(allCut, "cut")
	b.ReportMetric(0, "ns/op")
}

// followers are as many as stall, who follow 64 pools, and read or do not.
func followers(b *testing.B, addr string, read bool) (end func()) {
	pools := make([]string, 64)
	for i := range pools {
		pools[i] = fmt.Sprintf("%q", fmt.Sprintf("c%d", i))
	}
	var conns []net.Conn
	var readers sync.WaitGroup
	for i := range stallers {
		c := dialSmall(b, addr)
		r := sayHello(b, c, fmt.Sprintf(`{"id":1,"do":"hello","person":"f%d"}`, i))
		c.Write(textFrame(nil, `{"id":2,"do":"subscribe","pools":[`+strings.Join(pools, ",")+`]}`))
		if read {
			readers.Go(func() { io.Copy(io.Discard, r) })
		}
		conns = append(conns, c)
	}
	return func() {
		for _, c := range conns {
			c.Close()
		}
		readers.Wait()
	}
}

// watchQueued gives the most bytes that waited to be written, looking 20 times a second until stop.
func watchQueued(b *testing.B, metrics prometheus.Gatherer, stop <-chan struct{}) (most float64) {
	for look := time.NewTicker(50 * time.Millisecond); ; {
		most = max(most, metricOf(b, metrics, "holdfast_sockets_queued_bytes", ""))
		select {
		case <-look.C:
		case <-stop:
			look.Stop()
			return most
		}
	}
}

// timedClaims makes 1,000 claims on each of 32 connections, one at a time.
func timedClaims(b *testing.B, addr, who string) (each []time.Duration) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for k := range 32 {
		c, r := dialSocket(b, addr, `{"id":1,"do":"hello"}`)
		wait.Go(func() {
			defer c.Close()
			times, buf := []time.Duration{}, []byte(nil)
			for i := range 1000 {
				began := time.Now()
				c.Write(textFrame(nil, fmt.Sprintf(`{"id":%d,"do":"claim","as":"%s-%d-%d","pool":"c%d","quiet":true}`, i+2, who, k, i, i%64)))
				var err error
				if buf, err = readText(r, buf); err != nil || !bytes.Contains(buf, []byte("confirmed")) {
					b.Errorf("%s %v", buf, err)
					return
				}
				times = append(times, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			each = append(each, times...)
		})
	}
	wait.Wait()
	return each
}

// BenchmarkIdleSockets reports what an idle connection of a person costs the server in resident memory. The server is a process of its own, so
// that the client's side does not count. What the kernel keeps for a TCP connection is not in it.
func BenchmarkIdleSockets(b *testing.B) {
	const conns = 8000
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdleServer$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "HOLDFAST_IDLE_SERVER=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	next := func() string {
		for lines.Scan() {
			if said, ok := strings.CutPrefix(lines.Text(), "idle: "); ok {
				return said
			}
		}
		b.Fatal("the server has ended")
		return ""
	}
	addr := next()
	measure := func() float64 {
		fmt.Fprintln(in, "measure")
		n, err := strconv.ParseFloat(next(), 64)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	for i := range 200 { // what is made once
		c, r := dialSocket(b, addr, fmt.Sprintf(`{"id":1,"do":"hello","person":"w%d"}`, i))
		readText(r, nil)
		b.Cleanup(func() { c.Close() })
	}
	before := measure()
	for i := range conns {
		c, r := dialSocket(b, addr, fmt.Sprintf(`{"id":1,"do":"hello","person":"s%d"}`, i))
		if text, err := readText(r, nil); err != nil || !bytes.Contains(text, []byte(`"claims"`)) {
			b.Fatalf("%s %v", text, err)
		}
		b.Cleanup(func() { c.Close() })
	}
	b.ReportMetric((measure()-before)/conns, "B/conn")
	b.ReportMetric(0, "ns/op")
}
