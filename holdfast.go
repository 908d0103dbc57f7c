// Package holdfast composes the rules into the state of one shard: realms, the envelope around commands and events,
// their codec, and the snapshot.
//
// What is authoritative is the log; a State is a fold of it. Step decides and makes events, Apply changes the State, and
// recovery, the mirror, the verifier and the engine all apply the same events. The package is pure: no clock, no lock,
// no goroutine, no randomness, no I/O.
package holdfast

import (
	"holdfast/desk"
	"holdfast/seat"
)

// Code names a refusal or an error on the wire; package internal/wire maps each to an HTTP status.
type Code = seat.Code

// UnknownRealm refuses a command for a realm that nobody has put.
const UnknownRealm Code = "unknown_realm"

// Body is what a command asks for: a seat.Command, a desk.Command or a PutRealm.
type Body interface {
	// Valid says which field is malformed, as a *seat.Invalid.
	Valid() error
}

// PutRealm makes a realm or replaces its limits. An identical one makes no event.
type PutRealm struct {
	Limits seat.Limits
}

// Valid implements Body.
func (c PutRealm) Valid() error { return c.Limits.Valid() }

// Start is the first command of every run of a shard: its event extends the deadlines of what is offered.
type Start struct {
	Epoch uint64
	// Grace is the least time that everybody with an offer has from now on; 0 to 1 h.
	Grace seat.Time
}

// Valid implements Body.
func (c Start) Valid() error {
	if c.Grace < 0 || c.Grace > 3_600_000_000 {
		return &seat.Invalid{Field: "grace", Problem: "must be 0 to 1 h"}
	}
	return nil
}

// Command is the envelope: who is meant, and when.
type Command struct {
	Realm string    // empty for Start
	At    seat.Time // never below the State's time
	Body  Body
}

// Result is what Step decided.
type Result struct {
	seat.Result               // all but baskets
	Items       []seat.Result // baskets: one for each item, in their order
	Desk        *desk.Result  // desk commands, unless the realm is unknown; nil for all others
}

// Realm is one isolated world. Every rule holds inside one realm.
type Realm struct {
	Name  string
	Seats *seat.State
	Desks *desk.State
	Seq   uint64    // the event that put it
	At    seat.Time // when
}

// NextDue is when the realm has something to do of itself; false: nothing waits.
func (r *Realm) NextDue() (seat.Time, bool) {
	next, ok := r.Seats.NextDue()
	if at, due := r.Desks.NextDue(); due && (!ok || at < next) {
		return at, true
	}
	return next, ok
}

// State is the fold of a log: all realms of one shard. It is not safe for concurrent use.
type State struct {
	seq    uint64
	at     seat.Time
	epoch  uint64
	realms map[string]*Realm
	order  []*Realm // as they were made: the order of the snapshot
}

// NewState is the state before the first event.
func NewState() *State { return &State{realms: map[string]*Realm{}} }

// Seq is the number of the last event applied; 0 = none.
func (s *State) Seq() uint64 { return s.seq }

// At is the time of the last event applied.
func (s *State) At() seat.Time { return s.at }

// Epoch counts the starts of the shard.
func (s *State) Epoch() uint64 { return s.epoch }

// Realm finds a realm; nil = nobody has put it.
func (s *State) Realm(name string) *Realm { return s.realms[name] }

// Realms gives all realms in the order they were made. The caller must not change the slice.
func (s *State) Realms() []*Realm { return s.order }
