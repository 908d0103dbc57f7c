package engine

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"

	"holdfast"
	"holdfast/internal/journal"
	"holdfast/internal/vfs"
)

// OpenDir opens the engine on a directory of this machine and creates what is missing. One process at a time has it.
func OpenDir(dir string, cfg Config) (*Engine, error) {
	jcfg := journal.DefaultConfig()
	jcfg.Logger = cfg.Logger
	jcfg.PendingBytes = int64(cfg.PendingBytes)
	if cfg.FrameBytes > 0 && cfg.FrameBytes < MaxFrame/2 {
		// Frames smaller than the journal reckons with have more headers and padding.
		frames := 2 * jcfg.PendingBytes / int64(cfg.FrameBytes)
		jcfg.PendingBytes += frames * 2 * int64(jcfg.BlockBytes)
		jcfg.SegmentBytes = max(jcfg.SegmentBytes, 4*jcfg.PendingBytes)
		jcfg.SegmentBytes += -jcfg.SegmentBytes & int64(jcfg.BlockBytes-1)
	}
	if cfg.Seeds == nil {
		cfg.Seeds = dirVault{vfs.OS{}, filepath.Join(dir, "seeds")}
	}
	j, err := journal.Open(vfs.OS{}, dir, jcfg)
	if err != nil {
		return nil, err
	}
	return Open(dirLog{j}, cfg)
}

// dirLog is the journal as a Log.
type dirLog struct{ *journal.Journal }

func (l dirLog) Read(after uint64) (Reader, error) { return l.Journal.Read(after) }

// Dir is a data directory that is only looked at: no lock, no change, also beside a running server. It shows durable
// events only. It holds nothing open.
type Dir struct {
	view *journal.Viewer
}

// ViewDir opens a data directory for looking.
func ViewDir(dir string) (*Dir, error) {
	view, err := journal.OpenReadOnly(vfs.OS{}, dir, journal.DefaultConfig())
	if err != nil {
		return nil, err
	}
	return &Dir{view}, nil
}

type viewSource struct{ *journal.Viewer }

func (v viewSource) Read(after uint64) (Reader, error) { return v.Viewer.Read(after) }

// First is the oldest sequence of the log that is kept.
func (d *Dir) First() uint64 { return d.view.First() }

// Last is where the log ended when the directory was opened.
func (d *Dir) Last() Position { return d.view.Last() }

// DirReport is what was found when the directory was opened.
type DirReport = journal.Report

// Report describes the log: its size and its end, after a clean stop or a crash.
func (d *Dir) Report() DirReport { return d.view.Report() }

// State gives the oldest state from which the rest of the log can be replayed: an empty one if the log begins at 1, else
// that of the oldest snapshot that the log follows without a gap.
func (d *Dir) State() (*holdfast.State, error) {
	if d.First() <= 1 {
		return holdfast.NewState(), nil
	}
	infos, err := d.view.Snapshots()
	if err != nil {
		return nil, err
	}
	var damage error
	for _, info := range slices.Backward(infos) {
		if info.Position.Seq+1 < d.First() {
			continue
		}
		state, err := readSnapshot(viewSource{d.view}, info.Position.Seq)
		if err == nil {
			return state, nil
		}
		damage = errors.Join(damage, err)
	}
	return nil, errors.Join(fmt.Errorf("engine: the log begins at %d and no snapshot reaches to it", d.First()), damage)
}

// Newest gives the state at the durable end as recovery makes it: from the newest snapshot. Beside a running server that
// is the end as it is when Newest comes to it.
func (d *Dir) Newest(logger *slog.Logger) (*holdfast.State, error) {
	return recoverState(viewSource{d.view}, logger)
}

// Snapshots lists the snapshots, newest first.
func (d *Dir) Snapshots() ([]SnapshotInfo, error) { return d.view.Snapshots() }

// Snapshot reads one snapshot.
func (d *Dir) Snapshot(seq uint64) (*holdfast.State, error) {
	return readSnapshot(viewSource{d.view}, seq)
}

// Events calls each with every frame of durable events behind after, in order, to the durable end.
// The list is valid only during the call. An error of each ends it and is returned.
func (d *Dir) Events(after uint64, each func(Events) error) (last uint64, err error) {
	reader, err := d.view.Read(after)
	if err != nil {
		return after, err
	}
	defer reader.Close()
	id := d.view.Last().LogID
	var list []holdfast.Event
	for {
		frame, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return after, nil
		}
		if err != nil {
			return after, err
		}
		if frame.Last() <= after {
			continue
		}
		list = list[:0]
		err = holdfast.Decode(frame.First, frame.Count, frame.Payload, func(e *holdfast.Event) error {
			if e.Seq > after {
				list = append(list, *e)
			}
			return nil
		})
		if err == nil {
			err = each(Events{endOf(frame, id), list[0].Seq, list})
		}
		if err != nil {
			return after, err
		}
		after = frame.Last()
	}
}
