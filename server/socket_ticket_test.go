package server_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"holdfast/auth"
)

// TestDeskTickets: a ticket opens the connection of the agent or client that it was given to, or for, at their desk, and no other.
func TestDeskTickets(t *testing.T) {
	k := newLock(t)
	key := func(role auth.Role, person, desk string) string {
		return k.key(auth.Key{Role: role, Realm: "spring", Person: person, Desk: desk})
	}
	eve, anyEve, zoe, hers := key(auth.Agent, "eve", "acme"), key(auth.Agent, "eve", ""), key(auth.Client, "zoe", ""), key(auth.Client, "zoe", "acme")
	person, staff, other := key(auth.Person, "eve", ""), key(auth.Staff, "tom", "acme"), key(auth.Staff, "tim", "other")
	backend, desks := key(auth.Backend, "", ""), key(auth.Backend, "", "acme")
	top := k.key(auth.Key{Role: auth.Admin})
	const path = "/v1/realms/spring/tickets"
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k)
		for _, d := range []string{"acme", "other"} {
			s.must(200, "PUT", "/v1/realms/spring/desks/"+d, `{"warm_up_ms":0}`, bearerOf(top)...)
			s.must(200, "PUT", "/v1/realms/spring/desks/"+d+"/agents/eve", "", bearerOf(top)...)
		}
		const asEve, asZoe = "role=agent agent=eve desk=acme", "role=client client=zoe"
		for _, c := range []struct{ token, body, more, hears string }{
			{eve, ``, ``, asEve}, {eve, `{"agent":"eve","desk":"acme"}`, ``, asEve}, {anyEve, ``, `,"agent":"eve","desk":"acme"`, asEve},
			{anyEve, `{"agent":"eve","desk":"acme"}`, ``, asEve}, {anyEve, `{"agent":"eve","desk":"acme"}`, `,"agent":"eve","desk":"other"`, "code=unknown_desk"},
			{eve, ``, `,"agent":"eve","desk":"other"`, "code=unknown_desk"}, {eve, ``, `,"client":"eve"`, "code=forbidden"},
			{zoe, ``, ``, asZoe}, {hers, `{}`, ``, asZoe}, {zoe, `{"client":"zoe"}`, ``, asZoe}, {zoe, ``, `,"client":"ann"`, "code=forbidden"},
			{staff, `{"agent":"eve","desk":"acme"}`, ``, asEve}, {staff, ``, `,"agent":"eve","desk":"acme"`, "role=staff agent=eve desk=acme"},
			{backend, `{"agent":"eve","desk":"acme"}`, ``, asEve}, {desks, `{"agent":"eve","desk":"acme"}`, ``, asEve},
			{backend, `{"client":"zoe"}`, ``, asZoe}, {desks, `{"client":"zoe"}`, ``, asZoe}, {backend, `{"client":"zoe"}`, `,"agent":"eve","desk":"acme"`, "code=forbidden"},
			{backend, `{"agent":"eve","desk":"acme"}`, `,"person":"eve"`, "code=forbidden"},
		} {
			ticket := s.must(200, "POST", path, c.body, bearerOf(c.token)...).text("ticket")
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello","ticket":%q%s}`, ticket, c.more)
			p.hear("reply=1 " + c.hears)
			if !strings.HasPrefix(c.hears, "code") {
				again := s.connect("spring")
				again.say(`{"id":1,"do":"hello","ticket":%q%s}`, ticket, c.more)
				again.hear("reply=1 code=unauthenticated")
			}
		}
		for _, c := range []struct {
			token, body string
			status      int
			code        string
		}{
			{eve, `{"agent":"dan","desk":"acme"}`, 403, "forbidden"}, {eve, `{"agent":"eve","desk":"other"}`, 404, "unknown_desk"},
			{eve, `{"person":"eve"}`, 403, "forbidden"}, {eve, `{"client":"eve"}`, 403, "forbidden"}, {zoe, `{"client":"ann"}`, 403, "forbidden"},
			{zoe, `{"agent":"zoe","desk":"acme"}`, 403, "forbidden"}, {zoe, `{"person":"zoe"}`, 403, "forbidden"},
			{person, `{"agent":"eve","desk":"acme"}`, 403, "forbidden"}, {person, `{"client":"eve"}`, 403, "forbidden"},
			{staff, `{"client":"zoe"}`, 403, "forbidden"}, {staff, `{"person":"ann"}`, 403, "forbidden"}, {desks, `{"person":"ann"}`, 403, "forbidden"},
			{other, `{"agent":"eve","desk":"acme"}`, 404, "unknown_desk"}, {backend, `{"agent":"eve"}`, 400, "malformed"},
			{backend, `{"desk":"acme"}`, 400, "malformed"}, {backend, `{"agent":"eve","desk":"acme","client":"zoe"}`, 400, "malformed"},
			{backend, `{"client":"a b"}`, 400, "malformed"},
		} {
			if r := s.do("POST", path, c.body, bearerOf(c.token)...); r.Code != c.status || r.text("code") != c.code {
				t.Errorf("%s: %d %s, want %d %s", c.body, r.Code, r.Body, c.status, c.code)
			}
		}
	})
}

// TestDeskProlong: whom a token or ticket may name, it need not name again on the same connection.
func TestDeskProlong(t *testing.T) {
	const asEve, asZoe = "agent=eve desk=acme", "client=zoe"
	k := newLock(t)
	key := func(role auth.Role, person, desk string) string {
		return k.key(auth.Key{Role: role, Realm: "spring", Person: person, Desk: desk})
	}
	eve, anyEve, zoe, desks := key(auth.Agent, "eve", "acme"), key(auth.Agent, "eve", ""), key(auth.Client, "zoe", ""), key(auth.Backend, "", "acme")
	staff := key(auth.Staff, "tom", "acme")
	another := map[string]string{asEve: key(auth.Agent, "dan", ""), asZoe: key(auth.Client, "ann", "")}
	top := k.key(auth.Key{Role: auth.Admin})
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k)
		s.must(200, "PUT", "/v1/realms/spring/desks/acme", `{"warm_up_ms":0}`, bearerOf(top)...)
		s.must(200, "PUT", "/v1/realms/spring/desks/acme/agents/eve", "", bearerOf(top)...)
		for _, c := range []struct{ token, names, hears string }{
			{eve, ``, asEve}, {anyEve, `,"agent":"eve","desk":"acme"`, asEve}, {staff, `,"agent":"eve","desk":"acme"`, asEve},
			{zoe, ``, asZoe}, {desks, `,"client":"zoe"`, asZoe}, {desks, `,"agent":"eve","desk":"acme"`, asEve},
		} {
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello","token":%q%s}`, c.token, c.names)
			p.hear("reply=1 " + c.hears)
			p.say(`{"id":2,"do":"hello","token":%q}`, c.token)
			p.skipTo("reply=2 do=hello " + c.hears)
			ticket := s.must(200, "POST", "/v1/realms/spring/tickets", "", bearerOf(c.token)...).text("ticket")
			p.say(`{"id":3,"do":"hello","ticket":%q}`, ticket)
			p.skipTo("reply=3 do=hello " + c.hears)
			p.say(`{"id":4,"do":"hello","token":%q}`, another[c.hears])
			p.skipTo("reply=4 code=forbidden")
		}
	})
}
