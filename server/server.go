// Package server is Holdfast's HTTP API: claims and their confirmation, the feed, health, metrics, and the description of
// itself.
//
// It holds no state of its own. What it answers is the engine's decision; it waits for the confirmation as long as the
// caller asked, and says how far the answer has got. An answer that cannot be told any more is "unknown", never a refusal.
//
// There is no authentication yet, so the server listens on loopback only and refuses requests of foreign origin.
package server

import (
	"context"
	"errors"
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
	if s.openapi, err = describe(); err != nil {
		return nil, err
	}
	s.mount()
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readTimeout, // as ReadTimeout: two deadlines would cost each request one more call
		ReadTimeout:       readTimeout,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// readTimeout is how long a request, head and body, may take to arrive.
const readTimeout = 10 * time.Second

// Handler is the whole API.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Serve answers on l until Shutdown, and then returns nil. Take l from Listen.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Shutdown ends the server, and returns when nothing is at work any more, or with the context's error, when it cuts what
// is left. The engine must live until then: the last answers wait for its confirmation.
func (s *Server) Shutdown(ctx context.Context) error {
	// 1. /readyz says stopping and new requests are busy, so that whoever spreads the load goes elsewhere.
	// 2. Requests at work get their confirmation.
	s.calls.close()
	s.sure.close()
	err := errors.Join(s.calls.drained(ctx), s.sure.drained(ctx))
	// 3. (Here the connections that people keep open are told to come back, and closed.)
	// 4. Feeds give what is confirmed by now, the last answers included, and end.
	s.feeds.close()
	// 5. Nothing is left: close the listener and the idle connections.
	if httpErr := s.http.Shutdown(ctx); err == nil {
		err = httpErr
	}
	if err != nil {
		s.http.Close()
	}
	return err
}
