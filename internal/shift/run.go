package shift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/internal/play"
)

// ErrViolations says that something somebody was told is not true, or that something is left undone. The Summary has the list.
var ErrViolations = errors.New("the shift found violations")

// ErrToken: Config.Target does not know Config.Token, or it is not of role admin for all realms.
var ErrToken = play.ErrToken

// ErrNotEmpty: there is something in Config.Data.
var ErrNotEmpty = errors.New("--data: the directory is not empty")

// Run plays the shift, compares everything, writes the table to cfg.Stdout and the report if one was asked for. Whatever
// happens, the child is stopped when it returns, and a temporary directory is gone. The Summary is there with ErrViolations
// too; with any other error it is nil.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	wanted := cfg.Agents
	if err := fitFiles(&cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &performance{cfg: &cfg, plan: makePlan(&cfg), progress: play.NewProgress(cfg.Stderr, cfg.Terminal), died: cancel}
	s.wanted = wanted
	defer s.progress.End()
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	summary, err := s.perform(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // why, instead of what broke because of it
	}
	if err = errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	s.progress.End()
	if err := summary.write(&cfg); err != nil {
		return nil, err
	}
	if summary.Violations > 0 {
		return summary, ErrViolations
	}
	return summary, nil
}

// performance is one shift on its way. One goroutine owns it.
type performance struct {
	cfg      *Config
	plan     *plan
	progress *play.Progress
	died     func(error) // ends the shift: the server died without having been killed
	child    *play.Child // nil: a target
	dir      string      // of the child
	keep     bool        // dir was given
	before   uint64      // of a target: where its log ended before the realm was made
	floor    *floor
	measured
}

// measured is what was seen while it was played. Times are since the shift began.
type measured struct {
	wanted     int // agents for each desk that were asked for
	connecting time.Duration
	opened     time.Duration // the first client may come
	closed     time.Duration // the last one has come
	empty      int64         // the server's resident bytes before anybody was connected, and when all agents were
	full       int64
	outages    []outage
	left       counts // what the server says at the end
}

// outage is one kill.
type outage struct{ began, ended time.Duration }

// open starts the server, or finds the one that runs, and makes the realm with its desks and agents.
func (s *performance) open(ctx context.Context) error {
	realm, target := "shift", s.cfg.Target
	if target == "" {
		if err := s.makeDir(); err != nil {
			return err
		}
		var err error
		if s.child, err = play.NewChild(s.cfg.Program, s.dir, s.cfg.Database); err != nil {
			return err
		}
		s.child.Died = s.died
		if err := s.child.Start(ctx); err != nil {
			return err
		}
		target = "http://" + s.child.Address
	} else {
		realm = fmt.Sprintf("shift-%d-%s", s.cfg.Seed, time.Now().UTC().Format("20060102T150405.000"))
	}
	address, err := play.ParseAddress(target, s.cfg.Token)
	if err != nil {
		return err
	}
	if s.child == nil {
		if s.before, err = logEnd(ctx, &address); err != nil {
			return err
		}
	}
	s.progress.Phase("desks", 0, nil)
	s.floor = newFloor(ctx, s.cfg, s.plan, realm, play.NewDoor(address))
	return s.floor.furnish()
}

func (s *performance) makeDir() (err error) {
	if s.cfg.Data == "" {
		s.dir, err = os.MkdirTemp("", "holdfast-shift-")
		return err
	}
	s.dir, s.keep = s.cfg.Data, true
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%w: %s; a shift begins on an empty one", ErrNotEmpty, s.dir)
	}
	return err
}

// close ends everybody's connections, stops the child and removes a temporary directory.
func (s *performance) close() (err error) {
	if s.floor != nil {
		s.floor.close()
	}
	if s.child != nil {
		err = s.child.Stop()
	}
	if s.dir != "" && !s.keep {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// logEnd says where the server's log ends.
func logEnd(ctx context.Context, address *play.Address) (uint64, error) {
	var log struct{ Durable uint64 }
	return log.Durable, look(ctx, address, "/v1/log", &log)
}

// look asks off the hot path.
func look(ctx context.Context, address *play.Address, path string, into any) error {
	resp, err := address.Get(ctx, address.URL(path), "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// furnish makes the realm, its desks and their agents.
func (f *floor) furnish() error {
	base := f.door.Address.Prefix + "/v1/realms/" + f.realm
	var puts [][2]string
	for i := range f.plan.desks {
		d := &f.plan.desks[i]
		puts = append(puts, [2]string{base + "/desks/" + d.name, d.config})
	}
	desks := len(puts)
	for i := range f.plan.desks {
		d := &f.plan.desks[i]
		for _, name := range d.agents {
			puts = append(puts, [2]string{base + "/desks/" + d.name + "/agents/" + name, "{}"})
		}
	}
	if err := f.put3(base, "{}"); err != nil {
		return err
	}
	if err := f.putAll(puts[:desks]); err != nil {
		return err
	}
	return f.putAll(puts[desks:])
}

// put3 makes one thing.
func (f *floor) put3(path, body string) error { return f.putAll([][2]string{{path, body}}) }

// putAll makes things, several at a time.
func (f *floor) putAll(puts [][2]string) error {
	const connections = 32
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(connections, len(puts)) {
		all.Go(func() {
			conn, err := play.Dial(ctx, f.door.Address)
			if err != nil {
				cancel(err)
				return
			}
			defer conn.Close()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(puts) {
					return
				}
				rep, err := conn.Do(&play.Request{Method: http.MethodPut, Path: []byte(puts[i][0]), Body: []byte(puts[i][1])})
				switch {
				case err != nil:
				case rep.Status == http.StatusUnauthorized || rep.Status == http.StatusForbidden:
					err = ErrToken
				case rep.Status/100 != 2:
					err = fmt.Errorf("the server answered %d: %.300s", rep.Status, rep.Body)
				}
				if err != nil {
					cancel(fmt.Errorf("PUT %s: %w", puts[i][0], err))
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
