package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on an engine on a log in memory. Every answer that passes through do is checked against
// /openapi.json.
type world struct {
	t      *testing.T
	log    *memlog.Log
	engine *engine.Engine
	server *server.Server
	doc    schemas

	mu   sync.Mutex      // guards what follows
	seen map[string]bool // "PATTERN STATUS" of every answer checked
}

func newWorld(t *testing.T, recorder server.Recorder, change ...func(*memlog.Log, *server.Config)) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(), seen: map[string]bool{}}
	cfg := server.DefaultConfig()
	for _, f := range change {
		f(w.log, &cfg)
	}
	ecfg := engine.DefaultConfig()
	ecfg.SnapshotEvery = 0
	var err error
	if w.engine, err = engine.Open(w.log, ecfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.engine.Close() })
	if w.server, err = server.New(w.engine, recorder, cfg); err != nil {
		t.Fatal(err)
	}
	w.doc = readSchemas(t, w.raw("GET", "/openapi.json", "").Body.Bytes())
	return w
}

// raw asks without a check. header: names and values in turn.
func (w *world) raw(method, target, body string, header ...string) *httptest.ResponseRecorder {
	rec, _ := w.ask(method, target, body, header...)
	return rec
}

func (w *world) ask(method, target, body string, header ...string) (*httptest.ResponseRecorder, *http.Request) {
	req := httptest.NewRequest(method, "http://localhost/", strings.NewReader(body))
	if body == "" {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	path, query, _ := strings.Cut(target, "?")
	u, err := req.URL.Parse(strings.ReplaceAll(path, "?", "%3F"))
	if err != nil {
		w.t.Fatalf("%s: %v", target, err)
	}
	if req.URL = u; strings.Contains(path, "/..") || strings.Contains(path, "/./") {
		req.URL.Path, req.URL.RawPath = path, "" // as a client may send it, though Parse would have resolved it
	}
	req.URL.RawQuery, req.RequestURI = query, target
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, req)
	return rec, req
}

// reply is an answer whose body is one JSON object.
type reply struct {
	*httptest.ResponseRecorder
	body map[string]any
}

// do asks, and checks the answer against the description.
func (w *world) do(method, target, body string, header ...string) reply {
	w.t.Helper()
	rec, req := w.ask(method, target, body, header...)
	r := reply{rec, nil}
	if strings.Contains(rec.Header().Get("Content-Type"), "json") && rec.Body.Len() > 0 && rec.Header().Get("Content-Type") != "application/x-ndjson" {
		d := json.NewDecoder(bytes.NewReader(rec.Body.Bytes()))
		d.UseNumber()
		if err := d.Decode(&r.body); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, target, err, rec.Body)
		}
	}
	if r.body != nil && !strings.HasSuffix(rec.Body.String(), "}\n") {
		w.t.Errorf("%s %s: the answer does not end its line: %q", method, target, rec.Body)
	}
	if err := w.doc.check(req.Pattern, rec, r.body); err != nil {
		w.t.Errorf("%s %s: %d %s\n%v", method, target, rec.Code, rec.Body, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[req.Pattern] = true
	return r
}

// must is do where the status is known.
func (w *world) must(status int, method, target, body string, header ...string) reply {
	w.t.Helper()
	r := w.do(method, target, body, header...)
	if r.Code != status {
		w.t.Fatalf("%s %s %.200s: %d, want %d: %.2000s", method, target, body, r.Code, status, r.Body)
	}
	return r
}

func (r reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

func (r reply) number(name string) string {
	n, _ := r.body[name].(json.Number)
	return n.String()
}

// head is the last event decided.
func (w *world) head() uint64 { return w.engine.Stats().Head }

// term makes a realm and a pool of two seats with a waiting line of one.
func (w *world) term() {
	w.t.Helper()
	w.must(200, "PUT", "/v1/realms/spring", "")
	w.must(200, "PUT", "/v1/realms/spring/pools/c1", `{"capacity":2,"waitlist":1}`)
}
