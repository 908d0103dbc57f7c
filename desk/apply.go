package desk

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// refs is what an event's names stand for, so that a decision looks them up once. nil: not known yet, or not there.
type refs struct {
	desk    *desk
	agent   *agent
	request *request
}

// Apply folds one event into the state. It is all that recovery, the mirror's check and the verifier do.
// An error means that the event does not follow from this state: the log is of another history, or damaged.
// The state is then undefined. Apply copies what it keeps of e.
func (s *State) Apply(seq uint64, at Time, e *Event) error {
	r := refs{desk: s.desks[e.Desk]}
	if r.desk != nil {
		r.agent = r.desk.agents[e.Agent]
		if q := s.ids.find(e.Request); q != nil && q.id == e.Request && q.desk == r.desk {
			r.request = q
		}
	}
	return s.apply(stamp{seq, at}, e, r)
}

// apply is Apply where the names are known.
func (s *State) apply(now stamp, e *Event, r refs) error {
	if now.seq <= s.seq {
		return fmt.Errorf("%s: event %d follows event %d", e.Kind, now.seq, s.seq)
	}
	s.seq = now.seq
	s.purge(now.at)
	if e.Kind == DeskPut {
		return s.applyDesk(now, e, r.desk)
	}
	if r.desk == nil {
		return fmt.Errorf("%s at desk %q, which does not exist", e.Kind, e.Desk)
	}
	switch {
	case e.Kind == AgentPut:
		return s.applyAgent(now, e, r)
	case e.Kind == RequestMade:
		return s.applyRequest(now, e, r.desk)
	case r.agent == nil && e.Kind < RequestMade:
		return fmt.Errorf("%s: desk %q has no agent %q", e.Kind, e.Desk, e.Agent)
	case r.request == nil && e.Kind > RequestMade:
		return fmt.Errorf("%s: desk %q has no request %d", e.Kind, e.Desk, e.Request)
	case e.Kind < RequestMade:
		return s.applyOfAgent(now, e, r.agent)
	case e.Kind == OfferMade:
		return s.applyOffer(now, e, r)
	case e.Kind == ClientConnected || e.Kind == ClientDisconnected:
		return s.applyClient(now, e, r.request)
	}
	return s.applyOfRequest(now, e, r.request)
}

func (s *State) applyDesk(now stamp, e *Event, d *desk) error {
	if e.Config == nil {
		return fmt.Errorf("desk %q is put without a configuration", e.Desk)
	}
	if d == nil {
		d = &desk{name: strings.Clone(e.Desk), number: uint64(len(s.order)) + 1, agents: map[string]*agent{}}
		d.timer = timer{kind: timerOfDesk, id: d.number, owner: d}
		s.desks[d.name] = d
		s.order = append(s.order, d)
	}
	if p := d.keeps(e.Config.Topics); p != nil {
		return fmt.Errorf("desk %q loses topic %q, which %d live requests have", d.name, p.name, p.live)
	}
	d.put = now
	d.config = e.Config.clone()
	d.retopic(now)
	s.timers.set(&d.timer, max(d.warm, now.at, 1))
	return nil
}

// keeps gives a topic with live requests that the desk would lose; nil: it may have these topics.
func (d *desk) keeps(topics []string) *topic {
	for _, p := range d.topics {
		stays := slices.Contains(topics, p.name)
		if p.name == "" {
			stays = len(topics) == 0
		}
		if !stays && p.live > 0 {
			return p
		}
	}
	return nil
}

// retopic gives the desk the topics of its configuration. If they are others, rings are made anew in the order of the old.
func (d *desk) retopic(now stamp) {
	names := append([]string{""}, d.config.Topics...)
	if slices.EqualFunc(d.topics, names, func(p *topic, name string) bool { return p.name == name }) {
		for _, p := range d.topics {
			p.version = now.seq
		}
		return
	}
	var ready []*agent
	if len(d.topics) > 0 {
		for l := d.topics[0].ring.first(); l != nil; l = d.topics[0].ring.after(l) {
			ready = append(ready, l.agent)
		}
	}
	for _, a := range ready {
		a.leave(now)
	}
	topics := make([]*topic, len(names))
	for i, name := range names {
		if topics[i] = d.find(name); topics[i] == nil {
			topics[i] = &topic{name: name}
			topics[i].ring.init()
		}
		topics[i].version = now.seq
	}
	d.topics = topics
	for _, row := range d.roll.rows {
		if row.of != nil {
			row.of.enlist()
		}
	}
	for _, a := range ready {
		a.enter(now)
	}
}

func (c *Config) clone() Config {
	kept := *c
	kept.Topics = cloneAll(c.Topics)
	return kept
}

// equal compares what stays of a configuration: none and no topics are the same.
func (c *Config) equal(other *Config) bool {
	one, two := *c, *other
	one.Topics, two.Topics = nil, nil
	return slices.Equal(c.Topics, other.Topics) && reflect.DeepEqual(one, two)
}

func cloneAll(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	kept := make([]string, len(names))
	for i, name := range names {
		kept[i] = strings.Clone(name)
	}
	return kept
}

func (p *Profile) equal(other *Profile) bool {
	return p.Reach == other.Reach && slices.Equal(p.Topics, other.Topics)
}

// applyAgent: an agent is made, or has another profile.
func (s *State) applyAgent(now stamp, e *Event, r refs) error {
	if e.Profile == nil {
		return fmt.Errorf("agent %q is put without a profile", e.Agent)
	}
	a := r.agent
	if a == nil {
		r.desk.enlisted++
		a = &agent{name: strings.Clone(e.Agent), number: r.desk.enlisted, desk: r.desk}
		a.timer = timer{kind: timerOfAgent, id: r.desk.number<<32 | a.number, owner: a}
		r.desk.agents[a.name] = a
		r.desk.roll.add(a.number, a)
		r.desk.states[Offline]++
		s.agents++
	}
	if a.inRing {
		a.leave(now)
	}
	a.profile = Profile{Topics: cloneAll(e.Profile.Topics), Reach: e.Profile.Reach}
	a.enlist()
	switch { // whoever is reached otherwise now may be away now, or not any more
	case a.here() || a.state == Offline:
		a.absence = absence{}
	case a.until == 0:
		a.until = now.at + a.grace()
	}
	s.keepAgent(a, now)
	s.keepCurrent(a)
	return nil
}

// keepCurrent sets the timer of a pending offer anew, which depends on whether its agent is away.
func (s *State) keepCurrent(a *agent) {
	if a.state == Init {
		s.timers.set(&a.current.timer, a.current.due())
	}
}

// applyOfAgent folds what happens to an agent alone.
func (s *State) applyOfAgent(now stamp, e *Event, a *agent) error {
	switch e.Kind {
	case AgentRemoved:
		if a.state == Init || a.state == Busy {
			return fmt.Errorf("%q is removed from desk %q, but is %s", a.name, e.Desk, a.state)
		}
		s.removeAgent(now, a)
		return nil
	case AgentConnected:
		if e.Conn == 0 || a.has(e.Conn) || len(a.conns) > MaxDevices {
			return fmt.Errorf("connection %d of %q at desk %q is there already, or one too many", e.Conn, a.name, e.Desk)
		}
		a.conns = append(a.conns, e.Conn)
		a.silent, a.absence = false, absence{}
		if a.state == Init && e.Receipt != 0 {
			a.current.offer().receipt = e.Receipt
		}
	case AgentDisconnected:
		if !a.has(e.Conn) {
			return fmt.Errorf("connection %d of %q at desk %q is not there", e.Conn, a.name, e.Desk)
		}
		a.conns = slices.DeleteFunc(a.conns, func(conn uint64) bool { return conn == e.Conn })
		a.until = e.Until
	case AgentOnline:
		if a.accepting || e.State != Busy && e.State != Idle || e.State == Busy != (a.state == Busy) {
			return fmt.Errorf("%q at desk %q goes online, but is %s", a.name, e.Desk, a.state)
		}
		a.turn(e.State)
		a.accepting, a.misses, a.silent = true, 0, false
		if e.State == Idle {
			a.idle = now
		}
	case AgentPaused:
		a.accepting = false
	case AgentOffline:
		if a.state != Idle {
			return fmt.Errorf("%q at desk %q goes offline, but is %s", a.name, e.Desk, a.state)
		}
		a.goOffline()
	case AgentReady:
		if a.notBefore == 0 {
			return fmt.Errorf("%q at desk %q is ready again, but was not pausing", a.name, e.Desk)
		}
		a.notBefore = 0
	case AgentHeard:
		a.silent = false
	default:
		return fmt.Errorf("unknown event kind %d", uint8(e.Kind))
	}
	s.keepAgent(a, now)
	s.keepCurrent(a)
	return nil
}

func (s *State) removeAgent(now stamp, a *agent) {
	if a.inRing {
		a.leave(now)
	}
	s.timers.set(&a.timer, 0)
	a.desk.states[a.state]--
	a.desk.roll.remove(a.number)
	delete(a.desk.agents, a.name)
	s.agents--
}
