package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	jose "github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

// The bounds of a JWKS.
const (
	maxJWKS     = 1 << 20
	maxJWKSKeys = 100
)

// trusted is one key that signs JWTs. It does not change, and prints without the key.
type trusted struct {
	kid   string
	key   any // []byte of HS256, *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey
	print [32]byte
	proof *proof
}

// Format keeps the key out of whatever is printed.
func (t *trusted) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "key %q", t.kid) }

// trust is the set of keys in force.
type trust struct {
	keys atomic.Pointer[[]*trusted] // nil = none were read yet
}

// choose finds the key a token names. Without a kid it must be the only one: trying all would let a forgery cost as many checks.
func (t *trust) choose(kid string) (*trusted, error) {
	keys := t.keys.Load()
	if keys == nil {
		return nil, refuse("the keys of the issuer are not known yet")
	}
	if len(*keys) == 1 && (kid == "" || (*keys)[0].kid == "") {
		return (*keys)[0], nil
	}
	for _, k := range *keys {
		if kid != "" && k.kid == kid {
			return k, nil
		}
	}
	return nil, refuse("its kid names none of the issuer's keys")
}

// set puts keys in force. Those that were in force already keep their proof; who rests on any other is nobody from now on.
func (t *trust) set(keys []*trusted) (changed bool) {
	var was []*trusted
	if p := t.keys.Load(); p != nil {
		was = *p
	}
	kept := map[*proof]bool{}
	for _, k := range keys {
		k.proof = &proof{}
		for _, w := range was {
			if w.print == k.print && w.kid == k.kid {
				k.proof = w.proof
			}
		}
		kept[k.proof] = true
	}
	t.keys.Store(&keys)
	for _, w := range was {
		if !kept[w.proof] {
			w.proof.gone.Store(true)
			changed = true
		}
	}
	return changed
}

// look reads the file of the secret or the JWKS if it changed, and says whether a key is no longer in force. After an error the
// keys are as they were.
func (i *issuer) look() (changed bool, err error) {
	content, _, fresh, err := i.file.read()
	if err != nil || !fresh {
		return false, err
	}
	var keys []*trusted
	if i.cfg.SecretFile != "" {
		keys, err = decodeSecret(content)
	} else {
		keys, err = decodeJWKS(content, i.cfg.Algorithm)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", i.file.path, err)
	}
	i.state.well("the file with the keys of JWTs can be read again", "file", i.file.path)
	return i.trust.set(keys), nil
}

// watch looks for who has nobody to return an error to.
func (i *issuer) watch() (changed bool) {
	changed, err := i.look()
	if err != nil {
		i.state.is(slog.LevelError, "the file with the keys of JWTs is damaged or cannot be read: what it said before stays in force", "err", err)
	}
	return changed
}

// minSecret is the least bytes of a secret: as many as the hash of HS256 has (RFC 7518, section 3.2).
const minSecret = 32

func decodeSecret(b []byte) ([]*trusted, error) {
	secret := trimLine(b)
	distinct := map[byte]bool{}
	for _, c := range secret {
		distinct[c] = true
	}
	switch {
	case bytes.HasPrefix(secret, []byte("-----BEGIN")) || bytes.HasPrefix(bytes.TrimSpace(secret), []byte("{")):
		return nil, fmt.Errorf("%w: it holds a key of another kind (PEM or JSON), which others may know; HS256 needs random bytes: openssl rand -hex 32", ErrFile)
	case len(secret) < minSecret || len(distinct) < 8:
		return nil, fmt.Errorf("%w: a secret of HS256 has at least %d random bytes: openssl rand -hex 32", ErrFile, minSecret)
	}
	return []*trusted{{key: secret, print: sha256.Sum256(secret)}}, nil
}

// decodeJWKS gives the keys of a set (RFC 7517) that fit the algorithm. What is of another kind is passed over, as the RFC wants
// it; what should never be in such a set (a private or symmetric key) refuses it whole.
func decodeJWKS(b []byte, algorithm string) ([]*trusted, error) {
	members, err := object(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	var raw []josejson.RawMessage
	if err := josejson.Unmarshal(members["keys"], &raw); err != nil || len(raw) == 0 || len(raw) > maxJWKSKeys {
		return nil, fmt.Errorf("%w: keys is not a list of 1 to %d keys", ErrFile, maxJWKSKeys)
	}
	var keys []*trusted
	kids := map[string]bool{}
	for n, one := range raw {
		k, err := decodeJWK(one, algorithm)
		if err == nil && k != nil && kids[k.kid] {
			err = errors.New("its kid stands in the set twice")
		}
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w: %w", n, ErrFile, err)
		}
		if k != nil {
			kids[k.kid] = true
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: it has no key for %s", ErrFile, algorithm)
	}
	return keys, nil
}

// decodeJWK gives nil for a key of another kind.
func decodeJWK(raw []byte, algorithm string) (*trusted, error) {
	members, err := object(raw)
	if err != nil {
		return nil, err
	}
	if members["d"] != nil || members["k"] != nil {
		return nil, errors.New("it is a private key; publish its public half only, and make a new one: this one is known")
	}
	if use, ok := text(members["use"]); members["use"] != nil && (!ok || use != "sig") {
		return nil, nil
	}
	if alg, ok := text(members["alg"]); members["alg"] != nil && (!ok || alg != algorithm) {
		return nil, nil
	}
	var jwk jose.JSONWebKey
	switch err := jwk.UnmarshalJSON(raw); {
	case errors.Is(err, jose.ErrUnsupportedKeyType):
		return nil, nil
	case err != nil || !jwk.Valid() || !jwk.IsPublic():
		return nil, errors.New("it is no valid public key")
	case len(jwk.KeyID) > maxKid:
		return nil, fmt.Errorf("its kid is longer than %d bytes", maxKid)
	}
	fits, err := fitsAlgorithm(jwk.Key, algorithm)
	if err != nil || !fits {
		return nil, err
	}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("it is no valid public key")
	}
	return &trusted{kid: jwk.KeyID, key: jwk.Key, print: [32]byte(print)}, nil
}

// minRSA is the least bits of an RSA key (RFC 7518, section 3.3).
const minRSA = 2048

func fitsAlgorithm(key any, algorithm string) (bool, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if !strings.HasPrefix(algorithm, "RS") && !strings.HasPrefix(algorithm, "PS") {
			return false, nil
		}
		if key.N.BitLen() < minRSA {
			return false, fmt.Errorf("it has %d bits, fewer than %d", key.N.BitLen(), minRSA)
		}
		return true, nil
	case *ecdsa.PublicKey:
		curve := map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[algorithm]
		return curve == key.Curve.Params().BitSize, nil
	case ed25519.PublicKey:
		return algorithm == "EdDSA", nil
	}
	return false, nil
}
