package server

import (
	"encoding/hex"
	"math"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/internal/live"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// hello says who comes. Said again, it prolongs the connection of the same somebody.
func (s *socket) hello(m *wire.Message) {
	if m.Token != "" && m.Ticket != "" {
		s.fail(m.ID, invalid("ticket", "cannot go with token"))
		s.end(wire.CloseMalformed, "hello")
		return
	}
	if err := seat.ValidID("person", m.Person); m.Person != "" && err != nil {
		s.fail(m.ID, err)
		s.end(wire.CloseMalformed, "hello")
		return
	}
	id, ok := s.prove(m)
	if !ok {
		s.deny(m, &notKnown, wire.CloseUnauthorized, "no valid token")
		return
	}
	s.unnamed(m, &id)
	who, may, err := comes(m, &id, s.realm)
	switch {
	case err != nil:
		s.fail(m.ID, err)
		s.end(wire.CloseMalformed, "hello")
		return
	case may == forbidden:
		s.deny(m, &notForYou, wire.CloseForbidden, "the token is not for this")
		return
	case may == elsewhere:
		s.nowhere(m, holdfast.UnknownRealm)
		return
	case may == otherDesk:
		s.nowhere(m, desk.UnknownDesk)
		return
	}
	if s.known.Load() {
		s.prolong(m, id, who)
		return
	}
	exists := false
	if _, err := s.house.engine.Read(func(st *holdfast.State) { exists = st.Realm(s.realm) != nil }); err != nil {
		s.fail(m.ID, err)
		s.end(wire.CloseFailed, "")
		return
	}
	if !exists {
		s.nowhere(m, holdfast.UnknownRealm)
		return
	}
	if !s.house.heads.enter(&id) {
		s.house.metrics.turned[byPerson].Inc()
		p := tooMany
		p.RetryAfterMS = time.Minute.Milliseconds()
		s.problem(m.ID, &p, "", "")
		s.end(wire.CloseFlood, "more connections than a person has")
		return
	}
	if who.agent != "" && !s.attach(m, who) {
		s.house.heads.leave(&id)
		return
	}
	s.welcome(m, id, who)
}

// deny closes the connection of who may not, and counts them.
func (s *socket) deny(m *wire.Message, p *wire.Problem, code int, reason string) {
	s.house.metrics.denied[p.Code].Inc()
	s.problem(m.ID, p, "", "")
	s.end(code, reason)
}

// nowhere: there is no such realm, desk or agent, or not for them.
func (s *socket) nowhere(m *wire.Message, code holdfast.Code) {
	p := wire.Refused(&seat.Refusal{Code: code}, "")
	s.problem(m.ID, &p, "", "")
	s.end(wire.CloseNotFound, nothingThere[code])
}

// nothingThere is why a connection is closed with 4404.
var nothingThere = map[holdfast.Code]string{
	holdfast.UnknownRealm: "no such realm", desk.UnknownDesk: "no such desk", desk.UnknownAgent: "no such agent",
}

// prove finds out who comes.
func (s *socket) prove(m *wire.Message) (id auth.Identity, ok bool) {
	var err error
	switch {
	case s.house.auth == nil:
		return everybody, true
	case m.Token != "":
		id, err = s.house.check(m.Token)
	case m.Ticket != "":
		id, err = s.house.redeem(m.Ticket, s.realm, s.origin)
	case s.header != nil && !s.known.Load():
		return *s.header, s.house.auth.Holds(*s.header)
	default:
		return id, false
	}
	return id, err == nil
}

// welcome lets them in.
func (s *socket) welcome(m *wire.Message, id auth.Identity, who who) {
	s.id, s.person, s.who = id, who.person, who
	s.header = nil
	s.most = s.house.cfg.SocketPending
	many := s.person == "" && !s.atDesk()
	if many {
		s.most = s.house.cfg.BackendPending
		s.mu.Lock()
		s.limit = s.house.cfg.BackendQueue
		s.mu.Unlock()
	}
	if single(&id) {
		s.mu.Lock()
		s.flood.watched = true
		s.mu.Unlock()
		s.line.budget.Store(personBurst)
	} else {
		s.line.budget.Store(math.MaxInt64 / 2)
	}
	s.known.Store(true)
	s.house.gauges.came(id.Role, 1)
	s.house.strangers.leave()
	s.house.sweeper.known(s, id.Expires)
	s.greet(m)
	if many {
		return
	}
	hub, err := s.house.live()
	if err != nil {
		s.end(wire.CloseFailed, "")
		return
	}
	since := live.Cursor{Log: m.Log, Seq: m.Seq}
	switch {
	case s.agent != "":
		s.device.Store(hub.WatchAgent(s.realm, s.desk, s.agent, s.conn, s))
	case s.client != "":
		s.conn = s.house.leaver.last.Add(1)
		s.requests = hub.WatchClient(s.realm, s.client, s.id.Desk, s.conn, since, s)
		s.join()
	default:
		s.watch = hub.Watch(s.realm, s.person, since, s)
	}
}

func (s *socket) greet(m *wire.Message) {
	at := s.house.engine.Durable()
	h := wire.Hello{Reply: m.ID, Realm: s.realm, Role: string(s.id.Role), Person: s.person, Desk: s.desk, Agent: s.agent, Client: s.client, Log: hex.EncodeToString(at.LogID[:]), AsOf: at.Seq,
		Time: s.house.engine.Now(), PingMS: s.beats().Milliseconds()}
	s.message(h.Append)
}

// unnamed fills in whom a hello again is for, at desks: whom a token may name, it need not name again.
func (s *socket) unnamed(m *wire.Message, id *auth.Identity) {
	switch {
	case !s.known.Load() || !s.atDesk() || m.Person != "" || m.Agent != "" || m.Client != "" || m.Desk != "":
	case !single(id):
		m.Agent, m.Client, m.Desk = s.agent, s.client, s.desk
	case id.Role == auth.Agent && id.Desk == "":
		m.Desk = s.desk
	}
}

// prolong takes a fresh token of the same somebody.
func (s *socket) prolong(m *wire.Message, id auth.Identity, who who) {
	named := m.Person != "" || m.Agent != "" || m.Client != ""
	if id.Role != s.id.Role || id.Realm != s.id.Realm || id.Person != s.id.Person || id.Desk != s.id.Desk || named && who != s.who {
		s.deny(m, &notForYou, wire.CloseForbidden, "another than before")
		return
	}
	s.id = id
	s.house.sweeper.known(s, id.Expires)
	s.greet(m)
}

// expired closes the connection of who is nobody any more.
func (s *socket) expired() bool {
	if s.id.Expires.IsZero() || time.Now().Before(s.id.Expires) {
		return false
	}
	s.end(wire.CloseUnauthorized, "the token has expired")
	return true
}

// recheck asks again who it is: keys have changed, or time has passed.
func (s *socket) recheck() {
	if s.house.auth == nil || !s.known.Load() || s.expired() {
		return
	}
	if !s.house.auth.Holds(s.id) {
		s.end(wire.CloseUnauthorized, "the token is not valid any more")
	}
}
