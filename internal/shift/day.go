package shift

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/play"
)

// perform plays the shift, then compares.
func (s *performance) perform(ctx context.Context) (*Summary, error) {
	if err := s.act(ctx); err != nil {
		return nil, err
	}
	s.progress.Phase("checking", 0, nil)
	log, err := s.readLog(ctx)
	if err != nil {
		return nil, err
	}
	v, err := s.judge(log)
	if err != nil {
		return nil, err
	}
	return summarize(s, v), nil
}

// judge compares everything with the log.
func (s *performance) judge(log source) (*verdict, error) {
	v, err := verify(s.floor, log)
	if err != nil {
		return nil, err
	}
	v.gaps(s.floor.hands.agents)
	v.undone(&s.left)
	return v, nil
}

// act plays the shift until everybody has left.
func (s *performance) act(ctx context.Context) error {
	f := s.floor
	if err := s.sitDown(); err != nil {
		return s.why(err)
	}
	s.progress.Phase("shift", len(s.plan.arrivals), func() int { return int(f.tally.came.Load() - f.tally.live.Load()) })
	ended := make(chan error, 1)
	s.opened = f.now()
	go func() {
		err := s.interrupt(f.ctx)
		if err != nil {
			f.cancel(err)
		}
		ended <- err
	}()
	err := s.arrive()
	s.closed = f.now()
	if err = errors.Join(err, <-ended); err != nil {
		return s.why(err)
	}
	s.progress.Phase("closing", 0, nil)
	if err := s.wrapUp(ctx); err != nil {
		return s.why(err)
	}
	f.close()
	return nil
}

// why is the reason that everything was ended for, if it was.
func (s *performance) why(err error) error {
	if cause := context.Cause(s.floor.ctx); cause != nil {
		return cause
	}
	return err
}

// sitDown brings all agents online, and, where they come as fast as they can, the clients to their connections.
func (s *performance) sitDown() error {
	f := s.floor
	s.empty = s.resident()
	s.progress.Phase("agents", 0, nil)
	began := f.now()
	peers := f.peers
	if !s.cfg.Calm {
		peers = peers[:len(f.hands.agents)]
	}
	for _, p := range peers {
		p.come()
	}
	for range phones {
		p := &phone{floor: f}
		f.readers.Go(p.serve)
	}
	err := f.await("the agents who sit down", func() int {
		return max(len(f.hands.agents)-int(f.tally.online.Load()), len(peers)-int(f.tally.present.Load()))
	})
	s.connecting = f.now() - began
	s.full = s.resident()
	return err
}

// resident is the memory of the child; 0 = unknown.
func (s *performance) resident() int64 {
	if s.child == nil {
		return 0
	}
	return play.ResidentBytes(s.child.PID())
}

// arrive lets the clients come.
func (s *performance) arrive() error {
	f := s.floor
	if s.cfg.Rate == 0 {
		for _, c := range f.hands.clients {
			c.begin(f.nextFor(c))
		}
		return play.Sleep(f.ctx, s.cfg.Duration)
	}
	for _, c := range f.hands.clients {
		f.hands.free <- c
	}
	for i := range s.plan.arrivals {
		a := s.plan.arrivals[i]
		if wait := s.opened + a.at - f.now(); wait > 0 {
			if err := play.Sleep(f.ctx, wait); err != nil {
				return err
			}
		}
		if a.phone {
			f.ring(a)
			continue
		}
		select {
		case c := <-f.hands.free:
			c.begin(a)
			continue
		default:
			f.tally.late.Add(1)
		}
		select {
		case c := <-f.hands.free:
			c.begin(a)
		case <-f.ctx.Done():
			return context.Cause(f.ctx)
		}
	}
	if wait := s.opened + s.cfg.Duration - f.now(); wait > 0 {
		return play.Sleep(f.ctx, wait)
	}
	return nil
}

// interrupt kills the child and starts it again, at even distances.
func (s *performance) interrupt(ctx context.Context) error {
	for k := range s.cfg.Kill {
		at := s.opened + s.cfg.Duration*time.Duration(k+1)/time.Duration(s.cfg.Kill+1)
		if err := play.Sleep(ctx, at-s.floor.now()); err != nil {
			return nil // why is said elsewhere
		}
		o := outage{began: s.floor.now()}
		s.floor.door.Shut()
		if err := s.child.Kill(); err != nil {
			return fmt.Errorf("killing the server: %w", err)
		}
		if err := s.child.Start(ctx); err != nil {
			return fmt.Errorf("after kill -9: %w", err)
		}
		o.ended = s.floor.now()
		s.floor.door.Reopen()
		s.outages = append(s.outages, o)
	}
	return nil
}

// wrapUp is the end of the shift: who waits cancels, who talks ends, everybody comes back whose connection is gone, and the
// agents go home. Then the server is asked whether anything is left.
func (s *performance) wrapUp(ctx context.Context) error {
	f := s.floor
	f.closing.Store(true)
	err := f.await("the clients' ends", func() int {
		f.nudge()
		return int(f.tally.live.Load())
	})
	if err == nil {
		err = f.await("the answers to everybody", func() int {
			f.nudge()
			return f.notAtRest()
		})
	}
	if err != nil && !errors.Is(err, errStuck) {
		return err
	}
	if err != nil { // what is left undone is a violation
		return s.askLeft(ctx)
	}
	for _, a := range f.hands.agents {
		a.goHome()
	}
	if err := f.await("the agents who go home", f.notAtRest); err != nil && !errors.Is(err, errStuck) {
		return err
	}
	giveUp := time.Now().Add(settleLimit)
	for {
		if err := s.askLeft(ctx); err != nil || s.left.none() || time.Now().After(giveUp) {
			return err
		}
		if err := play.Sleep(f.ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// settleLimit is how long the server has to come to rest when everybody has gone.
const settleLimit = 20 * time.Second

// nudge tells those who are in something that the shift is over.
func (f *floor) nudge() {
	for _, c := range f.hands.clients {
		c.wrapUp()
	}
	for _, a := range f.hands.agents {
		a.wrapUp()
	}
	_ = play.Sleep(f.ctx, 50*time.Millisecond) // the end of the context shows in what follows
}

// notAtRest is how many peers are not connected, or wait for an answer, or talk.
func (f *floor) notAtRest() (n int) {
	for _, a := range f.hands.agents {
		if !a.atRest() || a.talks() {
			n++
		}
	}
	for _, c := range f.hands.clients {
		if c.inCall() {
			n++
		}
	}
	return n
}

// counts are those of all desks together.
type counts struct {
	Offline, Idle, Init, Busy   int
	Waiting, Offering, Sessions int
	asked                       bool
}

// none says whether nothing is left undone.
func (c *counts) none() bool {
	return c.Idle == 0 && c.Init == 0 && c.Busy == 0 && c.Waiting == 0 && c.Offering == 0 && c.Sessions == 0
}

// askLeft asks the server for the counts of all desks.
func (s *performance) askLeft(ctx context.Context) error {
	f := s.floor
	s.left = counts{asked: true}
	for after := ""; ; {
		var page struct {
			Desks []counts
			Next  string
		}
		path := "/v1/realms/" + f.realm + "/desks"
		if after != "" {
			path += "?after=" + after
		}
		if err := look(ctx, &f.door.Address, path, &page); err != nil {
			return err
		}
		for _, d := range page.Desks {
			s.left.Offline += d.Offline
			s.left.Idle += d.Idle
			s.left.Init += d.Init
			s.left.Busy += d.Busy
			s.left.Waiting += d.Waiting
			s.left.Offering += d.Offering
			s.left.Sessions += d.Sessions
		}
		if page.Next == "" {
			return nil
		}
		after = page.Next
	}
}
