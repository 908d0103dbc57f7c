package server

import (
	"container/heap"
	"sync"
	"time"

	"holdfast/internal/wire"
)

// sweeper visits every connection now and then: pings it, notices that it is dead or has not said who it is, and has it ask
// again who it is. One goroutine for all, while there are any: no connection has a timer.
type sweeper struct {
	mu      sync.Mutex // guards what follows
	ring    [slots]map[*socket]*visits
	arrived map[*socket]time.Time // those who have not said who they are
	ends    ends                  // those whose tokens end
	changed <-chan struct{}       // closed when somebody may be nobody any more; taken before anybody here is asked who they are
	next    int                   // the slot for the next newcomer
	count   int
	running bool
}

// visits is what the sweeper knows of a connection.
type visits struct {
	socket    *socket
	sincePing int
	expires   time.Time // zero: never
	at        int       // its place in ends; -1: it has none
}

// ends is a heap of those whose tokens end, the next to end first: so each end is seen at once, and costs nothing until then.
type ends []*visits

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].expires.Before(e[j].expires) }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i]; e[i].at, e[j].at = i, j }

// Push implements heap.Interface.
func (e *ends) Push(x any) {
	v := x.(*visits)
	v.at = len(*e)
	*e = append(*e, v)
}

// Pop implements heap.Interface.
func (e *ends) Pop() any {
	last := len(*e) - 1
	v := (*e)[last]
	(*e)[last], v.at = nil, -1
	*e = (*e)[:last]
	return v
}

// until moves v to where it belongs now that it ends at expires.
func (e *ends) until(v *visits, expires time.Time) {
	if v.at >= 0 {
		heap.Remove(e, v.at)
	}
	if v.expires = expires; !expires.IsZero() {
		heap.Push(e, v)
	}
}

// The ring is gone round once in a tenth of SocketDead; a connection that was silent for nine visits is dead.
const (
	slots      = 16
	deadVisits = 9
	// An agent counts as there until then, and is offered requests: 30 s with a SocketDead of 45 s. Who is cut off without a
	// word misses the receipt of an offer long before (T8).
	deadAgentVisits = 6
	pingAgentVisits = 3
)

func (w *sweeper) add(s *socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.arrived == nil {
		w.arrived = map[*socket]time.Time{}
	}
	w.arrived[s] = time.Now()
	s.slot = w.next
	w.next = (w.next + 1) % slots
	if w.ring[s.slot] == nil {
		w.ring[s.slot] = map[*socket]*visits{}
	}
	w.ring[s.slot][s] = &visits{socket: s, at: -1}
	w.count++
	if !w.running {
		w.running = true
		if s.house.auth != nil {
			w.changed = s.house.auth.Changed()
		}
		s.house.crew.Go(func() { w.run(s.house) })
	}
}

func (w *sweeper) remove(s *socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.ring[s.slot][s]
	if v == nil {
		return
	}
	w.ends.until(v, time.Time{})
	delete(w.ring[s.slot], s)
	delete(w.arrived, s)
	w.count--
}

// known: s has said who it is, until expires.
func (w *sweeper) known(s *socket, expires time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.arrived, s)
	if v := w.ring[s.slot][s]; v != nil {
		w.ends.until(v, expires)
	}
}

// all is every connection.
func (w *sweeper) all() []*socket {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*socket, 0, w.count)
	for _, slot := range w.ring {
		for s := range slot {
			list = append(list, s)
		}
	}
	return list
}

func (w *sweeper) run(h *sockets) {
	visit := h.cfg.SocketDead / (deadVisits + 1)
	tick := time.NewTicker(visit / slots)
	defer tick.Stop()
	ended := h.engine.Done()
	w.mu.Lock()
	changed := w.changed
	w.mu.Unlock()
	for at := 0; ; at = (at + 1) % slots {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		case <-changed:
			changed = h.auth.Changed() // before anybody is asked: what changes from now on is told again
			for _, s := range w.all() {
				s.nudge(func(n *nudges) { n.recheck = true })
			}
		case <-ended:
			ended = nil
			for _, s := range w.all() {
				s.end(wire.CloseFailed, "")
			}
		}
		if !w.sweep(h, at, visit) {
			return
		}
	}
}

// sweep visits one slot; false: there are no connections any more.
func (w *sweeper) sweep(h *sockets, at int, visit time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		w.running = false
		return false
	}
	now := time.Now()
	for s, since := range w.arrived {
		if now.Sub(since) >= h.cfg.HelloWait {
			s.end(wire.CloseStranger, "hello first")
			delete(w.arrived, s)
		}
	}
	for len(w.ends) > 0 && !now.Before(w.ends[0].expires) {
		heap.Pop(&w.ends).(*visits).socket.nudge(func(n *nudges) { n.recheck = true })
	}
	for s, v := range w.ring[at] {
		dead, agent := int32(deadVisits), s.device.Load() != nil
		if agent {
			dead = deadAgentVisits
		}
		if s.line.silent.Add(1) > dead {
			s.line.cut()
			h.gauges.dead()
			continue
		}
		if s.known.Load() {
			s.line.refill(visit)
		}
		v.sincePing++
		ping := time.Duration(v.sincePing)*visit >= h.cfg.Ping || agent && v.sincePing >= pingAgentVisits
		if ping {
			v.sincePing = 0
			s.nudge(func(n *nudges) { n.ping = true })
		}
	}
	return true
}

// refill gives a person's line what may come until the next visit.
func (l *line) refill(visit time.Duration) {
	if had := l.budget.Load(); had < personBurst {
		l.budget.Add(min(personBurst-had, int64(visit.Seconds()*personRate)))
	}
}
