package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"holdfast/internal/shift"
)

// newShift makes the command shift: its flags are shift.Config, and all else is shift.Run.
func newShift() *cobra.Command {
	cfg := shift.DefaultConfig()
	cmd := &cobra.Command{
		Use:   "shift",
		Short: "Play a day at a thousand companies' desks and check every message",
		Long: `Starts a server as a child process on a temporary directory and plays a day at the desks of 1,000
companies, each agent on a WebSocket of their own: clients come in bursts and over a day's curve, on
WebSockets and over HTTP; they wait, talk, lose patience and lose their connection; agents accept,
reject, say nothing, pause, lose their connection and come back, and finish.

How often clients come and how long they talk is that of a bank's call centre (Brown et al. 2005), so
many times faster as --compress says.

Then every message that any agent or client saw is compared with the log.
The exit code is 1 if anything was not true, or if anything is left undone. docs/SHIFT.md says what
each figure means.`,
		Example: `  holdfast shift
  holdfast shift --kill 2
  holdfast shift --kill 2 --report shift.html
  holdfast shift --desks 10 --agents 5 --rate 5 --compress 10 --duration 2m
  holdfast shift --calm --rate 0 --talk 0 --think 0 --accept 1 --desks 250 --agents 4 --clients 500
  HOLDFAST_TOKEN=$KEY holdfast shift --target https://desks.example.com --desks 20`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Fit = !cmd.Flags().Changed("agents")
			if err := takeToken(&cfg.Token); err != nil {
				return err
			}
			if err := cfg.Validate(); err != nil {
				return &usageError{err}
			}
			cfg.Stdout, cfg.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			cfg.Terminal = cfg.Stderr == os.Stderr && term.IsTerminal(int(os.Stderr.Fd()))
			_, err := shift.Run(cmd.Context(), cfg)
			if errors.Is(err, shift.ErrViolations) {
				return errToldAlready // the table lists them
			}
			return adviseShift(err, &cfg)
		},
	}
	groupFlags(cmd, shiftFlags(&cfg)...)
	return cmd
}

func shiftFlags(cfg *shift.Config) []flagGroup {
	desks, people := newGroup("The desks"), newGroup("What people do")
	f := desks.flags
	f.IntVar(&cfg.Desks, "desks", cfg.Desks, "companies")
	f.IntVar(&cfg.Agents, "agents", cfg.Agents, "agents of each; fewer where not so many files may be open, unless it is said")
	f.IntVar(&cfg.Clients, "clients", cfg.Clients, "WebSockets that the clients take turns on")
	f.Float64Var(&cfg.Rate, "rate", cfg.Rate, "clients a second, on average; 0 = as fast as they are served (with --calm)")
	f.DurationVar(&cfg.Duration, "duration", cfg.Duration, "how long clients come")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "who comes when, and who does what")

	f = people.flags
	f.Float64Var(&cfg.Compress, "compress", cfg.Compress, "so many times faster than in life")
	f.DurationVar(&cfg.Talk, "talk", cfg.Talk, "mean length of a session, in life")
	f.DurationVar(&cfg.Think, "think", cfg.Think, "mean time to answer an offer, in life")
	f.Float64Var(&cfg.Accept, "accept", cfg.Accept, "probability that an offer is accepted")
	f.Float64Var(&cfg.Lose, "lose", cfg.Lose, "probability that a connection is lost, in a wait, an offer or a session")
	f.Float64Var(&cfg.Phone, "phone", cfg.Phone, "share of the clients who ask over HTTP")
	f.BoolVar(&cfg.Calm, "calm", false, "no bursts and no day's curve; nobody loses patience, is lost, pauses or says nothing")

	faults, server, told := newGroup("What goes wrong meanwhile"), newGroup("The server"), newGroup("What is kept and told")
	faults.flags.IntVar(&cfg.Kill, "kill", 0, "kill -9 the child this often in the middle, with offers pending")

	f = server.flags
	f.StringVar(&cfg.Target, "target", "", "`URL` of a running server, instead of a child")
	tokenFlag(f, &cfg.Token)
	f.StringVar(&cfg.Data, "data", "", "`DIR` of the child's data, kept")
	f.StringVar(&cfg.Database, "database", cfg.Database, "`URL` of the child's database (sqlite:FILE, postgres://…); none = no copy in SQL")

	f = told.flags
	f.BoolVar(&cfg.JSON, "json", false, "the table as one JSON object")
	f.StringVar(&cfg.Report, "report", "", "`FILE.html` for one self-contained page with curves")
	return []flagGroup{desks, people, faults, server, told}
}

func adviseShift(err error, cfg *shift.Config) error {
	var files *shift.FilesError
	switch {
	case errors.As(err, &files) && files.Fit >= 1:
		return advise(err, "holdfast shift --desks %d --agents %d --clients %d, or raise the limit (as root: ulimit -Hn %d)", files.Desks, files.Fit, files.Clients, files.Needed())
	case errors.As(err, &files):
		return advise(err, "holdfast shift with fewer --desks or --clients, or raise the limit (as root: ulimit -Hn %d)", files.Needed())
	case errors.Is(err, shift.ErrToken):
		return adviseKey(err, "")
	case errors.Is(err, shift.ErrNotEmpty):
		return advise(err, "holdfast verify %s (to look at what is there), or begin in another directory: holdfast shift --data OTHER", cfg.Data)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return advise(err, "name files in directories that are there")
	case cfg.Target != "" && errors.Is(err, syscall.ECONNREFUSED):
		return advise(err, "holdfast serve (or name where it listens: --target)")
	}
	return err
}
