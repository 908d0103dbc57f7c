package live

import "holdfast/desk"

// Party is an agent's device or a client's connection. Its methods must not block, and must not call the hub. One goroutine
// calls them.
type Party interface {
	// Tell gives messages with line breaks between, and their kinds in the same order. All they tell is confirmed, up to asOf.
	// Neither may be kept.
	Tell(kinds []string, asOf uint64, lines []byte)
	// Over says that the connection is not one of theirs any more, and that nothing more is told: another has taken its place,
	// or (known false) the desk has no such agent any more.
	Over(known bool)
	// Join says that a request of the client's was made which does not have the connection.
	Join()
}

// deskIndex finds who is concerned by what happens at the desks of a realm.
type deskIndex struct {
	desks   map[string]*deskEntry
	clients map[string][]*ClientWatch
}

// deskEntry is a desk where an agent is watched, the availability is followed, or a watched client waits.
type deskEntry struct {
	name    string
	agents  map[string][]*AgentWatch
	topics  map[string]*topic
	waiting map[*ClientWatch]struct{} // those who were told a position
	moved   bool                      // in deskDue.moved
}

// deskDue has whom and what of desks the teller is to look at.
type deskDue struct {
	parties int // how many are watched
	agents  []*AgentWatch
	clients []*ClientWatch
	unnamed []unnamed
	moved   []*deskEntry // where positions may have changed since the last round of them
}

func (d *deskDue) any() bool {
	return len(d.agents) > 0 || len(d.clients) > 0 || len(d.unnamed) > 0 || len(d.moved) > 0
}

// unnamed is a request of which an event does not name everybody whom it concerns: whose offer came to nothing, and in whose
// session the client is there.
type unnamed struct {
	realm   *realm
	desk    string
	request uint64
}

func (r *realm) deskLocked(name string) *deskEntry {
	d := r.desks[name]
	if d == nil {
		if r.desks == nil {
			r.desks = map[string]*deskEntry{}
		}
		d = &deskEntry{name: name}
		r.desks[name] = d
	}
	return d
}

// leaveDeskLocked forgets a desk that nobody watches any more.
func (r *realm) leaveDeskLocked(d *deskEntry) {
	if len(d.agents) == 0 && len(d.topics) == 0 && len(d.waiting) == 0 && r.desks[d.name] == d {
		delete(r.desks, d.name)
	}
}

// noteDeskLocked marks whom an event concerns.
func (h *Hub) noteDeskLocked(r *realm, e *desk.Event) {
	if d := r.desks[e.Desk]; d != nil {
		if e.Agent != "" {
			for _, w := range d.agents[e.Agent] {
				h.agentDueLocked(w)
			}
		}
		if e.Kind != desk.OfferReceived {
			for _, t := range d.topics {
				h.queueLocked(t)
			}
		}
		if len(d.waiting) > 0 && !d.moved {
			d.moved = true
			h.desks.moved = append(h.desks.moved, d)
		}
	}
	if e.Client != "" {
		for _, w := range r.clients[e.Client] {
			w.superseded = w.superseded || e.Kind == desk.ClientDisconnected && e.Cause == desk.BySuperseded && e.Conn == w.conn
			w.join = w.join || e.Kind == desk.RequestMade && e.Conn != w.conn && (w.only == "" || w.only == e.Desk)
			h.clientDueLocked(w)
		}
	}
	if e.Kind == desk.OfferEnded && len(r.clients) > 0 || e.Kind == desk.ClientConnected && r.desks[e.Desk] != nil {
		h.desks.unnamed = append(h.desks.unnamed, unnamed{r, e.Desk, e.Request})
	}
}

// doubtDesksLocked marks everybody of a realm.
func (h *Hub) doubtDesksLocked(r *realm) {
	for _, d := range r.desks {
		for _, list := range d.agents {
			for _, w := range list {
				h.agentDueLocked(w)
			}
		}
		for _, t := range d.topics {
			h.queueLocked(t)
		}
	}
	for _, list := range r.clients {
		for _, w := range list {
			h.clientDueLocked(w)
		}
	}
}

func (h *Hub) agentDueLocked(w *AgentWatch) {
	if !w.queued {
		w.queued = true
		h.desks.agents = append(h.desks.agents, w)
	}
}

func (h *Hub) clientDueLocked(w *ClientWatch) {
	if !w.queued {
		w.queued = true
		h.desks.clients = append(h.desks.clients, w)
	}
}
