package vfs

import (
	"io/fs"
	"runtime"

	"golang.org/x/sys/unix"
)

// Datasync implements File by fdatasync(2).
func (f osFile) Datasync() error {
	fd := int(f.Fd())
	err := unix.Fdatasync(fd)
	for err == unix.EINTR { //nolint:errorlint // a bare errno; errors.Is would cost in the path of every append
		err = unix.Fdatasync(fd)
	}
	runtime.KeepAlive(f.File)
	if err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}
