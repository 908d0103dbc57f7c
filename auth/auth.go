// Package auth says who asks: API keys of programs, JSON Web Tokens of people, and one-use tickets for WebSockets.
//
// It decides who somebody is and in which realm; what they may do there stands in server's table of routes. Whatever cannot
// be proved is refused: there is no anonymous identity. The files that Config names are authoritative, and are looked at all
// the time. Where one is damaged or cannot be read, what it said last stays in force and the log says so loudly; where the
// file of keys is gone, no key is valid any more. Nothing that happens to a file turns authentication off.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Role is what a token allows in general. The words are in tokens and on the wire: never change one.
type Role string

const (
	Person  Role = "person"  // one person: their own claims
	Agent   Role = "agent"   // one employee at a desk
	Client  Role = "client"  // one client of desks
	Staff   Role = "staff"   // acts for others, with a reason
	Backend Role = "backend" // the customer's own programs: act for everybody
	Admin   Role = "admin"   // sets up realms, pools and desks
)

// Roles are all of them, from the one that may least.
func Roles() []Role { return []Role{Person, Agent, Client, Staff, Backend, Admin} }

// Identity is who asks, as their token proves it. Only what Check and Redeem gave Holds, and copies of it: a server may narrow one,
// say to one person for whom a back end asks.
type Identity struct {
	Role    Role
	Realm   string    // the one realm it is for; empty = all
	Desk    string    // the one desk it is for; empty = all of its realm
	Person  string    // who it is: set for Person, Agent, Client and Staff
	Name    string    // names the token in limits, audits and logs: a key's id, or "realm/person" of a JWT. No secret
	Expires time.Time // from then on it is nobody; zero = never

	proof *proof // nil: nothing proved it
}

// proof is what identities rest on: an API key, or a key that signs JWTs.
type proof struct {
	gone  atomic.Bool  // it was revoked or changed, or its time ended; never false again
	until atomic.Int64 // its last moment in Unix nanoseconds; 0 = never ends
}

func (p *proof) holds(now time.Time) bool {
	until := p.until.Load()
	return !p.gone.Load() && (until == 0 || now.UnixNano() < until)
}

// ErrToken: the token does not prove who asks. What is wrong with it is for the log, not for whoever sent it.
var ErrToken = errors.New("the token is not valid")

// ErrCrowded: more tickets are open than are kept; ask again.
var ErrCrowded = errors.New("too many tickets are open")

// MaxToken is the most bytes of a token. A longer one is refused unread.
const MaxToken = 8 << 10

// refuse wraps ErrToken with a reason. No reason repeats a part of a token.
func refuse(reason string) error { return fmt.Errorf("%w: %s", ErrToken, reason) }

// Authority proves identities. Its methods may be called by several goroutines. It must be closed.
type Authority struct {
	cfg     Config
	now     func() time.Time
	keys    *keyring // nil: there are no API keys
	jwt     *issuer  // nil: there are no JWTs
	tickets tickets

	cancel context.CancelFunc
	ended  sync.WaitGroup // the goroutines that keep keys and jwt fresh

	mu      sync.Mutex // guards changed
	changed chan struct{}
}

// Open begins to prove identities by what cfg names, and keeps it fresh until Close. It fails where a file is damaged or open to
// others, a secret is weak, or cfg.Validate fails; not where a URL cannot be reached (until it can, its tokens are refused).
func Open(cfg Config) (*Authority, error) { return openWith(cfg, func(*remote) {}) }

// openWith lets a test stand between the authority and the network.
func openWith(cfg Config, network func(*remote)) (*Authority, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Authority{cfg: cfg, now: cfg.Now, changed: make(chan struct{})}
	if a.now == nil {
		a.now = time.Now
	}
	a.tickets.init(cfg.MaxTickets, cfg.MaxTicketsEach)
	if cfg.Keys != "" {
		a.keys = newKeyring(cfg.Keys, cfg.Logger)
		if _, err := a.keys.look(a.now()); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	if cfg.JWT.enabled() {
		a.jwt = newIssuer(cfg.JWT, cfg.Logger)
		if a.jwt.remote != nil {
			network(a.jwt.remote)
		}
		if err := a.jwt.open(ctx); err != nil {
			cancel()
			return nil, err
		}
	}
	a.ended.Go(func() { a.watch(ctx) })
	if a.jwt != nil && a.jwt.remote != nil {
		a.ended.Go(func() { a.jwt.follow(ctx, a.announce) })
	}
	return a, nil
}

// watch looks at the files until ctx ends.
func (a *Authority) watch(ctx context.Context) {
	tick := time.NewTicker(a.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := a.now()
		changed := false
		if a.keys != nil {
			changed = a.keys.watch(now)
		}
		if a.jwt != nil && a.jwt.remote == nil {
			changed = a.jwt.watch() || changed
		}
		a.tickets.sweep(now)
		if changed {
			a.announce()
		}
	}
}

// announce wakes who waits on Changed.
func (a *Authority) announce() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.changed)
	a.changed = make(chan struct{})
}

// Check says who a token (an API key or a JWT) speaks for. Errors wrap ErrToken.
func (a *Authority) Check(token string) (Identity, error) {
	switch {
	case token == "":
		return Identity{}, refuse("there is none")
	case len(token) > MaxToken:
		return Identity{}, refuse("it is longer than 8 KiB")
	case strings.HasPrefix(token, keyPrefix):
		if a.keys == nil {
			return Identity{}, refuse("API keys are not in use")
		}
		return a.keys.check(token, a.now())
	case a.jwt == nil:
		return Identity{}, refuse("it is no API key, and JWTs are not in use")
	}
	return a.jwt.check(token, a.now())
}

// Holds says whether an identity that Check or Redeem gave is still one: not expired, its API key or the key that signed its
// JWT not revoked or changed. Anything else called Identity never holds.
func (a *Authority) Holds(id Identity) bool {
	now := a.now()
	return id.proof != nil && id.proof.holds(now) && (id.Expires.IsZero() || now.Before(id.Expires))
}

// Changed is closed when keys were revoked, changed, added or ended since: open connections then ask Holds. It is not closed when
// a JWT expires: Identity.Expires says when that is. Take the channel before asking Holds, or a change between both is missed.
func (a *Authority) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

// Ticket gives a one-use ticket for id, good for one realm and one origin, and for 30 s or as long as id, whichever is less.
// Errors: ErrCrowded (over all, or of id.Name), and ErrToken where id does not hold or is of another realm.
func (a *Authority) Ticket(id Identity, realm, origin string) (ticket string, expires time.Time, err error) {
	if !a.Holds(id) {
		return "", time.Time{}, refuse("who asks for a ticket is nobody any more")
	}
	if !validID(realm) || id.Realm != "" && id.Realm != realm {
		return "", time.Time{}, refuse("a ticket for another realm")
	}
	return a.tickets.give(id, realm, origin, a.now())
}

// Redeem takes a ticket, once: whatever comes of it, it is spent. The identity is the one it was given to, in the ticket's realm
// only; if that one no longer holds (its key was revoked meanwhile), neither does the ticket. Errors wrap ErrToken.
func (a *Authority) Redeem(ticket, realm, origin string) (Identity, error) {
	id, err := a.tickets.take(ticket, realm, origin, a.now())
	if err != nil {
		return Identity{}, err
	}
	if !a.Holds(id) {
		return Identity{}, refuse("whose ticket it was is nobody any more")
	}
	return id, nil
}

// Close ends what keeps the keys fresh, and returns when it has ended. What was read last stays in force. Again is a no-op.
func (a *Authority) Close() {
	a.cancel()
	a.ended.Wait()
}
