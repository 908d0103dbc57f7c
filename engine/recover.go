package engine

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"holdfast"
)

// source is the part of a Log that a state is made from: a live log, or a directory that is only looked at.
type source interface {
	First() uint64
	Last() Position
	Read(after uint64) (Reader, error)
	Snapshots() ([]SnapshotInfo, error)
	OpenSnapshot(seq uint64) (io.ReadCloser, error)
}

// recoverState folds the newest snapshot and the events behind it.
func recoverState(log source, logger *slog.Logger) (*holdfast.State, error) {
	state, err := newestSnapshot(log, logger)
	if err != nil {
		return nil, err
	}
	if _, err := replay(log, state, ^uint64(0)); err != nil {
		return nil, err
	}
	if end := log.Last().Seq; state.Seq() < end { // a directory that is only looked at may have gone on
		return nil, fmt.Errorf("engine: the log ends at %d, its events at %d", end, state.Seq())
	}
	return state, nil
}

// newestSnapshot gives the state of the newest snapshot that can be read and that the log still follows, or an empty one.
func newestSnapshot(log source, logger *slog.Logger) (*holdfast.State, error) {
	infos, err := log.Snapshots()
	if err != nil {
		return nil, fmt.Errorf("engine: list the snapshots: %w", err)
	}
	for _, info := range infos {
		state, err := readSnapshot(log, info.Position.Seq)
		if err == nil {
			return state, nil
		}
		if errors.Is(err, holdfast.ErrSnapshotVersion) || errors.Is(err, ErrStopped) {
			return nil, err
		}
		logger.Warn("a snapshot cannot be used; trying an older one", "seq", info.Position.Seq, "error", err)
	}
	if first := log.First(); first > 1 {
		return nil, fmt.Errorf("engine: the log begins at %d and no snapshot of what was before can be read", first)
	}
	return holdfast.NewState(), nil
}

func readSnapshot(log source, seq uint64) (*holdfast.State, error) {
	r, err := log.OpenSnapshot(seq)
	if err != nil {
		return nil, fmt.Errorf("engine: open the snapshot at %d: %w", seq, err)
	}
	defer r.Close()
	state, err := holdfast.ReadSnapshot(r)
	if err != nil {
		return nil, fmt.Errorf("engine: read the snapshot at %d: %w", seq, err)
	}
	if state.Seq() != seq {
		return nil, fmt.Errorf("engine: the snapshot at %d is of %d", seq, state.Seq())
	}
	return state, nil
}

// replay applies the frames behind the state, up to the first whose end is at or behind until, and gives that end.
func replay(log source, state *holdfast.State, until uint64) (end Position, err error) {
	reader, err := log.Read(state.Seq())
	if err != nil {
		return end, fmt.Errorf("engine: read the log after %d: %w", state.Seq(), err)
	}
	defer reader.Close()
	id := log.Last().LogID
	for state.Seq() < until {
		frame, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, fmt.Errorf("engine: read the log after %d: %w", state.Seq(), err)
		}
		err = holdfast.Decode(frame.First, frame.Count, frame.Payload, func(e *holdfast.Event) error {
			if e.Seq <= state.Seq() {
				return nil
			}
			return state.Apply(e)
		})
		if err != nil {
			return end, fmt.Errorf("engine: replay: %w", err)
		}
		end = endOf(frame, id)
	}
	return end, nil
}

// endOf is the position of a frame's last event.
func endOf(f Frame, id [16]byte) Position {
	return Position{LogID: id, Epoch: f.Epoch, Seq: f.Last(), Hash: f.Hash}
}
