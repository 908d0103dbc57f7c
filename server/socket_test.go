package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/memlog"
	"holdfast/server"
)

// hold makes the log wait while h is shut.
func hold(h *held) func(*memlog.Log, *server.Config) {
	return func(l *memlog.Log, _ *server.Config) { l.Gate = h.gate }
}

// TestSocket: hello, a claim with both stages, standing, ping.
func TestSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		s := serve(t, nil, hold(h))
		s.term()
		p := s.hello("ann")
		h.close()
		p.say(`{"id":2,"do":"claim","pool":"c1"}`)
		p.hear("reply=2 status=seated seat=1 durability=preapproved seq=")
		h.open(nil)
		p.hear("reply=2 status=seated seat=1 durability=confirmed seq=4 as_of=4")
		p.say("{\"id\":3,\"do\":\"standing\",\"pool\":\"c1\"}\n{\"id\":4,\"do\":\"ping\"}")
		p.hear("reply=3 status=seated durability=confirmed")
		p.hear("reply=4 do=ping")
		p.say(`{"id":5,"do":"release","pool":"c1","if_seq":4,"quiet":true}`)
		p.hear("reply=5 status=released durability=confirmed")
		p.say(`{"id":6,"do":"release","pool":"c1","if_seq":3}`)
		p.hear("reply=6 status=released") // changes nothing, so the condition is not looked at
		p.say(`{"id":7,"do":"claim","pool":"c1","if_seq":3,"quiet":true}`)
		p.hear("reply=7 code=precondition status=412 durability=confirmed seq=5")
		p.say(`{"id":8,"do":"claim","pool":"nowhere"}`)
		p.hear("reply=8 code=unknown_pool status=404 pool=nowhere person=ann")
		p.say(`{"id":9,"do":"claim","pool":"no where"}`)
		p.hear("reply=9 code=malformed field=pool")
	})
}

// TestSocketCommands: every other command, for many people over one connection.
func TestSocketCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.must(200, "PUT", "/v1/realms/spring", "")
		s.must(200, "PUT", "/v1/realms/spring/pools/a", `{"capacity":1,"promotion":"offer","answer_seconds":60}`)
		s.must(200, "PUT", "/v1/realms/spring/pools/b", `{"capacity":1}`)
		p := s.many()
		p.say(`{"id":2,"do":"claim","pool":"a"}`)
		p.hear("reply=2 code=malformed field=as")
		p.say(`{"id":3,"do":"basket","as":"ann","mode":"all","items":[{"pool":"a"},{"pool":"b"}],"quiet":true}`)
		if m := p.hear("reply=3 person=ann mode=all durability=confirmed"); len(m["items"].([]any)) != 2 {
			t.Errorf("%v", m)
		}
		p.say(`{"id":4,"do":"basket","as":"bob","mode":"all","items":[{"pool":"a"}],"quiet":true}`)
		if m := p.hear("reply=4 person=bob code=full pool=a durability=confirmed"); len(m["items"].([]any)) != 1 {
			t.Errorf("%v", m)
		}
		p.say(`{"id":5,"do":"claim","as":"bob","pool":"a","quiet":true}`)
		p.hear("reply=5 status=waiting position=1")
		p.say(`{"id":6,"do":"release","as":"ann","pool":"a","quiet":true}`)
		p.hear("reply=6 status=released")
		p.say(`{"id":7,"do":"standing","as":"bob","pool":"a"}`)
		offer := p.hear("reply=7 status=offered")["offer"]
		p.say(`{"id":8,"do":"accept","as":"bob","pool":"a","offer":%s,"quiet":true}`, offer)
		p.hear("reply=8 status=seated durability=confirmed")
		p.say(`{"id":9,"do":"swap","as":"bob","pool":"b","swap":"a","quiet":true}`)
		p.hear("reply=9 pool=b person=bob status=waiting swap=a durability=confirmed")
		p.say(`{"id":10,"do":"swap","as":"cid","pool":"b","swap":"a","quiet":true}`)
		p.hear("reply=10 pool=b person=cid code=no_seat durability=confirmed")
		p.say(`{"id":11,"do":"accept","as":"bob","pool":"a","offer":99,"quiet":true}`)
		p.hear("reply=11 status=seated")
		p.say(`{"id":12,"do":"standing","as":"bob"}`)
		p.hear("reply=12 code=malformed field=pool")
		p.say(`{"id":13,"do":"subscribe","as":"bob"}`)
		p.hear("reply=13 do=subscribe")
		if m := p.hear("push=claims person=bob all=true"); len(m["claims"].([]any)) != 2 {
			t.Errorf("%v", m)
		}
		p.say(`{"id":14,"do":"standing","as":"bob"}`)
		p.hear("reply=14 do=standing")
		p.hear("push=claims person=bob all=true")
		p.say(`{"id":15,"do":"release","as":"ann","pool":"b","quiet":true}`)
		p.skipTo("push=claims person=bob all=") // the swap is done
		p.say(`{"id":16,"do":"unsubscribe","as":"bob"}`)
		p.skipTo("reply=16 do=unsubscribe")
		p.say(`{"id":17,"do":"release","as":"bob","pool":"b","quiet":true}`)
		p.hear("reply=17 status=released")
		p.say(`{"id":18,"do":"ping"}`)
		p.hear("reply=18") // and no push before it
	})
}

// TestSocketPools: counts and the opening of pools, all or none.
func TestSocketPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		opens := time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)
		s.must(200, "PUT", "/v1/realms/spring/pools/late", fmt.Sprintf(`{"capacity":1,"opens_at":%q}`, opens))
		p := s.hello("ann")
		p.say(`{"id":2,"do":"subscribe","pools":["c1","late","nowhere"]}`)
		p.hear("reply=2 code=unknown_pool pool=nowhere")
		s.must(200, "PUT", "/v1/realms/spring/pools/c1/claims/bob", "")
		p.say(`{"id":3,"do":"subscribe","pool":"c1"}`)
		p.hear("reply=3 do=subscribe")
		p.hear("push=pool pool=c1 seated=1 free=1 open=true")
		s.must(200, "PUT", "/v1/realms/spring/pools/c1/claims/cid", "")
		p.hear("push=pool pool=c1 seated=2 free=0")
		p.say(`{"id":4,"do":"unsubscribe","pool":"c1"}`)
		p.hear("reply=4 do=unsubscribe")
		s.must(200, "DELETE", "/v1/realms/spring/pools/c1/claims/cid", "")
		time.Sleep(time.Second)
		p.say(`{"id":5,"do":"subscribe","pool":"late"}`)
		p.hear("reply=5 do=subscribe")
		p.skipTo("push=opening pool=late open=false")
		began := time.Now()
		p.skipTo("push=opening pool=late open=true")
		if d := time.Since(began); d > time.Minute {
			t.Errorf("the opening came after %v", d)
		}
		many := make([]string, 0, 65)
		for i := range 65 {
			s.must(200, "PUT", fmt.Sprintf("/v1/realms/spring/pools/p%d", i), `{"capacity":1}`)
			many = append(many, fmt.Sprintf("%q", fmt.Sprintf("p%d", i)))
		}
		p.say(`{"id":6,"do":"subscribe","pools":[%s]}`, strings.Join(many, ","))
		p.skipTo("reply=6 code=malformed field=pools")
		p.say(`{"id":7,"do":"subscribe","pools":[%s]}`, strings.Join(many[:64], ","))
		p.skipTo("reply=7 code=malformed field=pools") // late is one already
		p.say(`{"id":8,"do":"subscribe","pools":[%s]}`, strings.Join(many[:63], ","))
		p.skipTo("reply=8 do=subscribe")
	})
}

// TestSocketDurability: nothing is called confirmed, and nothing pushed, before it is durable; a wish for the record is told last.
func TestSocketDurability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, rec := &held{}, &scribe{moved: make(chan struct{})}
		s := serve(t, rec, hold(h))
		s.term()
		p, watcher := s.hello("ann"), s.hello("bob")
		watcher.say(`{"id":2,"do":"subscribe","pool":"c1"}`)
		watcher.hear("reply=2")
		watcher.hear("push=pool seated=0")
		h.close()
		p.say(`{"id":2,"do":"claim","pool":"c1","recorded":true} {"id":3,"do":"standing","pool":"c1"}`)
		p.hear("reply=2 durability=preapproved")
		p.hear("reply=3 durability=preapproved status=seated seq=")
		heard := make(chan string, 9)
		listen := func(p *phone, who string) {
			m, err := p.next()
			heard <- fmt.Sprint(who, m, err)
		}
		go listen(p, "ann")
		go listen(watcher, "bob")
		synctest.Wait()
		time.Sleep(10 * time.Second)
		if len(heard) != 0 {
			t.Fatalf("before it was durable: %s", <-heard)
		}
		h.open(nil)
		a, b := <-heard, <-heard
		if strings.HasPrefix(b, "ann") {
			a, b = b, a
		}
		if !strings.Contains(a, "confirmed") || !strings.Contains(b, "push:pool") || !strings.Contains(b, "seated:1") {
			t.Errorf("heard %s and %s", a, b)
		}
		p.hear("reply=3 durability=confirmed")
		go listen(p, "ann")
		synctest.Wait()
		if len(heard) != 0 {
			t.Fatalf("before it was recorded: %s", <-heard)
		}
		rec.record(s.head())
		if a := <-heard; !strings.Contains(a, "recorded") || !strings.Contains(a, "reply:2") {
			t.Errorf("heard %s", a)
		}
		p.say(`{"id":4,"do":"standing","pool":"c1","recorded":true}`)
		p.hear("reply=4 durability=confirmed")
		p.hear("reply=4 durability=recorded as_of=4 status=")
	})
}

// TestSocketOrder: before a push goes every answer that its cursor covers, however the two came about.
func TestSocketOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.must(200, "PUT", "/v1/realms/spring", "")
		for i := range 20 {
			s.must(200, "PUT", fmt.Sprintf("/v1/realms/spring/pools/p%d", i), `{"capacity":1}`)
		}
		p := s.hello("ann")
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() { // the same person over HTTP: pushes come between the answers
			defer close(stopped)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				s.raw([]string{"PUT", "DELETE"}[i%2], "/v1/realms/spring/pools/p19/claims/ann", "")
			}
		}()
		const n, burst = 400, 4
		cursor, pushes, answers, sent := int64(0), 0, 0, 0
		for answers < n {
			if answers == sent {
				sent += burst
				for i := answers; i < answers+burst; i++ {
					p.say(`{"id":%d,"do":"%s","pool":"p%d","quiet":true}`, i+2, []string{"claim", "release"}[i%2], i/2%19)
				}
			}
			m, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			asOf, _ := m["as_of"].(json.Number).Int64()
			if m["push"] == "claims" {
				cursor, pushes = asOf, pushes+1
				continue
			}
			if m["durability"] != "confirmed" {
				t.Fatalf("%v", m)
			}
			if seq, ok := m["seq"].(json.Number); ok && asOf < cursor {
				t.Errorf("the answer as of %d (seq %s) came behind the cursor %d", asOf, seq, cursor)
			}
			answers++
		}
		close(stop)
		<-stopped
		if pushes == 0 {
			t.Error("no push came between")
		}
	})
}

// TestSocketUnknown: a log that fails makes what was not confirmed unknown, never refused, and closes.
func TestSocketUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		s := serve(t, nil, hold(h))
		s.term()
		p := s.hello("ann")
		h.close()
		p.say(`{"id":2,"do":"claim","pool":"c1"}`)
		p.hear("reply=2 durability=preapproved")
		h.open(errors.New("the disk is gone"))
		if m := p.hear("reply=2 code=unknown status=503"); m["retry_after_ms"] == nil {
			t.Errorf("%v", m)
		}
		p.closed(4503)
	})
}

// TestSocketBounds: commands that wait for their confirmation have a bound, and what is more is not decided.
func TestSocketBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		s := serve(t, nil, hold(h), func(_ *memlog.Log, c *server.Config) { c.SocketPending = 3 })
		s.term()
		p := s.hello("ann")
		h.close()
		for i := range 3 {
			p.say(`{"id":%d,"do":"claim","pool":"c1"}`, i+2)
			p.hear("durability=preapproved")
		}
		head := s.head()
		p.say(`{"id":5,"do":"release","pool":"c1"}`)
		if m := p.hear("reply=5 code=busy"); m["retry_after_ms"] == nil {
			t.Errorf("%v", m)
		}
		if s.head() != head {
			t.Error("what was busy was decided")
		}
		h.open(nil)
		for i := range 3 {
			p.hear(fmt.Sprintf("reply=%d durability=confirmed status=seated", i+2))
		}
		p.say(`{"id":6,"do":"release","pool":"c1"}`)
		p.skipTo("reply=6 durability=confirmed") // it may be so at once
	})
}

// TestSocketRecordBounds: confirmed commands that wait for their record count too, a basket then once and not for each of its items.
func TestSocketRecordBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &scribe{moved: make(chan struct{})}, &held{}
		s := serve(t, m, hold(h), func(_ *memlog.Log, c *server.Config) { c.SocketPending = 3 })
		s.term()
		s.must(200, "PUT", "/v1/realms/spring/pools/c2", `{"capacity":1}`)
		p := s.hello("ann")
		basket := `{"id":%d,"do":"basket","mode":"each","recorded":true,"items":[{"pool":"c1"},{"pool":"c2"}]}`
		h.close()
		p.say(basket, 2)
		p.hear("reply=2 durability=preapproved") // it counts twice
		p.say(`{"id":3,"do":"standing","pool":"c1","recorded":true}`)
		p.hear("reply=3 durability=preapproved")
		p.say(`{"id":4,"do":"standing","pool":"c1"}`)
		p.hear("reply=4 code=busy")
		h.open(nil)
		p.skipTo("reply=2 durability=confirmed") // and now once
		p.skipTo("reply=3 durability=confirmed")
		p.say(`{"id":5,"do":"standing","pool":"c1","recorded":true}`)
		p.skipTo("reply=5 durability=confirmed")
		p.say(`{"id":6,"do":"standing","pool":"c1"}`)
		if m := p.hear("reply=6 code=busy"); !strings.Contains(fmt.Sprint(m["detail"]), "or for the record") {
			t.Errorf("%v", m)
		}
		m.record(s.head())
		p.skipTo("reply=5 durability=recorded")
		p.say(`{"id":7,"do":"standing","pool":"c1"}`)
		p.skipTo("reply=7 durability=confirmed")
	})
}

// TestSocketResume: who was cut off hears what changed meanwhile, released and promoted ones too, and only that.
func TestSocketResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		s.must(200, "PUT", "/v1/realms/spring/pools/c2", `{"capacity":1}`)
		s.must(200, "PUT", "/v1/realms/spring/pools/c3", `{"capacity":1}`)
		s.must(200, "PUT", "/v1/realms/spring/pools/c2/claims/bob", "")
		p := s.connect("spring")
		p.say(`{"id":1,"do":"hello","person":"ann"}`)
		log := p.hear("reply=1")["log"]
		p.hear("push=claims all=true")
		for i, pool := range []string{"c1", "c2", "c3"} {
			p.say(`{"id":%d,"do":"claim","pool":%q,"quiet":true}`, i+2, pool)
			p.skipTo(fmt.Sprintf("reply=%d durability=confirmed", i+2))
		}
		p.say(`{"id":9,"do":"standing"}`)
		p.skipTo("reply=9")
		cursor := p.hear("push=claims all=true")["as_of"]
		p.conn.CloseNow()
		s.must(200, "DELETE", "/v1/realms/spring/pools/c1/claims/ann", "")
		s.must(200, "DELETE", "/v1/realms/spring/pools/c2/claims/bob", "")
		p = s.connect("spring")
		p.say(`{"id":1,"do":"hello","person":"ann","log":%q,"seq":%s}`, log, cursor)
		p.hear("reply=1")
		m := p.hear("push=claims all=")
		if got := fmt.Sprint(m["claims"]); !strings.Contains(got, "pool:c1") || !strings.Contains(got, "status:released") ||
			!strings.Contains(got, "pool:c2") || !strings.Contains(got, "status:seated") || strings.Contains(got, "pool:c3") {
			t.Errorf("told %v", got)
		}
		p = s.connect("spring")
		p.say(`{"id":1,"do":"hello","person":"ann","log":"00000000000000000000000000000000","seq":%s}`, cursor)
		p.hear("reply=1")
		p.hear("push=claims all=true")
	})
}

// TestSocketDrain: the server stops: commands are busy, what was decided is confirmed, and then everybody hears when to come back.
func TestSocketDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		s := serve(t, nil, hold(h))
		s.term()
		phones := []*phone{}
		for i := range 20 {
			phones = append(phones, s.hello(fmt.Sprintf("s%d", i)))
		}
		stranger := s.connect("spring")
		h.close()
		phones[0].say(`{"id":2,"do":"claim","pool":"c1"}`)
		phones[0].hear("reply=2 durability=preapproved")
		ended := make(chan error, 1)
		go func() { ended <- s.shutdown() }()
		synctest.Wait()
		head := s.head()
		phones[0].say(`{"id":3,"do":"claim","pool":"c1"}`)
		phones[0].hear("reply=3 code=busy")
		if s.head() != head {
			t.Error("a command was decided while the server stops")
		}
		if r := s.raw("GET", "/v1/realms/spring/ws", "", "Upgrade", "websocket", "Connection", "upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x"); r.Code != 503 {
			t.Errorf("a new one: %d", r.Code)
		}
		delays := map[int64]bool{}
		for _, p := range phones[1:] {
			c := p.closed(1012)
			var hint struct {
				DelayMS int64 `json:"delay_ms"`
			}
			if err := json.Unmarshal([]byte(c.Reason), &hint); err != nil || hint.DelayMS < 0 || hint.DelayMS >= 10_000 {
				t.Errorf("%q: %v", c.Reason, err)
			}
			delays[hint.DelayMS] = true
		}
		if len(delays) < 15 {
			t.Errorf("%d different delays for 19 phones", len(delays))
		}
		stranger.closed(1012)
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("the server ended before its answers")
		default:
		}
		h.open(nil)
		phones[0].hear("reply=2 durability=confirmed status=seated")
		phones[0].closed(1012)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestSocketUpgrade: what is no WebSocket request hears so.
func TestSocketUpgrade(t *testing.T) {
	w := newWorld(t, nil)
	w.term()
	if r := w.must(426, "GET", "/v1/realms/spring/ws", ""); r.text("code") != "upgrade_required" || r.Header().Get("Upgrade") != "websocket" {
		t.Errorf("%v", r.body)
	}
	// As over HTTP/2: the connection cannot be taken over.
	w.must(426, "GET", "/v1/realms/spring/ws", "", "Upgrade", "websocket", "Connection", "upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x")
	w.must(400, "GET", "/v1/realms/spr%20ing/ws", "")
}

// TestPersonEvents: the same as a stream, which resumes by its ids and ends with a hint when to come back.
func TestPersonEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		s.must(404, "GET", "/v1/realms/nowhere/people/ann/events", "")
		s.must(400, "GET", "/v1/realms/spring/people/ann/events?since=x", "")
		s.must(400, "GET", "/v1/realms/spring/people/ann/events", "", "Last-Event-ID", "17")
		ann := s.events("ann", "")
		first := ann.event()
		if first["event"] != "claims" || !strings.Contains(first["data"], `"all":true`) {
			t.Errorf("%v", first)
		}
		s.must(200, "PUT", "/v1/realms/spring/pools/c1/claims/ann", "")
		second := ann.event()
		if !strings.Contains(second["data"], `"status":"seated"`) {
			t.Errorf("%v", second)
		}
		ann.close()
		s.must(200, "DELETE", "/v1/realms/spring/pools/c1/claims/ann", "")
		ann = s.events("ann", second["id"])
		if third := ann.event(); !strings.Contains(third["data"], `"status":"released"`) || strings.Contains(third["data"], `"all"`) {
			t.Errorf("%v", third)
		}
		time.Sleep(16 * time.Second)
		if beat := ann.event(); len(beat) != 0 {
			t.Errorf("%v", beat)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.shutdown() }()
		if bye := ann.event(); bye["retry"] == "" {
			t.Errorf("%v", bye)
		}
		if _, err := ann.r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the stream goes on: %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
