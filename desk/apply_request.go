package desk

import (
	"fmt"
	"slices"
	"strings"
)

// applyRequest: a client asks.
func (s *State) applyRequest(now stamp, e *Event, d *desk) error {
	if e.Ask == nil {
		return fmt.Errorf("a request at desk %q without what is asked", e.Desk)
	}
	p := d.topic(e.Ask.Topic)
	c := s.clients[e.Client]
	if p == nil || c.liveOf(d) != nil || e.Ask.Key != "" && s.keys[requestKey{d, e.Client, e.Ask.Key}] != nil {
		return fmt.Errorf("%q asks desk %q for topic %q, which it has not, or asks twice", e.Client, e.Desk, e.Ask.Topic)
	}
	if c == nil {
		c = &client{name: strings.Clone(e.Client)}
		s.clients[c.name] = c
	}
	r := &request{id: now.seq, whose: whose{d, p, c}, made: now.at}
	r.ask = Ask{Topic: p.name, Priority: e.Ask.Priority, Data: strings.Clone(e.Ask.Data), Key: strings.Clone(e.Ask.Key), Reach: e.Ask.Reach}
	r.course.expires = e.Until
	r.timer = timer{kind: timerOfRequest, id: r.id, owner: r}
	if e.Conn != 0 {
		r.conns = append(r.conns, e.Conn)
	}
	if r.ask.Key != "" {
		s.keys[requestKey{d, c.name, r.ask.Key}] = r
	}
	s.ids.put(r.id, r)
	s.requests++
	d.requests.add(r.id, r)
	d.asks[Queued]++
	p.live++
	c.live = append(c.live, r)
	s.keepRequest(r, now)
	return nil
}

// applyClient folds what happens to a client's connections.
func (s *State) applyClient(now stamp, e *Event, r *request) error {
	there := slices.Contains(r.conns, e.Conn)
	if !r.course.state.Live() || there != (e.Kind == ClientDisconnected) || e.Conn == 0 || !there && len(r.conns) > MaxDevices {
		return fmt.Errorf("%s: connection %d of request %d is there already, or is not, or is one too many", e.Kind, e.Conn, r.id)
	}
	if there {
		r.conns = slices.DeleteFunc(r.conns, func(conn uint64) bool { return conn == e.Conn })
		r.until = e.Until
	} else {
		r.conns = append(r.conns, e.Conn)
		r.absence = absence{}
		if r.course.state == Assigned {
			stay := r.session()
			stay.joined, stay.joinBy = true, 0
		}
	}
	s.keepRequest(r, now)
	return nil
}

// applyOffer: the agent is asked.
func (s *State) applyOffer(now stamp, e *Event, r refs) error {
	a, q := r.agent, r.request
	if a == nil || !a.inRing || q.course.state != Queued {
		return fmt.Errorf("request %d is offered to %q at desk %q, but one of them is not free", e.Request, e.Agent, e.Desk)
	}
	if q.offers == nil {
		q.offers = q.firstOffer[:0]
	}
	q.offers = append(q.offers, offer{id: now.seq, agent: a.name, made: now.at, end: e.Until, receipt: e.Receipt})
	s.ids.put(now.seq, q)
	a.turn(Init)
	a.current, q.agent = q, a
	q.turn(Offering)
	s.keepAgent(a, now)
	s.keepRequest(q, now)
	return nil
}

// applyOfRequest folds what follows a request, its offer or its session.
func (s *State) applyOfRequest(now stamp, e *Event, r *request) error {
	state := r.course.state
	switch e.Kind {
	case OfferReceived, OfferAccepted, OfferEnded:
		if state != Offering || r.offer().id != e.Offer || r.agent.name != e.Agent {
			return fmt.Errorf("%s: offer %d is not pending for %q", e.Kind, e.Offer, e.Agent)
		}
		return s.applyOfOffer(now, e, r)
	case SessionFinished:
		if state != Assigned || r.session().id != e.Session || r.agent.name != e.Agent {
			return fmt.Errorf("%s: session %d of %q does not live", e.Kind, e.Session, e.Agent)
		}
		return s.applyFinish(now, e, r)
	case RequestEnded:
		if state != Queued || e.Then.Live() {
			return fmt.Errorf("request %d ends %s, but is %s", r.id, e.Then, state)
		}
		s.finish(r, now, e.Then, e.Cause, strings.Clone(e.Reason))
		s.keepRequest(r, now)
		return nil
	}
	return fmt.Errorf("unknown event kind %d", uint8(e.Kind))
}

func (s *State) applyOfOffer(now stamp, e *Event, r *request) error {
	a, o := r.agent, r.offer()
	switch e.Kind {
	case OfferReceived:
		o.received = true
	case OfferAccepted:
		if e.Conn != 0 && !a.has(e.Conn) {
			return fmt.Errorf("%s: connection %d of %q at desk %q is not there", e.Kind, e.Conn, a.name, e.Desk)
		}
		o.state, o.session = Accepted, now.seq
		if r.sessions == nil {
			r.sessions = r.firstSession[:0]
		}
		r.sessions = append(r.sessions, session{id: now.seq, offer: o.id, agent: a.name, began: now.at, joinBy: e.Until,
			joined: e.Until == 0, then: Assigned})
		s.ids.put(now.seq, r)
		r.turn(Assigned)
		r.absence = absence{}
		a.turn(Busy)
		a.misses = 0
		if a.until != 0 { // accepted from elsewhere while away
			a.until = max(a.until, now.at+a.grace())
		}
	case OfferEnded:
		if e.Outcome == Pending || e.Outcome == Accepted || e.Outcome >= OfferState(OfferStates) {
			return fmt.Errorf("offer %d ends %s", o.id, e.Outcome)
		}
		o.state, o.cause, o.reason = e.Outcome, e.Cause, strings.Clone(e.Reason)
		if err := a.free(now, e); err != nil {
			return err
		}
		r.agent = nil
		r.turn(Queued)
	}
	s.keepAgent(a, now)
	s.keepRequest(r, now)
	return nil
}

// free puts the agent where the event says: out of an offer or a session.
func (a *agent) free(now stamp, e *Event) error {
	a.current = nil
	if e.Outcome == Rejected && e.Cause == ByAgent {
		a.misses = 0
	}
	switch e.State {
	case Offline:
		a.goOffline()
		return nil
	case Idle:
	default:
		return fmt.Errorf("%s: %q at desk %q is %s after it", e.Kind, a.name, e.Desk, e.State)
	}
	a.turn(Idle)
	a.notBefore = e.Until
	switch e.Place {
	case Kept:
	case BackMiss:
		a.misses++
		a.idle = now
	case Back:
		a.idle = now
	case KeptMute:
		a.silent = true
	default:
		return fmt.Errorf("%s: unknown place %d", e.Kind, uint8(e.Place))
	}
	return nil
}

// applyFinish: a session ends, and its request with it or not.
func (s *State) applyFinish(now stamp, e *Event, r *request) error {
	if e.Then != Queued && e.Then.Live() || int(e.Then) >= RequestStates {
		return fmt.Errorf("session %d ends, and its request is %s", e.Session, e.Then)
	}
	a, stay := r.agent, r.session()
	stay.ended, stay.cause, stay.then, stay.reason, stay.joinBy = now.at, e.Cause, e.Then, strings.Clone(e.Reason), 0
	if err := a.free(now, e); err != nil {
		return err
	}
	if e.Then == Queued {
		r.agent = nil
		r.turn(Queued)
		r.course.expires = now.at.Add(r.desk.config.MaxWait)
		if r.gone() {
			r.until = now.at.Add(r.desk.config.ClientGrace)
		}
	} else {
		s.finish(r, now, e.Then, e.Cause, stay.reason)
	}
	s.keepAgent(a, now)
	s.keepRequest(r, now)
	return nil
}

// ApplyStart is the event Started: every connection is gone (6.3). Whoever was there has a grace to come back, offers last
// at least as long, and no new offer is made during the warm-up.
func (s *State) ApplyStart(at Time) {
	now := stamp{s.seq + 1, at} // no less than the event's number, and less than that of the next of a desk
	for _, d := range s.order {
		d.warm = at.Add(d.config.WarmUp)
		s.timers.set(&d.timer, max(d.warm, 1))
		grace := at.Add(d.config.RestartGrace)
		for _, row := range d.roll.rows {
			if row.of != nil {
				s.startAgent(row.of, now, grace)
			}
		}
		for _, row := range d.requests.rows {
			if row.of != nil && row.of.course.state.Live() {
				s.startRequest(row.of, now, grace)
			}
		}
	}
}

func (s *State) startAgent(a *agent, now stamp, grace Time) {
	had := len(a.conns) > 0
	a.conns = nil
	switch {
	case a.state == Offline || a.here():
	case had:
		a.absence = absence{max(now.at+a.grace(), grace), true}
	default:
		a.until = max(a.until, grace)
	}
	last := a.stamp
	s.keepAgent(a, now)
	a.stamp = last
}

func (s *State) startRequest(r *request, now stamp, grace Time) {
	had := len(r.conns) > 0
	r.conns = nil
	state := r.course.state
	switch {
	case !r.gone() || state == Assigned:
	case had:
		r.absence = absence{max(now.at.Add(r.desk.config.ClientGrace), grace), true}
	default:
		r.until = max(r.until, grace)
	}
	if state.Waits() {
		r.course.expires = max(r.course.expires, grace)
	} else if stay := r.session(); stay.joinBy != 0 {
		stay.joinBy = max(stay.joinBy, grace)
	}
	if state == Offering {
		o := r.offer()
		o.end = max(o.end, grace.Add(Slack))
		if o.receipt != 0 {
			o.receipt = max(o.receipt, grace)
		}
	}
	last := r.stamp
	s.keepRequest(r, now)
	r.stamp = last
}
