package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testIssuer   = "https://login.example.edu"
	testAudience = "holdfast"
	testSecret   = "canary-5e2b0c7d9a41f836-canary-c0ffee-and-more-bytes"
)

// morning is when the tests take place, unless they run in a bubble.
var morning = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logBuffer is what was logged.
type logBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, cfg Config) *Authority {
	t.Helper()
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// hsConfig is one with a secret and a file of keys that does not exist yet.
func hsConfig(t testing.TB, now func() time.Time) (Config, *logBuffer) {
	t.Helper()
	dir, logged := t.TempDir(), &logBuffer{}
	cfg := DefaultConfig()
	cfg.Keys = filepath.Join(dir, "keys.json")
	cfg.JWT.SecretFile = write(t, filepath.Join(dir, "secret"), testSecret+"\n")
	cfg.JWT.Algorithm, cfg.JWT.Issuer, cfg.JWT.Audience = "HS256", testIssuer, testAudience
	cfg.Now, cfg.Logger = now, slog.New(slog.NewTextHandler(logged, nil))
	return cfg, logged
}

// jwksConfig trusts a file of public keys.
func jwksConfig(t testing.TB, now func() time.Time, algorithm string, keys ...jose.JSONWebKey) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.JWT.JWKS = write(t, filepath.Join(t.TempDir(), "jwks.json"), jwks(t, keys...))
	cfg.JWT.Algorithm, cfg.JWT.Issuer, cfg.JWT.Audience = algorithm, testIssuer, testAudience
	cfg.Now = now
	return cfg
}

func jwks(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rsaKeys are made once: they take long.
var rsaKeys = sync.OnceValue(func() (keys []*rsa.PrivateKey) {
	for range 3 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
	}
	return keys
})

func public(kid string, key any) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: kid, Key: key, Use: "sig"}
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// claims is the payload of a good token, with changes: a nil value removes the claim.
func claims(now time.Time, changes map[string]any) string {
	c := map[string]any{
		"iss": testIssuer, "aud": testAudience, "sub": "s00017", "holdfast_realm": "spring",
		"exp": now.Add(time.Hour).Unix(), "nbf": now.Add(-10 * time.Second).Unix(), "iat": now.Add(-10 * time.Second).Unix(),
	}
	maps.Copy(c, changes)
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(b)
}

type null struct{}

func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

const hsHeader = `{"alg":"HS256","typ":"JWT"}`

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signHS makes a token of any header and payload.
func signHS(secret, header, payload string) string {
	text := b64(header) + "." + b64(payload)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return text + "." + b64(string(m.Sum(nil)))
}

func signRS(key *rsa.PrivateKey, header, payload string) string {
	text := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(string(sig))
}

func signPS(key *rsa.PrivateKey, header, payload string) string {
	text := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		panic(err)
	}
	return text + "." + b64(string(sig))
}

func signES(key *ecdsa.PrivateKey, header, payload string) string {
	text := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + b64(string(sig[:]))
}

func signEd(key ed25519.PrivateKey, header, payload string) string {
	text := b64(header) + "." + b64(payload)
	return text + "." + b64(string(ed25519.Sign(key, []byte(text))))
}

func rsHeader(kid string) string { return fmt.Sprintf(`{"alg":"RS256","typ":"JWT","kid":%q}`, kid) }

// keyFile edits the keys of cfg by its clock.
func keyFile(cfg Config) KeyFile { return KeyFile{Path: cfg.Keys, Now: cfg.Now} }

func mustCreate(t testing.TB, f KeyFile, k Key) (Key, string) {
	t.Helper()
	made, token, err := f.Create(k)
	if err != nil {
		t.Fatal(err)
	}
	return made, token
}

// person is what an identity says, without what it rests on.
func plain(id Identity) Identity {
	id.proof = nil
	return id
}
