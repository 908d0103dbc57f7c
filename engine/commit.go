package engine

import (
	"fmt"
	"runtime"
	"time"

	"holdfast"
	"holdfast/seat"
)

// commit is the committer: it makes one batch durable while the next one fills. It ends when the engine is stopping and
// nothing is left to commit, or when the log fails.
func (e *Engine) commit() {
	defer e.ending.wait.Done()
	var spare []byte // the bytes of the batch before, for the next one
	for {
		b := e.take(spare)
		if b == nil {
			return
		}
		began := time.Now()
		if _, err := e.log.Append(b.First, b.Count, b.Bytes); err != nil {
			e.fail(err)
			return
		}
		// b is durable. From here on its answers may say confirmed.
		e.durable.move(b.First + uint64(b.Count) - 1)
		close(b.done)
		if e.cfg.OnBatch != nil {
			e.cfg.OnBatch(BatchStats{b.Count, len(b.Bytes), time.Since(began), b.First + uint64(b.Count) - 1})
		}
		spare, b.Bytes = b.Bytes, nil
		e.gather()
	}
}

// gather lets whoever is ready to run go first, as long as that makes the next batch grow: a decision costs a
// microsecond, a sync a hundred. The first turn of the scheduler without a new event ends it. It is no timer: on an idle
// machine it costs nothing and waits for nobody.
func (e *Engine) gather() {
	for seen := uint64(0); ; {
		runtime.Gosched()
		e.mu.Lock()
		head, size := e.stepper.State.Seq(), len(e.open.Bytes)
		e.mu.Unlock()
		if size > gatherBytes || head == seen {
			return
		}
		seen = head
	}
}

// gatherBytes ends gather: a sync shared by so much costs each next to nothing, and who is not in this batch can be
// decided while it is made durable.
const gatherBytes = 32 << 10

// take waits for a batch with events and makes it the flying one; nil when the engine is stopping and all is committed.
func (e *Engine) take(spare []byte) *batch {
	for {
		e.mu.Lock()
		if e.flying != nil {
			e.pending -= len(spare) // spare has the bytes of what was flying
			e.flying = nil
		}
		b := e.nextLocked(spare)
		e.flying = b
		stopping := e.stopping
		e.mu.Unlock()
		if b != nil {
			return b
		}
		if stopping {
			return nil
		}
		<-e.work
	}
}

func (e *Engine) nextLocked(spare []byte) *batch {
	if len(e.sealed) > 0 {
		b := e.sealed[0]
		e.sealed = append(e.sealed[:0], e.sealed[1:]...)
		return b
	}
	if e.open.Count == 0 {
		return nil
	}
	b := e.open
	e.open = newBatch()
	e.open.Bytes = spare[:0]
	return b
}

// keepTime runs what is due when no command comes by: expired offers, promotions that a large raise left over.
func (e *Engine) keepTime() {
	defer e.ending.wait.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-e.ending.begun:
			return
		case <-e.due:
		case <-timer.C:
		}
		if wait, ok := e.runDue(); ok {
			timer.Reset(wait)
		}
	}
}

// maxSleep bounds how long the timekeeper sleeps, so that a wait of years cannot overflow.
const maxSleep = time.Hour

// runDue runs one slice of due work in each realm and says when to come again; false: at no time that is known.
func (e *Engine) runDue() (wait time.Duration, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return 0, false
	}
	e.alarm = 0
	now := e.nowLocked()
	if e.log.Room() != nil {
		return 100 * time.Millisecond, true // no disk: due work must wait as everybody does
	}
	if e.crowdedLocked() {
		return time.Millisecond, true
	}
	for _, realm := range e.stepper.State.Realms() {
		next, due := realm.NextDue()
		if !due || next > now {
			e.noteAlarmLocked(next, due)
			continue
		}
		count, size := e.open.Count, len(e.open.Bytes)
		e.stepper.Due(realm, e.dueAtLocked(next), now, &e.open.Batch)
		e.decidedLocked(count, size)
		e.noteAlarmLocked(realm.NextDue())
	}
	if e.alarm == 0 {
		return 0, false
	}
	wait = time.Duration(min(max(e.alarm-now, 0), seat.Time(maxSleep/time.Microsecond))) * time.Microsecond
	return wait, true
}

func (e *Engine) noteAlarmLocked(next seat.Time, due bool) {
	if due && (e.alarm == 0 || next < e.alarm) {
		e.alarm = next
	}
}

// alarmLocked wakes the timekeeper when a realm has something to do before it would look.
func (e *Engine) alarmLocked(realm *holdfast.Realm) {
	if realm == nil {
		return
	}
	if next, due := realm.NextDue(); due && (e.alarm == 0 || next < e.alarm) {
		e.alarm = max(next, 1)
		wake(e.due)
	}
}

// fail ends the engine after an error of the log: what is not durable becomes unknown, and nothing is tried again.
func (e *Engine) fail(cause error) {
	e.mu.Lock()
	e.stopping = true
	lost := append(e.sealed, e.open)
	if e.flying != nil {
		lost = append(lost, e.flying)
	}
	e.sealed, e.open, e.flying = nil, newBatch(), nil
	e.mu.Unlock()
	e.abandon(fmt.Errorf("engine: the log failed, what was not confirmed is unknown: %w", cause), lost...)
}

// abandon ends the engine because of err. The lost batches are out of the committer's reach.
func (e *Engine) abandon(err error, lost ...*batch) {
	e.ending.failed.CompareAndSwap(nil, &err)
	e.cfg.Logger.Error("the engine ends", "error", err)
	for _, b := range lost {
		b.err = ErrUnknown
		close(b.done)
	}
	e.stop()
}

// stop begins the end: no more commands, and every goroutine is told.
func (e *Engine) stop() {
	e.ending.once.Do(func() {
		e.mu.Lock()
		e.stopping = true
		e.mu.Unlock()
		close(e.ending.begun)
		wake(e.work)
	})
}

// end releases the log when every goroutine has ended.
func (e *Engine) end() {
	<-e.ending.begun
	e.ending.wait.Wait()
	if failed := e.ending.failed.Load(); failed != nil {
		e.log.Abort()
		e.ending.err = *failed
	} else {
		e.ending.err = e.log.Close()
	}
	close(e.ending.done)
	e.durable.move(e.durable.seq.Load())
}

// Close takes no more commands, turns every preapproved answer into a confirmed one, seals the log and releases it.
// It returns Err. Closing twice is harmless.
func (e *Engine) Close() error {
	e.stop()
	<-e.ending.done
	return e.ending.err
}

// Done is closed when the engine has ended, by Close or because the log failed.
func (e *Engine) Done() <-chan struct{} { return e.ending.done }

// Err says why the engine ended: nil after a clean Close, and before its end.
func (e *Engine) Err() error {
	select {
	case <-e.ending.done:
		return e.ending.err
	default:
		if err := e.ending.failed.Load(); err != nil {
			return *err
		}
		return nil
	}
}
