package mirror

import (
	"fmt"

	"holdfast/desk"
	"holdfast/seat"
)

// cells takes the columns of one row, in the order of its table. The two databases implement it.
type cells interface {
	text(s string)
	textOrNull(s string) // "" = null
	int64(n int64)
	idOrNull(id uint64) // 0 = null
	time(at seat.Time)
	timeOrNull(at seat.Time) // 0 = null
	bool(b bool)
}

// deskRecord is a row of a table of desks, whole. Both databases write it with the same statements, made from its layout.
type deskRecord interface {
	cells(to cells)
	// scan reads what the columns of the layout gave.
	scan(scan func(dest ...any) error) error
	name() string
	// was says whether the row was in the table before, and changed whether it is another than that now.
	was() bool
	changed() bool
}

// stored is what a row is to its table: whether it was there before, and which event led to what it is now.
type stored struct {
	old   bool // it was read from the table; else it is new
	dirty bool
	seq   uint64
	at    seat.Time
}

func (s *stored) was() bool     { return s.old }
func (s *stored) changed() bool { return s.dirty }

func (s *stored) mark(e *deskEvent) { s.dirty, s.seq, s.at = true, e.seq, e.at }

type deskKey struct{ realm, desk string }

func (k deskKey) name() string {
	return fmt.Sprintf("table desks, row realm=%s desk=%s", k.realm, k.desk)
}

// deskRow is a row of the table desks.
type deskRow struct {
	deskKey
	config string // JSON
	stored
}

func (r *deskRow) cells(to cells) {
	to.text(r.realm)
	to.text(r.desk)
	to.text(r.config)
	to.int64(int64(r.seq))
	to.time(r.at)
}

func (r *deskRow) scan(scan func(...any) error) error {
	c := columnsOf(scan)
	c.text(&r.realm)
	c.text(&r.desk)
	c.text(&r.config)
	r.stored.columns(c)
	return c.run()
}

type agentKey struct{ realm, desk, agent string }

func (k agentKey) name() string {
	return fmt.Sprintf("table agents, row realm=%s desk=%s agent=%s", k.realm, k.desk, k.agent)
}

// agentRow is a row of the table agents. Who was removed stays in it.
type agentRow struct {
	agentKey
	topics      string // JSON; "" = null: all of the desk's
	reach       string
	state       string
	accepting   bool
	connections int64
	since       seat.Time
	removed     seat.Time // 0 = null
	stored
}

func (r *agentRow) cells(to cells) {
	to.text(r.realm)
	to.text(r.desk)
	to.text(r.agent)
	to.textOrNull(r.topics)
	to.text(r.reach)
	to.text(r.state)
	to.bool(r.accepting)
	to.int64(r.connections)
	to.time(r.since)
	to.timeOrNull(r.removed)
	to.int64(int64(r.seq))
	to.time(r.at)
}

func (r *agentRow) scan(scan func(...any) error) error {
	c := columnsOf(scan)
	c.text(&r.realm)
	c.text(&r.desk)
	c.text(&r.agent)
	c.text(&r.topics)
	c.text(&r.reach)
	c.text(&r.state)
	c.bool(&r.accepting)
	c.number(&r.connections)
	c.time(&r.since)
	c.time(&r.removed)
	r.stored.columns(c)
	return c.run()
}

// turn says how the agent is after an event.
func (r *agentRow) turn(e *deskEvent, state desk.AgentState) {
	if name := state.String(); name != r.state {
		r.state, r.since = name, e.at
	}
	r.mark(e)
}

// requestRow is a row of the table requests.
type requestRow struct {
	id          uint64
	realm, desk string
	asked
	state   string
	moments requestTimes
	served
	stored
}

// asked is who asked for what.
type asked struct {
	client, topic    string
	priority         int64
	data, key, reach string
}

// requestTimes are the moments of a request; 0 = null, but for the first.
type requestTimes struct {
	made, expires, offered, assigned, ended seat.Time
}

// served is who has a request, and how it came out.
type served struct {
	attempts      int64
	agent         string
	session       uint64
	cause, reason string
}

func requestName(id uint64) string { return fmt.Sprintf("table requests, row request=%d", id) }

func (r *requestRow) name() string { return requestName(r.id) }

func (r *requestRow) cells(to cells) {
	to.int64(int64(r.id))
	to.text(r.realm)
	to.text(r.desk)
	to.text(r.client)
	to.textOrNull(r.topic)
	to.int64(r.priority)
	to.textOrNull(r.data)
	to.textOrNull(r.key)
	to.text(r.reach)
	to.text(r.state)
	to.time(r.moments.made)
	to.timeOrNull(r.moments.expires)
	to.timeOrNull(r.moments.offered)
	to.timeOrNull(r.moments.assigned)
	to.timeOrNull(r.moments.ended)
	to.int64(r.attempts)
	to.textOrNull(r.agent)
	to.idOrNull(r.session)
	to.textOrNull(r.cause)
	to.textOrNull(r.reason)
	to.int64(int64(r.seq))
	to.time(r.at)
}

func (r *requestRow) scan(scan func(...any) error) error {
	c := columnsOf(scan)
	c.id(&r.id)
	c.text(&r.realm)
	c.text(&r.desk)
	c.text(&r.client)
	c.text(&r.topic)
	c.number(&r.priority)
	c.text(&r.data)
	c.text(&r.key)
	c.text(&r.reach)
	c.text(&r.state)
	c.time(&r.moments.made)
	c.time(&r.moments.expires)
	c.time(&r.moments.offered)
	c.time(&r.moments.assigned)
	c.time(&r.moments.ended)
	c.number(&r.attempts)
	c.text(&r.agent)
	c.id(&r.session)
	c.text(&r.cause)
	c.text(&r.reason)
	r.stored.columns(c)
	return c.run()
}

// offerRow is a row of the table offers.
type offerRow struct {
	id          uint64
	realm, desk string
	request     uint64
	agent       string
	attempt     int64
	state       string
	moments     offerTimes
	session     uint64
	cause       string
	reason      string
	stored
}

// offerTimes are the moments of an offer; 0 = null, but for the first two.
type offerTimes struct {
	made, deadline, received, ended seat.Time
}

func offerName(id uint64) string { return fmt.Sprintf("table offers, row offer=%d", id) }

func (r *offerRow) name() string { return offerName(r.id) }

func (r *offerRow) cells(to cells) {
	to.int64(int64(r.id))
	to.text(r.realm)
	to.text(r.desk)
	to.int64(int64(r.request))
	to.text(r.agent)
	to.int64(r.attempt)
	to.text(r.state)
	to.time(r.moments.made)
	to.time(r.moments.deadline)
	to.timeOrNull(r.moments.received)
	to.timeOrNull(r.moments.ended)
	to.idOrNull(r.session)
	to.textOrNull(r.cause)
	to.textOrNull(r.reason)
	to.int64(int64(r.seq))
	to.time(r.at)
}

func (r *offerRow) scan(scan func(...any) error) error {
	c := columnsOf(scan)
	c.id(&r.id)
	c.text(&r.realm)
	c.text(&r.desk)
	c.id(&r.request)
	c.text(&r.agent)
	c.number(&r.attempt)
	c.text(&r.state)
	c.time(&r.moments.made)
	c.time(&r.moments.deadline)
	c.time(&r.moments.received)
	c.time(&r.moments.ended)
	c.id(&r.session)
	c.text(&r.cause)
	c.text(&r.reason)
	r.stored.columns(c)
	return c.run()
}

// sessionRow is a row of the table sessions.
type sessionRow struct {
	id             uint64
	agentKey       // realm, desk, agent
	client         string
	request, offer uint64
	began          seat.Time
	ended, wrap    seat.Time // 0 = null
	cause, reason  string
	stored
}

func sessionName(id uint64) string { return fmt.Sprintf("table sessions, row session=%d", id) }

func (r *sessionRow) name() string { return sessionName(r.id) }

func (r *sessionRow) cells(to cells) {
	to.int64(int64(r.id))
	to.text(r.realm)
	to.text(r.desk)
	to.text(r.agent)
	to.text(r.client)
	to.int64(int64(r.request))
	to.int64(int64(r.offer))
	to.time(r.began)
	to.timeOrNull(r.ended)
	to.timeOrNull(r.wrap)
	to.textOrNull(r.cause)
	to.textOrNull(r.reason)
	to.int64(int64(r.seq))
	to.time(r.at)
}

func (r *sessionRow) scan(scan func(...any) error) error {
	c := columnsOf(scan)
	c.id(&r.id)
	c.text(&r.realm)
	c.text(&r.desk)
	c.text(&r.agent)
	c.text(&r.client)
	c.id(&r.request)
	c.id(&r.offer)
	c.time(&r.began)
	c.time(&r.ended)
	c.time(&r.wrap)
	c.text(&r.cause)
	c.text(&r.reason)
	r.stored.columns(c)
	return c.run()
}
