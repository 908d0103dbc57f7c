package engine

import (
	"io"

	"holdfast/internal/journal"
)

// Position is where a log ends: its id, the epoch of its writer, the last sequence, and the hash of the frame that has it.
type Position = journal.Position

// Frame is one durable batch of events, in binary form.
type Frame = journal.Frame

// SnapshotInfo says where in the log a snapshot was taken, and its size.
type SnapshotInfo = journal.SnapshotInfo

// Log is where events become durable, in order. The journal on one machine implements it.
//
// Append, Trim and Close are called by one goroutine at a time; everything else by any, beside Append.
type Log interface {
	// Append makes one batch durable and returns only then. An error is final: the log takes nothing more, and
	// whether the batch is there is unknown until the log is opened again.
	Append(first uint64, count int, payload []byte) (Position, error)
	// Room says nil, or why the log cannot promise to take more just now (disk full). It costs a nanosecond.
	Room() error
	// Last is the durable end.
	Last() Position
	// Epoch counts the openings of the log; no two writers have the same.
	Epoch() uint64
	// First is the oldest sequence that Read can still give; 0 while the log is empty.
	First() uint64
	// Read gives the durable frames from the one that has after+1. It fails with ErrTrimmed if that is gone; so does a
	// Reader that Trim has overtaken.
	Read(after uint64) (Reader, error)
	// Trim lets everything before the given sequence go, in whole segments.
	Trim(before uint64) error
	// PutSnapshot keeps what write writes as the state at a position of the log; atomic, durable when it returns.
	PutSnapshot(at Position, write func(io.Writer) error) error
	// Snapshots lists what is kept, newest first.
	Snapshots() ([]SnapshotInfo, error)
	// OpenSnapshot gives one whole snapshot back; damage is an error before the first byte.
	OpenSnapshot(seq uint64) (io.ReadCloser, error)
	// Close marks a clean end and releases the log.
	Close() error
	// Abort releases the log as a crash would.
	Abort()
}

// Reader gives frames in order. Next says io.EOF at the durable end, and may be called again when there is more.
// A frame's payload is valid until the next call.
type Reader interface {
	Next() (Frame, error)
	Close() error
}
