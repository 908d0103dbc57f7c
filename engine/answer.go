package engine

import (
	"context"

	"holdfast"
	"holdfast/seat"
)

// Answer is a preapproved decision: what was decided, and the Stamp that tells when it is confirmed.
type Answer struct {
	holdfast.Result
	Stamp
}

// Stamp says when something was decided or read, and is the handle on its confirmation: everything it rests on is in
// the log up to AsOf. The zero Stamp is confirmed.
type Stamp struct {
	AsOf  uint64    // the log's head at the decision
	At    seat.Time // the time of the decision
	batch *batch    // has event AsOf; nil: it was durable when the engine opened
}

// Wait returns nil once everything the answer rests on is durable; ErrUnknown when that can no longer be told; or the
// context's error: then it is not confirmed yet, and Wait may be called again.
func (s Stamp) Wait(ctx context.Context) error {
	if s.batch == nil {
		return nil
	}
	select {
	case <-s.batch.done: // a durable answer is confirmed, however late the caller
		return s.batch.err
	default:
	}
	if ctx.Done() == nil { // a plain receive costs half of a select
		<-s.batch.done
		return s.batch.err
	}
	select {
	case <-s.batch.done:
		return s.batch.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Settled is closed when Wait would return at once. A nil channel never is: then the Stamp is confirmed already.
func (s Stamp) Settled() <-chan struct{} {
	if s.batch == nil {
		return nil
	}
	return s.batch.done
}

// Confirmed says whether Wait would return nil at once.
func (s Stamp) Confirmed() bool {
	if s.batch == nil {
		return true
	}
	select {
	case <-s.batch.done:
		return s.batch.err == nil
	default:
		return false
	}
}
