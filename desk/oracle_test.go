package desk_test

import (
	"cmp"
	"slices"

	"holdfast/desk"
)

// The oracle is the slow and obvious desk, written from docs/DESKS.md: plain lists, walked and sorted anew for every
// decision; what is due is looked for among everything.
type oracle struct {
	now    desk.Time
	seq    uint64
	events []desk.Event
	desks  []*oDesk
}

type oDesk struct {
	name     string
	cfg      desk.Config
	agents   []*oAgent
	requests []*oRequest // all, the finished ones too, by id
	offers   []*oOffer
	sessions []*oSession
	warm     desk.Time // until then no offer is made; 0 = it is over
	seq      uint64
	at       desk.Time
}

type oAgent struct {
	desk.AgentView
	place   uint64 // orders those who are idle since the same instant
	restart bool   // away since a start
	offer   *oOffer
	session *oSession
}

type oRequest struct {
	desk.RequestView
	conns   []uint64
	tried   []string
	restart bool
	offer   *oOffer
	session *oSession
}

type oOffer struct {
	desk.OfferView
	end, receipt desk.Time
	of           *oRequest
}

type oSession struct {
	desk.SessionView
	of *oRequest
}

func (o *oracle) desk(name string) *oDesk {
	for _, d := range o.desks {
		if d.name == name {
			return d
		}
	}
	return nil
}

func (d *oDesk) agent(name string) *oAgent {
	for _, a := range d.agents {
		if a.Agent == name {
			return a
		}
	}
	return nil
}

func (d *oDesk) request(id uint64) *oRequest {
	for _, r := range d.requests {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (d *oDesk) offer(id uint64) *oOffer {
	for _, o := range d.offers {
		if o.ID == id {
			return o
		}
	}
	return nil
}

func (d *oDesk) session(id uint64) *oSession {
	for _, s := range d.sessions {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// live is the client's request that has not ended.
func (d *oDesk) live(client string) *oRequest {
	for _, r := range d.requests {
		if r.Client == client && r.State.Live() {
			return r
		}
	}
	return nil
}

func (a *oAgent) away() bool { return a.Profile.Reach == desk.Socket && len(a.Connections) == 0 }

func (a *oAgent) ready() bool {
	return a.State == desk.Idle && a.Accepting && !a.away() && !a.Silent && a.NotBefore == 0
}

func (a *oAgent) serves(topic string) bool {
	return topic == "" || len(a.Profile.Topics) == 0 || slices.Contains(a.Profile.Topics, topic)
}

func (r *oRequest) away() bool { return r.Reach == desk.Socket && len(r.conns) == 0 }

// ring is the ready agents, the longest idle first.
func (d *oDesk) ring(topic string) (ring []*oAgent) {
	for _, a := range d.agents {
		if a.ready() && a.serves(topic) {
			ring = append(ring, a)
		}
	}
	slices.SortFunc(ring, func(a, b *oAgent) int { return cmp.Compare(a.place, b.place) })
	return ring
}

// line is what waits, the next one first.
func (d *oDesk) line() (line []*oRequest) {
	for _, r := range d.requests {
		if r.State == desk.Queued {
			line = append(line, r)
		}
	}
	slices.SortStableFunc(line, func(a, b *oRequest) int { return cmp.Compare(b.Priority, a.Priority) })
	return line
}

// emit numbers an event and notes whom it changed.
func (o *oracle) emit(d *oDesk, e desk.Event) uint64 {
	o.seq++
	e.Who.Desk = d.name
	o.events = append(o.events, e)
	if e.Kind == desk.DeskPut {
		d.seq, d.at = o.seq, o.now
	}
	if a := d.agent(e.Agent); a != nil {
		a.Seq, a.At = o.seq, o.now
	}
	if r := d.request(e.Request); r != nil {
		r.Seq, r.At = o.seq, o.now
	}
	return o.seq
}

// pick is the agent that would be offered the request now.
func (d *oDesk) pick(r *oRequest) *oAgent {
	for _, a := range d.ring("") {
		if a.serves(r.Topic) && !slices.Contains(r.tried, a.Agent) {
			return a
		}
	}
	return nil
}

// settle makes every offer that can be made; where the desk keeps no queue it ends what nobody is left for.
func (o *oracle) settle(d *oDesk) {
	for again := true; again; {
		again = false
		for _, r := range d.line() {
			a := d.pick(r)
			if !r.away() && d.warm == 0 && r.Attempts >= d.cfg.MaxAttempts {
				o.returned(d, r)
				again = true
				break
			}
			if a != nil && !r.away() && d.warm == 0 {
				o.makeOffer(d, r, a)
				again = true
				break
			}
			if a == nil && !r.away() && d.warm == 0 && d.cfg.Policy == desk.Refuse {
				o.endRequest(d, r, desk.AllDeclined, desk.ByNobodyLeft, desk.Staff{})
				again = true
				break
			}
		}
	}
}

func (o *oracle) makeOffer(d *oDesk, r *oRequest, a *oAgent) {
	of := &oOffer{of: r, OfferView: desk.OfferView{Desk: d.name, Agent: a.Agent, Request: r.ID, Client: r.Client, Topic: r.Topic,
		Priority: r.Priority, Data: r.Data, Attempt: r.Attempts + 1, Made: o.now, Deadline: o.now.Add(d.cfg.OfferTime)}}
	of.end = of.Deadline.Add(desk.Slack)
	of.receipt = o.receiptAt(d, a)
	r.Attempts++
	r.State, r.offer = desk.Offering, of
	r.Agent = a.Agent
	a.State, a.offer = desk.Init, of
	of.ID = o.emit(d, desk.Event{Kind: desk.OfferMade, Who: desk.Who{Agent: a.Agent, Client: r.Client}, About: desk.About{Request: r.ID},
		Until: of.end, Receipt: of.receipt})
	r.RequestView.Offer = of.ID
	d.offers = append(d.offers, of)
}

func (o *oracle) receiptAt(d *oDesk, a *oAgent) desk.Time {
	within := d.cfg.Receipt
	if a.Profile.Reach == desk.Push {
		within = d.cfg.PushReceipt
	}
	if within == 0 {
		return 0
	}
	return o.now.Add(within)
}

func (o *oracle) endRequest(d *oDesk, r *oRequest, then desk.RequestState, cause desk.Cause, staff desk.Staff) {
	r.State, r.Cause, r.Reason = then, cause, staff.Reason
	r.over()
	o.emit(d, desk.Event{Kind: desk.RequestEnded, Who: desk.Who{Client: r.Client}, About: desk.About{Request: r.ID}, Then: then, Cause: cause, Staff: staff})
}

// over forgets what only who lives has.
func (r *oRequest) over() { r.conns, r.Until, r.Expires, r.restart = nil, 0, 0, false }

// turn is how an agent is after an offer or a session.
func (o *oracle) turn(a *oAgent, to desk.Turned, pause desk.Time) {
	a.State, a.offer, a.session = to.State, nil, nil
	if to.State == desk.Offline {
		a.offline()
		return
	}
	a.NotBefore = pause
	switch to.Place {
	case desk.Back:
		a.back(o)
	case desk.BackMiss:
		a.back(o)
		a.Misses++
	case desk.KeptMute:
		a.Silent = true
	}
}

// back: at the back of the ring, as of the next event.
func (a *oAgent) back(o *oracle) { a.IdleSince, a.place = o.now, o.seq+1 }

func (a *oAgent) offline() {
	a.State, a.Accepting, a.Silent, a.NotBefore, a.Until, a.restart = desk.Offline, false, false, 0, 0, false
	a.IdleSince = 0
}

// ending is the end of an offer; the request waits again.
func (o *oracle) endOffer(d *oDesk, of *oOffer, state desk.OfferState, cause desk.Cause, staff desk.Staff, to desk.Turned, pause desk.Time) {
	a, r := d.agent(of.Agent), of.of
	of.State, of.Cause, of.Reason = state, cause, staff.Reason
	r.State, r.offer, r.RequestView.Offer, r.Agent = desk.Queued, nil, 0, ""
	if state == desk.TimedOut || state == desk.Rejected {
		r.tried = append(r.tried, a.Agent)
	}
	o.turn(a, to, pause)
	o.emit(d, desk.Event{Kind: desk.OfferEnded, Who: desk.Who{Agent: a.Agent}, About: desk.About{Offer: of.ID, Request: r.ID}, Outcome: state,
		Cause: cause, Staff: staff, Turned: to, Until: pause})
}

// returned: an offer of r ended and nobody ended r. It is placed before whoever is ready is served, but overtakes nobody.
func (o *oracle) returned(d *oDesk, r *oRequest) {
	if r.State != desk.Queued {
		return
	}
	if r.Attempts >= d.cfg.MaxAttempts {
		o.endRequest(d, r, desk.Expired, desk.ByMaxAttempts, desk.Staff{})
		return
	}
	a := d.pick(r)
	if a == nil || r.away() || d.warm != 0 {
		return
	}
	for _, is := range d.line() {
		if is == r {
			o.makeOffer(d, r, a)
			return
		}
		if !is.away() && a.serves(is.Topic) && !slices.Contains(is.tried, a.Agent) {
			return
		}
	}
}

func (o *oracle) endSession(d *oDesk, s *oSession, then desk.RequestState, cause desk.Cause, staff desk.Staff, to desk.Turned, pause desk.Time) {
	a, r := d.agent(s.Agent), s.of
	s.Ended, s.Cause, s.Reason, s.JoinBy = o.now, cause, staff.Reason, 0
	r.State, r.session = then, nil
	if then == desk.Queued {
		r.Agent, r.Expires = "", o.now.Add(d.cfg.MaxWait)
		if r.away() {
			r.Until = o.now.Add(d.cfg.ClientGrace)
		}
	} else {
		r.Cause, r.Reason = cause, staff.Reason
		r.over()
	}
	o.turn(a, to, pause)
	o.emit(d, desk.Event{Kind: desk.SessionFinished, Who: desk.Who{Agent: a.Agent, Client: r.Client}, About: desk.About{Session: s.ID, Request: r.ID},
		Then: then, Cause: cause, Staff: staff, Turned: to, Until: pause})
}

var kept = desk.Turned{State: desk.Idle, Place: desk.Kept}

// after is where an agent stands after a session that ended as it should.
func (o *oracle) after(d *oDesk, a *oAgent) (desk.Turned, desk.Time) {
	if !a.Accepting {
		return desk.Turned{State: desk.Offline}, 0
	}
	var pause desk.Time
	if d.cfg.WrapUp > 0 {
		pause = o.now.Add(d.cfg.WrapUp)
	}
	return desk.Turned{State: desk.Idle, Place: desk.Back}, pause
}

func (o *oracle) pauseFor(d *oDesk, miss bool) desk.Time {
	span := d.cfg.RejectPause
	if miss {
		span = d.cfg.MissPause
	}
	if span == 0 {
		return 0
	}
	return o.now.Add(span)
}

// lost ends a session whose agent is gone.
func (o *oracle) lost(d *oDesk, s *oSession, cause desk.Cause, staff desk.Staff) {
	then := desk.Queued
	if d.cfg.OnLost == desk.Close {
		then = desk.Aborted
	}
	o.endSession(d, s, then, cause, staff, desk.Turned{State: desk.Offline}, 0)
}
