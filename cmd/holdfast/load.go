package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/internal/load"
	"holdfast/internal/wire"
	"holdfast/seat"
)

func newLoad() *cobra.Command {
	cfg := load.Config{Target: "http://127.0.0.1:7700", By: "holdfast load", Workers: 8}
	cmd := &cobra.Command{
		Use:   "load REALM --pools FILE.csv [--claims FILE.csv]",
		Short: "Load courses, and who is booked already, into a realm",
		Long: `Sends courses, and who has a seat already, to a running server. Both files are checked whole first: on bad input
nothing is sent, and the message names file and line. Loading the same files again changes nothing.

Columns of --pools: pool (or course) and capacity; if wanted waitlist, opens_at, closes_at, promote_until, promotion,
answer_seconds, group, order (arrival or lottery). Every other column is kept in the pool's data. A pool that is there is replaced as a whole.

Columns of --claims: pool (or course) and person (or student). Each line is a seat that is taken: it is given by staff,
with the file's name as the reason, so it works before the opening too. The first line of a pool gets its lowest free
seat. A column status may be there and must say seated.

A server with authentication wants a key of role admin, for this realm or for all: put it into HOLDFAST_TOKEN, where other
users of the machine do not see it.`,
		Example: `  holdfast load spring --pools courses.csv
  holdfast load spring --pools courses.csv --claims booked.csv --target http://127.0.0.1:7700`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cfg.Pools == "" {
				return &usageError{errors.New("--pools is missing")}
			}
			if err := seat.ValidID("realm", args[0]); err != nil {
				return &usageError{err}
			}
			cfg.Realm = args[0]
			if err := takeToken(&cfg.Token); err != nil {
				return err
			}
			summary, err := load.Run(cmd.Context(), cfg)
			if summary != nil {
				printLoad(cmd.OutOrStdout(), &cfg, summary)
			}
			if err == nil && len(summary.Refused) > 0 {
				return errToldAlready
			}
			return adviseLoad(err, &cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Pools, "pools", "", "CSV `FILE` of the pools")
	f.StringVar(&cfg.Claims, "claims", "", "CSV `FILE` of who has a seat already")
	f.StringVar(&cfg.Target, "target", cfg.Target, "`URL` of the server")
	tokenFlag(f, &cfg.Token)
	f.StringVar(&cfg.By, "by", cfg.By, "`NAME` that stands in the log as who did it")
	return cmd
}

func adviseLoad(err error, cfg *load.Config) error {
	if problem := new(wire.Problem); errors.As(err, &problem) {
		switch problem.Code {
		case wire.Unauthenticated, wire.Forbidden, holdfast.UnknownRealm: // the last: the key is for another realm
			return adviseKey(err, " --realm "+cfg.Realm)
		}
	}
	switch {
	case errors.As(err, new(*load.Problem)):
		return advise(err, "mend the file and run the same command again; nothing was sent")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return advise(err, "name files that can be read: --pools, --claims; nothing was sent")
	case errors.Is(err, load.ErrTarget):
		return advise(err, "name where the server listens: --target http://127.0.0.1:7700; nothing was sent")
	case errors.Is(err, syscall.ECONNREFUSED):
		return advise(err, "holdfast serve (or name where it listens: --target)")
	}
	return advise(err, "run the same command again: what is there already is left as it is")
}

func printLoad(out io.Writer, cfg *load.Config, s *load.Summary) {
	fmt.Fprintf(out, "realm %s\n", cfg.Realm)
	fmt.Fprintf(out, "  pools   %d made or changed, %d as they were\n", s.PoolsPut, s.PoolsSame)
	if cfg.Claims != "" {
		fmt.Fprintf(out, "  claims  %d seated, %d seated already, %d refused\n", s.Seated, s.AlreadySeated, len(s.Refused))
	}
	for _, over := range s.Over {
		fmt.Fprintf(out, "  more people than seats in %s\n", over)
	}
	for _, r := range s.Refused {
		fmt.Fprintf(out, "  refused: %s:%d: %s\n", r.File, r.Line, r.Text)
	}
}
