package live

import (
	"context"
	"errors"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

const (
	followPiece = 256         // events noted under one hold of Hub.mu
	followPause = time.Second // after a failure to read the log
)

// follow notes confirmed events until the hub or the engine ends.
func (h *Hub) follow(ctx context.Context, sub *engine.Subscription) {
	for {
		err := h.read(ctx, sub)
		sub.Close()
		for sub = nil; sub == nil; {
			if ctx.Err() != nil || errors.Is(err, engine.ErrStopped) || h.engine.Err() != nil {
				return
			}
			h.cfg.Logger.Error("the live hub cannot read the log; it begins anew at its end", "error", err)
			if !pause(ctx, followPause) {
				return
			}
			end := h.engine.Durable().Seq
			if sub, err = h.engine.Subscribe(end); err == nil {
				h.followed.Store(end)
			}
		}
		h.doubt()
	}
}

// pause waits; false: the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (h *Hub) read(ctx context.Context, sub *engine.Subscription) error {
	for {
		events, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		for list := events.List; len(list) > 0; {
			piece := list[:min(len(list), followPiece)]
			h.note(piece)
			list = list[len(piece):]
		}
		h.followed.Store(events.Seq)
	}
}

// note marks everybody whom the events concern.
func (h *Hub) note(events []holdfast.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	stirred := h.stirred // the teller knows
	var r *realm
	for i := range events {
		e := &events[i]
		if r == nil || r.name != e.Realm {
			r = h.realms[e.Realm]
		}
		switch {
		case r == nil:
		case e.Desk != nil:
			h.noteDeskLocked(r, e.Desk)
		case e.Seat.Kind == holdfast.RealmPut:
			r.moved.all, h.stirred = true, true
		case e.Seat.Pool != "":
			h.notePoolLocked(r, &e.Seat)
			h.notePersonLocked(r, e)
		}
	}
	if len(h.due) > 0 || len(h.topics) > 0 || h.desks.any() || h.stirred && !stirred {
		h.signal()
	}
}

// notePoolLocked marks the counts of the pools that the event changes, and the line that it moves.
func (h *Hub) notePoolLocked(r *realm, e *seat.Event) {
	if t := r.topics[e.Pool]; t != nil {
		h.queueLocked(t)
	}
	if t := r.topics[e.Swap]; t != nil {
		h.queueLocked(t)
	}
	if e.Person == "" || e.Was == seat.Waiting && e.Kind != seat.LineJoined {
		if r.moved.pools == nil {
			r.moved.pools = map[string]struct{}{}
		}
		r.moved.pools[e.Pool] = struct{}{}
		h.stirred = true
	}
}

func (h *Hub) notePersonLocked(r *realm, e *holdfast.Event) {
	if e.Seat.Person == "" {
		return
	}
	for w := r.people[e.Seat.Person]; w != nil; w = w.next {
		switch w.knows(e) {
		case nothing:
			h.dueLocked(w)
		case mostly:
			w.lazy, h.stirred = true, true
		}
	}
}

// doubt marks everybody: events were missed.
func (h *Hub) doubt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.watches {
		h.dueLocked(w)
	}
	for _, r := range h.realms {
		r.moved.all = true
		for _, t := range r.topics {
			h.queueLocked(t)
		}
		h.doubtDesksLocked(r)
	}
	h.stirred = true
	h.signal()
}

// dueLocked has the teller look at a watch now.
func (h *Hub) dueLocked(w *Watch) {
	if !w.queued {
		w.queued = true
		h.due = append(h.due, w)
	}
}

// queueLocked has the teller look at a topic now.
func (h *Hub) queueLocked(t *topic) {
	if !t.queued {
		t.queued = true
		h.topics = append(h.topics, t)
	}
}
