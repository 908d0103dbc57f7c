package desk

import "time"

// attach: a new connection of an agent. Who is back within the grace is where they were (T2, T9, T14); a further device
// shares what the others have (T17).
func (s *State) attach(t *Turn, c *Attach) Result {
	a, refusal := s.lookup(c.Desk, c.Agent)
	if a == nil || a.has(c.Conn) {
		return s.shown(a, refusal)
	}
	e := Event{Kind: AgentConnected, About: About{Conn: c.Conn}}
	if a.state == Init && a.profile.Reach == Socket && !a.current.offer().received {
		e.Receipt = a.current.offer().anew(t, a.desk.config.Receipt)
	}
	s.emitOfAgent(t, a, e)
	most := MaxDevices
	if a.desk.config.SingleDevice {
		most = 1
	}
	for len(a.conns) > most {
		s.emitOfAgent(t, a, Event{Kind: AgentDisconnected, About: About{Conn: a.conns[0]}, Cause: BySuperseded})
	}
	s.serve(t, a)
	return s.shown(a, "")
}

// anew is when a device that has just come must have received the offer.
func (o *offer) anew(t *Turn, within time.Duration) Time {
	switch {
	case within > 0:
		return t.clock().Add(within)
	case o.receipt > 0: // the desk has stopped asking for it
		return o.end + 1
	}
	return 0
}

// detach: a connection of an agent ended. With the last one they are away (T2, T9, T14).
func (s *State) detach(t *Turn, c *Detach) Result {
	a, refusal := s.lookup(c.Desk, c.Agent)
	if a == nil || !a.has(c.Conn) {
		return s.shown(a, refusal)
	}
	e := Event{Kind: AgentDisconnected, About: About{Conn: c.Conn}, Cause: ByLostLink}
	if len(a.conns) == 1 && a.profile.Reach == Socket && a.state != Offline {
		e.Until = t.Now + a.grace()
		if a.state == Init {
			e.Until = min(e.Until, a.current.offer().end)
		}
	}
	s.emitOfAgent(t, a, e)
	return s.shown(a, "")
}

// online: the agent takes requests from now on (T1).
func (s *State) online(t *Turn, c *Online) Result {
	a, refusal := s.comes(t, c.Desk, c.Agent, c.Conn, 0)
	if refusal != "" {
		return s.shown(a, refusal)
	}
	if !a.accepting {
		if !a.here() {
			return s.shown(a, NotConnected)
		}
		e := Event{Kind: AgentOnline, Turned: Turned{State: Idle}}
		if a.state == Busy {
			e.State = Busy
		}
		s.emitOfAgent(t, a, e)
	}
	s.serve(t, a)
	return s.shown(a, "")
}

// pause: the agent takes no requests from now on (T3, T11, T16). idle is what it makes of who is idle.
func (s *State) pause(t *Turn, c *Pause, idle Kind) Result {
	var a *agent
	var refusal Code
	cause := ByAgent
	if c.By != "" {
		cause = ByStaff
		a, refusal = s.lookup(c.Desk, c.Agent)
	} else {
		a, refusal = s.comes(t, c.Desk, c.Agent, c.Conn, 0)
	}
	if refusal != "" {
		return s.shown(a, refusal)
	}
	switch {
	case a.state == Init:
		r := a.current
		s.endOffer(t, r, Event{Outcome: Rejected, Cause: ByGoingAway, Staff: c.Staff})
		s.place(t, r)
	case a.state == Idle && idle == AgentOffline:
		s.emitOfAgent(t, a, Event{Kind: AgentOffline, Cause: cause, Staff: c.Staff})
	case a.accepting:
		s.emitOfAgent(t, a, Event{Kind: AgentPaused, Cause: cause, Staff: c.Staff})
	}
	return s.shown(a, "")
}

// hear: a sign of life of an agent.
func (s *State) hear(t *Turn, c *Hear) Result {
	a, refusal := s.comes(t, c.Desk, c.Agent, c.Conn, 0)
	if refusal == "" {
		s.serve(t, a)
	}
	return s.shown(a, refusal)
}

// answers finds the offer that an agent answers, and its request; nil: there is none of that id, or it is another's.
func (s *State) answers(t *Turn, desk, name string, conn, id uint64) (a *agent, r *request, o *offer, refusal Code) {
	a, refusal = s.comes(t, desk, name, conn, id)
	if refusal != "" {
		return a, nil, nil, refusal
	}
	r = s.ids.find(id)
	if r == nil || r.desk != a.desk {
		return a, nil, nil, OfferClosed
	}
	if o = r.offerOf(id); o == nil || o.agent != a.name {
		return a, nil, nil, OfferClosed
	}
	return a, r, o, ""
}

// closed refuses the answer to an offer that is not pending, with what became of it and how the agent stands.
func (s *State) closed(t *Turn, a *agent, r *request, o *offer, refusal Code) Result {
	if a != nil && refusal == OfferClosed {
		s.serve(t, a)
	}
	res := s.shown(a, refusal)
	if o != nil {
		res.Refusal.Offer, res.Refusal.Cause = o.state, o.cause
		if o.state == Accepted {
			res.Refusal.Cause = ByAgent
		}
		res.Offer = r.offerView(o)
	}
	return res
}

// answered is the result of an answer.
func (s *State) answered(t *Turn, a *agent, r *request, id uint64) Result {
	s.serve(t, a)
	res := s.shown(a, "")
	if res.Offer = res.Agent.Offer; res.Offer == nil || res.Offer.ID != id {
		res.Offer = r.offerView(r.offerOf(id))
	}
	return res
}

// receive: a device has the offer.
func (s *State) receive(t *Turn, c *Receive) Result {
	a, r, o, refusal := s.answers(t, c.Desk, c.Agent, c.Conn, c.Offer)
	if refusal != "" || o.state != Pending {
		return s.closed(t, a, r, o, orClosed(refusal))
	}
	if !o.received {
		s.emit(t, Event{Kind: OfferReceived, Who: Who{Desk: a.desk.name, Agent: a.name}, About: About{Request: r.id, Offer: o.id}},
			refs{a.desk, a, r})
	}
	return s.answered(t, a, r, c.Offer)
}

func orClosed(refusal Code) Code {
	if refusal == "" {
		return OfferClosed
	}
	return refusal
}

// accept takes an offer (T5). Who took it already, on another device, is shown the session.
func (s *State) accept(t *Turn, c *AcceptOffer) Result {
	a, r, o, refusal := s.answers(t, c.Desk, c.Agent, c.Conn, c.Offer)
	if refusal != "" || o.state != Pending && o.state != Accepted {
		return s.closed(t, a, r, o, orClosed(refusal))
	}
	before := o.state == Accepted
	if !before {
		e := Event{Kind: OfferAccepted, Who: Who{a.desk.name, a.name, r.client.name},
			About: About{Request: r.id, Offer: o.id, Conn: c.Conn}}
		if r.gone() { // C6
			e.Until = t.Now.Add(a.desk.config.JoinWithin)
		}
		s.emit(t, e, refs{a.desk, a, r})
	}
	res := s.answered(t, a, r, c.Offer)
	if res.Session = res.Agent.Session; res.Session == nil || res.Session.ID != o.session {
		res.Session = r.sessionView(r.sessionOf(o.session))
	}
	res.AcceptedElsewhere = before
	return res
}

// reject declines an offer (T6).
func (s *State) reject(t *Turn, c *RejectOffer) Result {
	a, r, o, refusal := s.answers(t, c.Desk, c.Agent, c.Conn, c.Offer)
	if refusal != "" || o.state != Pending && o.state != Rejected {
		return s.closed(t, a, r, o, orClosed(refusal))
	}
	if o.state == Pending {
		e := Event{Outcome: Rejected, Cause: ByAgent, Staff: Staff{Reason: c.Reason}, Turned: Turned{Idle, Back}}
		if pause := a.desk.config.RejectPause; pause > 0 {
			e.Until = t.Now.Add(pause)
		}
		s.endOffer(t, r, e)
		s.place(t, r)
	}
	return s.answered(t, a, r, c.Offer)
}
