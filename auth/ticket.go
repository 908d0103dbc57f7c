package auth

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	ticketPrefix = "hft_"
	ticketLife   = 30 * time.Second
)

// tickets are the open ones.
type tickets struct {
	most, mostEach int

	mu    sync.Mutex // guards what follows
	open  map[[32]byte]ticket
	each  map[string]int // open ones by Identity.Name
	given []given        // those open and some spent ones, oldest first; at most twice most
}

// ticket is what one stands for. The map has its hash for a name, so that looking it up tells nothing by its duration.
type ticket struct {
	id      Identity
	origin  string
	expires time.Time
}

type given struct {
	hash [32]byte
	at   time.Time
}

func (t *tickets) init(most, each int) {
	t.most, t.mostEach = most, each
	t.open, t.each = map[[32]byte]ticket{}, map[string]int{}
}

func (t *tickets) give(id Identity, realm, origin string, now time.Time) (string, time.Time, error) {
	text := ticketPrefix + random(secretLen, base62)
	expires := now.Add(ticketLife)
	if !id.Expires.IsZero() && id.Expires.Before(expires) {
		expires = id.Expires
	}
	id.Realm = realm
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
	if len(t.open) >= t.most || t.each[id.Name] >= t.mostEach {
		return "", time.Time{}, ErrCrowded
	}
	if len(t.given) >= 2*t.most {
		t.given = slices.DeleteFunc(t.given, func(g given) bool { _, open := t.open[g.hash]; return !open })
	}
	hash := sha256.Sum256([]byte(text))
	t.open[hash] = ticket{id, origin, expires}
	t.each[id.Name]++
	t.given = append(t.given, given{hash, now})
	return text, expires, nil
}

func (t *tickets) take(text, realm, origin string, now time.Time) (Identity, error) {
	if len(text) != len(ticketPrefix)+secretLen || !strings.HasPrefix(text, ticketPrefix) {
		return Identity{}, refuse("it is no ticket")
	}
	hash := sha256.Sum256([]byte(text))
	t.mu.Lock()
	found, ok := t.open[hash]
	t.dropLocked(hash)
	t.mu.Unlock()
	switch {
	case !ok:
		return Identity{}, refuse("the ticket was used, has ended, or never was one")
	case !now.Before(found.expires):
		return Identity{}, refuse("the ticket has ended")
	case found.id.Realm != realm:
		return Identity{}, refuse("the ticket is for another realm")
	case found.origin != origin:
		return Identity{}, refuse("the ticket is for another origin")
	}
	return found.id, nil
}

func (t *tickets) dropLocked(hash [32]byte) {
	found, ok := t.open[hash]
	if !ok {
		return
	}
	delete(t.open, hash)
	if t.each[found.id.Name]--; t.each[found.id.Name] == 0 {
		delete(t.each, found.id.Name)
	}
}

// sweep forgets those that have ended.
func (t *tickets) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
}

func (t *tickets) sweepLocked(now time.Time) {
	ended := 0
	for ended < len(t.given) && now.Sub(t.given[ended].at) >= ticketLife {
		t.dropLocked(t.given[ended].hash)
		ended++
	}
	switch {
	case ended == len(t.given):
		t.given = nil
	case ended > 0:
		t.given = t.given[ended:] // append moves what is left to a new array when this one is full
	}
}
