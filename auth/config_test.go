package auth

import (
	"strings"
	"testing"
	"time"
)

func TestConfigIsRefused(t *testing.T) {
	t.Parallel()
	hs := func() Config {
		c := DefaultConfig()
		c.JWT.SecretFile, c.JWT.Algorithm, c.JWT.Issuer, c.JWT.Audience = "secret", "HS256", testIssuer, testAudience
		return c
	}
	good := hs()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	remote := func(url string) func(*Config) {
		return func(c *Config) { c.JWT.SecretFile, c.JWT.Algorithm, c.JWT.JWKS = "", "RS256", url }
	}
	for _, x := range []struct {
		change func(*Config)
		field  string
	}{
		{func(c *Config) { *c = DefaultConfig() }, "Config.Keys"},
		{func(c *Config) { *c = DefaultConfig(); c.Keys = "k"; c.JWT.Issuer = "x" }, "JWT.Issuer"},
		{func(c *Config) { *c = DefaultConfig(); c.Keys = "k"; c.JWT.Algorithm = "x" }, "JWT.Algorithm"},
		{func(c *Config) { *c = DefaultConfig(); c.Keys = "k"; c.JWT.Audience = "x" }, "JWT.Audience"},
		{func(c *Config) { *c = DefaultConfig(); c.Keys = "k"; c.JWT.Realm = "x" }, "JWT.Realm"},
		{func(c *Config) { c.Poll = 0 }, "Config.Poll"}, {func(c *Config) { c.Poll = time.Minute }, "Config.Poll"},
		{func(c *Config) { c.MaxTickets = 0 }, "MaxTickets"}, {func(c *Config) { c.MaxTicketsEach = 0 }, "MaxTicketsEach"}, {func(c *Config) { c.MaxTicketsEach = c.MaxTickets + 1 }, "MaxTicketsEach"},
		{func(c *Config) { c.JWT.JWKS = "jwks.json" }, "JWT.JWKS are both"}, {func(c *Config) { c.JWT.Algorithm = "" }, "JWT.Algorithm"},
		{func(c *Config) { c.JWT.Algorithm = "none" }, "JWT.Algorithm"}, {func(c *Config) { c.JWT.Algorithm = "RS256" }, "JWT.Algorithm"},
		{func(c *Config) { c.JWT.SecretFile, c.JWT.JWKS = "", "f" }, "JWT.Algorithm"}, {func(c *Config) { c.JWT.SecretFile, c.JWT.JWKS, c.JWT.Algorithm = "", "f", "none" }, "JWT.Algorithm"},
		{func(c *Config) { c.JWT.Issuer = "" }, "JWT.Issuer"}, {func(c *Config) { c.JWT.Audience = "" }, "JWT.Audience"}, {func(c *Config) { c.JWT.Realm = "a/b" }, "JWT.Realm"},
		{func(c *Config) { c.JWT.Leeway = time.Hour }, "JWT.Leeway"}, {func(c *Config) { c.JWT.Leeway = -1 }, "JWT.Leeway"}, {func(c *Config) { c.JWT.Refresh = 0 }, "JWT.Refresh"},
		{func(c *Config) { c.JWT.MaxVerified = 0 }, "JWT.MaxVerified"}, {func(c *Config) { c.JWT.PersonClaim = "" }, "JWT.PersonClaim"}, {func(c *Config) { c.JWT.RealmClaim = "sub" }, "JWT.RealmClaim"},
		{func(c *Config) { c.JWT.RoleClaim = "aud" }, "JWT.RoleClaim"}, {func(c *Config) { c.JWT.DeskClaim = "holdfast_role" }, "JWT.DeskClaim"},
		{remote("http://login.example.edu/keys"), "https://"}, {remote("ftp://login.example.edu/keys"), "https://"}, {remote("https://user:canary@login.example.edu/keys"), "password"},
		{remote("https://"), "not a URL"}, {remote("https://%zz/canary"), "not a URL"},
	} {
		c := hs()
		x.change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), x.field) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", x.field, err)
		}
		if _, err := Open(c); err == nil {
			t.Errorf("%s: it opens", x.field)
		}
	}
	for _, url := range []string{"https://login.example.edu/keys", "http://127.0.0.1:8080/keys", "http://localhost/keys", "http://[::1]/keys", "./jwks.json"} {
		c := hs()
		remote(url)(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestKeyScopes(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		k    Key
		word string // of the error; empty = it is right
	}{
		{Key{Role: Admin}, ""}, {Key{Role: Admin, Realm: "r"}, ""}, {Key{Role: Backend, Realm: "r", Desk: "d"}, ""}, {Key{Role: Staff}, ""}, {Key{Role: Staff, Realm: "r", Person: "p"}, ""},
		{Key{Role: Person, Realm: "r", Person: "p"}, ""}, {Key{Role: Agent, Realm: "r", Desk: "d", Person: "p"}, ""}, {Key{Role: Client, Realm: "r", Person: "p"}, ""},
		{Key{}, "role"}, {Key{Role: "public"}, "role"}, {Key{Role: "Admin"}, "role"}, {Key{Role: Backend, Desk: "d"}, "desk"}, {Key{Role: Admin, Realm: "r", Desk: "d"}, "desk"},
		{Key{Role: Person, Realm: "r", Desk: "d", Person: "p"}, "desk"}, {Key{Role: Backend, Person: "p"}, "person"}, {Key{Role: Admin, Person: "p"}, "person"}, {Key{Role: Person, Realm: "r"}, "person"},
		{Key{Role: Agent, Person: "p"}, "realm"}, {Key{Role: Client, Person: "p"}, "realm"}, {Key{Role: Backend, Realm: "a/b"}, "realm"}, {Key{Role: Staff, Person: ".."}, "person"},
		{Key{Role: Backend, Note: strings.Repeat("n", 201)}, "note"}, {Key{Role: Backend, Note: "a\x1b[2J"}, "note"}, {Key{Role: Backend, Note: "\xff"}, "note"},
	} {
		if err := x.k.Valid(); (err == nil) != (x.word == "") || err != nil && !strings.HasPrefix(err.Error(), x.word) {
			t.Errorf("%+v: %v", x.k, err)
		}
	}
	if id := (&Key{ID: "abcdefgh", Role: Staff}).identity(); id.Person != "key:abcdefgh" || !validID(id.Person) {
		t.Errorf("staff without a person: %+v", id)
	}
}
