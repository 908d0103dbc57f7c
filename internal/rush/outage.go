package rush

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// outage is one time that the server was made to end, and started again. Times are since the rush began.
type outage struct {
	restart bool          // in good order; else kill -9
	began   time.Duration // the signal was sent
	ended   time.Duration // the next run was ready
	gap     time.Duration // the longest time around it in which no student got an answer; findGaps fills it in
}

// away is how long the server was away.
func (o *outage) away() time.Duration { return o.ended - o.began }

// outagePlan says which outages come in act 2, in order: kills and restarts take turns.
func outagePlan(kills, restarts int) (restart []bool) {
	for kills > 0 || restarts > 0 {
		if kills > 0 {
			restart, kills = append(restart, false), kills-1
		}
		if restarts > 0 {
			restart, restarts = append(restart, true), restarts-1
		}
	}
	return restart
}

// interrupted plays an act of so many errands and ends the server in its middle as often as was asked for, at even distances.
func (p *performance) interrupted(ctx context.Context, errands int, act func(context.Context, *crowd) (*stage, error)) (*stage, error) {
	c := p.crowd
	plan := outagePlan(p.cfg.Kill, p.cfg.Restart)
	if len(plan) == 0 {
		return act(ctx, c)
	}
	var marks []int
	for k := range plan {
		marks = append(marks, max(1, errands*(k+1)/(len(plan)+1)))
	}
	now := make(chan struct{}, len(marks))
	c.onDone = func(finished int) {
		for _, m := range marks {
			if m == finished {
				now <- struct{}{}
			}
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		err := p.interrupt(ctx, now, plan)
		if err != nil {
			cancel(err)
		}
		ended <- err
	}()
	s, err := act(ctx, c)
	c.onDone = nil
	if err != nil {
		cancel(err)
	}
	return s, errors.Join(err, <-ended)
}

// interrupt ends the child and starts it again, at each signal.
func (p *performance) interrupt(ctx context.Context, now <-chan struct{}, plan []bool) error {
	for _, restart := range plan {
		select {
		case <-now:
		case <-ctx.Done():
			return nil // why is said elsewhere
		}
		o := outage{restart: restart, began: p.crowd.now()}
		name, end := "kill -9", p.child.Kill
		if restart {
			name, end = "SIGTERM", p.child.Stop
		}
		p.crowd.door.Shut()
		if err := end(); err != nil {
			return fmt.Errorf("ending the server with %s: %w", name, err)
		}
		if err := p.child.Start(ctx); err != nil {
			return fmt.Errorf("after %s: %w", name, err)
		}
		o.ended = p.crowd.now()
		p.crowd.door.Reopen()
		p.outages = append(p.outages, o)
	}
	return nil
}

// runs says of each run of the child how it ended: true = in good order. The last one is always stopped so.
func (p *performance) runs() []bool {
	var orderly []bool
	for i := range p.outages {
		orderly = append(orderly, p.outages[i].restart)
	}
	return append(orderly, true)
}

// findGaps finds for each outage the longest time, touching it, in which no student got an answer. Where none came any more, it lasts until
// end, the act's.
func findGaps(c *crowd, outages []outage, end time.Duration) {
	if len(outages) == 0 {
		return
	}
	var heard []time.Duration
	c.records(func(r *record) {
		if r.act == 2 && !r.errand.push() && !r.putOff() {
			heard = append(heard, r.received)
		}
	})
	slices.Sort(heard)
	heard = append(heard, end)
	for i := range outages {
		o := &outages[i]
		for at, _ := slices.BinarySearch(heard, o.began); at < len(heard); at++ {
			from := o.began
			if at > 0 {
				from = heard[at-1]
			}
			if from > o.ended {
				break
			}
			o.gap = max(o.gap, heard[at]-from)
		}
	}
}
