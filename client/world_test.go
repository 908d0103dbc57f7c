package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdfast/client"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on a log in memory. It is an http.RoundTripper, so that nothing but the handler lies between a client
// and it, and faults can be put there.
type world struct {
	t   *testing.T
	log *memlog.Log
	set func(*server.Config) // nil: as it is by default

	mu     sync.Mutex // guards what follows
	engine *engine.Engine
	server *server.Server
	seen   []*http.Request                                                                  // every attempt that a client made
	fault  func(n int, r *http.Request, pass func() *http.Response) (*http.Response, error) // n counts attempts from 1; nil = none
}

var (
	errCut  = errors.New("cut")
	errDial = &net.OpError{Op: "dial", Err: errCut}
)

func newWorld(t *testing.T) *world {
	w := &world{t: t, log: memlog.New()}
	w.start()
	t.Cleanup(func() { w.stop() })
	w.put("/v1/realms/spring", "")
	w.put("/v1/realms/spring/pools/c1", `{"capacity":2,"waitlist":2}`)
	return w
}

func (w *world) start() {
	w.t.Helper()
	cfg := engine.DefaultConfig()
	cfg.SnapshotEvery = 0
	e, err := engine.Open(w.log, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	scfg := server.DefaultConfig()
	if w.set != nil {
		w.set(&scfg)
	}
	s, err := server.New(e, nil, scfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.engine, w.server = e, s
}

func (w *world) stop() {
	w.mu.Lock()
	e, s := w.engine, w.server
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.Shutdown(ctx)
	e.Close()
}

// restart is a crash and a new start: what was not in the log is gone.
func (w *world) restart() {
	w.mu.Lock()
	e := w.engine
	w.mu.Unlock()
	e.Close()
	w.log.Reopen()
	w.start()
}

func (w *world) handler() http.Handler {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server.Handler()
}

// RoundTrip implements http.RoundTripper.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte(nil)
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	pass := func() *http.Response {
		in := r.Clone(context.WithoutCancel(r.Context()))
		in.Body, in.RequestURI = io.NopCloser(bytes.NewReader(body)), r.URL.RequestURI()
		if len(body) == 0 {
			in.Body, in.ContentLength = http.NoBody, 0
		}
		rec := httptest.NewRecorder()
		w.handler().ServeHTTP(rec, in)
		return rec.Result()
	}
	w.mu.Lock()
	w.seen = append(w.seen, r)
	n, fault := len(w.seen), w.fault
	w.mu.Unlock()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if fault == nil {
		return pass(), nil
	}
	return fault(n, r, pass)
}

// put sets something up, past all faults.
func (w *world) put(path, body string) { w.ask("PUT", path, body) }

func (w *world) ask(method, path, body string) string {
	w.t.Helper()
	req := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	rec := httptest.NewRecorder()
	w.handler().ServeHTTP(rec, req)
	if rec.Code/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func (w *world) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// faults sets what happens to the attempts from now on, counted from 1.
func (w *world) faults(f func(n int, r *http.Request, pass func() *http.Response) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.fault = nil, f
}

func (w *world) client(change ...func(*client.Config)) *client.Client {
	w.t.Helper()
	cfg := client.DefaultConfig()
	cfg.URL, cfg.Realm, cfg.HTTP = "http://localhost", "spring", &http.Client{Transport: w}
	for _, f := range change {
		f(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// problem is an answer that decides nothing.
func problem(status int, code string, header ...string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(
		fmt.Sprintf(`{"type":"urn:holdfast:problem:%s","title":"x","status":%d,"detail":"x","code":%q}`, code, status, code)))}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}
