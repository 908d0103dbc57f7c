package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// The groups of the help.
const (
	groupRun   = "run"
	groupLook  = "look"
	groupOther = "other"
)

// defaultData is the data directory when none is named.
const defaultData = "./holdfast-data"

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "holdfast",
		Short: "First come, set in stone",
		Long: `Holdfast allots scarce things to a crowd, in order, at once, and for good.

Start a server, and ask it from another terminal with the curl that it prints:

  holdfast serve`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run it:"},
		&cobra.Group{ID: groupLook, Title: "See what happened, and whether it is right:"},
		&cobra.Group{ID: groupOther, Title: "More:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupRun, newServe(), newLoad(), newRush(), newShift(), newKey())
	add(groupLook, newVerify(), newWhy(), newLog(), newMirror())
	add(groupOther, newVersion())
	root.SetHelpCommandGroupID(groupOther)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "holdfast (unknown build)"
	}
	text := "holdfast " + info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision", "vcs.time":
			text += " " + s.Value
		}
	}
	return text + " " + info.GoVersion
}

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func noArgs(cmd *cobra.Command, args []string) error { return exactly(0)(cmd, args) }

// exactly is cobra.ExactArgs with the words of the usage line in its message.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return &usageError{fmt.Errorf("%d arguments given; it is: %s", len(args), cmd.UseLine())}
		}
		return nil
	}
}

// optionalDir takes at most one argument, a data directory.
func optionalDir(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return &usageError{fmt.Errorf("%d arguments given; it is: %s", len(args), cmd.UseLine())}
	}
	return nil
}

// dirOf is the argument of a command that takes optionalDir.
func dirOf(args []string) string {
	if len(args) == 0 {
		return defaultData
	}
	return args[0]
}

// tell ends a command line: one line says what is wrong, one what to do next.
func tell(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errToldAlready) {
		return exitFailure
	}
	fmt.Fprintf(stderr, "holdfast: %v\n", err)
	if usage := new(usageError); errors.As(err, &usage) {
		fmt.Fprintf(stderr, "next: %s --help\n", cmd.CommandPath())
		return exitUsage
	}
	if next := nextStep(err); next != "" {
		fmt.Fprintf(stderr, "next: %s\n", next)
	}
	return exitFailure
}

// errToldAlready ends a command with exitFailure whose output has said what is wrong.
var errToldAlready = errors.New("what was checked is not right")
