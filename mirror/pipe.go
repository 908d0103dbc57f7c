package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast/engine"
)

// pipe lies between the goroutine that reads the log and the one that writes the database. While one batch is being
// written the next one fills, and no timer makes it wait: what is there when the writer comes is the next batch.
type pipe struct {
	most int // events of a batch, from which on the reader waits

	filled chan struct{} // capacity 1: the open batch has something, or the reader has ended
	taken  chan struct{} // capacity 1: the writer took the open batch

	mu    sync.Mutex // guards what follows
	open  *batch
	spare *batch
	ended error // why the reader ended
}

func newPipe(most int, from engine.Position) *pipe {
	return &pipe{most: most, filled: make(chan struct{}, 1), taken: make(chan struct{}, 1),
		open: &batch{from: from, to: from}, spare: &batch{}}
}

// fill reads the log until it ends, ctx ends, or the log cannot be read.
func (p *pipe) fill(ctx context.Context, sub Subscription) {
	err := p.read(ctx, sub)
	p.mu.Lock()
	p.ended = err
	p.mu.Unlock()
	signal(p.filled)
}

func (p *pipe) read(ctx context.Context, sub Subscription) error {
	for {
		frame, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		full, err := p.add(&frame)
		if err != nil {
			return err
		}
		signal(p.filled)
		for full {
			select {
			case <-p.taken:
			case <-ctx.Done():
				return ctx.Err()
			}
			full = p.full()
		}
	}
}

func (p *pipe) add(frame *engine.Events) (full bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if frame.First != p.open.to.Seq+1 {
		return false, fmt.Errorf("the log gave event %d after %d", frame.First, p.open.to.Seq)
	}
	p.open.addFrame(frame)
	return len(p.open.events) >= p.most, nil
}

func (p *pipe) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open.events) >= p.most
}

// begun is when the first event of the open batch came; now, if it has none.
func (p *pipe) begun() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open.events) == 0 {
		return time.Now()
	}
	return p.open.events[0].at.Std()
}

// take waits for a batch. It gives back the one before, which the writer is done with. When the reader has ended and
// everything was taken it says why.
func (p *pipe) take(ctx context.Context) (*batch, error) {
	for {
		if b, err := p.swap(); b != nil || err != nil {
			return b, err
		}
		select {
		case <-p.filled:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *pipe) swap() (*batch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open.events) == 0 {
		return nil, p.ended
	}
	b := p.open
	p.open, p.spare = p.spare, b
	p.open.reset()
	p.open.from, p.open.to = b.to, b.to
	signal(p.taken)
	return b, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ended says whether the log will give nothing more.
func ended(err error) bool { return errors.Is(err, engine.ErrStopped) }
