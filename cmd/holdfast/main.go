// Command holdfast runs and looks after a Holdfast server.
//
// The files of this package only wire: a command reads its flags, calls one function with a context and a configuration,
// and returns an error; main alone turns signals and errors into exit codes. What is decided is decided in the packages.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal meets the system's default and ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // it did not work, or what was checked is not right
	exitUsage   = 2 // the command line is wrong; nothing was done
)

// run executes one command line and gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return tell(stderr, cmd, err)
}
