package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"holdfast/internal/memlog"
	"holdfast/server"
)

// live is a world that listens.
func live(t *testing.T, change ...func(*memlog.Log, *server.Config)) (*world, string) {
	w := newWorld(t, nil, change...)
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- w.server.Serve(l) }()
	t.Cleanup(func() {
		if err := w.server.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return w, "http://" + l.Addr().String()
}

func lines(r interface{ String() string }) []string {
	text := strings.TrimSpace(r.String())
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// TestFeed: NDJSON to the durable end, from a number on, a limited one, and only of its realm.
func TestFeed(t *testing.T) {
	w := newWorld(t, nil)
	w.term()
	w.must(200, "PUT", "/v1/realms/autumn", "")
	w.must(200, "PUT", c1+"/claims/ann", "")
	r := w.must(200, "GET", "/v1/realms/spring/events", "")
	var kinds []string
	for _, line := range lines(r.Body) {
		var e struct {
			Seq  uint64
			Kind string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds = append(kinds, fmt.Sprint(e.Seq, e.Kind))
	}
	if got, want := strings.Join(kinds, " "), "1started 2realm_put 3pool_put 5seated"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r.Header().Get("Holdfast-Log") != "6d656d00000000000000000000000000" || r.Header().Get("Holdfast-Last") != "5" {
		t.Errorf("headers %v", r.Header())
	}
	for query, want := range map[string]int{"?after=2": 2, "?after=5": 0, "?after=1&limit=1": 1, "?log=6d656d00000000000000000000000000": 4, "?limit=2&follow=true": 2} {
		if got := lines(w.must(200, "GET", "/v1/realms/spring/events"+query, "").Body); len(got) != want {
			t.Errorf("%s gave %d lines, want %d: %s", query, len(got), want, got)
		}
	}
	if err := w.log.Trim(4); err != nil {
		t.Fatal(err)
	}
	if r := w.must(410, "GET", "/v1/realms/spring/events", ""); r.number("first") != "4" {
		t.Errorf("trimmed: %s", r.Body)
	}
	w.must(200, "GET", "/v1/realms/spring/events?after=3", "")
}

// next reads one server-sent event and gives its lines.
func next(t *testing.T, r *bufio.Reader) (event []string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", event, err)
		}
		if line == "\n" {
			return event
		}
		event = append(event, strings.TrimSuffix(line, "\n"))
	}
}

// TestEventStream: what happens comes at once, a quiet feed says that it lives, a reader resumes, and the end of the
// server gives the last event and ends the feed.
func TestEventStream(t *testing.T) {
	w, url := live(t, func(_ *memlog.Log, cfg *server.Config) { cfg.Heartbeat = 5 * time.Millisecond })
	w.term()
	get := func(last string) (*bufio.Reader, func() error) {
		req, _ := http.NewRequest("GET", url+"/v1/realms/spring/events?after=1", nil)
		req.Header.Set("Accept", "text/event-stream")
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		return bufio.NewReader(resp.Body), resp.Body.Close
	}
	r, stop := get("")
	if e := next(t, r); len(e) != 3 || e[0] != "id: 2" || e[1] != "event: realm_put" || !strings.HasPrefix(e[2], `data: {"seq":2,`) {
		t.Fatalf("first event: %q", e)
	}
	next(t, r)
	if e := next(t, r); strings.Join(e, "|") != ":|id: 3" {
		t.Fatalf("heartbeat: %q", e)
	}
	w.must(200, "PUT", "/v1/realms/autumn", "") // another realm's event moves the number
	for {
		if e := next(t, r); strings.Join(e, "|") == ":|id: 4" {
			break
		} else if e[0] != ":" {
			t.Fatalf("another realm's event: %q", e)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.must(200, "PUT", c1+"/claims/ann", "")
	r, stop = get("4")
	defer stop()
	if e := next(t, r); e[0] != "id: 5" || e[1] != "event: seated" {
		t.Fatalf("resumed with %q", e)
	}
	go w.server.Shutdown(t.Context())
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("the feed broke off: %v", err)
	}
}

// TestFeedLimits: only so many feeds, and one that does not read is cut.
func TestFeedLimits(t *testing.T) {
	w, url := live(t, func(_ *memlog.Log, cfg *server.Config) { cfg.MaxFeeds, cfg.FeedWrite = 1, 50*time.Millisecond })
	w.must(200, "PUT", "/v1/realms/spring", "")
	for i := range 600 { // 10 MB of events: more than the kernel keeps for a reader that does not read
		w.do("PUT", fmt.Sprintf("/v1/realms/spring/pools/c%d?wait=none", i), `{"capacity":1,"data":"`+strings.Repeat("d", 16000)+`"}`)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(conn, "GET /v1/realms/spring/events?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200" {
		t.Fatalf("%q %v", head, err)
	}
	// The one feed that there may be is open; it is cut, and then there is room again.
	first := w.do("GET", "/v1/realms/spring/events?limit=1", "")
	for deadline := time.Now().Add(10 * time.Second); ; {
		if r := w.do("GET", "/v1/realms/spring/events?limit=1", ""); r.Code == 200 {
			break
		} else if r.text("code") != "busy" || time.Now().After(deadline) {
			t.Fatalf("the feed is not cut: %d %s", r.Code, r.Body)
		}
		runtime.Gosched() // polls: the cut shows nowhere else
	}
	if first.Code != 503 {
		t.Errorf("a second feed: %d", first.Code)
	}
}
