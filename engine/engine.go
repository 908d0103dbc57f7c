package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"holdfast"
	"holdfast/seat"
)

var (
	// ErrBusy: no place in line was given and nothing was recorded; ask again later.
	ErrBusy = errors.New("busy")
	// ErrUnknown: the engine cannot tell whether the command took effect. It never means refused: ask again.
	ErrUnknown = errors.New("unknown")
	// ErrStopped: the engine took no command because it is stopping or has ended. Nothing was recorded.
	ErrStopped = errors.New("stopped")
)

type Config struct {
	Logger *slog.Logger
	Grace  time.Duration
}

func DefaultConfig() Config { return Config{} }

type Engine struct{}

// Stamp says when something was decided or read, and is the handle on its confirmation.
type Stamp struct {
	AsOf uint64    // the log's head at the decision
	At   seat.Time // the time of the decision
}

// Wait returns nil once everything the answer rests on is durable, ErrUnknown when that can no longer be told, or the
// context's error: then it is not confirmed yet, and Wait may be called again.
func (s Stamp) Wait(ctx context.Context) error { panic("stub") }

// Confirmed says whether Wait would return nil at once.
func (s Stamp) Confirmed() bool { panic("stub") }

// Answer is a preapproved decision.
type Answer struct {
	holdfast.Result
	Stamp
}

// OpenDir opens (and creates) the engine on a directory of this machine.
func OpenDir(dir string, cfg Config) (*Engine, error) { panic("stub") }

// Do decides a command at once: the answer is preapproved, and confirmed when its Wait says so.
// Errors: *seat.Invalid, ErrBusy, ErrStopped.
func (e *Engine) Do(realm string, body holdfast.Body) (Answer, error) { panic("stub") }

// Read calls fn under the shard's lock: fn must be quick and keep nothing of the State. Errors: ErrStopped.
func (e *Engine) Read(fn func(*holdfast.State)) (Stamp, error) { panic("stub") }

// Durable is the durable end of the log.
func (e *Engine) Durable() Position { panic("stub") }

// First is the oldest sequence that Subscribe can still give (0: nothing yet).
func (e *Engine) First() uint64 { panic("stub") }

// Done is closed when the engine has ended; Err then says why, nil after Close.
func (e *Engine) Done() <-chan struct{} { panic("stub") }
func (e *Engine) Err() error             { panic("stub") }

// Ready: nil, or why commands are answered with busy or not at all.
func (e *Engine) Ready() error { panic("stub") }

// Close takes no more commands, confirms every preapproved answer, and ends the engine.
func (e *Engine) Close() error { panic("stub") }

// Events is one durable frame, decoded.
type Events struct {
	Position               // of the last of them
	First    uint64        // sequence of the first
	List     []holdfast.Event // valid until the next call of Next; strings live on
}

// Subscription gives confirmed events in order, from a sequence on.
type Subscription struct{}

// Subscribe starts behind the given sequence (0: from the first). ErrTrimmed: the log no longer has after+1.
func (e *Engine) Subscribe(after uint64) (*Subscription, error) { panic("stub") }

var ErrTrimmed = errors.New("the log no longer reaches back that far")

// Next waits for more. Errors: the context's, ErrStopped once the engine has ended and all was given, or that of the log.
func (s *Subscription) Next(ctx context.Context) (Events, error) { panic("stub") }

// TryNext gives what is there without waiting; ok false: nothing yet.
func (s *Subscription) TryNext() (ev Events, ok bool, err error) { panic("stub") }
func (s *Subscription) Close() error                             { panic("stub") }

// Retain tells the engine to keep the log from behind seq on, because a reader (the mirror) is only there. Segments are
// trimmed once a snapshot and every retained cursor are past them.
func (e *Engine) Retain(name string, seq uint64) { panic("stub") }
