package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"holdfast/auth"
	"holdfast/internal/live"
	"holdfast/internal/wire"
)

// sockets are the connections that stay open: WebSockets, and streams of one person's events. An idle one has one goroutine, which
// reads, and no buffer but that. All else that works for them is shared, and runs only while there is something to do.
type sockets struct {
	*Server
	upgrader  *gws.Upgrader
	inside    *gate // all of them
	strangers *gate // those who have not said who they are
	gauges    socketMetrics

	workers

	ctx  context.Context // ends with Shutdown
	stop context.CancelFunc
	crew sync.WaitGroup // what works for all of them

	hub struct {
		once sync.Once
		*live.Hub
		err  error
		made atomic.Bool // Hub may be read
	}
}

// workers work for all of them.
type workers struct {
	confirmer
	recordings
	sweeper
	leaver
}

func newSockets(s *Server) (*sockets, error) {
	h := &sockets{Server: s, inside: newGate(s.cfg.MaxSockets), strangers: newGate(s.cfg.MaxStrangers)}
	h.upgrader = gws.NewUpgrader(reader{}, &gws.ServerOption{
		ReadMaxPayloadSize: wire.MaxFrame,
		ReadBufferSize:     readBuffer,
		ParallelGolimit:    1,
		NewSession:         func() gws.SessionStorage { return nil },
		Logger:             quiet{},
	})
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h, h.gauges.register(h)
}

// readBuffer is what a connection has for reading, in bytes: a command and its head fit.
const readBuffer = 512

// quiet takes what the library would log: it is all about single connections.
type quiet struct{}

func (quiet) Error(...any) {}

// live gives the hub. It is made with the first connection: a server that only answers HTTP needs none.
func (h *sockets) live() (*live.Hub, error) {
	h.hub.once.Do(func() {
		cfg := live.DefaultConfig()
		cfg.Logger = h.cfg.Logger
		h.hub.Hub, h.hub.err = live.New(h.engine, cfg)
		h.hub.made.Store(h.hub.err == nil)
	})
	return h.hub.Hub, h.hub.err
}

// following is how much is followed: people and pools, by all connections.
func (h *sockets) following() (stats live.Stats) {
	if h.hub.made.Load() {
		stats = h.hub.Stats()
	}
	return stats
}

// getSocket makes the connection a WebSocket. The handler returns; what reads is a goroutine of its own, so that net/http's
// buffers and its goroutine's stack are free again.
func getSocket(c *call) int {
	h := c.sockets
	var known *auth.Identity
	if c.auth != nil && len(c.r.Header["Authorization"]) > 0 {
		token, ok := bearer(c.r.Header["Authorization"])
		if !ok {
			return c.stranger()
		}
		id, err := c.check(token)
		if err != nil {
			return c.stranger()
		}
		known = &id
	}
	if !isUpgrade(c.r) {
		c.w.Header()["Upgrade"] = []string{"websocket"}
		return c.problem(notHere)
	}
	if h.inside.closing() || !h.strangers.enter() {
		return c.turnAway(bySockets, crowded)
	}
	full := !h.inside.enter()
	s, err := h.upgrade(c)
	if err != nil {
		h.strangers.leave()
		if !full {
			h.inside.leave()
		}
		c.cfg.Logger.Debug("no WebSocket", "error", err)
		if errors.Is(err, http.ErrNotSupported) { // HTTP/2
			return c.problem(notHere)
		}
		return http.StatusBadRequest // it has heard so
	}
	s.header = known
	s.begin(full)
	return http.StatusSwitchingProtocols
}

var notHere = wire.New(wire.UpgradeNeeded, "This is a WebSocket (RFC 6455, version 13, over HTTP/1.1): docs/PROTOCOL.md.")

func (c *call) stranger() int {
	c.w.Header()["Www-Authenticate"] = challenge
	return c.problem(notKnown)
}

func isUpgrade(r *http.Request) bool {
	return len(r.Header["Sec-Websocket-Key"]) == 1 && r.Header.Get("Sec-Websocket-Version") == "13" && r.Header.Get("Upgrade") != ""
}

// upgrade takes the connection from net/http and answers 101.
func (h *sockets) upgrade(c *call) (*socket, error) {
	conn, buffered, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		return nil, err
	}
	if buffered.Reader.Buffered() > 0 {
		conn.Close()
		return nil, fmt.Errorf("the client did not wait for the answer")
	}
	s := &socket{house: h, realm: c.realm, origin: c.r.Header.Get("Origin")}
	s.line.Conn, s.line.socket = conn, s
	s.line.budget.Store(strangerBytes)
	ws, err := h.upgrader.UpgradeFromConn(&s.line, bufio.NewReaderSize(&s.line, readBuffer), c.r)
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.ws = ws
	return s, nil
}

// close takes no more connections and no more commands, and lets each end once its commands are confirmed.
func (h *sockets) close() {
	h.strangers.close()
	h.inside.close()
	for _, s := range h.sweeper.all() {
		s.end(wire.CloseRestart, h.delay())
	}
}

// drained waits for the end of all connections, and cuts what is left when the context ends.
func (h *sockets) drained(ctx context.Context) error {
	err := errors.Join(h.inside.drained(ctx), h.strangers.drained(ctx))
	if err != nil {
		for _, s := range h.sweeper.all() {
			s.line.cut()
		}
	}
	h.stop()
	if err == nil {
		h.crew.Wait()
	}
	h.hub.once.Do(func() {}) // none is made any more
	if h.hub.Hub != nil {
		h.hub.Close()
	}
	return err
}

// returnRate is how many connections a second are told to come back: about half of what two cores take in.
const returnRate = 2_000

// delay is a reason that tells when to come back.
func (h *sockets) delay() string { return fmt.Sprintf(`{"delay_ms":%d}`, h.away()) }

// away is how many milliseconds to stay away: another time for everybody, and the longer the more there are.
func (h *sockets) away() int64 {
	within := min(h.cfg.ReturnWithin, time.Second+time.Duration(h.inside.inside.Load())*time.Second/returnRate)
	return rand.Int64N(max(1, within.Milliseconds()))
}
