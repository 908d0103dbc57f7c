package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/seat"
	"holdfast/server"
)

// TestSocketAuth: who may come, and as whom.
func TestSocketAuth(t *testing.T) {
	k := newLock(t)
	ann := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
	autumn := k.key(auth.Key{Role: auth.Person, Realm: "autumn", Person: "ann"})
	agent := k.key(auth.Key{Role: auth.Agent, Realm: "spring", Person: "ann"})
	desk := k.key(auth.Key{Role: auth.Backend, Realm: "spring", Desk: "help"})
	backend := k.key(auth.Key{Role: auth.Backend, Realm: "spring"})
	abroad := k.key(auth.Key{Role: auth.Backend, Realm: "autumn"})
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k)
		for _, c := range []struct {
			realm, hello string
			code         int
			problem      string
		}{
			{"spring", `{"id":1,"do":"hello"}`, 4401, "unauthenticated"},
			{"spring", `{"id":1,"do":"hello","person":"ann"}`, 4401, "unauthenticated"},
			{"spring", `{"id":1,"do":"hello","token":"x"}`, 4401, "unauthenticated"},
			{"spring", `{"id":1,"do":"hello","ticket":"x"}`, 4401, "unauthenticated"},
			{"spring", fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, ann+"x"), 4401, "unauthenticated"},
			{"spring", fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, autumn), 4404, "unknown_realm"},
			{"spring", fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, abroad), 4404, "unknown_realm"},
			{"nowhere", fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, ann), 4404, "unknown_realm"},
			{"spring", fmt.Sprintf(`{"id":1,"do":"hello","token":%q,"person":"bob"}`, ann), 4403, "forbidden"},
			{"spring", fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, agent), 4400, "malformed"}, // at which desk?
			{"spring", fmt.Sprintf(`{"id":1,"do":"hello","token":%q}`, desk), 4403, "forbidden"},
		} {
			p := s.connect(c.realm)
			p.say("%s", c.hello)
			p.hear("reply=1 code=" + c.problem)
			p.closed(c.code)
		}
		// Another realm's token hears exactly what it would of a realm that does not exist.
		texts := map[string]bool{}
		for _, realm := range []string{"spring", "nowhere"} {
			p := s.connect(realm)
			p.say(`{"id":1,"do":"hello","token":%q}`, autumn)
			m, _ := p.next()
			delete(m, "realm")
			texts[fmt.Sprint(m)] = true
		}
		if len(texts) != 1 {
			t.Errorf("another realm is not as none: %v", texts)
		}

		p := s.as(ann)
		for i, message := range []string{`{"id":2,"do":"claim","as":"bob","pool":"c1"}`, `{"id":2,"do":"standing","as":"bob","pool":"c1"}`,
			`{"id":2,"do":"standing","as":"bob"}`, `{"id":2,"do":"subscribe","as":"bob"}`, `{"id":2,"do":"release","as":"bob","pool":"c1"}`,
			`{"id":2,"do":"basket","as":"bob","mode":"each","items":[{"pool":"c1"}]}`, `{"id":2,"do":"swap","as":"bob","pool":"c1","swap":"c2"}`, `{"id":2,"do":"accept","as":"bob","pool":"c1","offer":3}`} {
			head := s.head()
			p.say("%s", message)
			p.hear("reply=2 code=forbidden status=403")
			if s.head() != head {
				t.Errorf("%d changed something", i)
			}
		}
		p.say(`{"id":3,"do":"claim","as":"ann","pool":"c1","quiet":true}`)
		p.hear("reply=3 person=ann status=seated")
		b := s.as(backend)
		b.say(`{"id":3,"do":"claim","as":"bob","pool":"c1","quiet":true}`)
		b.hear("reply=3 person=bob status=seated")
		p.say(`{"id":4,"do":"hello","token":%q}`, ann)
		p.hear("reply=4 do=hello")
		p.say(`{"id":5,"do":"hello","token":%q}`, backend)
		p.hear("reply=5 code=forbidden")
		p.closed(4403)

		h := s.connect("spring", bearerOf(ann)...)
		h.say(`{"id":1,"do":"hello"}`)
		h.hear("reply=1 role=person person=ann")
		if _, resp, err := s.dial("spring", bearerOf(ann+"x")...); err == nil || resp.StatusCode != 401 {
			t.Errorf("a bad token in the header: %v %v", resp, err)
		}
		s.must(401, "GET", "/v1/realms/spring/people/ann/events", "")
		s.must(403, "GET", "/v1/realms/spring/people/bob/events", "", bearerOf(ann)...)
		s.must(404, "GET", "/v1/realms/spring/people/ann/events", "", bearerOf(autumn)...)
	})
}

// TestSocketEnds: a token that ends or is revoked ends its connections, and its streams, within a second.
func TestSocketEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newLock(t)
		made, revoked, err := k.file.Create(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		mortal := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "bob", Expires: time.Now().Add(2 * time.Minute)})
		keep := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "cid"})
		s := lockedTerm(t, k)
		r, m, stays := s.as(revoked), s.as(mortal), s.as(keep)
		stream := s.events("ann", "", bearerOf(revoked)...)
		stream.event()
		if _, err := k.file.Revoke(made.ID); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.closed(4401)
		stream.rest()
		if d := time.Since(began); d > time.Second {
			t.Errorf("revoked, and closed after %v", d)
		}
		closed := make(chan time.Time, 1)
		go func() {
			m.closed(4401)
			closed <- time.Now()
		}()
		go func() {
			for {
				if _, err := stays.next(); err != nil {
					return
				}
			}
		}()
		if at := <-closed; at.Sub(began) < 110*time.Second || at.Sub(began) > 126*time.Second {
			t.Errorf("expired, and closed after %v", at.Sub(began))
		}
		stays.say(`{"id":7,"do":"ping"}`)
	})
}

// TestTickets: a ticket is for one person, realm and page, once.
func TestTickets(t *testing.T) {
	k := newLock(t)
	ann := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
	backend := k.key(auth.Key{Role: auth.Backend})
	synctest.Test(t, func(t *testing.T) {
		const page = "https://portal.example.edu"
		s := lockedTerm(t, k, func(_ *memlog.Log, c *server.Config) { c.Origins = []string{page, "https://other.example.edu"} })
		ticket := func(realm, body string, header ...string) string {
			r := s.must(200, "POST", "/v1/realms/"+realm+"/tickets", body, header...)
			if r.text("expires_at") == "" {
				t.Errorf("%v", r.body)
			}
			return r.text("ticket")
		}
		try := func(realm, ticket string, header ...string) (*phone, map[string]any) {
			p := s.connect(realm, header...)
			p.say(`{"id":1,"do":"hello","ticket":%q}`, ticket)
			m, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			return p, m
		}
		good := ticket("spring", "", bearerOf(ann)...)
		if _, m := try("spring", good); m["person"] != "ann" || m["role"] != "person" {
			t.Errorf("%v", m)
		}
		p, m := try("spring", good)
		if m["code"] != "unauthenticated" {
			t.Errorf("a second time: %v", m)
		}
		p.closed(4401)
		_, m = try("autumn", ticket("spring", "", bearerOf(ann)...))
		if m["code"] != "unauthenticated" {
			t.Errorf("in another realm: %v", m)
		}
		old := ticket("spring", "", bearerOf(ann)...)
		time.Sleep(31 * time.Second)
		if _, m = try("spring", old); m["code"] != "unauthenticated" {
			t.Errorf("too late: %v", m)
		}
		for _, c := range []struct {
			body, asks, uses string
			ok               bool
		}{
			{``, page, page, true}, {``, page, "https://other.example.edu", false}, {``, page, "", false}, {``, "", page, false},
			{`{"origin":"` + page + `"}`, "", page, true}, {`{"origin":"` + page + `"}`, "", "", false}, {`{"origin":"` + page + `"}`, page, page, true},
		} {
			header := bearerOf(ann)
			if c.asks != "" {
				header = append(header, "Origin", c.asks)
			}
			var use []string
			if c.uses != "" {
				use = []string{"Origin", c.uses}
			}
			if _, m := try("spring", ticket("spring", c.body, header...), use...); (m["person"] == "ann") != c.ok {
				t.Errorf("%+v: %v", c, m)
			}
		}
		p, m = try("spring", ticket("spring", `{"person":"bob"}`, bearerOf(backend)...))
		if m["person"] != "bob" || m["role"] != "person" {
			t.Errorf("%v", m)
		}
		p.hear("push=claims")
		p.say(`{"id":2,"do":"claim","as":"ann","pool":"c1"}`)
		p.hear("reply=2 code=forbidden")
		s.must(403, "POST", "/v1/realms/spring/tickets", `{"person":"bob"}`, bearerOf(ann)...)
		s.must(404, "POST", "/v1/realms/autumn/tickets", ``, bearerOf(ann)...)
		s.must(401, "POST", "/v1/realms/spring/tickets", ``)
		s.must(400, "POST", "/v1/realms/spring/tickets", `{"origin":"https://other.example.edu"}`, append(bearerOf(ann), "Origin", page)...)
		s.must(400, "POST", "/v1/realms/spring/tickets", `{"person":"a b"}`, bearerOf(backend)...)
		if _, resp, err := s.dial("spring", "Origin", "https://evil.example"); err == nil || resp.StatusCode != 403 {
			t.Errorf("from another page: %v %v", resp, err)
		}
	})
	w := newWorld(t, nil)
	w.term()
	if r := w.must(409, "POST", "/v1/realms/spring/tickets", ""); r.text("code") != "no_authentication" || !strings.Contains(r.text("detail"), "hello") {
		t.Errorf("%v", r.body)
	}

}

// TestSocketOpenOrigin: without authentication no page of another origin gets in.
func TestSocketOpenOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		if _, resp, err := s.dial("spring", "Origin", "https://evil.example"); err == nil || resp.StatusCode != 403 {
			t.Errorf("%v %v", resp, err)
		}
		if _, resp, err := s.dial("spring", "Origin", "null"); err == nil || resp.StatusCode != 403 {
			t.Errorf("%v %v", resp, err)
		}
		p := s.connect("spring", "Origin", "http://localhost")
		p.say(`{"id":1,"do":"hello","person":"ann"}`)
		p.hear("reply=1")
	})
}

// TestSocketTokenExpires: nobody announces that a JWT has expired; the connection ends all the same, and takes no command before it does.
func TestSocketTokenExpires(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var authority *auth.Authority
		s := serve(t, nil, func(_ *memlog.Log, c *server.Config) {
			a := auth.DefaultConfig()
			a.JWT.SecretFile, a.JWT.Algorithm, a.JWT.Issuer, a.JWT.Audience, a.JWT.Realm = file, "HS256", "login", "holdfast", "spring"
			a.JWT.Leeway = 0
			var err error
			if authority, err = auth.Open(a); err != nil {
				t.Fatal(err)
			}
			c.Auth = authority
		})
		t.Cleanup(func() { s.shutdown(); authority.Close() })
		if _, err := s.engine.Do("spring", holdfast.PutRealm{Limits: seat.DefaultLimits()}); err != nil {
			t.Fatal(err)
		}
		token := func(who string, lives time.Duration) string {
			claims := fmt.Sprintf(`{"iss":"login","aud":"holdfast","sub":%q,"iat":%d,"exp":%d}`, who, time.Now().Unix(), time.Now().Add(lives).Unix())
			text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(text))
			return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
		ends, prolonged := s.as(token("ann", time.Minute)), s.as(token("bob", time.Minute))
		prolonged.say(`{"id":2,"do":"hello","token":%q}`, token("bob", time.Hour))
		prolonged.hear("reply=2 do=hello person=bob")
		asks := s.as(token("cid", time.Minute))
		go func() {
			for {
				if _, err := prolonged.next(); err != nil {
					return
				}
			}
		}()
		go func() {
			time.Sleep(time.Minute + time.Millisecond)
			asks.say(`{"id":2,"do":"ping"}`)
		}()
		began := time.Now()
		asked := make(chan time.Duration, 1)
		go func() {
			for {
				m, err := asks.next()
				if m["do"] == "ping" {
					t.Error("a command was taken after the token's end")
				}
				if err != nil {
					asked <- time.Since(began)
					return
				}
			}
		}()
		ends.closed(4401)
		if d := time.Since(began); d < 60*time.Second || d > 61*time.Second {
			t.Errorf("it ended after %v", d)
		}
		if d := <-asked; d > 61*time.Second {
			t.Errorf("who asked was cut after %v", d)
		}
		time.Sleep(10 * time.Minute)
		prolonged.say(`{"id":3,"do":"ping"}`)
	})
}
