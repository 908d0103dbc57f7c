package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"holdfast/client"
)

// network carries connections in memory between clients and whatever serves it, and can cut them.
type network struct {
	mu       sync.Mutex // guards what follows
	listener *pipes
	open     map[*wire]bool
	dials    int
	tap      func(side string, n int, p []byte) bool // false: the connection is cut before these bytes; n counts a side's writes
	dead     bool                                    // bytes vanish
}

// wire is one end of a connection.
type wire struct {
	net.Conn
	network *network
	side    string // "client", "server": who writes on it
	writes  int
}

func (w *wire) Write(p []byte) (int, error) {
	n := w.network
	n.mu.Lock()
	w.writes++
	tap, count, dead := n.tap, w.writes, n.dead
	n.mu.Unlock()
	if dead {
		return len(p), nil
	}
	if tap != nil && !tap(w.side, count, p) {
		w.Conn.Close()
		return 0, errCut
	}
	return w.Conn.Write(p)
}

func (w *wire) Close() error {
	w.network.mu.Lock()
	delete(w.network.open, w)
	w.network.mu.Unlock()
	return w.Conn.Close()
}

type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func newNetwork() *network { return &network{open: map[*wire]bool{}} }

// listen gives the listener of a new server; connections go there from now on.
func (n *network) listen() net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listener = &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	return n.listener
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	n.mu.Lock()
	n.dials++
	l := n.listener
	mine, theirs := &wire{Conn: here, network: n, side: "client"}, &wire{Conn: there, network: n, side: "server"}
	n.open[mine], n.open[theirs] = true, true
	n.mu.Unlock()
	select {
	case l.conns <- theirs:
		return mine, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	mine.Close()
	theirs.Close()
	return nil, errors.New("connection refused")
}

// cut ends all connections at once.
func (n *network) cut() {
	n.mu.Lock()
	var all []*wire
	for w := range n.open {
		all = append(all, w)
	}
	n.mu.Unlock()
	for _, w := range all {
		w.Close()
	}
}

func (n *network) set(f func(*network)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

func (n *network) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// over makes a client's configuration go over the network.
func (n *network) over(cfg *client.Config) {
	cfg.HTTP = &http.Client{Transport: &http.Transport{DialContext: n.dial, DisableKeepAlives: true}}
}

// served is a world that serves connections too.
type served struct {
	*world
	*network
	gone chan struct{}
}

func serve(t *testing.T) *served {
	s := &served{world: newWorld(t), network: newNetwork()}
	s.listen()
	t.Cleanup(func() { s.cut(); s.quit() })
	return s
}

func (s *served) listen() {
	l, gone := s.network.listen(), make(chan struct{})
	s.gone = gone
	s.world.mu.Lock()
	server := s.world.server
	s.world.mu.Unlock()
	go func() {
		defer close(gone)
		if err := server.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
			s.t.Error(err)
		}
	}()
}

// quit ends the server in good order.
func (s *served) quit() {
	s.world.stop()
	<-s.gone
}

// crash ends the server between two instructions, and starts it again.
func (s *served) crash() {
	s.cut()
	s.quit()
	s.log.Reopen()
	s.world.start()
	s.listen()
}

func (s *served) client(change ...func(*client.Config)) *client.Client {
	s.t.Helper()
	return s.world.client(append([]func(*client.Config){s.over}, change...)...)
}

// watch gives a Watcher that ends with the test.
func (s *served) watch(person string, from client.Cursor) *client.Watcher {
	w := s.client().Watch(context.Background(), person, from)
	s.t.Cleanup(w.Close)
	return w
}

// until reads news until good says so.
func until(t *testing.T, next func(context.Context) (client.Update, error), good func(client.Update) bool) client.Update {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for {
		u, err := next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if good(u) {
			return u
		}
	}
}

func online(u client.Update) bool { return u.Online }

// fake is a server whose every word is a test's own.
type fake struct {
	*network
	t      *testing.T
	server *http.Server
	serve  func(f *talk)                                     // one connection
	turn   func(w http.ResponseWriter, r *http.Request) bool // false: it goes on to serve; nil: always
	tokens []string                                          // of the requests
	gone   chan struct{}
}

// talk is one connection of a fake.
type talk struct {
	t    *testing.T
	conn *websocket.Conn
	n    int // which connection, from 1
	left [][]byte
}

func newFake(t *testing.T, serve func(*talk)) *fake {
	f := &fake{network: newNetwork(), t: t, serve: serve, gone: make(chan struct{})}
	f.server = &http.Server{Handler: http.HandlerFunc(f.answer)}
	l := f.listen()
	go func() { defer close(f.gone); f.server.Serve(l) }()
	t.Cleanup(func() { f.cut(); f.server.Close(); <-f.gone })
	return f
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.tokens = append(f.tokens, r.Header.Get("Authorization"))
	n := len(f.tokens)
	f.mu.Unlock()
	if f.turn != nil && f.turn(w, r) {
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	f.serve(&talk{t: f.t, conn: conn, n: n})
}

func (f *fake) client(change ...func(*client.Config)) *client.Client {
	cfg := client.DefaultConfig()
	cfg.URL, cfg.Realm = "http://localhost", "spring"
	f.over(&cfg)
	for _, g := range change {
		g(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// hear gives the next message, nil at the end.
func (k *talk) hear() map[string]any {
	for len(k.left) == 0 {
		_, frame, err := k.conn.Read(context.Background())
		if err != nil {
			return nil
		}
		k.left = bytes.Split(frame, []byte("\n"))
	}
	line := k.left[0]
	k.left = k.left[1:]
	m := map[string]any{}
	if err := json.Unmarshal(line, &m); err != nil {
		k.t.Errorf("%q: %v", line, err)
	}
	return m
}

func (k *talk) say(text string) {
	k.conn.Write(context.Background(), websocket.MessageText, []byte(text))
}

// greet answers the hello.
func (k *talk) greet() map[string]any {
	m := k.hear()
	if m == nil || m["do"] != "hello" {
		return nil
	}
	k.say(`{"reply":1,"do":"hello","realm":"spring","role":"person","person":"ann","log":"aa","as_of":10,"time":"2026-09-01T08:00:00Z","ping_ms":20000}` +
		"\n" + `{"push":"claims","person":"ann","as_of":10,"claims":[]}`)
	return m
}
