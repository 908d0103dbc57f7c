package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// Engine runs one shard. Every method may be called by several goroutines at once. It must be closed; after a failure
// of the log (Done is closed, Err says why) it is closed already.
type Engine struct {
	log   Log // Append and Close are the committer's, Trim the snapshotter's
	cfg   Config
	clock clock
	shard
	durable durable
	ending  ending
	seeds   seeds
	retained
	snapshotting sync.Mutex // one snapshot at a time
}

// shard is the state and what was decided on it and is not yet durable.
type shard struct {
	mu shardLock // guards what follows; held for one Step and its append

	stepper  holdfast.Stepper
	open     *batch   // takes the events of new decisions
	sealed   []*batch // full ones before it, oldest first; the committer takes them
	flying   *batch   // the one that is being made durable
	tail     *batch   // the one that has the head of the log, durable or not; nil: the log as it was opened
	pending  int      // bytes in open, sealed and flying
	stopping bool     // no more commands
	turning  bool     // a command is being decided: the state may be ahead of the open batch
	alarm    seat.Time

	work chan struct{} // wakes the committer; holds one
	due  chan struct{} // wakes the timekeeper; holds one
}

// batch is a run of decisions that become durable together.
type batch struct {
	holdfast.Batch
	done chan struct{} // closed when err is final
	err  error         // nil: durable
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// clock is wall time at the start plus monotonic time since: no step of the wall clock reaches a decision. If the wall
// clock was set back behind the log before the start, it goes on from the log's time at half speed until the wall clock
// has caught up: it neither goes back nor stands still, so offers still end, and it heals by itself.
type clock struct {
	start time.Time
	wall  seat.Time // at start
	floor seat.Time // the last time in the log, at start
}

func newClock(floor seat.Time) clock {
	now := time.Now()
	return clock{start: now, wall: seat.TimeOf(now), floor: floor}
}

func (c clock) now() seat.Time {
	since := seat.Time(time.Since(c.start) / time.Microsecond)
	return max(c.wall+since, c.floor+since/2)
}

// durable is the end of what is confirmed, and who waits for it to move.
type durable struct {
	seq   atomic.Uint64
	moved atomic.Pointer[chan struct{}] // closed and replaced when seq moves or the engine ends
}

func (d *durable) move(seq uint64) {
	d.seq.Store(seq)
	next := make(chan struct{})
	close(*d.moved.Swap(&next))
}

// ending is how the engine comes to its end.
type ending struct {
	once   sync.Once
	begun  chan struct{} // closed when Close was called or the log failed
	done   chan struct{} // closed when every goroutine has ended and the log is released
	err    error         // valid once done is closed
	failed atomic.Pointer[error]
	wait   sync.WaitGroup
}

// Open recovers the state from the log, marks the start in it, and runs. The log belongs to the engine from now on, and
// is released even when Open fails.
func Open(log Log, cfg Config) (*Engine, error) {
	if err := cfg.validate(); err != nil {
		log.Abort()
		return nil, err
	}
	began := time.Now()
	state, err := recoverState(log, cfg.Logger)
	if err != nil {
		log.Abort()
		return nil, err
	}
	replayed := time.Since(began)
	e := &Engine{log: log, cfg: cfg, clock: newClock(state.At())}
	e.stepper.State = state
	e.open = newBatch()
	e.loadSeeds()
	e.work, e.due = make(chan struct{}, 1), make(chan struct{}, 1)
	e.ending.begun, e.ending.done = make(chan struct{}), make(chan struct{})
	e.retained.cursors = map[string]uint64{}
	for _, name := range cfg.Readers {
		e.retained.cursors[name] = 0
	}
	moved := make(chan struct{})
	e.durable.moved.Store(&moved)
	if err := e.markStart(); err != nil {
		log.Abort()
		return nil, err
	}
	cfg.Logger.Info("engine open", "events", state.Seq(), "epoch", state.Epoch(), "recovery", replayed)
	e.ending.wait.Add(3)
	go e.commit()
	go e.keepTime()
	go e.keepSnapshots()
	go e.end()
	return e, nil
}

// markStart makes the Started event durable before anything is answered.
func (e *Engine) markStart() error {
	e.stepper.Step(&holdfast.Command{
		At:   e.nowLocked(),
		Body: holdfast.Start{Epoch: e.log.Epoch(), Grace: seat.Time(e.cfg.Grace / time.Microsecond)},
	}, &e.open.Batch)
	if _, err := e.log.Append(e.open.First, e.open.Count, e.open.Bytes); err != nil {
		return fmt.Errorf("engine: mark the start: %w", err)
	}
	e.durable.seq.Store(e.open.First)
	e.open.Reset()
	return nil
}

// Now is the shard's clock: the time that a command decided now would get, never before the end of the log.
func (e *Engine) Now() seat.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.nowLocked()
}

// nowLocked never goes back behind the log.
func (e *Engine) nowLocked() seat.Time { return max(e.clock.now(), e.stepper.State.At()) }

// Do decides a command at once. The answer is preapproved: its Wait says when it is confirmed.
//
// Errors: *seat.Invalid names a malformed field; ErrBusy and ErrStopped mean that nothing was decided or recorded. A
// refusal is not an error: see Answer.Refused.
func (e *Engine) Do(realm string, body holdfast.Body) (Answer, error) {
	if err := body.Valid(); err != nil {
		return Answer{}, err
	}
	if err := validRealm(realm, body); err != nil {
		return Answer{}, err
	}
	if put, ok := body.(seat.PutPool); ok && put.Config.Order == seat.Lottery {
		if err := e.sealLottery(realm, &put); err != nil {
			return Answer{}, err
		}
		body = put
	}
	look := looks(body)
	if !look {
		if err := e.log.Room(); err != nil {
			return Answer{}, fmt.Errorf("%w: %w", ErrBusy, err)
		}
	}
	e.mu.Lock()
	defer e.leaveLocked()
	if e.stopping {
		return Answer{}, ErrStopped
	}
	if !look && e.crowdedLocked() {
		return Answer{}, ErrBusy
	}
	now := e.nowLocked()
	e.turning = true
	if !look && !e.runDueLocked(e.stepper.State.Realm(realm), now) {
		e.turning = false
		return Answer{}, ErrBusy
	}
	cmd := holdfast.Command{Realm: realm, At: now, Body: body}
	count, size := e.open.Count, len(e.open.Bytes)
	res := e.stepper.Step(&cmd, &e.open.Batch)
	e.decidedLocked(count, size)
	e.turning = false
	e.alarmLocked(e.stepper.State.Realm(realm))
	return Answer{Result: res, Stamp: e.stampLocked(now)}, nil
}

// leaveLocked gives the lock back. A panic inside a turn leaves a state that is ahead of what was recorded: nothing more
// may be decided on it, and the turn, of which a part may stand in the open batch, must not reach the log. The panic goes
// on to the caller, who may be a server that survives it.
func (e *Engine) leaveLocked() {
	if !e.turning {
		e.mu.Unlock()
		return
	}
	e.stopping, e.turning = true, false
	lost := e.open
	e.open = newBatch()
	e.mu.Unlock()
	e.abandon(errors.New("engine: a decision panicked, its state is void"), lost)
}

// looks says whether a command only looks: it makes no event, and nothing that is due is run before it.
func looks(body holdfast.Body) bool {
	switch body.(type) {
	case seat.Look, desk.LookAgent, desk.LookRequest:
		return true
	}
	return false
}

func validRealm(realm string, body holdfast.Body) error {
	switch body.(type) {
	case seat.Claim, seat.Release, seat.Accept, seat.Override, seat.Look, seat.PutPool, seat.Basket, holdfast.PutRealm,
		desk.PutDesk, desk.PutAgent, desk.RemoveAgent, desk.Force, desk.Attach, desk.Detach, desk.Online, desk.Pause, desk.GoOffline, desk.Hear,
		desk.Receive, desk.AcceptOffer, desk.RejectOffer, desk.Request, desk.AttachClient, desk.DetachClient, desk.Cancel, desk.Finish,
		desk.LookAgent, desk.LookRequest:
		return seat.ValidID("realm", realm)
	}
	return &seat.Invalid{Field: "body", Problem: fmt.Sprintf("%T is no command", body)}
}

// Read calls fn under the shard's lock. fn must be quick, must not change the State and must keep nothing of it.
// What it saw is confirmed when the Stamp's Wait says so. Errors: ErrStopped.
func (e *Engine) Read(fn func(*holdfast.State)) (Stamp, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return Stamp{}, ErrStopped
	}
	fn(e.stepper.State)
	return e.stampLocked(e.nowLocked()), nil
}

// runDueLocked runs all that is due in a realm. False: more is pending than may be, so the rest has to wait, and so has
// whoever comes.
func (e *Engine) runDueLocked(realm *holdfast.Realm, now seat.Time) bool {
	if realm == nil {
		return true
	}
	for {
		next, ok := realm.NextDue()
		if !ok || next > now {
			return true
		}
		if e.crowdedLocked() {
			return false
		}
		count, size := e.open.Count, len(e.open.Bytes)
		e.stepper.Due(realm, e.dueAtLocked(next), now, &e.open.Batch)
		e.decidedLocked(count, size)
	}
}

// dueAtLocked is the time at which due work runs: its own, so that a timer that comes late decides nothing, but never
// before the end of the log.
func (e *Engine) dueAtLocked(next seat.Time) seat.Time { return max(next, e.stepper.State.At()) }

// decidedLocked takes note of the events that one turn put behind the first count events and size bytes of the open
// batch. A turn's events never straddle batches: if they do not fit, they begin the next one.
func (e *Engine) decidedLocked(count, size int) {
	if e.open.Count == count {
		return
	}
	if count == 0 {
		size = 0
	}
	e.pending += len(e.open.Bytes) - size
	if count > 0 && len(e.open.Bytes) > e.cfg.FrameBytes {
		tail := newBatch()
		tail.Batch = e.open.Split(count, size)
		e.sealed = append(e.sealed, e.open)
		e.open = tail
		e.pending++ // the version byte of the new batch
	}
	e.tail = e.open
	if e.flying == nil {
		wake(e.work)
	}
}

// crowdedLocked: one more command might not fit into what may be pending.
func (e *Engine) crowdedLocked() bool { return e.pending+MaxFrame > e.cfg.PendingBytes }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (e *Engine) stampLocked(now seat.Time) Stamp {
	return Stamp{AsOf: e.stepper.State.Seq(), At: now, batch: e.tail}
}

// Stats is how full the queues are.
type Stats struct {
	Head          uint64 // the last event decided
	Durable       uint64 // the last event confirmed
	PendingBytes  int
	SealedBatches int
	Realms        int
	Undrawn       int // lotteries past their opening whose seed is missing: they are not drawn, and stay shut
}

// Stats reads the counters.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	undrawn := 0
	for _, realm := range e.stepper.State.Realms() {
		undrawn += realm.Seats.Sealed()
	}
	return Stats{
		Head: e.stepper.State.Seq(), Durable: e.durable.seq.Load(),
		PendingBytes: e.pending, SealedBatches: len(e.sealed), Realms: len(e.stepper.State.Realms()), Undrawn: undrawn,
	}
}

// Durable is the durable end of the log.
func (e *Engine) Durable() Position { return e.log.Last() }

// First is the oldest sequence that Subscribe can still give.
func (e *Engine) First() uint64 { return e.log.First() }

// Ready is nil, or says why commands are answered with ErrBusy or ErrStopped just now.
func (e *Engine) Ready() error {
	if err := e.ending.failed.Load(); err != nil {
		return *err
	}
	if err := e.log.Room(); err != nil {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.stopping:
		return ErrStopped
	case e.crowdedLocked():
		return ErrBusy
	}
	return nil
}
