package desk

import "slices"

// agent is one agent of a desk. What the ring needs stands first, close together: of very many agents each look at a new
// place in memory costs more than all else that an offer does to the ring.
type agent struct {
	links []link  // one for each topic that the agent serves, the first for all of the desk
	own   [1]link // what links has where the desk has no topics
	standing
	name    string
	number  uint64 // among the desk's agents, as they were put
	desk    *desk
	profile Profile
	conns   []uint64
	absence
	current *request // Init: offered to the agent; Busy: of the session
	timer   timer
	stamp
}

// standing is what an agent does and wants.
type standing struct {
	state     AgentState
	accepting bool
	silent    bool // until something is heard
	inRing    bool
	misses    uint32
	idle      stamp // the event that put the agent at the back of the line: the place in the ring
	notBefore Time  // until AgentReady
}

// absence is how long somebody whose last connection ended may stay away.
type absence struct {
	until   Time // zero: not away
	started bool // away since a start
}

// here says whether the agent can be reached.
func (a *agent) here() bool { return len(a.conns) > 0 || a.profile.Reach == Push }

// ready says whether the agent belongs in the ring.
func (a *agent) ready() bool {
	return a.state == Idle && a.accepting && !a.silent && a.notBefore == 0 && a.here()
}

func (a *agent) has(conn uint64) bool { return slices.Contains(a.conns, conn) }

// serves says whether requests of a topic are offered to the agent.
func (a *agent) serves(p *topic) bool {
	return p.name == "" || len(a.profile.Topics) == 0 || slices.Contains(a.profile.Topics, p.name)
}

// grace is how long the agent may be away as they are.
func (a *agent) grace() Time {
	var d = a.desk.config.IdleGrace
	switch a.state {
	case Init:
		d = a.desk.config.InitGrace
	case Busy:
		d = a.desk.config.BusyGrace
	}
	return Time(0).Add(d)
}

// due is when something happens to the agent of itself; zero: never. In Init it is the request's timer that goes off.
func (a *agent) due() Time {
	switch a.state {
	case Idle:
		return earliest(a.until, a.notBefore)
	case Busy:
		return a.until
	}
	return 0
}

// earliest gives the lowest that is not zero.
func earliest(times ...Time) Time {
	var first Time
	for _, t := range times {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	return first
}

// keepAgent follows a change of the agent: the ring, the timer, the stamp.
func (s *State) keepAgent(a *agent, now stamp) {
	a.stamp = now
	if ready := a.ready(); ready != a.inRing {
		if ready {
			a.enter(now)
		} else {
			a.leave(now)
		}
	}
	s.timers.set(&a.timer, a.due())
}

// enter puts the agent into the rings of their topics.
func (a *agent) enter(now stamp) {
	for i := range a.links {
		l := &a.links[i]
		l.place = a.idle.seq
		l.topic.ring.insert(l)
		l.topic.version = now.seq
	}
	a.inRing = true
}

// leave takes the agent out of the rings.
func (a *agent) leave(now stamp) {
	for i := range a.links {
		l := &a.links[i]
		l.topic.ring.remove(l)
		l.topic.version = now.seq
	}
	a.inRing = false
}

// turn gives the agent another state.
func (a *agent) turn(state AgentState) {
	a.desk.states[a.state]--
	a.state = state
	a.desk.states[state]++
}

// goOffline is the end of all that the agent was about.
func (a *agent) goOffline() {
	a.turn(Offline)
	a.accepting, a.silent, a.notBefore, a.absence = false, false, 0, absence{}
}

// enlist gives the agent a link for each topic that they serve. The agent is in no ring.
func (a *agent) enlist() {
	a.links = a.own[:0]
	if len(a.desk.topics) > 1 {
		a.links = make([]link, 0, len(a.desk.topics))
	}
	for _, p := range a.desk.topics {
		if a.serves(p) {
			a.links = append(a.links, link{agent: a, topic: p, lanes: make([]lane, lanesOf(a.number))})
		}
	}
}
