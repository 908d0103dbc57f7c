package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// TestGoodTokens: what a usual issuer sends is taken, and says what it says.
func TestGoodTokens(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	cfg, _ := hsConfig(t, c.now)
	cfg.JWT.Realm = "autumn"
	a := open(t, cfg)
	exp := morning.Add(time.Hour + 30*time.Second)
	all := "AZaz09._~:@+|-"
	for _, g := range []struct {
		header  string
		changes map[string]any
		want    Identity
	}{
		{hsHeader, nil, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{`{"alg":"HS256"}`, nil, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{`{"typ":"at+jwt","kid":"whatever","alg":"HS256"}`, nil, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{`{"typ":"jwt","alg":"HS256","jku":"https://x","x5t":"y"}`, nil, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{hsHeader, map[string]any{"holdfast_realm": nil}, Identity{Role: Person, Realm: "autumn", Person: "s00017", Name: "autumn/s00017", Expires: exp}},
		{hsHeader, map[string]any{"aud": []string{"other", testAudience}, "nbf": nil, "iat": nil, "name": "Ada", "groups": []string{"admin"}}, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{hsHeader, map[string]any{"sub": all}, Identity{Role: Person, Realm: "spring", Person: all, Name: "spring/" + all, Expires: exp}},
		{hsHeader, map[string]any{"sub": strings.Repeat("a", 128)}, Identity{Role: Person, Realm: "spring", Person: strings.Repeat("a", 128), Name: "spring/" + strings.Repeat("a", 128), Expires: exp}},
		{hsHeader, map[string]any{"holdfast_role": "person", "holdfast_desk": "d1"}, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{hsHeader, map[string]any{"holdfast_role": "agent", "holdfast_desk": "d1"}, Identity{Role: Agent, Realm: "spring", Desk: "d1", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{hsHeader, map[string]any{"holdfast_role": "client", "holdfast_desk": "d1"}, Identity{Role: Client, Realm: "spring", Desk: "d1", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{hsHeader, map[string]any{"holdfast_role": "staff"}, Identity{Role: Staff, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: exp}},
		{hsHeader, map[string]any{"exp": morning.Unix() - 29}, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: morning.Add(time.Second)}},
		{hsHeader, map[string]any{"nbf": morning.Unix() + 30, "iat": morning.Unix() + 30, "exp": float64(morning.Unix()) + 60.5}, Identity{Role: Person, Realm: "spring", Person: "s00017", Name: "spring/s00017", Expires: morning.Add(90*time.Second + 500*time.Millisecond)}},
	} {
		token := signHS(testSecret, g.header, claims(morning, g.changes))
		for range 2 { // the second time as one that was verified before
			id, err := a.Check(token)
			if err != nil || !a.Holds(id) || !id.Expires.Equal(g.want.Expires) {
				t.Errorf("%s %v: %+v, %v", g.header, g.changes, id, err)
			}
			id.Expires, g.want.Expires = time.Time{}, time.Time{}
			if plain(id) != g.want {
				t.Errorf("%s %v: %+v, want %+v", g.header, g.changes, id, g.want)
			}
			g.want.Expires = exp
			if g.changes["exp"] != nil {
				break
			}
		}
	}
}

// TestClaimsAreConfigured: other names for the claims, and then the usual ones mean nothing.
func TestClaimsAreConfigured(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	cfg, _ := hsConfig(t, c.now)
	cfg.JWT.PersonClaim, cfg.JWT.RealmClaim, cfg.JWT.RoleClaim, cfg.JWT.DeskClaim = "preferred_username", "https://holdfast/term", "hf_role", "hf_desk"
	a := open(t, cfg)
	id, err := a.Check(signHS(testSecret, hsHeader, claims(morning, map[string]any{"preferred_username": "ada", "https://holdfast/term": "t1", "hf_role": "agent", "hf_desk": "d", "role": "admin", "desk": 5})))
	if err != nil || id.Person != "ada" || id.Realm != "t1" || id.Role != Agent || id.Desk != "d" {
		t.Errorf("%+v, %v", id, err)
	}
	if id, err := a.Check(signHS(testSecret, hsHeader, claims(morning, nil))); err == nil {
		t.Errorf("%+v", id)
	}
}

func TestEveryAlgorithmOfAKeySet(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	rs, ec := rsaKeys()[0], ecKey(t)
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := []jose.JSONWebKey{public("rs", rs.Public()), public("ec", ec.Public()), public("ed", edPublic)}
	payload := claims(morning, nil)
	header := func(alg, kid string) string { return fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid) }
	tokens := map[string]string{
		"RS256": signRS(rs, header("RS256", "rs"), payload), "PS256": signPS(rs, header("PS256", "rs"), payload),
		"ES256": signES(ec, header("ES256", "ec"), payload), "EdDSA": signEd(ed, header("EdDSA", "ed"), payload),
	}
	for alg := range tokens {
		a := open(t, jwksConfig(t, c.now, alg, set...))
		for of, token := range tokens {
			if id, err := a.Check(token); (err == nil) != (of == alg) || err == nil && !a.Holds(id) {
				t.Errorf("in use: %s, token of %s: %v", alg, of, err)
			}
		}
		if _, err := a.Check(signHS(testSecret, hsHeader, payload)); !errors.Is(err, ErrToken) {
			t.Errorf("%s: HS256: %v", alg, err)
		}
		if _, err := a.Check("hf_abcdefgh_" + strings.Repeat("a", secretLen)); !errors.Is(err, ErrToken) {
			t.Errorf("%s: an API key without a file of keys: %v", alg, err)
		}
	}
	// Without a kid: only where there is one key to choose.
	one := open(t, jwksConfig(t, c.now, "RS256", public("rs", rs.Public()), public("ec", ec.Public())))
	if _, err := one.Check(signRS(rs, `{"alg":"RS256"}`, payload)); err != nil {
		t.Errorf("no kid, one key: %v", err)
	}
	nameless := open(t, jwksConfig(t, c.now, "RS256", public("", rs.Public())))
	if _, err := nameless.Check(signRS(rs, rsHeader("any"), payload)); err != nil {
		t.Errorf("a kid, and one key without: %v", err)
	}
}

func TestKeySetsThatAreRefused(t *testing.T) {
	t.Parallel()
	rs, ec := rsaKeys()[0], ecKey(t)
	small := `{"kty":"RSA","n":"` + b64(strings.Repeat("\xff", 128)) + `","e":"AQAB"}`
	good := jwks(t, public("one", rs.Public()))
	if keys, err := decodeJWKS([]byte(good), "RS256"); err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	mixed := strings.Replace(jwks(t, public("one", rs.Public())), `"keys":[`, `"keys":[{"kty":"OKP","crv":"X448","x":"AA"},{"kty":"EC","use":"enc"},{"kty":"new"},{"kty":"RSA","alg":"RS512"},`, 1)
	if keys, err := decodeJWKS([]byte(mixed), "RS256"); err != nil || len(keys) != 1 {
		t.Errorf("keys of other kinds: %v, %v", keys, err)
	}
	for name, text := range map[string]string{
		"empty": ``, "null": `null`, "list": `[]`, "no keys": `{}`, "no list": `{"keys":{}}`, "none": `{"keys":[]}`, "twice": `{"keys":[],"keys":[]}`, "number": `{"keys":[1]}`,
		"none that fits": jwks(t, public("ec", ec.Public())), "private": jwks(t, public("one", rs)), "private, of another kind": strings.Replace(good, `"keys":[`, `"keys":[{"kty":"RSA","use":"enc","d":"AA"},`, 1), "symmetric": `{"keys":[{"kty":"oct","k":"AAAA"}]}`,
		"small": `{"keys":[` + small + `]}`, "same kid": jwks(t, public("one", rs.Public()), public("one", rsaKeys()[1].Public())),
		"no kids": jwks(t, public("", rs.Public()), public("", rsaKeys()[1].Public())), "HTML": `<html>`, "broken": good[:len(good)-20],
		"many": `{"keys":[` + strings.Repeat(`{"kty":"new"},`, 100) + `{"kty":"new"}]}`, "no modulus": `{"keys":[{"kty":"RSA","e":"AQAB"}]}`,
	} {
		if keys, err := decodeJWKS([]byte(text), "RS256"); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
	}
}

func TestSecretsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "\n", "short", strings.Repeat("a", 64), strings.Repeat("ab", 40), "0123456789012345678901234567890", "0123456789012345678901234567890\n",
		"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----", `{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAA"}]}`} {
		if _, err := decodeSecret([]byte(s)); !errors.Is(err, ErrFile) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"01234567890123456789012345678901", "01234567890123456789012345678901\r\n"} {
		keys, err := decodeSecret([]byte(s))
		if err != nil || string(keys[0].key.([]byte)) != "01234567890123456789012345678901" {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestSecretChanges: what the old secret signed is nothing any more, also what was verified before.
func TestSecretChanges(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg Config, logged *logBuffer) {
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		token := signHS(testSecret, hsHeader, claims(time.Now(), nil))
		id, err := a.Check(token)
		if err != nil {
			t.Fatal(err)
		}
		changed := a.Changed()
		write(t, cfg.JWT.SecretFile, "too short")
		for range 3 {
			aSecond()
		}
		if _, err := a.Check(token); err != nil || closed(changed) || !a.Holds(id) {
			t.Errorf("a damaged file ended its secret: %v", err)
		}
		if n := strings.Count(logged.String(), "level=ERROR"); n != 1 {
			t.Errorf("the damage was told %d times", n)
		}
		if err := os.Remove(cfg.JWT.SecretFile); err != nil {
			t.Fatal(err)
		}
		aSecond()
		if _, err := a.Check(token); err != nil {
			t.Errorf("a file that is being replaced ended its secret: %v", err)
		}
		const next = "another-secret-0123456789-abcdefghij"
		write(t, cfg.JWT.SecretFile, next)
		aSecond()
		if _, err := a.Check(token); !errors.Is(err, ErrToken) || a.Holds(id) || !closed(changed) {
			t.Errorf("the old secret is still good: %v", err)
		}
		if _, err := a.Check(signHS(next, hsHeader, claims(time.Now(), nil))); err != nil {
			t.Errorf("the new secret: %v", err)
		}
	})
}

// TestKeySetChanges: a key that is added hurts nobody; who rests on one that is gone is nobody.
func TestKeySetChanges(t *testing.T) {
	t.Parallel()
	one, two := rsaKeys()[0], rsaKeys()[1]
	inBubble(t, func(cfg Config, _ *logBuffer) {
		cfg.Keys, cfg.JWT.SecretFile = "", ""
		cfg.JWT.Algorithm, cfg.JWT.JWKS = "RS256", write(t, filepath.Join(t.TempDir(), "jwks.json"), jwks(t, public("one", one.Public())))
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		old, young := signRS(one, rsHeader("one"), claims(time.Now(), nil)), signRS(two, rsHeader("two"), claims(time.Now(), nil))
		id, err := a.Check(old)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Check(young); err == nil {
			t.Error("a key that is not in the set yet")
		}
		changed := a.Changed()
		write(t, cfg.JWT.JWKS, jwks(t, public("one", one.Public()), public("two", two.Public())))
		aSecond()
		youngID, err := a.Check(young)
		if err != nil || !a.Holds(id) || closed(changed) {
			t.Errorf("a key was added: %v", err)
		}
		write(t, cfg.JWT.JWKS, jwks(t, public("two", two.Public())))
		aSecond()
		if _, err := a.Check(old); err == nil || a.Holds(id) || !closed(changed) {
			t.Error("a key was taken out, and its tokens are good")
		}
		if _, err := a.Check(young); err != nil || !a.Holds(youngID) {
			t.Errorf("the key that stayed: %v", err)
		}
	})
}

// TestVerifiedEnds: a token that is remembered is good no longer than it says.
func TestVerifiedEnds(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	cfg, _ := hsConfig(t, c.now)
	a := open(t, cfg)
	token := signHS(testSecret, hsHeader, claims(morning, nil))
	id, err := a.Check(token)
	if err != nil {
		t.Fatal(err)
	}
	c.move(time.Hour + 30*time.Second - 1)
	if _, err := a.Check(token); err != nil || !a.Holds(id) {
		t.Errorf("it ended before its time: %v", err)
	}
	c.move(1)
	if _, err := a.Check(token); !errors.Is(err, ErrToken) || a.Holds(id) {
		t.Errorf("it outlives its time: %v", err)
	}
	if n := a.jwt.verified.len(); n != 0 {
		t.Errorf("%d ended tokens are remembered", n)
	}
}

func TestVerifiedIsBounded(t *testing.T) {
	t.Parallel()
	v := newVerified(2)
	v.put([32]byte{1}, Identity{})
	v.put([32]byte{1}, Identity{})
	if v.len() != 1 {
		t.Errorf("one token is remembered %d times", v.len())
	}
	v = newVerified(10)
	hash := func(n int) [32]byte { return [32]byte{byte(n), byte(n >> 8)} }
	v.put(hash(0), Identity{Person: "often"})
	for n := 1; n < 1000; n++ {
		v.put(hash(n), Identity{})
		v.put(hash(n), Identity{})
		if n%3 == 0 {
			if id, ok := v.get(hash(0)); !ok || id.Person != "often" {
				t.Fatalf("what is asked for often is forgotten after %d", n)
			}
		}
		if v.len() > 10 {
			t.Fatalf("%d are remembered", v.len())
		}
	}
	if _, ok := v.get(hash(900)); ok {
		t.Error("what nobody asked for is remembered")
	}
	if _, ok := v.get(hash(999)); !ok {
		t.Error("the last one is forgotten")
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	cfg, _ := hsConfig(t, time.Now)
	cfg.Poll = 10 * time.Millisecond
	cfg.JWT.MaxVerified = 4
	f := keyFile(cfg)
	_, key := mustCreate(t, f, Key{Role: Backend})
	a := open(t, cfg)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 200 {
				token := signHS(testSecret, hsHeader, claims(time.Now(), map[string]any{"sub": fmt.Sprintf("s%d-%d", g, n%7)}))
				id, err := a.Check(token)
				if err != nil || !a.Holds(id) {
					t.Error(err)
					return
				}
				if id, err = a.Check(key); err != nil {
					t.Error(err)
					return
				}
				ticket, _, err := a.Ticket(id, "spring", "o")
				if err == nil {
					_, err = a.Redeem(ticket, "spring", "o")
				}
				if err != nil && !errors.Is(err, ErrCrowded) {
					t.Error(err)
					return
				}
				_ = a.Changed()
			}
		})
	}
	wg.Go(func() {
		for n := range 12 {
			k, _, err := f.Create(Key{Role: Backend})
			if err == nil && n%2 == 0 {
				_, err = f.Revoke(k.ID)
			}
			if err != nil {
				t.Error(err)
			}
			write(t, cfg.JWT.SecretFile, testSecret+strings.Repeat("\n", n%2))
		}
	})
	wg.Wait()
}
