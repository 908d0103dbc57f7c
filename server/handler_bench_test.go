package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { clear(d.header); return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkHandler is what the handler of a claim costs by itself, without the network and without waiting: the claim
// stands already and is confirmed.
func BenchmarkHandler(b *testing.B) {
	e, err := engine.Open(memlog.New(), engine.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	s, err := server.New(e, nil, server.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	w := &discard{http.Header{}}
	for _, target := range []string{"/v1/realms/spring", c1, c1 + "/claims/ann"} {
		req := httptest.NewRequest("PUT", "http://localhost"+target, nil)
		if target == c1 {
			req = httptest.NewRequest("PUT", "http://localhost"+target, strings.NewReader(`{"capacity":2}`))
		}
		rec := httptest.NewRecorder()
		if s.Handler().ServeHTTP(rec, req); rec.Code != 200 {
			b.Fatal(rec.Code, rec.Body)
		}
	}
	req := httptest.NewRequest("PUT", "http://localhost"+c1+"/claims/ann", nil)
	h := s.Handler()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, req)
	}
}

// BenchmarkMux is the part of it that the bare handler has too.
func BenchmarkMux(b *testing.B) {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/realms/{realm}/pools/{pool}/claims/{person}", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		fmt.Fprint(w, "{}")
	})
	w := &discard{http.Header{}}
	req := httptest.NewRequest("PUT", "http://localhost"+c1+"/claims/ann", nil)
	b.ReportAllocs()
	for b.Loop() {
		mux.ServeHTTP(w, req)
	}
}
