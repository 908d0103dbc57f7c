package server

import (
	"cmp"
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/engine"
	"holdfast/internal/live"
	"holdfast/internal/wire"
)

// who is whom a connection is for: one of them, or nobody, which acts for many.
type who struct{ person, desk, agent, client string }

// party is what a connection of an agent or a client is at desks.
type party struct {
	who
	conn     uint64                          // its number in the log; 0: it has none
	device   atomic.Pointer[live.AgentWatch] // of an agent
	requests *live.ClientWatch               // of a client
	accepted uint64                          // the offer that was last accepted here
}

// atDesk says whether the connection is an agent's or a client's: it takes no command about seats.
func (p *party) atDesk() bool { return p.agent != "" || p.client != "" }

// comes says whom a hello is for, and whether the token is for that.
func comes(m *wire.Message, id *auth.Identity, realm string) (who, verdict, error) {
	switch {
	case m.Agent != "" || id.Role == auth.Agent:
		w := who{agent: cmp.Or(m.Agent, id.Person), desk: cmp.Or(m.Desk, id.Desk)}
		if m.Person != "" || m.Client != "" {
			return w, forbidden, nil
		}
		if w.desk == "" {
			return w, allowed, invalid("desk", "is missing: the token does not say at which desk")
		}
		return w, permitDesk(id, auth.Staff, []auth.Role{auth.Agent}, realm, w.desk, w.agent), nil
	case m.Desk != "":
		return who{}, allowed, invalid("desk", "goes with agent")
	case m.Client != "" || id.Role == auth.Client:
		w := who{client: cmp.Or(m.Client, id.Person)}
		if m.Person != "" || id.Role == auth.Client && w.client != id.Person {
			return w, forbidden, nil
		}
		return w, permitDesk(id, auth.Backend, []auth.Role{auth.Client}, realm, "", ""), nil
	}
	w := who{person: m.Person}
	if id.Role == auth.Person {
		w.person = id.Person
	}
	return w, permit(id, auth.Person, realm, m.Person), nil
}

// attach makes the connection one of an agent's devices; false: it is not, and is being closed.
func (s *socket) attach(m *wire.Message, w who) bool {
	s.conn = s.house.leaver.last.Add(1)
	s.who = w
	a, err := s.house.engine.Do(s.realm, desk.Attach{Desk: w.desk, Agent: w.agent, Conn: s.conn})
	switch {
	case err != nil:
		s.fail(m.ID, err)
		s.endFor(err)
		return false
	case deskResult(&a).Refused():
		s.nowhere(m, deskResult(&a).Refusal.Code)
		return false
	}
	return true
}

// endFor closes a connection that could not be noted in the log.
func (s *socket) endFor(err error) {
	if errors.Is(err, engine.ErrBusy) {
		s.end(wire.CloseCrowded, s.house.delay())
	} else {
		s.end(wire.CloseFailed, "")
	}
}

// live requests of a client have its connections: join adds this one where it is not one yet.
func (s *socket) join() {
	for _, at := range s.asked() {
		if _, err := s.house.engine.Do(s.realm, desk.AttachClient{Desk: at, Client: s.client, Conn: s.conn}); err != nil {
			s.endFor(err)
			return
		}
	}
}

// asked is at which desks the client has a live request that this connection may see.
func (s *socket) asked() (desks []string) {
	s.house.engine.Read(func(st *holdfast.State) { // an error means that the engine has ended
		r := st.Realm(s.realm)
		if r == nil {
			return
		}
		for _, row := range r.Desks.OfClient(s.client, math.MaxInt64, live.MostRequests) {
			if s.id.Desk == "" || s.id.Desk == row.Desk {
				desks = append(desks, row.Desk)
			}
		}
	})
	return desks
}

// hear takes whatever comes from an agent who is silent for a sign of life (T8).
func (s *socket) hear() {
	w := s.device.Load()
	if w == nil || !w.Silent() || s.closed {
		return
	}
	w.Heard(true)
	if _, err := s.house.engine.Do(s.realm, desk.Hear{Desk: s.desk, Agent: s.agent, Conn: s.conn}); err != nil {
		w.Heard(false) // the next sign of life tries again
	}
}

// part ends what the hub tells an agent or a client.
func (s *socket) part() {
	if w := s.device.Load(); w != nil {
		w.Close()
	}
	if s.requests != nil {
		s.requests.Close()
	}
}

// depart has the end of an agent's or client's connection decided. When the server stops it is not: that is no fault of theirs,
// and the engine's next start takes all connections away, with a grace for each.
func (s *socket) depart() {
	if s.conn == 0 || s.house.inside.closing() {
		return
	}
	if s.agent != "" {
		s.house.leave(s.house, s.realm, desk.Detach{Desk: s.desk, Agent: s.agent, Conn: s.conn})
		return
	}
	for _, at := range s.asked() {
		s.house.leave(s.house, s.realm, desk.DetachClient{Desk: at, Client: s.client, Conn: s.conn})
	}
}

// Tell implements live.Party.
func (s *socket) Tell(kinds []string, asOf uint64, lines []byte) {
	for _, kind := range kinds {
		s.house.gauges.pushed(kind)
	}
	s.push(true, asOf, lines)
}

// Over implements live.Party.
func (s *socket) Over(known bool) {
	if known {
		s.end(wire.CloseSuperseded, "another connection has taken its place")
	} else {
		s.end(wire.CloseNotFound, nothingThere[desk.UnknownAgent])
	}
}

// Join implements live.Party.
func (s *socket) Join() { s.nudge(func(n *nudges) { n.join = true }) }

// beats is how often the connection is pinged.
func (s *socket) beats() time.Duration {
	if s.agent != "" {
		return min(s.house.cfg.Ping, pingAgentVisits*s.house.cfg.SocketDead/(deadVisits+1))
	}
	return s.house.cfg.Ping
}

// leaver gives connections their numbers, and sees to it that the end of each is decided: while the engine is busy it tries
// again. One goroutine, and none while nothing waits. As many may wait as there were connections when it became busy: no
// further one is attached meanwhile.
type leaver struct {
	// last is the number of the last connection. Numbers begin anew with each server: the engine's start, which comes before,
	// has taken all connections away (6.3), so that none in the log is meant by two.
	last atomic.Uint64

	leaverQueue
}

type leaverQueue struct {
	mu      sync.Mutex // guards what follows
	waiting []departure
	running bool
}

// departure is the end of a connection that is still to be decided.
type departure struct {
	realm string
	body  holdfast.Body
}

// leaveAgain is how soon the end of a connection is tried again, at first and at most.
const (
	leaveAgain     = 10 * time.Millisecond
	leaveAgainMost = time.Second
)

func (l *leaver) leave(h *sockets, realm string, body holdfast.Body) {
	if _, err := h.engine.Do(realm, body); !errors.Is(err, engine.ErrBusy) {
		return // decided; or the engine has ended, and its next start takes the connection away
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, departure{realm, body})
	if !l.running {
		l.running = true
		h.crew.Go(func() { l.run(h.ctx, h.engine) })
	}
}

func (l *leaver) run(ctx context.Context, e *engine.Engine) {
	timer := time.NewTimer(leaveAgain)
	defer timer.Stop()
	for wait := leaveAgain; ; {
		select {
		case <-timer.C:
		case <-e.Done():
			return
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		list := l.waiting
		l.waiting = nil
		l.mu.Unlock()
		for len(list) > 0 {
			if _, err := e.Do(list[0].realm, list[0].body); errors.Is(err, engine.ErrBusy) {
				break
			}
			list, wait = list[1:], leaveAgain
		}
		l.mu.Lock()
		l.waiting = append(list, l.waiting...)
		if len(l.waiting) == 0 {
			l.waiting, l.running = nil, false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		wait = min(2*wait, leaveAgainMost)
		timer.Reset(wait)
	}
}
