package seat

import (
	"hash/maphash"
	"math"
)

// State is the seats of one realm: a fold of its events. See the package comment: pure, not safe for concurrent use.
//
// Pools, people, claims and groups have numbers, in the order of their first event, from 1; 0 is none.
type State struct {
	limits Limits

	pools     map[string]*pool
	poolList  []*pool
	groups    map[string]uint32
	people    people
	claims    store[claim]
	index     table             // claims by pool and person
	groupSeat map[uint64]uint32 // group<<32|person → the claim that holds the person's seat of that group (the newest)
	swapping
	offers    deadlines
	draws     draws
	unsettled poolHeap // pools where promotion may be possible
}

// swapping is who gives up what for what.
type swapping struct {
	swaps     map[uint32]uint32 // waiting or offered claim → the seated claim it will give up
	swappedBy map[uint32]uint32 // the reverse
}

// pool is one pool.
type pool struct {
	number  uint32
	group   uint32
	lottery *lottery // nil: by arrival
	name    string
	config  Config
	seats   seats
	line    line
	tally
	marked bool // in State.unsettled
	first  uint32
	final  uint32 // first and last claim ever made here, linked by claim.nextOfPool
	put    stamp
}

// tally counts who is not in line.
type tally struct{ seated, offered, entered uint32 }

// stamp is which event, and when.
type stamp struct {
	seq uint64
	at  Time
}

// claim is one person's standing in one pool. A released claim stays, for its seq.
type claim struct {
	stamp
	pool         uint32
	person       uint32
	seat         uint32 // Seated, Offered
	ticket       uint32 // Waiting
	nextOfPerson uint32
	nextOfPool   uint32
	nextWait     uint32
	status       Status
	eligible     bool // Waiting: may sit now
}

// NewState is a realm without pools.
func NewState() *State {
	return &State{
		limits:    DefaultLimits(),
		pools:     map[string]*pool{},
		groups:    map[string]uint32{},
		people:    people{seed: maphash.MakeSeed()},
		groupSeat: map[uint64]uint32{},
		swapping:  swapping{swaps: map[uint32]uint32{}, swappedBy: map[uint32]uint32{}},
		offers:    deadlines{of: map[uint32]Time{}},
	}
}

// claimOf gives the person's claim in a pool; 0 = none.
func (s *State) claimOf(pool, person uint32) uint32 {
	return s.index.find(mix(pair(pool, person)), func(n uint32) bool {
		c := s.claims.at(n)
		return c.pool == pool && c.person == person
	})
}

func pair(high, low uint32) uint64 { return uint64(high)<<32 | uint64(low) }

func (s *State) poolAt(n uint32) *pool { return s.poolList[n-1] }

// free is how many more may sit or be offered a seat.
func (p *pool) free() uint32 {
	if held := p.seated + p.offered; held < p.config.Capacity {
		return p.config.Capacity - held
	}
	return 0
}

func (p *pool) over() uint32 {
	if held := p.seated + p.offered; held > p.config.Capacity {
		return held - p.config.Capacity
	}
	return 0
}

// promotes says whether promotion has not ended at t.
func (p *pool) promotes(t Time) bool {
	until := p.config.promoteUntil()
	return until == 0 || t < until
}

// hasSeatFor says whether a newcomer may sit: a seat is free and nobody eligible waits for it.
func (p *pool) hasSeatFor() bool { return p.free() > 0 && p.line.eligible() == 0 }

// hasPlace says whether somebody may join the line.
func (p *pool) hasPlace() bool {
	most := p.config.Waitlist
	return (most == nil || p.line.waiting() < *most) && p.line.last < math.MaxUint32
}

// live counts the live claims.
func (p *pool) live() uint32 { return p.seated + p.offered + p.entered + p.line.waiting() }

// bars says why a person may not take one more seat, in pool p, giving up the seat of claim swap (0 = none): LimitSeats,
// HeldInGroup, or empty. The held claim is the one of the group.
func (s *State) bars(p *pool, person, swap uint32) (why Code, held uint32) {
	if person == 0 {
		return "", 0
	}
	if p.group != 0 {
		if held = s.groupSeat[pair(p.group, person)]; held != 0 && held != swap {
			return HeldInGroup, held
		}
	}
	if s.limits.MaxSeats != nil {
		count := s.people.at(person).seats
		if swap != 0 {
			count--
		}
		if count >= *s.limits.MaxSeats {
			return LimitSeats, 0
		}
	}
	return "", 0
}
