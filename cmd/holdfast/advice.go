package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"holdfast/engine"
)

// advice is an error together with the next command to run.
type advice struct {
	err  error
	next string
}

func (a *advice) Error() string { return a.err.Error() }
func (a *advice) Unwrap() error { return a.err }

// advise adds what to do next to an error; nil stays nil.
func advise(err error, next string, args ...any) error {
	if err == nil {
		return nil
	}
	return &advice{err, fmt.Sprintf(next, args...)}
}

// nextStep is the advice that an error carries.
func nextStep(err error) string {
	if a := new(advice); errors.As(err, &a) {
		return a.next
	}
	return ""
}

// adviseOpen says what to do about a data directory that an engine could not take.
func adviseOpen(err error, dir string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return advise(err, "make room on the disk of %s (256 MiB are enough to start), then run the same command again", dir)
	case errors.Is(err, fs.ErrPermission):
		return advise(err, "run it as the user who owns %s", dir)
	case errors.Is(err, syscall.ENOTDIR):
		return advise(err, "name a directory: holdfast serve --data DIR")
	case errors.Is(err, engine.ErrInUse):
		return advise(err, "stop the holdfast that has %s, or use another directory: holdfast serve --data OTHER", dir)
	case errors.Is(err, engine.ErrVersion):
		return advise(err, "run the version of holdfast that wrote %s, or a newer one; or begin in another directory: holdfast serve --data OTHER", dir)
	}
	return advise(err, "holdfast verify %s", dir)
}

// adviseView says what to do about a data directory that cannot be looked at.
func adviseView(err error, dir string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return advise(err, "name the directory that a server was started with: its --data")
	case errors.Is(err, fs.ErrPermission):
		return advise(err, "run it as the user who owns %s", dir)
	case errors.Is(err, engine.ErrTrimmed):
		return advise(err, "begin later, with --after; what is older stands in the database's table events")
	}
	return advise(err, "copy %s as it is, look at its disk, and see docs/RUNBOOK.md, \"The log is corrupt\"", dir)
}
