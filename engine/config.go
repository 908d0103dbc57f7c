package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"holdfast/internal/journal"
)

// Config is how an engine runs. DefaultConfig gives a filled one.
type Config struct {
	// Logger gets starts, ends and failures, never single decisions. nil discards.
	Logger *slog.Logger
	// FrameBytes is the most one batch has on the log, 4 KiB to 512 KiB (one command may go to 512 KiB by itself).
	FrameBytes int
	// PendingBytes is the most that may be decided and not yet durable; beyond it commands are answered ErrBusy.
	// 1 MiB to 16 MiB.
	PendingBytes int
	// Grace is the least time that everybody with a seat offer has after a start, 0 to 1 h.
	Grace time.Duration
	// SnapshotEvery is the number of events after which a snapshot is made in the background; 0 = never.
	// Recovery replays at most about this many events. A snapshot needs a second copy of the state in memory meanwhile.
	SnapshotEvery uint64
	// Readers are the names of Retain that must have spoken before anything of the log is let go: a mirror whose database
	// is down at the start does not know its own cursor yet.
	Readers []string
	// Seeds keeps the seeds of lotteries. nil: OpenDir keeps them in the folder seeds of its directory, Open in memory
	// only, so that a lottery which is not drawn when the process ends never is.
	Seeds Vault
	// OnBatch, if not nil, is told of each durable batch. It runs on the committer: it must be quick.
	OnBatch func(BatchStats)
}

// BatchStats is one durable batch.
type BatchStats struct {
	Events int
	Bytes  int
	Append time.Duration // write and sync
	Last   uint64        // sequence of its last event
}

// MaxFrame is the largest batch in bytes.
const MaxFrame = 512 << 10

// DefaultConfig is what fits most: 16 MiB pending, a minute of grace, a snapshot each million events.
func DefaultConfig() Config {
	return Config{
		FrameBytes:    MaxFrame,
		PendingBytes:  16 << 20,
		Grace:         time.Minute,
		SnapshotEvery: 1_000_000,
	}
}

func (c *Config) validate() error {
	switch {
	case c.FrameBytes < 4<<10 || c.FrameBytes > MaxFrame:
		return fmt.Errorf("engine: FrameBytes is %d, must be %d to %d", c.FrameBytes, 4<<10, MaxFrame)
	case c.PendingBytes < 2*MaxFrame || c.PendingBytes > 16<<20:
		return fmt.Errorf("engine: PendingBytes is %d, must be %d to %d", c.PendingBytes, 2*MaxFrame, 16<<20)
	case c.Grace < 0 || c.Grace > time.Hour:
		return fmt.Errorf("engine: Grace is %s, must be 0 to 1h", c.Grace)
	}
	if c.Seeds == nil {
		c.Seeds = &MemoryVault{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

var (
	// ErrBusy: no place in line was given and nothing was recorded; ask again later.
	ErrBusy = errors.New("busy: more is decided than the log has taken")
	// ErrUnknown: the engine cannot tell whether the answer will last. It never means refused: ask again.
	ErrUnknown = errors.New("unknown: the log failed before this was confirmed")
	// ErrStopped: the engine took no command because it is stopping or has ended. Nothing was recorded.
	ErrStopped = errors.New("stopped: the engine takes no commands")
	// ErrTrimmed: the log no longer reaches back to where a reader is or wants to start.
	ErrTrimmed = journal.ErrTrimmed
	// ErrInUse: another engine, here or in another process, has the directory.
	ErrInUse = journal.ErrInUse
	// ErrVersion: the directory is of another version of Holdfast; nothing is wrong with it.
	ErrVersion = journal.ErrVersion
	// ErrCorrupt: the directory holds what cannot have been written so. Nothing was changed.
	ErrCorrupt = journal.ErrCorrupt
)
