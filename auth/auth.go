// Package auth says who asks: API keys of programs, JSON Web Tokens of people, and one-use tickets for WebSockets.
//
// It decides who somebody is and in which realm; what they may do there stands in server's table of routes. Whatever cannot
// be proved is refused: there is no anonymous identity.
package auth

import (
	"errors"
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
	Admin   Role = "admin"   // sets up realms, pools and keys
)

// Identity is who asks, as their token proves it.
type Identity struct {
	Role    Role
	Realm   string    // the one realm it is for; empty = all
	Desk    string    // the one desk it is for; empty = all of its realm
	Person  string    // who it is: set for Person, Agent, Client and Staff
	Name    string    // names the token in limits, audits and logs: a key's id, or who the token speaks of. No secret
	Expires time.Time // from then on it is nobody; zero = never
}

// ErrToken: the token does not prove who asks. What is wrong with it is for the log, not for whoever sent it.
var ErrToken = errors.New("the token is not valid")

// ErrCrowded: more tickets are open than are kept; ask again.
var ErrCrowded = errors.New("too many tickets are open")

// Authority proves identities. Its methods may be called by several goroutines. It must be closed.
type Authority struct{}

// Open begins to prove identities by what cfg names, and keeps it fresh until Close. It fails where a file is damaged or open to
// others, a secret is weak, or cfg.Validate fails; not where a URL cannot be reached (until it can, its tokens are refused).
func Open(cfg Config) (*Authority, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Authority{}, nil
}

// Configured says whether API keys were ever made in a file: it is there, or the lock beside it is. A server that finds so
// must not run without authentication, even where somebody deleted the file.
func Configured(keys string) bool { return false }

// Check says who a token (an API key or a JWT) speaks for. Errors wrap ErrToken.
func (a *Authority) Check(token string) (Identity, error) { return Identity{}, ErrToken }

// Holds says whether an identity that Check or Redeem gave is still one: not expired, its key not revoked.
func (a *Authority) Holds(id Identity) bool { return false }

// Changed is closed when keys were revoked or changed since: open connections then ask Holds.
func (a *Authority) Changed() <-chan struct{} { return nil }

// Ticket gives a one-use ticket of 30 s for id, good for one realm and one origin. Errors: ErrCrowded.
func (a *Authority) Ticket(id Identity, realm, origin string) (ticket string, expires time.Time, err error) {
	return "", time.Time{}, ErrCrowded
}

// Redeem takes a ticket, once. Errors wrap ErrToken.
func (a *Authority) Redeem(ticket, realm, origin string) (Identity, error) {
	return Identity{}, ErrToken
}

// Close ends what keeps the keys fresh.
func (a *Authority) Close() {}
