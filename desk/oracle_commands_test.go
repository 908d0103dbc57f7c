package desk_test

import (
	"reflect"
	"slices"

	"holdfast/desk"
)

// step decides one command, as the oracle sees it. The caller has called due first.
func (o *oracle) step(cmd desk.Command) desk.Refusal {
	switch c := cmd.(type) {
	case desk.PutDesk:
		return o.putDesk(&c)
	case desk.PutAgent:
		return o.putAgent(&c)
	case desk.RemoveAgent:
		return o.remove(&c)
	case desk.Force:
		return o.force(&c)
	case desk.Attach:
		return o.attach(&c)
	case desk.Detach:
		return o.detach(&c)
	case desk.Online, desk.Pause, desk.GoOffline, desk.Hear:
		return o.wish(cmd)
	case desk.Receive:
		return o.answer(c.Desk, c.Agent, c.Conn, c.Offer, "", desk.Pending)
	case desk.AcceptOffer:
		return o.answer(c.Desk, c.Agent, c.Conn, c.Offer, "", desk.Accepted)
	case desk.RejectOffer:
		return o.answer(c.Desk, c.Agent, c.Conn, c.Offer, c.Reason, desk.Rejected)
	case desk.Request:
		return o.request(&c)
	case desk.AttachClient:
		return o.client(c.Desk, c.Client, c.Conn, true)
	case desk.DetachClient:
		return o.client(c.Desk, c.Client, c.Conn, false)
	case desk.Cancel:
		return o.cancel(&c)
	case desk.Finish:
		return o.finish(&c)
	case desk.LookAgent:
		_, _, code := o.find(c.Desk, c.Agent)
		return desk.Refusal{Code: code}
	case desk.LookRequest:
		if d := o.desk(c.Desk); d == nil {
			return desk.Refusal{Code: desk.UnknownDesk}
		} else if d.request(c.Request) == nil {
			return desk.Refusal{Code: desk.UnknownRequest}
		}
		return desk.Refusal{}
	}
	panic("unknown command")
}

func (o *oracle) find(name, agent string) (*oDesk, *oAgent, desk.Code) {
	d := o.desk(name)
	if d == nil {
		return nil, nil, desk.UnknownDesk
	}
	if a := d.agent(agent); a != nil {
		return d, a, ""
	}
	return d, nil, desk.UnknownAgent
}

func (o *oracle) putDesk(c *desk.PutDesk) desk.Refusal {
	d := o.desk(c.Desk)
	if d == nil {
		d = &oDesk{name: c.Desk}
		o.desks = append(o.desks, d)
	} else if reflect.DeepEqual(d.cfg, c.Config) {
		return desk.Refusal{}
	}
	gone := slices.Clone(d.cfg.Topics)
	if len(gone) == 0 {
		gone = []string{""}
	}
	for _, topic := range gone {
		if slices.Contains(c.Config.Topics, topic) || topic == "" && len(c.Config.Topics) == 0 {
			continue
		}
		for _, r := range d.requests {
			if r.State.Live() && r.Topic == topic {
				return desk.Refusal{Code: desk.DeskLive, Topic: topic}
			}
		}
	}
	d.cfg = c.Config
	o.emit(d, desk.Event{Kind: desk.DeskPut, Content: desk.Content{Config: &c.Config}})
	o.settle(d)
	return desk.Refusal{}
}

func (o *oracle) putAgent(c *desk.PutAgent) desk.Refusal {
	d, a, code := o.find(c.Desk, c.Agent)
	if d == nil {
		return desk.Refusal{Code: code}
	}
	for _, topic := range c.Profile.Topics {
		if !slices.Contains(d.cfg.Topics, topic) {
			return desk.Refusal{Code: desk.UnknownTopic, Topic: topic}
		}
	}
	if a == nil {
		a = &oAgent{AgentView: desk.AgentView{Desk: d.name, Agent: c.Agent}}
		d.agents = append(d.agents, a)
	} else if reflect.DeepEqual(a.Profile, c.Profile) {
		return desk.Refusal{}
	}
	will := oAgent{AgentView: desk.AgentView{Profile: c.Profile}}
	var back *oRequest
	if a.offer != nil && !will.serves(a.offer.Topic) {
		back = a.offer.of
		o.endOffer(d, a.offer, desk.Revoked, desk.ByRemoval, desk.Staff{}, kept, 0)
	}
	a.Profile = c.Profile
	if !a.away() || a.State == desk.Offline {
		a.Until, a.restart = 0, false
	} else if a.Until == 0 {
		a.Until = o.now.Add(a.grace(d))
	}
	o.emit(d, desk.Event{Kind: desk.AgentPut, Who: desk.Who{Agent: a.Agent}, Content: desk.Content{Profile: &c.Profile}})
	if back != nil {
		o.returned(d, back)
	}
	o.settle(d)
	return desk.Refusal{}
}

func (o *oracle) remove(c *desk.RemoveAgent) desk.Refusal {
	d, a, code := o.find(c.Desk, c.Agent)
	if a == nil {
		if code == desk.UnknownAgent {
			code = ""
		}
		return desk.Refusal{Code: code}
	}
	offline := desk.Turned{State: desk.Offline}
	var back *oRequest
	if a.offer != nil {
		back = a.offer.of
		o.endOffer(d, a.offer, desk.Revoked, desk.ByRemoval, c.Staff, offline, 0)
	} else if a.session != nil {
		back = a.session.of
		o.lost(d, a.session, desk.ByRemoval, c.Staff)
	}
	o.emit(d, desk.Event{Kind: desk.AgentRemoved, Who: desk.Who{Agent: a.Agent}, Staff: c.Staff})
	d.agents = slices.DeleteFunc(d.agents, func(is *oAgent) bool { return is == a })
	if back != nil {
		o.returned(d, back)
	}
	o.settle(d)
	return desk.Refusal{}
}

func (o *oracle) force(c *desk.Force) desk.Refusal {
	d, a, code := o.find(c.Desk, c.Agent)
	if a == nil {
		return desk.Refusal{Code: code}
	}
	switch {
	case a.offer != nil:
		r, to := a.offer.of, desk.Turned{State: c.To}
		if c.To == desk.Idle {
			to.Place = desk.Back
		}
		o.endOffer(d, a.offer, desk.Revoked, desk.ByStaff, c.Staff, to, 0)
		o.returned(d, r)
	case a.session != nil:
		to, pause := desk.Turned{State: desk.Offline}, desk.Time(0)
		if c.To == desk.Idle {
			to, pause = o.after(d, a)
		}
		o.endSession(d, a.session, desk.Done, desk.ByStaff, c.Staff, to, pause)
	case a.State == desk.Idle && c.To == desk.Offline:
		a.offline()
		o.emit(d, desk.Event{Kind: desk.AgentOffline, Who: desk.Who{Agent: a.Agent}, Cause: desk.ByStaff, Staff: c.Staff})
	}
	o.settle(d)
	return desk.Refusal{}
}

func (o *oracle) attach(c *desk.Attach) desk.Refusal {
	d, a, code := o.find(c.Desk, c.Agent)
	if a == nil || slices.Contains(a.Connections, c.Conn) {
		return desk.Refusal{Code: code}
	}
	e := desk.Event{Kind: desk.AgentConnected, Who: desk.Who{Agent: a.Agent}, About: desk.About{Conn: c.Conn}}
	if a.offer != nil && !a.offer.Received && a.Profile.Reach == desk.Socket {
		switch {
		case d.cfg.Receipt > 0:
			e.Receipt = o.now.Add(d.cfg.Receipt)
		case a.offer.receipt != 0:
			e.Receipt = a.offer.end + 1
		}
		if e.Receipt != 0 {
			a.offer.receipt = e.Receipt
		}
	}
	a.Connections = append(a.Connections, c.Conn)
	a.Silent, a.Until, a.restart = false, 0, false
	o.emit(d, e)
	for len(a.Connections) > desk.MaxDevices || d.cfg.SingleDevice && len(a.Connections) > 1 {
		old := a.Connections[0]
		a.Connections = slices.Clone(a.Connections[1:])
		o.emit(d, desk.Event{Kind: desk.AgentDisconnected, Who: desk.Who{Agent: a.Agent}, About: desk.About{Conn: old}, Cause: desk.BySuperseded})
	}
	o.settle(d)
	return desk.Refusal{}
}

func (o *oracle) detach(c *desk.Detach) desk.Refusal {
	d, a, code := o.find(c.Desk, c.Agent)
	if a == nil || !slices.Contains(a.Connections, c.Conn) {
		return desk.Refusal{Code: code}
	}
	a.Connections = slices.DeleteFunc(slices.Clone(a.Connections), func(is uint64) bool { return is == c.Conn })
	e := desk.Event{Kind: desk.AgentDisconnected, Who: desk.Who{Agent: a.Agent}, About: desk.About{Conn: c.Conn}, Cause: desk.ByLostLink}
	if a.away() && a.State != desk.Offline {
		e.Until = o.now.Add(a.grace(d))
		if a.offer != nil {
			e.Until = min(e.Until, a.offer.end)
		}
	}
	a.Until = e.Until
	if len(a.Connections) == 0 {
		a.Connections = nil
	}
	o.emit(d, e)
	return desk.Refusal{}
}

// comes: a command of the agent over a connection, 0 = none. A dead one decides nothing; who was silent is heard.
func (o *oracle) comes(name, agent string, conn uint64) (*oDesk, *oAgent, desk.Code) {
	d, a, code := o.find(name, agent)
	if a == nil {
		return nil, nil, code
	}
	if conn != 0 && !slices.Contains(a.Connections, conn) {
		return nil, nil, desk.NotConnected
	}
	if a.Silent {
		a.Silent = false
		o.emit(d, desk.Event{Kind: desk.AgentHeard, Who: desk.Who{Agent: a.Agent}})
	}
	return d, a, ""
}

func (o *oracle) wish(cmd desk.Command) desk.Refusal {
	switch c := cmd.(type) {
	case desk.Hear:
		d, _, code := o.comes(c.Desk, c.Agent, c.Conn)
		if d != nil {
			o.settle(d)
		}
		return desk.Refusal{Code: code}
	case desk.Online:
		d, a, code := o.comes(c.Desk, c.Agent, c.Conn)
		if a == nil {
			return desk.Refusal{Code: code}
		}
		if !a.Accepting {
			if a.away() {
				return desk.Refusal{Code: desk.NotConnected}
			}
			to := desk.Idle
			if a.State == desk.Busy {
				to = desk.Busy
			} else {
				a.back(o)
			}
			a.State, a.Accepting, a.Misses = to, true, 0
			o.emit(d, desk.Event{Kind: desk.AgentOnline, Who: desk.Who{Agent: a.Agent}, Turned: desk.Turned{State: to}})
		}
		o.settle(d)
		return desk.Refusal{}
	case desk.Pause:
		return o.pause(&c, false)
	case desk.GoOffline:
		return o.pause(&desk.Pause{Desk: c.Desk, Agent: c.Agent, Conn: c.Conn, Staff: c.Staff}, true)
	}
	panic("unknown wish")
}

func (o *oracle) pause(c *desk.Pause, leave bool) desk.Refusal {
	var d *oDesk
	var a *oAgent
	var code desk.Code
	cause := desk.ByAgent
	if c.By == "" {
		d, a, code = o.comes(c.Desk, c.Agent, c.Conn)
	} else {
		d, a, code = o.find(c.Desk, c.Agent)
		cause = desk.ByStaff
	}
	if a == nil {
		return desk.Refusal{Code: code}
	}
	switch {
	case a.offer != nil:
		r := a.offer.of
		o.endOffer(d, a.offer, desk.Rejected, desk.ByGoingAway, c.Staff, desk.Turned{State: desk.Offline}, 0)
		o.returned(d, r)
	case a.State == desk.Idle && leave:
		a.offline()
		o.emit(d, desk.Event{Kind: desk.AgentOffline, Who: desk.Who{Agent: a.Agent}, Cause: cause, Staff: c.Staff})
	case a.Accepting:
		a.Accepting = false
		o.emit(d, desk.Event{Kind: desk.AgentPaused, Who: desk.Who{Agent: a.Agent}, Cause: cause, Staff: c.Staff})
	}
	o.settle(d)
	return desk.Refusal{}
}

// answer is what an agent says to an offer: received (Pending), accepted or rejected.
func (o *oracle) answer(name, agent string, conn, id uint64, reason string, what desk.OfferState) desk.Refusal {
	d, a, code := o.comes(name, agent, conn)
	if a == nil {
		return desk.Refusal{Code: code}
	}
	defer o.settle(d)
	of := d.offer(id)
	if of == nil || of.Agent != agent {
		return desk.Refusal{Code: desk.OfferClosed}
	}
	if of.State != desk.Pending {
		if of.State == what {
			return desk.Refusal{}
		}
		cause := of.Cause
		if of.State == desk.Accepted {
			cause = desk.ByAgent
		}
		return desk.Refusal{Code: desk.OfferClosed, Offer: of.State, Cause: cause}
	}
	r := of.of
	switch what {
	case desk.Pending:
		if !of.Received {
			of.Received = true
			o.emit(d, desk.Event{Kind: desk.OfferReceived, Who: desk.Who{Agent: agent}, About: desk.About{Offer: id, Request: r.ID}})
		}
	case desk.Accepted:
		o.accept(d, a, of, conn)
	case desk.Rejected:
		o.endOffer(d, of, desk.Rejected, desk.ByAgent, desk.Staff{Reason: reason}, desk.Turned{State: desk.Idle, Place: desk.Back}, o.pauseFor(d, false))
		a.Misses = 0
		o.returned(d, r)
	}
	return desk.Refusal{}
}

func (o *oracle) accept(d *oDesk, a *oAgent, of *oOffer, conn uint64) {
	r := of.of
	s := &oSession{of: r, SessionView: desk.SessionView{Desk: d.name, Agent: a.Agent, Client: r.Client, Request: r.ID, Offer: of.ID, Topic: r.Topic,
		Data: r.Data, Began: o.now, Joined: !r.away()}}
	if r.away() {
		s.JoinBy = o.now.Add(d.cfg.JoinWithin)
	}
	s.ID = o.emit(d, desk.Event{Kind: desk.OfferAccepted, Who: desk.Who{Agent: a.Agent, Client: r.Client},
		About: desk.About{Offer: of.ID, Request: r.ID, Conn: conn}, Until: s.JoinBy})
	d.sessions = append(d.sessions, s)
	of.State, of.Session = desk.Accepted, s.ID
	r.State, r.offer, r.session = desk.Assigned, nil, s
	r.RequestView.Offer, r.Session, r.Until, r.restart = 0, s.ID, 0, false
	a.State, a.offer, a.session, a.Misses = desk.Busy, nil, s, 0
	if a.Until != 0 {
		a.Until = max(a.Until, o.now.Add(d.cfg.BusyGrace))
	}
}
