//go:build unix

package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What the benchmark of desks has: desks with agents, each on a connection of their own, and a client each.
const (
	benchDesks  = 200
	benchAgents = 5 // of each desk
	benchCycles = 20_000
)

// floor is agents and clients on WebSockets: a client asks, the agent who is offered it receives, accepts and finishes.
type floor struct {
	clients []net.Conn
	readers []*bufio.Reader
	ended   atomic.Bool

	mu     sync.Mutex // guards what follows
	offers []time.Duration
}

func newFloor(b *testing.B, addr string) *floor {
	put := func(path, body string) {
		req, _ := http.NewRequest("PUT", "http://"+addr+"/v1/realms/spring/desks/"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(path, resp, err)
		}
		resp.Body.Close()
	}
	f := &floor{}
	for d := range benchDesks {
		put(fmt.Sprintf("d%d", d), `{"policy":"queue","wrap_up_ms":0,"warm_up_ms":0}`)
		for a := range benchAgents {
			put(fmt.Sprintf("d%d/agents/a%d", d, a), "")
			conn, r := dialSocket(b, addr, fmt.Sprintf(`{"id":1,"do":"hello","agent":"a%d","desk":"d%d"}`, a, d))
			b.Cleanup(func() { conn.Close() })
			conn.Write(textFrame(nil, `{"id":2,"do":"online"}`))
			go f.agent(b, conn, r)
		}
		conn, r := dialSocket(b, addr, fmt.Sprintf(`{"id":1,"do":"hello","client":"c%d"}`, d))
		b.Cleanup(func() { conn.Close() })
		f.clients, f.readers = append(f.clients, conn), append(f.readers, r)
	}
	b.Cleanup(func() { f.ended.Store(true) })
	return f
}

// member gives a member of a message: a number, or a string without its quotes.
func member(m []byte, name string) string {
	_, rest, found := bytes.Cut(m, []byte(`"`+name+`":`))
	if !found {
		return ""
	}
	return strings.Trim(string(rest[:bytes.IndexAny(rest, ",}")]), `"`)
}

// agent takes what is offered.
func (f *floor) agent(b *testing.B, conn net.Conn, r *bufio.Reader) {
	var in, out []byte
	for {
		var err error
		if in, err = readText(r, in); err != nil {
			if !f.ended.Load() {
				b.Error(err)
			}
			return
		}
		out = out[:0]
		for m := range bytes.Lines(in) {
			switch {
			case bytes.HasPrefix(m, []byte(`{"push":"offer",`)):
				sent, _ := strconv.ParseInt(member(m, "data"), 10, 64)
				f.mu.Lock()
				f.offers = append(f.offers, time.Duration(time.Now().UnixNano()-sent))
				f.mu.Unlock()
				n := member(m, "offer")
				out = textFrame(out, `{"id":3,"do":"receipt","offer":`+n+`}`)
				out = textFrame(out, `{"id":4,"do":"accept","offer":`+n+`}`)
			case bytes.HasPrefix(m, []byte(`{"reply":4,`)):
				out = textFrame(out, `{"id":5,"do":"finish","session":`+member(m, "session")+`}`)
			}
			if bytes.Contains(m, []byte(`"code":`)) {
				b.Errorf("%s", m)
			}
		}
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
	}
}

// round has n cycles, at most rate a second (0: as many as can be), and says how long it took and how late the offers were.
func (f *floor) round(b *testing.B, n int, rate float64) (took, p50, p99 time.Duration) {
	f.offers = f.offers[:0]
	each := n / len(f.clients)
	began := time.Now()
	var wait sync.WaitGroup
	for i := range f.clients {
		wait.Go(func() {
			var in []byte
			for k := range each {
				if rate > 0 {
					due := began.Add(time.Duration(float64(k*len(f.clients)+i) / rate * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				text := fmt.Sprintf(`{"id":7,"do":"request","desk":"d%d","data":"%d"}`, i, time.Now().UnixNano())
				if _, err := f.clients[i].Write(textFrame(nil, text)); err != nil {
					b.Error(err)
					return
				}
				for done := false; !done; done = bytes.Contains(in, []byte(`"state":"done"`)) {
					var err error
					if in, err = readText(f.readers[i], in); err != nil || bytes.Contains(in, []byte(`"code":`)) {
						b.Errorf("%v %s", err, in)
						return
					}
				}
			}
		})
	}
	wait.Wait()
	took = time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.offers)
	return took, f.offers[len(f.offers)/2], f.offers[len(f.offers)*99/100]
}

// BenchmarkDeskSocket reports full cycles a second over WebSockets (request, offer, receipt, accept, finish; all confirmed), and from
// request to offer at half of that load. The agents and the clients are in the same process.
func BenchmarkDeskSocket(b *testing.B) {
	var log batches
	f := newFloor(b, listenOurs(b, false, &log))
	f.round(b, benchCycles/10, 0)
	b.ResetTimer()
	for range b.N {
		took, _, _ := f.round(b, benchCycles, 0)
		rate := benchCycles / took.Seconds()
		_, p50, p99 := f.round(b, benchCycles/4, rate/2)
		b.ReportMetric(rate, "cycles/s")
		b.ReportMetric(float64(p50.Microseconds())/1000, "offer-p50-ms")
		b.ReportMetric(float64(p99.Microseconds())/1000, "offer-p99-ms")
	}
	b.ReportMetric(0, "ns/op")
}
