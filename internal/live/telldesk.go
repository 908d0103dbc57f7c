package live

import (
	"context"
	"math"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/engine"
)

// deskRound is what the teller has of agents and clients.
type deskRound struct {
	unnamed []unnamed
	agents  []agentLook
	clients []clientLook
	kinds   []string
	whose   [][2]string   // client and agent of each unnamed
	next    time.Time     // no positions before
	work    time.Duration // that telling them took, of this round
}

// tellDesks tells agents and clients what changed, and says how long there is nothing more.
func (t *teller) tellDesks(ctx context.Context) (idle time.Duration, err error) {
	q := &t.desks
	idle = t.takeDesks()
	if len(q.unnamed) > 0 {
		if err := t.resolve(); err != nil {
			return 0, err
		}
		idle = 0
	}
	if len(q.agents) == 0 && len(q.clients) == 0 {
		return idle, nil
	}
	began := time.Now()
	stamp, newest, err := t.readDesks()
	if err != nil {
		return 0, err
	}
	work := time.Since(began)
	upTo, err := t.settled(ctx, stamp, newest)
	if err != nil {
		return 0, err
	}
	// Everything that was read is confirmed.
	began = time.Now()
	now := t.hub.engine.Now()
	for i := range q.agents {
		t.tellAgent(&q.agents[i], now, min(upTo, q.agents[i].head))
	}
	slow := 0
	for i := range q.clients {
		if q.clients[i].slow {
			slow++
		}
		if t.tellClient(&q.clients[i], min(upTo, q.clients[i].head)) {
			idle = 0 // a desk where somebody waits now may have moved since it was read
		}
	}
	if slow > 0 {
		end := time.Now()
		q.work += (work + end.Sub(began)) * time.Duration(slow) / time.Duration(len(q.clients)+len(q.agents))
		if rest := end.Add(time.Duration(float64(q.work) * (1/t.hub.cfg.PositionShare - 1))); rest.After(q.next) {
			q.next = rest
		}
	}
	clear(q.agents)
	clear(q.clients)
	return idle, nil
}

// takeDesks collects whom to look at, and says how long there is nothing more.
func (t *teller) takeDesks() time.Duration {
	h, q := t.hub, &t.desks
	h.mu.Lock()
	defer h.mu.Unlock()
	d := &h.desks
	q.unnamed = append(q.unnamed[:0], d.unnamed...)
	clear(d.unnamed)
	d.unnamed = d.unnamed[:0]
	now := time.Now()
	if len(d.moved) > 0 && !now.Before(q.next) {
		for _, at := range d.moved {
			at.moved = false
			for w := range at.waiting {
				w.slow = true
				h.clientDueLocked(w)
			}
		}
		clear(d.moved)
		d.moved = d.moved[:0]
		q.next, q.work = now.Add(h.cfg.Positions), 0
	}
	q.agents, q.clients = q.agents[:0], q.clients[:0]
	some := min(len(d.agents), h.cfg.Round)
	for _, w := range d.agents[:some] {
		w.queued = false
		q.agents = append(q.agents, agentLook{watch: w})
	}
	d.agents = behind(d.agents, some)
	some = min(len(d.clients), h.cfg.Round)
	for _, w := range d.clients[:some] {
		q.clients = append(q.clients, clientLook{watch: w, slow: w.slow, superseded: w.superseded, join: w.join})
		w.queued, w.slow, w.join = false, false, false
	}
	d.clients = behind(d.clients, some)
	switch {
	case len(d.agents) > 0 || len(d.clients) > 0:
		return 0
	case len(d.moved) > 0:
		return max(1, q.next.Sub(now))
	}
	return math.MaxInt64
}

// behind gives what stands behind the first n, in the same memory.
func behind[W any](list []*W, n int) []*W {
	rest := copy(list, list[n:])
	clear(list[rest:])
	return list[:rest]
}

// resolve marks those whom events concern that do not name them.
func (t *teller) resolve() error {
	h, q := t.hub, &t.desks
	for list := q.unnamed; len(list) > 0; {
		some := list[:min(len(list), h.cfg.Hold)]
		q.whose = q.whose[:0]
		_, err := h.engine.Read(func(s *holdfast.State) {
			for _, n := range some {
				var v desk.RequestView
				if r := s.Realm(n.realm.name); r != nil {
					v, _ = r.Desks.Request(n.desk, n.request)
				}
				q.whose = append(q.whose, [2]string{v.Client, v.Agent})
			}
		})
		if err != nil {
			return err
		}
		h.mu.Lock()
		for i, n := range some {
			for _, w := range n.realm.clients[q.whose[i][0]] {
				h.clientDueLocked(w)
			}
			if d := n.realm.desks[n.desk]; d != nil {
				for _, w := range d.agents[q.whose[i][1]] {
					h.agentDueLocked(w)
				}
			}
		}
		h.mu.Unlock()
		list = list[len(some):]
	}
	clear(q.unnamed)
	return nil
}

// readDesks reads how those who are looked at stand. newest is the last event that it rests on.
func (t *teller) readDesks() (stamp engine.Stamp, newest uint64, err error) {
	h, q := t.hub, &t.desks
	agents, clients := q.agents, q.clients
	for len(agents) > 0 || len(clients) > 0 {
		stamp, err = h.engine.Read(func(s *holdfast.State) {
			rows := 0
			for ; len(agents) > 0 && rows < h.cfg.Hold; rows++ {
				if r := s.Realm(agents[0].watch.realm.name); r != nil {
					newest = max(newest, agents[0].read(r.Desks))
				}
				if agents[0].head = s.Seq(); !agents[0].known { // as of the event that took them away, whichever it was
					newest = s.Seq()
				}
				agents = agents[1:]
			}
			for len(clients) > 0 && rows < h.cfg.Hold {
				if r := s.Realm(clients[0].watch.realm.name); r != nil {
					newest = max(newest, clients[0].read(r.Desks, s.Seq()))
				}
				clients[0].head = s.Seq()
				rows += 1 + len(clients[0].rows)
				clients = clients[1:]
			}
		})
		if err != nil {
			return stamp, 0, err
		}
	}
	return stamp, newest, nil
}

// tellAgent tells one device.
func (t *teller) tellAgent(l *agentLook, now desk.Time, asOf uint64) {
	lines, kinds, over := l.watch.news(t.buf[:0], t.desks.kinds[:0], l, now, asOf)
	t.buf, t.desks.kinds = lines, kinds
	switch {
	case over:
		l.watch.Close()
		l.watch.to.Over(l.known)
	case len(kinds) > 0:
		t.hub.parties.Add(1)
		l.watch.to.Tell(kinds, asOf, lines)
	}
}

// tellClient tells one connection, and says whether it is one of those who wait, or was.
func (t *teller) tellClient(l *clientLook, asOf uint64) (stir bool) {
	w, h := l.watch, t.hub
	if l.superseded {
		if w.close() {
			w.to.Over(true)
		}
		return false
	}
	if l.join {
		w.to.Join()
	}
	lines, n, stir := w.news(t.buf[:0], l, asOf)
	if t.buf = lines; stir {
		h.mu.Lock()
		w.waitLocked(l.waits)
		h.mu.Unlock()
	}
	if n == 0 {
		return stir
	}
	t.desks.kinds = t.desks.kinds[:0]
	for range n {
		t.desks.kinds = append(t.desks.kinds, Request)
	}
	h.parties.Add(1)
	w.to.Tell(t.desks.kinds, asOf, lines)
	return stir
}
