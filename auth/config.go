package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says what proves who asks: a file of API keys, JSON Web Tokens, or both.
type Config struct {
	Keys string        // the file of API keys (KeyFile); empty = there are none. A file that does not exist yet holds no key
	Poll time.Duration // how often the files of keys and secrets are looked at, 10 ms to 1 s: a revocation is seen this late
	JWT  JWTConfig     // of people

	MaxTickets     int // most open tickets, 1 to 1,048,576
	MaxTicketsEach int // most open tickets of one Identity.Name, 1 to MaxTickets

	Now    func() time.Time // the wall clock; nil = time.Now
	Logger *slog.Logger     // nil discards
}

// JWTConfig says which JSON Web Tokens prove a person. With neither SecretFile nor JWKS there are none, and nothing else may be set.
type JWTConfig struct {
	SecretFile string // whose content, without a last line break, is the secret of HS256: at least 32 bytes
	JWKS       string // the file or the https:// URL (on loopback also http://) of the issuer's public keys

	Algorithm string // exactly this one: HS256 with SecretFile; RS, PS or ES with 256, 384 or 512, or EdDSA, with JWKS
	Issuer    string // what iss must be
	Audience  string // what aud must be, or have among others
	Realm     string // of tokens without the claim for it; empty = such a token is refused

	PersonClaim string // which claim names the person
	RealmClaim  string // which one the realm
	RoleClaim   string // which one the role: person (also where it is missing), agent, client or staff
	DeskClaim   string // which one the desk of an agent, a client or staff

	Leeway      time.Duration // how far the issuer's clock may be off, 0 to 1m; exp is prolonged by it
	Refresh     time.Duration // how often the URL of JWKS is read, 10 s to 24 h
	MaxVerified int           // most tokens remembered as verified, 2 to 1,048,576
}

// DefaultConfig has all but what to trust: Keys, and of JWT SecretFile or JWKS, Algorithm, Issuer, Audience, Realm.
func DefaultConfig() Config {
	return Config{
		Poll:       500 * time.Millisecond,
		MaxTickets: 65_536, MaxTicketsEach: 32,
		JWT: JWTConfig{
			PersonClaim: "sub", RealmClaim: "holdfast_realm", RoleClaim: "holdfast_role", DeskClaim: "holdfast_desk",
			Leeway: 30 * time.Second, Refresh: 5 * time.Minute, MaxVerified: 65_536,
		},
	}
}

// enabled says whether JWTs prove anybody.
func (c *JWTConfig) enabled() bool { return c.SecretFile != "" || c.JWKS != "" }

// remote says whether JWKS is a URL.
func (c *JWTConfig) remote() bool { return strings.Contains(c.JWKS, "://") }

// Validate says what is wrong, naming the field: "auth: Config.JWT.Issuer is missing". It reads no file.
func (c *Config) Validate() error {
	switch {
	case c.Keys == "" && !c.JWT.enabled():
		return errors.New("auth: Config.Keys, Config.JWT.SecretFile and Config.JWT.JWKS are all empty: nobody could prove anything")
	case c.Poll < 10*time.Millisecond || c.Poll > time.Second:
		return fmt.Errorf("auth: Config.Poll is %s, must be 10ms to 1s", c.Poll)
	case c.MaxTickets < 1 || c.MaxTickets > 1<<20:
		return fmt.Errorf("auth: Config.MaxTickets is %d, must be 1 to %d", c.MaxTickets, 1<<20)
	case c.MaxTicketsEach < 1 || c.MaxTicketsEach > c.MaxTickets:
		return fmt.Errorf("auth: Config.MaxTicketsEach is %d, must be 1 to MaxTickets (%d)", c.MaxTicketsEach, c.MaxTickets)
	}
	return c.JWT.validate()
}

// algorithms are those of JWKS. A secret has one of its own: HS256.
func algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

const hs256 = "HS256"

func (c *JWTConfig) validate() error {
	if !c.enabled() {
		for _, f := range []struct{ name, value string }{
			{"Algorithm", c.Algorithm}, {"Issuer", c.Issuer}, {"Audience", c.Audience}, {"Realm", c.Realm},
		} {
			if f.value != "" {
				return fmt.Errorf("auth: Config.JWT.%s is set, but neither SecretFile nor JWKS is", f.name)
			}
		}
		return nil
	}
	switch {
	case c.SecretFile != "" && c.JWKS != "":
		return errors.New("auth: Config.JWT.SecretFile and Config.JWT.JWKS are both set: it is one or the other")
	case c.Algorithm == "":
		return errors.New("auth: Config.JWT.Algorithm is missing: HS256 with a secret; what the issuer signs with, e.g. RS256 or ES256, with JWKS")
	case c.SecretFile != "" && c.Algorithm != hs256:
		return fmt.Errorf("auth: Config.JWT.Algorithm is %q, must be HS256 with SecretFile", c.Algorithm)
	case c.JWKS != "" && !slices.Contains(algorithms(), c.Algorithm):
		return fmt.Errorf("auth: Config.JWT.Algorithm is %q, must be one of %s with JWKS", c.Algorithm, strings.Join(algorithms(), ", "))
	case c.Issuer == "":
		return errors.New("auth: Config.JWT.Issuer is missing: the iss of the tokens")
	case c.Audience == "":
		return errors.New("auth: Config.JWT.Audience is missing: the aud of the tokens, which says that they are for this server")
	case c.Realm != "" && !validID(c.Realm):
		return fmt.Errorf("auth: Config.JWT.Realm is %.140q, which is not an id", c.Realm)
	case c.Leeway < 0 || c.Leeway > time.Minute:
		return fmt.Errorf("auth: Config.JWT.Leeway is %s, must be 0 to 1m", c.Leeway)
	case c.Refresh < 10*time.Second || c.Refresh > 24*time.Hour:
		return fmt.Errorf("auth: Config.JWT.Refresh is %s, must be 10s to 24h", c.Refresh)
	case c.MaxVerified < 2 || c.MaxVerified > 1<<20:
		return fmt.Errorf("auth: Config.JWT.MaxVerified is %d, must be 2 to %d", c.MaxVerified, 1<<20)
	}
	if err := c.validateClaims(); err != nil {
		return err
	}
	return c.validateURL()
}

// validateClaims: two meanings in one claim, or a meaning in a claim that has one already, would let one be mistaken for the other.
func (c *JWTConfig) validateClaims() error {
	seen := []string{"iss", "aud", "exp", "nbf", "iat", "jti"}
	for _, f := range []struct{ name, claim string }{
		{"PersonClaim", c.PersonClaim}, {"RealmClaim", c.RealmClaim}, {"RoleClaim", c.RoleClaim}, {"DeskClaim", c.DeskClaim},
	} {
		if f.claim == "" {
			return fmt.Errorf("auth: Config.JWT.%s is missing", f.name)
		}
		if slices.Contains(seen, f.claim) {
			return fmt.Errorf("auth: Config.JWT.%s is %q, which has another meaning already", f.name, f.claim)
		}
		seen = append(seen, f.claim)
	}
	return nil
}

func (c *JWTConfig) validateURL() error {
	if !c.remote() {
		return nil
	}
	u, err := url.Parse(c.JWKS)
	if err != nil || u.Host == "" {
		return errors.New("auth: Config.JWT.JWKS is not a URL") // without err: it repeats the URL, which may hold a password
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.User != nil:
		return errors.New("auth: Config.JWT.JWKS has a user or a password in it; public keys need none")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback):
		return errors.New("auth: Config.JWT.JWKS must begin with https:// (http:// on loopback only): whoever can change the keys on their way can be anybody")
	}
	return nil
}

// maxID is the most bytes of an id.
const maxID = 128

// validID is the rule of ids of realms, desks and persons, as seat.ValidID has it.
func validID(id string) bool {
	if id == "" || len(id) > maxID || id == "." || id == ".." {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("._~:@+|-", c) >= 0:
		default:
			return false
		}
	}
	return true
}
