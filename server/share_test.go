package server_test

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/door"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// strained is a server whose load is what a test says.
type strained struct {
	*served
	over atomic.Bool // work begins late
}

func strain(t *testing.T) *strained {
	s := &strained{served: &served{pipes: newPipes(), ended: make(chan error, 1)}}
	s.world = newWorld(t, nil, func(_ *memlog.Log, c *server.Config) { s.gatherer = c.Gatherer })
	s.server.UseLoad(door.LoadConfig{Limit: time.Millisecond, Window: 10 * time.Millisecond, Patience: 2, Delay: func() time.Duration {
		if s.over.Load() {
			return time.Second
		}
		return 0
	}})
	go func() { s.ended <- s.server.Serve(s.pipes) }()
	t.Cleanup(func() { s.shutdown() })
	return s
}

// to sets the strain, and waits until the share of newcomers is least, or all.
func (s *strained) to(over bool) {
	s.over.Store(over)
	time.Sleep(5 * time.Second)
}

// tally is who was let in and who was not.
type tally struct {
	in, out []string
	waits   map[int64]bool // in milliseconds
}

func (c *tally) count(t *testing.T, person string, turned bool, wait int64) {
	if !turned {
		c.in = append(c.in, person)
		return
	}
	c.out = append(c.out, person)
	c.waits[wait] = true
	if wait < 1000 || wait > 30_000 {
		t.Errorf("%s shall come again after %d ms", person, wait)
	}
}

// fair says whether about a twentieth came in, and the others were told different times.
func (c *tally) fair(t *testing.T, what string) {
	t.Helper()
	if len(c.in) < 5 || len(c.in) > 80 || len(c.out) < 400 {
		t.Errorf("%s: %d were let in, %d were not", what, len(c.in), len(c.out))
	}
	if len(c.waits) < len(c.out)/4 {
		t.Errorf("%s: %d were told %d different times: who was turned away together comes back together", what, len(c.out), len(c.waits))
	}
}

func whole(v any) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	return n
}

// TestSharedOutOverHTTP: with too much to do a share of the newcomers is let in, the same persons each time; the others hear busy and when
// to come back, and nothing of theirs is in the log. Who has a place, and who sets up, is served; and when the strain is over, everybody.
func TestSharedOutOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strain(t)
		s.term()
		s.must(200, "PUT", c1, `{"capacity":2000}`)
		s.must(200, "PUT", c1+"/claims/ann", "")
		s.to(true)
		before := s.head()
		c := &tally{waits: map[int64]bool{}}
		for i := range 500 {
			person := fmt.Sprintf("p%d", i)
			r := s.do("PUT", c1+"/claims/"+person, "")
			if r.Code != 200 && (r.Code != 503 || r.text("code") != "busy") {
				t.Fatalf("%d %s", r.Code, r.Body)
			}
			ms := whole(r.body["retry_after_ms"])
			if after := r.Header().Get("Retry-After"); r.Code == 503 && after != fmt.Sprint((ms+999)/1000) {
				t.Errorf("Retry-After is %q, retry_after_ms %d", after, ms)
			}
			c.count(t, person, r.Code == 503, ms)
		}
		c.fair(t, "claims")
		if made := s.head() - before; made != uint64(len(c.in)) {
			t.Errorf("%d were let in, and %d events were made", len(c.in), made)
		}
		time.Sleep(20 * time.Second) // the same minute
		for _, person := range c.out[:50] {
			if r := s.do("PUT", c1+"/claims/"+person, ""); r.Code != 503 {
				t.Errorf("%s was turned away, and within the minute answered %d", person, r.Code)
			}
			for _, path := range []string{c1 + "/claims/" + person, "/v1/realms/spring/people/" + person} {
				s.must(200, "GET", path, "")
			}
			s.must(409, "POST", c1+"/claims/"+person+"/accept", `{"offer":1}`)
			if r := s.do("DELETE", c1+"/claims/"+person, ""); r.Code == 503 {
				t.Errorf("the release of who was turned away: %d %s", r.Code, r.Body)
			}
		}
		for _, person := range append(c.in, "ann") {
			s.must(200, "DELETE", c1+"/claims/"+person, "")
		}
		looked := 0
		for range 100 {
			if s.do("GET", c1, "").Code == 503 {
				looked++
			}
		}
		if looked < 70 {
			t.Errorf("%d of 100 onlookers were turned away", looked)
		}
		for range 20 { // each time: a share of one in twenty would let some pass by luck
			s.must(200, "PUT", c1, `{"capacity":2000}`)
			s.must(200, "POST", c1+"/claims/zoe/override", `{"action":"seat","reason":"x"}`)
			s.must(200, "GET", "/healthz", "")
			s.must(200, "GET", "/readyz", "")
			s.must(200, "GET", "/v1/log", "")
			s.must(200, "GET", "/v1/realms/spring/events?limit=1", "")
		}
		if n := s.metric("holdfast_turned_away_total", "load"); n < float64(len(c.out)) {
			t.Errorf("%v are counted as turned away, of %d", n, len(c.out))
		}
		s.to(false)
		for _, person := range c.out {
			s.must(200, "PUT", c1+"/claims/"+person, "")
		}
	})
}

// TestSharedOutOverWebSocket: the same for commands.
func TestSharedOutOverWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strain(t)
		s.term()
		s.must(200, "PUT", c1, `{"capacity":2000}`)
		s.must(200, "PUT", "/v1/realms/spring/pools/c2", `{"capacity":2000}`)
		s.to(true)
		p, id := s.many(), 1
		ask := func(format string, args ...any) map[string]any {
			id++
			p.say(`{"id":%d,"quiet":true,%s}`, id, fmt.Sprintf(format, args...))
			return p.skipTo(fmt.Sprintf("reply=%d", id))
		}
		before := s.head()
		c := &tally{waits: map[int64]bool{}}
		for i := range 500 {
			person := fmt.Sprintf("p%d", i)
			m := ask(`"do":"claim","pool":"c1","as":%q`, person)
			c.count(t, person, m["code"] == "busy", whole(m["retry_after_ms"]))
		}
		c.fair(t, "claims")
		if made := s.head() - before; made != uint64(len(c.in)) {
			t.Errorf("%d were let in, and %d events were made", len(c.in), made)
		}
		before = s.head()
		for _, person := range c.out[:50] {
			for _, newcomer := range []string{`"do":"basket","mode":"each","items":[{"pool":"c1"}]`, `"do":"swap","pool":"c2","swap":"c1"`} {
				if m := ask(`%s,"as":%q`, newcomer, person); m["code"] != "busy" {
					t.Errorf("%s of who was turned away: %v", newcomer, m)
				}
			}
			for _, placed := range []string{`"do":"standing","pool":"c1"`, `"do":"release","pool":"c1"`, `"do":"accept","pool":"c1","offer":1`, `"do":"subscribe"`, `"do":"standing"`, `"do":"unsubscribe"`} {
				if m := ask(`%s,"as":%q`, placed, person); m["code"] == "busy" || m["code"] == "limited" {
					t.Errorf("%s: %v", placed, m)
				}
			}
		}
		if s.head() != before {
			t.Error("who was turned away changed something")
		}
		for _, person := range c.in {
			if m := ask(`"do":"release","pool":"c1","as":%q`, person); m["status"] != "released" {
				t.Errorf("%v", m)
			}
		}
		one := s.hello(c.out[0]) // a connection is a place in the lobby: it is not turned away
		one.say(`{"id":2,"do":"claim","pool":"c1"}`)
		one.hear("reply=2 code=busy status=503")
		s.to(false)
		for _, person := range c.out {
			if m := ask(`"do":"claim","pool":"c1","as":%q`, person); m["status"] != "seated" {
				t.Errorf("%v", m)
			}
		}
	})
}
