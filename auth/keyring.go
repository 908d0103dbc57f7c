package auth

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// The permission bits of others. Whoever can write the file of keys can be anybody; who can only read it learns hashes of random
// bits, from which nothing follows, so that is worth a warning. A secret must not be read either, save by its group (a service
// gets it so from many an orchestrator).
const (
	writable fs.FileMode = 0o022
	readable fs.FileMode = 0o044
	worldly  fs.FileMode = 0o026
)

// keyring is what the file of keys says.
type keyring struct {
	logger *slog.Logger
	live   atomic.Pointer[map[string]*liveKey] // by id; those neither revoked nor ended when the file was read

	// Owned by who calls look and expire.
	file  watched
	read  []byte // what was read last and is in force; nil = nothing
	state condition
}

// liveKey is a key that is valid. It does not change.
type liveKey struct {
	hash [32]byte
	id   Identity
}

func newKeyring(path string, logger *slog.Logger) *keyring {
	r := &keyring{logger: logger, state: condition{logger: logger}, file: watched{path: path, most: maxKeysBytes, foreign: writable}}
	r.live.Store(&map[string]*liveKey{})
	return r
}

func (r *keyring) check(token string, now time.Time) (Identity, error) {
	if len(token) != keyLen || token[len(keyPrefix)+idLen] != '_' {
		return Identity{}, refuse("it has not the form of an API key")
	}
	hash := sha256.Sum256([]byte(token))
	k := (*r.live.Load())[token[len(keyPrefix):len(keyPrefix)+idLen]]
	if k == nil || subtle.ConstantTimeCompare(hash[:], k.hash[:]) != 1 {
		return Identity{}, refuse("there is no such API key, or it was revoked or has ended")
	}
	if !k.id.proof.holds(now) {
		return Identity{}, refuse("the API key has ended")
	}
	return k.id, nil
}

// look reads the file if it changed, and says whether that changed who is valid. A missing file holds no key. After any other
// error the keys are as they were.
func (r *keyring) look(now time.Time) (changed bool, err error) {
	content, info, fresh, err := r.file.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.state.is(slog.LevelWarn, "there is no file of API keys: every one is refused", "file", r.file.path)
		r.read = nil
		return r.apply(nil, now), nil
	case err != nil || !fresh:
		return false, err
	case r.read != nil && bytes.Equal(content, r.read):
		r.state.well("the file of API keys can be read again", "file", r.file.path)
		return false, nil
	}
	keys, err := decodeKeys(content)
	if err != nil {
		return false, fmt.Errorf("%s: %w", r.file.path, err)
	}
	r.read = content
	r.state.well("the file of API keys can be read again", "file", r.file.path)
	if info.Mode()&readable != 0 {
		r.logger.Warn("others can read the file of API keys; chmod 600", "file", r.file.path, "mode", info.Mode())
	}
	changed = r.apply(keys, now)
	r.logger.Info("the API keys were read", "file", r.file.path, "valid", len(*r.live.Load()), "all", len(keys))
	return changed, nil
}

// watch looks for who has nobody to return an error to.
func (r *keyring) watch(now time.Time) (changed bool) {
	changed, err := r.look(now)
	if err != nil {
		r.state.is(slog.LevelError, "the file of API keys is damaged or cannot be read: what it said before stays in force", "err", err)
	}
	return r.expire(now) || changed
}

// apply makes keys the valid ones. A key whose secret and scope are what they were keeps its proof, so that its connections live
// on; all other proofs that were are gone.
func (r *keyring) apply(keys []Key, now time.Time) (changed bool) {
	was := *r.live.Load()
	live := make(map[string]*liveKey, len(keys))
	for i := range keys {
		k := &keys[i]
		if !k.Live(now) {
			continue
		}
		l := &liveKey{id: k.identity()}
		if n, err := hex.Decode(l.hash[:], []byte(k.Hash)); err != nil || n != len(l.hash) {
			continue // decodeKeys has let none through
		}
		if before := was[k.ID]; before != nil && before.sameScope(l) && !before.id.proof.gone.Load() {
			l.id.proof = before.id.proof
			changed = changed || !before.id.Expires.Equal(l.id.Expires)
		} else {
			l.id.proof = &proof{}
			changed = true
		}
		until := int64(0)
		if !l.id.Expires.IsZero() {
			until = l.id.Expires.UnixNano()
		}
		l.id.proof.until.Store(until)
		live[k.ID] = l
	}
	// The new ones first: who finds a proof gone and asks again must not meet the old ones.
	r.live.Store(&live)
	for id, l := range was {
		if now := live[id]; now == nil || now.id.proof != l.id.proof {
			l.id.proof.gone.Store(true)
			changed = true
		}
	}
	return changed
}

func (l *liveKey) sameScope(other *liveKey) bool {
	a, b := l.id, other.id
	return l.hash == other.hash && a.Role == b.Role && a.Realm == b.Realm && a.Desk == b.Desk && a.Person == b.Person
}

// expire says whether a key's time has ended since it was asked last.
func (r *keyring) expire(now time.Time) (ended bool) {
	for _, l := range *r.live.Load() {
		if p := l.id.proof; !p.gone.Load() && !p.holds(now) {
			p.gone.Store(true)
			ended = true
		}
	}
	return ended
}

// trimLine removes one line break at the end.
func trimLine(b []byte) []byte {
	return []byte(strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"))
}
