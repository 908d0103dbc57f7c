package server

import (
	"context"
	"sync"
	"sync/atomic"
)

// gate counts what is inside, up to a limit, and can be closed and waited for. It is safe for concurrent use.
type gate struct {
	most   int64
	inside atomic.Int64
	once   sync.Once
	closed chan struct{} // closed by close: nobody enters any more
	empty  chan struct{} // a hint that inside reached zero after close
}

func newGate(most int) *gate {
	return &gate{most: int64(most), closed: make(chan struct{}), empty: make(chan struct{}, 1)}
}

// enter says whether there is room; who entered leaves.
func (g *gate) enter() bool {
	if g.inside.Add(1) > g.most || g.closing() {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.inside.Add(-1) == 0 && g.closing() {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

func (g *gate) closing() bool {
	select {
	case <-g.closed:
		return true
	default:
		return false
	}
}

func (g *gate) close() { g.once.Do(func() { close(g.closed) }) }

// drained waits, after close, until nobody is inside.
func (g *gate) drained(ctx context.Context) error {
	for g.inside.Load() > 0 {
		select {
		case <-g.empty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
