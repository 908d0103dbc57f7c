package desk

import "math/bits"

// ring is the ready agents of a topic, the longest idle first: an intrusive list in the order of their places. Taking the
// first, taking anybody out and putting somebody at the back are O(1), and so is putting somebody back at the front. Who
// comes back into the middle (after a pause, or from being away) finds their place over lanes that skip: O(log n).
// An agent with several topics stands in several rings.
type ring struct {
	root  link // next is the first, prev the last; it is in every lane
	count uint32
}

// link is an agent's place in one ring.
type link struct {
	lane         // to the neighbours
	lanes []lane // to those further away, the nearest first; most links have none
	agent *agent
	topic *topic
	place uint64 // the agent's place when they were put in
}

// lane is the next links in both directions; nil: not in the ring.
type lane struct{ prev, next *link }

const (
	maxLanes = 6 // enough for 8^7 agents in one ring
	skipBits = 3 // one of 8 links of a lane is in the next one too
)

// lanesOf is in how many lanes the links of an agent are.
func lanesOf(number uint64) int {
	number *= 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: spreads the numbers evenly
	return min(bits.LeadingZeros64(number)/skipBits, maxLanes)
}

// at gives the link's lane of a level, 0 that of the neighbours.
func (l *link) at(level int) *lane {
	if level == 0 {
		return &l.lane
	}
	return &l.lanes[level-1]
}

func (r *ring) init() {
	r.root.lanes = make([]lane, maxLanes)
	for level := range maxLanes + 1 {
		*r.root.at(level) = lane{&r.root, &r.root}
	}
}

// first gives the link of who is next; nil: nobody is ready.
func (r *ring) first() *link { return r.after(&r.root) }

// after gives the one behind l.
func (r *ring) after(l *link) *link {
	if l.next == &r.root {
		return nil
	}
	return l.next
}

// insert puts l where its place is.
func (r *ring) insert(l *link) {
	r.count++
	root := &r.root
	back := root.prev == root || root.prev.place < l.place
	before, top := root, len(l.lanes)
	if !back {
		top = maxLanes
	}
	for level := top; level >= 0; level-- {
		if back {
			before = root.at(level).prev
		} else {
			for next := before.at(level).next; next != root && next.place < l.place; next = before.at(level).next {
				before = next
			}
		}
		if level <= len(l.lanes) {
			after := before.at(level).next
			*l.at(level) = lane{before, after}
			before.at(level).next, after.at(level).prev = l, l
		}
	}
}

func (r *ring) remove(l *link) {
	for level := 0; level <= len(l.lanes); level++ {
		way := l.at(level)
		way.prev.at(level).next, way.next.at(level).prev = way.next, way.prev
		*way = lane{}
	}
	r.count--
}
