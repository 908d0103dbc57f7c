package desk

import "sort"

// Whenever an agent becomes ready or a request begins to wait, exactly that one is matched; so between turns nobody who is
// ready and no request that waits could be brought together (D4). Only the end of a warm-up and a change of the desk
// settle all of it.

// place finds an agent for a request that waits, or decides what becomes of it. nil: nothing is to be placed.
func (s *State) place(t *Turn, r *request) {
	if r == nil || r.course.state != Queued {
		return
	}
	d := r.desk
	if uint32(len(r.offers)) >= d.config.MaxAttempts {
		s.endRequest(t, r, Expired, ByMaxAttempts, Staff{}) // C7
		return
	}
	if r.gone() || d.warming() {
		return // C5, 6.3
	}
	if a := r.first(); a != nil {
		s.offer(t, r, a)
	} else if d.config.Policy == Refuse {
		s.endRequest(t, r, AllDeclined, ByNobodyLeft, Staff{}) // C8
	}
}

// first is who would be offered the request: the longest idle who has not declined it; nil: nobody. Whoever declined
// stands at the back, so the walk is about as long as the request has offers.
func (r *request) first() *agent {
	for l := r.topic.ring.first(); l != nil; l = r.topic.ring.after(l) {
		if !r.tried(l.agent.name) {
			return l.agent
		}
	}
	return nil
}

// serve offers an agent who is ready the first request of their topics that they have not declined (C9). Requests that
// they declined are walked over: those of one agent are few, for each cost them a pause.
func (s *State) serve(t *Turn, a *agent) {
	if !a.inRing || a.desk.warming() {
		return
	}
	var best *request
	for i := range a.links {
		for _, r := range a.links[i].topic.line.waiting() {
			if best != nil && best.before(r) {
				break
			}
			if !r.tried(a.name) {
				best = r
				break
			}
		}
	}
	if best != nil {
		s.offer(t, best, a)
	}
}

// offer puts the request before the agent (T4).
func (s *State) offer(t *Turn, r *request, a *agent) {
	d := r.desk
	e := Event{Kind: OfferMade, Who: Who{d.name, a.name, r.client.name}, About: About{Request: r.id},
		Until: t.clock().Add(d.config.OfferTime + Slack)}
	within := d.config.Receipt
	if a.profile.Reach == Push {
		within = d.config.PushReceipt
	}
	if within > 0 {
		e.Receipt = t.clock().Add(within)
	}
	s.emit(t, e, refs{d, a, r})
}

// endOffer completes and emits an OfferEnded. The request waits then; the caller decides what becomes of it.
func (s *State) endOffer(t *Turn, r *request, e Event) {
	e.Kind = OfferEnded
	e.Desk, e.Agent = r.desk.name, r.agent.name
	e.Request, e.Offer = r.id, r.offer().id
	s.emit(t, e, refs{r.desk, r.agent, r})
}

// endSession completes and emits a SessionFinished.
func (s *State) endSession(t *Turn, r *request, e Event) {
	e.Kind = SessionFinished
	e.Who = Who{r.desk.name, r.agent.name, r.client.name}
	e.Request, e.Session = r.id, r.session().id
	s.emit(t, e, refs{r.desk, r.agent, r})
}

// wrapUp says where the agent is after a session that was finished (T13, T16).
func (a *agent) wrapUp(t *Turn, e Event) Event {
	if !a.accepting {
		return e
	}
	e.State, e.Place = Idle, Back
	if pause := a.desk.config.WrapUp; pause > 0 {
		e.Until = t.Now.Add(pause)
	}
	return e
}

// endRequest ends a request that waits. A pending offer is rescinded, and its agent has their place again (T10); but who is
// away goes offline: both are gone.
func (s *State) endRequest(t *Turn, r *request, then RequestState, cause Cause, staff Staff) {
	var a *agent
	if r.course.state == Offering {
		a = r.agent
		e := Event{Outcome: Rescinded, Cause: cause, Staff: staff}
		if a.here() {
			e.State = Idle
		}
		s.endOffer(t, r, e)
	}
	s.emit(t, Event{Kind: RequestEnded, Who: Who{Desk: r.desk.name, Client: r.client.name}, About: About{Request: r.id},
		Then: then, Cause: cause, Staff: staff}, refs{desk: r.desk, request: r})
	if a != nil {
		s.serve(t, a)
	}
}

// settle matches all that waits at a desk, in the order in which it is served. What does not fit into the turn is due at once.
func (s *State) settle(t *Turn, d *desk) {
	if t.Now < d.warm {
		return // its end settles
	}
	s.timers.set(&d.timer, 0)
	var rows []*request
	for _, p := range d.served() {
		rows = append(rows, p.line.waiting()...)
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].before(rows[j]) })
	for _, r := range rows {
		if t.full() {
			s.timers.set(&d.timer, t.Now)
			return
		}
		s.place(t, r)
	}
}
