package main

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"holdfast/engine"
	"holdfast/mirror"
)

// quietLog is a data directory that no server runs on, as a log that a mirror can follow to its end.
type quietLog struct{ *engine.Dir }

// Durable implements mirror.Log.
func (l quietLog) Durable() engine.Position { return l.Last() }

// Retain implements mirror.Log: nobody trims.
func (l quietLog) Retain(string, uint64) {}

// Subscribe implements mirror.Log.
func (l quietLog) Subscribe(after uint64) (mirror.Subscription, error) {
	if after+1 < l.First() {
		return nil, fmt.Errorf("%w: it begins at %d", engine.ErrTrimmed, l.First())
	}
	next, stop := iter.Pull2(func(yield func(engine.Events, error) bool) {
		_, err := l.Events(after, func(ev engine.Events) error {
			if !yield(ev, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(engine.Events{}, err)
		}
	})
	return &quietEvents{next, stop}, nil
}

// quietEvents gives the frames of a quietLog.
type quietEvents struct {
	next func() (engine.Events, error, bool)
	stop func()
}

// Next implements mirror.Subscription.
func (q *quietEvents) Next(ctx context.Context) (engine.Events, error) {
	if err := ctx.Err(); err != nil {
		return engine.Events{}, err
	}
	ev, err, ok := q.next()
	if !ok {
		return engine.Events{}, engine.ErrStopped
	}
	return ev, err
}

// Close implements mirror.Subscription.
func (q *quietEvents) Close() error {
	q.stop()
	return nil
}

// refill brings a database up to the end of a log that no server runs on.
func refill(ctx context.Context, dir *engine.Dir, cfg mirror.Config) error {
	m, err := mirror.Open(cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Run(ctx, quietLog{dir})
}
