package desk

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"holdfast/internal/rule"
)

// The snapshot of a State: what cannot be derived, in the order in which it was made, so that equal states have equal bytes.
// A record is a uv length and its bytes; conns is uv count and each a uv.
//
//	uv last event · uv desks, each:
//	  record of the desk: str name · Config · uv seq · uv at · uv warm · for all of the desk and each topic: uv version
//	  uv agents, each a record: str name · Profile · u8 state · u8 accepting 1, silent 2, away since a start 4 · uv misses
//	    uv idle seq · uv idle at · uv not before · uv until · uv seq · uv at · conns
//	  uv requests, each a record: uv id · str client · Ask · u8 state · u8 cause · u8 away since a start · uv made
//	    uv expires · uv until · uv seq · uv at · str reason · conns
//	    uv offers, each: uv id · str agent · u8 state · u8 cause · u8 received · uv made · uv end · uv receipt · uv session
//	      str reason
//	    uv sessions, each: uv id · uv offer · str agent · u8 state · u8 cause · u8 joined · uv began · uv join by · uv ended
//	      str reason

// maxRecord bounds a record in bytes: a request with MaxAttempts offers and as many sessions, each with a reason.
const maxRecord = 2*MaxAttempts*(MaxReason+2*MaxID) + 8<<10

var errSnapshot = errors.New("snapshot: malformed desks")

// WriteSnapshot writes the whole state. It only reads s. Equal states give equal bytes.
func (s *State) WriteSnapshot(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	var b []byte
	number := func(n int) { out.Write(binary.AppendUvarint(nil, uint64(n))) }
	record := func() {
		number(len(b))
		out.Write(b) // bufio keeps the first error; Flush gives it
		b = b[:0]
	}
	out.Write(binary.AppendUvarint(nil, s.seq))
	number(len(s.order))
	for _, d := range s.order {
		b = d.appendTo(b)
		record()
		number(len(d.agents))
		for _, row := range d.roll.rows {
			if row.of != nil {
				b = row.of.appendTo(b)
				record()
			}
		}
		number(d.requests.len())
		for _, row := range d.requests.rows {
			if row.of != nil {
				b = row.of.appendTo(b)
				record()
			}
		}
	}
	return out.Flush()
}

func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func bit(is bool, value byte) byte {
	if is {
		return value
	}
	return 0
}

func (d *desk) appendTo(b []byte) []byte {
	b = rule.AppendString(b, d.name)
	b = d.config.append(b)
	b = appendNumbers(b, d.put.seq, uint64(d.put.at), uint64(d.warm))
	for _, p := range d.topics {
		b = binary.AppendUvarint(b, p.version)
	}
	return b
}

func (a *agent) appendTo(b []byte) []byte {
	b = rule.AppendString(b, a.name)
	b = append(appendTopics(b, a.profile.Topics), byte(a.profile.Reach), byte(a.state),
		bit(a.accepting, 1)|bit(a.silent, 2)|bit(a.started, 4))
	b = appendNumbers(b, uint64(a.misses), a.idle.seq, uint64(a.idle.at), uint64(a.notBefore), uint64(a.until), a.seq, uint64(a.at),
		uint64(len(a.conns)))
	return appendNumbers(b, a.conns...)
}

func (r *request) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, r.id)
	b = rule.AppendString(b, r.client.name)
	b = r.ask.append(b)
	b = append(b, byte(r.course.state), byte(r.course.cause), bit(r.started, 1))
	b = appendNumbers(b, uint64(r.made), uint64(r.course.expires), uint64(r.until), r.seq, uint64(r.at))
	b = rule.AppendString(b, r.course.reason)
	b = binary.AppendUvarint(b, uint64(len(r.conns)))
	b = appendNumbers(b, r.conns...)
	b = binary.AppendUvarint(b, uint64(len(r.offers)))
	for i := range r.offers {
		o := &r.offers[i]
		b = rule.AppendString(binary.AppendUvarint(b, o.id), o.agent)
		b = append(b, byte(o.state), byte(o.cause), bit(o.received, 1))
		b = appendNumbers(b, uint64(o.made), uint64(o.end), uint64(o.receipt), o.session)
		b = rule.AppendString(b, o.reason)
	}
	b = binary.AppendUvarint(b, uint64(len(r.sessions)))
	for i := range r.sessions {
		stay := &r.sessions[i]
		b = rule.AppendString(appendNumbers(b, stay.id, stay.offer), stay.agent)
		b = append(b, byte(stay.then), byte(stay.cause), bit(stay.joined, 1))
		b = appendNumbers(b, uint64(stay.began), uint64(stay.joinBy), uint64(stay.ended))
		b = rule.AppendString(b, stay.reason)
	}
	return b
}

// reader reads records; after the first fault err is set and all it gives is empty.
type reader struct {
	in  *bufio.Reader
	err error
	buf []byte
}

func (in *reader) number() uint64 {
	var v uint64
	for i := 0; in.err == nil; i++ {
		c, err := in.in.ReadByte()
		switch {
		case err != nil:
			in.err = fmt.Errorf("snapshot: cut short: %w", err)
		case i == 9 && c > 1 || i > 0 && c == 0:
			in.err = errSnapshot
		case c < 0x80:
			return v | uint64(c)<<(7*i)
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	return 0
}

// record gives the next record. Its strings share one piece of memory.
func (in *reader) record() *rule.Decoder {
	size := in.number()
	if size > maxRecord && in.err == nil {
		in.err = errSnapshot
	}
	if in.err != nil {
		return &rule.Decoder{Bad: true}
	}
	if uint64(cap(in.buf)) < size {
		in.buf = make([]byte, size)
	}
	b := in.buf[:size]
	if _, err := io.ReadFull(in.in, b); err != nil {
		in.err = fmt.Errorf("snapshot: cut short: %w", err)
		return &rule.Decoder{Bad: true}
	}
	return &rule.Decoder{Rest: string(b)}
}

// done says whether a record was read to its end, without a fault.
func (in *reader) done(d *rule.Decoder) bool {
	if in.err == nil && !d.Done() {
		in.err = errSnapshot
	}
	return in.err == nil
}

// ReadSnapshot reads what WriteSnapshot wrote, and nothing behind it. An error means that it is no snapshot of a state that
// events could have made.
func ReadSnapshot(r *bufio.Reader) (*State, error) {
	in := &reader{in: r}
	s := NewState()
	s.seq = in.number()
	for desks := in.number(); desks > 0 && in.err == nil; desks-- {
		s.readDesk(in)
	}
	if in.err != nil {
		return nil, in.err
	}
	s.derive()
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return s, nil
}

func (s *State) readDesk(in *reader) {
	rec := in.record()
	d := &desk{name: rec.String(MaxID), number: uint64(len(s.order)) + 1, agents: map[string]*agent{}}
	d.config = decodeConfig(rec).clone()
	d.put = stamp{rec.Uvarint(), rec.Time()}
	d.warm = rec.Time()
	d.name = strings.Clone(d.name)
	d.timer = timer{kind: timerOfDesk, id: d.number, owner: d}
	d.retopic(stamp{})
	for _, p := range d.topics {
		p.version = rec.Uvarint()
	}
	if !in.done(rec) {
		return
	}
	if rule.ValidID("desk", d.name) != nil || s.desks[d.name] != nil {
		in.err = errSnapshot
		return
	}
	s.desks[d.name] = d
	s.order = append(s.order, d)
	for agents := in.number(); agents > 0 && in.err == nil; agents-- {
		s.readAgent(in, d)
	}
	for requests := in.number(); requests > 0 && in.err == nil; requests-- {
		s.readRequest(in, d)
	}
}

func (s *State) readAgent(in *reader, d *desk) {
	rec := in.record()
	a := &agent{name: rec.String(MaxID), desk: d}
	a.profile = Profile{Topics: decodeTopics(rec), Reach: Reach(rec.Byte())}
	a.state = AgentState(rec.Byte())
	flags := rec.Byte()
	a.accepting, a.silent, a.started = flags&1 != 0, flags&2 != 0, flags&4 != 0
	a.misses = rec.Uint32()
	a.idle = stamp{rec.Uvarint(), rec.Time()}
	a.notBefore, a.until = rec.Time(), rec.Time()
	a.stamp = stamp{rec.Uvarint(), rec.Time()}
	a.conns = decodeConns(rec)
	if !in.done(rec) {
		return
	}
	if rule.ValidID("agent", a.name) != nil || d.agents[a.name] != nil || int(a.state) >= AgentStates || flags > 7 ||
		a.profile.Valid() != nil || a.idle.seq > s.seq || a.seq > s.seq {
		in.err = errSnapshot
		return
	}
	d.enlisted++
	a.number = d.enlisted
	a.timer = timer{kind: timerOfAgent, id: d.number<<32 | a.number, owner: a}
	a.enlist()
	d.agents[a.name] = a
	d.roll.add(a.number, a)
	d.states[a.state]++
	s.agents++
}

func decodeConns(rec *rule.Decoder) []uint64 {
	count := rec.Uvarint()
	if count > MaxDevices+1 {
		rec.Fail()
	}
	var conns []uint64
	for ; count > 0 && !rec.Bad; count-- {
		conn := rec.Uvarint()
		if conn == 0 || slices.Contains(conns, conn) {
			rec.Fail()
		}
		conns = append(conns, conn)
	}
	return conns
}

func (s *State) readRequest(in *reader, d *desk) {
	rec := in.record()
	r := &request{id: rec.Uvarint(), whose: whose{desk: d}}
	client := rec.String(MaxID)
	r.ask = *decodeAsk(rec)
	r.course.state, r.course.cause = RequestState(rec.Byte()), Cause(rec.Byte())
	started := rec.Byte()
	r.started = started == 1
	r.made, r.course.expires, r.until = rec.Time(), rec.Time(), rec.Time()
	r.stamp = stamp{rec.Uvarint(), rec.Time()}
	r.course.reason = rec.String(MaxReason)
	r.conns = decodeConns(rec)
	d.decodeOffers(rec, r)
	d.decodeSessions(rec, r)
	if !in.done(rec) {
		return
	}
	r.topic = d.topic(r.ask.Topic)
	if r.topic == nil && !r.course.state.Live() {
		r.topic = &topic{name: r.ask.Topic} // taken away since
	}
	last := uint64(0)
	if n := len(d.requests.rows); n > 0 {
		last = d.requests.rows[n-1].number
	}
	if r.topic == nil || rule.ValidID("client", client) != nil || int(r.course.state) >= RequestStates || !r.course.cause.known() ||
		started > 1 || r.id <= last || r.id > s.seq || s.ids.find(r.id) != nil || !d.holds(r) || !s.index(r, client) {
		in.err = errSnapshot
	}
}

func (c Cause) known() bool { return int(c) < len(causeNames) }

func (d *desk) decodeOffers(rec *rule.Decoder, r *request) {
	count := rec.Uvarint()
	if count > MaxAttempts {
		rec.Fail()
	}
	for ; count > 0 && !rec.Bad; count-- {
		o := offer{id: rec.Uvarint(), agent: d.nameOf(rec.String(MaxID)), state: OfferState(rec.Byte()), cause: Cause(rec.Byte())}
		received := rec.Byte()
		o.received = received == 1
		o.made, o.end, o.receipt = rec.Time(), rec.Time(), rec.Time()
		o.session = rec.Uvarint()
		o.reason = rec.String(MaxReason)
		if int(o.state) >= OfferStates || !o.cause.known() || received > 1 || rule.ValidID("agent", o.agent) != nil {
			rec.Fail()
		}
		r.offers = append(r.offers, o)
	}
}

func (d *desk) decodeSessions(rec *rule.Decoder, r *request) {
	count := rec.Uvarint()
	if count > MaxAttempts {
		rec.Fail()
	}
	for ; count > 0 && !rec.Bad; count-- {
		stay := session{id: rec.Uvarint(), offer: rec.Uvarint(), agent: d.nameOf(rec.String(MaxID)), then: RequestState(rec.Byte()),
			cause: Cause(rec.Byte())}
		joined := rec.Byte()
		stay.joined = joined == 1
		stay.began, stay.joinBy, stay.ended = rec.Time(), rec.Time(), rec.Time()
		stay.reason = rec.String(MaxReason)
		if int(stay.then) >= RequestStates || !stay.cause.known() || joined > 1 || rule.ValidID("agent", stay.agent) != nil {
			rec.Fail()
		}
		r.sessions = append(r.sessions, stay)
	}
}

// nameOf gives the name as the desk keeps it, so that a record is not kept for it.
func (d *desk) nameOf(name string) string {
	if a := d.agents[name]; a != nil {
		return a.name
	}
	return strings.Clone(name)
}

// holds gives a request that is offered or assigned the agent it was with last; false: there is none.
func (d *desk) holds(r *request) bool {
	switch r.course.state {
	case Offering:
		if len(r.offers) > 0 {
			r.agent = d.agents[r.offer().agent]
		}
	case Assigned:
		if len(r.sessions) > 0 {
			r.agent = d.agents[r.session().agent]
		}
	default:
		return true
	}
	if r.agent == nil || r.agent.current != nil {
		return false
	}
	r.agent.current = r
	return true
}

// index puts a request where it is found; false: it stands in the way of another.
func (s *State) index(r *request, name string) bool {
	d := r.desk
	c := s.clients[name]
	if c == nil {
		c = &client{name: strings.Clone(name)}
		s.clients[c.name] = c
	}
	r.client = c
	if !s.indexIDs(r) {
		return false
	}
	if key := (requestKey{d, c.name, r.ask.Key}); r.ask.Key != "" {
		if s.keys[key] != nil {
			return false
		}
		s.keys[key] = r
	}
	s.requests++
	d.requests.add(r.id, r)
	r.timer = timer{kind: timerOfRequest, id: r.id, owner: r}
	if !r.course.state.Live() {
		s.finished.push(r)
		c.ended.add(r.seq, r)
		return len(r.conns) == 0 && r.absence == absence{}
	}
	if c.liveOf(d) != nil {
		return false
	}
	c.live = append(c.live, r)
	d.asks[r.course.state]++
	r.topic.live++
	return true
}

// indexIDs: ids are numbers of events, each of one thing, and rise.
func (s *State) indexIDs(r *request) bool {
	s.ids.put(r.id, r)
	taken := func(id, before uint64) bool {
		if id <= before || id > s.seq || s.ids.find(id) != nil {
			return true
		}
		s.ids.put(id, r)
		return false
	}
	before := r.id
	for i := range r.offers {
		if taken(r.offers[i].id, before) {
			return false
		}
		before = r.offers[i].id
	}
	before = r.id
	for i := range r.sessions {
		if taken(r.sessions[i].id, before) {
			return false
		}
		before = r.sessions[i].id
	}
	return r.seq <= s.seq
}

// derive makes what follows from desks, agents and requests: rings, lines, timers, and the orders across desks.
func (s *State) derive() {
	slices.SortFunc(s.finished.rows, func(a, b *request) int { return cmp.Compare(a.seq, b.seq) })
	byID := func(a, b *request) int { return cmp.Compare(a.id, b.id) }
	for _, c := range s.clients {
		slices.SortFunc(c.ended.rows, func(a, b row[request]) int { return cmp.Compare(a.number, b.number) })
		slices.SortFunc(c.live, byID)
	}
	for _, d := range s.order {
		versions := make([]uint64, len(d.topics))
		for i, p := range d.topics {
			versions[i] = p.version
		}
		d.deriveRings()
		for _, row := range d.roll.rows {
			s.timers.set(&row.of.timer, row.of.due())
		}
		waits := d.warm
		for _, row := range d.requests.rows {
			if row.of.course.state.Live() {
				s.keepRequest(row.of, row.of.stamp)
				waits = max(waits, 1)
			}
		}
		s.timers.set(&d.timer, waits)
		for i, p := range d.topics {
			p.version = versions[i]
		}
	}
}

func (d *desk) deriveRings() {
	var ready []*agent
	for _, row := range d.roll.rows {
		if row.of.ready() {
			ready = append(ready, row.of)
		}
	}
	slices.SortFunc(ready, func(a, b *agent) int { return cmp.Compare(a.idle.seq, b.idle.seq) })
	for _, a := range ready {
		a.enter(stamp{})
	}
}
