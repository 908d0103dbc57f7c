package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"holdfast/internal/wire"
	"holdfast/seat"
)

// Config says what is loaded, and where to.
type Config struct {
	Realm  string // made if it is missing; the limits of one that is there stay
	Pools  string // CSV file: pool (or course), capacity, and what else a pool has
	Claims string // CSV file: pool (or course), person (or student); empty = none
	Target string // URL of the server, such as http://127.0.0.1:7700
	Token  string // an API key or token of role admin, for all realms or this one; empty = none is sent
	By     string // who loads it, as it stands in the log
	// Workers is how many pools are sent at once, 1 to 64. The claims of one pool are sent one after the other, so that
	// the first line gets the lowest free seat.
	Workers int
}

// Refused is one line that the server refused; a decision, not a failure.
type Refused struct {
	File string
	Line int
	Text string
}

// Summary is what a load did.
type Summary struct {
	PoolsPut, PoolsSame   int // new or changed; as they should be already
	Seated, AlreadySeated int
	Refused               []Refused // in the order of the files
	Over                  []string  // pools with more seats taken than they have, in words
}

// Run reads both files, and only if nothing is wrong in them sends them. An error says that the load is not complete, and
// the same load may be run again; the Summary is what was done until then.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	if err := seat.ValidID("realm", cfg.Realm); err != nil {
		return nil, err
	}
	if cfg.Workers < 1 || cfg.Workers > 64 {
		return nil, fmt.Errorf("load: Config.Workers is %d, must be 1 to 64", cfg.Workers)
	}
	p, err := readPlan(cfg.Pools, cfg.Claims)
	if err != nil {
		return nil, err
	}
	c, err := newCaller(&cfg)
	if err != nil {
		return nil, err
	}
	l := &loader{cfg: &cfg, caller: c, summary: &Summary{}}
	if l.before, err = c.makeRealm(ctx); err != nil {
		return nil, err
	}
	err = l.each(ctx, p.pools)
	slices.SortFunc(l.summary.Refused, func(a, b Refused) int { return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line) })
	slices.Sort(l.summary.Over)
	return l.summary, err
}

// loader is one load on its way.
type loader struct {
	cfg    *Config
	caller *caller
	before uint64 // the log's end when the load began: what is older was there already

	mu      sync.Mutex // guards what follows
	summary *Summary
}

// each sends the pools, Workers at a time.
func (l *loader) each(ctx context.Context, pools []*poolRow) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	rows := make(chan *poolRow)
	var workers sync.WaitGroup
	for range l.cfg.Workers {
		workers.Go(func() {
			for row := range rows {
				if err := l.pool(ctx, row); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, row := range pools {
		select {
		case rows <- row:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(rows)
	workers.Wait()
	return context.Cause(ctx)
}

// pool sends one pool, and then who sits in it.
func (l *loader) pool(ctx context.Context, row *poolRow) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	seq, err := l.caller.putPool(ctx, row)
	if problem := new(wire.Problem); errors.As(err, &problem) && decided(problem) {
		l.refuse(l.cfg.Pools, row.line, fmt.Sprintf("pool %s: %s", row.name, problem.Code))
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s:%d: pool %s: %w", l.cfg.Pools, row.line, row.name, err)
	}
	l.count(func(s *Summary) {
		if seq > l.before {
			s.PoolsPut++
		} else {
			s.PoolsSame++
		}
		if n := len(row.claims); n > int(row.config.Capacity) {
			s.Over = append(s.Over, fmt.Sprintf("%s: %d people for %d seats", row.name, n, row.config.Capacity))
		}
	})
	reason := "loaded from " + filepath.Base(l.cfg.Claims)
	for _, claim := range row.claims {
		if err := l.claim(ctx, row.name, claim, reason); err != nil {
			return fmt.Errorf("%s:%d: %s in %s: %w", l.cfg.Claims, claim.line, claim.person, row.name, err)
		}
	}
	return nil
}

func (l *loader) claim(ctx context.Context, pool string, claim claimRow, reason string) error {
	seq, err := l.caller.seat(ctx, pool, claim.person, reason)
	if problem := new(wire.Problem); errors.As(err, &problem) && decided(problem) {
		text := fmt.Sprintf("%s in %s: %s", claim.person, pool, problem.Code)
		if problem.HeldPool != "" {
			text += " (" + problem.HeldPool + ")"
		}
		l.refuse(l.cfg.Claims, claim.line, text)
		return nil
	}
	if err != nil {
		return err
	}
	l.count(func(s *Summary) {
		if seq > l.before {
			s.Seated++
		} else {
			s.AlreadySeated++
		}
	})
	return nil
}

func (l *loader) refuse(file string, line int, text string) {
	l.count(func(s *Summary) { s.Refused = append(s.Refused, Refused{file, line, text}) })
}

func (l *loader) count(f func(*Summary)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.summary)
}
