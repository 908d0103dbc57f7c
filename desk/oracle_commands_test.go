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
	if a.offer != nil && !a.offer.Received && a.Profile.Reach == desk.Socket && d.cfg.Receipt > 0 {
		e.Receipt = o.now.Add(d.cfg.Receipt)
		a.offer.receipt = e.Receipt
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
		o.accept(d, a, of)
	case desk.Rejected:
		o.endOffer(d, of, desk.Rejected, desk.ByAgent, desk.Staff{Reason: reason}, desk.Turned{State: desk.Idle, Place: desk.Back}, o.pauseFor(d, false))
		a.Misses = 0
		o.returned(d, r)
	}
	return desk.Refusal{}
}

func (o *oracle) accept(d *oDesk, a *oAgent, of *oOffer) {
	r := of.of
	s := &oSession{of: r, SessionView: desk.SessionView{Desk: d.name, Agent: a.Agent, Client: r.Client, Request: r.ID, Offer: of.ID, Topic: r.Topic,
		Data: r.Data, Began: o.now, Joined: !r.away()}}
	if r.away() {
		s.JoinBy = o.now.Add(d.cfg.JoinWithin)
	}
	s.ID = o.emit(d, desk.Event{Kind: desk.OfferAccepted, Who: desk.Who{Agent: a.Agent, Client: r.Client},
		About: desk.About{Offer: of.ID, Request: r.ID}, Until: s.JoinBy})
	d.sessions = append(d.sessions, s)
	of.State, of.Session = desk.Accepted, s.ID
	r.State, r.offer, r.session = desk.Assigned, nil, s
	r.RequestView.Offer, r.Session, r.Until, r.restart = 0, s.ID, 0, false
	a.State, a.offer, a.session, a.Misses = desk.Busy, nil, s, 0
	if a.Until != 0 {
		a.Until = max(a.Until, o.now.Add(d.cfg.BusyGrace))
	}
}

func (o *oracle) request(c *desk.Request) desk.Refusal {
	d := o.desk(c.Desk)
	if d == nil {
		return desk.Refusal{Code: desk.UnknownDesk}
	}
	r := d.live(c.Client)
	for _, is := range d.requests {
		if c.Key != "" && is.Client == c.Client && is.Key == c.Key {
			r = is
		}
	}
	if r != nil {
		if c.Conn != 0 && r.State.Live() {
			o.join(d, r, c.Conn)
		}
		return desk.Refusal{}
	}
	if !slices.Contains(d.cfg.Topics, c.Topic) && (c.Topic != "" || len(d.cfg.Topics) > 0) {
		return desk.Refusal{Code: desk.UnknownTopic, Topic: c.Topic}
	}
	if refusal := o.takes(d, c.Topic); refusal.Code != "" {
		return refusal
	}
	r = &oRequest{RequestView: desk.RequestView{Desk: d.name, Client: c.Client, Ask: c.Ask, Made: o.now, Expires: o.now.Add(d.cfg.MaxWait)}}
	if c.Conn != 0 {
		r.conns = []uint64{c.Conn}
	}
	r.ID = o.seq + 1
	d.requests = append(d.requests, r)
	r.Seq, r.At = r.ID, o.now
	o.emit(d, desk.Event{Kind: desk.RequestMade, Who: desk.Who{Client: c.Client}, About: desk.About{Conn: c.Conn}, Until: r.Expires,
		Content: desk.Content{Ask: &c.Ask}})
	o.settle(d)
	return desk.Refusal{}
}

// takes says why a request would be refused.
func (o *oracle) takes(d *oDesk, topic string) desk.Refusal {
	ready, waiting, queued := 0, 0, 0
	for _, a := range d.agents {
		if a.ready() && a.serves(topic) {
			ready++
		}
	}
	for _, r := range d.requests {
		if r.State == desk.Queued {
			queued++
			if r.Topic == topic {
				waiting++
			}
		}
	}
	switch {
	case d.warm == 0 && ready > 0:
	case d.cfg.Policy == desk.Refuse && (d.warm == 0 || ready <= waiting):
		return desk.Refusal{Code: desk.NoAgent}
	case d.cfg.Policy == desk.Queue && queued >= int(d.cfg.QueueLimit):
		return desk.Refusal{Code: desk.QueueFull, Limit: d.cfg.QueueLimit}
	}
	return desk.Refusal{}
}

func (o *oracle) join(d *oDesk, r *oRequest, conn uint64) {
	if slices.Contains(r.conns, conn) {
		return
	}
	e := desk.Event{Kind: desk.ClientConnected, Who: desk.Who{Client: r.Client}, About: desk.About{Request: r.ID, Conn: conn}}
	r.conns = append(r.conns, conn)
	r.Until, r.restart = 0, false
	if r.session != nil {
		r.session.Joined, r.session.JoinBy = true, 0
	}
	o.emit(d, e)
	if len(r.conns) > desk.MaxDevices {
		e.Kind, e.Conn, e.Cause = desk.ClientDisconnected, r.conns[0], desk.BySuperseded
		r.conns = r.conns[1:]
		o.emit(d, e)
	}
	o.settle(d)
}

func (o *oracle) client(name, client string, conn uint64, come bool) desk.Refusal {
	d := o.desk(name)
	if d == nil {
		return desk.Refusal{Code: desk.UnknownDesk}
	}
	r := d.live(client)
	if r == nil {
		return desk.Refusal{}
	}
	if come {
		o.join(d, r, conn)
		return desk.Refusal{}
	}
	if !slices.Contains(r.conns, conn) {
		return desk.Refusal{}
	}
	r.conns = slices.DeleteFunc(slices.Clone(r.conns), func(is uint64) bool { return is == conn })
	e := desk.Event{Kind: desk.ClientDisconnected, Who: desk.Who{Client: client}, About: desk.About{Request: r.ID, Conn: conn}, Cause: desk.ByLostLink}
	if r.away() && r.State.Waits() {
		e.Until = o.now.Add(d.cfg.ClientGrace)
	}
	r.Until = e.Until
	o.emit(d, e)
	return desk.Refusal{}
}

func (o *oracle) cancel(c *desk.Cancel) desk.Refusal {
	d := o.desk(c.Desk)
	if d == nil {
		return desk.Refusal{Code: desk.UnknownDesk}
	}
	r := d.request(c.Request)
	if r == nil || c.Client != "" && c.Client != r.Client {
		return desk.Refusal{Code: desk.UnknownRequest}
	}
	cause := desk.ByClient
	if c.Client == "" {
		cause = desk.ByStaff
	}
	if r.session != nil {
		to, pause := o.after(d, d.agent(r.session.Agent))
		o.endSession(d, r.session, desk.Done, cause, c.Staff, to, pause)
	} else if r.State.Live() {
		o.give(d, r, desk.Cancelled, cause, c.Staff)
	}
	o.settle(d)
	return desk.Refusal{}
}

// give ends a request that waits; a pending offer is rescinded. An agent who is away goes: both are gone.
func (o *oracle) give(d *oDesk, r *oRequest, then desk.RequestState, cause desk.Cause, staff desk.Staff) {
	if r.offer != nil {
		to := kept
		if d.agent(r.offer.Agent).away() {
			to = desk.Turned{State: desk.Offline}
		}
		o.endOffer(d, r.offer, desk.Rescinded, cause, staff, to, 0)
	}
	o.endRequest(d, r, then, cause, staff)
}

func (o *oracle) finish(c *desk.Finish) desk.Refusal {
	cause := desk.ByStaff
	if c.Agent != "" {
		cause = desk.ByAgent
		d, _, code := o.comes(c.Desk, c.Agent, c.Conn)
		if d == nil {
			return desk.Refusal{Code: code}
		}
		defer o.settle(d)
	} else if c.Client != "" {
		cause = desk.ByClient
	}
	d := o.desk(c.Desk)
	if d == nil {
		return desk.Refusal{Code: desk.UnknownDesk}
	}
	s := d.session(c.Session)
	if s == nil || c.Agent != "" && c.Agent != s.Agent || c.Client != "" && c.Client != s.Client {
		return desk.Refusal{Code: desk.SessionEnded}
	}
	if s.of.session == s {
		to, pause := o.after(d, d.agent(s.Agent))
		o.endSession(d, s, desk.Done, cause, c.Staff, to, pause)
		o.settle(d)
	} else if s.of.State != desk.Done || s.of.Session != s.ID {
		return desk.Refusal{Code: desk.SessionEnded, Cause: s.Cause}
	}
	return desk.Refusal{}
}
