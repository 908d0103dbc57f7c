package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"holdfast/internal/rush"
)

// newRush makes the command rush: its flags are rush.Config, and all else is rush.Run.
func newRush() *cobra.Command {
	cfg := rush.DefaultConfig()
	cmd := &cobra.Command{
		Use:   "rush",
		Short: "Play the seat rush and check every answer",
		Long: `Starts a server as a child process on a temporary directory and plays two acts against it, over HTTP:

  Act 1  10,000 students press for one course of 30 seats within one second.
  Act 2  A university: 40,000 students, 300 courses of 30 seats, baskets of 5 wishes;
         some press again, then some leave and the line moves up.

With --ws every student has a WebSocket of their own: they wait in the lobby, hear of the opening
by a push, press, and are told when they move up.

Then every answer that any student saw is compared with the log and with the database.
The exit code is 1 if anything was not true. docs/RUSH.md says what each figure means.`,
		Example: `  holdfast rush
  holdfast rush --kill 3
  holdfast rush --restart 2
  holdfast rush --ws --storm
  holdfast rush --courses courses.csv --wishes wishes.csv --squeeze 0.5
  HOLDFAST_TOKEN=$KEY holdfast rush --target https://seats.example.edu
  holdfast rush --json --answers answers.ndjson --report rush.html --data ./rush-data`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Fit = !cmd.Flags().Changed("students")
			if err := takeToken(&cfg.Token); err != nil {
				return err
			}
			if err := cfg.Validate(); err != nil {
				return &usageError{err}
			}
			cfg.Stdout, cfg.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			cfg.Terminal = cfg.Stderr == os.Stderr && term.IsTerminal(int(os.Stderr.Fd()))
			_, err := rush.Run(cmd.Context(), cfg)
			if errors.Is(err, rush.ErrViolations) {
				return errToldAlready // the table lists them
			}
			return adviseRush(err, &cfg)
		},
	}
	groupFlags(cmd, rushFlags(&cfg)...)
	return cmd
}

func rushFlags(cfg *rush.Config) []flagGroup {
	crowd, faults := newGroup("The crowd"), newGroup("What goes wrong meanwhile")
	f := crowd.flags
	f.BoolVar(&cfg.WS, "ws", false, "every student on a WebSocket of their own: lobby, opening, pushes")
	f.IntVar(&cfg.Students, "students", cfg.Students, "students of act 2; a quarter of them press in act 1")
	f.IntVar(&cfg.Pools, "pools", cfg.Pools, "courses of act 2")
	f.IntVar(&cfg.Seats, "seats", cfg.Seats, "seats of each course")
	f.IntVar(&cfg.Choices, "choices", cfg.Choices, "wishes of each student, 1 to 32")
	f.Float64Var(&cfg.Skew, "skew", cfg.Skew, "popularity: the course of rank k is wanted in proportion to 1/k^skew")
	f.Float64Var(&cfg.Refresh, "refresh", cfg.Refresh, "share of the students who press again")
	f.Float64Var(&cfg.Leave, "leave", cfg.Leave, "share of the seats that are given back at the end")
	f.IntVar(&cfg.Connections, "connections", cfg.Connections, "connections that the students take turns on")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "who wants what; equal seeds give equal crowds")

	f = faults.flags
	f.IntVar(&cfg.Kill, "kill", 0, "kill -9 the child this often in the middle of act 2")
	f.IntVar(&cfg.Restart, "restart", 0, "stop the child in good order and start it again this often in the middle of act 2")
	f.BoolVar(&cfg.Storm, "storm", false, "with --ws: cut all connections at once, and let everybody come back")

	real, server, told := newGroup("A real catalogue in place of act 2"), newGroup("The server"), newGroup("What is kept and told")
	f = real.flags
	f.StringVar(&cfg.Courses, "courses", "", "`FILE` of the courses: CSV with course, capacity")
	f.StringVar(&cfg.Wishes, "wishes", "", "`FILE` of the wishes: CSV with student, course, rank")
	f.Float64Var(&cfg.Squeeze, "squeeze", cfg.Squeeze, "the catalogue's capacities are multiplied by it")

	f = server.flags
	f.StringVar(&cfg.Target, "target", "", "`URL` of a running server, instead of a child")
	tokenFlag(f, &cfg.Token)
	f.StringVar(&cfg.Data, "data", "", "`DIR` of the child's data, kept; the SQLite file in it is holdfast.db")
	f.StringVar(&cfg.Database, "database", "", "`URL` of the child's database (postgres://…)")

	f = told.flags
	f.BoolVar(&cfg.JSON, "json", false, "the table as one JSON object")
	f.StringVar(&cfg.Answers, "answers", "", "`FILE` for every answer that a student saw, one JSON object a line")
	f.StringVar(&cfg.Report, "report", "", "`FILE.html` for one self-contained page with curves")
	return []flagGroup{crowd, faults, real, server, told}
}

func adviseRush(err error, cfg *rush.Config) error {
	var files *rush.FilesError
	switch {
	case errors.As(err, &files) && files.Fit >= 4:
		return advise(err, "holdfast rush --ws --students %d, or raise the limit (as root: ulimit -Hn %d)", files.Fit, files.Needed())
	case errors.Is(err, rush.ErrToken):
		return adviseKey(err, "")
	case errors.Is(err, rush.ErrNotEmpty):
		return advise(err, "holdfast verify %s (to look at what is there), or begin in another directory: holdfast rush --data OTHER", cfg.Data)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return advise(err, "name files that can be read, in directories that are there")
	case cfg.Target != "" && errors.Is(err, syscall.ECONNREFUSED):
		return advise(err, "holdfast serve (or name where it listens: --target)")
	}
	return err
}
