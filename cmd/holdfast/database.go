package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"holdfast/mirror"
)

// mirrorRecorder is the mirror as the server asks for it.
type mirrorRecorder struct{ *mirror.Mirror }

// Status implements server.Recorder.
func (r mirrorRecorder) Status() (state string, lag time.Duration, err error) {
	st := r.Mirror.Status()
	return string(st.State), st.Lag, st.Err
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
		return advise(err, "holdfast serve --database sqlite:holdfast.db")
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
			return advise(fmt.Errorf("the database does not belong to this log: %w", err),
				"holdfast mirror check --data %s%s; to serve without it: holdfast serve --data %s --database none",
				s.cfg.Data, s.databaseFlag(), s.cfg.Data)
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

// databaseFlag is what a command needs to find the same database.
func (s *service) databaseFlag() string {
	if s.cfg.Database == "" {
		return ""
	}
	return " --database " + hidePassword(s.cfg.Database)
}

// drainMirror gives the mirror a bounded time to reach the end of the log, and closes it.
func (s *service) drainMirror() {
	patience := time.NewTimer(s.cfg.Drain)
	defer patience.Stop()
	select {
	case <-s.mirroring:
	case <-patience.C:
	}
	if err := s.mirror.Close(); err != nil {
		s.cfg.Logger.Warn("closing the database", "error", err)
	}
	if st := s.mirror.Status(); st.LagEvents > 0 {
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
