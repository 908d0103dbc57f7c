package client

import (
	"context"
	"sync"
	"time"
)

// budget is what retries are paid from: each request earns a part of one. So, whatever fails, all retries of a client are at
// most that part of its requests, after a first burst.
type budget struct {
	ratio, most float64

	mu   sync.Mutex // guards what follows
	left float64
}

func (b *budget) init(ratio float64, burst int) {
	b.ratio, b.most, b.left = ratio, float64(burst), float64(burst)
}

func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+b.ratio, b.most)
}

// spend pays for one retry; false: there is nothing to pay with.
func (b *budget) spend() bool {
	const nearly = 1 - 1e-9 // ten tenths are a little less than one
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < nearly {
		return false
	}
	b.left = max(b.left-1, 0)
	return true
}

// backoff is the wait after attempt n (from 1), full jitter: anything up to a bound that doubles.
func (c *Client) backoff(n int) time.Duration {
	most := c.cfg.MaxBackoff
	if n < 32 {
		if d := c.cfg.Backoff << (n - 1); d > 0 && d < most && d>>(n-1) == c.cfg.Backoff {
			most = d
		}
	}
	return time.Duration(c.random(int64(most) + 1))
}

// pause is how long to wait after err came of attempt n: not before the server's time, nor all at that time.
func (c *Client) pause(n int, err *Error) time.Duration { return err.RetryAfter + c.backoff(n) }

// sleep waits; false: ctx ended, or will before the time is over, so that to wait is of no use.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
