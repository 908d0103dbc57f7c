package desk

import "fmt"

// Step decides one command and applies what it decided. The caller has drained Due first, so that no deadline is
// overtaken, and has called cmd.Valid. A refusal makes no event, but for the sign of life of a silent agent.
func (s *State) Step(t *Turn, cmd Command) Result {
	switch c := cmd.(type) {
	case Request:
		return s.request(t, &c)
	case AcceptOffer:
		return s.accept(t, &c)
	case RejectOffer:
		return s.reject(t, &c)
	case Receive:
		return s.receive(t, &c)
	case Finish:
		return s.finishSession(t, &c)
	case Cancel:
		return s.cancel(t, &c)
	case AttachClient:
		return s.attachClient(t, &c)
	case DetachClient:
		return s.detachClient(t, &c)
	case PutDesk:
		return s.putDesk(t, &c)
	case LookRequest:
		return s.lookRequest(&c)
	}
	return s.stepAgent(t, cmd)
}

// stepAgent decides the commands that are about an agent alone.
func (s *State) stepAgent(t *Turn, cmd Command) Result {
	switch c := cmd.(type) {
	case Hear:
		return s.hear(t, &c)
	case Attach:
		return s.attach(t, &c)
	case Detach:
		return s.detach(t, &c)
	case Online:
		return s.online(t, &c)
	case Pause:
		return s.pause(t, &c, AgentPaused)
	case GoOffline:
		return s.pause(t, &Pause{c.Desk, c.Agent, c.Conn, c.Staff}, AgentOffline)
	case PutAgent:
		return s.putAgent(t, &c)
	case RemoveAgent:
		return s.remove(t, &c)
	case Force:
		return s.force(t, &c)
	case LookAgent:
		a, refusal := s.lookup(c.Desk, c.Agent)
		return s.shown(a, refusal)
	}
	panic(fmt.Sprintf("desk: unknown command %T", cmd))
}

// emit is the only way from a decision to a change: it applies the event and appends it.
func (s *State) emit(t *Turn, e Event, r refs) {
	now := t.next()
	t.Events = append(t.Events, e)
	last := &t.Events[len(t.Events)-1]
	if err := s.apply(now, last, r); err != nil {
		panic("desk: a decision does not follow from the state: " + err.Error())
	}
	t.bytes += last.size()
}

// size is what the event adds to the log, no less.
func (e *Event) size() int {
	n := 96 + len(e.Desk) + len(e.Agent) + len(e.Client) + len(e.By) + len(e.Reason)
	if e.Ask != nil {
		n += len(e.Ask.Topic) + len(e.Ask.Data) + len(e.Ask.Key)
	}
	if e.Config != nil {
		n += 128 + MaxTopics*(MaxID+2)
	}
	if e.Profile != nil {
		n += MaxTopics * (MaxID + 2)
	}
	return n
}

// emitOfAgent emits an event about an agent alone.
func (s *State) emitOfAgent(t *Turn, a *agent, e Event) {
	e.Desk, e.Agent = a.desk.name, a.name
	s.emit(t, e, refs{desk: a.desk, agent: a})
}

// lookup finds an agent, or says why not.
func (s *State) lookup(desk, name string) (*agent, Code) {
	d := s.desks[desk]
	if d == nil {
		return nil, UnknownDesk
	}
	a := d.agents[name]
	if a == nil {
		return nil, UnknownAgent
	}
	return a, ""
}

// holder finds an agent by the offer or session that they have, which costs less than by name; nil: they have it not.
func (s *State) holder(id uint64, desk, name string) *agent {
	if r := s.ids.find(id); r != nil && r.agent != nil && r.agent.name == name && r.desk.name == desk {
		return r.agent
	}
	return nil
}

// comes finds the agent of a command of theirs, which is about an offer or a session (0: neither). A connection that is not
// theirs any more decides nothing (D6); a silent agent is heard (T8).
func (s *State) comes(t *Turn, desk, name string, conn, about uint64) (*agent, Code) {
	var refusal Code
	a := s.holder(about, desk, name)
	if a == nil {
		a, refusal = s.lookup(desk, name)
	}
	if refusal != "" {
		return nil, refusal
	}
	if conn != 0 && !a.has(conn) {
		return a, NotConnected
	}
	if a.silent {
		s.emitOfAgent(t, a, Event{Kind: AgentHeard})
	}
	return a, ""
}

// shown is the result of a command about an agent.
func (s *State) shown(a *agent, refusal Code) Result {
	res := Result{Refusal: Refusal{Code: refusal}}
	if a != nil {
		view := a.view()
		res.Agent = &view
	}
	return res
}

func (s *State) putDesk(t *Turn, c *PutDesk) Result {
	d := s.desks[c.Desk]
	if d == nil || !d.config.equal(&c.Config) {
		if d != nil {
			if p := d.keeps(c.Config.Topics); p != nil {
				return Result{Refusal: Refusal{Code: DeskLive, Topic: p.name}}
			}
		}
		kept := c.Config.clone()
		s.emit(t, Event{Kind: DeskPut, Who: Who{Desk: c.Desk}, Content: Content{Config: &kept}}, refs{desk: d})
		d = s.desks[c.Desk]
		s.settle(t, d)
	}
	view := d.view()
	return Result{Desk: &view}
}

func (s *State) putAgent(t *Turn, c *PutAgent) Result {
	d := s.desks[c.Desk]
	if d == nil {
		return Result{Refusal: Refusal{Code: UnknownDesk}}
	}
	for _, name := range c.Profile.Topics {
		if d.topic(name) == nil {
			return Result{Refusal: Refusal{Code: UnknownTopic, Topic: name}}
		}
	}
	a := d.agents[c.Agent]
	if a != nil && a.profile.equal(&c.Profile) {
		return s.shown(a, "")
	}
	kept := Profile{cloneAll(c.Profile.Topics), c.Profile.Reach}
	put := Event{Kind: AgentPut, Who: Who{Desk: d.name, Agent: c.Agent}, Content: Content{Profile: &kept}}
	var back *request
	if a != nil && a.state == Init && !(&agent{profile: kept}).serves(a.current.topic) {
		back = a.current
		s.endOffer(t, back, Event{Outcome: Revoked, Cause: ByRemoval, Turned: Turned{State: Idle}})
	}
	s.emit(t, put, refs{desk: d, agent: a})
	a = d.agents[c.Agent]
	s.place(t, back)
	s.serve(t, a)
	return s.shown(a, "")
}

// remove takes an agent away (T12).
func (s *State) remove(t *Turn, c *RemoveAgent) Result {
	a, refusal := s.lookup(c.Desk, c.Agent)
	if a == nil {
		if refusal == UnknownAgent {
			refusal = "" // removed already
		}
		return Result{Refusal: Refusal{Code: refusal}}
	}
	var back *request
	switch a.state {
	case Init:
		back = a.current
		s.endOffer(t, back, Event{Outcome: Revoked, Cause: ByRemoval, Staff: c.Staff})
	case Busy:
		back = a.current
		s.endSession(t, back, Event{Then: a.desk.lost(), Cause: ByRemoval, Staff: c.Staff})
	}
	s.emitOfAgent(t, a, Event{Kind: AgentRemoved, Staff: c.Staff})
	s.place(t, back)
	return Result{}
}

// lost is what becomes of a request whose agent is lost in the session.
func (d *desk) lost() RequestState {
	if d.config.OnLost == Requeue {
		return Queued
	}
	return Aborted
}

// force puts an agent offline, or idle out of an offer or a session, as staff (T12, T13).
func (s *State) force(t *Turn, c *Force) Result {
	a, refusal := s.lookup(c.Desk, c.Agent)
	if a == nil {
		return s.shown(nil, refusal)
	}
	switch {
	case a.state == Init:
		r := a.current
		// At the back: who keeps the place would be offered the same again.
		e := Event{Outcome: Revoked, Cause: ByStaff, Staff: c.Staff, Turned: Turned{State: c.To}}
		if c.To == Idle {
			e.Place = Back
		}
		s.endOffer(t, r, e)
		if uint32(len(r.offers)) < a.desk.config.MaxAttempts && r.first() == a {
			s.serve(t, a) // an older request may have waited for this agent
		}
		s.place(t, r)
	case a.state == Busy:
		e := Event{Then: Done, Cause: ByStaff, Staff: c.Staff}
		if c.To == Idle {
			e = a.wrapUp(t, e)
		}
		s.endSession(t, a.current, e)
	case a.state == Idle && c.To == Offline:
		s.emitOfAgent(t, a, Event{Kind: AgentOffline, Cause: ByStaff, Staff: c.Staff})
	}
	s.serve(t, a)
	return s.shown(a, "")
}
