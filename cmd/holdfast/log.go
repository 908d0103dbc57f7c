package main

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"holdfast/engine"
)

// logConfig says which events are shown.
type logConfig struct {
	Dir    string
	Realm  string // empty: all, and the starts of the server too
	After  uint64
	Follow bool
	Poll   time.Duration // how often a follower looks
	Stdout io.Writer
}

func newLog() *cobra.Command {
	cfg := logConfig{Poll: 100 * time.Millisecond}
	cmd := &cobra.Command{
		Use:   "log [DIR]",
		Short: "Print the events of a data directory as JSON lines",
		Long: `Prints durable events, one JSON object a line, in order; also beside a running server, which it does not disturb.
The starts of the server belong to no realm: --realm leaves them out.`,
		Example: `  holdfast log ./holdfast-data | head
  holdfast log ./holdfast-data --realm spring --after 4711 --follow`,
		Args: optionalDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.Dir, cfg.Stdout = dirOf(args), cmd.OutOrStdout()
			return adviseView(printLog(cmd.Context(), cfg), cfg.Dir)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Realm, "realm", "", "only the events of this `REALM`")
	f.Uint64Var(&cfg.After, "after", 0, "begin behind this `SEQ`")
	f.BoolVar(&cfg.Follow, "follow", false, "go on as events come, until a signal")
	return cmd
}

// printLog writes the events, and with Follow goes on until ctx ends.
func printLog(ctx context.Context, cfg logConfig) error {
	dir, err := engine.ViewDir(cfg.Dir)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cfg.Stdout)
	var line []byte
	print := func(ev engine.Events) error {
		for i := range ev.List {
			if e := &ev.List[i]; cfg.Realm == "" || e.Realm == cfg.Realm {
				line = append(e.AppendJSON(line[:0]), '\n')
				if _, err := out.Write(line); err != nil {
					return err
				}
			}
		}
		return ctx.Err()
	}
	tick := time.NewTicker(cfg.Poll)
	defer tick.Stop()
	for after := cfg.After; ; {
		after, err = dir.Events(after, print)
		if flushed := out.Flush(); err == nil {
			err = flushed
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil || !cfg.Follow {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
