package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"holdfast/engine"
	"holdfast/mirror"
)

// mirrorRecorder is the mirror as the server asks for it.
type mirrorRecorder struct{ *mirror.Mirror }

// Status implements server.Recorder.
func (r mirrorRecorder) Status() (state string, lag time.Duration, err error) {
	st := r.Mirror.Status()
	return string(st.State), st.Lag, st.Err
}

// rightDatabase refuses, before anything on the disk is touched, a URL that is none, and a database that cannot be this
// log's: it was filled from another one, or it has more than the log has. One that cannot be reached is no reason not to start.
func (s *service) rightDatabase(ctx context.Context) error {
	cfg := mirror.DefaultConfig()
	if cfg.URL = databaseOf(s.cfg.Data, s.cfg.Database); cfg.URL == "" {
		return nil
	}
	if err := cfg.Valid(); err != nil {
		return advise(err, "holdfast serve --database sqlite:holdfast.db")
	}
	cfg.Timeout = firstLook
	// First the cursor, then the log's end, which is never behind it: so a server that writes meanwhile cannot mislead.
	cursor, ok, err := mirror.Cursor(ctx, cfg)
	if err != nil || !ok {
		return nil // the mirror will say what is wrong, beside a server that runs
	}
	dir, err := engine.ViewDir(s.cfg.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("the database belongs to another log: it has %d events, and %s has no log yet", cursor.Seq, s.cfg.Data)
	case err != nil:
		return nil // opening the log will say what is wrong
	case dir.Last().LogID != cursor.LogID:
		err = fmt.Errorf("the database belongs to another log: it was filled from log %x, and that of %s is %x",
			cursor.LogID, s.cfg.Data, dir.Last().LogID)
	case cursor.Seq > dir.Last().Seq:
		err = fmt.Errorf("the database is ahead of the log: %d events are recorded, and the log of %s ends at %d; "+
			"was the directory restored from an older copy?", cursor.Seq, s.cfg.Data, dir.Last().Seq)
	}
	return s.wrongDatabase(err)
}

func (s *service) wrongDatabase(err error) error {
	return advise(err, "see docs/RUNBOOK.md, \"The database is of another log, or ahead\"; to serve without it: holdfast serve --data %s --database none", s.cfg.Data)
}

// openMirror begins to mirror, and looks whether the database belongs to this log.
func (s *service) openMirror(ctx context.Context) (err error) {
	url := databaseOf(s.cfg.Data, s.cfg.Database)
	if url == "" {
		return nil
	}
	cfg := mirror.DefaultConfig()
	cfg.URL, cfg.Logger, cfg.Registerer = url, s.cfg.Logger, s.registry
	m, err := mirror.Open(cfg)
	if err != nil {
		return err
	}
	s.mirror, s.mirroring = m, make(chan struct{})
	go func() {
		// How it ended is in its log and its Status; a halted mirror never ends the server.
		_ = m.Run(context.Background(), mirror.FromEngine(s.engine))
		close(s.mirroring)
	}()
	return s.firstCursor(ctx)
}

// firstLook bounds how long a start waits for the database.
const firstLook = 5 * time.Second

// firstCursor waits until the mirror has read its cursor. A database that cannot be reached is no reason not to start; one
// that contradicts the log is: somebody named the wrong one, or lost a part of the log.
func (s *service) firstCursor(ctx context.Context) error {
	for began := time.Now(); ; {
		look, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		_, err := s.mirror.Cursor(look)
		cancel()
		switch {
		case err == nil || s.mirror.Recorded() > 0:
			return nil // where it halts behind its cursor, it does so beside a server that runs
		case errors.Is(err, mirror.ErrHalted):
			return s.wrongDatabase(fmt.Errorf("the database does not belong to this log: %w", err))
		case ctx.Err() != nil:
			return nil // a signal during the start: wait sees it
		case s.mirror.Status().Err != nil:
			return nil // unreachable: the mirror has said so, and goes on trying
		case time.Since(began) > firstLook:
			s.cfg.Logger.Warn("the database does not answer yet; serving without it")
			return nil
		}
	}
}

// databaseFlag is what another command line needs to find the database that --database named.
func databaseFlag(database string) string {
	if database == "" {
		return ""
	}
	return " --database " + hidePassword(database)
}

// drainMirror gives the mirror until a deadline to reach the end of the log, and closes it. A database that does not answer is not waited for.
func (s *service) drainMirror(until time.Time) {
	patience := time.NewTimer(time.Until(until))
	defer patience.Stop()
	look := time.NewTicker(firstLook / 20)
	defer look.Stop()
	for silent, waiting := 0, true; waiting; {
		select {
		case <-s.mirroring:
			waiting = false
		case <-patience.C:
			waiting = false
		case <-look.C:
			if st := s.mirror.Status(); st.State == mirror.Connecting && st.Err != nil {
				silent++
			} else {
				silent = 0
			}
			waiting = silent < 20
		}
	}
	if err := s.mirror.Close(); err != nil {
		s.cfg.Logger.Warn("closing the database", "error", err)
	}
	switch st := s.mirror.Status(); {
	case st.State == mirror.Halted:
		s.cfg.Logger.Error("the database contradicts the log and is behind it",
			"next", "holdfast mirror rebuild --data "+s.cfg.Data+databaseFlag(s.cfg.Database), "recorded", st.Seq, "behind", st.LagEvents)
	case st.LagEvents > 0:
		s.cfg.Logger.Warn("the database is behind the log; the next start brings it up", "recorded", st.Seq, "behind", st.LagEvents, "error", st.Err)
	}
}

// hidePassword makes a database's URL fit to be shown.
func hidePassword(database string) string {
	if u, err := url.Parse(database); err == nil && u.User != nil {
		return u.Redacted()
	}
	return database
}
