package desk

// timers is what happens of itself, by (time, kind, id): a heap that knows where each timer stands, so that there is one
// for each desk, agent and request, and none that is not live.
type timers struct{ heap []*timer }

// The kinds of timers, in the order in which they go off at the same instant.
const (
	timerOfRequest = iota
	timerOfAgent
	timerOfDesk
)

// timer is when its owner has something to do.
type timer struct {
	at    Time
	id    uint64 // among the timers of its kind: what was made first
	owner owner
	place int32 // in the heap, 1 is the top; 0: it is not set
	kind  uint8
}

// owner is a desk, an agent or a request.
type owner interface {
	// fire does what is due first. It makes an event, or sets the timer anew.
	fire(s *State, t *Turn)
}

func (t *timer) before(other *timer) bool {
	if t.at != other.at {
		return t.at < other.at
	}
	if t.kind != other.kind {
		return t.kind < other.kind
	}
	return t.id < other.id
}

// first gives the timer that goes off first; nil: none is set.
func (h *timers) first() *timer {
	if len(h.heap) == 0 {
		return nil
	}
	return h.heap[0]
}

// set sets the timer, or takes it out where at is zero.
func (h *timers) set(t *timer, at Time) {
	switch {
	case at == t.at && (at == 0) == (t.place == 0):
	case t.place == 0:
		t.at = at
		h.heap = append(h.heap, t)
		h.up(t, len(h.heap)-1)
	case at == 0:
		h.drop(t)
	default:
		earlier := at < t.at
		t.at = at
		if earlier {
			h.up(t, int(t.place)-1)
		} else {
			h.down(t, int(t.place)-1)
		}
	}
}

func (h *timers) drop(t *timer) {
	at, last := int(t.place)-1, len(h.heap)-1
	moved := h.heap[last]
	h.heap[last] = nil
	h.heap = h.heap[:last]
	t.at, t.place = 0, 0
	if moved == t {
		return
	}
	if at > 0 && moved.before(h.heap[(at-1)/4]) {
		h.up(moved, at)
	} else {
		h.down(moved, at)
	}
}

// up moves t from place i, which is free, towards the top. Each has four below it.
func (h *timers) up(t *timer, i int) {
	for i > 0 {
		above := h.heap[(i-1)/4]
		if !t.before(above) {
			break
		}
		h.put(above, i)
		i = (i - 1) / 4
	}
	h.put(t, i)
}

func (h *timers) down(t *timer, i int) {
	for {
		least := 4*i + 1
		if least >= len(h.heap) {
			break
		}
		for n := least + 1; n < min(4*i+5, len(h.heap)); n++ {
			if h.heap[n].before(h.heap[least]) {
				least = n
			}
		}
		if !h.heap[least].before(t) {
			break
		}
		h.put(h.heap[least], i)
		i = least
	}
	h.put(t, i)
}

func (h *timers) put(t *timer, i int) {
	h.heap[i] = t
	t.place = int32(i) + 1
}
