package server_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// These use real sockets and frames made by hand: what no library would send.

// listening is a world behind a real socket.
type listening struct {
	*world
	addr string
}

func listen(t *testing.T, change ...func(*memlog.Log, *server.Config)) *listening {
	t.Helper()
	s := &listening{world: newWorld(t, nil, change...)}
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		<-ended
	})
	return s
}

// wireless is a client's end, frame by frame.
type wireless struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (s *listening) open() *wireless {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "GET /v1/realms/spring/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	w := &wireless{s.t, conn, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil || resp.StatusCode != 101 {
		s.t.Fatalf("%v %v", resp, err)
	}
	return w
}

func (s *listening) openAs(hello string) *wireless {
	w := s.open()
	w.frame(0x81, hello)
	if op, text := w.read(); op != 1 || !strings.Contains(text, `"do":"hello"`) {
		s.t.Fatalf("%d %s", op, text)
	}
	return w
}

// frame sends one. first: FIN and the opcode. An error is for the reading to find.
func (w *wireless) frame(first byte, payload string) {
	head := []byte{first, 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
	}
	w.Write(append(append(head, 0, 0, 0, 0), payload...)) // masked with zeros
}

// read gives the next frame that is neither ping nor pong; opcode 0 with the error where there is none.
func (w *wireless) read() (opcode byte, text string) {
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(w.r, head); err != nil {
			return 0, err.Error()
		}
		n := int(head[1] & 127)
		switch n {
		case 126:
			var b [2]byte
			io.ReadFull(w.r, b[:])
			n = int(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			io.ReadFull(w.r, b[:])
			n = int(binary.BigEndian.Uint64(b[:]))
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.r, payload); err != nil {
			return 0, err.Error()
		}
		if op := head[0] & 15; op != 9 && op != 10 {
			return op, string(payload)
		}
	}
}

// closedWith reads until the close frame.
func (w *wireless) closedWith(what string, codes ...int) {
	w.t.Helper()
	for {
		op, text := w.read()
		switch {
		case op == 0:
			w.t.Errorf("%s: the connection ended without a close frame: %s", what, text)
			return
		case op == 8 && len(text) >= 2:
			got := int(binary.BigEndian.Uint16([]byte(text)))
			for _, code := range codes {
				if got == code {
					return
				}
			}
			w.t.Errorf("%s: closed with %d %s, want %v", what, got, text[2:], codes)
			return
		case op == 8:
			if len(codes) > 0 && codes[0] != 0 {
				w.t.Errorf("%s: closed without a code", what)
			}
			return
		}
	}
}

// TestSocketFrames: broken and hostile frames end their connection, with the code that says why, and no other.
func TestSocketFrames(t *testing.T) {
	s := listen(t)
	s.term()
	const hello = `{"id":1,"do":"hello","person":"ann"}`
	good := s.openAs(hello)
	for name, c := range map[string]struct {
		send  func(*wireless)
		codes []int
	}{
		"binary":             {func(w *wireless) { w.frame(0x82, `{"id":2,"do":"ping"}`) }, []int{1003}},
		"unmasked":           {func(w *wireless) { w.Write([]byte("\x81\x02{}")) }, []int{1002}},
		"reserved opcode":    {func(w *wireless) { w.frame(0x83, "x") }, []int{1002}},
		"reserved bit":       {func(w *wireless) { w.frame(0xC1, "x") }, []int{1002}},
		"not UTF-8":          {func(w *wireless) { w.frame(0x81, "{\"id\":2,\"do\":\"\xff\"}") }, []int{1007}},
		"giant":              {func(w *wireless) { w.Write([]byte{0x81, 0x80 | 127, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}) }, []int{1009}},
		"one byte too large": {func(w *wireless) { w.frame(0x81, strings.Repeat(" ", 16<<10+1)) }, []int{1009}},
		"long ping":          {func(w *wireless) { w.frame(0x89, strings.Repeat("p", 126)) }, []int{1002}},
		"fragmented ping":    {func(w *wireless) { w.frame(0x09, "p") }, []int{1002}},
		"lone continuation":  {func(w *wireless) { w.frame(0x80, "x") }, []int{1002}},
		"text inside text":   {func(w *wireless) { w.frame(0x01, "{"); w.frame(0x81, "{}") }, []int{1002}},
		"no JSON":            {func(w *wireless) { w.frame(0x81, "claim c1 please") }, []int{4400}},
		"empty":              {func(w *wireless) { w.frame(0x81, "") }, []int{4400}},
		"no id":              {func(w *wireless) { w.frame(0x81, `{"do":"ping"}`) }, []int{4400}},
		"continuation bomb": {func(w *wireless) {
			w.frame(0x01, `{"id":2,"do":"`)
			for range 40 {
				w.frame(0x00, strings.Repeat("x", 1000))
			}
		}, []int{1009}},
		"close 1000":      {func(w *wireless) { w.frame(0x88, "\x03\xe8") }, []int{1000}},
		"close 1005":      {func(w *wireless) { w.frame(0x88, "\x03\xed") }, []int{1002}},
		"close 65535":     {func(w *wireless) { w.frame(0x88, "\xff\xff") }, []int{1002}},
		"close of a byte": {func(w *wireless) { w.frame(0x88, "\x03") }, []int{1002}},
		"close, bad text": {func(w *wireless) { w.frame(0x88, "\x03\xe8\xff\xff") }, []int{1000, 1007}},
		"empty close":     {func(w *wireless) { w.frame(0x88, "") }, []int{0}},
	} {
		w := s.openAs(hello)
		c.send(w)
		w.closedWith(name, c.codes...)
	}
	// Fragments of one byte are slow, and no error.
	w := s.openAs(hello)
	message := `{"id":2,"do":"ping"}`
	for i := range len(message) {
		first := byte(0)
		if i == 0 {
			first = 1
		}
		if i == len(message)-1 {
			first |= 0x80
		}
		w.frame(first, message[i:i+1])
		if i == 5 {
			w.frame(0x89, "between") // a ping may come between
		}
	}
	for {
		if op, text := w.read(); strings.Contains(text, `"reply":2`) {
			break
		} else if op == 0 || op == 8 {
			t.Fatalf("fragments: %d %s", op, text)
		}
	}
	good.frame(0x81, `{"id":2,"do":"ping"}`)
	for {
		if op, text := good.read(); strings.Contains(text, `"reply":2`) {
			break
		} else if op == 0 || op == 8 {
			t.Fatalf("the good one: %d %s", op, text)
		}
	}
}

// TestSocketHostile: what takes long or never ends is ended.
func TestSocketHostile(t *testing.T) {
	k := newLock(t)
	token := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
	admin := k.key(auth.Key{Role: auth.Admin})
	s := listen(t, k.use, func(_ *memlog.Log, c *server.Config) { c.HelloWait = 300 * time.Millisecond })
	s.must(200, "PUT", "/v1/realms/spring", "", bearerOf(admin)...)
	hello := fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, token)

	slow := s.open() // begins a hello and never ends it
	slow.Write([]byte{0x81, 0x80 | 60, 0, 0, 0, 0, '{'})
	slow.closedWith("slowloris", 4408)

	long := s.open() // a stranger's frame of 16 KiB
	long.Write(append([]byte{0x81, 0x80 | 126, 0x40, 0, 0, 0, 0, 0}, strings.Repeat(" ", 4000)...))
	long.closedWith("much before hello", 4408)

	pings := s.openAs(hello)
	go func() {
		for range 20_000 {
			pings.frame(0x89, "x")
		}
	}()
	pings.closedWith("ping flood", 4429)

	frames := s.openAs(hello)
	go func() {
		for i := range 20_000 {
			frames.frame(0x81, fmt.Sprintf(`{"id":%d,"do":"ping"}`, i+1))
		}
	}()
	frames.closedWith("frame flood", 4429)

	empties := s.openAs(hello) // continuations without an end: no message ever, so only bytes count
	go func() {
		empties.frame(0x01, "{")
		for range 100_000 {
			empties.frame(0x00, "")
		}
	}()
	empties.closedWith("endless fragments", 4429)

	half := s.openAs(hello) // closes its half and goes on listening
	half.Conn.(*net.TCPConn).CloseWrite()
	for {
		if op, _ := half.read(); op == 0 || op == 8 {
			break
		}
	}
	gone := s.openAs(hello) // goes away without a word
	gone.Conn.(*net.TCPConn).SetLinger(0)
	gone.Close()

	early := s.open() // hello and more at once: what comes behind hello is not a stranger's
	more := hello
	for i := range 30 {
		more += fmt.Sprintf("\n"+`{"id":%d,"do":"ping"}%300s`, i+2, "")
	}
	early.frame(0x81, hello)
	early.frame(0x81, more[len(hello)+1:])
	for n := 0; n < 30; {
		op, text := early.read()
		if n += strings.Count(text, `"do":"ping"`); op != 1 {
			t.Fatalf("%d %s", op, text)
		}
	}
}
