package sim

import (
	"holdfast/desk"
)

func (c *DeskChecker) agentEvent(d *deskModel, a *agentModel, e *desk.Event) {
	switch e.Kind {
	case desk.AgentRemoved:
		c.look("D1", a.offer == nil && a.session == nil, "desk %s: %s is removed while %s", d.name, a.name, a.state)
		delete(d.agents, a.name)
	case desk.AgentConnected:
		c.look("D6", !a.conns[e.Conn], "connection %d of %s comes twice", e.Conn, a.name)
		a.conns[e.Conn], a.silent, a.until = true, false, 0
		if a.offer != nil && e.Receipt != 0 {
			a.offer.receipt = e.Receipt
		}
	case desk.AgentDisconnected:
		c.look("D6", a.conns[e.Conn], "connection %d of %s ends, and was not there", e.Conn, a.name)
		delete(a.conns, e.Conn)
		if len(a.conns) == 0 {
			a.until = e.Until
		}
	case desk.AgentOnline:
		c.look("D7", !a.away(), "desk %s: %s is online without a connection", d.name, a.name)
		if e.State == desk.Idle { // in a session they keep the place that a client who does not come leaves them
			a.place = c.seq
		}
		a.accepting, a.state, a.silent = true, e.State, false
	case desk.AgentPaused:
		a.accepting = false
	case desk.AgentOffline:
		if e.Cause == desk.ByGrace || e.Cause == desk.ByRestart {
			c.look("D3", a.away() && c.at >= a.until, "desk %s: %s is offline by %s, and had until %d", d.name, a.name, e.Cause, a.until)
		}
		a.state, a.accepting, a.silent, a.notBefore = desk.Offline, false, false, 0
	case desk.AgentReady:
		c.look("D7", c.at >= a.notBefore, "desk %s: %s is ready before the pause is over", d.name, a.name)
		a.notBefore = 0
	case desk.AgentHeard:
		a.silent = false
	}
}

func (c *DeskChecker) requestMade(d *deskModel, e *desk.Event) {
	c.report.Requests++
	for _, r := range d.requests {
		c.look("D2", r.client != e.Client, "desk %s: %s asks with request %d alive", d.name, e.Client, r.id)
	}
	r := &requestModel{id: c.seq, client: e.Client, ask: *e.Ask, expires: e.Until, conns: map[uint64]bool{}, tried: map[string]bool{}}
	if e.Conn != 0 {
		r.conns[e.Conn] = true
	}
	d.requests[r.id] = r
	d.waits(r)
}

func (c *DeskChecker) clientEvent(d *deskModel, r *requestModel, e *desk.Event) {
	switch e.Kind {
	case desk.ClientConnected:
		c.look("D6", !r.conns[e.Conn], "connection %d of %s comes twice", e.Conn, r.client)
		r.conns[e.Conn], r.until = true, 0
		if r.session != nil {
			r.session.joinBy = 0
		}
	case desk.ClientDisconnected:
		c.look("D6", r.conns[e.Conn], "connection %d of %s ends, and was not there", e.Conn, r.client)
		delete(r.conns, e.Conn)
		if len(r.conns) == 0 {
			r.until = e.Until
		}
	case desk.RequestEnded:
		c.look("D2", !e.Then.Live(), "request %d ends as %s", r.id, e.Then)
		c.look("D1", r.offer == nil && r.session == nil, "request %d ends as %s while it is %s", r.id, e.Then, r.state)
		switch e.Cause {
		case desk.ByMaxWait:
			c.look("D3", c.at >= r.expires, "request %d has waited too long before %d", r.id, r.expires)
		case desk.ByGrace, desk.ByRestart:
			c.look("D3", r.away() && c.at >= r.until, "request %d: its client is gone by %s, and had until %d", r.id, e.Cause, r.until)
		case desk.ByMaxAttempts:
			c.look("D3", r.attempts >= d.config.MaxAttempts, "request %d was offered only %d times", r.id, r.attempts)
		}
		d.leaves(r)
		delete(d.requests, r.id)
	}
}

// offerMade is where D4 and D7 are decided.
func (c *DeskChecker) offerMade(d *deskModel, a *agentModel, e *desk.Event) {
	r := d.requests[e.Request]
	if !c.look("D2", r != nil && r.client == e.Client, "request %d is offered, and does not live", e.Request) {
		return
	}
	if !c.look("D2", r.state == desk.Queued && r.offer == nil && r.session == nil, "request %d is offered to %s while it is %s", r.id, a.name, r.state) ||
		!c.look("D1", a.offer == nil && a.session == nil, "%s is offered request %d while they are %s", a.name, r.id, a.state) {
		c.report.DoubleAssignments++
	}
	c.look("D7", a.ready(), "desk %s: request %d is offered to %s, who is not ready", d.name, r.id, a.name)
	c.look("D4", !r.tried[a.name], "desk %s: request %d is offered again to %s, who has declined", d.name, r.id, a.name)
	c.look("D4", a.serves(r.ask.Topic), "desk %s: request %d is offered to %s, who does not serve %s", d.name, r.id, a.name, r.ask.Topic)
	c.look("D4", !r.away(), "desk %s: request %d is offered, and its client is away", d.name, r.id)
	c.look("D4", c.at >= d.warm, "desk %s: request %d is offered in the warm-up", d.name, r.id)
	for _, o := range d.line {
		if !o.before(r) {
			break
		}
		if !c.look("D4", !a.could(o), "desk %s: %s is offered request %d, and request %d is before it", d.name, a.name, r.id, o.id) {
			c.report.Overtaken++
		}
	}
	for o := range d.ready {
		if !c.look("D4", o == a || o.place > a.place || !o.could(r), "desk %s: request %d is offered to %s, and %s has been idle longer",
			d.name, r.id, a.name, o.name) {
			c.report.Overtaken++
		}
	}
	o := &offerModel{id: c.seq, request: r.id, agent: a.name, desk: d.name, end: e.Until, receipt: e.Receipt, shown: []desk.Time{e.Until.Add(-desk.Slack)}}
	c.offers[o.id] = o
	d.leaves(r)
	r.state, r.offer, r.attempts = desk.Offering, o, r.attempts+1
	a.state, a.offer = desk.Init, o
	c.look("D4", r.attempts <= d.config.MaxAttempts, "request %d is offered for the %dth time", r.id, r.attempts)
}

// offerEvent is where D2 and D3 are decided: an offer ends once.
func (c *DeskChecker) offerEvent(d *deskModel, a *agentModel, e *desk.Event) {
	o := c.offers[e.Offer]
	if !c.look("D2", o != nil && o.state == desk.Pending, "%s of offer %d, which is not pending", e.Kind, e.Offer) {
		if e.Kind == desk.OfferAccepted {
			c.report.DoubleAssignments++
		}
		return
	}
	r := d.requests[e.Request]
	if !c.look("D1", o.agent == a.name && a.offer == o && r != nil && r.offer == o && o.request == e.Request,
		"%s of offer %d, which is not between %s and request %d", e.Kind, o.id, a.name, e.Request) {
		return
	}
	switch e.Kind {
	case desk.OfferReceived:
		o.received, o.receipt = true, 0
		return
	case desk.OfferAccepted:
		c.offerAccepted(a, r, o, e)
		return
	}
	o.state = e.Outcome
	c.report.Offers[e.Outcome]++
	c.look("D2", e.Outcome > desk.Accepted, "offer %d ends as %s", o.id, e.Outcome)
	switch e.Cause {
	case desk.ByDeadline:
		c.look("D3", c.at >= o.end && e.Outcome == desk.TimedOut, "offer %d is %s by its deadline at %d, and had until %d", o.id, e.Outcome, c.at, o.end)
	case desk.ByUndelivered:
		c.look("D3", o.receipt != 0 && c.at >= o.receipt && !o.received, "offer %d is undelivered, and had until %d to be received", o.id, o.receipt)
	case desk.ByLostLink, desk.ByGrace, desk.ByRestart:
		if e.Outcome == desk.Rescinded {
			c.look("D3", r.away() && c.at >= r.until, "offer %d ends by %s, and %s had until %d", o.id, e.Cause, r.client, r.until)
			break
		}
		c.look("D3", a.away() && (c.at >= a.until || c.at >= o.end), "offer %d ends by %s, and %s had until %d", o.id, e.Cause, a.name, a.until)
	}
	r.offer, a.offer = nil, nil
	c.turned(a, e)
	if e.Outcome == desk.Rejected || e.Outcome == desk.TimedOut { // also of who went away from it (T11)
		r.tried[a.name] = true
	}
	d.waits(r) // it ends with an event of its own
}

// turned is how an agent is after an offer or a session.
func (c *DeskChecker) turned(a *agentModel, e *desk.Event) {
	c.look("D1", e.State == desk.Idle || e.State == desk.Offline, "%s is %s after %s", a.name, e.State, e.Kind)
	a.state, a.notBefore = e.State, e.Until
	if a.state == desk.Offline {
		a.accepting, a.silent, a.notBefore = false, false, 0
		return
	}
	switch e.Place {
	case desk.Back, desk.BackMiss:
		a.place = c.seq
	case desk.KeptMute:
		a.silent = true
	}
}

func (c *DeskChecker) offerAccepted(a *agentModel, r *requestModel, o *offerModel, e *desk.Event) {
	c.look("D6", e.Conn == 0 || a.conns[e.Conn], "offer %d is accepted over connection %d, which is not one of %s's", o.id, e.Conn, a.name)
	c.look("D3", c.at < o.end, "offer %d is accepted after its end", o.id)
	if !c.look("D2", r.session == nil && a.session == nil, "offer %d is accepted, and request %d or %s has a session", o.id, r.id, a.name) {
		c.report.DoubleAssignments++
	}
	c.report.Offers[desk.Accepted]++
	c.report.Sessions++
	s := &sessionModel{id: c.seq, request: r.id, offer: o.id, agent: a.name, client: r.client, joinBy: e.Until}
	c.sessions[s.id] = s
	o.state, o.session = desk.Accepted, s.id
	r.state, r.offer, r.session = desk.Assigned, nil, s
	a.state, a.offer, a.session, a.silent = desk.Busy, nil, s, false
}

func (c *DeskChecker) sessionFinished(d *deskModel, a *agentModel, e *desk.Event) {
	s, r := c.sessions[e.Session], d.requests[e.Request]
	if !c.look("D2", s != nil && !s.ended && a.session == s && r != nil && r.session == s, "session %d of %s and request %d is finished, and did not live",
		e.Session, a.name, e.Request) {
		return
	}
	switch e.Cause {
	case desk.ByNoShow:
		c.look("D3", s.joinBy != 0 && c.at >= s.joinBy, "session %d: the client did not come, and had until %d", s.id, s.joinBy)
	case desk.ByAgentLost:
		c.look("D3", a.away() && c.at >= a.until, "session %d: %s is lost, and had until %d", s.id, a.name, a.until)
	}
	s.ended = true
	a.session, r.session = nil, nil
	c.turned(a, e)
	if e.Then == desk.Queued {
		r.expires = c.at // it has its time to wait anew, of which the event does not tell
		d.waits(r)
		return
	}
	c.look("D2", !e.Then.Live(), "request %d is %s after its session", r.id, e.Then)
	delete(d.requests, r.id)
}
