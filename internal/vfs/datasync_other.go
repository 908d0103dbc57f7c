//go:build !linux

package vfs

// Datasync implements File by the strongest sync Go has for the host (on macOS
// F_FULLFSYNC), where fdatasync(2) is missing or weaker.
func (f osFile) Datasync() error { return f.Sync() }
