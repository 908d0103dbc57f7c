package desk

// Due runs what is due at t.Now, by (time, kind, id), at most MaxEvents events, and says whether more is due.
func (s *State) Due(t *Turn) bool {
	for !t.full() {
		first := s.timers.first()
		if first == nil || first.at > t.Now {
			return false
		}
		first.owner.fire(s, t)
	}
	next, ok := s.NextDue()
	return ok && next <= t.Now
}

// NextDue is when Due has something to do; false: nothing waits.
func (s *State) NextDue() (Time, bool) {
	if first := s.timers.first(); first != nil {
		return first.at, true
	}
	return 0, false
}

// fire settles the desk: its warm-up is over, or it was changed.
func (d *desk) fire(s *State, t *Turn) { s.settle(t, d) }

// fire: the agent's grace is over (T2, T14), or their pause.
func (a *agent) fire(s *State, t *Turn) {
	switch {
	case a.state == Busy:
		r := a.current
		s.endSession(t, r, Event{Then: a.desk.lost(), Cause: ByAgentLost})
		s.place(t, r)
	case a.until != 0 && a.until == a.timer.at:
		s.emitOfAgent(t, a, Event{Kind: AgentOffline, Cause: a.absence.cause(ByGrace)})
	default:
		s.emitOfAgent(t, a, Event{Kind: AgentReady})
		s.serve(t, a)
	}
}

// cause says why somebody who was away is given up.
func (a absence) cause(otherwise Cause) Cause {
	if a.started {
		return ByRestart
	}
	return otherwise
}

// fire: the client's grace is over (C5), they have waited too long (C7), or the offer was not received (T8) or not
// answered (T7, T9); or the client did not come after the accept (C6). At the same instant the first of these counts.
func (r *request) fire(s *State, t *Turn) {
	at := r.timer.at
	switch {
	case r.course.state == Assigned:
		s.noShow(t, r)
	case at == r.until:
		s.endRequest(t, r, Cancelled, r.absence.cause(ByGrace), Staff{})
	case at == r.course.expires:
		s.endRequest(t, r, Expired, ByMaxWait, Staff{})
	case at == r.receiptDue():
		s.endOffer(t, r, Event{Outcome: Revoked, Cause: ByUndelivered, Turned: Turned{Idle, KeptMute}})
		s.place(t, r)
	default:
		s.unanswered(t, r)
	}
}

// unanswered: nobody answered the offer. Who is away is no more to be reckoned with, but that is no miss.
func (s *State) unanswered(t *Turn, r *request) {
	a := r.agent
	if !a.here() {
		s.endOffer(t, r, Event{Outcome: Revoked, Cause: a.absence.cause(ByLostLink)})
		s.place(t, r)
		return
	}
	e := Event{Outcome: TimedOut, Cause: ByDeadline, Turned: Turned{Idle, BackMiss}}
	if pause := a.desk.config.MissPause; pause > 0 {
		e.Until = t.Now.Add(pause)
	}
	s.endOffer(t, r, e)
	if most := a.desk.config.Misses; most > 0 && a.misses >= most {
		s.emitOfAgent(t, a, Event{Kind: AgentPaused, Cause: ByMisses})
	}
	s.place(t, r)
	s.serve(t, a)
}

// noShow: the agent is where they were; it was no fault of theirs.
func (s *State) noShow(t *Turn, r *request) {
	a := r.agent
	e := Event{Then: Aborted, Cause: ByNoShow}
	if a.accepting {
		e.State = Idle
	}
	s.endSession(t, r, e)
	s.serve(t, a)
}
