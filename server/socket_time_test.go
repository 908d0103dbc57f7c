package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/seat"
	"holdfast/server"
)

// TestSocketStranger: who does not say who they are in time and in few bytes is sent away, and nobody waits for them.
func TestSocketStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil, func(_ *memlog.Log, c *server.Config) { c.MaxStrangers = 2 })
		s.term()
		a, b := s.connect("spring"), s.connect("spring")
		if _, resp, err := s.dial("spring"); err == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("a third stranger: %v %v", resp, err)
		}
		began := time.Now()
		a.closed(4408)
		b.closed(4408)
		if d := time.Since(began); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("sent away after %v", d)
		}
		time.Sleep(2 * time.Second)
		for _, c := range []struct {
			frame string
			code  int
		}{
			{`{"id":1,"do":"claim","pool":"c1"}`, 4400}, {`{"id":1,"do":"hello","persn":"x"}`, 4400}, {`[]`, 4400}, {``, 4400}, {`{"do":"hello"}`, 4400},
			{`{"id":1,"do":"hello","person":"a b"}`, 4400}, {`{"id":1,"do":"hello","token":"x","ticket":"y"}`, 4400},
			{fmt.Sprintf(`{"id":1,"do":"hello","token":"%01100d"}`, 1), 4408},
		} {
			p := s.connect("spring")
			p.say("%s", c.frame)
			p.closed(c.code)
			time.Sleep(2 * time.Second) // its place is free again
		}
		p := s.connect("nowhere")
		p.say(`{"id":1,"do":"hello","person":"ann"}`)
		p.hear("reply=1 code=unknown_realm")
		p.closed(4404)
		s.hello("ann") // and there is room
	})
}

// TestSocketSaysWhy: also after it was quiet for longer than a write may take, a frame that is too large hears 1009.
func TestSocketSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		p := s.hello("ann")
		time.Sleep(15 * time.Second) // before the first ping
		sent := make(chan struct{})
		go func() { // it is cut before all of it is read
			defer close(sent)
			p.conn.Write(t.Context(), websocket.MessageText, make([]byte, 17000))
		}()
		p.closed(1009)
		<-sent
	})
}

// TestSocketCondemned: what stands behind a hello that is refused is not decided.
func TestSocketCondemned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		p := s.connect("spring")
		p.say("%s", `{"id":1,"do":"hello","person":"a b"}`+"\n"+`{"id":2,"do":"hello","person":"ann"}`+"\n"+`{"id":3,"do":"claim","pool":"c1"}`)
		p.closed(4400)
		if a, err := s.engine.Do("spring", seat.Look{Pool: "c1", Person: "ann"}); err != nil || a.Status != seat.None {
			t.Errorf("%+v, %v", a.Standing, err)
		}
	})
}

// TestSocketLives: a quiet connection is pinged and stays; one whose other side is gone ends within 45 s.
func TestSocketLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		p := s.hello("ann")
		done := make(chan struct{})
		go func() { // reading answers pings
			defer close(done)
			p.hear("push=claims")
		}()
		time.Sleep(time.Hour)
		s.must(200, "PUT", "/v1/realms/spring/pools/c1/claims/ann", "")
		<-done
		gone := s.hello("bob") // nobody reads any more: no pong
		began := time.Now()
		for s.metric("holdfast_sockets", "") > 1 {
			time.Sleep(time.Second)
			if time.Since(began) > 10*time.Minute {
				t.Fatal("a dead connection stays")
			}
			p.say(`{"id":9,"do":"ping"}`)
			p.skipTo("reply=9")
		}
		if d := time.Since(began); d > 47*time.Second || d < 20*time.Second {
			t.Errorf("it went after %v", d)
		}
		gone.conn.CloseNow()
	})
}

// TestSocketSlow: who does not read is cut, and nobody else notices.
func TestSocketSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil, func(_ *memlog.Log, c *server.Config) { c.SocketQueue = 4 << 10 })
		s.term()
		slow, well := s.hello("ann"), s.hello("ann")
		for i := range 100 { // two seconds
			began := time.Now()
			s.must(200, []string{"PUT", "DELETE"}[i%2], "/v1/realms/spring/pools/c1/claims/ann", "")
			well.hear("push=claims person=ann")
			if d := time.Since(began); d > 0 {
				t.Fatalf("the others waited %v for the slow one", d)
			}
			time.Sleep(20 * time.Millisecond)
		}
		slow.closed(4500)
		if n := s.metric("holdfast_sockets_closed_total", "4500"); n != 1 {
			t.Errorf("%v counted", n)
		}
		well.say(`{"id":2,"do":"ping"}`)
		well.hear("reply=2")
	})
}

// TestSocketCut: a reader who takes nothing at all of one frame is cut after FeedWrite.
func TestSocketCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		slow := s.hello("ann")
		began := time.Now()
		s.must(200, "PUT", "/v1/realms/spring/pools/c1/claims/ann", "")
		for s.metric("holdfast_sockets", "") > 0 && time.Since(began) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(began); d > 12*time.Second {
			t.Errorf("cut after %v", d)
		}
		slow.conn.CloseNow()
	})
}

// TestPersonEventsSlow: the reader of a stream who takes nothing is cut too.
func TestPersonEventsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil, func(_ *memlog.Log, c *server.Config) { c.SocketQueue = 4 << 10 })
		s.term()
		slow := s.events("ann", "")
		for i := range 300 {
			s.must(200, []string{"PUT", "DELETE"}[i%2], "/v1/realms/spring/pools/c1/claims/ann", "")
			synctest.Wait()
		}
		n := 0
		for ; ; n++ {
			if _, err := slow.r.ReadString('\n'); err != nil {
				break
			}
		}
		if n > 300 || s.metric("holdfast_sockets_closed_total", "4500") != 1 {
			t.Errorf("%d lines came, %v were cut", n, s.metric("holdfast_sockets_closed_total", "4500"))
		}
	})
}

// TestSocketLeaves: nothing stays of who is gone.
func TestSocketLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		m := s.many()
		m.say(`{"id":2,"do":"subscribe","as":"ann"} {"id":3,"do":"subscribe","pool":"c1"}`)
		m.skipTo("push=pool")
		stream := s.events("ann", "")
		stream.event()
		for i := range 5 {
			s.hello(fmt.Sprintf("s%d", i)).conn.CloseNow()
		}
		m.conn.CloseNow()
		stream.close()
		time.Sleep(5 * time.Second)
		for _, name := range []string{"holdfast_sockets", "holdfast_sockets_strangers", "holdfast_watches", "holdfast_subscriptions"} {
			if n := s.metric(name, ""); n != 0 {
				t.Errorf("%s: %v", name, n)
			}
		}
	})
}

// TestSocketBackPressure: frames that come faster than they are handled wait in the network, not here, and all are answered.
func TestSocketBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		p := s.hello("ann")
		const n = 100
		go func() {
			for i := range n {
				p.say(`{"id":%d,"do":"ping"}%15000s`, i+2, "")
			}
		}()
		for i := range n {
			p.hear(fmt.Sprintf("reply=%d do=ping", i+2))
		}
	})
}

// TestSocketRoom: beyond MaxSockets one hears when to come back.
func TestSocketRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil, func(_ *memlog.Log, c *server.Config) { c.MaxSockets = 2 })
		s.term()
		s.hello("ann")
		s.events("bob", "")
		third := s.connect("spring")
		if c := third.closed(1013); c.Reason == "" {
			t.Error("no hint when to come back")
		}
		s.must(503, "GET", "/v1/realms/spring/people/cid/events", "")
	})
}

// TestSocketFlood: a person's claims are limited, and who sends far more than a person does is cut; programs are not.
func TestSocketFlood(t *testing.T) {
	k := newLock(t)
	token := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
	backend := k.key(auth.Key{Role: auth.Backend, Realm: "spring"})
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k, func(_ *memlog.Log, c *server.Config) { c.PersonBurst = 20 })
		p := s.as(token)
		for i := range 25 {
			p.say(`{"id":%d,"do":"claim","pool":"c1","quiet":true}`, i+2)
			if m := p.skipTo(fmt.Sprintf("reply=%d", i+2)); (m["code"] == "limited") != (i >= 20) || i >= 20 && m["retry_after_ms"] == nil {
				t.Fatalf("claim %d: %v", i+1, m)
			}
		}
		for range 5 { // never limited
			p.say(`{"id":99,"do":"standing","pool":"c1"}`)
			p.skipTo("reply=99 status=seated")
		}
		b := s.as(backend)
		for i := range 200 { // a program is not limited
			b.say(`{"id":%d,"do":"ping"} {"id":%d,"do":"standing","as":"ann","pool":"c1"}`, i+2, i+2)
			b.hear("do=ping")
			b.hear("status=seated")
		}
		frame := ""
		for i := range 60 {
			frame += fmt.Sprintf(`{"id":%d,"do":"ping"}`, i+1)
		}
		p.say("%s", frame)
		p.closed(4429)
		p = s.as(token)
		go func() {
			for range 100 {
				if p.conn.Ping(context.Background()) != nil {
					return
				}
			}
		}()
		p.closed(4429)
		b.say(`{"id":1,"do":"ping"}`)
		b.hear("do=ping")
	})
}

// lockedTerm serves a world with authentication, and makes the term in it.
func lockedTerm(t *testing.T, k *lock, change ...func(*memlog.Log, *server.Config)) *served {
	t.Helper()
	admin := k.key(auth.Key{Role: auth.Admin})
	s := serve(t, nil, append([]func(*memlog.Log, *server.Config){k.use}, change...)...)
	t.Cleanup(func() { s.shutdown(); k.auth.Close() })
	for _, realm := range []string{"spring", "autumn"} {
		s.must(200, "PUT", "/v1/realms/"+realm, "", bearerOf(admin)...)
		s.must(200, "PUT", "/v1/realms/"+realm+"/pools/c1", `{"capacity":2}`, bearerOf(admin)...)
	}
	return s
}

// as connects whose token it is.
func (s *served) as(token string) *phone {
	s.t.Helper()
	p := s.connect("spring")
	p.say(`{"id":1,"do":"hello","token":%q}`, token)
	if m := p.hear("reply=1 do=hello realm=spring"); m["person"] != nil {
		p.hear("push=claims all=true")
	}
	return p
}

// TestSocketDead: whose network takes everything and gives nothing back, no pong either, is gone within 45 s.
func TestSocketDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		conn, err := s.pipes.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go conn.Write([]byte("GET /v1/realms/spring/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
		w := &wireless{t, conn, bufio.NewReader(conn)}
		if resp, err := http.ReadResponse(w.r, nil); err != nil || resp.StatusCode != 101 {
			t.Fatalf("%v %v", resp, err)
		}
		w.frame(0x81, `{"id":1,"do":"hello","person":"ann"}`)
		began := time.Now()
		for op := byte(1); op != 0 && op != 8; {
			op, _ = w.read()
		}
		if d := time.Since(began); d < 36*time.Second || d > 45*time.Second {
			t.Errorf("it was gone after %v", d)
		}
		if n := s.metric("holdfast_sockets_closed_total", "dead"); n != 1 {
			t.Errorf("%v counted", n)
		}
	})
}
