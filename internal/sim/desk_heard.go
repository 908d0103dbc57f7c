package sim

import (
	"fmt"
	"slices"

	"holdfast/desk"
)

// DeskHeard is one message that an agent or a client got. One of its pointers is set. A time or an id that was not told is 0
// and is not compared.
type DeskHeard struct {
	Realm, Desk string
	To          string // the agent or the client who heard it
	// AsOf is the event as of which it was told. Of an offer, a session or an availability it is at least their id or version.
	AsOf uint64
	// Dead: the connection that asked had been superseded, or its server had died, before the server could have read the question.
	Dead bool

	Offer        *desk.OfferView    // a push of an offer, new or again
	Closed       *desk.OfferView    // a push that an offer is closed: ID, State, Cause
	Answer       *AnswerHeard       // the answer to an accept
	Refused      *RefusalHeard      // a request that was refused
	Agent        *desk.AgentView    // a push of the agent: State, Accepting, Ready, Away, Silent
	Request      *desk.RequestView  // a push of a request: ID, State, Position, Attempts, Offer, Session, Agent
	Availability *desk.Availability // a push to a client
}

// AnswerHeard is the answer to an accept: a session, or a refusal.
type AnswerHeard struct {
	Offer   uint64
	Session uint64          // 0 = refused
	Code    desk.Code       // refused: why
	Outcome desk.OfferState // Code OfferClosed: what became of it
}

// RefusalHeard is the answer to a request that was not made.
type RefusalHeard struct {
	Topic string
	Code  desk.Code
}

// Heard compares one message with the log. Call it when the checker has taken exactly the events up to h.AsOf; give what
// lies behind the end of the log at the end. Everything of a desk is told confirmed, so none may be missing there (J1).
func (c *DeskChecker) Heard(h *DeskHeard) {
	c.report.Heard++
	c.report.Compared++
	d := c.desks[[2]string{h.Realm, h.Desk}]
	if !c.look("J1", h.AsOf <= c.seq, "%s heard something as of event %d; the log has only %d", h.To, h.AsOf, c.seq) ||
		!c.look("J1", d != nil, "%s heard of desk %s, which does not exist", h.To, h.Desk) {
		return
	}
	switch {
	case h.Offer != nil:
		c.offerHeard(h)
	case h.Closed != nil:
		o := c.offers[h.Closed.ID]
		c.look("J1", o != nil && o.agent == h.To && o.state == h.Closed.State, "%s heard that offer %d is %s: %s", h.To, h.Closed.ID, h.Closed.State, o)
	case h.Answer != nil:
		c.answerHeard(h)
	case h.Refused != nil:
		c.refusalHeard(d, h)
	case h.Agent != nil:
		c.agentHeard(d, h)
	case h.Request != nil:
		c.requestHeard(d, h)
	case h.Availability != nil:
		v := h.Availability
		want := d.availability(v.Topic)
		c.look("D7", v.Idle == want.Idle && v.Waiting == want.Waiting, "%s heard of %d idle and %d waiting at desk %s for %q; it was %d and %d",
			h.To, v.Idle, v.Waiting, d.name, v.Topic, want.Idle, want.Waiting)
		c.look("D5", v.Version <= c.seq && v.Version >= d.changed[v.Topic], "%s heard version %d of desk %s for %q; its last change was %d",
			h.To, v.Version, d.name, v.Topic, d.changed[v.Topic])
		who := [4]string{h.Realm, h.Desk, v.Topic, h.To}
		c.look("D5", v.Version >= c.versions[who], "%s heard version %d of desk %s for %q after version %d", h.To, v.Version, d.name, v.Topic, c.versions[who])
		c.versions[who] = v.Version
	}
}

func (o *offerModel) String() string {
	if o == nil {
		return "there is none"
	}
	return fmt.Sprintf("it is %s, before %s", o.state, o.agent)
}

func (c *DeskChecker) offerHeard(h *DeskHeard) {
	o := c.offers[h.Offer.ID]
	if !c.look("J1", o != nil && o.agent == h.To && o.desk == h.Desk && (h.Offer.Request == 0 || h.Offer.Request == o.request),
		"%s heard offer %d of request %d: %s", h.To, h.Offer.ID, h.Offer.Request, o) {
		return
	}
	c.look("D1", o.state == desk.Pending, "%s heard offer %d as pending: %s", h.To, o.id, o)
	if h.Offer.Deadline != 0 && !slices.Contains(o.shown, h.Offer.Deadline) {
		c.later = append(c.later, *h) // a start may move it
	}
}

func (c *DeskChecker) lateDeadline(h *DeskHeard) {
	o := c.offers[h.Offer.ID]
	c.look("D3", slices.Contains(o.shown, h.Offer.Deadline), "%s heard offer %d with the deadline %d, which it never had", h.To, o.id, h.Offer.Deadline)
}

func (c *DeskChecker) answerHeard(h *DeskHeard) {
	a := h.Answer
	o := c.offers[a.Offer]
	if a.Session != 0 {
		c.look("D6", !h.Dead, "%s accepted offer %d over a dead connection", h.To, a.Offer)
		s := c.sessions[a.Session]
		if !c.look("D2", o != nil && s != nil && o.session == a.Session && s.agent == h.To && s.offer == a.Offer,
			"%s was told that offer %d is session %d: %s", h.To, a.Offer, a.Session, o) {
			c.report.DoubleAssignments++
		}
		return
	}
	if a.Code != desk.OfferClosed {
		return // such as an agent who is not connected: no fact of the offer
	}
	if o == nil || o.agent != h.To {
		c.look("D2", a.Outcome == desk.Pending, "%s heard that offer %d is %s: %s", h.To, a.Offer, a.Outcome, o)
		return
	}
	c.look("D3", o.state == a.Outcome && o.state != desk.Pending, "%s accepted offer %d and heard %s: %s", h.To, a.Offer, a.Outcome, o)
}

func (c *DeskChecker) refusalHeard(d *deskModel, h *DeskHeard) {
	switch h.Refused.Code {
	case desk.NoAgent:
		ready := uint32(0)
		if c.at >= d.warm {
			ready = d.availability(h.Refused.Topic).Idle
		}
		c.look("D7", d.config.Policy == desk.Refuse && ready == 0, "%s was refused at desk %s for %q, and %d were ready", h.To, d.name, h.Refused.Topic, ready)
	case desk.QueueFull:
		c.look("D7", d.config.Policy == desk.Queue && len(d.line) >= int(d.config.QueueLimit), "%s was refused at desk %s, where %d of %d waited",
			h.To, d.name, len(d.line), d.config.QueueLimit)
	}
}

func (c *DeskChecker) agentHeard(d *deskModel, h *DeskHeard) {
	a := d.agents[h.To]
	if !c.look("J1", a != nil, "%s heard of being at desk %s", h.To, d.name) {
		return
	}
	v := h.Agent
	c.look("D1", a.state == v.State && a.accepting == v.Accepting, "desk %s: %s heard of being %s, accepting %v; it was %s, %v",
		d.name, h.To, v.State, v.Accepting, a.state, a.accepting)
	c.look("D7", a.ready() == v.Ready && a.away() == v.Away && a.silent == v.Silent, "desk %s: %s heard of being ready %v, away %v, silent %v; it was %v, %v, %v",
		d.name, h.To, v.Ready, v.Away, v.Silent, a.ready(), a.away(), a.silent)
}

func (c *DeskChecker) requestHeard(d *deskModel, h *DeskHeard) {
	v := h.Request
	r := d.requests[v.ID]
	if !v.State.Live() {
		c.look("J1", r == nil && v.ID != 0, "%s heard that request %d is %s, and it lives", h.To, v.ID, v.State)
		return
	}
	if !c.look("J1", r != nil && r.client == h.To, "%s heard that request %d is %s, and it does not live", h.To, v.ID, v.State) {
		return
	}
	c.look("D1", r.state == v.State, "%s heard that request %d is %s; it was %s", h.To, r.id, v.State, r.state)
	if v.State == desk.Queued && v.Position != 0 {
		c.look("D4", d.position(r) == int(v.Position), "%s heard that request %d is number %d; it was %d", h.To, r.id, v.Position, d.position(r))
	}
	if v.State == desk.Assigned && r.session != nil && v.Session != 0 {
		c.look("D2", r.session.id == v.Session && (v.Agent == "" || r.session.agent == v.Agent), "%s heard of session %d with %s; it was %d with %s",
			h.To, v.Session, v.Agent, r.session.id, r.session.agent)
	}
}
