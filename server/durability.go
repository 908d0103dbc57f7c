package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"holdfast/engine"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// patience is how long an answer may take to get how far.
type patience struct {
	until wire.Durability // Preapproved: do not wait at all
	limit time.Duration
}

// settle waits for the confirmation of what was decided at start, and for the record of mark, as far as the caller asked,
// and says how far it has got. The error is engine.ErrUnknown: it can no longer be told.
func (s *Server) settle(ctx context.Context, p patience, st engine.Stamp, mark uint64, start time.Time) (wire.Durability, error) {
	if !st.Confirmed() {
		if p.until == wire.Preapproved {
			return wire.Preapproved, nil
		}
		if err := s.waitConfirmed(ctx, p, st, start); err != nil {
			if errors.Is(err, engine.ErrUnknown) {
				return "", err
			}
			return wire.Preapproved, nil
		}
	}
	s.metrics.confirm.Observe(time.Since(start).Seconds())
	if s.recorder == nil {
		return wire.Confirmed, nil
	}
	if s.recorder.Recorded() >= mark {
		return wire.Recorded, nil
	}
	if p.until != wire.Recorded {
		return wire.Confirmed, nil
	}
	ctx, cancel := context.WithDeadline(ctx, start.Add(p.limit))
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	if s.recorder.Wait(ctx, mark) != nil {
		return wire.Confirmed, nil
	}
	s.metrics.record.Observe(time.Since(start).Seconds())
	return wire.Recorded, nil
}

// markOf is the sequence that an answer's record rests on: a standing is in the database once its own event is; that there
// is none, or that something was refused, once everything before it is.
func markOf(st *seat.Standing, refused bool, asOf uint64) uint64 {
	if refused || st.Seq == 0 {
		return asOf
	}
	return st.Seq
}

func (s *Server) waitConfirmed(ctx context.Context, p patience, st engine.Stamp, start time.Time) error {
	if p.limit == s.cfg.ConfirmWait {
		return st.Wait(s.alarm(start))
	}
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	return st.Wait(ctx)
}

// alarm is a context that ends the wait of all requests that began within alarmSpan after it was born. A timer for each answer costs
// a microsecond and more, and nearly every answer is there long before. It does not ask whether the caller is still there.
type alarm struct {
	born time.Time
	rung atomic.Bool
	done chan struct{}
}

// alarmSpan is how much less than ConfirmWait an answer may wait, at most a fifth of it.
const alarmSpan = 20 * time.Millisecond

// alarm gives one that rings ConfirmWait after start, or up to alarmSpan earlier.
func (s *Server) alarm(start time.Time) *alarm {
	a := s.current.Load()
	if a != nil && !start.Before(a.born) && start.Sub(a.born) <= min(alarmSpan, s.cfg.ConfirmWait/5) {
		return a
	}
	next := &alarm{born: start, done: make(chan struct{})}
	if a == nil || start.After(a.born) { // who began before the current one was born gets one alone: it serves nobody who comes
		if !s.current.CompareAndSwap(a, next) {
			return s.alarm(start) // somebody else made one just now
		}
	}
	time.AfterFunc(time.Until(start.Add(s.cfg.ConfirmWait)), next.ring)
	return next
}

func (a *alarm) ring() {
	a.rung.Store(true)
	close(a.done)
}

func (a *alarm) Deadline() (time.Time, bool) { return time.Time{}, false }
func (a *alarm) Done() <-chan struct{}       { return a.done }
func (a *alarm) Value(any) any               { return nil }

func (a *alarm) Err() error {
	if a.rung.Load() {
		return context.DeadlineExceeded
	}
	return nil
}
