package desk

// ring is the ready agents of a topic, the longest idle first: an intrusive list in the order of their places. Taking the
// first, taking anybody out and putting somebody at the back are O(1); so is putting somebody back who is among the first
// or the last, which is where those come from who return. An agent with several topics stands in several rings.
type ring struct {
	root  link // next is the first, prev the last
	count uint32
}

// link is an agent's place in one ring.
type link struct {
	prev, next *link // nil: not in the ring
	agent      *agent
	topic      *topic
	place      uint64 // the agent's place when they were put in
}

func (r *ring) init() { r.root.prev, r.root.next = &r.root, &r.root }

// first gives the link of who is next; nil: nobody is ready.
func (r *ring) first() *link { return r.after(&r.root) }

// after gives the one behind l.
func (r *ring) after(l *link) *link {
	if l.next == &r.root {
		return nil
	}
	return l.next
}

// insert puts l where its place is. It looks from both ends at once.
func (r *ring) insert(l *link) {
	low, high := r.root.next, r.root.prev
	for high != &r.root && high.place > l.place {
		if low.place > l.place {
			high = low.prev
			break
		}
		low, high = low.next, high.prev
	}
	l.prev, l.next = high, high.next
	l.prev.next, l.next.prev = l, l
	r.count++
}

func (r *ring) remove(l *link) {
	l.prev.next, l.next.prev = l.next, l.prev
	l.prev, l.next = nil, nil
	r.count--
}
