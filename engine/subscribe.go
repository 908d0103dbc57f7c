package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"holdfast"
)

// Events is one durable frame, decoded.
type Events struct {
	Position                  // of the last event
	First    uint64           // sequence of the first event
	List     []holdfast.Event // valid until the next call; the strings in it live on
}

// Subscription gives confirmed events in order, each once, from where it began. It reads the log, so a slow one costs
// nobody anything. One goroutine at a time; it must be closed.
type Subscription struct {
	engine *Engine
	reader Reader
	after  uint64
	list   []holdfast.Event
}

// Subscribe starts behind the given sequence; 0 starts at the first event. Errors: ErrTrimmed when the log no longer has
// the next one; an error when after is beyond the durable end: then it is a cursor of another log.
func (e *Engine) Subscribe(after uint64) (*Subscription, error) {
	// The log's own end: a subscription may have given an event before the committer told of it.
	if end := e.log.Last().Seq; after > end {
		return nil, fmt.Errorf("engine: no event %d: the log ends at %d", after, end)
	}
	if after+1 < e.log.First() {
		return nil, fmt.Errorf("%w: it begins at %d", ErrTrimmed, e.log.First())
	}
	reader, err := e.log.Read(after)
	if err != nil {
		return nil, fmt.Errorf("engine: subscribe after %d: %w", after, err)
	}
	return &Subscription{engine: e, reader: reader, after: after}, nil
}

// Next waits for more. Errors: the context's; ErrStopped when the engine has ended and all was given; that of the log.
func (s *Subscription) Next(ctx context.Context) (Events, error) {
	for {
		moved := *s.engine.durable.moved.Load()
		ended := s.engine.Err() != nil || isClosed(s.engine.ending.done)
		ev, ok, err := s.TryNext()
		if ok || err != nil {
			return ev, err
		}
		if ended {
			return Events{}, ErrStopped
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return Events{}, ctx.Err()
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TryNext gives what is there without waiting; ok is false when there is nothing yet.
func (s *Subscription) TryNext() (ev Events, ok bool, err error) {
	for {
		frame, err := s.reader.Next()
		if errors.Is(err, io.EOF) {
			return Events{}, false, nil
		}
		if err != nil {
			return Events{}, false, fmt.Errorf("engine: read the log after %d: %w", s.after, err)
		}
		if frame.Last() <= s.after {
			continue
		}
		s.list = s.list[:0]
		err = holdfast.Decode(frame.First, frame.Count, frame.Payload, func(e *holdfast.Event) error {
			if e.Seq > s.after {
				s.list = append(s.list, *e)
			}
			return nil
		})
		if err != nil {
			return Events{}, false, fmt.Errorf("engine: %w", err)
		}
		s.after = frame.Last()
		return Events{endOf(frame, s.engine.log.Last().LogID), s.list[0].Seq, s.list}, true, nil
	}
}

// Close releases what the subscription holds.
func (s *Subscription) Close() error { return s.reader.Close() }
