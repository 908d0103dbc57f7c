package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// lock is a server's file of keys.
type lock struct {
	t    *testing.T
	file auth.KeyFile
	auth *auth.Authority
}

func newLock(t *testing.T) *lock {
	t.Helper()
	k := &lock{t: t, file: auth.KeyFile{Path: filepath.Join(t.TempDir(), "keys.json")}}
	k.key(auth.Key{Role: auth.Admin}) // so that there is a file
	return k
}

// use is a change of the server's configuration.
func (k *lock) use(_ *memlog.Log, cfg *server.Config) {
	k.t.Helper()
	c := auth.DefaultConfig()
	c.Keys, c.Poll = k.file.Path, 10*time.Millisecond
	var err error
	if k.auth, err = auth.Open(c); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(k.auth.Close)
	cfg.Auth = k.auth
	cfg.PersonBurst = 100_000 // what is tested here is not the rate
}

// key makes a key before the server starts, or for it to find.
func (k *lock) key(like auth.Key) (token string) {
	k.t.Helper()
	_, token, err := k.file.Create(like)
	if err != nil {
		k.t.Fatal(err)
	}
	return token
}

func bearerOf(token string) []string { return []string{"Authorization", "Bearer " + token} }

// ranks are the roles in their order: each may do what those before it may.
var ranks = []auth.Role{auth.Person, auth.Staff, auth.Backend, auth.Admin}

// bodyOf is what makes a request of an operation a right one.
var bodyOf = map[string]string{
	"putPool": `{"capacity":2}`, "accept": `{"offer":1}`, "override": `{"action":"remove","reason":"x"}`,
	"basket":   `{"person":"ann","mode":"each","items":[{"pool":"c1"}]}`,
	"setState": `{"state":"offline","reason":"x"}`, "request": `{"client":"ann"}`, "receiveOffer": `{"agent":"ann"}`, "acceptOffer": `{"agent":"ann"}`, "rejectOffer": `{"agent":"ann"}`,
}

// partyBody is what an agent or a client sends who says the same for themselves.
var partyBody = map[string]string{"setState": `{"state":"offline"}`, "request": `{}`, "receiveOffer": `{}`, "acceptOffer": `{}`, "rejectOffer": `{}`}

// rightly is how a right request is also answered, or only, where it is not with 200: there is no such seat offer; it asks for no upgrade;
// at the desk nobody has asked anything.
var rightly = map[string]int{"/claims/ann/accept": 409, "/ws": 426, "/requests": 409, "/requests/1": 404, "/offers/1": 404, "/receipt": 409,
	"/offers/1/accept": 409, "/reject": 409, "/sessions/1": 404, "/finish": 409}

// byHand fills in what a path names.
func byHand(path, realm, desk string) string {
	return strings.NewReplacer("{realm}", realm, "{pool}", "c1", "{person}", "ann", "{desk}", desk, "{agent}", "ann",
		"{request}", "1", "{offer}", "1", "{session}", "1").Replace(path)
}

// ofDesks says whether a token for one desk may use a path.
func ofDesks(path string) bool {
	return strings.Contains(path, "/desks") || strings.HasSuffix(path, "{realm}/events") || strings.HasSuffix(path, "/tickets")
}

// askFor asks, and stops a stream as soon as it has begun.
func (w *world) askFor(method, target, body string, header ...string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, method, "http://localhost"+target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(begun{rec, cancel}, req)
	return rec
}

type begun struct {
	*httptest.ResponseRecorder
	cancel func()
}

func (b begun) WriteHeader(status int) {
	b.ResponseRecorder.WriteHeader(status)
	b.cancel()
}

// matrix is every route of the table with every kind of caller.
type matrix struct {
	*world
	tokens map[auth.Role]string // of spring; the person is ann
	autumn map[auth.Role]string // of the other realm
	shard  map[auth.Role]string // of all realms; there is no such person
	bob    string               // another person of spring
	desk   map[auth.Role]string // of the desk help; the agent and the client are ann
	other  map[auth.Role]string // of another desk
	asked  map[string]int       // how many of each kind
	denied int
	op     string   // the operation that is asked now
	also   []string // who beside its role may
}

func newMatrix(t *testing.T) *matrix {
	k := newLock(t)
	m := &matrix{tokens: map[auth.Role]string{}, autumn: map[auth.Role]string{}, shard: map[auth.Role]string{}, asked: map[string]int{},
		desk: map[auth.Role]string{}, other: map[auth.Role]string{}}
	for _, role := range []auth.Role{auth.Person, auth.Agent, auth.Client, auth.Staff, auth.Backend, auth.Admin} {
		like := auth.Key{Role: role}
		if role == auth.Person || role == auth.Agent || role == auth.Client {
			like.Person = "ann"
		} else {
			m.shard[role] = k.key(like)
		}
		like.Realm = "spring"
		m.tokens[role] = k.key(like)
		like.Realm = "autumn"
		m.autumn[role] = k.key(like)
		if role == auth.Person || role == auth.Admin {
			continue // these are not of one desk
		}
		like.Realm, like.Desk = "spring", "help"
		m.desk[role] = k.key(like)
		like.Desk = "sales"
		m.other[role] = k.key(like)
	}
	m.bob = k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "bob"})
	m.world = newWorld(t, nil, k.use)
	t.Cleanup(func() { // the streams among the routes have begun what only the end of the server ends
		if err := m.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, realm := range []string{"spring", "autumn"} {
		for _, target := range []string{"PUT /v1/realms/" + realm, "PUT /v1/realms/" + realm + "/pools/c1", "PUT /v1/realms/" + realm + "/pools/c1/claims/ann",
			"PUT /v1/realms/" + realm + "/desks/help", "PUT /v1/realms/" + realm + "/desks/sales", "PUT /v1/realms/" + realm + "/desks/help/agents/ann"} {
			method, path, _ := strings.Cut(target, " ")
			body := ""
			if strings.HasSuffix(path, "c1") {
				body = `{"capacity":2}`
			}
			m.must(200, method, path, body, bearerOf(m.shard[auth.Admin])...)
		}
	}
	return m
}

// TestEveryRouteAsksWho: each endpoint × who may not: no token, a bad one, a lower role, another person, another realm, a desk: refused, and
// nothing changes; and who may is served.
func TestEveryRouteAsksWho(t *testing.T) {
	m := newMatrix(t)
	routes := 0
	for path, methods := range m.doc.Paths {
		for method, op := range methods {
			routes++
			if op.Role == "" || (op.Role != string(server.Public) && !slices.Contains(ranks, auth.Role(op.Role))) {
				t.Errorf("%s %s has the role %q", method, path, op.Role)
			}
			m.op, m.also = op.OperationID, op.Also
			m.must(200, "PUT", desksOf+"/help/agents/ann", "", bearerOf(m.shard[auth.Admin])...) // who another route has removed
			m.ask(strings.ToUpper(method), path, auth.Role(op.Role), bodyOf[op.OperationID])
		}
	}
	t.Logf("%d routes; %v", routes, m.asked)
	if routes < 43 || m.denied < 400 || m.asked["right"] < 90 || m.asked["other realm"] < 80 || m.asked["other person"] < 5 || m.asked["other desk"] < 40 || m.asked["party"] < 10 {
		t.Errorf("%d routes, %d denied, %v: that is too little", routes, m.denied, m.asked)
	}
}

func (m *matrix) ask(method, path string, role auth.Role, body string) {
	target := byHand(path, "spring", "help")
	if role == server.Public {
		m.right("nobody", method, target, body, "")
		return
	}
	rank := slices.Index(ranks, role)
	m.deny("no token", 401, "unauthenticated", method, target, body)
	for _, bad := range []string{"hf_aaaaaaaa_" + strings.Repeat("A", 43), "x", "a.b.c", strings.Repeat("A", 9<<10)} {
		m.deny("bad token", 401, "unauthenticated", method, target, body, bearerOf(bad)...)
	}
	good := m.tokens[auth.Admin]
	for _, header := range [][]string{{"Authorization", good}, {"Authorization", "Basic " + good}, {"Authorization", "Bearer"}, {"Authorization", "Bearer  " + good},
		{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, {"X-Api-Key", good}, {"Cookie", "token=" + good}} {
		m.deny("no bearer", 401, "unauthenticated", method, target, body, header...)
	}
	m.deny("in the URL", 401, "unauthenticated", method, target+"?access_token="+good, body)
	for _, lower := range append([]auth.Role{auth.Agent, auth.Client}, ranks[:rank]...) {
		if !slices.Contains(m.also, string(lower)) {
			m.deny("wrong role", 403, "forbidden", method, target, body, bearerOf(m.tokens[lower])...)
		}
	}
	m.desks(method, path, target, rank, body)
	if role == auth.Person && (strings.Contains(path, "{person}") || strings.Contains(body, "person")) {
		m.deny("other person", 403, "forbidden", method, target, body, bearerOf(m.bob)...)
	}
	m.realms(method, path, target, rank, body)
}

// realms asks with everybody who may: of the realm, of another one, of all.
func (m *matrix) realms(method, path, target string, rank int, body string) {
	inRealm := strings.Contains(path, "{realm}")
	for _, role := range ranks[rank:] {
		own := bearerOf(m.tokens[role])
		switch {
		case inRealm:
			m.right("right", method, target, body, m.tokens[role])
			m.foreign(method, path, body, m.autumn[role])
		case path == "/v1/realms":
			m.right("right", method, target, body, m.tokens[role])
		default:
			m.deny("shard", 403, "forbidden", method, target, body, own...)
		}
		if token := m.shard[role]; token != "" {
			m.right("right", method, target, body, token)
		}
	}
}

// deny asks what must be refused, and sees that nothing changed and that the answer tells nothing.
func (m *matrix) deny(kind string, status int, code, method, target, body string, header ...string) {
	m.t.Helper()
	m.asked[kind]++
	m.denied++
	head := m.head()
	r := m.do(method, target, body, header...)
	if r.Code != status || r.text("code") != code {
		m.t.Errorf("%s: %s %s: %d %.200s, want %d %s", kind, method, target, r.Code, r.Body, status, code)
	}
	if (r.Header().Get("WWW-Authenticate") == "Bearer") != (status == 401) {
		m.t.Errorf("%s: %s %s: WWW-Authenticate is %q", kind, method, target, r.Header().Get("WWW-Authenticate"))
	}
	if status == 401 && r.Body.String() != m.unknown() {
		m.t.Errorf("%s: %s %s: the answer depends on what was asked: %s", kind, method, target, r.Body)
	}
	if m.head() != head {
		m.t.Errorf("%s: %s %s changed something", kind, method, target)
	}
}

// unknown is the one answer to who is nobody.
func (m *matrix) unknown() string { return m.raw("GET", "/metrics", "").Body.String() }

// right asks what must be served.
func (m *matrix) right(kind, method, target, body, token string) {
	m.t.Helper()
	m.asked[kind]++
	var header []string
	if token != "" {
		header = bearerOf(token)
	}
	r := m.askFor(method, target, body, header...)
	fine := r.Code == 200
	for end, status := range rightly {
		fine = fine || strings.HasSuffix(target, end) && r.Code == status
	}
	if !fine {
		m.t.Errorf("%s: %s %s: %d %s", kind, method, target, r.Code, r.Body)
	}
}

// foreign asks with a token of autumn for spring, which is there, and for winter, which is not: byte for byte the same, and what a realm
// that is not there says.
func (m *matrix) foreign(method, path, body, token string) {
	m.t.Helper()
	m.asked["other realm"]++
	m.denied++
	answer := func(realm string) (string, http.Header) {
		head := m.head()
		target := byHand(path, realm, "help")
		r := m.do(method, target, body, bearerOf(token)...)
		if r.Code != 404 || r.text("code") != "unknown_realm" {
			m.t.Errorf("other realm: %s %s: %d %s, want 404 unknown_realm", method, target, r.Code, r.Body)
		}
		if m.head() != head {
			m.t.Errorf("other realm: %s %s changed something", method, target)
		}
		text := strings.ReplaceAll(r.Body.String(), realm, "REALM")
		if at := r.text("at"); at != "" {
			text = strings.ReplaceAll(text, at, "AT")
		}
		return text, r.Header()
	}
	there, thereHeader := answer("spring")
	absent, absentHeader := answer("winter")
	if there != absent || fmt.Sprint(thereHeader) != fmt.Sprint(absentHeader) {
		m.t.Errorf("other realm: %s %s tells whether it is there:\n%s %v\n%s %v", method, path, there, thereHeader, absent, absentHeader)
	}
	if (method == http.MethodPut && strings.HasSuffix(path, "{realm}")) || strings.HasSuffix(path, "/tickets") {
		return // who is of no realm makes the realm, or gets a ticket for whatever will be there
	}
	target := byHand(path, "winter", "help")
	r := m.do(method, target, bodyOf[m.op], bearerOf(m.shard[auth.Admin])...)
	text := strings.ReplaceAll(r.Body.String(), "winter", "REALM")
	if at := r.text("at"); at != "" {
		text = strings.ReplaceAll(text, at, "AT")
	}
	if text != there {
		m.t.Errorf("other realm: %s %s is not what a realm says that is not there:\n%s\n%s", method, path, there, text)
	}
}

// TestRealmsAreShownToTheirOwn: a scoped key sees its realm only, on every page.
func TestRealmsAreShownToTheirOwn(t *testing.T) {
	m := newMatrix(t)
	for query, want := range map[string]int{"": 200, "?after=autumn": 404, "?after=winter": 404, "?after=spring": 200, "?limit=1": 200} {
		r := m.do("GET", "/v1/realms"+query, "", bearerOf(m.tokens[auth.Backend])...)
		if r.Code != want || (want == 200 && strings.Contains(r.Body.String(), "autumn")) {
			t.Errorf("%q: %d %s", query, r.Code, r.Body)
		}
		if seen := strings.Contains(r.Body.String(), `"realm":"spring"`); want == 200 && seen == strings.Contains(query, "after=spring") {
			t.Errorf("%q: %s", query, r.Body)
		}
		if r.body["next"] != nil {
			t.Errorf("%q has a next page: %s", query, r.Body)
		}
	}
	all := m.must(200, "GET", "/v1/realms", "", bearerOf(m.shard[auth.Backend])...)
	if list := all.body["realms"].([]any); len(list) != 2 {
		t.Errorf("who is of no realm sees %d of two", len(list))
	}
}

// TestOverrideNamesWhoDidIt: who does not say who did it did it themselves; staff cannot say that it was somebody else.
func TestOverrideNamesWhoDidIt(t *testing.T) {
	k := newLock(t)
	staff := k.key(auth.Key{Role: auth.Staff, Realm: "spring", Person: "dora"})
	backend, _, err := k.file.Create(auth.Key{Role: auth.Backend, Realm: "spring"})
	if err != nil {
		t.Fatal(err)
	}
	backend, programs, err := k.file.Rotate(backend.ID, time.Hour, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	admin := k.key(auth.Key{Role: auth.Admin})
	w := newWorld(t, nil, k.use)
	w.must(200, "PUT", "/v1/realms/spring", "", bearerOf(admin)...)
	w.must(200, "PUT", c1, `{"capacity":9}`, bearerOf(admin)...)
	for i, c := range []struct {
		token, by string
		status    int
		recorded  string
	}{
		{staff, "", 200, "dora"}, {staff, "dora", 200, "dora"}, {staff, "emil", 403, ""}, {staff, backend.ID, 403, ""},
		{programs, "", 200, backend.ID}, {programs, "emil", 200, "emil"},
	} {
		target := fmt.Sprintf("%s/claims/p%d/override", c1, i)
		head := w.head()
		w.must(c.status, "POST", target, `{"action":"seat","reason":"x","by":"`+c.by+`"}`, bearerOf(c.token)...)
		if c.status != 200 {
			if w.head() != head {
				t.Errorf("by %q: refused, and done", c.by)
			}
			continue
		}
		list := lines(w.must(200, "GET", fmt.Sprintf("/v1/realms/spring/events?after=%d", head), "", bearerOf(programs)...).Body)
		if len(list) == 0 || !strings.Contains(list[len(list)-1], `"by":"`+c.recorded+`"`) {
			t.Errorf("by %q of %.12s…: %s, want %q", c.by, c.token, list, c.recorded)
		}
	}
}

// openFeed opens a feed that follows. Its body has an end, if a late one.
func openFeed(t *testing.T, url, token string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/v1/realms/spring/events?follow=true", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return http.DefaultClient.Do(req)
}

// TestRevokedKey: a second after it is revoked a key is nobody's, for requests and for a feed that is open.
func TestRevokedKey(t *testing.T) {
	k := newLock(t)
	made, token, err := k.file.Create(auth.Key{Role: auth.Backend})
	if err != nil {
		t.Fatal(err)
	}
	admin := k.key(auth.Key{Role: auth.Admin})
	w, url := live(t, k.use)
	w.must(200, "PUT", "/v1/realms/spring", "", bearerOf(admin)...)
	w.must(200, "GET", "/v1/realms", "", bearerOf(token)...)
	feed, err := openFeed(t, url, token)
	if err != nil || feed.StatusCode != 200 {
		t.Fatal(err, feed)
	}
	defer feed.Body.Close()
	if _, err := k.file.Revoke(made.ID); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	if _, err := io.Copy(io.Discard, feed.Body); errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("the feed goes on")
	}
	if r := w.do("GET", "/v1/realms", "", bearerOf(token)...); r.Code != 401 {
		t.Errorf("its key is revoked, the feed has ended, and a request is answered %d", r.Code)
	}
	t.Logf("after %s", time.Since(revoked))
}

// TestFeedEndsWithItsToken: also one whose key ends by itself.
func TestFeedEndsWithItsToken(t *testing.T) {
	k := newLock(t)
	admin := k.key(auth.Key{Role: auth.Admin})
	token := k.key(auth.Key{Role: auth.Backend, Expires: time.Now().Add(2 * time.Second).Truncate(time.Second)})
	w, url := live(t, k.use)
	w.must(200, "PUT", "/v1/realms/spring", "", bearerOf(admin)...)
	feed, err := openFeed(t, url, token)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Body.Close()
	if _, err := io.Copy(io.Discard, feed.Body); errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("the feed goes on")
	}
	if r := w.do("GET", "/v1/realms", "", bearerOf(token)...); r.Code != 401 {
		t.Errorf("its key has ended, and a request is answered %d", r.Code)
	}
}
