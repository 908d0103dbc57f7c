// Package live tells connections what changes: the claims of a person, the counts of a pool, its opening; an agent and what
// is offered to them, a client's requests, and whether a desk has somebody.
//
// It is state, not a stream: what a watcher is told is how things stand, read from the engine's state and told once that is
// confirmed. What was missed on the way costs nothing, and whoever comes back is told what differs from what they know.
//
// Two goroutines do it for everybody. The follower reads the confirmed events and marks whom they concern (follow.go).
// The teller takes the marked ones in rounds, reads how they stand under short holds of the shard's lock, waits until that
// is confirmed, and pushes what differs from what each has been told (tell.go, watch.go, topic.go). While it waits the
// next round fills, so a burst is one push, without a timer.
//
// When the engine ends nothing more is told. When the follower cannot read the log it begins anew at its end, and everybody
// is looked at.
package live

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"

	"holdfast/engine"
)

// Kinds of pushes.
const (
	Claims  = "claims"
	Pool    = "pool"
	Opening = "opening"

	Agent        = "agent"
	Offer        = "offer"
	OfferClosed  = "offer_closed"
	Request      = "request"
	Availability = "availability"
)

// Sink takes what a watcher is told. Push must not block, must not keep message, and must not call Hub.Close. Everything that
// it tells is confirmed, up to asOf. One goroutine calls all Sinks, in the order of asOf.
type Sink interface {
	Push(kind string, asOf uint64, message []byte)
}

// Cursor is what a watcher knows already: everything up to Seq of the log with that id (hex). The zero Cursor knows nothing.
type Cursor struct {
	Log string
	Seq uint64
}

// Hub follows the log once for all who watch. Its methods may be called by several goroutines. It must be closed. When the
// engine ends it is silent.
type Hub struct {
	engine *engine.Engine
	cfg    Config
	log    string // its id, hex
	stop   context.CancelFunc
	ended  sync.WaitGroup
	wake   chan struct{} // wakes the teller; holds one
	counters

	mu sync.Mutex // guards what follows; before Watch.mu where both are held
	index
}

// index finds who is concerned, and has who is to be told.
type index struct {
	realms        map[string]*realm // those with a watch or a topic
	watches       []*Watch          // all, in no order
	subscriptions int
	due           []*Watch // to be looked at now, each once
	topics        []*topic // to be looked at now, each once
	stirred       bool     // a line moved, or a watch is marked lazy: a round of positions is wanted
	desks         deskDue
	closed        bool
}

// realm is where somebody watches.
type realm struct {
	name   string
	people map[string]*Watch // the first of a person's
	topics map[string]*topic
	deskIndex
	moved stir // since the last round of positions began
	round stir // before: what the round on its way is about
}

// stir is in which pools positions or deadlines may have changed for others than whom an event names.
type stir struct {
	pools map[string]struct{}
	all   bool
}

func (s *stir) has(pool string) bool {
	_, ok := s.pools[pool]
	return ok || s.all
}

// counters are for Stats.
type counters struct {
	followed                atomic.Uint64 // the log is followed up to here
	claims, pools, openings atomic.Uint64 // pushes
	parties, availabilities atomic.Uint64
}

// New starts a hub. Errors: a field of cfg is out of its range; the log cannot be read.
func New(e *engine.Engine, cfg Config) (*Hub, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	end := e.Durable()
	sub, err := e.Subscribe(end.Seq)
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{engine: e, cfg: cfg, log: hex.EncodeToString(end.LogID[:]), stop: stop, wake: make(chan struct{}, 1)}
	h.realms = map[string]*realm{}
	h.followed.Store(end.Seq)
	h.ended.Add(2)
	go func() {
		defer h.ended.Done()
		h.follow(ctx, sub)
	}()
	go func() {
		defer h.ended.Done()
		t := teller{hub: h}
		t.run(ctx)
	}()
	return h, nil
}

// Close ends the hub; nothing is pushed after it returns. A Watch or Subscribe after it is told nothing.
func (h *Hub) Close() {
	h.stop()
	h.ended.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed, h.due, h.topics, h.desks = true, nil, nil, deskDue{}
}

// Stats is how much there is, and how far it has got.
type Stats struct {
	Watches       int
	Parties       int // agents and clients
	Subscriptions int
	Due           int    // watches, pools and desks that are to be looked at
	Lag           uint64 // events that are confirmed and not yet followed
	Pushed
}

// Pushed is how much was told since the start.
type Pushed struct {
	Claims         uint64
	Pools          uint64
	Openings       uint64
	Parties        uint64 // agents and clients; what one is told at once counts once
	Availabilities uint64
}

// Stats reads the counters.
func (h *Hub) Stats() Stats {
	end, followed := h.engine.Durable().Seq, h.followed.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{
		Watches: len(h.watches), Parties: h.desks.parties, Subscriptions: h.subscriptions,
		Due: len(h.due) + len(h.topics) + len(h.desks.agents) + len(h.desks.clients), Lag: end - min(end, followed),
		Pushed: Pushed{Claims: h.claims.Load(), Pools: h.pools.Load(), Openings: h.openings.Load(),
			Parties: h.parties.Load(), Availabilities: h.availabilities.Load()},
	}
}

// realmLocked gives the realm, made if need be.
func (h *Hub) realmLocked(name string) *realm {
	r := h.realms[name]
	if r == nil {
		r = &realm{name: name, people: map[string]*Watch{}, topics: map[string]*topic{}}
		h.realms[name] = r
	}
	return r
}

// leaveLocked forgets a realm where nobody watches any more.
func (h *Hub) leaveLocked(r *realm) {
	if len(r.people) == 0 && len(r.topics) == 0 && len(r.desks) == 0 && len(r.clients) == 0 {
		delete(h.realms, r.name)
	}
}

// signal wakes the teller.
func (h *Hub) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
