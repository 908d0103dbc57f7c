package server_test

import (
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// TestPersonRate: who asks too often is told how long to wait, exactly; what they have is theirs all the same.
func TestPersonRate(t *testing.T) {
	k := newLock(t)
	admin := k.key(auth.Key{Role: auth.Admin})
	ann, bob := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"}), k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "bob"})
	w := newWorld(t, nil, k.use, func(_ *memlog.Log, cfg *server.Config) { cfg.PersonRate, cfg.PersonBurst = 0.001, 3 })
	w.must(200, "PUT", "/v1/realms/spring", "", bearerOf(admin)...)
	w.must(200, "PUT", c1, `{"capacity":2}`, bearerOf(admin)...)
	for range 3 {
		w.must(200, "PUT", c1+"/claims/ann", "", bearerOf(ann)...)
	}
	head := w.head()
	for _, newcomer := range []string{"PUT " + c1 + "/claims/ann", "POST /v1/realms/spring/baskets", "GET " + c1, "GET /v1/realms/spring/pools"} {
		method, path, _ := strings.Cut(newcomer, " ")
		r := w.must(429, method, path, "", bearerOf(ann)...)
		ms, _ := strconv.Atoi(r.number("retry_after_ms"))
		s, _ := strconv.Atoi(r.Header().Get("Retry-After"))
		if r.text("code") != "limited" || ms < 900_000 || ms > 1_000_000 || s != (ms+999)/1000 {
			t.Errorf("%s: %s, Retry-After %q", newcomer, r.Body, r.Header().Get("Retry-After"))
		}
	}
	if w.head() != head {
		t.Error("who was limited changed something")
	}
	for _, placed := range []string{"GET " + c1 + "/claims/ann", "GET /v1/realms/spring/people/ann", "DELETE " + c1 + "/claims/ann"} {
		method, path, _ := strings.Cut(placed, " ")
		for range 5 {
			w.must(200, method, path, "", bearerOf(ann)...)
		}
	}
	w.must(409, "POST", c1+"/claims/ann/accept", `{"offer":1}`, bearerOf(ann)...)
	w.must(200, "PUT", c1+"/claims/bob", "", bearerOf(bob)...)
	for range 50 { // programs have no such limit
		w.must(200, "GET", c1, "", bearerOf(admin)...)
	}
}

// TestNobodyWithAPlaceIsTurnedAway: while all places of newcomers are taken, more newcomers are told busy, with when to come back, and leave
// nothing in the log; release, standing, override and set-up go on.
func TestNobodyWithAPlaceIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const inFlight, offered = 8, 80
		h := &held{}
		w := newWorld(t, nil, func(l *memlog.Log, cfg *server.Config) { l.Gate, cfg.MaxInFlight = h.gate, inFlight })
		w.term()
		w.must(200, "PUT", c1, `{"capacity":1000}`)
		w.must(200, "PUT", c1+"/claims/ann", "")
		before := w.head()
		h.close()
		var all sync.WaitGroup
		var mu sync.Mutex
		answers := map[int][]reply{}
		for i := range offered {
			all.Go(func() {
				r := w.do("PUT", fmt.Sprintf("%s/claims/p%d?timeout=30s", c1, i), "")
				mu.Lock()
				defer mu.Unlock()
				answers[r.Code] = append(answers[r.Code], r)
			})
		}
		synctest.Wait()
		if now := w.head(); now != before+inFlight {
			t.Errorf("%d requests are at work, and %d events were made", inFlight, now-before)
		}
		turned := answers[503]
		if len(turned) != offered-inFlight || len(answers) != 1 {
			t.Errorf("%d of %d were turned away while %d are at work: %v", len(turned), offered, inFlight, answers)
		}
		for _, r := range turned {
			after, err := strconv.Atoi(r.Header().Get("Retry-After"))
			if r.text("code") != "busy" || err != nil || after < 1 || after > 30 || r.number("retry_after_ms") == "" {
				t.Errorf("%s, Retry-After %q", r.Body, r.Header().Get("Retry-After"))
			}
		}
		for _, c := range []struct{ method, path, body string }{
			{"GET", c1 + "/claims/ann", ""}, {"GET", "/v1/realms/spring/people/ann", ""}, {"DELETE", c1 + "/claims/ann", ""}, {"POST", c1 + "/claims/ann/accept", `{"offer":1}`},
			{"POST", c1 + "/claims/zoe/override", `{"action":"remove","reason":"x"}`}, {"PUT", c1, `{"capacity":1001}`}, {"PUT", "/v1/realms/spring", ""},
			{"GET", "/healthz", ""}, {"GET", "/readyz", ""}, {"GET", "/metrics", ""},
		} {
			all.Go(func() {
				if r := w.do(c.method, c.path, c.body); r.Code == 503 || r.Code == 429 {
					t.Errorf("%s %s: %d %s", c.method, c.path, r.Code, r.Body)
				}
			})
		}
		synctest.Wait()
		h.open(nil)
		all.Wait()
		if len(answers[503]) != offered-inFlight || len(answers[200]) != inFlight {
			t.Errorf("%d were turned away, %d were seated", len(answers[503]), len(answers[200]))
		}
		if text := w.raw("GET", "/metrics", "").Body.String(); !strings.Contains(text, fmt.Sprintf(`holdfast_turned_away_total{why="in_flight"} %d`, offered-inFlight)) {
			t.Errorf("the metrics do not have %d turned away", offered-inFlight)
		}
		w.engine.Close()
	})
}

// TestTurnedAwayIsCheap: without the body being read.
func TestTurnedAwayIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		w := newWorld(t, nil, func(l *memlog.Log, cfg *server.Config) { l.Gate, cfg.MaxInFlight = h.gate, 1 })
		w.term()
		h.close()
		done := make(chan bool)
		go func() {
			w.do("PUT", c1+"/claims/ann?timeout=30s", "")
			close(done)
		}()
		synctest.Wait()
		req := httptest.NewRequest("POST", "http://localhost/v1/realms/spring/baskets", unread{t})
		rec := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(rec, req)
		if rec.Code != 503 || rec.Body.Len() > 512 {
			t.Errorf("%d, %d bytes", rec.Code, rec.Body.Len())
		}
		h.open(nil)
		<-done
		time.Sleep(time.Second)
		w.engine.Close()
	})
}

// unread is a body that nobody may look at.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, fmt.Errorf("no")
}
