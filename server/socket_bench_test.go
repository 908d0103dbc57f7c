//go:build unix

package server_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
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
	return conn, r
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

// BenchmarkStalledReaders reports the p99 of claims over 32 WebSockets, one at a time on each, while 32 others follow the same pools and
// read nothing, and while they read; in turns in one run.
func BenchmarkStalledReaders(b *testing.B) {
	var log batches
	addr := listenOurs(b, false, &log)
	var reading, stalled []time.Duration
	pools := make([]string, 64)
	for i := range pools {
		pools[i] = fmt.Sprintf("%q", fmt.Sprintf("c%d", i))
	}
	followers := func(read bool) (end func()) {
		conns := []net.Conn{}
		for i := range 32 {
			c, r := dialSocket(b, addr, fmt.Sprintf(`{"id":1,"do":"hello","person":"f%d"}`, i))
			c.(*net.TCPConn).SetReadBuffer(4 << 10)
			c.Write(textFrame(nil, `{"id":2,"do":"subscribe","pools":[`+strings.Join(pools, ",")+`]}`))
			if read {
				go io.Copy(io.Discard, r)
			}
			conns = append(conns, c)
		}
		return func() {
			for _, c := range conns {
				c.Close()
			}
		}
	}
	for i := range b.N {
		for _, read := range []bool{i%2 == 0, i%2 != 0} {
			end := followers(read)
			each := timedClaims(b, addr, fmt.Sprintf("n%d%v", i, read))
			if end(); read {
				reading = append(reading, each...)
			} else {
				stalled = append(stalled, each...)
			}
		}
	}
	p99 := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)*99/100]) / 1e6
	}
	b.ReportMetric(p99(reading), "reading-p99-ms")
	b.ReportMetric(p99(stalled), "stalled-p99-ms")
	b.ReportMetric(p99(stalled)/p99(reading), "ratio")
	b.ReportMetric(0, "ns/op")
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
