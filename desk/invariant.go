package desk

import (
	"fmt"
	"slices"
)

// Invariants that can be seen in one state. Those that need the history (D2, D3, D5, D6) are checked by who follows a log or
// sees what was told.

// Check runs the invariants that hold after every event: D1 and D7, and that what is kept twice agrees. It costs a look at
// everything: for tests, verification and what reads a snapshot.
func (s *State) Check() error {
	for _, check := range []func() error{s.CheckD1, s.CheckD7, s.checkLines, s.checkTallies, s.checkTimers, s.checkFinished} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// CheckD1: an agent is in one state; init ⇔ exactly one pending offer names the agent, busy ⇔ one live session.
func (s *State) CheckD1() error {
	for _, d := range s.order {
		held := map[*agent]*request{}
		for _, row := range d.requests.rows {
			r := row.of
			if r == nil {
				continue
			}
			if err := r.checkD1(); err != nil {
				return fmt.Errorf("D1: desk %q: %w", d.name, err)
			}
			if r.agent == nil {
				continue
			}
			if other := held[r.agent]; other != nil {
				return fmt.Errorf("D1: agent %q of desk %q has requests %d and %d", r.agent.name, d.name, other.id, r.id)
			}
			if held[r.agent] = r; d.agents[r.agent.name] != r.agent {
				return fmt.Errorf("D1: request %d of desk %q has agent %q, who was removed", r.id, d.name, r.agent.name)
			}
		}
		for _, a := range d.agents {
			if err := a.checkD1(held[a]); err != nil {
				return fmt.Errorf("D1: agent %q of desk %q: %w", a.name, d.name, err)
			}
		}
	}
	return nil
}

func (r *request) checkD1() error {
	pending, living := 0, 0
	for i := range r.offers {
		if r.offers[i].state == Pending {
			pending++
		}
	}
	for i := range r.sessions {
		if r.sessions[i].then == Assigned {
			living++
		}
	}
	state := r.course.state
	wantPending, wantLiving := 0, 0
	switch state {
	case Offering:
		wantPending = 1
	case Assigned:
		wantLiving = 1
	}
	if pending != wantPending || living != wantLiving || (r.agent != nil) != (state == Offering || state == Assigned) {
		return fmt.Errorf("request %d is %s with %d pending offers and %d live sessions", r.id, state, pending, living)
	}
	if pending == 1 && r.offer().state != Pending || living == 1 && r.session().then != Assigned {
		return fmt.Errorf("request %d is %s, but not by what came last", r.id, state)
	}
	return nil
}

func (a *agent) checkD1(holds *request) error {
	if a.current != holds || (a.state == Init || a.state == Busy) != (holds != nil) {
		return fmt.Errorf("%s, but holds another request or none", a.state)
	}
	if holds != nil && (a.state == Init) != (holds.course.state == Offering) {
		return fmt.Errorf("%s, but request %d is %s", a.state, holds.id, holds.course.state)
	}
	if a.state == Offline && (a.accepting || a.silent || a.notBefore != 0 || a.absence != absence{}) || a.state == Init && !a.accepting {
		return fmt.Errorf("%s with something left of before", a.state)
	}
	if a.here() && a.absence != (absence{}) || !a.here() && a.state != Offline && a.until == 0 {
		return fmt.Errorf("%s with %d connections, away until %d", a.state, len(a.conns), a.until)
	}
	return nil
}

// CheckD7: in the ring ⇔ ready, the longest idle first; what is counted is what is there.
func (s *State) CheckD7() error {
	for _, d := range s.order {
		for _, a := range d.agents {
			if a.inRing != a.ready() {
				return fmt.Errorf("D7: agent %q of desk %q: ready %t, in the ring %t", a.name, d.name, a.ready(), a.inRing)
			}
		}
		for _, p := range d.topics {
			ready := uint32(0)
			for _, a := range d.agents {
				if a.ready() && a.serves(p) {
					ready++
				}
			}
			if err := p.checkRing(ready); err != nil {
				return fmt.Errorf("D7: desk %q, topic %q: %w", d.name, p.name, err)
			}
		}
	}
	return nil
}

func (p *topic) checkRing(ready uint32) error {
	in, before := uint32(0), &p.ring.root
	for l := p.ring.first(); l != nil; l = p.ring.after(l) {
		if in++; in > ready {
			break
		}
		switch {
		case !l.agent.inRing || l.topic != p || l.prev != before:
			return fmt.Errorf("%q stands in the ring by mistake", l.agent.name)
		case l.place != l.agent.idle.seq || before != &p.ring.root && l.place <= before.place:
			return fmt.Errorf("%q is not where they belong", l.agent.name)
		}
		before = l
	}
	if in != ready || p.ring.count != ready {
		return fmt.Errorf("%d are ready, %d are in the ring, %d are counted", ready, in, p.ring.count)
	}
	return p.ring.checkLanes()
}

// checkLanes: each lane is the lane below it without the links that are not in it. The ring itself is in order.
func (r *ring) checkLanes() error {
	root := &r.root
	for level := 1; level <= maxLanes; level++ {
		before := root
		for l := root.next; ; l = l.next {
			if l != root && len(l.lanes) < level {
				continue
			}
			if before.at(level).next != l || l.at(level).prev != before {
				return fmt.Errorf("lane %d does not lead to place %d", level, l.place)
			}
			if before = l; l == root {
				break
			}
		}
	}
	return nil
}

// CheckD4: no request waits while somebody is ready who could be asked. It holds between turns, but for a desk that is not
// settled yet: in its warm-up, or when a turn left something over.
func (s *State) CheckD4() error {
	for _, d := range s.order {
		if d.timer.place != 0 {
			continue
		}
		for _, p := range d.served() {
			for _, r := range p.line.waiting() {
				for l := p.ring.first(); l != nil; l = p.ring.after(l) {
					if !r.tried(l.agent.name) {
						return fmt.Errorf("D4: request %d of desk %q waits, but %q is ready", r.id, d.name, l.agent.name)
					}
				}
				if d.config.Policy == Refuse {
					return fmt.Errorf("D4: request %d waits at desk %q, which keeps no queue", r.id, d.name)
				}
			}
		}
	}
	return nil
}

// checkLines: who is queued stands in the right line, in order, and nobody else does.
func (s *State) checkLines() error {
	for _, d := range s.order {
		queued := 0
		for _, p := range d.topics {
			for away, l := range []*line{&p.line, &p.away} {
				rows := l.waiting()
				queued += len(rows)
				for i, r := range rows {
					if r.course.state != Queued || r.topic != p || r.gone() != (away == 1) || int(r.course.in) != 1+away ||
						i > 0 && !rows[i-1].before(r) {
						return fmt.Errorf("line: request %d of desk %q stands where it does not belong", r.id, d.name)
					}
				}
			}
		}
		if queued != int(d.asks[Queued]) {
			return fmt.Errorf("line: desk %q has %d requests in line, %d are counted", d.name, queued, d.asks[Queued])
		}
	}
	return nil
}

// checkTallies: what is counted and indexed is what is there.
func (s *State) checkTallies() error {
	agents, requests, ids, keys := 0, 0, 0, 0
	for _, d := range s.order {
		var t tally
		live := map[*topic]uint32{}
		for _, a := range d.agents {
			t.states[a.state]++
		}
		for _, row := range d.requests.rows {
			r := row.of
			if r == nil {
				continue
			}
			requests++
			ids += 1 + len(r.offers) + len(r.sessions)
			if r.ask.Key != "" {
				keys++
			}
			ended := r.client.ended.from(r.seq)
			if slices.Contains(r.client.live, r) != r.course.state.Live() || s.clients[r.client.name] != r.client ||
				(len(ended) > 0 && ended[0].of == r) == r.course.state.Live() {
				return fmt.Errorf("tally: request %d of %q is not among theirs", r.id, r.client.name)
			}
			if r.course.state.Live() {
				t.asks[r.course.state]++
				live[r.topic]++
			}
		}
		t.enlisted = d.enlisted
		if t != d.tally {
			return fmt.Errorf("tally: desk %q counts %v, there are %v", d.name, d.tally, t)
		}
		for _, p := range d.topics {
			if p.live != live[p] {
				return fmt.Errorf("tally: topic %q of desk %q counts %d live requests, there are %d", p.name, d.name, p.live, live[p])
			}
		}
		agents += len(d.agents)
	}
	if agents != s.agents || requests != s.requests || ids != s.ids.count || keys != len(s.keys) {
		return fmt.Errorf("tally: %d agents, %d requests, %d ids, %d keys; counted %d, %d, %d, %d",
			agents, requests, ids, keys, s.agents, s.requests, s.ids.count, len(s.keys))
	}
	return s.checkClients()
}

// checkClients: one live request for each client and desk.
func (s *State) checkClients() error {
	for name, c := range s.clients {
		for i, r := range c.live {
			if r != c.liveOf(r.desk) || i > 0 && c.live[i-1].id >= r.id {
				return fmt.Errorf("client %q has two live requests at desk %q, or out of order", name, r.desk.name)
			}
		}
		for i, row := range c.ended.rows {
			if i > 0 && c.ended.rows[i-1].number >= row.number || row.of != nil && (row.of.seq != row.number || s.ids.find(row.of.id) != row.of) {
				return fmt.Errorf("client %q has requests that ended out of order", name)
			}
		}
		if c.empty() {
			return fmt.Errorf("client %q has none", name)
		}
	}
	return nil
}

// checkTimers: everybody's timer is set to when they have something to do, and the heap is one.
func (s *State) checkTimers() error {
	set := 0
	check := func(t *timer, due Time) error {
		if t.at != due || (t.place != 0) != (due != 0) || t.place != 0 && s.timers.heap[t.place-1] != t {
			return fmt.Errorf("timer: %T %d is set to %d, due %d", t.owner, t.id, t.at, due)
		}
		if due != 0 {
			set++
		}
		return nil
	}
	for _, d := range s.order {
		if err := check(&d.timer, d.timer.at); err != nil {
			return err
		}
		for _, a := range d.agents {
			if err := check(&a.timer, a.due()); err != nil {
				return err
			}
		}
		for _, row := range d.requests.rows {
			if row.of == nil {
				continue
			}
			if err := check(&row.of.timer, row.of.due()); err != nil {
				return err
			}
		}
	}
	if set != len(s.timers.heap) {
		return fmt.Errorf("timer: %d are set, %d should be", len(s.timers.heap), set)
	}
	for i, t := range s.timers.heap[min(1, set):] {
		if t.before(s.timers.heap[i/4]) {
			return fmt.Errorf("timer: %T %d stands below a later one", t.owner, t.id)
		}
	}
	return nil
}

// checkFinished: what has ended stands in the order in which it ended, and only that.
func (s *State) checkFinished() error {
	live := 0
	for _, d := range s.order {
		for _, n := range d.asks {
			live += int(n)
		}
	}
	rows := s.finished.rows[s.finished.head:]
	if len(rows)+live != s.requests {
		return fmt.Errorf("finished: %d ended and %d live requests of %d", len(rows), live, s.requests)
	}
	for i, r := range rows {
		if r.course.state.Live() || i > 0 && rows[i-1].seq >= r.seq {
			return fmt.Errorf("finished: request %d stands where it does not belong", r.id)
		}
	}
	return nil
}
