package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

// issuer proves people by their JWTs.
//
// What a token says of itself is never believed before its signature: the algorithm and the keys are those of the configuration,
// a kid only chooses among them, and jku, x5u, jwk and x5c are not looked at. The claims are read after that only.
type issuer struct {
	cfg      JWTConfig
	logger   *slog.Logger
	trust    trust
	verified *verified
	algs     []jose.SignatureAlgorithm

	file   watched   // of the secret or the JWKS; owned, as state is, by who calls open and watch
	state  condition // of file
	remote *remote   // nil: the keys are in a file
}

func newIssuer(cfg JWTConfig, logger *slog.Logger) *issuer {
	i := &issuer{cfg: cfg, logger: logger, verified: newVerified(cfg.MaxVerified), state: condition{logger: logger}}
	i.algs = []jose.SignatureAlgorithm{jose.SignatureAlgorithm(cfg.Algorithm)}
	switch {
	case cfg.remote():
		i.remote = newRemote(cfg.JWKS)
	case cfg.SecretFile != "":
		i.file = watched{path: cfg.SecretFile, most: 1 << 16, foreign: worldly}
	default:
		i.file = watched{path: cfg.JWKS, most: maxJWKS, foreign: writable}
	}
	return i
}

// open reads the keys for the first time.
func (i *issuer) open(ctx context.Context) error {
	if i.remote != nil {
		return i.fetchFirst(ctx)
	}
	_, err := i.look()
	return err
}

func (i *issuer) check(token string, now time.Time) (Identity, error) {
	hash := sha256.Sum256([]byte(token))
	if id, ok := i.verified.get(hash); ok {
		if id.proof.holds(now) && now.Before(id.Expires) {
			return id, nil
		}
		i.verified.drop(hash)
	}
	payload, key, err := i.verify(token)
	if err != nil {
		return Identity{}, err
	}
	id, err := i.identity(payload, now)
	if err != nil {
		return Identity{}, err
	}
	id.proof = key.proof
	i.verified.put(hash, id)
	return id, nil
}

// maxKid is the most bytes of a kid.
const maxKid = 256

// verify gives the payload of a token that one of the trusted keys signed.
func (i *issuer) verify(token string) ([]byte, *trusted, error) {
	header, payload, err := unpack(token)
	if err != nil {
		return nil, nil, err
	}
	kid, err := i.header(header)
	if err != nil {
		return nil, nil, err
	}
	key, err := i.trust.choose(kid)
	if err != nil {
		if i.remote != nil && kid != "" {
			i.remote.want()
		}
		return nil, nil, err
	}
	jws, err := jose.ParseSignedCompact(token, i.algs)
	if err != nil {
		return nil, nil, refuse("it is no JWT of the algorithm that is in use")
	}
	signed, err := jws.Verify(key.key)
	if err != nil || string(signed) != string(payload) {
		return nil, nil, refuse("its signature is wrong")
	}
	return payload, key, nil
}

// unpack takes a token apart: three parts of base64url, each in its one right spelling. (The decoder of the library skips line
// breaks and takes several spellings of the last letter, so that one token would have many texts.)
func unpack(token string) (header, payload []byte, err error) {
	if strings.Count(token, ".") != 2 {
		return nil, nil, refuse("it is neither an API key nor a JWT of three parts")
	}
	for j := 0; j < len(token); j++ {
		if c := token[j]; c != '.' && !base64Bytes(c) {
			return nil, nil, refuse("it has a byte that no JWT has")
		}
	}
	h, rest, _ := strings.Cut(token, ".")
	p, s, _ := strings.Cut(rest, ".")
	strict := base64.RawURLEncoding.Strict()
	header, err = strict.DecodeString(h)
	if err == nil {
		payload, err = strict.DecodeString(p)
	}
	if err == nil && s == "" {
		return nil, nil, refuse("it is not signed")
	}
	if err == nil {
		_, err = strict.DecodeString(s)
	}
	if err != nil {
		return nil, nil, refuse("it is not base64url")
	}
	return header, payload, nil
}

func base64Bytes(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// header checks what the token says of itself, and gives its kid.
func (i *issuer) header(b []byte) (kid string, err error) {
	members, err := object(b)
	if err != nil {
		return "", refuse("its header is no JSON object, or repeats a member")
	}
	if alg, ok := text(members["alg"]); !ok || alg != i.cfg.Algorithm {
		return "", refuse("its algorithm is not the one that is in use")
	}
	for _, name := range []string{"crit", "b64", "zip", "enc", "cty"} {
		if members[name] != nil {
			return "", refuse("its header has " + name + ", which is not taken")
		}
	}
	if raw := members["typ"]; raw != nil {
		if typ, ok := text(raw); !ok || !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "at+jwt") {
			return "", refuse("its typ is neither JWT nor at+jwt")
		}
	}
	if raw := members["kid"]; raw != nil {
		var ok bool
		if kid, ok = text(raw); !ok || kid == "" || len(kid) > maxKid {
			return "", refuse("its kid is not a text of 1 to 256 bytes")
		}
	}
	return kid, nil
}

// identity is who the claims of a verified token speak of.
func (i *issuer) identity(payload []byte, now time.Time) (Identity, error) {
	claims, err := object(payload)
	if err != nil {
		return Identity{}, refuse("its payload is no JSON object, or repeats a claim")
	}
	if iss, ok := text(claims["iss"]); !ok || iss != i.cfg.Issuer {
		return Identity{}, refuse("it is of another issuer")
	}
	if !audience(claims["aud"], i.cfg.Audience) {
		return Identity{}, refuse("it is for another audience")
	}
	expires, err := i.times(claims, now)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Role: Person, Realm: i.cfg.Realm, Expires: expires}
	var ok bool
	if id.Person, ok = text(claims[i.cfg.PersonClaim]); !ok || !validID(id.Person) {
		return Identity{}, refuse("its claim of the person is missing or no id")
	}
	if raw := claims[i.cfg.RealmClaim]; raw != nil {
		if id.Realm, ok = text(raw); !ok || !validID(id.Realm) {
			return Identity{}, refuse("its claim of the realm is no id")
		}
	}
	if id.Realm == "" {
		return Identity{}, refuse("it is for no realm")
	}
	if raw := claims[i.cfg.RoleClaim]; raw != nil {
		role, ok := text(raw)
		if id.Role = Role(role); !ok || !slices.Contains([]Role{Person, Agent, Client, Staff}, id.Role) {
			return Identity{}, refuse("its claim of the role is not person, agent, client or staff")
		}
	}
	if raw := claims[i.cfg.DeskClaim]; raw != nil && id.Role != Person {
		if id.Desk, ok = text(raw); !ok || !validID(id.Desk) {
			return Identity{}, refuse("its claim of the desk is no id")
		}
	}
	id.Name = id.Realm + "/" + id.Person
	return id, nil
}

// times checks exp, nbf and iat, and gives the moment from which on the token proves nothing.
func (i *issuer) times(claims map[string]josejson.RawMessage, now time.Time) (time.Time, error) {
	exp, ok := moment(claims["exp"])
	if !ok {
		return time.Time{}, refuse("its exp is missing or no time")
	}
	expires := exp.Add(i.cfg.Leeway)
	if !now.Before(expires) {
		return time.Time{}, refuse("it has expired")
	}
	for _, name := range []string{"nbf", "iat"} {
		raw := claims[name]
		if raw == nil {
			continue
		}
		at, ok := moment(raw)
		switch {
		case !ok:
			return time.Time{}, refuse("its " + name + " is no time")
		case at.After(now.Add(i.cfg.Leeway)):
			return time.Time{}, refuse("its " + name + " is in the future")
		}
	}
	return expires, nil
}

// text is a JSON string.
func text(raw josejson.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || josejson.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// audience says whether aud is want, or a list of texts with want in it.
func audience(raw josejson.RawMessage, want string) bool {
	if one, ok := text(raw); ok {
		return one == want
	}
	var list []josejson.RawMessage
	if len(raw) == 0 || raw[0] != '[' || josejson.Unmarshal(raw, &list) != nil {
		return false
	}
	found := false
	for _, raw := range list {
		one, ok := text(raw)
		if !ok {
			return false
		}
		found = found || one == want
	}
	return found
}

// lastMoment is the end of the year 9999, in seconds since 1970.
const lastMoment = 253_402_300_799

// moment is a NumericDate: seconds since 1970, perhaps with a fraction (RFC 7519, section 2).
func moment(raw josejson.RawMessage) (time.Time, bool) {
	if len(raw) == 0 || raw[0] < '0' || raw[0] > '9' {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds > lastMoment {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}
