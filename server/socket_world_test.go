package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"holdfast/internal/memlog"
	"holdfast/server"
)

// pipes is a listener whose connections are pipes in memory, so that time can be a test's own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// served is a world that serves connections in memory.
type served struct {
	*world
	pipes    *pipes
	ended    chan error
	gatherer prometheus.Gatherer
}

// serve serves a world until the test ends.
func serve(t *testing.T, recorder server.Recorder, change ...func(*memlog.Log, *server.Config)) *served {
	t.Helper()
	s := &served{pipes: newPipes(), ended: make(chan error, 1)}
	s.world = newWorld(t, recorder, append(change, func(_ *memlog.Log, c *server.Config) { s.gatherer = c.Gatherer })...)
	go func() { s.ended <- s.server.Serve(s.pipes) }()
	t.Cleanup(func() { s.shutdown() })
	return s
}

// shutdown ends the server; a second time is harmless.
func (s *served) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if e, ok := <-s.ended; ok {
		if e != nil {
			s.t.Errorf("Serve: %v", e)
		}
		close(s.ended)
	}
	return err
}

// phone is a client's end of a WebSocket.
type phone struct {
	t    *testing.T
	conn *websocket.Conn
	left []map[string]any // messages of a frame not yet given
}

// connect opens a WebSocket. header: names and values in turn.
func (s *served) connect(realm string, header ...string) *phone {
	s.t.Helper()
	p, resp, err := s.dial(realm, header...)
	if err != nil {
		s.t.Fatalf("connect: %v %v", err, resp)
	}
	return p
}

func (s *served) dial(realm string, header ...string) (*phone, *http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DialContext: s.pipes.dial, DisableKeepAlives: true}}
	conn, resp, err := websocket.Dial(context.Background(), "ws://localhost/v1/realms/"+realm+"/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: h})
	if err != nil {
		return nil, resp, err
	}
	conn.SetReadLimit(8 << 20)
	s.t.Cleanup(func() { conn.CloseNow() })
	return &phone{t: s.t, conn: conn}, resp, nil
}

// say sends one frame.
func (p *phone) say(format string, args ...any) {
	p.t.Helper()
	if err := p.conn.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// next gives the next message; an error is how the connection was closed.
func (p *phone) next() (map[string]any, error) {
	for len(p.left) == 0 {
		_, frame, err := p.conn.Read(context.Background())
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(frame))
		d.UseNumber()
		for {
			var m map[string]any
			if err := d.Decode(&m); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				p.t.Fatalf("%v: %q", err, frame)
			}
			p.left = append(p.left, m)
		}
	}
	m := p.left[0]
	p.left = p.left[1:]
	return m, nil
}

// hear gives the next message, which must say all of want: "member=value" with spaces between.
func (p *phone) hear(want string) map[string]any {
	p.t.Helper()
	m, err := p.next()
	if err != nil {
		p.t.Fatalf("want %s, but %v", want, err)
	}
	if lacks := differs(m, want); lacks != "" {
		p.t.Fatalf("want %s, heard %v", lacks, m)
	}
	return m
}

func differs(m map[string]any, want string) string {
	for _, w := range strings.Fields(want) {
		name, value, _ := strings.Cut(w, "=")
		v, there := m[name]
		if !there && value == "" {
			continue
		}
		if got := fmt.Sprint(v); got != value || !there {
			return w
		}
	}
	return ""
}

// skipTo gives the first message that says all of want.
func (p *phone) skipTo(want string) map[string]any {
	p.t.Helper()
	for {
		m, err := p.next()
		if err != nil {
			p.t.Fatalf("want %s, but %v", want, err)
		}
		if differs(m, want) == "" {
			return m
		}
	}
}

// closed reads until the connection is closed, and checks the code.
func (p *phone) closed(code int) websocket.CloseError {
	p.t.Helper()
	for {
		_, err := p.next()
		if err == nil {
			continue
		}
		var c websocket.CloseError
		if !errors.As(err, &c) || int(c.Code) != code {
			p.t.Fatalf("closed with %v, want %d", err, code)
		}
		return c
	}
}

// hello connects a person.
func (s *served) hello(person string) *phone {
	s.t.Helper()
	p := s.connect("spring")
	p.say(`{"id":1,"do":"hello","person":%q}`, person)
	p.hear("reply=1 do=hello realm=spring person=" + person)
	p.hear("push=claims all=true")
	return p
}

// many connects somebody who acts for many.
func (s *served) many() *phone {
	s.t.Helper()
	p := s.connect("spring")
	p.say(`{"id":1,"do":"hello"}`)
	p.hear("reply=1 do=hello realm=spring person=")
	return p
}

// events is a stream of a person's events.
type events struct {
	t     *testing.T
	r     *bufio.Reader
	close func()
}

// events opens a stream. last: the id that is known, empty = none.
func (s *served) events(person, last string, header ...string) *events {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://localhost/v1/realms/spring/people/"+person+"/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DialContext: s.pipes.dial, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("%v %v", resp, err)
	}
	e := &events{s.t, bufio.NewReader(resp.Body), func() { cancel(); resp.Body.Close() }}
	s.t.Cleanup(e.close)
	return e
}

// event gives the fields of the next event; none: a sign of life.
func (e *events) event() map[string]string {
	e.t.Helper()
	m := map[string]string{}
	for {
		line, err := e.r.ReadString('\n')
		if err != nil {
			e.t.Fatal(err)
		}
		if line == "\n" {
			return m
		}
		if name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); name != ":" {
			m[name] = value
		}
	}
}

// rest reads until the stream ends.
func (e *events) rest() {
	e.t.Helper()
	if _, err := io.Copy(io.Discard, e.r); err != nil {
		e.t.Errorf("the stream broke: %v", err)
	}
}

// metric reads one: the one whose label has that value, or the first.
func (s *served) metric(name, label string) float64 {
	s.t.Helper()
	return metricOf(s.t, s.gatherer, name, label)
}

func metricOf(t testing.TB, from prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if label != "" && (len(m.Label) == 0 || m.Label[0].GetValue() != label) {
				continue
			}
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s %s", name, label)
	return 0
}
