package server_test

import (
	"strings"
	"testing"
)

const c1 = "/v1/realms/spring/pools/c1"

// scrub takes the times out of an answer.
func scrub(s string) string {
	for _, name := range []string{`"at":"`, `"deadline":"`, `"opens_at":"`, `"closed_at":"`} {
		for from := 0; ; {
			i := strings.Index(s[from:], name)
			if i < 0 {
				break
			}
			i += from + len(name)
			end := i + strings.IndexByte(s[i:], '"')
			s = s[:i] + "T" + s[end:]
			from = i
		}
	}
	return s
}

// TestGolden: each kind of answer, byte for byte.
func TestGolden(t *testing.T) {
	w := newWorld(t, nil)
	for i, step := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"PUT", "/v1/realms/spring", `{"max_seats_per_person":3}`, 200,
			`{"realm":"spring","max_seats_per_person":3,"max_waits_per_person":20,"pools":0,"seq":2,"durability":"confirmed","as_of":2,"at":"T"}`},
		{"PUT", c1, `{"capacity":1,"waitlist":1,"group":"math","data":{"room": "<A&B>"}}`, 200,
			`{"realm":"spring","pool":"c1","capacity":1,"waitlist":1,"promotion":"auto","group":"math","order":"arrival","data":{"room":"<A&B>"},"seated":0,"offered":0,"waiting":0,"entered":0,"free":1,"over":0,"seq":3,"durability":"confirmed","as_of":3,"at":"T"}`},
		{"PUT", c1 + "/claims/ann", "", 200,
			`{"realm":"spring","pool":"c1","person":"ann","status":"seated","seat":1,"seq":4,"durability":"confirmed","as_of":4,"at":"T"}`},
		{"PUT", c1 + "/claims/bob", `{"if_seq":0}`, 200,
			`{"realm":"spring","pool":"c1","person":"bob","status":"waiting","position":1,"ticket":1,"seq":5,"durability":"confirmed","as_of":5,"at":"T"}`},
		{"PUT", c1 + "/claims/cid", "", 409,
			`{"type":"urn:holdfast:problem:full","title":"The pool is full","status":409,"detail":"No seat is free for the person, and the waiting line is full or there is none. No place in line was given.","code":"full","realm":"spring","pool":"c1","person":"cid","durability":"confirmed","as_of":5,"at":"T"}`},
		{"GET", c1 + "/claims/cid", "", 200,
			`{"realm":"spring","pool":"c1","person":"cid","status":"none","durability":"confirmed","as_of":5,"at":"T"}`},
		{"DELETE", c1 + "/claims/ann", `{"if_seq":3}`, 412,
			`{"type":"urn:holdfast:problem:precondition","title":"The standing is not the one named","status":412,"detail":"Something changed the standing since; seq is its number now (absent: there is none, or it is not confirmed yet). Nothing was changed.","code":"precondition","realm":"spring","pool":"c1","person":"ann","seq":4,"durability":"confirmed","as_of":5,"at":"T"}`},
		{"DELETE", c1 + "/claims/ann", "", 200,
			`{"realm":"spring","pool":"c1","person":"ann","status":"released","seq":6,"durability":"confirmed","as_of":7,"at":"T"}`},
		{"GET", c1 + "/claims/bob", "", 200,
			`{"realm":"spring","pool":"c1","person":"bob","status":"seated","seat":1,"seq":7,"durability":"confirmed","as_of":7,"at":"T"}`},
		{"PUT", "/v1/realms/spring/pools/c2", `{"capacity":1,"opens_at":"2999-01-01T00:00:00Z"}`, 200,
			`{"realm":"spring","pool":"c2","capacity":1,"opens_at":"T","promotion":"auto","order":"arrival","seated":0,"offered":0,"waiting":0,"entered":0,"free":1,"over":0,"seq":8,"durability":"confirmed","as_of":8,"at":"T"}`},
		{"PUT", "/v1/realms/spring/pools/c2/claims/ann", "", 409,
			`{"type":"urn:holdfast:problem:not_open","title":"The pool is not open yet","status":409,"detail":"It takes claims from opens_at on.","code":"not_open","realm":"spring","pool":"c2","person":"ann","opens_at":"T","durability":"confirmed","as_of":8,"at":"T"}`},
		{"PUT", "/v1/realms/spring/pools/c3", `{"capacity":1,"group":"math"}`, 200,
			`{"realm":"spring","pool":"c3","capacity":1,"promotion":"auto","group":"math","order":"arrival","seated":0,"offered":0,"waiting":0,"entered":0,"free":1,"over":0,"seq":9,"durability":"confirmed","as_of":9,"at":"T"}`},
		{"PUT", "/v1/realms/spring/pools/c3/claims/bob", "", 409,
			`{"type":"urn:holdfast:problem:group","title":"The person holds a seat in this group","status":409,"detail":"A person holds one seat among the pools of a group; this person's is in held_pool. Swap it in a basket.","code":"group","realm":"spring","pool":"c3","person":"bob","held_pool":"c1","durability":"confirmed","as_of":9,"at":"T"}`},
		{"POST", "/v1/realms/spring/baskets", `{"person":"bob","mode":"all","items":[{"pool":"c3","swap":"c1"},{"pool":"c2"}]}`, 409,
			`{"type":"urn:holdfast:problem:not_open","title":"The pool is not open yet","status":409,"detail":"It takes claims from opens_at on.","code":"not_open","realm":"spring","pool":"c2","person":"bob","opens_at":"T","items":[{"pool":"c3","refused":{"code":"not_all"}},{"pool":"c2","refused":{"code":"not_open","opens_at":"T"}}],"durability":"confirmed","as_of":9,"at":"T"}`},
		{"POST", "/v1/realms/spring/baskets", `{"person":"bob","mode":"each","items":[{"pool":"c3","swap":"c1"},{"pool":"c9"}]}`, 404,
			`{"type":"urn:holdfast:problem:unknown_pool","title":"No such pool","status":404,"detail":"Nobody has put a pool of this name in the realm.","code":"unknown_pool","realm":"spring","pool":"c9","person":"bob","items":[{"pool":"c3","refused":{"code":"not_all"}},{"pool":"c9","refused":{"code":"unknown_pool"}}],"durability":"confirmed","as_of":9,"at":"T"}`},
		{"POST", "/v1/realms/spring/baskets", `{"person":"bob","mode":"each","items":[{"pool":"c3","swap":"c1"},{"pool":"c2"}]}`, 200,
			`{"realm":"spring","person":"bob","mode":"each","items":[{"pool":"c3","status":"seated","seat":1,"seq":10,"at":"T"},{"pool":"c2","refused":{"code":"not_open","opens_at":"T"}}],"durability":"confirmed","as_of":10,"at":"T"}`},
		{"POST", c1 + "/claims/dan/override", `{"action":"seat","reason":"the dean asked","by":"staff1"}`, 200,
			`{"realm":"spring","pool":"c1","person":"dan","status":"seated","seat":1,"seq":11,"durability":"confirmed","as_of":11,"at":"T"}`},
		{"GET", "/v1/realms/spring/people/bob", "", 200,
			`{"realm":"spring","person":"bob","claims":[{"pool":"c3","status":"seated","seat":1,"seq":10,"at":"T"},{"pool":"c1","status":"released","seq":10,"at":"T"}],"durability":"confirmed","as_of":11,"at":"T"}`},
		{"GET", c1 + "/claims?status=seated,released&limit=2", "", 200,
			`{"realm":"spring","pool":"c1","claims":[{"pool":"c1","person":"ann","status":"released","seq":6,"at":"T"},{"pool":"c1","person":"bob","status":"released","seq":10,"at":"T"}],"next":"4","durability":"confirmed","as_of":11,"at":"T"}`},
		{"POST", c1 + "/claims/ann/accept", `{"offer":4}`, 409,
			`{"type":"urn:holdfast:problem:no_offer","title":"There is no such seat offer","status":409,"detail":"There is no seat offer with this number (any more). Nothing was changed.","code":"no_offer","realm":"spring","pool":"c1","person":"ann","durability":"confirmed","as_of":11,"at":"T"}`},
		{"GET", "/v1/realms/autumn", "", 404,
			`{"type":"urn:holdfast:problem:unknown_realm","title":"No such realm","status":404,"detail":"Nobody has put a realm of this name.","code":"unknown_realm","realm":"autumn","durability":"confirmed","as_of":11,"at":"T"}`},
		{"PUT", "/v1/realms/spring/pools/c9/claims/ann", "", 404,
			`{"type":"urn:holdfast:problem:unknown_pool","title":"No such pool","status":404,"detail":"Nobody has put a pool of this name in the realm.","code":"unknown_pool","realm":"spring","pool":"c9","person":"ann","durability":"confirmed","as_of":11,"at":"T"}`},
		{"GET", "/v1/log", "", 200, `{"log_id":"6d656d00000000000000000000000000","epoch":1,"first":1,"durable":11}`},
		{"GET", "/healthz", "", 200, `{"status":"ok"}`},
		{"GET", "/readyz", "", 200, `{"status":"ready"}`},
	} {
		r := w.do(step.method, step.target, step.body)
		if got := scrub(r.Body.String()); r.Code != step.status || got != step.want+"\n" {
			t.Errorf("step %d: %s %s %s\n got %d %s\nwant %d %s", i, step.method, step.target, step.body, r.Code, got, step.status, step.want)
		}
	}
}

// TestOffer: a seat offer, its acceptance, and its ETag.
func TestOffer(t *testing.T) {
	w := newWorld(t, nil)
	w.must(200, "PUT", "/v1/realms/spring", "")
	w.must(200, "PUT", c1, `{"capacity":1,"promotion":"offer","answer_seconds":60}`)
	w.must(200, "PUT", c1+"/claims/ann", "", "If-None-Match", "*")
	w.must(200, "PUT", c1+"/claims/bob", "")
	w.must(200, "DELETE", c1+"/claims/ann", "")
	r := w.must(200, "GET", c1+"/claims/bob", "")
	if r.text("status") != "offered" || r.number("offer") != r.number("seq") || r.text("deadline") == "" {
		t.Fatalf("not an offer: %s", r.Body)
	}
	if tag := r.Header().Get("ETag"); tag != `"`+r.number("seq")+`"` {
		t.Errorf("ETag %s of seq %s", tag, r.number("seq"))
	}
	w.must(409, "POST", c1+"/claims/bob/accept", `{"offer":1}`)
	done := w.must(200, "POST", c1+"/claims/bob/accept", `{"offer":`+r.number("offer")+`}`)
	if done.text("status") != "seated" {
		t.Errorf("after accept: %s", done.Body)
	}
	w.must(412, "DELETE", c1+"/claims/bob", "", "If-Match", r.Header().Get("ETag"))
	w.must(200, "DELETE", c1+"/claims/bob", "", "If-Match", done.Header().Get("ETag"))
}

// TestPages: realms and pools page by page, and the roster as CSV.
func TestPages(t *testing.T) {
	w := newWorld(t, nil)
	for _, realm := range []string{"spring", "autumn", "r3"} {
		w.must(200, "PUT", "/v1/realms/"+realm, "")
	}
	for _, pool := range []string{"c1", "c2", "c3"} {
		w.must(200, "PUT", "/v1/realms/spring/pools/"+pool, `{"capacity":1}`)
	}
	for _, list := range []struct{ target, member, name string }{{"/v1/realms", "realms", "realm"}, {"/v1/realms/spring/pools", "pools", "pool"}} {
		var names []string
		for next, pages := "", 0; pages < 3; pages++ {
			r := w.must(200, "GET", list.target+"?limit=2"+next, "")
			for _, row := range r.body[list.member].([]any) {
				names = append(names, row.(map[string]any)[list.name].(string))
			}
			if r.text("next") == "" {
				break
			}
			next = "&after=" + r.text("next")
		}
		if len(names) != 3 {
			t.Errorf("%s gave %v", list.target, names)
		}
	}
	for _, person := range []string{"ann", "+bob", "cid"} {
		w.must(200, "PUT", c1+"/claims/"+person, "")
	}
	r := w.must(200, "GET", c1+"/claims", "", "Accept", "text/csv")
	lines := strings.Split(strings.TrimSpace(r.Body.String()), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "spring,c1,ann,seated,1,,,") || !strings.HasPrefix(lines[2], "spring,c1,'+bob,waiting,,1,1,") {
		t.Errorf("csv:\n%s", r.Body)
	}
	if r := w.must(200, "GET", c1+"/claims?format=csv&limit=1", ""); r.Header().Get("Holdfast-Next") == "" {
		t.Error("a page of CSV does not say where the next begins")
	}
	w.must(404, "GET", "/v1/realms/spring/pools/c9/claims?format=csv", "")
	w.must(406, "GET", c1+"/claims", "", "Accept", "text/html")
	w.must(200, "GET", "/metrics", "")
	w.must(200, "GET", "/v1/realms/spring", "")
	w.must(200, "GET", c1, "")
}
