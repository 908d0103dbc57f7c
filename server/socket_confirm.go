package server

import (
	"context"
	"sync"
	"time"

	"holdfast/internal/wire"
)

// confirmer wakes the connections whose commands are confirmed: one goroutine for all, and none while there is nothing to wait
// for. All commands of one batch share a channel, so it waits for batches, one after another.
type confirmer struct {
	mu      sync.Mutex // guards what follows
	groups  []group    // the first is the one that is waited for
	running bool
}

// group is who waits for one batch.
type group struct {
	settled <-chan struct{}
	sockets []*socket
}

// await has the pump run again when its first pending command is settled.
func (s *socket) await() {
	if len(s.pending) == 0 {
		s.awaited = nil
	} else if settled := s.pending[0].answer.Settled(); settled != s.awaited {
		s.awaited = settled
		s.house.confirmer.await(s, settled, &s.house.crew)
	}
	if len(s.record) > 0 {
		s.recorded()
	}
}

func (c *confirmer) await(s *socket, settled <-chan struct{}, crew *sync.WaitGroup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.groups { // three at most, as long as the engine is not behind
		if c.groups[i].settled == settled {
			c.groups[i].sockets = append(c.groups[i].sockets, s)
			return
		}
	}
	c.groups = append(c.groups, group{settled, []*socket{s}})
	if !c.running {
		c.running = true
		crew.Go(c.confirm)
	}
}

func (c *confirmer) confirm() {
	for {
		c.mu.Lock()
		if len(c.groups) == 0 {
			c.groups, c.running = nil, false
			c.mu.Unlock()
			return
		}
		settled := c.groups[0].settled
		c.mu.Unlock()
		<-settled // every batch settles: it is durable, or the engine has ended
		c.mu.Lock()
		sockets := c.groups[0].sockets
		c.groups = append(c.groups[:0], c.groups[1:]...)
		c.mu.Unlock()
		for _, s := range sockets {
			s.nudge(func(n *nudges) { n.settled = true })
		}
	}
}

// recording is an answer whose record is wished.
type recording struct {
	reply, asOf uint64
	mark        uint64 // what the customer's database must have
	start       time.Time
}

// recordings wakes the connections that wait for a record whenever the customer's database has more.
type recordings struct {
	mu      sync.Mutex // guards what follows
	sockets map[*socket]bool
	running bool
}

// recorded tells what is recorded by now, and waits for the rest.
func (s *socket) recorded() {
	at := s.house.recorder.Recorded()
	rest := s.record[:0]
	for _, r := range s.record {
		if r.mark > at {
			rest = append(rest, r)
			continue
		}
		s.house.metrics.record.Observe(time.Since(r.start).Seconds())
		s.message(func(b []byte) []byte { return wire.AppendRecorded(b, r.reply, r.asOf) })
	}
	s.flush()
	if s.record = rest; len(rest) == 0 {
		s.record = nil
		s.house.recordings.forget(s)
		return
	}
	s.house.recordings.await(s, at)
}

// await has s woken when more than seen is recorded.
func (r *recordings) await(s *socket, seen uint64) {
	r.enter(s, seen)
	if s.house.recorder.Recorded() > seen { // what waits for all may have heard of it before s came
		s.nudge(func(n *nudges) { n.settled = true })
	}
}

func (r *recordings) enter(s *socket, seen uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sockets == nil {
		r.sockets = map[*socket]bool{}
	}
	r.sockets[s] = true
	if !r.running {
		r.running = true
		s.house.crew.Go(func() { r.run(s.house.ctx, s.house.recorder, seen) })
	}
}

func (r *recordings) forget(s *socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, s)
}

// run ends when nobody waits any more, or with the server.
func (r *recordings) run(ctx context.Context, recorder Recorder, seen uint64) {
	for {
		err := recorder.Wait(ctx, seen+1)
		seen = recorder.Recorded()
		r.mu.Lock()
		if len(r.sockets) == 0 || err != nil {
			r.running = false
			r.mu.Unlock()
			return
		}
		woken := make([]*socket, 0, len(r.sockets))
		for s := range r.sockets {
			woken = append(woken, s)
		}
		r.mu.Unlock()
		for _, s := range woken {
			s.nudge(func(n *nudges) { n.settled = true })
		}
	}
}
