package auth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// idp answers for an issuer, without a network: in a bubble nothing may wait for a socket.
type idp struct {
	mu     sync.Mutex // guards what follows
	status int
	body   string
	down   bool
	asked  int
}

func (i *idp) set(change func(*idp)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *idp) count() (n int) {
	i.set(func(i *idp) { n = i.asked })
	return n
}

func (i *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	if i.down {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: i.status, Status: fmt.Sprint(i.status), Body: io.NopCloser(strings.NewReader(i.body)), Header: http.Header{}, Request: r}, nil
}

// openRemote is Open with the network replaced.
func openRemote(t *testing.T, p *idp) (*Authority, *logBuffer, error) {
	t.Helper()
	cfg, logged := hsConfig(t, time.Now)
	cfg.Keys, cfg.JWT.SecretFile = "", ""
	cfg.JWT.Algorithm, cfg.JWT.JWKS = "RS256", "https://login.example.edu/keys"
	a, err := openWith(cfg, func(r *remote) { r.client.Transport = p })
	return a, logged, err
}

func TestRemoteKeySet(t *testing.T) {
	t.Parallel()
	one, two, evil := rsaKeys()[0], rsaKeys()[1], rsaKeys()[2]
	synctest.Test(t, func(t *testing.T) {
		p := &idp{status: 200, body: jwks(t, public("one", one.Public()))}
		a, logged, err := openRemote(t, p)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		token := func(kid string) string {
			key := map[string]func() string{
				"one": func() string { return signRS(one, rsHeader("one"), claims(time.Now(), nil)) },
				"two": func() string { return signRS(two, rsHeader("two"), claims(time.Now(), nil)) },
			}
			return key[kid]()
		}
		id, err := a.Check(token("one"))
		if err != nil || p.count() != 1 {
			t.Fatal(err, p.count())
		}
		// A signature that is wrong under a known kid asks the issuer nothing.
		for range 50 {
			if _, err := a.Check(signRS(evil, rsHeader("one"), claims(time.Now(), nil))); err == nil {
				t.Fatal("forged")
			}
		}
		time.Sleep(time.Minute)
		if p.count() != 1 {
			t.Errorf("forged tokens made it ask %d times", p.count())
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if p.count() != 2 {
			t.Errorf("asked %d times in five minutes", p.count())
		}
		time.Sleep(soonest)
		// A new key is found soon, also by who forges kids: but never more often than every 10 s.
		p.set(func(p *idp) { p.body = jwks(t, public("one", one.Public()), public("two", two.Public())) })
		if _, err := a.Check(token("two")); err == nil {
			t.Error("a key that is not known")
		}
		synctest.Wait()
		if _, err := a.Check(token("two")); err != nil || p.count() != 3 {
			t.Errorf("a new key: %v, asked %d times", err, p.count())
		}
		before := p.count()
		for range 100 {
			a.Check(signRS(evil, rsHeader("nonesuch"), claims(time.Now(), nil)))
			time.Sleep(time.Second)
		}
		if n := p.count() - before; n > 10 {
			t.Errorf("forged kids made it ask %d times in 100 s", n)
		}
		// The issuer is down for an hour: what is known stays good.
		p.set(func(p *idp) { p.down = true })
		time.Sleep(time.Hour)
		if _, err := a.Check(token("one")); err != nil {
			t.Errorf("while the issuer is down: %v", err)
		}
		if !strings.Contains(logged.String(), "stay in force") {
			t.Error("nothing was logged")
		}
		p.set(func(p *idp) { p.down, p.body = false, jwks(t, public("two", two.Public())) })
		changed := a.Changed()
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := a.Check(token("one")); err == nil || !closed(changed) {
			t.Error("a key was taken out, and its tokens are good")
		}
		if a.Holds(id) {
			t.Error("who rested on the key that is gone")
		}
		p.set(func(p *idp) { p.body = `<html>sign in</html>` })
		time.Sleep(10 * time.Minute)
		if _, err := a.Check(token("two")); err != nil {
			t.Errorf("the issuer gives nonsense: %v", err)
		}
	})
}

func TestRemoteAtTheStart(t *testing.T) {
	t.Parallel()
	key := rsaKeys()[0]
	good := func(t *testing.T) string { return jwks(t, public("one", key.Public())) }
	synctest.Test(t, func(t *testing.T) {
		for name, p := range map[string]*idp{
			"not found": {status: 404}, "a redirection": {status: 302}, "HTML": {status: 200, body: "<html>"}, "no keys": {status: 200, body: `{"keys":[]}`},
			"private": {status: 200, body: jwks(t, jose.JSONWebKey{KeyID: "one", Key: key})}, "huge": {status: 200, body: good(t) + strings.Repeat(" ", maxJWKS)}, "empty": {status: 200},
		} {
			if a, _, err := openRemote(t, p); err == nil {
				t.Errorf("%s: no error", name)
				a.Close()
			}
		}
		for name, p := range map[string]*idp{"down": {down: true, status: 200}, "500": {status: 500}, "429": {status: 429}} {
			a, logged, err := openRemote(t, p)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			token := signRS(key, rsHeader("one"), claims(time.Now(), nil))
			if _, err := a.Check(token); !errors.Is(err, ErrToken) || !strings.Contains(logged.String(), "every JWT is refused") {
				t.Errorf("%s: %v\n%s", name, err, logged)
			}
			p.set(func(p *idp) { p.status, p.down, p.body = 200, false, good(t) })
			time.Sleep(soonest + time.Second)
			synctest.Wait()
			if _, err := a.Check(token); err != nil {
				t.Errorf("%s, and up again: %v", name, err)
			}
			a.Close()
		}
	})
}

// TestRemoteOverHTTP: the real client, and a redirection that it does not follow.
func TestRemoteOverHTTP(t *testing.T) {
	t.Parallel()
	key := rsaKeys()[0]
	set := jwks(t, public("one", key.Public()))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, set) })
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	s := httptest.NewServer(mux)
	defer s.Close()
	cfg := DefaultConfig()
	cfg.JWT.Algorithm, cfg.JWT.Issuer, cfg.JWT.Audience, cfg.JWT.JWKS = "RS256", testIssuer, testAudience, s.URL+"/keys"
	a := open(t, cfg)
	if _, err := a.Check(signRS(key, rsHeader("one"), claims(time.Now(), nil))); err != nil {
		t.Error(err)
	}
	cfg.JWT.JWKS = s.URL + "/moved"
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "redirection") {
		t.Errorf("a redirection: %v", err)
	}
}
