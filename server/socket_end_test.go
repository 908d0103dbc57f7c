package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/memlog"
	"holdfast/server"
)

// ends are the counts of holdfast_sockets_closed_total, all of them.
func (s *served) ends() map[string]float64 {
	s.t.Helper()
	families, err := s.gatherer.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "holdfast_sockets_closed_total" {
			for _, m := range f.Metric {
				if n := m.GetCounter().GetValue(); n > 0 {
					counts[m.Label[0].GetValue()] = n
				}
			}
		}
	}
	return counts
}

// mute is a connection whose other side can end its half, as TCP's can.
type mute struct{ net.Conn }

const lastWord = "that was all"

func (m mute) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if string(p[:n]) == lastWord {
		return 0, io.EOF
	}
	return n, err
}

// TestSocketEndsAreCounted: whoever closes, and for whatever the library closes, each end with a code counts once; one without counts not.
func TestSocketEndsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		code string
		send func(*wireless)
	}{
		"they leave":           {"1000", func(w *wireless) { w.frame(0x88, "\x03\xe8") }},
		"they leave, no code":  {"1000", func(w *wireless) { w.frame(0x88, "") }},
		"they leave, own code": {"1000", func(w *wireless) { w.frame(0x88, "\x0f\xa0bye") }},
		"they go away":         {"1001", func(w *wireless) { w.frame(0x88, "\x03\xe9") }},
		"reserved opcode":      {"1002", func(w *wireless) { w.frame(0x83, "x") }},
		"reserved bit":         {"1002", func(w *wireless) { w.frame(0xC1, "x") }},
		"binary":               {"1003", func(w *wireless) { w.frame(0x82, "x") }},
		"not UTF-8":            {"1007", func(w *wireless) { w.frame(0x81, "{\"id\":2,\"do\":\"\xff\"}") }},
		"too large":            {"1009", func(w *wireless) { w.frame(0x81, strings.Repeat(" ", 16<<10+1)) }},
		"no message":           {"4400", func(w *wireless) { w.frame(0x81, "x"); synctest.Wait(); w.frame(0x88, "\x03\xe8") }},
		"it breaks off":        {"", func(w *wireless) {}},
		"it ends its half":     {"", func(w *wireless) { io.WriteString(w, lastWord) }},
		"in a frame":           {"", func(w *wireless) { w.Write([]byte{0x81, 0x85}) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t, nil)
			s.term()
			conn, there := net.Pipe()
			s.pipes.conns <- mute{there}
			go io.WriteString(conn, "GET /v1/realms/spring/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
			w := &wireless{t, conn, bufio.NewReader(conn)}
			if resp, err := http.ReadResponse(w.r, nil); err != nil || resp.StatusCode != 101 {
				t.Fatalf("%v %v", resp, err)
			}
			w.frame(0x81, `{"id":1,"do":"hello","person":"ann"}`)
			w.read()
			go io.Copy(io.Discard, w.r)
			c.send(w)
			synctest.Wait()
			conn.Close()
			time.Sleep(5 * time.Second)
			if s.metric("holdfast_sockets", "") != 0 {
				t.Errorf("%s: it is still there", name)
			}
			counts := s.ends()
			if c.code == "" && len(counts) != 0 || c.code != "" && (len(counts) != 1 || counts[c.code] != 1) {
				t.Errorf("%s: counted as %v, want one %s", name, counts, c.code)
			}
		})
	}
}

// TestStreamsEndWithTheEngine: behind a log that failed nothing is told any more, so the streams end, and their readers come back elsewhere.
func TestStreamsEndWithTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		s := serve(t, nil, hold(h), func(_ *memlog.Log, c *server.Config) { c.Heartbeat = time.Hour })
		s.term()
		stream := s.events("ann", "")
		stream.event()
		defer time.AfterFunc(time.Minute, stream.close).Stop()
		get := func(target string) *http.Response {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost"+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Transport{DialContext: s.pipes.dial, DisableKeepAlives: true}).RoundTrip(req)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			return resp
		}
		feed := get("/v1/realms/spring/events?follow=true")
		defer feed.Body.Close()
		h.close()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			s.raw("PUT", "/v1/realms/spring/pools/c1/claims/ann", "")
		}()
		synctest.Wait()
		h.open(errors.New("the disk is gone"))
		<-answered
		if _, err := io.Copy(io.Discard, feed.Body); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the feed broke: %v", err)
		}
		stream.rest()
		if n := s.metric("holdfast_sockets_closed_total", "4503"); n != 1 {
			t.Errorf("%v counted", n)
		}
	})
}
