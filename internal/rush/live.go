package rush

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"holdfast/internal/play"
)

// live is what was measured of the students on connections of their own. Times without a date are since the rush began.
type live struct {
	wanted        int           // students that were asked for
	before, idle  int64         // the server's resident bytes before anybody was connected, and when all were and nothing happened
	connecting    time.Duration // until everybody was connected
	opened        time.Duration // when the pools opened
	opensAt       time.Time
	leavers       []told
	stormLeavers  []told
	cutAt, backAt time.Duration // of the storm; backAt: when they began to come back
	caught        []time.Duration
}

// playLive plays both acts on connections: everybody is in the lobby, the pools open at one instant, who hears of it presses
// at a moment of their own within a second. Act 1 is the course that a quarter of them want, act 2 the baskets of all.
func (p *performance) playLive(ctx context.Context) (opening, university *stage, err error) {
	l, m := p.lobby, &p.live
	m.before = p.residentBytes()
	began := p.crowd.now()
	if err := l.connect("connecting"); err != nil {
		return nil, nil, err
	}
	m.connecting = p.crowd.now() - began
	if err := l.settle("in the lobby"); err != nil {
		return nil, nil, err
	}
	m.idle = p.residentBytes()
	p.progress.Phase("opening", len(p.plan.order), p.crowd.finished)
	university, err = p.interrupted(ctx, len(p.plan.order), func(ctx context.Context, c *crowd) (*stage, error) {
		return l.board.two, p.openPools(ctx)
	})
	if err != nil {
		return nil, nil, err
	}
	if err := l.settle("after the opening"); err != nil {
		return nil, nil, err
	}
	opening = l.board.one
	for act, s := range []*stage{opening, university} {
		s.began = m.opened
		s.finish(p.crowd, uint8(act+1))
	}
	return opening, university, nil
}

// openPools sets the instant of the opening, and waits until everybody knows.
func (p *performance) openPools(ctx context.Context) error {
	l, m := p.lobby, &p.live
	lead := 500*time.Millisecond + time.Duration(l.tally.students)*100*time.Microsecond
	m.opensAt = time.Now().Add(lead).Truncate(time.Millisecond)
	m.opened = m.opensAt.Sub(p.crowd.began)
	if err := p.putPools(ctx, m.opensAt); err != nil {
		return err
	}
	asks := len(p.plan.opening) + len(p.plan.order)
	if err := l.await("the opening", func() int { return l.tally.students - int(l.tally.heard.Load()) }); err != nil {
		return err
	}
	return l.await("the answers", func() int { return asks - int(l.tally.settled.Load()) })
}

// The acts by which answers are told apart: 1 and 2 are those of the table.
const (
	actLeaving = 3
	actStorm   = 4
)

// leavingSpan is how long those who leave take to do so.
const leavingSpan = time.Second

// leaveLive lets some of the seated give their seat back, over a second. Who moves up is told by a push. Then some of those who
// left have their very first claim arrive once more, late.
func (p *performance) leaveLive(leavers []told) (*leaving, error) {
	l := p.lobby
	l.act.Store(actLeaving)
	p.live.leavers = leavers
	base := int(l.tally.settled.Load())
	for i, t := range leavers {
		a := ask{record: record{errand: errandRelease, act: actLeaving, course: t.course}, seq: t.seq}
		time.AfterFunc(leavingSpan*time.Duration(i)/time.Duration(len(leavers)), func() { l.students[t.person].ask(a) })
	}
	if err := l.await("leaving", func() int { return base + len(leavers) - int(l.tally.settled.Load()) }); err != nil {
		return nil, err
	}
	late := leavers[:(len(leavers)+9)/10]
	for _, t := range late {
		l.students[t.person].ask(ask{record: record{errand: errandLate, act: actLeaving, again: true, course: t.course}})
	}
	base += len(leavers)
	if err := l.await("late duplicates", func() int { return base + len(late) - int(l.tally.settled.Load()) }); err != nil {
		return nil, err
	}
	return &leaving{left: len(leavers), late: len(late)}, l.settle("after leaving")
}

// leavingLive is the leaving on connections, and the storm where it is wanted.
func (p *performance) leavingLive(ctx context.Context, leavers, stormLeavers []told) (*leaving, error) {
	left, err := p.leaveLive(leavers)
	if err == nil && p.cfg.Storm {
		p.progress.Phase("storm", 0, p.crowd.finished)
		err = p.storm(ctx, stormLeavers)
	}
	return left, err
}

// storm cuts all connections at once. While nobody listens some seats are given back, over HTTP; then everybody comes back at
// once, and must be told what happened meanwhile.
func (p *performance) storm(ctx context.Context, leavers []told) error {
	l, m := p.lobby, &p.live
	l.act.Store(actStorm)
	m.stormLeavers = leavers
	l.held.Store(true)
	m.cutAt = p.crowd.now()
	for _, s := range l.students {
		if s != nil {
			s.cut()
		}
	}
	if err := l.await("the cut", func() int { return int(l.tally.present.Load()) }); err != nil {
		return err
	}
	err := p.crowd.each(ctx, len(leavers), func(ctx context.Context, a *asker, i int) error {
		t := leavers[i]
		q := &play.Request{Method: http.MethodDelete, Path: a.claimPath(t.course, t.person), Extra: ifMatch(t.seq)}
		rep, err := a.settle(ctx, q, record{errand: errandRelease, act: actStorm, person: t.person, course: t.course})
		if err == nil && rep.Status != http.StatusOK {
			err = fmt.Errorf("a release was refused: %.300s", rep.Body)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("leaving while nobody listens: %w", err)
	}
	l.held.Store(false)
	m.backAt = p.crowd.now()
	if err := l.connect("coming back"); err != nil {
		return err
	}
	for i, s := range l.students {
		if s != nil {
			m.caught = append(m.caught, l.board.caught[i]-m.backAt)
		}
	}
	return l.settle("after the storm")
}

// residentBytes is the memory of the child; 0 = unknown.
func (p *performance) residentBytes() int64 {
	if p.child == nil {
		return 0
	}
	return play.ResidentBytes(p.child.PID())
}
