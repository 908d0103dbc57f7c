package desk_test

import (
	"time"

	"holdfast/desk"
)

// grace is how long the agent may be away as they are.
func (a *oAgent) grace(d *oDesk) time.Duration {
	switch a.State {
	case desk.Init:
		return d.cfg.InitGrace
	case desk.Busy:
		return d.cfg.BusyGrace
	}
	return d.cfg.IdleGrace
}

// todo is one thing that will happen of itself.
type todo struct {
	at desk.Time
	do func()
}

// next is what happens first: at the same instant what is of a request comes before what is of an agent, and what was made
// earlier comes first. nil: nothing will.
func (o *oracle) next() *todo {
	var first *todo
	add := func(at desk.Time, do func()) {
		if at != 0 && (first == nil || at < first.at) {
			first = &todo{at, do}
		}
	}
	var all []*oRequest // of all desks, by id
	in := map[*oRequest]*oDesk{}
	for _, d := range o.desks {
		for _, r := range d.requests {
			in[r] = d
			at := len(all)
			for at > 0 && all[at-1].ID > r.ID {
				at--
			}
			all = append(all[:at], append([]*oRequest{r}, all[at:]...)...)
		}
	}
	for _, r := range all {
		if r.State.Live() {
			o.ofRequest(in[r], r, add)
		}
	}
	for _, d := range o.desks {
		for _, a := range d.agents {
			o.ofAgent(d, a, add)
		}
	}
	for _, d := range o.desks {
		add(d.warm, func() {
			d.warm = 0
			o.settle(d)
		})
	}
	return first
}

// ofRequest: the client does not come back, it has waited too long, the offer is not received, or not answered.
func (o *oracle) ofRequest(d *oDesk, r *oRequest, add func(desk.Time, func())) {
	if r.session != nil {
		add(r.session.JoinBy, func() {
			to := kept
			if !d.agent(r.session.Agent).Accepting {
				to = desk.Turned{State: desk.Offline}
			}
			o.endSession(d, r.session, desk.Aborted, desk.ByNoShow, desk.Staff{}, to, 0)
			o.settle(d)
		})
		return
	}
	cause := desk.ByGrace
	if r.restart {
		cause = desk.ByRestart
	}
	add(r.Until, func() {
		o.give(d, r, desk.Cancelled, cause, desk.Staff{})
		o.settle(d)
	})
	add(r.Expires, func() {
		o.give(d, r, desk.Expired, desk.ByMaxWait, desk.Staff{})
		o.settle(d)
	})
	of := r.offer
	if of == nil {
		return
	}
	a := d.agent(of.Agent)
	if !of.Received && !a.away() {
		add(of.receipt, func() {
			o.endOffer(d, of, desk.Revoked, desk.ByUndelivered, desk.Staff{}, desk.Turned{State: desk.Idle, Place: desk.KeptMute}, 0)
			o.returned(d, r)
			o.settle(d)
		})
	}
	if a.away() {
		cause := desk.ByLostLink
		if a.restart {
			cause = desk.ByRestart
		}
		add(min(of.end, a.Until), func() {
			o.endOffer(d, of, desk.Revoked, cause, desk.Staff{}, desk.Turned{State: desk.Offline}, 0)
			o.returned(d, r)
			o.settle(d)
		})
		return
	}
	add(of.end, func() {
		o.endOffer(d, of, desk.TimedOut, desk.ByDeadline, desk.Staff{}, desk.Turned{State: desk.Idle, Place: desk.BackMiss}, o.pauseFor(d, true))
		if d.cfg.Misses > 0 && a.Misses >= d.cfg.Misses {
			a.Accepting = false
			o.emit(d, desk.Event{Kind: desk.AgentPaused, Who: desk.Who{Agent: a.Agent}, Cause: desk.ByMisses})
		}
		o.returned(d, r)
		o.settle(d)
	})
}

// ofAgent: who is away does not come back, or a pause is over.
func (o *oracle) ofAgent(d *oDesk, a *oAgent, add func(desk.Time, func())) {
	switch a.State {
	case desk.Busy:
		add(a.Until, func() {
			r := a.session.of
			o.lost(d, a.session, desk.ByAgentLost, desk.Staff{})
			o.returned(d, r)
			o.settle(d)
		})
	case desk.Idle:
		cause := desk.ByGrace
		if a.restart {
			cause = desk.ByRestart
		}
		add(a.Until, func() {
			a.offline()
			o.emit(d, desk.Event{Kind: desk.AgentOffline, Who: desk.Who{Agent: a.Agent}, Cause: cause})
		})
		add(a.NotBefore, func() {
			a.NotBefore = 0
			o.emit(d, desk.Event{Kind: desk.AgentReady, Who: desk.Who{Agent: a.Agent}})
			o.settle(d)
		})
	}
}

// run does all that is due.
func (o *oracle) run() {
	for {
		next := o.next()
		if next == nil || next.at > o.now {
			return
		}
		next.do()
	}
}

// start: every connection is gone.
func (o *oracle) start() {
	o.seq++
	for _, d := range o.desks {
		d.warm = o.now.Add(d.cfg.WarmUp)
		grace := o.now.Add(d.cfg.RestartGrace)
		for _, a := range d.agents {
			had := len(a.Connections) > 0
			a.Connections = nil
			if a.State == desk.Offline || !a.away() {
				continue
			}
			if had {
				a.Until, a.restart = max(o.now.Add(a.grace(d)), grace), true
			} else {
				a.Until = max(a.Until, grace)
			}
		}
		for _, r := range d.requests {
			if r.State.Live() {
				o.startRequest(d, r, grace)
			}
		}
	}
}

func (o *oracle) startRequest(d *oDesk, r *oRequest, grace desk.Time) {
	had := len(r.conns) > 0
	r.conns = nil
	if r.session != nil {
		if r.session.JoinBy != 0 {
			r.session.JoinBy = max(r.session.JoinBy, grace)
		}
		return
	}
	r.Expires = max(r.Expires, grace)
	if r.away() && had {
		r.Until, r.restart = max(o.now.Add(d.cfg.ClientGrace), grace), true
	} else if r.away() {
		r.Until = max(r.Until, grace)
	}
	if of := r.offer; of != nil {
		of.end = max(of.end, grace.Add(desk.Slack))
		of.Deadline = of.end.Add(-desk.Slack)
		if of.receipt != 0 {
			of.receipt = max(of.receipt, grace)
		}
	}
}
