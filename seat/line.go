package seat

import (
	"math/bits"
	"sort"
)

// line is the people waiting for one pool, in the order of their tickets.
//
// A Fenwick tree over the places counts, in one word, who is still there (high half) and who of them may sit now (low
// half). So joining, leaving from the middle, the exact position of anybody and the first eligible are O(log n).
// Places of people who left stay as holes until they are half of all; then the line closes up.
type line struct {
	places []place  // by ticket, rising
	tree   []uint64 // Fenwick tree over places, 1-based: tree[i-1] is node i
	count  uint64   // sum of all: present<<32 | eligible
	last   uint32   // the last ticket given out
}

// place is one ticket's place; claim 0 is a hole.
type place struct {
	ticket uint32
	claim  uint32
}

const present = uint64(1) << 32

func (l *line) waiting() uint32  { return uint32(l.count >> 32) }
func (l *line) eligible() uint32 { return uint32(l.count) }

// join puts a claim at the end. Tickets must rise.
func (l *line) join(ticket, claim uint32, eligible bool) {
	weight := present
	if eligible {
		weight++
	}
	l.places = append(l.places, place{ticket, claim})
	l.last = ticket
	l.count += weight
	l.grow(weight)
}

// grow appends one node: its own weight and that of the nodes below it.
func (l *line) grow(weight uint64) {
	i := len(l.tree) + 1
	for step := 1; step < i&-i; step <<= 1 {
		weight += l.tree[i-step-1]
	}
	l.tree = append(l.tree, weight)
}

// add changes the weight of place i (0-based) by delta, which may wrap around to mean less.
func (l *line) add(i int, delta uint64) {
	l.count += delta
	for i++; i <= len(l.tree); i += i & -i {
		l.tree[i-1] += delta
	}
}

// find gives the place of a ticket that is in the line.
func (l *line) find(ticket uint32) int {
	return sort.Search(len(l.places), func(i int) bool { return l.places[i].ticket >= ticket })
}

// leave makes a hole where the ticket was.
func (l *line) leave(ticket uint32, eligible bool) {
	i := l.find(ticket)
	weight := present
	if eligible {
		weight++
	}
	l.places[i].claim = 0
	l.add(i, -weight)
	if n := len(l.places); n >= 64 && int(l.waiting())*2 < n {
		l.closeUp()
	}
}

// closeUp drops the holes. It costs O(n), after at least n/2 people left.
func (l *line) closeUp() {
	old := l.places
	l.places = make([]place, 0, l.waiting()+l.waiting()/4)
	tree := make([]uint64, 0, cap(l.places))
	before := l.tree
	l.tree = tree
	for i, p := range old {
		if p.claim != 0 {
			l.places = append(l.places, p)
			l.grow(weightOf(before, i))
		}
	}
}

// weightOf is the single weight of place i in a Fenwick tree.
func weightOf(tree []uint64, i int) uint64 {
	w := tree[i]
	for step, node := 1, i+1; step < node&-node; step <<= 1 {
		w -= tree[node-step-1]
	}
	return w
}

// allow says whether the ticket's person may sit now. The caller calls it only when that changed.
func (l *line) allow(ticket uint32, eligible bool) {
	delta := uint64(1)
	if !eligible {
		delta = -delta
	}
	l.add(l.find(ticket), delta)
}

// position counts who is present up to the ticket, itself included: 1 is next.
func (l *line) position(ticket uint32) uint32 {
	if ticket == l.last { // who has just joined: the case of a rush
		return l.waiting()
	}
	var sum uint64
	for i := l.find(ticket) + 1; i > 0; i -= i & -i {
		sum += l.tree[i-1]
	}
	return uint32(sum >> 32)
}

// first gives the claim of the first eligible person; 0 = nobody.
func (l *line) first() uint32 {
	if l.eligible() == 0 {
		return 0
	}
	at := 0 // nodes up to here hold nobody eligible
	for step := 1 << (bits.Len(uint(len(l.tree))) - 1); step > 0; step >>= 1 {
		if next := at + step; next <= len(l.tree) && uint32(l.tree[next-1]) == 0 {
			at = next
		}
	}
	return l.places[at].claim
}
