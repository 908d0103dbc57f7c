package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/memlog"
	"holdfast/server"
)

// dial opens a connection to a server's URL that is given up after a minute.
func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// TestSlowPeers: who sends a head or a body drop by drop, who falls silent, who sends a giant head: each is cut after 10 s at most, and
// leaves nothing.
func TestSlowPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.term()
		l := newPipes()
		served := make(chan error, 1)
		go func() { served <- w.server.Serve(l) }()
		var peers sync.WaitGroup
		for name, begin := range map[string]string{
			"slow head":   "GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
			"slow body":   "POST /v1/realms/spring/baskets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{",
			"silent head": "GET /heal",
			"silent body": "PUT " + c1 + "/claims/ann HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
			"silent":      "",
			"giant head":  "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10),
		} {
			conn, err := l.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			peers.Go(func() { // sends, and goes on drop by drop
				fmt.Fprint(conn, begin)
				for strings.HasPrefix(name, "slow") {
					time.Sleep(300 * time.Millisecond)
					if _, err := fmt.Fprint(conn, "x: y\r\n"); err != nil {
						return
					}
				}
			})
			peers.Go(func() {
				answer, _ := io.ReadAll(conn)
				if took := time.Since(began); took > 11*time.Second {
					t.Errorf("%s is cut after %s", name, took)
				}
				if name == "giant head" && !strings.Contains(string(answer), " 431 ") {
					t.Errorf("a giant head got %.80q", answer)
				}
				conn.Close()
			})
		}
		peers.Wait()
		if head := w.head(); head != 3 {
			t.Errorf("half a request changed something: the head is %d", head)
		}
		if err := w.server.Shutdown(t.Context()); err != nil || <-served != nil {
			t.Error(err)
		}
		w.engine.Close()
	})
}

// TestTooManyConnections: the one beyond the limit is told to come back; when one goes the next is served.
func TestTooManyConnections(t *testing.T) {
	const most = 5
	_, url := live(t, func(_ *memlog.Log, cfg *server.Config) { cfg.MaxConnections = most })
	ask := func(conn net.Conn) (string, string) {
		fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err.Error(), ""
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Retry-After") != ""), string(body)
	}
	var in []net.Conn
	for range most {
		conn := dial(t, url)
		if got, _ := ask(conn); got != "200 false" {
			t.Fatal(got)
		}
		in = append(in, conn)
	}
	for range 100 {
		conn := dial(t, url)
		if got, body := ask(conn); got != "503 true" || !strings.Contains(body, `"code":"busy"`) || !strings.Contains(body, "retry_after_ms") {
			t.Fatalf("one too many got %s %s", got, body)
		}
		conn.Close()
	}
	for _, conn := range in {
		if got, _ := ask(conn); got != "200 false" {
			t.Errorf("who was in got %s", got)
		}
	}
	in[0].Close()
	for began := time.Now(); ; { // the server sees the close a moment later
		conn := dial(t, url)
		got, _ := ask(conn)
		conn.Close()
		if got == "200 false" {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("one has gone, and the next gets %s", got)
		}
	}
}
