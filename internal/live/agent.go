package live

import (
	"slices"
	"sync"
	"sync/atomic"

	"holdfast/desk"
	"holdfast/internal/wire"
)

// AgentWatch tells one device of an agent how the agent stands, and what is offered to them. Its methods may be called by
// several goroutines. It must be closed.
type AgentWatch struct {
	hub   *Hub
	realm *realm
	desk  *deskEntry
	agent string
	conn  uint64
	to    Party

	place  int  // in desk.agents; guarded by Hub.mu
	queued bool // in deskDue.agents; guarded by Hub.mu

	silent atomic.Bool

	mu     sync.Mutex // guards what follows
	said   agentSaid
	closed bool
}

// agentSaid is what a device has been told.
type agentSaid struct {
	any       bool
	agent     agentRow
	seq       uint64 // the event that made it so
	topics    []string
	offer     uint64 // pending, as far as they know; 0: none
	newest    uint64 // the last offer that they were told: each is told once
	answering uint64 // the offer that a command of theirs is about just now
}

// agentRow is what is told of an agent; a receipt, which their own device sent, changes nothing of it.
type agentRow struct {
	state       desk.AgentState
	reach       desk.Reach
	misses      uint32
	connections int
	flags
	idleSince, notBefore, until desk.Time
	offer, session              uint64
}

type flags struct{ accepting, ready, away, silent, joined bool }

func rowOf(v *desk.AgentView) agentRow {
	r := agentRow{
		state: v.State, reach: v.Profile.Reach, misses: v.Misses, connections: len(v.Connections),
		flags:     flags{accepting: v.Accepting, ready: v.Ready, away: v.Away, silent: v.Silent},
		idleSince: v.IdleSince, notBefore: v.NotBefore, until: v.Until,
	}
	if v.Offer != nil {
		r.offer = v.Offer.ID
	}
	if v.Session != nil {
		r.session, r.joined = v.Session.ID, v.Session.Joined
	}
	return r
}

// WatchAgent tells to how an agent stands and what is pending before them, and then whatever changes. The connection conn
// must have been attached before: when it is not one of the agent's any more, the watch is over.
func (h *Hub) WatchAgent(realm, name, agent string, conn uint64, to Party) *AgentWatch {
	w := &AgentWatch{hub: h, agent: agent, conn: conn, to: to}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		w.closed = true
		return w
	}
	w.realm = h.realmLocked(realm)
	w.desk = w.realm.deskLocked(name)
	if w.desk.agents == nil {
		w.desk.agents = map[string][]*AgentWatch{}
	}
	w.place = len(w.desk.agents[agent])
	w.desk.agents[agent] = append(w.desk.agents[agent], w)
	h.desks.parties++
	h.agentDueLocked(w)
	h.signal()
	return w
}

// Close ends the watch. What is on its way may still come, once.
func (w *AgentWatch) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	list := w.desk.agents[w.agent]
	last := len(list) - 1
	list[w.place] = list[last]
	list[w.place].place = w.place
	list[last] = nil
	if w.desk.agents[w.agent] = list[:last]; last == 0 {
		delete(w.desk.agents, w.agent)
	}
	w.hub.desks.parties--
	w.realm.leaveDeskLocked(w.desk)
	w.hub.leaveLocked(w.realm)
}

// Told says that the answer on the same connection tells how the agent stands, so that no push comes because of that. Call it when it
// is decided, confirmed or not.
func (w *AgentWatch) Told(v *desk.AgentView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said.any && v.Seq > w.said.seq {
		w.said.agent, w.said.seq, w.said.topics = rowOf(v), v.Seq, v.Profile.Topics
	}
}

// Silent says whether the agent is silent: then a sign of life is to be decided.
func (w *AgentWatch) Silent() bool { return w.silent.Load() }

// Heard says that a sign of life is being decided, so that the next one is not; or, false, that it could not be.
func (w *AgentWatch) Heard(decided bool) { w.silent.Store(!decided) }

// Answering says that this device is about to answer an offer: what becomes of it is not told until Answered.
func (w *AgentWatch) Answering(offer uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said.answering = offer
}

// Answered ends Answering. done: the answer on this connection says what became of the offer.
func (w *AgentWatch) Answered(done bool) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said.offer == w.said.answering {
		if done {
			w.said.offer = 0
		} else if !w.closed {
			w.hub.agentDueLocked(w)
			w.hub.signal()
		}
	}
	w.said.answering = 0
}

// agentLook is what the teller has read for one device.
type agentLook struct {
	watch *AgentWatch
	head  uint64 // the last event when it was read
	known bool
	view  desk.AgentView
	ended *desk.OfferView // of the offer that the device knows as pending, and that is not
}

// read reads how the agent stands. It runs under the shard's lock.
func (l *agentLook) read(s *desk.State) (newest uint64) {
	w := l.watch
	if l.view, l.known = s.Agent(w.desk.name, w.agent); !l.known {
		return 0
	}
	w.mu.Lock()
	told := w.said.offer
	w.mu.Unlock()
	if told != 0 && (l.view.Offer == nil || l.view.Offer.ID != told) {
		if v, ok := s.Offer(w.desk.name, told); ok {
			l.ended = &v
		}
	}
	newest = l.view.Seq
	if stay := l.view.Session; stay != nil { // the client's coming changes the request only
		r, _ := s.Request(w.desk.name, stay.Request)
		newest = max(newest, r.Seq)
	}
	return newest
}

// news appends what the device is to be told, and says of which kinds it is. over: it is not a device of the agent's.
func (w *AgentWatch) news(b []byte, kinds []string, l *agentLook, now desk.Time, asOf uint64) (lines []byte, of []string, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := &l.view
	if w.closed {
		return b, kinds, false
	}
	if !l.known || !slices.Contains(v.Connections, w.conn) {
		return b, kinds, true
	}
	if v.Seq < w.said.seq { // an answer is ahead of what was read; its event has it read again
		return b, kinds, false
	}
	pending := uint64(0)
	if v.Offer != nil {
		pending = v.Offer.ID
	}
	if told := w.said.offer; told != 0 && told != pending && told != w.said.answering {
		if l.ended != nil && l.ended.ID == told {
			b = wire.AppendOfferClosed(b, l.ended, asOf)
			kinds = append(kinds, OfferClosed)
		}
		w.said.offer = 0
	}
	if row := rowOf(v); !w.said.any || row != w.said.agent || !slices.Equal(v.Profile.Topics, w.said.topics) {
		b = wire.AppendPush(line(b), Agent, asOf, func(b []byte) []byte { return wire.AppendAgentRow(b, v, now, true) })
		kinds = append(kinds, Agent)
		w.said.any, w.said.agent, w.said.seq, w.said.topics = true, row, v.Seq, v.Profile.Topics
	}
	if pending > w.said.newest {
		b = wire.AppendPush(line(b), Offer, 0, func(b []byte) []byte { return wire.AppendOfferRow(b, v.Offer, now, true) })
		kinds = append(kinds, Offer)
		w.said.offer, w.said.newest = pending, pending
	}
	w.silent.Store(v.Silent)
	return b, kinds, false
}

// line begins a further line of b.
func line(b []byte) []byte {
	if len(b) > 0 {
		return append(b, '\n')
	}
	return b
}
