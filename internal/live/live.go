// Package live tells connections what changes: the claims of a person, the counts of a pool, its opening.
package live

import (
	"holdfast/engine"
	"holdfast/seat"
)

// Kinds of pushes.
const (
	Claims  = "claims"
	Pool    = "pool"
	Opening = "opening"
)

// Sink takes what a watcher is told. Push must not block and must not keep message. Everything that it tells is confirmed,
// up to asOf.
type Sink interface {
	Push(kind string, asOf uint64, message []byte)
}

// Cursor is what a watcher knows already: everything up to Seq of the log with that id (hex). The zero Cursor knows nothing.
type Cursor struct {
	Log string
	Seq uint64
}

// Hub follows the log once for all who watch. Its methods may be called by several goroutines. It must be closed.
type Hub struct{}

// New starts a hub.
func New(e *engine.Engine, cfg Config) (*Hub, error) { return &Hub{}, cfg.validate() }

// Close ends the hub; nothing is pushed after it returns.
func (h *Hub) Close() {}

// Watch tells to what changes of a person's claims, and first what changed since.
func (h *Hub) Watch(realm, person string, since Cursor, to Sink) *Watch { return &Watch{} }

// Watch is one watcher of one person.
type Watch struct{}

// Told says that an answer on the same connection tells this standing, so that no push repeats it.
func (w *Watch) Told(st *seat.Standing) {}

// Again has everything pushed once more.
func (w *Watch) Again() {}

// Close ends the watch.
func (w *Watch) Close() {}

// Subscribe tells to the counts of a pool and its opening; false: there is no such pool.
func (h *Hub) Subscribe(realm, pool string, to Sink) (*Subscription, bool) {
	return &Subscription{}, false
}

// Subscription is one subscriber of one pool.
type Subscription struct{}

// Close ends the subscription.
func (s *Subscription) Close() {}
