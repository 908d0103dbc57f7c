//go:build unix

package play

import "syscall"

// OpenFiles raises the limit of open files as far as it may be raised, for this process and those that it starts, and
// gives it; 0 = it is not known.
func OpenFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil { // macOS has a lower one beside it
		if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
			return 0
		}
	}
	return uint64(limit.Cur)
}
