// Package server is Holdfast's HTTP API: claims and their confirmation, the feed, health, metrics, and the description of
// itself.
//
// It holds no state of its own. What it answers is the engine's decision; it waits for the confirmation as long as the
// caller asked, and says how far the answer has got. An answer that cannot be told any more is "unknown", never a refusal.
//
// Who asks proves it by a token (package auth); what each role may do stands in routes. Without authentication the server listens on loopback
// only. Pages of another origin may ask only where the configuration names it. When more ask than can be served, newcomers are turned away
// before they have a place; who has one is always answered.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"holdfast/engine"
)

// Server answers requests for one engine. Its methods may be called by several goroutines. It owns neither the engine nor
// the recorder: close them after Shutdown.
type Server struct {
	cfg      Config
	engine   *engine.Engine
	recorder Recorder // nil: no mirror
	metrics  *metrics
	mux      *http.ServeMux
	openapi  []byte
	http     *http.Server

	*entrance
	sockets *sockets
	meter   *deskMeter

	current atomic.Pointer[alarm]
}

// New makes a server. recorder may be nil. The error is a field of cfg that is wrong, or a metric that is registered
// already.
func New(e *engine.Engine, recorder Recorder, cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, engine: e, recorder: recorder,
		mux: http.NewServeMux(),
	}
	var err error
	if s.entrance, err = newEntrance(&s.cfg); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(s); err != nil {
		return nil, err
	}
	if s.meter, err = newDeskMeter(s); err != nil {
		return nil, err
	}
	if s.sockets, err = newSockets(s); err != nil {
		return nil, err
	}
	if s.openapi, err = describe(); err != nil {
		return nil, err
	}
	s.conns.turned = s.metrics.turned[byConnections]
	if t, err := s.meter.look(); err == nil && t.desks > 0 {
		s.meter.begin()
	}
	s.mount()
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readTimeout, // as ReadTimeout: two deadlines would cost each request one more call
		ReadTimeout:       readTimeout,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		TLSConfig:         cfg.TLS,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: cfg.MaxStreams},
	}
	return s, nil
}

// readTimeout is how long a request, head and body, may take to arrive.
const readTimeout = 10 * time.Second

// Handler is the whole API.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Serve answers on l until Shutdown, and then returns nil. Take l from Listen: without authentication any other address than a loopback
// one is an error.
func (s *Server) Serve(l net.Listener) error {
	if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		if why := s.cfg.confined(); why != "" {
			l.Close()
			return fmt.Errorf("server: %s is not a loopback address. %s", at, why)
		}
	}
	s.load.Start()
	l = s.conns.over(l)
	serve := s.http.Serve
	if s.cfg.TLS != nil {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Shutdown ends the server, and returns when nothing is at work any more, or with the context's error, when it cuts what
// is left. The engine must live until then: the last answers wait for its confirmation.
func (s *Server) Shutdown(ctx context.Context) error {
	// 1. /readyz says stopping and new requests are busy, so that whoever spreads the load goes elsewhere.
	s.calls.close()
	s.sure.close()
	// 2. Requests at work get their confirmation; for the record of the customer's database nobody waits any more.
	s.stop()
	s.sockets.close()
	err := errors.Join(s.calls.drained(ctx), s.sure.drained(ctx))
	// 3. Connections that stay open get the confirmation of what they asked, are told when to come back, and end.
	err = errors.Join(err, s.sockets.drained(ctx))
	// 4. Feeds give what is confirmed by now, the last answers included, and end.
	s.feeds.close()
	// 5. Nothing is left: close the listener and the idle connections.
	if httpErr := s.http.Shutdown(ctx); err == nil {
		err = httpErr
	}
	if err != nil {
		s.http.Close()
	}
	s.load.Close()
	s.meter.close()
	s.conns.said.Wait()
	return err
}
