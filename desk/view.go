package desk

import (
	"cmp"
	"slices"
)

// maxLook bounds how many rows one page of Requests or Sessions looks at.
const maxLook = 10_000

func (d *desk) view() DeskView {
	v := DeskView{Name: d.name, Config: d.config.clone(), States: d.states, Ready: d.topics[0].ring.count,
		Waiting: d.asks[Queued], Offering: d.asks[Offering], Sessions: d.asks[Assigned], Seq: d.put.seq, At: d.put.at}
	for _, n := range d.states {
		v.Agents += n
	}
	for _, p := range d.served() {
		v.Oldest = earliest(v.Oldest, p.line.oldest(), p.away.oldest())
	}
	return v
}

func (a *agent) view() AgentView {
	v := AgentView{Desk: a.desk.name, Agent: a.name, Profile: Profile{cloneAll(a.profile.Topics), a.profile.Reach},
		State: a.state, Accepting: a.accepting, Ready: a.inRing, Away: !a.here(), Silent: a.silent, Misses: a.misses,
		NotBefore: a.notBefore, Until: a.until, Seq: a.seq, At: a.at}
	if len(a.conns) > 0 {
		v.Connections = append(v.Connections, a.conns...)
	}
	switch a.state {
	case Idle:
		v.IdleSince = a.idle.at
	case Init:
		v.Offer = a.current.offerView(a.current.offer())
	case Busy:
		v.Session = a.current.sessionView(a.current.session())
	}
	return v
}

func (r *request) view() *RequestView {
	v := &RequestView{ID: r.id, Desk: r.desk.name, Client: r.client.name, Ask: r.ask, State: r.course.state,
		Attempts: uint32(len(r.offers)), Made: r.made, Cause: r.course.cause, Reason: r.course.reason, Seq: r.seq, At: r.at}
	if len(r.sessions) > 0 {
		v.Session = r.session().id
	}
	switch state := r.course.state; {
	case state.Waits():
		v.Expires, v.Until = r.course.expires, r.until
		if state == Queued {
			v.Position = r.position()
			break
		}
		v.Offer, v.Agent = r.offer().id, r.agent.name
	case state == Assigned:
		v.Agent, v.Until = r.agent.name, r.session().joinBy
	case state == Done || state == Aborted:
		v.Agent = r.session().agent
	}
	v.Away = r.course.state.Live() && r.gone()
	return v
}

// position is the request's place among all that are queued at the desk.
func (r *request) position() uint32 {
	before := 0
	for _, p := range r.desk.served() {
		before += p.line.rank(r) + p.away.rank(r)
	}
	return uint32(before) + 1
}

func (r *request) offerView(o *offer) *OfferView {
	v := &OfferView{ID: o.id, Desk: r.desk.name, Agent: o.agent, Request: r.id, Client: r.client.name, Topic: r.ask.Topic,
		Priority: r.ask.Priority, Data: r.ask.Data, State: o.state, Made: o.made, Deadline: o.end.Add(-Slack),
		Received: o.received, Cause: o.cause, Reason: o.reason, Session: o.session}
	for i := range r.offers {
		if r.offers[i].id <= o.id {
			v.Attempt++
		}
	}
	return v
}

func (r *request) sessionView(stay *session) *SessionView {
	return &SessionView{ID: stay.id, Desk: r.desk.name, Agent: stay.agent, Client: r.client.name, Request: r.id, Offer: stay.offer,
		Topic: r.ask.Topic, Data: r.ask.Data, Began: stay.began, Joined: stay.joined, JoinBy: stay.joinBy, Ended: stay.ended,
		Cause: stay.cause, Reason: stay.reason}
}

// Desk shows one desk; false: there is none of that name.
func (s *State) Desk(name string) (DeskView, bool) {
	d := s.desks[name]
	if d == nil {
		return DeskView{}, false
	}
	return d.view(), true
}

// Desks shows at most most desks in the order they were made, behind the one named after ("" = from the first). An unknown
// after gives none.
func (s *State) Desks(after string, most int) []DeskView {
	from := 0
	if after != "" {
		d := s.desks[after]
		if d == nil {
			return nil
		}
		from = int(d.number)
	}
	var rows []DeskView
	for _, d := range s.order[from:] {
		if len(rows) >= most {
			break
		}
		rows = append(rows, d.view())
	}
	return rows
}

// Agent shows one agent; false: the desk or the agent is not there.
func (s *State) Agent(desk, agent string) (AgentView, bool) {
	a, refusal := s.lookup(desk, agent)
	if refusal != "" {
		return AgentView{}, false
	}
	return a.view(), true
}

// Agents shows at most most agents of a desk in the order they were made, behind the one named after ("" = from the first).
// An unknown desk or after gives none.
func (s *State) Agents(desk, after string, most int) []AgentView {
	d := s.desks[desk]
	if d == nil {
		return nil
	}
	from := uint64(0)
	if after != "" {
		a := d.agents[after]
		if a == nil {
			return nil
		}
		from = a.number + 1
	}
	var rows []AgentView
	for _, row := range d.roll.from(from) {
		if len(rows) >= most {
			break
		}
		if row.of != nil {
			rows = append(rows, row.of.view())
		}
	}
	return rows
}

// Ring shows at most most ready agents for a topic, the one who is next first; an empty topic is all of the desk. An
// unknown one gives none.
func (s *State) Ring(desk, topic string, most int) []AgentView {
	d := s.desks[desk]
	if d == nil {
		return nil
	}
	p := d.find(topic)
	if p == nil {
		return nil
	}
	var rows []AgentView
	for l := p.ring.first(); l != nil && len(rows) < most; l = p.ring.after(l) {
		rows = append(rows, l.agent.view())
	}
	return rows
}

// Request shows one request; false: it is not there (any more).
func (s *State) Request(desk string, id uint64) (RequestView, bool) {
	r, _ := s.requestAt(desk, id)
	if r == nil {
		return RequestView{}, false
	}
	return *r.view(), true
}

// Requests shows a desk's requests that are wanted, the oldest first, from the id cursor on (0 = the first). next is the
// cursor of the following page, 0 at the end; a page may have fewer than most rows, even none, and still a next.
func (s *State) Requests(desk string, cursor uint64, want func(RequestState) bool, most int) (rows []RequestView, next uint64) {
	next = s.page(desk, cursor, func(r *request) bool {
		if want(r.course.state) {
			if len(rows) >= most {
				return false
			}
			rows = append(rows, *r.view())
		}
		return true
	})
	return rows, next
}

// page walks a desk's requests from a cursor on until take will have no more, and gives the cursor of the next page.
func (s *State) page(desk string, cursor uint64, take func(*request) bool) (next uint64) {
	d := s.desks[desk]
	if d == nil {
		return 0
	}
	for i, row := range d.requests.from(cursor) {
		if i >= maxLook || row.of != nil && !take(row.of) {
			return row.number
		}
	}
	return 0
}

// OfClient shows what a client has asked, at all desks of the realm: what lives, and what ended behind the event since. In
// the order of their ids, at most most, and of what ended no more than the last ones.
func (s *State) OfClient(client string, since uint64, most int) []RequestView {
	c := s.clients[client]
	if c == nil {
		return nil
	}
	shown := slices.Clone(c.live)
	if since < s.seq {
		ended := c.ended.from(since + 1)
		for _, row := range ended[max(0, len(ended)-most):] {
			if row.of != nil {
				shown = append(shown, row.of)
			}
		}
	}
	slices.SortFunc(shown, func(a, b *request) int { return cmp.Compare(a.id, b.id) })
	rows := make([]RequestView, 0, min(len(shown), most))
	for _, r := range shown[:cap(rows)] {
		rows = append(rows, *r.view())
	}
	return rows
}

// Offer shows one offer; false: it is not there (any more).
func (s *State) Offer(desk string, id uint64) (OfferView, bool) {
	d, r := s.desks[desk], s.ids.find(id)
	if d == nil || r == nil || r.desk != d {
		return OfferView{}, false
	}
	o := r.offerOf(id)
	if o == nil {
		return OfferView{}, false
	}
	return *r.offerView(o), true
}

// Offers shows the offers of a request, the first first.
func (s *State) Offers(desk string, request uint64) []OfferView {
	r, _ := s.requestAt(desk, request)
	if r == nil {
		return nil
	}
	rows := make([]OfferView, len(r.offers))
	for i := range r.offers {
		rows[i] = *r.offerView(&r.offers[i])
	}
	return rows
}

// Session shows one session; false: it is not there (any more).
func (s *State) Session(desk string, id uint64) (SessionView, bool) {
	d := s.desks[desk]
	if d == nil {
		return SessionView{}, false
	}
	r, stay := s.sessionAt(d, id)
	if stay == nil {
		return SessionView{}, false
	}
	return *r.sessionView(stay), true
}

// Sessions shows a desk's sessions, the oldest first; cursor and next as in Requests, but of the session's request. A
// request that had several, because agents were lost, has them in one page, which may so have more than most rows.
func (s *State) Sessions(desk string, cursor uint64, want func(live bool) bool, most int) (rows []SessionView, next uint64) {
	next = s.page(desk, cursor, func(r *request) bool {
		full := len(rows) >= most
		for i := range r.sessions {
			stay := &r.sessions[i]
			if !want(stay.then == Assigned) {
				continue
			}
			if full {
				return false
			}
			rows = append(rows, *r.sessionView(stay))
		}
		return true
	})
	return rows, next
}

// Availability shows what clients are told of a topic of a desk, "" where it has none; false: there is no such topic.
// In the warm-up after a start a desk that keeps no queue is open only where more are ready than wait.
func (s *State) Availability(desk, topic string) (Availability, bool) {
	d := s.desks[desk]
	if d == nil {
		return Availability{}, false
	}
	p := d.topic(topic)
	if p == nil {
		return Availability{}, false
	}
	return Availability{Desk: d.name, Topic: p.name, Open: d.takes(p) == "", Idle: p.ring.count, Waiting: p.waiting(),
		Version: p.version}, true
}

// DeskCount is the number of desks.
func (s *State) DeskCount() int { return len(s.order) }

// Counts says how much the state holds: desks, agents, requests (ended ones too).
func (s *State) Counts() (desks, agents, requests int) { return len(s.order), s.agents, s.requests }
