package server_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// journal is what was logged.
type journal struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *journal) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *journal) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// TestRefusedTokensAreTold: why a token is refused stands in the log at debug level, once a second, and no part of it with it, nor anything
// that begins a line.
func TestRefusedTokensAreTold(t *testing.T) {
	k := newLock(t)
	good := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
	synctest.Test(t, func(t *testing.T) {
		logged := &journal{}
		s := lockedTerm(t, k, func(_ *memlog.Log, c *server.Config) {
			c.Logger = slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		logged.take()
		canary := good[len(good)-20:]
		bad := good[:len(good)-1] + "-"
		for range 100 {
			s.must(401, "GET", c1, "", bearerOf(bad)...)
		}
		text := logged.take()
		if strings.Count(text, "a token was refused") != 1 || !strings.Contains(text, "level=DEBUG") || !strings.Contains(text, "no such API key") || !strings.Contains(text, "not_told=0") {
			t.Errorf("%q", text)
		}
		time.Sleep(time.Second)
		for _, hello := range []string{fmt.Sprintf(`"token":%q`, bad), `"ticket":"hft_` + canary + `"`, `"token":"a\nlevel=ERROR msg=` + canary + `"`, `"ticket":"\nlevel=ERROR ` + canary + `"`} {
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello",%s}`, hello)
			p.closed(4401)
			text := logged.take()
			if strings.Count(text, "a token was refused") != 1 || strings.Contains(text, canary[:15]) || strings.Contains(text, "\nlevel=ERROR") {
				t.Errorf("%s: %q", hello, text)
			}
			if strings.Contains(hello, `"token":"hf_`) && !strings.Contains(text, "not_told=99") {
				t.Errorf("%q", text)
			}
			time.Sleep(time.Second)
		}
		if s.must(401, "GET", c1, "", bearerOf("x")...); strings.Contains(s.raw("GET", "/healthz", "").Body.String(), "API key") {
			t.Error("told to who asks")
		}
		// What a stranger can name does not become a line of the log, nor a token a part of one.
		for _, header := range [][]string{{"Origin", "https://x\nlevel=ERROR"}, {"Host", "evil\nlevel=ERROR"}, {"User-Agent", "\nlevel=ERROR"}, {"Last-Event-ID", "\nlevel=ERROR"}} {
			s.raw("GET", "/v1/realms/spring/people/ann/events?since=%0Alevel=ERROR", "", append(header, bearerOf(good+"\nlevel=ERROR")...)...)
		}
		if text := logged.take(); strings.Contains(text, "\nlevel=ERROR") || strings.Contains(text, canary) {
			t.Errorf("%q", text)
		}
	})
}

// failing is a mirror whose error names what strangers must not know.
type failing struct{ server.Recorder }

func (failing) Recorded() uint64 { return 0 }
func (failing) Status() (string, time.Duration, error) {
	return "retrying", time.Second, errors.New("failed to connect to user=holdfast database=enrolment 10.0.0.5")
}

// TestHealthTellsStrangersLittle: where tokens are asked for, what is public names neither hosts nor files nor users.
func TestHealthTellsStrangersLittle(t *testing.T) {
	k := newLock(t)
	admin := k.key(auth.Key{Role: auth.Admin})
	for _, locked := range []bool{true, false} {
		h := &held{}
		change := []func(*memlog.Log, *server.Config){func(l *memlog.Log, _ *server.Config) { l.Gate = h.gate }}
		if locked {
			change = append(change, k.use)
		}
		w := newWorld(t, failing{}, change...)
		if text := w.must(200, "GET", "/readyz", "").Body.String(); strings.Contains(text, "10.0.0.5") == locked || !strings.Contains(text, "retrying") {
			t.Errorf("locked %v: /readyz says %s", locked, text)
		}
		if text := w.must(200, "GET", "/v1/log", "", bearerOf(admin)...).Body.String(); !strings.Contains(text, "10.0.0.5") {
			t.Errorf("an admin is told %s", text)
		}
		h.close()
		h.open(errors.New("write /var/lib/secret-place/journal: no space"))
		w.do("PUT", "/v1/realms/spring", "", bearerOf(admin)...)
		<-w.engine.Done()
		for _, path := range []string{"/healthz", "/readyz"} {
			if text := w.must(503, "GET", path, "").Body.String(); strings.Contains(text, "secret-place") == locked || !strings.Contains(text, "failed") {
				t.Errorf("locked %v: %s says %s", locked, path, text)
			}
		}
	}
}

// TestOwnOrigin: a page is the server's own if it has its host, and over TLS its scheme; what a proxy is said to have put counts for nothing.
func TestOwnOrigin(t *testing.T) {
	k := newLock(t)
	token := k.key(auth.Key{Role: auth.Admin})
	locked, open := newWorld(t, nil, k.use), newWorld(t, nil, func(_ *memlog.Log, c *server.Config) { c.Origins = []string{"https://portal.example.edu"} })
	for _, c := range []struct {
		open, tls    bool
		host, origin string
		more         []string
		status       int
	}{
		{false, true, "enrol.example.edu", "https://enrol.example.edu", nil, 404},
		{false, true, "enrol.example.edu", "http://enrol.example.edu", nil, 403}, // whoever sits on the line can be that page
		{false, false, "enrol.example.edu", "https://enrol.example.edu", nil, 404},
		{false, false, "enrol.example.edu", "http://enrol.example.edu", nil, 404},
		{false, false, "enrol.example.edu", "ftp://enrol.example.edu", nil, 403},
		{false, false, "enrol.example.edu", "app://enrol.example.edu", nil, 403},
		{false, false, "enrol.example.edu", "https://enrol.example.edu:8443", nil, 403},
		{false, false, "enrol.example.edu:8443", "https://enrol.example.edu", nil, 403},
		{false, false, "enrol.example.edu", "https://evil.example", []string{"X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example"}, 403},
		{false, false, "enrol.example.edu", "https://evil.example", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{false, false, "enrol.example.edu", "https://evil.example", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{false, false, "enrol.example.edu", "https://evil.example", []string{"Sec-Fetch-Site", "none"}, 403},
		{false, false, "enrol.example.edu", "https://inside.example.edu", []string{"Sec-Fetch-Site", "same-origin"}, 404},
		{true, false, "localhost", "", nil, 404},
		{true, false, "localhost", "https://portal.example.edu", nil, 404},
		{true, false, "evil.example", "https://portal.example.edu", nil, 403}, // a name of theirs that leads to this machine
		{true, false, "evil.example", "", nil, 403},
		{true, false, "evil.example", "http://evil.example", []string{"Sec-Fetch-Site", "same-origin"}, 403},
		{true, false, "evil.example", "", []string{"X-Forwarded-Host", "localhost", "X-Forwarded-For", "127.0.0.1", "X-Real-Ip", "127.0.0.1"}, 403},
		{true, false, "127.0.0.1.evil.example", "", nil, 403}, {true, false, "localhost.evil.example", "", nil, 403}, {true, false, "0.0.0.0", "", nil, 403},
		{true, false, "", "", nil, 403}, {true, false, "[::2]", "", nil, 403}, {true, false, "10.0.0.1", "", nil, 403}, {true, false, "[::1]:7700", "", nil, 404},
	} {
		w := locked
		if c.open {
			w = open
		}
		for _, path := range []string{"/v1/realms/nowhere", "/v1/realms/nowhere/ws"} {
			req := httptest.NewRequest("GET", "http://x"+path, nil)
			req.Host = c.host
			if c.tls {
				req.TLS = &tls.ConnectionState{}
			}
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
			}
			if !c.open {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			for i := 0; i < len(c.more); i += 2 {
				req.Header.Set(c.more[i], c.more[i+1])
			}
			want := c.status
			if strings.HasSuffix(path, "ws") {
				req.Header.Set("Upgrade", "websocket")
				if want == 404 {
					want = 426 // it has no key, so it is no WebSocket request: but it has come as far as that
				}
			}
			rec := httptest.NewRecorder()
			if w.server.Handler().ServeHTTP(rec, req); rec.Code != want {
				t.Errorf("%+v %s: %d %s, want %d", c, path, rec.Code, rec.Body, want)
			}
		}
	}
	long := "http://" + strings.Repeat("x", 400)
	if r := locked.do("POST", "/v1/realms/spring/tickets", "", append(bearerOf(token), "Origin", long, "Host", long[7:])...); r.Code != 400 || r.text("field") != "Origin" {
		t.Errorf("a ticket keeps an origin of 400 bytes: %d %s", r.Code, r.Body)
	}
}

// TestStreamsAreBounded: a client is told of the bound on the streams of one HTTP/2 connection.
func TestStreamsAreBounded(t *testing.T) {
	made := httptest.NewUnstartedServer(nil)
	made.StartTLS()
	certificate := made.TLS.Certificates[0]
	made.Close()
	_, url := live(t, func(_ *memlog.Log, c *server.Config) {
		c.TLS, c.MaxStreams = &tls.Config{Certificates: []tls.Certificate{certificate}}, 7
	})
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "http://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") // the preface, and no settings of ours
	head := make([]byte, 9)
	if _, err := io.ReadFull(conn, head); err != nil || head[3] != 4 {
		t.Fatalf("%v: no settings but frame %x", err, head)
	}
	settings := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(conn, settings); err != nil {
		t.Fatal(err)
	}
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == 3 {
			if n := binary.BigEndian.Uint32(settings[2:]); n != 7 {
				t.Errorf("%d streams", n)
			}
			return
		}
	}
	t.Error("nothing bounds the streams of a connection")
}

// TestStrangersFrames: 1 KiB before hello, in whatever frames.
func TestStrangersFrames(t *testing.T) {
	s := listen(t, func(_ *memlog.Log, c *server.Config) { c.HelloWait = time.Hour }) // it is not the time that ends them
	s.term()
	for name, send := range map[string]func(*wireless){
		"fragments of a byte": func(w *wireless) {
			w.frame(0x01, "{")
			for range 1000 {
				w.frame(0x00, " ")
			}
		},
		"empty fragments": func(w *wireless) {
			w.frame(0x01, "{")
			for range 1000 {
				w.frame(0x00, "")
			}
		},
		"pings": func(w *wireless) {
			for range 1000 {
				w.frame(0x89, "")
			}
		},
		"long pings": func(w *wireless) {
			for range 30 {
				w.frame(0x89, strings.Repeat("p", 125))
			}
		},
		"pongs": func(w *wireless) {
			for range 1000 {
				w.frame(0x8A, "")
			}
		},
		"pings between fragments": func(w *wireless) {
			w.frame(0x01, `{"id":1,`)
			for range 500 {
				w.frame(0x89, "x")
				w.frame(0x00, " ")
			}
		},
		"one frame": func(w *wireless) { w.frame(0x81, strings.Repeat(" ", 1025)) },
	} {
		w := s.open()
		go send(w)
		w.closedWith(name, 4408)
	}
	w := s.open() // to the byte it is hello
	hello := `{"id":1,"do":"hello","person":"ann"`
	w.frame(0x81, hello+strings.Repeat(" ", 1024-len(hello)-1)+"}")
	if op, text := w.read(); op != 1 || !strings.Contains(text, `"do":"hello"`) {
		t.Errorf("1 KiB: %d %s", op, text)
	}
}

// TestSlowHandshake: who does not end the head of a request in 10 s is gone, also where it would be a WebSocket; so is who does not begin.
func TestSlowHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		for _, head := range []string{"", "GET /v1/realms/spring/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n", "POST /v1/realms/spring/baskets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"} {
			conn, err := s.pipes.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			io.WriteString(conn, head)
			io.Copy(io.Discard, conn)
			if d := time.Since(began); d < 5*time.Second || d > 12*time.Second {
				t.Errorf("%.20q: it was cut after %s", head, d)
			}
			conn.Close()
		}
	})
}

// halved is a connection that tells when its half is closed.
type halved struct {
	net.Conn
	half chan struct{}
	once sync.Once
}

func (h *halved) CloseWrite() error {
	h.once.Do(func() { close(h.half) })
	return nil
}

// TestHalfIsClosedFirst: a connection that is counted can end its half, so that the close frame arrives although the other side still sends.
func TestHalfIsClosedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		here, there := net.Pipe()
		h := &halved{Conn: there, half: make(chan struct{})}
		s.pipes.conns <- h
		go io.Copy(io.Discard, here)
		io.WriteString(here, "GET /v1/realms/spring/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		synctest.Wait()
		began := time.Now()
		here.Write([]byte{0x82, 0x80, 0, 0, 0, 0}) // binary
		<-h.half
		if d := time.Since(began); d > 100*time.Millisecond {
			t.Errorf("after %s", d)
		}
		here.Close()
	})
}
