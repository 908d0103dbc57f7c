package sim

import (
	"fmt"

	"holdfast"
	"holdfast/desk"
)

// DeskReport is what was looked at of desks, and what was found.
type DeskReport struct {
	Events     uint64                   // events of desks checked, each at its prefix of the log
	Checks     map[string]uint64        // how often each invariant was looked at
	Requests   uint64                   // made
	Offers     [desk.OfferStates]uint64 // by what became of them; pending: at the end
	Sessions   uint64                   // begun
	Heard      uint64                   // what agents and clients heard, as given to the checker
	Compared   uint64                   // of that, compared with the log
	Violations []Violation              // at most maxViolations; Found counts all
	Found      int

	// Counted among what was found:
	DoubleAssignments uint64 // a request with two agents, or an agent with two requests
	Overtaken         uint64 // a request, or an agent, that somebody later was preferred to
	StuckInInit       uint64 // an agent with an offer that is over, or with none
}

// DeskChecker follows the desks of one log from its beginning. It judges D1 to D7 by the events and by what was heard
// alone; of package desk it uses the names of things. It is for one goroutine.
type DeskChecker struct {
	desks    map[[2]string]*deskModel // realm and desk
	offers   map[uint64]*offerModel
	sessions map[uint64]*sessionModel
	later    []DeskHeard          // deadlines that were not shown yet when they were heard
	versions map[[4]string]uint64 // of availability: the last that somebody heard
	seq      uint64
	at       desk.Time
	dirty    map[*deskModel]bool // changed at the present instant
	report   DeskReport
}

// NewDeskChecker begins before the first event.
func NewDeskChecker() *DeskChecker {
	return &DeskChecker{desks: map[[2]string]*deskModel{}, offers: map[uint64]*offerModel{}, sessions: map[uint64]*sessionModel{},
		dirty: map[*deskModel]bool{}, versions: map[[4]string]uint64{}, report: DeskReport{Checks: map[string]uint64{}}}
}

// look counts one check and notes a violation when it is not ok.
func (c *DeskChecker) look(name string, ok bool, format string, args ...any) bool {
	c.report.Checks[name]++
	if ok {
		return true
	}
	c.report.Found++
	if len(c.report.Violations) < maxViolations {
		c.report.Violations = append(c.report.Violations, Violation{name, c.seq, fmt.Sprintf(format, args...)})
	}
	return false
}

// Event takes the next event of the log, of whatever kind.
func (c *DeskChecker) Event(e *holdfast.Event) {
	if e.At > c.at {
		c.settled()
	}
	c.seq, c.at = e.Seq, e.At
	if e.Kind() == holdfast.Started {
		c.start(e.At)
		return
	}
	if e.Desk == nil {
		return
	}
	c.report.Events++
	key := [2]string{e.Realm, e.Desk.Desk}
	d := c.desks[key]
	if d == nil {
		if !c.look("J2", e.Desk.Kind == desk.DeskPut, "%s at desk %s, which does not exist", e.Desk.Kind, e.Desk.Desk) {
			return
		}
		d = newDeskModel(e.Desk.Desk)
		c.desks[key] = d
	}
	c.dirty[d] = true
	c.apply(d, e.Desk)
	d.note(c.seq)
}

// note keeps which event changed what clients are told.
func (d *deskModel) note(seq uint64) {
	for _, topic := range d.topics() {
		if v := d.availability(topic); d.last[topic] != v {
			d.last[topic], d.changed[topic] = v, seq
		}
	}
}

// settled looks at the desks that changed at the instant that is over: nobody waits whom somebody ready could serve.
func (c *DeskChecker) settled() {
	for d := range c.dirty {
		if c.at < d.warm {
			continue // the end of the warm-up will change it
		}
		delete(c.dirty, d)
		for _, r := range d.line {
			for a := range d.ready {
				if a.could(r) {
					c.report.Overtaken++
					c.look("D4", false, "desk %s: request %d waits and %s is ready, and it is not offered", d.name, r.id, a.name)
				}
			}
		}
		c.report.Checks["D4"]++
	}
}

// start is the event Started: every connection is gone, and whoever was there has the grace to come back.
func (c *DeskChecker) start(at desk.Time) {
	for _, d := range c.desks {
		back := at.Add(d.config.RestartGrace)
		d.warm = at.Add(d.config.WarmUp)
		for _, a := range d.agents {
			there := len(a.conns) > 0 || a.until != 0
			clear(a.conns)
			if there && a.away() {
				a.until = max(a.until, back)
			}
			if o := a.offer; o != nil {
				o.end = max(o.end, back.Add(desk.Slack))
				o.shown = append(o.shown, o.end.Add(-desk.Slack))
				if o.receipt != 0 {
					o.receipt = max(o.receipt, back)
				}
			}
			d.follow(a)
		}
		for _, r := range d.requests {
			there := len(r.conns) > 0 || r.until != 0
			clear(r.conns)
			if there && r.away() {
				r.until = max(r.until, back)
			}
		}
		d.note(c.seq)
	}
}

// apply checks what must hold before an event, and changes the model by it.
func (c *DeskChecker) apply(d *deskModel, e *desk.Event) {
	switch e.Kind {
	case desk.DeskPut:
		d.config = *e.Config
		return
	case desk.AgentPut:
		if d.agents[e.Agent] == nil {
			d.agents[e.Agent] = &agentModel{name: e.Agent, conns: map[uint64]bool{}}
		}
		a := d.agents[e.Agent]
		if a.profile = *e.Profile; !a.away() {
			a.until = 0
		}
		d.follow(a)
		return
	case desk.RequestMade:
		c.requestMade(d, e)
		return
	case desk.ClientConnected, desk.ClientDisconnected, desk.RequestEnded:
		r := d.requests[e.Request]
		if c.look("D2", r != nil && r.client == e.Client, "%s of request %d, which does not live", e.Kind, e.Request) {
			c.clientEvent(d, r, e)
		}
		return
	}
	a := d.agents[e.Agent]
	if !c.look("D1", a != nil, "%s of agent %s, who does not exist", e.Kind, e.Agent) {
		return
	}
	switch e.Kind {
	case desk.OfferMade:
		c.offerMade(d, a, e)
	case desk.OfferReceived, desk.OfferAccepted, desk.OfferEnded:
		c.offerEvent(d, a, e)
	case desk.SessionFinished:
		c.sessionFinished(d, a, e)
	default:
		c.agentEvent(d, a, e)
	}
	d.follow(a)
	c.agentWhole(d, a)
}

// agentWhole is D1 at this prefix.
func (c *DeskChecker) agentWhole(d *deskModel, a *agentModel) {
	init, busy := a.state == desk.Init, a.state == desk.Busy
	if !c.look("D1", init == (a.offer != nil) && busy == (a.session != nil), "desk %s: %s is %s, with an offer: %v, in a session: %v",
		d.name, a.name, a.state, a.offer != nil, a.session != nil) && init {
		c.report.StuckInInit++
	}
	c.look("D1", a.accepting || a.state != desk.Offline || a.offer == nil, "%s is offline with an offer", a.name)
}

// Finish looks at the end of the log; at is until when the server ran, 0 = until the last event.
func (c *DeskChecker) Finish(at desk.Time) DeskReport {
	if at == 0 {
		at = c.at
	}
	if at > c.at {
		c.settled()
	}
	for _, h := range c.later {
		c.lateDeadline(&h)
	}
	c.later = nil
	report := c.report
	for _, d := range c.desks {
		for _, a := range d.agents {
			if a.offer == nil {
				continue
			}
			report.Offers[desk.Pending]++
			if !c.look("D1", a.offer.end.Add(overdue) >= at, "desk %s: %s is still %s by offer %d, which is over", d.name, a.name, a.state, a.offer.id) {
				c.report.StuckInInit++
			}
		}
	}
	report.Checks, report.Violations, report.Found = c.report.Checks, c.report.Violations, c.report.Found
	report.StuckInInit = c.report.StuckInInit
	return report
}

// overdue is how long after its end a pending offer counts as stuck.
const overdue = 5 * 1e9
