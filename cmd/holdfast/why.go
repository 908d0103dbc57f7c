package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"holdfast/engine"
	"holdfast/internal/story"
	"holdfast/seat"
)

func newWhy() *cobra.Command {
	dir := defaultData
	cmd := &cobra.Command{
		Use:   "why REALM POOL PERSON",
		Short: "Tell the story of one person in one pool, in words",
		Long: `Tells from the log what one person asked for in one pool and what became of it, with times (UTC) and the numbers of
the events; also beside a running server. Refusals are in no log.`,
		Example: `  holdfast why spring c0101 s00017
  holdfast why spring c0101 s00017 --data /var/lib/holdfast`,
		Args: exactly(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			for i, field := range []string{"realm", "pool", "person"} {
				if err := seat.ValidID(field, args[i]); err != nil {
					return &usageError{err}
				}
			}
			return adviseView(why(cmd.OutOrStdout(), dir, args[0], args[1], args[2]), dir)
		},
	}
	cmd.Flags().StringVar(&dir, "data", dir, "data `DIR`")
	return cmd
}

func why(out io.Writer, dir, realm, pool, person string) error {
	d, err := engine.ViewDir(dir)
	if err != nil {
		return err
	}
	state, err := d.State()
	if err != nil {
		return err
	}
	t := story.New(state, realm, pool, person)
	_, err = d.Events(state.Seq(), func(ev engine.Events) error {
		for i := range ev.List {
			if err := t.Event(&ev.List[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s in %s of %s (times are UTC)\n\n", person, pool, realm)
	for _, line := range t.Lines() {
		fmt.Fprintln(out, line)
	}
	_, err = fmt.Fprintln(out, t.End())
	return err
}
