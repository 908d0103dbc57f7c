package server_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/memlog"
	"holdfast/internal/wire"
	"holdfast/server"
)

// held is a log whose appends wait while it is shut.
type held struct {
	mu   sync.Mutex
	shut chan struct{} // nil: open
	fail error
}

func (h *held) gate(uint64, int) error {
	h.mu.Lock()
	shut := h.shut
	h.mu.Unlock()
	if shut != nil {
		<-shut
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fail
}

func (h *held) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shut = make(chan struct{})
}

// step lets what waits pass, and holds back what comes next.
func (h *held) step() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.shut)
	h.shut = make(chan struct{})
}

func (h *held) open(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
	close(h.shut)
	h.shut = nil
}

// scribe is a Recorder that records when it is told to.
type scribe struct {
	mu    sync.Mutex
	seq   uint64
	moved chan struct{}
}

func (m *scribe) Recorded() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seq
}

func (m *scribe) record(seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq = seq
	close(m.moved)
	m.moved = make(chan struct{})
}

func (m *scribe) Wait(ctx context.Context, seq uint64) error {
	for {
		m.mu.Lock()
		done, moved := m.seq >= seq, m.moved
		m.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *scribe) Status() (string, time.Duration, error) {
	return "retrying", 3 * time.Second, errors.New("the database is down")
}

func heldWorld(t *testing.T) (*world, *held, *scribe) {
	h, m := &held{}, &scribe{moved: make(chan struct{})}
	w := newWorld(t, m, func(l *memlog.Log, _ *server.Config) { l.Gate = h.gate })
	w.term()
	return w, h, m
}

// TestWait: what each kind of wait says while the log holds back, and after; under a fake clock, so limits are exact.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h, m := heldWorld(t)
		h.close()
		for _, c := range []struct {
			query string
			takes time.Duration
		}{
			{"", 250 * time.Millisecond}, {"?wait=confirmed", 250 * time.Millisecond}, {"?wait=none", 0},
			{"?wait=recorded", 10 * time.Second}, {"?wait=recorded&timeout=60s", time.Minute}, {"?timeout=20", 20 * time.Millisecond}, {"?timeout=2s", 2 * time.Second},
		} {
			began := time.Now()
			r := w.must(202, "PUT", c1+"/claims/ann"+c.query, "")
			if took := time.Since(began); took != c.takes {
				t.Errorf("%q took %s, want %s", c.query, took, c.takes)
			}
			if r.text("durability") != "preapproved" || r.text("status") != "seated" || r.body["seq"] != nil || r.Header().Get("ETag") != "" || r.number("as_of") == "" {
				t.Errorf("%q: %s %v", c.query, r.Body, r.Header())
			}
		}
		allWait(t, w)
		// It is confirmed in the middle of a wait.
		go func() {
			time.Sleep(100 * time.Millisecond)
			h.open(nil)
		}()
		began := time.Now()
		r := w.must(200, "PUT", c1+"/claims/ann", "")
		if took := time.Since(began); took != 100*time.Millisecond || r.text("durability") != "confirmed" || r.number("seq") != "4" {
			t.Errorf("after %s: %s", took, r.Body)
		}
		// Not recorded within the limit: still confirmed.
		began = time.Now()
		if r := w.must(200, "PUT", c1+"/claims/ann?wait=recorded", ""); time.Since(began) != 10*time.Second || r.text("durability") != "confirmed" {
			t.Errorf("after %s: %s", time.Since(began), r.Body)
		}
		go func() {
			time.Sleep(time.Second)
			m.record(4) // ann's own event, while bob's and cid's are still to come
		}()
		began = time.Now()
		if r := w.must(200, "PUT", c1+"/claims/ann?wait=recorded", ""); time.Since(began) != time.Second || r.text("durability") != "recorded" {
			t.Errorf("after %s: %s", time.Since(began), r.Body)
		}
		if r := w.must(200, "GET", c1+"/claims/bob", ""); r.text("durability") != "confirmed" {
			t.Errorf("bob is not recorded: %s", r.Body)
		}
		m.record(w.head())
		for _, path := range []string{c1 + "/claims/bob", c1 + "/claims/nobody", c1} {
			if r := w.must(200, "GET", path, ""); r.text("durability") != "recorded" {
				t.Errorf("GET %s: %s", path, r.Body)
			}
		}
		w.must(200, "GET", "/v1/log", "")
		if r := w.must(200, "GET", "/readyz", ""); !strings.Contains(r.Body.String(), `"error":"the database is down"`) {
			t.Errorf("readyz: %s", r.Body)
		}
		w.engine.Close()
	})
}

// allWait: refusals, baskets, lists and views wait too, and tell no number that is not confirmed.
func allWait(t *testing.T, w *world) {
	t.Helper()
	w.must(202, "PUT", c1+"/claims/bob?wait=none", "")
	w.must(202, "PUT", c1+"/claims/cid?wait=none", "")
	if r := w.must(409, "PUT", c1+"/claims/dan", ""); r.text("durability") != "preapproved" {
		t.Errorf("a refusal: %s", r.Body)
	}
	if r := w.must(412, "DELETE", c1+"/claims/cid", "", "If-None-Match", "*"); r.body["seq"] != nil {
		t.Errorf("an unconfirmed seq is told: %s", r.Body)
	}
	for _, path := range []string{c1 + "/claims", "/v1/realms/spring/people/ann", "/v1/realms/spring/pools", "/v1/realms", c1, "/v1/realms/spring", c1 + "/claims/ann"} {
		if r := w.must(202, "GET", path, ""); r.text("durability") != "preapproved" || (strings.Contains(path, "c") && strings.Contains(r.Body.String(), `"seq":4`)) {
			t.Errorf("GET %s: %s", path, r.Body)
		}
	}
	if r := w.must(202, "POST", "/v1/realms/spring/baskets", `{"person":"ann","mode":"each","items":[{"pool":"c1"}]}`); strings.Contains(r.Body.String(), "seq") {
		t.Errorf("basket: %s", r.Body)
	}
	if r := w.must(202, "GET", c1+"/claims?format=csv", ""); !strings.Contains(r.Body.String(), "ann,seated,1,,,,") {
		t.Errorf("csv: %s", r.Body)
	}
}

// TestUnknown: a log that fails makes what waits unknown, never refused, and what comes after busy.
func TestUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h, _ := heldWorld(t)
		h.close()
		var wait sync.WaitGroup
		for _, query := range []string{"", "?wait=recorded"} {
			wait.Go(func() {
				r := w.do("PUT", c1+"/claims/ann"+query, "")
				if r.Code != 503 || r.text("code") != "unknown" || r.number("retry_after_ms") == "" || r.Header().Get("Retry-After") == "" {
					t.Errorf("%d %s", r.Code, r.Body)
				}
			})
		}
		synctest.Wait()
		h.open(errors.New("the disk is gone"))
		wait.Wait()
		<-w.engine.Done()
		for _, path := range []string{c1 + "/claims/ann", c1, "/v1/realms/spring/events"} {
			if r := w.do("GET", path, ""); r.Code != 503 || r.text("code") != "busy" {
				t.Errorf("GET %s: %d %s", path, r.Code, r.Body)
			}
		}
		if r := w.do("PUT", c1+"/claims/bob", ""); r.Code != 503 || r.text("code") != "busy" {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		if r := w.do("GET", "/healthz", ""); r.Code != 503 || r.text("status") != "failed" {
			t.Errorf("healthz: %d %s", r.Code, r.Body)
		}
		if r := w.do("GET", "/readyz", ""); r.Code != 503 || r.text("status") != "failed" {
			t.Errorf("readyz: %d %s", r.Code, r.Body)
		}
	})
}

// TestBusy: a full disk, too many requests, and the end of the server.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, full := &held{}, false
		w := newWorld(t, nil, func(l *memlog.Log, cfg *server.Config) {
			l.Gate, cfg.MaxInFlight = h.gate, 1
			l.Full = func() error {
				if full {
					return errors.New("the disk is full")
				}
				return nil
			}
		})
		w.term()
		full = true
		r := w.do("PUT", c1+"/claims/ann", "")
		if r.Code != 503 || r.text("code") != "busy" || r.Header().Get("Retry-After") == "" {
			t.Errorf("full disk: %d %s", r.Code, r.Body)
		}
		if r := w.do("GET", "/readyz", ""); r.Code != 503 || r.text("status") != "busy" {
			t.Errorf("readyz: %d %s", r.Code, r.Body)
		}
		full = false
		h.close()
		var wait sync.WaitGroup
		wait.Go(func() {
			if r := w.do("PUT", c1+"/claims/ann?timeout=30s", ""); r.Code != 200 || r.text("durability") != string(wire.Confirmed) {
				t.Errorf("a request at work when the server ends: %d %s", r.Code, r.Body)
			}
		})
		synctest.Wait()
		if r := w.do("PUT", c1+"/claims/bob", ""); r.Code != 503 || r.text("code") != "busy" {
			t.Errorf("one too many: %d %s", r.Code, r.Body)
		}
		ended := make(chan error)
		go func() { ended <- w.server.Shutdown(t.Context()) }()
		synctest.Wait()
		if r := w.do("GET", "/readyz", ""); r.Code != 503 || r.text("status") != "stopping" {
			t.Errorf("readyz: %d %s", r.Code, r.Body)
		}
		h.open(nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wait.Wait()
		w.engine.Close()
	})
}

// TestListen: loopback only.
func TestListen(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", "127.8.9.10:0"} {
		l, err := server.Listen(addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		l.Close()
	}
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "10.1.2.3:0", "8.8.8.8:80", "127.0.0.1", "[::ffff:10.0.0.1]:0", "nosuchhost.invalid:0"} {
		if l, err := server.Listen(addr); err == nil {
			l.Close()
			t.Errorf("%s was listened on", addr)
		} else if strings.Contains(addr, "0.0.0.0") && !strings.Contains(err.Error(), "authentication") {
			t.Errorf("%s: the error does not say why: %v", addr, err)
		}
	}
}

// timed notes the deadline that an answer is written under.
type timed struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (d *timed) SetWriteDeadline(t time.Time) error {
	d.until = t
	return nil
}

// TestLongAnswersAreNotWaitedFor: whoever does not take a long answer keeps no place; a short one goes out whole.
func TestLongAnswersAreNotWaitedFor(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		path string
		long bool
	}{{"/openapi.json", true}, {"/healthz", false}} {
		began := time.Now()
		d := &timed{ResponseRecorder: httptest.NewRecorder()}
		w.server.Handler().ServeHTTP(d, httptest.NewRequest("GET", "http://localhost"+c.path, nil))
		if long := d.Body.Len() > 32<<10; d.Code != 200 || long != c.long {
			t.Fatalf("%s: %d, %d bytes", c.path, d.Code, d.Body.Len())
		}
		if wait := d.until.Sub(began); c.long != (wait >= 10*time.Second && wait < time.Minute) {
			t.Errorf("%s has the deadline %v, from %v", c.path, d.until, began)
		}
	}
}
