package main

import "syscall"

// The file systems that lose everything when the machine stops, from statfs(2).
const (
	tmpfsMagic = 0x01021994
	ramfsMagic = 0x858458f6
)

// inMemory says whether a directory is on a file system that lives in memory only.
func inMemory(dir string) bool {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return false // whoever opens it will say what is wrong
	}
	return s.Type == tmpfsMagic || s.Type == ramfsMagic
}

// freeBytes is the room that is left for this user on a directory's disk; negative: not known.
func freeBytes(dir string) float64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return -1
	}
	return float64(s.Bavail) * float64(s.Bsize)
}
