package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

const desksOf = "/v1/realms/spring/desks"

// companies is a platform of two companies, acme and bolt, of push agents, with everybody's token by name.
type companies struct {
	*world
	tokens map[string]string
}

// desks makes the companies: at each of both eve and fay are online, in this order, and a day's worth of tokens for whoever deals with them.
func desks(t *testing.T, change ...func(*memlog.Log, *server.Config)) *companies {
	t.Helper()
	k := newLock(t)
	c := &companies{tokens: map[string]string{"admin": k.key(auth.Key{Role: auth.Admin}), "backend": k.key(auth.Key{Role: auth.Backend, Realm: "spring"}),
		"person": k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "zoe"})}}
	for name, like := range map[string]auth.Key{
		"eve": {Role: auth.Agent, Person: "eve"}, "fay": {Role: auth.Agent, Person: "fay"},
		"zoe": {Role: auth.Client, Person: "zoe"}, "yan": {Role: auth.Client, Person: "yan"},
		"acme/eve": {Role: auth.Agent, Person: "eve", Desk: "acme"}, "bolt/eve": {Role: auth.Agent, Person: "eve", Desk: "bolt"},
		"acme/staff": {Role: auth.Staff, Person: "mia", Desk: "acme"}, "bolt/staff": {Role: auth.Staff, Person: "mia", Desk: "bolt"},
		"acme": {Role: auth.Backend, Desk: "acme"}, "bolt": {Role: auth.Backend, Desk: "bolt"},
	} {
		like.Realm = "spring"
		c.tokens[name] = k.key(like)
	}
	c.world = newWorld(t, nil, append([]func(*memlog.Log, *server.Config){k.use}, change...)...)
	c.as(200, "admin", "PUT", "/v1/realms/spring", "")
	for _, desk := range []string{"acme", "bolt"} {
		c.as(200, "admin", "PUT", desksOf+"/"+desk, `{"warm_up_ms":0,"reject_pause_ms":0}`)
		for _, agent := range []string{"eve", "fay"} {
			c.as(200, desk, "PUT", desksOf+"/"+desk+"/agents/"+agent, `{"reach":"push"}`)
			c.as(200, agent, "POST", desksOf+"/"+desk+"/agents/"+agent+"/state", `{"state":"online"}`)
		}
	}
	return c
}

// as asks with somebody's token, and wants the status. A target without a slash in front is below the desks.
func (c *companies) as(status int, who, method, target, body string) reply {
	c.t.Helper()
	if !strings.HasPrefix(target, "/") {
		target = desksOf + "/" + target
	}
	return c.must(status, method, target, body, bearerOf(c.tokens[who])...)
}

// refused is as where it is refused, and changes nothing.
func (c *companies) refused(status int, code, who, method, target, body string) {
	c.t.Helper()
	head := c.head()
	if r := c.as(status, who, method, target, body); r.text("code") != code {
		c.t.Errorf("%s %s as %s: %s, want %s", method, target, who, r.Body, code)
	}
	if c.head() != head {
		c.t.Errorf("%s %s as %s changed something", method, target, who)
	}
}

// TestPartiesActForThemselves: an agent as that agent, a client as that client, whoever they say they are; of others they see nothing.
func TestPartiesActForThemselves(t *testing.T) {
	c := desks(t)
	r := c.as(200, "zoe", "POST", "acme/requests", `{"data":"hello","key":"k"}`)
	if again := c.as(200, "zoe", "POST", "acme/requests", `{"client":"zoe"}`); r.text("client") != "zoe" || again.number("request") != r.number("request") {
		t.Errorf("%s\n%s", r.Body, again.Body)
	}
	request, offer := "acme/requests/"+r.number("request"), "acme/offers/"+r.number("offer")
	c.refused(403, "forbidden", "zoe", "POST", "acme/requests", `{"client":"yan"}`)
	c.refused(404, "unknown_request", "yan", "GET", request, "")
	c.refused(404, "unknown_request", "yan", "DELETE", request, "")
	c.refused(403, "forbidden", "yan", "DELETE", request, `{"client":"zoe"}`)
	c.refused(403, "forbidden", "zoe", "DELETE", request, `{"by":"staff"}`)
	c.refused(404, "unknown_offer", "fay", "GET", offer, "")
	for _, act := range []string{"/receipt", "/accept", "/reject"} {
		c.refused(409, "offer_closed", "fay", "POST", offer+act, "")
		c.refused(403, "forbidden", "fay", "POST", offer+act, `{"agent":"eve"}`)
		c.refused(404, "unknown_desk", "bolt/eve", "POST", offer+act, "")
		c.refused(409, "offer_closed", "eve", "POST", strings.Replace(offer, "acme", "bolt", 1)+act, "")
		c.refused(403, "forbidden", "zoe", "POST", offer+act, `{"agent":"eve"}`)
	}
	c.refused(403, "forbidden", "fay", "GET", "acme/agents/eve", "")
	c.refused(403, "forbidden", "fay", "POST", "acme/agents/eve/state", `{"state":"offline"}`)
	c.refused(403, "forbidden", "eve", "POST", "acme/agents/eve/state", `{"state":"idle","reason":"x"}`)
	c.refused(403, "forbidden", "eve", "POST", "acme/agents/eve/state", `{"state":"paused","reason":"x","by":"mia"}`)
	c.refused(403, "forbidden", "eve", "GET", "acme/agents", "")
	c.refused(403, "forbidden", "person", "GET", request, "")
	if got := c.as(200, "eve", "GET", offer, ""); got.text("data") != "hello" || got.text("state") != "pending" {
		t.Errorf("%s", got.Body)
	}
	c.as(200, "acme/eve", "POST", offer+"/receipt", `{"agent":"eve"}`)
	s := c.as(200, "eve", "POST", offer+"/accept", "")
	session := "acme/sessions/" + s.number("session")
	for _, who := range []string{"eve", "zoe", "acme/staff", "backend"} {
		if got := c.as(200, who, "GET", session, ""); got.text("agent") != "eve" || got.text("client") != "zoe" {
			t.Errorf("%s sees %s", who, got.Body)
		}
	}
	for _, who := range []string{"fay", "yan"} {
		c.refused(404, "unknown_session", who, "GET", session, "")
		c.refused(409, "session_ended", who, "POST", session+"/finish", "")
	}
	c.refused(403, "forbidden", "fay", "POST", session+"/finish", `{"agent":"eve"}`)
	c.refused(403, "forbidden", "eve", "POST", session+"/finish", `{"client":"zoe"}`)
	c.refused(403, "forbidden", "zoe", "POST", session+"/finish", `{"agent":"eve"}`)
	c.refused(403, "forbidden", "acme/staff", "POST", session+"/finish", `{"by":"somebody"}`)
	if got := c.as(200, "zoe", "POST", session+"/finish", `{"reason":"thanks"}`); got.text("cause") != "client" || got.text("reason") != "thanks" {
		t.Errorf("%s", got.Body)
	}
	for _, who := range []string{"eve", "zoe", "acme/staff"} { // twice is once
		if got := c.as(200, who, "POST", session+"/finish", ""); got.text("cause") != "client" {
			t.Errorf("%s: %s", who, got.Body)
		}
	}
}

// TestWhoSaysSo: what is done in an agent's or client's name is theirs; all else is whose token it is, or whom a program names.
func TestWhoSaysSo(t *testing.T) {
	c := desks(t)
	last := func() map[string]any {
		t.Helper()
		list := lines(c.as(200, "backend", "GET", fmt.Sprintf("/v1/realms/spring/events?after=%d", c.head()-1), "").Body)
		var e map[string]any
		if err := json.Unmarshal([]byte(list[len(list)-1]), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	for i, step := range []struct {
		who, target, body string
		kind, cause       string
		by, reason        any
	}{
		{"eve", "acme/agents/eve/state", `{"state":"paused","reason":"tea"}`, "agent_paused", "agent", nil, "tea"},
		{"eve", "acme/agents/eve/state", `{"state":"online"}`, "agent_online", "", nil, nil},
		{"acme/staff", "acme/agents/eve/state", `{"state":"paused","reason":"late"}`, "agent_paused", "staff", "mia", "late"},
		{"acme", "acme/agents/eve/state", `{"state":"online","by":"eve"}`, "agent_online", "", nil, nil},
		{"acme", "acme/agents/eve/state", `{"state":"paused","by":"eve"}`, "agent_paused", "agent", nil, nil},
		{"acme", "acme/agents/eve/state", `{"state":"online","reason":"needed"}`, "agent_online", "", nil, nil},
		{"acme", "acme/agents/eve/state", `{"state":"offline","reason":"gone","by":"ops"}`, "agent_offline", "staff", "ops", "gone"},
		{"eve", "acme/agents/eve/state", `{"state":"online"}`, "agent_online", "", nil, nil},
		{"eve", "acme/agents/eve/state", `{"state":"offline"}`, "agent_offline", "agent", nil, nil},
	} {
		head := c.head()
		c.as(200, step.who, "POST", step.target, step.body)
		e := last()
		if c.head() != head+1 || e["kind"] != step.kind || e["cause"] != any(step.cause) && step.cause != "" || e["by"] != step.by || e["reason"] != step.reason {
			t.Errorf("step %d: %v, want %v", i, e, step)
		}
	}
	c.refused(400, "malformed", "acme/staff", "POST", "acme/agents/fay/state", `{"state":"paused"}`)
	c.refused(400, "malformed", "acme", "POST", "acme/agents/fay/state", `{"state":"idle"}`)
	c.refused(403, "forbidden", "acme/staff", "POST", "acme/agents/fay/state", `{"state":"paused","reason":"x","by":"fay"}`)
	c.refused(403, "forbidden", "acme/staff", "DELETE", "acme/agents/fay", `{"by":"fay"}`)
	r := c.as(200, "acme", "POST", "acme/requests", `{"client":"zoe"}`)
	c.as(200, "acme/staff", "DELETE", "acme/requests/"+r.number("request"), `{"reason":"spam"}`)
	events := c.as(200, "backend", "GET", fmt.Sprintf("/v1/realms/spring/events?after=%d", whole(r.number("offer"))), "").Body.String()
	if !strings.Contains(events, `"by":"mia","reason":"spam"`) || !strings.Contains(events, `"cause":"staff"`) {
		t.Errorf("%s", events)
	}
	r = c.as(200, "acme", "POST", "acme/requests", `{"client":"zoe"}`)
	if got := c.as(200, "acme", "DELETE", "acme/requests/"+r.number("request"), `{"client":"zoe"}`); got.text("cause") != "client" || got.text("state") != "cancelled" {
		t.Errorf("%s", got.Body)
	}
}

// TestCompaniesDoNotSeeEachOther: whoever is of one desk sees that desk: in lists, in the feed, and by numbers of the other.
func TestCompaniesDoNotSeeEachOther(t *testing.T) {
	c := desks(t)
	r := c.as(200, "zoe", "POST", "bolt/requests", `{"data":"secret"}`)
	s := c.as(200, "eve", "POST", "bolt/offers/"+r.number("offer")+"/accept", "")
	for query, want := range map[string]string{"": "acme", "?after=acme": "", "?limit=1": "acme"} {
		list := c.as(200, "acme", "GET", "/v1/realms/spring/desks"+query, "")
		var names []string
		for _, d := range list.body["desks"].([]any) {
			names = append(names, d.(map[string]any)["desk"].(string))
		}
		if strings.Join(names, " ") != want || list.body["next"] != nil {
			t.Errorf("%q: %s", query, list.Body)
		}
	}
	c.refused(404, "unknown_desk", "acme", "GET", "/v1/realms/spring/desks?after=bolt", "")
	c.refused(404, "unknown_desk", "acme", "GET", "/v1/realms/spring/desks?after=nowhere", "")
	if list := c.as(200, "backend", "GET", "/v1/realms/spring/desks", "").body["desks"].([]any); len(list) != 2 {
		t.Errorf("who is of no desk sees %d of two", len(list))
	}
	// The numbers of the other company, asked at one's own desk.
	for _, target := range []string{"acme/requests/" + r.number("request"), "acme/offers/" + r.number("offer"), "acme/sessions/" + s.number("session")} {
		_, kind, _ := strings.Cut(target, "/")
		kind, _, _ = strings.Cut(kind, "s/")
		c.refused(404, "unknown_"+kind, "acme", "GET", target, "")
	}
	c.refused(404, "unknown_request", "acme", "DELETE", "acme/requests/"+r.number("request"), "")
	c.refused(409, "session_ended", "acme", "POST", "acme/sessions/"+s.number("session")+"/finish", "")
	c.refused(409, "offer_closed", "acme", "POST", "acme/offers/"+r.number("offer")+"/accept", `{"agent":"eve"}`)
	c.as(200, "zoe", "POST", "acme/requests", "")
	all := lines(c.as(200, "backend", "GET", "/v1/realms/spring/events", "").Body)
	for _, company := range []string{"acme", "bolt"} {
		feed := lines(c.as(200, company, "GET", "/v1/realms/spring/events", "").Body)
		var want []string
		for _, e := range all {
			if strings.Contains(e, `"desk":"`+company+`"`) || strings.Contains(e, `"kind":"started"`) {
				want = append(want, e)
			}
		}
		if !slices.Equal(feed, want) || len(feed) < 7 {
			t.Errorf("%s is fed\n%s\nwant\n%s", company, strings.Join(feed, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestPushAgentThroughTheFeed: a platform that reads the feed of its desk and nothing else finds out whom to wake, and with what.
func TestPushAgentThroughTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := desks(t)
		head := c.head()
		c.as(200, "zoe", "POST", "acme/requests", `{"data":"room 7","priority":2}`)
		var offered struct {
			Seq, Request                        uint64
			Kind, Desk, Agent, Client, Deadline string
		}
		for _, line := range lines(c.as(200, "acme", "GET", fmt.Sprintf("/v1/realms/spring/events?after=%d", head), "").Body) {
			if strings.Contains(line, `"kind":"offer_made"`) {
				if err := json.Unmarshal([]byte(line), &offered); err != nil {
					t.Fatal(err)
				}
			}
		}
		if offered.Agent != "eve" || offered.Client != "zoe" || offered.Desk != "acme" || offered.Request == 0 {
			t.Fatalf("%+v", offered)
		}
		time.Sleep(3 * time.Second) // the phone wakes
		offer := c.as(200, "acme/eve", "GET", fmt.Sprintf("acme/offers/%d", offered.Seq), "")
		if offer.text("deadline") != offered.Deadline || offer.text("data") != "room 7" || offer.number("priority") != "2" || offer.number("remaining_ms") != "17000" {
			t.Errorf("%s of %+v", offer.Body, offered)
		}
		c.as(200, "acme/eve", "POST", fmt.Sprintf("acme/offers/%d/reject", offered.Seq), `{"reason":"busy cooking"}`)
		feed := c.as(200, "acme", "GET", fmt.Sprintf("/v1/realms/spring/events?after=%d", offered.Seq), "").Body.String()
		if !strings.Contains(feed, `"kind":"offer_ended"`) || !strings.Contains(feed, `"kind":"offer_made","desk":"acme","agent":"fay"`) {
			t.Errorf("the feed does not say that fay is next: %s", feed)
		}
		c.engine.Close()
	})
}

// closeUntilTheEnd is close for a test that may end before it opens.
func (h *held) closeUntilTheEnd(t *testing.T) {
	h.close()
	t.Cleanup(func() {
		h.mu.Lock()
		shut := h.shut != nil
		h.mu.Unlock()
		if shut {
			h.open(nil)
		}
	})
}

// TestDeskAnswersBeforeTheyAreConfirmed have no number of an event, and no offer or session inside: after a crash it may be another's.
func TestDeskAnswersBeforeTheyAreConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		c := desks(t, func(l *memlog.Log, _ *server.Config) { l.Gate = h.gate })
		h.closeUntilTheEnd(t)
		r := c.as(202, "acme", "POST", "acme/requests?wait=none", `{"client":"zoe","key":"k"}`)
		a := c.as(202, "acme", "GET", "acme/agents/eve?wait=none", "")
		if r.text("durability") != "preapproved" || r.text("state") != "offering" || a.text("state") != "init" {
			t.Errorf("%s\n%s", r.Body, a.Body)
		}
		for _, name := range []string{"request", "offer", "session", "seq"} {
			for _, is := range []reply{r, a} {
				if is.body[name] != nil {
					t.Errorf("%s is told before it is confirmed: %s", name, is.Body)
				}
			}
		}
		h.open(nil)
		again := c.as(200, "acme", "POST", "acme/requests", `{"client":"zoe","key":"k"}`)
		if a := c.as(200, "acme", "GET", "acme/agents/eve", ""); again.number("request") == "" || a.body["offer"] == nil {
			t.Errorf("%s\n%s", again.Body, a.Body)
		}
		c.engine.Close()
	})
}

// TestNoVersionBeforeItIsConfirmed: a refusal for want of agents names the availability, once that is sure.
func TestNoVersionBeforeItIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		c := desks(t, func(l *memlog.Log, _ *server.Config) { l.Gate = h.gate })
		h.closeUntilTheEnd(t)
		for _, agent := range []string{"eve", "fay"} {
			c.as(202, agent, "POST", "acme/agents/"+agent+"/state?wait=none", `{"state":"paused"}`)
		}
		r := c.as(409, "zoe", "POST", "acme/requests?wait=none", "")
		if r.text("code") != "no_agent" || r.body["version"] != nil || r.text("durability") != "preapproved" {
			t.Errorf("%s", r.Body)
		}
		h.open(nil)
		r = c.as(409, "zoe", "POST", "acme/requests", "")
		if v := c.as(200, "zoe", "GET", "acme/availability", ""); r.number("version") == "" || r.number("version") != v.number("version") || v.body["open"] != false {
			t.Errorf("%s\n%s", r.Body, v.Body)
		}
		c.engine.Close()
	})
}

// TestWhoHasAnOfferIsNeverTurnedAway: while every place of newcomers is taken, offers are answered and sessions finished; requests are not taken.
func TestWhoHasAnOfferIsNeverTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		c := desks(t, func(l *memlog.Log, cfg *server.Config) { l.Gate, cfg.MaxInFlight = h.gate, 1 })
		r := c.as(200, "zoe", "POST", "acme/requests", "")
		request, offer := "acme/requests/"+r.number("request"), "acme/offers/"+r.number("offer")
		h.closeUntilTheEnd(t)
		var all sync.WaitGroup
		all.Go(func() { c.as(200, "backend", "POST", "acme/requests?timeout=30s", `{"client":"first"}`) })
		synctest.Wait()
		head := c.head()
		for _, newcomer := range []string{"POST acme/requests", "GET acme/availability", "GET acme/requests", "GET acme/agents", "GET acme/sessions", "GET acme", "GET /v1/realms/spring/desks"} {
			method, target, _ := strings.Cut(newcomer, " ")
			if rep := c.as(503, "backend", method, target, ""); rep.text("code") != "busy" || rep.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %s", newcomer, rep.Body)
			}
		}
		if c.head() != head {
			t.Error("who was turned away changed something")
		}
		for _, placed := range []struct{ who, method, target, body string }{
			{"eve", "GET", offer, ""}, {"eve", "GET", "acme/agents/eve", ""}, {"eve", "POST", offer + "/receipt", ""}, {"eve", "POST", offer + "/accept", ""},
			{"zoe", "GET", request, ""}, {"zoe", "DELETE", request, ""}, {"fay", "POST", "bolt/agents/fay/state", `{"state":"paused"}`},
			{"acme/staff", "PUT", "acme/agents/new", ""}, {"acme/staff", "DELETE", "acme/agents/new", ""}, {"admin", "PUT", "new", ""},
		} {
			if rep := c.as(202, placed.who, placed.method, placed.target+"?wait=none", placed.body); rep.text("durability") != "preapproved" {
				t.Errorf("%+v: %s", placed, rep.Body)
			}
		}
		h.open(nil)
		all.Wait()
		c.engine.Close()
	})
}

// TestClientsAndAgentsHaveARate: who asks or looks on too often is told to wait; what is theirs they get.
func TestClientsAndAgentsHaveARate(t *testing.T) {
	c := desks(t, func(_ *memlog.Log, cfg *server.Config) { cfg.PersonRate, cfg.PersonBurst = 0.001, 3 })
	for _, who := range []string{"zoe", "eve"} {
		for range 3 {
			c.as(200, who, "GET", "acme/availability", "")
		}
		c.refused(429, "limited", who, "GET", "acme/availability", "")
	}
	c.refused(429, "limited", "zoe", "POST", "acme/requests", "")
	r := c.as(200, "backend", "POST", "acme/requests", `{"client":"zoe"}`)
	for range 5 {
		c.as(200, "zoe", "GET", "acme/requests/"+r.number("request"), "")
		c.as(200, "eve", "GET", "acme/offers/"+r.number("offer"), "")
		c.as(200, "eve", "POST", "acme/offers/"+r.number("offer")+"/accept", "")
	}
}
