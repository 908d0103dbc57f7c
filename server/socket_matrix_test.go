package server_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// commands are all that a connection may ask, without the id. AS is where the person is named.
var commands = []string{
	`"do":"claim","pool":"c1"AS`, `"do":"release","pool":"c1"AS`, `"do":"accept","pool":"c1","offer":1AS`, `"do":"basket","mode":"each","items":[{"pool":"c1"}]AS`,
	`"do":"swap","pool":"c1","swap":"c2"AS`, `"do":"standing","pool":"c1"AS`, `"do":"standing"AS`, `"do":"subscribe"AS`, `"do":"unsubscribe"AS`,
	`"do":"subscribe","pool":"c1"`, `"do":"unsubscribe","pool":"c1"`, `"do":"ping"`,
}

func commandAs(command, as string) string {
	if as != "" {
		as = fmt.Sprintf(`,"as":%q`, as)
	}
	return strings.ReplaceAll(command, "AS", as)
}

// TestSocketMatrix: each command × who may not: refused, nothing is changed and nothing is told; and who may is served.
func TestSocketMatrix(t *testing.T) {
	k := newLock(t)
	key := func(role auth.Role, realm, person, desk string) string {
		return k.key(auth.Key{Role: role, Realm: realm, Person: person, Desk: desk})
	}
	ann, Ann, bob := key(auth.Person, "spring", "ann", ""), key(auth.Person, "spring", "Ann", ""), key(auth.Person, "spring", "bob", "")
	staff, backend, admin := key(auth.Staff, "spring", "dora", ""), key(auth.Backend, "spring", "", ""), key(auth.Admin, "spring", "", "")
	shard, top := key(auth.Backend, "", "", ""), key(auth.Admin, "", "", "")
	nobody := map[string]struct {
		hello string // empty: none
		code  string
		close int
	}{
		"no hello":       {"", "malformed", 4400},
		"no token":       {`{"id":1,"do":"hello"}`, "unauthenticated", 4401},
		"only a name":    {`{"id":1,"do":"hello","person":"ann"}`, "unauthenticated", 4401},
		"a bad token":    {fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, ann[:len(ann)-1]+"-"), "unauthenticated", 4401},
		"no ticket":      {`{"id":1,"do":"hello","ticket":"hft_x"}`, "unauthenticated", 4401},
		"agent":          {fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, key(auth.Agent, "spring", "ann", "")), "malformed", 4400},
		"agent's person": {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"person":"ann"}`, key(auth.Agent, "spring", "ann", "d1")), "forbidden", 4403},
		"other agent":    {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"agent":"bob","desk":"d1"}`, key(auth.Agent, "spring", "ann", "d1")), "forbidden", 4403},
		"other desk":     {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"desk":"d2"}`, key(auth.Agent, "spring", "ann", "d1")), "unknown_desk", 4404},
		"no such desk":   {fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, key(auth.Agent, "spring", "ann", "d3")), "unknown_desk", 4404},
		"agent's realm":  {fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, key(auth.Agent, "autumn", "ann", "d1")), "unknown_realm", 4404},
		"client's name":  {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"client":"bob"}`, key(auth.Client, "spring", "ann", "")), "forbidden", 4403},
		"as a client":    {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"person":"ann"}`, key(auth.Client, "spring", "ann", "")), "forbidden", 4403},
		"person's agent": {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"agent":"ann","desk":"d1"}`, ann), "forbidden", 4403},
		"her client":     {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"client":"ann"}`, ann), "forbidden", 4403},
		"staff's client": {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"client":"ann"}`, staff), "forbidden", 4403},
		"staff's desk":   {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"person":"ann"}`, key(auth.Staff, "spring", "eve", "d1")), "forbidden", 4403},
		"a desk":         {fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, key(auth.Backend, "spring", "", "d1")), "forbidden", 4403},
		"other realm":    {fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, key(auth.Person, "autumn", "ann", "")), "unknown_realm", 4404},
		"other backend":  {fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, key(auth.Backend, "autumn", "", "")), "unknown_realm", 4404},
		"other admin":    {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"person":"ann"}`, key(auth.Admin, "autumn", "", "")), "unknown_realm", 4404},
		"other person":   {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"person":"bob"}`, ann), "forbidden", 4403},
		"other spelling": {fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"person":"Ann"}`, ann), "forbidden", 4403},
	}
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k)
		s.must(200, "PUT", "/v1/realms/spring/pools/c2", `{"capacity":2}`, bearerOf(top)...)
		asked := 0
		for name, c := range nobody {
			for _, command := range commands {
				for _, together := range []bool{true, false} { // behind hello in one frame, or in the next
					asked++
					head := s.head()
					p := s.connect("spring")
					body := `{"id":2,` + commandAs(command, "") + `}`
					switch {
					case c.hello == "":
						p.say("%s", body)
					case together:
						p.say("%s", c.hello+"\n"+body)
					default:
						p.say("%s", c.hello)
					}
					if m := p.hear("code=" + c.code); m["claims"] != nil || m["status"] == "seated" {
						t.Errorf("%s, %s: %v", name, command, m)
					}
					if m, err := p.next(); err == nil {
						t.Errorf("%s, %s: it goes on: %v", name, command, m)
					} else if code := websocket.CloseStatus(err); int(code) != c.close {
						t.Errorf("%s, %s: closed with %d", name, command, code)
					}
					if s.head() != head {
						t.Fatalf("%s, %s changed something", name, command)
					}
				}
			}
		}
		// A person: in no other name, whatever the spelling.
		for _, as := range []string{"bob", "Ann", "ann.", "dora"} {
			p := s.as(ann)
			for _, command := range commands[:9] {
				asked++
				head := s.head()
				p.say("%s", `{"id":2,`+commandAs(command, as)+`}`)
				p.hear("reply=2 code=forbidden status=403")
				if s.head() != head {
					t.Fatalf("%s as %s changed something", command, as)
				}
			}
			p.conn.CloseNow()
		}
		for _, wide := range []string{staff, backend, admin, shard} { // and who speaks for one person speaks for no other
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello","token":%q,"person":"bob"}`, wide)
			p.hear("reply=1 person=bob")
			p.hear("push=claims person=bob")
			for _, command := range commands[:9] {
				asked++
				p.say("%s", `{"id":2,`+commandAs(command, "ann")+`}`)
				p.hear("reply=2 code=forbidden")
			}
			p.conn.CloseNow()
		}
		// A second hello is of the same somebody, or the last.
		for _, c := range []struct{ first, second, person string }{
			{ann, bob, ""}, {ann, Ann, ""}, {ann, backend, "ann"}, {ann, admin, "ann"}, {ann, staff, "ann"}, {backend, admin, ""}, {backend, shard, ""}, {shard, backend, ""},
			{staff, backend, ""}, {backend, ann, ""}, {ann, ann, "bob"}, {backend, backend, "ann"},
		} {
			asked++
			p := s.as(c.first)
			p.say(`{"id":2,"do":"hello","token":%q,"person":%q}`+"\n"+`{"id":3,"do":"subscribe","as":"bob"}`, c.second, c.person)
			if c.person == "" {
				p.conn.CloseNow()
				p = s.as(c.first)
				p.say(`{"id":2,"do":"hello","token":%q}`, c.second)
			}
			p.hear("reply=2 code=forbidden")
			p.closed(4403)
		}
		p := s.as(ann)
		p.say(`{"id":2,"do":"hello"}`) // no token at all
		p.hear("reply=2 code=unauthenticated")
		p.closed(4401)
		if asked < 350 {
			t.Errorf("only %d were asked", asked)
		}
		if n := s.metric("holdfast_denied_total", "forbidden"); n < 100 {
			t.Errorf("%v are counted as forbidden", n)
		}
		// Who may is served.
		for _, token := range []string{staff, backend, admin, shard} {
			p := s.as(token)
			p.say("%s", `{"id":2,"do":"claim","quiet":true,"pool":"c1","as":"bob"}`)
			p.hear("reply=2 person=bob status=seated")
			p.conn.CloseNow()
		}
		time.Sleep(time.Second)
	})
}

// TestPersonSockets: one person has so many connections, WebSockets and streams together, and no more; others have theirs; who leaves makes room.
func TestPersonSockets(t *testing.T) {
	k := newLock(t)
	ann, bob, backend := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"}), k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "bob"}), k.key(auth.Key{Role: auth.Backend, Realm: "spring"})
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k, func(_ *memlog.Log, c *server.Config) { c.MaxSocketsEach = 3 })
		first := s.as(ann)
		s.as(ann)
		stream := s.events("ann", "", bearerOf(ann)...)
		stream.event()
		for range 2 {
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello","token":%q}`, ann)
			p.hear("reply=1 code=limited retry_after_ms=60000")
			p.closed(4429)
			r := s.must(429, "GET", "/v1/realms/spring/people/ann/events", "", bearerOf(ann)...)
			if r.text("code") != "limited" || r.Header().Get("Retry-After") != "60" {
				t.Errorf("%s %v", r.Body, r.Header())
			}
		}
		ticket := s.must(200, "POST", "/v1/realms/spring/tickets", `{"person":"ann"}`, bearerOf(backend)...).text("ticket")
		p := s.connect("spring")
		p.say(`{"id":1,"do":"hello","ticket":%q}`, ticket)
		p.hear("reply=1 code=limited") // by a ticket too
		s.as(bob)
		for range 5 {
			s.as(backend)
		}
		first.say(`{"id":2,"do":"hello","token":%q}`, ann) // to prolong is none more
		first.hear("reply=2 do=hello")
		for range 3 {
			first.conn.CloseNow()
			synctest.Wait()
			first = s.as(ann)
		}
		stream.close()
		synctest.Wait()
		s.as(ann)
		if n := s.metric("holdfast_turned_away_total", "person_sockets"); n != 5 {
			t.Errorf("%v are counted", n)
		}
	})
}

// TestRevokedWithinASecond: as delivered, a second after a key is revoked it is nobody's: for requests, a feed, a stream, a connection, a
// ticket that was given, and a person's connection that rests on it.
func TestRevokedWithinASecond(t *testing.T) {
	k := newLock(t)
	made, token, err := k.file.Create(auth.Key{Role: auth.Backend, Realm: "spring"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k, func(_ *memlog.Log, c *server.Config) {
			k.auth.Close()
			a := auth.DefaultConfig()
			a.Keys = k.file.Path
			var err error
			if k.auth, err = auth.Open(a); err != nil {
				t.Fatal(err)
			}
			c.Auth = k.auth
		})
		ticket := func() string {
			return s.must(200, "POST", "/v1/realms/spring/tickets", `{"person":"bob"}`, bearerOf(token)...).text("ticket")
		}
		byTicket := s.connect("spring")
		byTicket.say(`{"id":1,"do":"hello","ticket":%q}`, ticket())
		byTicket.hear("reply=1 person=bob role=person")
		byTicket.hear("push=claims")
		connection, stream, unused := s.as(token), s.events("ann", "", bearerOf(token)...), ticket()
		stream.event()
		time.Sleep(10*time.Second + 3*time.Millisecond) // all is at rest
		late := s.connect("spring", bearerOf(token)...) // it says hello when the token of its header is nobody's
		if _, err := k.file.Revoke(made.ID); err != nil {
			t.Fatal(err)
		}
		revoked := time.Now()
		ended := make(chan string)
		for name, wait := range map[string]func(){"connection": func() { connection.closed(4401) }, "by ticket": func() { byTicket.closed(4401) }, "stream": stream.rest} {
			go func() {
				defer func() { ended <- name }()
				wait()
			}()
		}
		for range 3 {
			if name, after := <-ended, time.Since(revoked); after > time.Second {
				t.Errorf("%s ended after %s", name, after)
			}
		}
		time.Sleep(time.Until(revoked.Add(time.Second)))
		late.say(`{"id":1,"do":"hello"}`)
		late.hear("reply=1 code=unauthenticated")
		late.closed(4401)
		s.must(401, "GET", c1, "", bearerOf(token)...)
		s.must(401, "POST", "/v1/realms/spring/tickets", `{"person":"bob"}`, bearerOf(token)...)
		p := s.connect("spring")
		p.say(`{"id":1,"do":"hello","ticket":%q}`, unused)
		p.hear("reply=1 code=unauthenticated")
		p.closed(4401)
	})
}
