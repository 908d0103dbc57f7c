package desk_test

import (
	"slices"

	"holdfast/desk"
)

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
