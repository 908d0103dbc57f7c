package desk

import "slices"

// request is one client's ask, with its offers and sessions.
type request struct {
	id uint64
	whose
	ask     Ask
	course  course
	conns   []uint64
	absence        // of the client
	agent   *agent // Offering, Assigned
	past
	made  Time
	timer timer
	stamp
}

// past is a request's offers and sessions, the last one last. Most have one of each, which lies in the request itself.
type past struct {
	offers       []offer
	sessions     []session
	firstOffer   [1]offer
	firstSession [1]session
}

// whose is where a request belongs.
type whose struct {
	desk   *desk
	topic  *topic
	client *client
}

// course is how far a request has come.
type course struct {
	state   RequestState
	cause   Cause // of the end
	in      list
	expires Time
	reason  string
}

// list says in which line a request stands.
type list uint8

const (
	inNone list = iota
	inLine
	inAway
)

// offer is one offer of a request.
type offer struct {
	id       uint64
	agent    string
	state    OfferState
	cause    Cause
	received bool
	made     Time
	end      Time // Slack included
	receipt  Time // when it must have been received; zero: it need not
	session  uint64
	reason   string
}

// session is one session of a request.
type session struct {
	id     uint64
	offer  uint64
	agent  string
	began  Time
	joinBy Time // zero: the client was there, or came
	ended  Time
	joined bool
	cause  Cause
	then   RequestState // what became of the request; Assigned while it lives
	reason string
}

// gone says whether the client has no connection and needs one.
func (r *request) gone() bool { return len(r.conns) == 0 && r.ask.Reach == Socket }

// tried says whether the agent has declined the request. They are known from the offers, by name: somebody who was removed
// and put again has still declined.
func (r *request) tried(name string) bool {
	for i := range r.offers {
		if o := &r.offers[i]; o.declined() && o.agent == name {
			return true
		}
	}
	return false
}

// declined says whether the agent did not want the request, went away from it (T11), or did not answer.
func (o *offer) declined() bool { return o.state == Rejected || o.state == TimedOut }

// offer gives the last offer; there is one.
func (r *request) offer() *offer { return &r.offers[len(r.offers)-1] }

// session gives the last session; there is one.
func (r *request) session() *session { return &r.sessions[len(r.sessions)-1] }

func (r *request) offerOf(id uint64) *offer {
	for i := len(r.offers) - 1; i >= 0; i-- {
		if r.offers[i].id == id {
			return &r.offers[i]
		}
	}
	return nil
}

func (r *request) sessionOf(id uint64) *session {
	for i := len(r.sessions) - 1; i >= 0; i-- {
		if r.sessions[i].id == id {
			return &r.sessions[i]
		}
	}
	return nil
}

// hangs is when a pending offer ends: earlier than its end while the agent is away (T9).
func (r *request) hangs() Time {
	end := r.offer().end
	if r.agent.until != 0 {
		end = min(end, r.agent.until)
	}
	return end
}

// receiptDue is when a pending offer must have been received; zero: it has been, or need not, or the agent is away (T9).
func (r *request) receiptDue() Time {
	if o := r.offer(); !o.received && r.agent.here() {
		return o.receipt
	}
	return 0
}

// due is when something happens to the request of itself; zero: never.
func (r *request) due() Time {
	switch r.course.state {
	case Queued:
		return earliest(r.until, r.course.expires)
	case Offering:
		return earliest(r.until, r.course.expires, r.receiptDue(), r.hangs())
	case Assigned:
		return r.session().joinBy
	}
	return 0
}

// keepRequest follows a change of the request: the line, the timer, the stamp.
func (s *State) keepRequest(r *request, now stamp) {
	r.stamp = now
	in := inNone
	if r.course.state == Queued {
		in = inLine
		if r.gone() {
			in = inAway
		}
	}
	if in != r.course.in {
		r.move(in)
		r.topic.version = now.seq
	}
	s.timers.set(&r.timer, r.due())
}

func (r *request) move(in list) {
	switch r.course.in {
	case inLine:
		r.topic.line.leave(r)
	case inAway:
		r.topic.away.leave(r)
	}
	switch in {
	case inLine:
		r.topic.line.join(r)
	case inAway:
		r.topic.away.join(r)
	}
	r.course.in = in
}

// turn gives a live request another state.
func (r *request) turn(state RequestState) {
	r.desk.asks[r.course.state]--
	r.course.state = state
	if state.Live() {
		r.desk.asks[state]++
	}
}

// finish ends the request; it stays for a while for who asks.
func (s *State) finish(r *request, now stamp, then RequestState, cause Cause, reason string) {
	r.turn(then)
	r.stamp = now
	r.course.cause, r.course.reason = cause, reason
	r.conns, r.agent, r.absence = nil, nil, absence{}
	r.topic.live--
	r.client.live = without(r.client.live, r)
	r.client.ended.add(r.seq, r)
	s.finished.push(r)
}

// forget takes a request that has ended out of the state.
func (s *State) forget(r *request) {
	s.ids.drop(r.id)
	for i := range r.offers {
		s.ids.drop(r.offers[i].id)
	}
	for i := range r.sessions {
		s.ids.drop(r.sessions[i].id)
	}
	if r.ask.Key != "" {
		delete(s.keys, requestKey{r.desk, r.client.name, r.ask.Key})
	}
	r.desk.requests.remove(r.id)
	if r.client.ended.remove(r.seq); r.client.empty() {
		delete(s.clients, r.client.name)
	}
	s.requests--
}

// empty says whether nothing of the client is in the state.
func (c *client) empty() bool { return len(c.live) == 0 && c.ended.len() == 0 }

func without(rows []*request, r *request) []*request {
	i := slices.Index(rows, r)
	return slices.Delete(rows, i, i+1)
}

// purge forgets what ended long ago, a few at a time.
func (s *State) purge(at Time) {
	for range purgeStep {
		r := s.finished.first()
		if r == nil || s.finished.len() <= MaxFinished && r.at.Add(KeepFinished) >= at {
			return
		}
		s.finished.pop()
		s.forget(r)
	}
}

// purgeStep is how many finished requests one event may forget: more than one event adds.
const purgeStep = 16
