package shift

import (
	"holdfast"
	"holdfast/desk"
	"holdfast/internal/sim"
)

// ledger is the fold of the log for what people want to see of a shift: who was how when, and how long it took. It knows no
// rules; it checks sessions by their ids, which nobody else does.
type ledger struct {
	realm    string
	seq      uint64
	agents   map[string]string // state by name
	requests map[uint64]requestEntry
	sessions map[uint64]*sessionEntry
	offered  map[uint64]uint64 // by pending offer: its request
	lines    lines
	last     lastHeard

	checks map[string]uint64
	list   []sim.Violation
	found  int
}

// lastHeard is what was heard last of each request and each agent, by the place in the log.
type lastHeard struct {
	requests map[uint64]lastState
	agents   map[string]lastState
}

type lastState struct {
	asOf  uint64
	state string
}

type requestEntry struct {
	client  string
	state   string
	made    desk.Time
	atOnce  bool // somebody was ready: it was offered as soon as it was made
	offered bool
}

type sessionEntry struct {
	request       uint64
	agent, client string
	ended         bool
}

// lines are what the report draws, by the log's time.
type lines struct {
	points  []point
	now     point
	oldest  []waiter             // in the order in which they began to wait; who waits no more too, until they come to the front
	waiting map[uint64]desk.Time // requests that wait, and since when
	pending []int                // offers that were pending at each start of the server but the first
	starts  int
}

// waiter is a request that began to wait: when it was made, or when its session was lost.
type waiter struct {
	request uint64
	since   desk.Time
}

// point is everybody at one instant.
type point struct {
	at      desk.Time
	states  [desk.AgentStates]int32
	waiting int32     // queued or offering
	oldest  desk.Time // since when the first of them waits; 0 = nobody does
}

func newLedger(realm string) *ledger {
	return &ledger{realm: realm, agents: map[string]string{}, requests: map[uint64]requestEntry{}, sessions: map[uint64]*sessionEntry{},
		offered: map[uint64]uint64{}, last: lastHeard{map[uint64]lastState{}, map[string]lastState{}}, checks: map[string]uint64{}, lines: lines{waiting: map[uint64]desk.Time{}}}
}

// pointEvery is how fine the report draws: 50 ms of the log's time.
const pointEvery = desk.Time(50_000)

func (l *ledger) apply(e *holdfast.Event) {
	l.seq = e.Seq
	if e.Kind() == holdfast.Started {
		if l.lines.starts++; l.lines.starts > 1 {
			l.lines.pending = append(l.lines.pending, len(l.offered))
		}
		return
	}
	if e.Desk == nil || e.Realm != l.realm {
		return
	}
	if p := &l.lines; p.now.at/pointEvery != e.At/pointEvery && p.now.at != 0 {
		p.points = append(p.points, l.point())
	}
	l.lines.now.at = e.At
	l.deskEvent(e.Seq, e.At, e.Desk)
}

// point is how everybody stands now.
func (l *ledger) point() point {
	p := &l.lines
	for len(p.oldest) > 0 && p.waiting[p.oldest[0].request] != p.oldest[0].since {
		p.oldest = p.oldest[1:]
	}
	now := p.now
	now.oldest = 0
	if len(p.oldest) > 0 {
		now.oldest = p.oldest[0].since
	}
	return now
}

func (l *ledger) deskEvent(seq uint64, at desk.Time, e *desk.Event) {
	switch e.Kind {
	case desk.AgentPut:
		if _, there := l.agents[e.Agent]; !there {
			l.agents[e.Agent] = desk.Offline.String()
			l.lines.now.states[desk.Offline]++
		}
	case desk.AgentOnline:
		if l.agents[e.Agent] == desk.Offline.String() {
			l.turn(e.Agent, desk.Idle)
		}
	case desk.AgentOffline:
		l.turn(e.Agent, desk.Offline)
	case desk.RequestMade:
		l.requests[seq] = requestEntry{client: e.Client, made: at, state: desk.Queued.String()}
		l.wait(seq, true, at)
	case desk.OfferMade:
		l.turn(e.Agent, desk.Init)
		l.offered[seq] = e.Request
		r := l.requests[e.Request]
		if !r.offered {
			r.offered, r.atOnce = true, at == r.made
			l.requests[e.Request] = r
		}
	case desk.OfferAccepted:
		delete(l.offered, e.Offer)
		l.turn(e.Agent, desk.Busy)
		l.sessions[seq] = &sessionEntry{request: e.Request, agent: e.Agent, client: e.Client}
		l.wait(e.Request, false, at)
		l.state(e.Request, desk.Assigned)
	case desk.OfferEnded:
		delete(l.offered, e.Offer)
		l.turn(e.Agent, e.State)
	case desk.SessionFinished:
		if s := l.sessions[e.Session]; s != nil {
			s.ended = true
		}
		l.turn(e.Agent, e.State)
		l.state(e.Request, e.Then)
		l.wait(e.Request, e.Then == desk.Queued, at)
	case desk.RequestEnded:
		l.state(e.Request, e.Then)
		l.wait(e.Request, false, at)
	}
}

func (l *ledger) turn(agent string, to desk.AgentState) {
	was, ok := desk.ParseAgentState(l.agents[agent])
	if ok {
		l.lines.now.states[was]--
	}
	l.lines.now.states[to]++
	l.agents[agent] = to.String()
}

func (l *ledger) state(request uint64, to desk.RequestState) {
	r := l.requests[request]
	r.state = to.String()
	l.requests[request] = r
}

func (l *ledger) wait(request uint64, waits bool, at desk.Time) {
	p := &l.lines
	_, waited := p.waiting[request]
	switch {
	case waits && !waited:
		p.waiting[request] = at
		p.oldest = append(p.oldest, waiter{request, at})
		p.now.waiting++
	case !waits && waited:
		delete(p.waiting, request)
		p.now.waiting--
	}
}

// heard notes what was heard last, and compares a session that was shown: whose it is, and whether it is over.
func (l *ledger) heard(h *heard) {
	if r := h.Request; r != nil && h.AsOf >= l.last.requests[r.ID].asOf {
		l.last.requests[r.ID] = lastState{h.AsOf, r.State.String()}
	}
	if a := h.Agent; a != nil && h.AsOf >= l.last.agents[h.To].asOf {
		l.last.agents[h.To] = lastState{h.AsOf, a.State.String()}
	}
	s := h.session
	if s == nil {
		return
	}
	e := l.sessions[s.id]
	if e == nil {
		l.look("J1", false, "%s heard of session %d as of event %d, which does not exist", h.To, s.id, h.AsOf)
		return
	}
	l.look("D2", e.request == s.request && e.agent == s.agent && e.client == s.client && (h.To == s.agent || h.To == s.client),
		"%s heard that session %d is of %s and %s, by request %d; it is of %s and %s, by %d", h.To, s.id, s.agent, s.client, s.request, e.agent, e.client, e.request)
	l.look("J1", e.ended == s.ended, "%s heard of session %d as of event %d that it is over: %v; by the log that is %v", h.To, s.id, h.AsOf, s.ended, e.ended)
}
