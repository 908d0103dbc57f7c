package engine

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// retained is from where readers still need the log.
type retained struct {
	retainMu sync.Mutex // guards what follows

	cursors map[string]uint64
}

// Retain keeps the log from behind seq on, for a reader of the given name that is only there: the mirror. It moves the
// cursor of that name; the log before the lowest cursor and before the older snapshot is let go.
func (e *Engine) Retain(name string, seq uint64) {
	e.retainMu.Lock()
	defer e.retainMu.Unlock()
	e.cursors[name] = seq
}

// needed is the lowest cursor that is retained, or all.
func (r *retained) needed() uint64 {
	r.retainMu.Lock()
	defer r.retainMu.Unlock()
	low := ^uint64(0)
	for _, seq := range r.cursors {
		low = min(low, seq)
	}
	return low
}

// keepSnapshots makes a snapshot each SnapshotEvery events, by the same replay as recovery and never under the shard's
// lock. A snapshot that fails is logged and tried again after as many events; the log is then only longer.
func (e *Engine) keepSnapshots() {
	defer e.ending.wait.Done()
	if e.cfg.SnapshotEvery == 0 {
		return
	}
	last := e.lastSnapshot()
	for !isClosed(e.ending.begun) {
		moved := *e.durable.moved.Load()
		if end := e.durable.seq.Load(); end > last && end-last >= e.cfg.SnapshotEvery {
			if err := e.snapshot(); err != nil && !errors.Is(err, ErrStopped) {
				e.cfg.Logger.Error("no snapshot could be made; the log is kept", "error", err)
			}
			last = end
			continue
		}
		select {
		case <-moved:
		case <-e.ending.begun:
			return
		}
	}
}

func (e *Engine) lastSnapshot() uint64 {
	infos, err := e.log.Snapshots()
	if err != nil {
		return 0
	}
	for _, info := range infos {
		if info.Damage == nil {
			return info.Position.Seq
		}
	}
	return 0
}

// Snapshot makes a snapshot of the durable state as it is now, and lets the log go that no snapshot and no retained
// cursor needs. It works beside decisions; it takes a second copy of the state in memory until it returns. One at a time
// is made, and Close waits for it to give up: afterwards the log may have another owner. Errors: ErrStopped; those of
// the log.
func (e *Engine) Snapshot() error {
	e.mu.Lock()
	if e.stopping {
		e.mu.Unlock()
		return ErrStopped
	}
	e.ending.wait.Add(1) // before begun is closed, so before end waits
	e.mu.Unlock()
	defer e.ending.wait.Done()
	return e.snapshot()
}

func (e *Engine) snapshot() error {
	e.snapshotting.Lock()
	defer e.snapshotting.Unlock()
	began := time.Now()
	log := hurried{e.log, e.ending.begun}
	state, err := newestSnapshot(log, e.cfg.Logger)
	if err != nil {
		return err
	}
	at, err := replay(log, state, e.durable.seq.Load())
	if err != nil {
		return err
	}
	if at.Seq > 0 { // else nothing has happened since the last one
		write := func(w io.Writer) error { return state.WriteSnapshot(hurriedWriter{w, log}) }
		if err := e.log.PutSnapshot(at, write); err != nil {
			return fmt.Errorf("engine: keep the snapshot at %d: %w", at.Seq, err)
		}
		e.cfg.Logger.Info("snapshot", "seq", at.Seq, "took", time.Since(began))
	}
	infos, err := e.log.Snapshots()
	if err != nil || len(infos) < 2 {
		return err
	}
	oldest := infos[len(infos)-1].Position.Seq
	if err := e.log.Trim(min(oldest, e.needed()) + 1); err != nil {
		return fmt.Errorf("engine: trim the log: %w", err)
	}
	return nil
}

// hurried is the log as a snapshot reads it: ErrStopped as soon as the engine ends, so that Close need not wait for
// minutes of work that is only good for a log that goes on.
type hurried struct {
	Log
	begun <-chan struct{}
}

func (h hurried) stopped() error {
	if isClosed(h.begun) {
		return ErrStopped
	}
	return nil
}

// Read implements source.
func (h hurried) Read(after uint64) (Reader, error) {
	r, err := h.Log.Read(after)
	if err != nil {
		return nil, err
	}
	return hurriedReader{r, h}, nil
}

type hurriedReader struct {
	Reader
	log hurried
}

// Next implements Reader.
func (r hurriedReader) Next() (Frame, error) {
	if err := r.log.stopped(); err != nil {
		return Frame{}, err
	}
	return r.Reader.Next()
}

// OpenSnapshot implements source.
func (h hurried) OpenSnapshot(seq uint64) (io.ReadCloser, error) {
	if err := h.stopped(); err != nil {
		return nil, err
	}
	r, err := h.Log.OpenSnapshot(seq)
	if err != nil {
		return nil, err
	}
	return hurriedSnapshot{r, h}, nil
}

type hurriedSnapshot struct {
	io.ReadCloser
	log hurried
}

// Read implements io.Reader.
func (s hurriedSnapshot) Read(p []byte) (int, error) {
	if err := s.log.stopped(); err != nil {
		return 0, err
	}
	return s.ReadCloser.Read(p)
}

type hurriedWriter struct {
	io.Writer
	log hurried
}

// Write implements io.Writer.
func (w hurriedWriter) Write(p []byte) (int, error) {
	if err := w.log.stopped(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}
