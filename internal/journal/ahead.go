package journal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/internal/vfs"
)

// fillPace is how many bytes of the next segment are zeroed for each byte used
// of the current one: it is ready when a third is used, and the disk hardly
// notices.
const fillPace = 3

var errPreparing = errors.New("it is being prepared")

// ahead prepares the next segment beside the appends: a file of zeros, durable,
// under its temporary name. It has one goroutine, which stop ends. The appender
// tells it of its progress; any goroutine may ask for room.
type ahead struct {
	fs   vfs.FS
	dir  string
	cfg  Config
	done chan struct{}         // closed when the goroutine has ended
	full atomic.Pointer[error] // what Room answers; nil if there is room
	zero []byte                // one chunk; never written to

	mu      sync.Mutex // guards what follows
	wake    *sync.Cond
	use     usage
	ready   vfs.File // the prepared file, until it is taken
	last    attempt
	stopped bool
}

// usage is how far the current segment is used, in bytes.
type usage struct {
	index      uint64 // of the current segment; 0 while there is none
	used, left int64
	urgent     bool // the appender is waiting
}

// attempt is how the last try to prepare went.
type attempt struct {
	failures uint64 // so far
	pausing  bool   // after a failure, until the pause is over
	answer   *error // what Room is to answer when there is no room
}

func newAhead(fsys vfs.FS, dir string, cfg Config) *ahead {
	a := &ahead{fs: fsys, dir: dir, cfg: cfg, done: make(chan struct{}), zero: make([]byte, min(fillChunk, cfg.SegmentBytes))}
	a.wake = sync.NewCond(&a.mu)
	a.succeededLocked()
	go a.run()
	return a
}

// room is one atomic load.
func (a *ahead) room() error {
	if err := a.full.Load(); err != nil {
		return *err
	}
	return nil
}

// progress says how far the segment with that index is used.
func (a *ahead) progress(index uint64, used, left int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.use = usage{index: index, used: used, left: left}
	a.answerLocked()
	a.wake.Broadcast()
}

// take hands the prepared file over. If there is none it waits for the next
// attempt, made at once, and fails with ErrNoRoom if that fails too. Until the
// next call of progress nothing is prepared.
func (a *ahead) take() (vfs.File, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.last.failures
	a.use.urgent = true
	a.wake.Broadcast()
	for a.ready == nil && a.last.failures == before && !a.stopped {
		a.wake.Wait()
	}
	f := a.ready
	if f == nil {
		return nil, *a.last.answer
	}
	a.ready, a.use = nil, usage{}
	return f, nil
}

// stop ends the goroutine, waits for it, and closes the prepared file, which it
// removes if tidy is set.
func (a *ahead) stop(tidy bool) {
	a.mu.Lock()
	a.stopped = true
	index := a.use.index + 1
	a.wake.Broadcast()
	a.mu.Unlock()
	<-a.done
	if a.ready != nil {
		a.discard(a.ready, index, tidy)
		a.ready = nil
	}
}

// run is the goroutine. The file that is being filled is its own.
func (a *ahead) run() {
	defer close(a.done)
	var f vfs.File
	var filled int64
	for {
		index, ok := a.await(filled)
		if !ok {
			if f != nil {
				a.discard(f, index, true)
			}
			return
		}
		err := a.fill(&f, &filled, index)
		if err != nil && f != nil {
			a.discard(f, index, true)
			f, filled = nil, 0
		}
		if a.note(f, filled, err) {
			f, filled = nil, 0
		}
	}
}

// await returns when more of the segment with that index is to be filled, or
// with false when it is time to end.
func (a *ahead) await(filled int64) (index uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.stopped && !a.dueLocked(filled) {
		a.wake.Wait()
	}
	return a.use.index + 1, !a.stopped
}

func (a *ahead) dueLocked(filled int64) bool {
	if a.use.index == 0 || a.ready != nil {
		return false
	}
	return a.use.urgent || (!a.last.pausing && filled <= fillPace*a.use.used)
}

// fill writes and syncs the next chunk of zeros, after making the file if need
// be. The last chunk is synced with all metadata.
func (a *ahead) fill(f *vfs.File, filled *int64, index uint64) error {
	if *f == nil {
		made, err := a.fs.Create(segmentPath(a.dir, index) + tempSuffix)
		if err != nil {
			return err
		}
		*f = made
		if err := made.Truncate(a.cfg.SegmentBytes); err != nil {
			return err
		}
	}
	chunk := min(int64(len(a.zero)), a.cfg.SegmentBytes-*filled)
	if _, err := (*f).WriteAt(a.zero[:chunk], *filled); err != nil {
		return err
	}
	*filled += chunk
	if *filled < a.cfg.SegmentBytes {
		return (*f).Datasync()
	}
	return (*f).Sync()
}

// note settles an attempt and tells whether the file has been handed over.
func (a *ahead) note(f vfs.File, filled int64, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.wake.Broadcast()
	defer a.answerLocked()
	if err != nil {
		a.failedLocked(err)
		return false
	}
	if filled < a.cfg.SegmentBytes {
		return false
	}
	a.ready = f
	a.succeededLocked()
	return true
}

func (a *ahead) succeededLocked() {
	answer := fmt.Errorf("%w: %w", ErrNoRoom, errPreparing)
	a.last = attempt{failures: a.last.failures, answer: &answer}
}

// failedLocked remembers why, and allows the next attempt after a pause.
func (a *ahead) failedLocked(err error) {
	answer := fmt.Errorf("%w: %w", ErrNoRoom, err)
	a.last = attempt{failures: a.last.failures + 1, pausing: true, answer: &answer}
	a.use.urgent = false
	a.cfg.Logger.Warn("journal: the next segment cannot be prepared; trying again", "pause", a.cfg.RetryPause, "err", err)
	failure := a.last.failures
	time.AfterFunc(a.cfg.RetryPause, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.last.failures == failure {
			a.last.pausing = false
			a.wake.Broadcast()
		}
	})
}

// answerLocked sets what Room answers.
func (a *ahead) answerLocked() {
	if a.ready != nil || a.use.index == 0 || a.use.left >= a.cfg.reserve() {
		a.full.Store(nil)
		return
	}
	a.full.Store(a.last.answer)
}

// discard closes a file that nobody will use, and removes it if it is to go.
// What fails here is only a file too many, which the next Open removes.
func (a *ahead) discard(f vfs.File, index uint64, remove bool) {
	err := f.Close()
	if remove {
		err = errors.Join(err, a.fs.Remove(segmentPath(a.dir, index)+tempSuffix))
	}
	if err != nil {
		a.cfg.Logger.Warn("journal: a temporary file stays", "index", index, "err", err)
	}
}
