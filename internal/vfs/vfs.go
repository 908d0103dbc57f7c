// Package vfs is the seam between the journal and a file system.
//
// It offers only what a write-ahead log needs, and says for each operation
// when its effect survives a power loss. Three implementations: OS (the real
// one), Mem (in memory, and able to show what a disk may hold after a crash),
// and Fault (wraps another and makes one chosen operation fail).
package vfs

import (
	"errors"
	"io"
)

// ErrLocked is returned by FS.Lock when another holder, in this process or in
// another one, has the lock.
var ErrLocked = errors.New("vfs: locked by another process")

// Access says what an opened file may be used for.
type Access int

const (
	// ReadOnly allows ReadAt, Size, and the syncs (a sync needs no right to
	// write: a reader may force what it read onto the disk).
	ReadOnly Access = iota + 1
	// ReadWrite allows everything.
	ReadWrite
)

// FS is a file system. Every method may be called by several goroutines at
// once. Paths use the separator of the host. A file that is missing gives an
// error that matches fs.ErrNotExist.
//
// Entries of a directory (what Create, Rename and Remove changed) survive a
// power loss only after SyncDir of that directory has returned.
type FS interface {
	// Create makes an empty file for reading and writing, or empties the one
	// that is there. Durable after Sync of the file and SyncDir of its folder.
	Create(path string) (File, error)
	// OpenFile opens a file that exists.
	OpenFile(path string, access Access) (File, error)
	// Rename moves a file within one directory, replacing newpath if it exists.
	// Atomic: after a crash one finds the old state or the new one, whole.
	Rename(oldpath, newpath string) error
	// Remove unlinks a file. Handles that are open stay usable.
	Remove(path string) error
	// ReadDir gives the names of the files in a directory, sorted. It leaves
	// out sub-directories.
	ReadDir(path string) ([]string, error)
	// MkdirAll makes a directory and what is missing above it, readable by the
	// owner only. Durable when it returns.
	MkdirAll(path string) error
	// Stat gives the size of a file in bytes.
	Stat(path string) (int64, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(path string) error
	// Lock takes an exclusive lock bound to path, creating the file if need be,
	// without waiting. It fails with ErrLocked when somebody else holds it.
	// Close releases it; so does the end of the process, however it ends.
	Lock(path string) (io.Closer, error)
}

// File is an open file. ReadAt may run beside every other method; the caller
// serialises the others. After an error of a sync nothing may be assumed of
// what was written since the last one that succeeded: the kernel has marked
// those pages clean, so that a second sync would succeed without writing.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Datasync makes the bytes of the file durable, and its length, not its times.
	Datasync() error
	// Sync makes the bytes and all metadata of the file durable.
	Sync() error
	// Truncate sets the length in bytes; what is added reads as zero. Durable
	// after the next sync.
	Truncate(size int64) error
	// Size is the length in bytes.
	Size() (int64, error)
	io.Closer
}
