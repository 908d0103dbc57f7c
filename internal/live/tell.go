package live

import (
	"context"
	"math"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

const (
	rowsEach  = 32   // standings read under one hold, and in one round, for each person that Config allows
	scanPiece = 4096 // watches looked through for a round of positions under one hold of Hub.mu
)

// teller tells what changed. One goroutine has it, so that everything about one watch or pool is told in order.
type teller struct {
	hub    *Hub
	looks  []look
	lazy   []*Watch // have a position left to be told
	round  round
	topics topicQueue
	desks  deskRound

	rows     []seat.Standing // read
	verdicts []verdict
	news     []seat.Standing // of them, to be told
	known    []seat.Standing // of them, to be remembered
	buf      []byte
}

// round is one telling of positions to everybody whose line moved. It takes the watches from the last to the first, because
// one that leaves makes place for the last.
type round struct {
	on   bool
	at   int           // watches before this place are still to be looked through
	next time.Time     // no round begins before
	work time.Duration // that it took so far
}

// run tells until the hub or the engine ends.
func (t *teller) run(ctx context.Context) {
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for ctx.Err() == nil {
		idle, err := t.turn(ctx)
		if err != nil { // the engine ended, or the hub
			return
		}
		if idle <= 0 {
			continue
		}
		timer.Reset(idle)
		select {
		case <-t.hub.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// turn tells whatever can be told now, and says how long there is nothing to do.
func (t *teller) turn(ctx context.Context) (idle time.Duration, err error) {
	began := time.Now()
	desks, err := t.tellDesks(ctx)
	if err != nil {
		return 0, err
	}
	desks -= time.Since(began)
	soon, err := t.tellTopics(ctx)
	if err != nil {
		return 0, err
	}
	began = time.Now()
	idle = t.take()
	if err := t.tellWatches(ctx); err != nil {
		return 0, err
	}
	if len(t.lazy) > 0 {
		return 0, nil
	}
	return min(soon, idle, desks) - time.Since(began), nil // to be confirmed took a part of it
}

// take collects whom to look at: first who is due, and with them some of whom a round of positions concerns, so that
// neither waits for the end of the other. It says how long there is nothing more.
func (t *teller) take() time.Duration {
	h := t.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t.looks = t.looks[:0]
	for i, w := range t.lazy {
		w.lazy, h.stirred = true, true
		t.lazy[i] = nil
	}
	t.lazy = t.lazy[:0]
	some := min(len(h.due), h.cfg.Round)
	for _, w := range h.due[:some] {
		w.queued = false
		if l, ok := w.beginLocked(false); ok {
			t.looks = append(t.looks, l)
		}
	}
	clear(h.due[:some])
	if h.due = h.due[some:]; len(h.due) == 0 {
		h.due = nil
	}
	now := time.Now()
	if h.stirred && !t.round.on && !now.Before(t.round.next) {
		t.beginRoundLocked()
	}
	if t.round.on {
		t.scanLocked(now)
	}
	switch {
	case len(h.due) > 0 || len(h.topics) > 0 || t.round.on:
		return 0
	case h.stirred:
		return max(1, t.round.next.Sub(now))
	}
	return math.MaxInt64
}

func (t *teller) beginRoundLocked() {
	h := t.hub
	h.stirred = false
	for _, r := range h.realms {
		r.round, r.moved = r.moved, stir{}
	}
	t.round = round{on: true, at: len(h.watches)}
}

// scanLocked adds to looks whom the round concerns, of a piece of the watches.
func (t *teller) scanLocked(now time.Time) {
	h := t.hub
	most := len(t.looks) + max(1, h.cfg.Round/2)
	end := max(0, min(t.round.at, len(h.watches)))
	at := end
	for ; at > 0 && end-at < scanPiece && len(t.looks) < most; at-- {
		w := h.watches[at-1]
		if !w.lazy && !w.concerned() {
			continue
		}
		w.lazy = false
		if l, ok := w.beginLocked(true); ok {
			t.looks = append(t.looks, l)
		}
	}
	if t.round.at = at; at == 0 {
		t.round.on = false
		for _, r := range h.realms {
			r.round = stir{}
		}
		t.nextRoundLocked(now)
	}
}

// nextRoundLocked sets when the next round may begin: so late that rounds take no more than their share of a processor.
func (t *teller) nextRoundLocked(now time.Time) {
	cfg := &t.hub.cfg
	rest := time.Duration(float64(t.round.work) * (1/cfg.PositionShare - 1))
	t.round.next = now.Add(max(cfg.Positions, rest))
}

// tellWatches reads how those in looks stand and tells them what is new. The rows that it holds meanwhile are bounded.
func (t *teller) tellWatches(ctx context.Context) error {
	slow := 0
	for i := range t.looks {
		if t.looks[i].positions {
			slow++
		}
	}
	for list := t.looks; len(list) > 0; {
		began := time.Now()
		n, stamp, err := t.read(list)
		if err != nil {
			return err
		}
		work := time.Since(began)
		if err := stamp.Wait(ctx); err != nil {
			return err
		}
		// Everything that was read is confirmed.
		began = time.Now()
		for i := range list[:n] {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.tell(&list[i])
		}
		work += time.Since(began)
		t.round.work += work * time.Duration(slow) / time.Duration(len(t.looks))
		list = list[n:]
	}
	if slow > 0 && !t.round.on {
		t.nextRoundLocked(time.Now())
	}
	clear(t.looks)
	return nil
}

// read reads the rows of the first n in list, and gives the last stamp: when it is confirmed, all are.
func (t *teller) read(list []look) (n int, stamp engine.Stamp, err error) {
	h := t.hub
	clear(t.rows)
	t.rows = t.rows[:0]
	for n < len(list) && len(t.rows) < h.cfg.Round*rowsEach {
		from, held := n, len(t.rows)
		stamp, err = h.engine.Read(func(s *holdfast.State) {
			for n < len(list) && n-from < h.cfg.Hold && len(t.rows)-held < h.cfg.Hold*rowsEach {
				l := &list[n]
				l.from = len(t.rows)
				if r := s.Realm(l.watch.realm.name); r != nil {
					t.rows = r.Seats.Since(t.rows, l.watch.person, l.since)
				}
				l.to = len(t.rows)
				n++
			}
		})
		if err != nil {
			return 0, stamp, err
		}
		for i := from; i < n; i++ {
			list[i].asOf = stamp.AsOf
		}
	}
	return n, stamp, nil
}

// tell pushes what is new in one watch's rows.
func (t *teller) tell(l *look) {
	message, lazy := l.watch.news(t, l, t.rows[l.from:l.to])
	if lazy {
		t.lazy = append(t.lazy, l.watch)
	}
	if message != nil {
		l.watch.to.Push(Claims, l.asOf, message)
		t.hub.claims.Add(1)
	}
}
