package engine_test

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/journal"
	"holdfast/internal/vfs"
)

// TestViewDir looks at the directory of a running engine: what is durable is there, from any cursor, and nothing changes.
func TestViewDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "log")
	if _, err := engine.ViewDir(dir); err == nil {
		t.Error("there was something to look at before there was a log")
	}
	for _, frame := range []int{engine.MaxFrame, 4 << 10} {
		cfg := engine.DefaultConfig()
		cfg.FrameBytes = frame
		e, err := engine.OpenDir(dir, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := engine.OpenDir(dir, cfg); !errors.Is(err, journal.ErrInUse) {
			t.Errorf("a second engine on the directory: %v", err)
		}
		var l ledger
		if err := newWorkload(4).run(e, &l, 40); err != nil {
			t.Fatal(err)
		}
		l.settleAll()
		if err := e.Snapshot(); err != nil {
			t.Fatal(err)
		}
		live := hashOf(t, e)
		compareDir(t, dir, e.Durable(), live)
		mustClose(t, e)
		d := compareDir(t, dir, e.Durable(), live)
		if r := d.Report(); !r.Sealed || r.TornBytes != 0 || r.Last != e.Durable() {
			t.Errorf("after a clean end: %+v", r)
		}
	}
}

func compareDir(t *testing.T, dir string, end engine.Position, live [32]byte) *engine.Dir {
	t.Helper()
	d, err := engine.ViewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := d.Newest(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	old, err := d.State()
	if err != nil {
		t.Fatal(err)
	}
	last, err := d.Events(old.Seq(), func(ev engine.Events) error {
		checkEvents(t, ev, old.Seq())
		for i := range ev.List {
			if err := old.Apply(&ev.List[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || last != end.Seq || newest.Hash() != live || old.Hash() != live || d.Last() != end {
		t.Errorf("the directory ends at %d (%v), the engine at %d; the states are equal: %t %t", last, err, end.Seq, newest.Hash() == live, old.Hash() == live)
	}
	for after := d.First() - 1; after <= end.Seq; after += 7 {
		at := after
		if _, err := d.Events(after, func(ev engine.Events) error { at = checkEvents(t, ev, at); return nil }); err != nil || at != end.Seq {
			t.Errorf("from %d on it gave up to %d: %v", after, at, err)
		}
	}
	stop := errors.New("enough")
	if _, err := d.Events(old.Seq()-1, func(engine.Events) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a callback that has enough: %v", err)
	}
	infos, err := d.Snapshots()
	if err != nil || len(infos) == 0 {
		t.Fatal(infos, err)
	}
	if s, err := d.Snapshot(infos[0].Position.Seq); err != nil || s.Seq() != infos[0].Position.Seq {
		t.Error(err)
	}
	return d
}

// TestTrimmedDir: where the log does not begin at 1, the oldest state is a snapshot's; a damaged one is passed over.
func TestTrimmedDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := journal.Open(vfs.OS{}, dir, crashJournal())
	if err != nil {
		t.Fatal(err)
	}
	e := mustOpen(t, engine.JournalLog(j), crashEngine())
	var l ledger
	work := newWorkload(6)
	for e.First() == 1 {
		if err := errors.Join(work.run(e, &l, 60), e.Snapshot()); err != nil {
			t.Fatal(err)
		}
	}
	l.settleAll()
	live := hashOf(t, e)
	mustClose(t, e)
	d := compareDir(t, dir, e.Durable(), live)
	infos, err := d.Snapshots()
	if err != nil || len(infos) != 2 {
		t.Fatal(infos, err)
	}
	for i, want := range []bool{true, false} { // first the older one, then both
		path := filepath.Join(dir, fmt.Sprintf("%020d.snap", infos[1-i].Position.Seq))
		f, err := vfs.OS{}.OpenFile(path, vfs.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte("damaged"), 120)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		var state *holdfast.State
		if state, err = d.State(); (err == nil) != want || want && state.Seq() != infos[0].Position.Seq {
			t.Errorf("with %d damaged snapshots: %v", i+1, err)
		}
	}
}
