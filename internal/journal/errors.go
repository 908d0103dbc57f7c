package journal

import (
	"errors"
	"fmt"
)

var (
	// ErrInUse is returned by Open when another process (or another Journal in
	// this one) has the directory.
	ErrInUse = errors.New("journal: directory in use by another process")
	// ErrVersion matches a *VersionError: the log was written in another format.
	ErrVersion = errors.New("journal: other format version")
	// ErrCorrupt matches a *CorruptError.
	ErrCorrupt = errors.New("journal: corrupt")
	// ErrNoRoom is what Room answers while the disk has no room for the next segment.
	ErrNoRoom = errors.New("journal: no room for the next segment")
	// ErrTrimmed is returned by Read for sequences that Trim has removed.
	ErrTrimmed = errors.New("journal: trimmed")
	// ErrClosed is returned by the methods of a closed or aborted Journal.
	ErrClosed = errors.New("journal: closed")
	// ErrNoSnapshot is returned by OpenSnapshot when there is none of that sequence.
	ErrNoSnapshot = errors.New("journal: no such snapshot")
)

// CorruptError says that what the disk holds cannot be what was written. The
// journal repairs nothing in this case: what it would drop may be confirmed.
type CorruptError struct {
	File   string // path of the file
	Offset int64  // of the first byte that cannot be right
	Reason string // what is wrong, and what follows from it
}

// Error names the place, the reason, and what to do next.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal: corrupt: %s at byte %d: %s; nothing was changed: copy the directory as it is, "+
		"check the disk, then restore the last good copy", e.File, e.Offset, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// VersionError says that a file is whole, and of another format version.
type VersionError struct {
	File  string
	Found uint32 // version of the file
	Known uint32 // newest version that this program reads
}

// Error names both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("journal: %s has format version %d, this program reads version %d: use the program that wrote it, or a newer one",
		e.File, e.Found, e.Known)
}

// Is makes errors.Is(err, ErrVersion) true.
func (e *VersionError) Is(target error) bool { return target == ErrVersion }
