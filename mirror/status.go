package mirror

import (
	"context"
	"fmt"
	"time"

	"holdfast/engine"
)

// State is what a mirror is doing, in a word.
type State string

// The states.
const (
	Connecting State = "connecting"  // the database has not been reached, or no more; Status.Err says why
	CatchingUp State = "catching_up" // recording, and more than currentWithin behind
	Current    State = "current"     // recording
	Halted     State = "halted"      // for good: Status.Err names the row and the next command
)

// currentWithin is how old the oldest event that is not recorded may be while the mirror counts as current.
const currentWithin = 2 * time.Second

// Status is how a mirror stands.
type Status struct {
	State     State
	Seq       uint64        // the last event that is recorded
	LagEvents uint64        // durable events that are not recorded
	Lag       time.Duration // the age of the oldest of them; while it is not known, since when nothing was recorded
	Err       error         // Connecting: why not connected, nil before the first try. Halted: an ErrHalted. Else: why nothing was recorded when it was last tried
}

// Recorded is the last sequence that is committed in the database, as far as this mirror knows; 0 before it connected.
func (m *Mirror) Recorded() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current.recorded.Seq
}

// Cursor is the position up to which the database is the fold of the log. It waits until the mirror is connected.
// Errors: ErrHalted; the context's; one that says that Run has ended.
func (m *Mirror) Cursor(ctx context.Context) (engine.Position, error) {
	return m.wait(ctx, func(p *progress) bool { return p.connected })
}

// Wait returns nil once the event of the given sequence is recorded: committed in the database.
// Errors: ErrHalted; the context's; one that says that Run has ended. Thousands may wait: one channel wakes all.
func (m *Mirror) Wait(ctx context.Context, seq uint64) error {
	m.waiting.Add(1)
	defer m.waiting.Add(-1)
	signal(m.wanted)
	_, err := m.wait(ctx, func(p *progress) bool { return p.recorded.Seq >= seq })
	return err
}

func (m *Mirror) wait(ctx context.Context, enough func(*progress) bool) (engine.Position, error) {
	for {
		m.mu.Lock()
		p, step := m.current, m.step
		m.mu.Unlock()
		switch {
		case enough(&p):
			return p.recorded, nil
		case p.halted:
			return p.recorded, p.err
		case p.over:
			return p.recorded, errClosed
		}
		select {
		case <-step:
		case <-ctx.Done():
			return p.recorded, ctx.Err()
		}
	}
}

// Status says how the mirror stands.
func (m *Mirror) Status() Status {
	m.mu.Lock()
	p, log := m.current, m.log
	m.mu.Unlock()
	s := Status{Seq: p.recorded.Seq, Err: p.err}
	if log != nil {
		if end := log.Durable().Seq; end > s.Seq {
			s.LagEvents = end - s.Seq
		}
	}
	if s.LagEvents > 0 {
		oldest := p.oldest
		if oldest.IsZero() {
			oldest = p.since
		}
		s.Lag = max(0, time.Since(oldest))
	}
	switch {
	case p.halted:
		s.State = Halted
	case !p.connected:
		s.State = Connecting
	case s.Lag > currentWithin:
		s.State = CatchingUp
	default:
		s.State = Current
	}
	return s
}

// change applies f and wakes all who wait.
func (m *Mirror) change(f func(*progress)) (before progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before = m.current
	f(&m.current)
	close(m.step)
	m.step = make(chan struct{})
	return before
}

// connected ends an outage where all is recorded. Else only the next record does: a database that lets itself be
// opened may still be full.
func (m *Mirror) connected(cursor engine.Position) {
	all := m.log.Durable().Seq <= cursor.Seq
	before := m.change(func(p *progress) {
		lasting := p.err
		if all {
			lasting = nil
		}
		*p = progress{connected: true, recorded: cursor, since: time.Now(), err: lasting}
	})
	if cursor.Seq < before.recorded.Seq {
		m.cfg.Logger.Warn("mirror: the database went back; the mirror records again what is missing",
			"was", before.recorded.Seq, "now", cursor.Seq)
	}
	if before.err == nil || all {
		m.cfg.Logger.Info("mirror: connected", "recorded", cursor.Seq)
	}
}

// disconnected logs only the first of the failures that follow each other.
func (m *Mirror) disconnected(err error) {
	m.metrics.retries.Inc()
	before := m.change(func(p *progress) {
		if p.connected {
			p.since = time.Now()
		}
		p.connected, p.oldest, p.err = false, time.Time{}, err
	})
	if before.err == nil {
		m.cfg.Logger.Warn("mirror: nothing can be recorded; trying again until it can", "err", err)
	}
}

func (m *Mirror) halt(cause error) error {
	err := fmt.Errorf("%w: %w", ErrHalted, cause)
	m.change(func(p *progress) { p.connected, p.halted, p.err, p.oldest = false, true, err, time.Time{} })
	m.cfg.Logger.Error("mirror: halted. The engine goes on; nothing more is recorded", "err", cause)
	return err
}

func (m *Mirror) writing(b *batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current.oldest = b.events[0].at.Std()
}

func (m *Mirror) recorded(to engine.Position) {
	now := time.Now()
	before := m.change(func(p *progress) { p.recorded, p.oldest, p.since, p.err = to, time.Time{}, now, nil })
	if before.err != nil {
		m.cfg.Logger.Info("mirror: connected", "recorded", to.Seq)
	}
	if m.cfg.OnRecorded != nil {
		m.cfg.OnRecorded(to.Seq, now)
	}
}
