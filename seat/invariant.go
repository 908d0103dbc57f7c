package seat

import "fmt"

// Invariants that can be seen in one state. Those that need the history are not checked here but in internal/sim, which
// follows a log with a model of its own.

// Check runs every invariant of the state. It costs a look at everything: for tests, verification and the simulator.
func (s *State) Check() error {
	for _, check := range []func() error{s.CheckS1, s.CheckS2, s.CheckS4, s.CheckS5, s.CheckL2} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// CheckS1: seated + offered ≤ capacity + over, and every seat number is held by one claim.
func (s *State) CheckS1() error {
	held := map[uint64]uint32{}
	for n := uint32(1); n <= s.claims.count; n++ {
		c := s.claims.at(n)
		if !c.status.holds() {
			continue
		}
		p := s.poolAt(c.pool)
		if other := held[pair(c.pool, c.seat)]; other != 0 || c.seat == 0 {
			return fmt.Errorf("S1: seat %d of pool %q is held by %q and by %q", c.seat, p.name,
				s.people.at(c.person).name, s.people.at(s.claims.at(max(other, 1)).person).name)
		}
		held[pair(c.pool, c.seat)] = n
	}
	for _, p := range s.poolList {
		if p.seated+p.offered > p.config.Capacity+p.over() {
			return fmt.Errorf("S1: pool %q: %d seated and %d offered of %d", p.name, p.seated, p.offered, p.config.Capacity)
		}
	}
	return nil
}

// CheckS2: one live claim per person and pool, one seat per group (a swap inside the group apart), and what is counted
// for the limits is what is there.
func (s *State) CheckS2() error {
	type count struct{ seats, waits uint32 }
	counts := make([]count, s.people.list.count+1)
	seen := map[uint64]bool{}
	groups := map[uint64]uint32{}
	for n := uint32(1); n <= s.claims.count; n++ {
		c := s.claims.at(n)
		p, name := s.poolAt(c.pool), s.people.at(c.person).name
		if seen[pair(c.pool, c.person)] {
			return fmt.Errorf("S2: %q has two claims in pool %q", name, p.name)
		}
		seen[pair(c.pool, c.person)] = true
		if c.status == Waiting || c.status == Entered {
			counts[c.person].waits++
		}
		if !c.status.holds() {
			continue
		}
		counts[c.person].seats++
		if p.group == 0 {
			continue
		}
		if other := groups[pair(p.group, c.person)]; other != 0 && s.swaps[n] != other && s.swaps[other] != n {
			return fmt.Errorf("S2: %q holds two seats of group %q", name, p.config.Group)
		}
		groups[pair(p.group, c.person)] = n
	}
	for n := uint32(1); n <= s.people.list.count; n++ {
		if who := s.people.at(n); who.seats != counts[n].seats || who.waiting != counts[n].waits {
			return fmt.Errorf("S2: %q is counted with %d seats and %d waits, has %d and %d", who.name,
				who.seats, who.waiting, counts[n].seats, counts[n].waits)
		}
	}
	return nil
}

// CheckS4: capacity + over = free + seated + offered, and the counts are those of the claims.
func (s *State) CheckS4() error {
	counts := make([][Statuses]uint32, len(s.poolList))
	for n := uint32(1); n <= s.claims.count; n++ {
		c := s.claims.at(n)
		counts[c.pool-1][c.status]++
	}
	for i, p := range s.poolList {
		if c := counts[i]; c[Seated] != p.seated || c[Offered] != p.offered || c[Waiting] != p.line.waiting() || c[Entered] != p.entered {
			return fmt.Errorf("S4: pool %q counts %d seated, %d offered, %d waiting, %d entered; its claims are %d, %d, %d, %d", p.name,
				p.seated, p.offered, p.line.waiting(), p.entered, c[Seated], c[Offered], c[Waiting], c[Entered])
		}
		if p.config.Capacity+p.over() != p.free()+p.seated+p.offered {
			return fmt.Errorf("S4: pool %q: capacity %d + over %d is not free %d + seated %d + offered %d", p.name,
				p.config.Capacity, p.over(), p.free(), p.seated, p.offered)
		}
	}
	return nil
}

// CheckS5: positions run from 1 without a gap, each eligibility is what the limits and groups say, and wherever promotion
// is possible for ever the pool is marked for it. (One that promote_until ended is not marked, and a state has no clock.)
func (s *State) CheckS5() error {
	marked := 0
	for _, p := range s.poolList {
		if p.marked {
			marked++
		} else if p.free() > 0 && p.line.eligible() > 0 && p.config.promoteUntil() == 0 {
			return fmt.Errorf("S5: pool %q has %d free seats and %d eligible, and is not marked for promotion", p.name, p.free(), p.line.eligible())
		}
		position, eligible := uint32(0), uint32(0)
		for _, at := range p.line.places {
			if at.claim == 0 {
				continue
			}
			c := s.claims.at(at.claim)
			position++
			why, _ := s.bars(p, c.person, s.swaps[at.claim])
			if c.eligible != (why == "") {
				return fmt.Errorf("S5: %q in the line of %q: eligible is noted as %t, the rules say %q", s.people.at(c.person).name, p.name, c.eligible, why)
			}
			if c.eligible {
				eligible++
			}
			if c.status != Waiting || c.ticket != at.ticket || p.line.position(c.ticket) != position {
				return fmt.Errorf("S5: %q in the line of %q: position %d, counted %d", s.people.at(c.person).name, p.name, p.line.position(c.ticket), position)
			}
		}
		if position != p.line.waiting() || eligible != p.line.eligible() {
			return fmt.Errorf("S5: the line of %q counts %d and %d eligible, there are %d and %d", p.name, p.line.waiting(), p.line.eligible(), position, eligible)
		}
	}
	if marked != len(s.unsettled) {
		return fmt.Errorf("S5: %d pools are marked for promotion, %d are in the heap", marked, len(s.unsettled))
	}
	return nil
}

// CheckL2: no draw is forgotten. Every lottery before its draw is awaited once, or its seed is missing; every drawn one in
// which somebody is still entered is under way.
func (s *State) CheckL2() error {
	awaited, begun := map[*pool]bool{}, map[*pool]bool{}
	for _, p := range s.draws.awaited {
		awaited[p] = true
	}
	for _, p := range s.draws.begun {
		begun[p] = true
	}
	waits, draws, sealed := 0, 0, 0
	for _, p := range s.poolList {
		missing := p.lottery != nil && p.lottery.sealed
		underWay := p.lottery != nil && p.lottery.drawn && p.entered > 0
		if missing && !p.undrawn() || awaited[p] != (p.undrawn() && !missing) || begun[p] != underWay {
			return fmt.Errorf("L2: pool %q with %d entered, undrawn %t: awaited %t, seed missing %t, draw under way %t", p.name,
				p.entered, p.undrawn(), awaited[p], missing, begun[p])
		}
		if awaited[p] {
			waits++
		}
		if underWay {
			draws++
		}
		if missing {
			sealed++
		}
	}
	if waits != len(s.draws.awaited) || draws != len(s.draws.begun) || sealed != s.draws.sealed {
		return fmt.Errorf("L2: %d lotteries are awaited, %d draws under way, %d seeds missing; noted are %d, %d, %d", waits, draws, sealed,
			len(s.draws.awaited), len(s.draws.begun), s.draws.sealed)
	}
	return nil
}
