package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/engine"
	"holdfast/mirror"
)

// mirrorConfig says which log and which database belong together.
type mirrorConfig struct {
	Data     string
	Database string // as of serve
	Stopped  bool   // the operator says that no server runs
	Stdout   io.Writer
}

func newMirror() *cobra.Command {
	cfg := mirrorConfig{Data: defaultData}
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "Compare the database with the log, or make it anew",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Compare every row of the database with the log",
		Long: `Compares the rows of the database with the log up to the database's cursor; also beside a running server.
The exit code is 1 if a row differs.`,
		Example: "  holdfast mirror check\n  holdfast mirror check --data /var/lib/holdfast --database postgres://holdfast@db.internal/enrolment",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Stdout = cmd.OutOrStdout()
			return mirrorCheck(cmd.Context(), cfg)
		},
	}
	rebuild := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the tables of the database anew from the log",
		Long: `Empties Holdfast's tables and fills them from the log. The server must be stopped.
Where the log no longer begins with event 1, the tables are set to the newest snapshot first; rows of events that the
log no longer has are kept. After an interruption run it again, or let the next serve record the rest.`,
		Example: "  holdfast mirror rebuild\n  holdfast mirror rebuild --data /var/lib/holdfast --database postgres://holdfast@db.internal/enrolment",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Stdout = cmd.OutOrStdout()
			return mirrorRebuild(cmd.Context(), cfg)
		},
	}
	f := cmd.PersistentFlags()
	f.StringVar(&cfg.Data, "data", cfg.Data, "data `DIR`")
	f.StringVar(&cfg.Database, "database", "", "`URL`: sqlite:FILE or postgres://… (default holdfast.db in the data directory)")
	rebuild.Flags().BoolVar(&cfg.Stopped, "the-server-is-stopped", false, "go on although the log was not closed in good order")
	cmd.AddCommand(check, rebuild)
	return cmd
}

// rebuild is the command that makes this database anew.
func (c *mirrorConfig) rebuild() string {
	return "holdfast mirror rebuild --data " + c.Data + databaseFlag(c.Database)
}

// open finds the log and the settings of its database.
func (c *mirrorConfig) open() (*engine.Dir, mirror.Config, error) {
	cfg := mirror.DefaultConfig()
	if cfg.URL = databaseOf(c.Data, c.Database); cfg.URL == "" {
		return nil, cfg, &usageError{errors.New("--database none: there is nothing to compare")}
	}
	dir, err := engine.ViewDir(c.Data)
	return dir, cfg, adviseView(err, c.Data)
}

func mirrorCheck(ctx context.Context, c mirrorConfig) error {
	dir, cfg, err := c.open()
	if err != nil {
		return err
	}
	report, err := checkMirror(ctx, dir, c.Data, cfg)
	if err != nil {
		return advise(err, "see that the database runs and is the right one; if it is: %s", c.rebuild())
	}
	if _, err := report.WriteTo(c.Stdout); err != nil {
		return err
	}
	if report.Different == 0 {
		return nil
	}
	fmt.Fprintf(c.Stdout, "next: stop the server, then: %s\n", c.rebuild())
	return errToldAlready
}

// checkMirror is mirror.Check beside a server that may be running: where its mirror moved beyond the end that was seen
// first, it looks again.
func checkMirror(ctx context.Context, dir *engine.Dir, path string, cfg mirror.Config) (mirror.Report, error) {
	for {
		report, err := mirror.Check(ctx, cfg, truthOf(dir))
		if err == nil || ctx.Err() != nil {
			return report, err
		}
		again, viewErr := engine.ViewDir(path)
		if viewErr != nil || again.Last().Seq == dir.Last().Seq {
			return report, err
		}
		dir = again
	}
}

func mirrorRebuild(ctx context.Context, c mirrorConfig) error {
	dir, cfg, err := c.open()
	if err != nil {
		return err
	}
	if !dir.Report().Sealed && !c.Stopped {
		return advise(errors.New("the log was not closed: a server runs on it, or the last one was killed"),
			"stop the server and run it again; after a kill: %s --the-server-is-stopped", c.rebuild())
	}
	base := engine.Position{}
	if dir.First() > 1 {
		infos, err := dir.Snapshots()
		if err != nil {
			return adviseView(err, c.Data)
		}
		if len(infos) == 0 {
			return advise(fmt.Errorf("the log begins at %d, and there is no snapshot", dir.First()), "holdfast verify %s", c.Data)
		}
		base = infos[0].Position
	}
	if err := mirror.Rebuild(ctx, cfg, truthOf(dir), base); err != nil {
		return advise(err, "see that the database runs, and run the same command again: it is all or nothing")
	}
	// The tables are right, as of base. What comes behind it is recorded as a server would; the next serve goes on from wherever this ends.
	if err := refill(ctx, dir, cfg); err != nil {
		return advise(fmt.Errorf("the tables stand at event %d; recording the rest: %w", base.Seq, err), "holdfast serve --data %s (it records the rest)", c.Data)
	}
	fmt.Fprintf(c.Stdout, "%s was made anew, up to event %d\n", hidePassword(cfg.URL), dir.Last().Seq)
	return nil
}

// truthOf is a data directory as the mirror compares itself with it.
func truthOf(dir *engine.Dir) mirror.Truth {
	return mirror.Truth{
		End:   dir.Last(),
		First: dir.First(),
		StateAt: func(ctx context.Context, seq uint64) (*holdfast.State, error) {
			return stateAt(ctx, dir, seq)
		},
		Events: func(ctx context.Context, from, to uint64, each func(*holdfast.Event) error) error {
			return eventsOf(ctx, dir, from, to, each)
		},
	}
}

// errEnough ends the reading of a log before its end.
var errEnough = errors.New("enough")

func eventsOf(ctx context.Context, dir *engine.Dir, from, to uint64, each func(*holdfast.Event) error) error {
	if from > to {
		return nil
	}
	_, err := dir.Events(max(from, 1)-1, func(ev engine.Events) error {
		for i := range ev.List {
			if ev.List[i].Seq > to {
				return errEnough
			}
			if err := each(&ev.List[i]); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// stateAt folds the log up to a sequence, from the newest snapshot that is not beyond it.
func stateAt(ctx context.Context, dir *engine.Dir, seq uint64) (*holdfast.State, error) {
	state, err := baseOf(dir, seq)
	if err != nil {
		return nil, err
	}
	if state.Seq() > seq {
		return nil, fmt.Errorf("the log and its snapshots no longer reach back to event %d", seq)
	}
	err = eventsOf(ctx, dir, state.Seq()+1, seq, state.Apply)
	if err == nil && state.Seq() != seq {
		err = fmt.Errorf("the log ends at event %d, before %d", state.Seq(), seq)
	}
	return state, err
}

func baseOf(dir *engine.Dir, seq uint64) (*holdfast.State, error) {
	infos, err := dir.Snapshots()
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		if info.Position.Seq > seq {
			continue
		}
		if state, err := dir.Snapshot(info.Position.Seq); err == nil {
			return state, nil
		}
	}
	return dir.State()
}
