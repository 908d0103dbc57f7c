package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/desk"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// sumOf is the count and the sum of a histogram.
func sumOf(t *testing.T, from prometheus.Gatherer, name string) (uint64, float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			h := f.GetMetric()[0].GetHistogram()
			return h.GetSampleCount(), h.GetSampleSum()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0, 0
}

// TestDeskMetrics: the times of requests, how offers and sessions end, and what stands.
func TestDeskMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var metrics prometheus.Gatherer
		w := newWorld(t, nil, func(_ *memlog.Log, cfg *server.Config) { metrics = cfg.Gatherer })
		is := func(name, label string, want float64) {
			t.Helper()
			synctest.Wait()
			if n := metricOf(t, metrics, name, label); n != want {
				t.Errorf("%s %s is %v, want %v", name, label, n, want)
			}
		}
		took := func(name string, count uint64, sum float64) {
			t.Helper()
			synctest.Wait()
			if n, s := sumOf(t, metrics, name); n != count || s < sum-1e-6 || s > sum+1e-6 {
				t.Errorf("%s has %d of %v s, want %d of %v s", name, n, s, count, sum)
			}
		}
		is("holdfast_desks", "", 0)
		const r = "/v1/realms/spring"
		w.must(200, "PUT", r, "")
		w.must(200, "PUT", r+"/desks/acme", `{"warm_up_ms":0,"policy":"queue","queue_limit":2,"offer_ms":10000,"miss_pause_ms":0}`)
		w.must(200, "PUT", r+"/desks/acme/agents/eve", `{"reach":"push"}`)
		w.must(200, "PUT", r+"/desks/bolt", `{"warm_up_ms":0}`)
		w.must(200, "PUT", r+"/desks/bolt/agents/gus", `{"reach":"push"}`)
		w.must(200, "POST", r+"/desks/bolt/agents/gus/state", `{"state":"online"}`)
		first := w.must(200, "POST", r+"/desks/acme/requests", `{"client":"a"}`)
		time.Sleep(3 * time.Second)
		second := w.must(200, "POST", r+"/desks/acme/requests", `{"client":"b"}`)
		w.must(409, "POST", r+"/desks/acme/requests", `{"client":"c"}`)
		w.must(200, "PUT", r+"/desks/cord", `{"policy":"queue"}`)
		w.must(200, "POST", r+"/desks/cord/requests", `{"client":"d"}`)
		time.Sleep(4 * time.Second)
		is("holdfast_desks", "", 3)
		is("holdfast_desk_agents_ready", "", 1) // gus
		is("holdfast_desk_queue_length", "", 3)
		is("holdfast_desk_oldest_wait_seconds", "", 7)
		is("holdfast_decisions_total", "queue_full", 1)
		took("holdfast_desk_offer_seconds", 0, 0)
		w.must(200, "POST", r+"/desks/acme/agents/eve/state", `{"state":"online"}`)
		took("holdfast_desk_offer_seconds", 1, 7)
		is("holdfast_desk_oldest_wait_seconds", "", 4)
		time.Sleep(10500 * time.Millisecond) // nobody answers; nobody is left for a, so b is next
		is("holdfast_desk_offers_total", "timed_out", 1)
		took("holdfast_desk_offer_seconds", 2, 7+14.5)
		took("holdfast_desk_accept_seconds", 0, 0)
		offer := w.must(200, "GET", r+"/desks/acme/requests/"+second.number("request"), "").number("offer")
		time.Sleep(2 * time.Second)
		session := w.must(200, "POST", r+"/desks/acme/offers/"+offer+"/accept", `{"agent":"eve"}`).number("session")
		took("holdfast_desk_accept_seconds", 1, 16.5)
		is("holdfast_desk_offers_total", "accepted", 1)
		w.must(200, "POST", r+"/desks/acme/sessions/"+session+"/finish", `{"client":"b"}`)
		is("holdfast_desk_sessions_total", "client", 1)
		is("holdfast_desk_requests_total", "done", 1)
		w.must(200, "PUT", r+"/desks/acme/agents/fay", `{"reach":"push"}`)
		w.must(200, "POST", r+"/desks/acme/agents/fay/state", `{"state":"online"}`) // a is offered again
		took("holdfast_desk_offer_seconds", 2, 7+14.5)
		offer = w.must(200, "GET", r+"/desks/acme/requests/"+first.number("request"), "").number("offer")
		w.must(200, "POST", r+"/desks/acme/offers/"+offer+"/accept", `{"agent":"fay"}`)
		took("holdfast_desk_accept_seconds", 2, 16.5+19.5)
		w.must(200, "DELETE", r+"/desks/acme/agents/fay", "") // a waits again, and time to accept is that of the first accept
		w.must(200, "PUT", r+"/desks/acme/agents/gus", `{"reach":"push"}`)
		w.must(200, "POST", r+"/desks/acme/agents/gus/state", `{"state":"online"}`)
		offer = w.must(200, "GET", r+"/desks/acme/requests/"+first.number("request"), "").number("offer")
		w.must(200, "POST", r+"/desks/acme/offers/"+offer+"/accept", `{"agent":"gus"}`)
		took("holdfast_desk_accept_seconds", 2, 16.5+19.5)
		is("holdfast_desk_sessions_total", "removal", 1)
		w.must(200, "DELETE", r+"/desks/acme/requests/"+first.number("request"), "")
		is("holdfast_desk_requests_total", "done", 2)
		is("holdfast_desk_queue_length", "", 1)
		w.engine.Close()
	})
}

// TestDesksThatWereThere are measured too: those of before a start, and those that nobody made over HTTP.
func TestDesksThatWereThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var metrics prometheus.Gatherer
		w := newWorld(t, nil, func(_ *memlog.Log, cfg *server.Config) { metrics = cfg.Gatherer })
		w.must(200, "PUT", "/v1/realms/spring", "")
		cfg := desk.DefaultConfig()
		cfg.WarmUp = 0
		if _, err := w.engine.Do("spring", desk.PutDesk{Desk: "acme", Config: cfg}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := metricOf(t, metrics, "holdfast_desks", ""); n != 1 { // and from now on it is followed
			t.Errorf("%v desks", n)
		}
		again := server.DefaultConfig()
		second, err := server.New(w.engine, nil, again)
		if err != nil {
			t.Fatal(err)
		}
		const d = "/v1/realms/spring/desks/acme"
		w.must(200, "PUT", d+"/agents/eve", `{"reach":"push"}`)
		w.must(200, "POST", d+"/agents/eve/state", `{"state":"online"}`)
		w.must(200, "POST", d+"/requests", `{"client":"zoe"}`)
		synctest.Wait()
		for i, from := range []prometheus.Gatherer{metrics, again.Gatherer} {
			if n, _ := sumOf(t, from, "holdfast_desk_offer_seconds"); n != 1 {
				t.Errorf("server %d has measured %d", i, n)
			}
		}
		if err := second.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		w.must(200, "DELETE", d+"/agents/eve", "")
		synctest.Wait()
		if n := metricOf(t, again.Gatherer, "holdfast_desk_offers_total", "revoked"); n != 0 {
			t.Errorf("a server that is shut down has counted %v", n)
		}
		w.engine.Close()
	})
}
