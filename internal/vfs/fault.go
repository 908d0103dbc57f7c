package vfs

import (
	"io"
	"sync"
	"syscall"
)

// OpKind names an operation of FS or File.
type OpKind string

// The operations that Fault counts.
const (
	OpCreate   OpKind = "create"
	OpOpen     OpKind = "open"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpReadDir  OpKind = "readdir"
	OpMkdir    OpKind = "mkdir"
	OpStat     OpKind = "stat"
	OpSyncDir  OpKind = "syncdir"
	OpLock     OpKind = "lock"
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpDatasync OpKind = "datasync"
	OpSync     OpKind = "sync"
	OpTruncate OpKind = "truncate"
	OpSize     OpKind = "size"
	OpClose    OpKind = "close"
)

// Changes tells whether the operation may change what a crash would leave.
func (k OpKind) Changes() bool {
	switch k {
	case OpCreate, OpRename, OpRemove, OpMkdir, OpSyncDir, OpWrite, OpDatasync, OpSync, OpTruncate:
		return true
	}
	return false
}

// Op is one operation that Fault saw. N counts from 1.
type Op struct {
	N    int64
	Kind OpKind
	Path string
}

// Plan says which operations fail, and how.
type Plan struct {
	// At is the number of the first operation that fails, from 1. 0 fails none.
	At int64
	// Forever makes every later operation fail too, but Close, which always
	// works so that a test can let go of what it holds.
	Forever bool
	// Only limits the failures to operations it says yes to; nil means all.
	// With it, At counts only those.
	Only func(Op) bool
	// Err is what the operation returns; nil means EIO.
	Err error
	// TookEffect lets the operation happen before it reports the failure.
	// Without it a write leaves its first half behind (a short write), and
	// every other operation does nothing.
	TookEffect bool
}

// Fault wraps an FS, counts its operations, and makes some fail by plan. A sync
// that fails on a Mem marks its pages clean as Linux does: what was written is
// read back until a crash, and never reaches the disk by a later sync.
// Several goroutines may use it at once.
type Fault struct {
	inner FS
	after func(Op)

	mu      sync.Mutex // guards what follows
	plan    Plan
	ops     int64
	matched int64
	fired   int64
}

var _ FS = (*Fault)(nil)

// NewFault wraps inner. If after is not nil it is called after each operation
// that succeeded, on the goroutine of that operation and before its caller
// sees the result: a test takes a CrashClone there.
func NewFault(inner FS, after func(Op)) *Fault {
	return &Fault{inner: inner, after: after}
}

// Set replaces the plan and starts its count anew.
func (f *Fault) Set(p Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan, f.matched, f.fired = p, 0, 0
}

// Ops is the number of operations seen since NewFault.
func (f *Fault) Ops() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// Fired is the number of operations made to fail since Set.
func (f *Fault) Fired() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// verdict counts an operation and says how it is to fail, if it is.
func (f *Fault) verdict(kind OpKind, path string) (op Op, fail error, tookEffect bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops++
	op = Op{N: f.ops, Kind: kind, Path: path}
	p := f.plan
	if p.At == 0 || (p.Only != nil && !p.Only(op)) {
		return op, nil, false
	}
	f.matched++
	if f.matched < p.At || (f.matched > p.At && (!p.Forever || kind == OpClose)) {
		return op, nil, false
	}
	f.fired++
	if p.Err == nil {
		return op, syscall.EIO, p.TookEffect
	}
	return op, p.Err, p.TookEffect
}

// do runs one operation under the plan. Closing always takes effect.
func (f *Fault) do(kind OpKind, path string, run func() error) error {
	op, fail, tookEffect := f.verdict(kind, path)
	if fail != nil {
		if tookEffect || kind == OpClose {
			_ = run() // the planned failure is what the caller is to see
		}
		return fail
	}
	if err := run(); err != nil {
		return err
	}
	if f.after != nil {
		f.after(op)
	}
	return nil
}

// Create implements FS.
func (f *Fault) Create(path string) (File, error) {
	return f.open(OpCreate, path, func() (File, error) { return f.inner.Create(path) })
}

// OpenFile implements FS.
func (f *Fault) OpenFile(path string, access Access) (File, error) {
	return f.open(OpOpen, path, func() (File, error) { return f.inner.OpenFile(path, access) })
}

func (f *Fault) open(kind OpKind, path string, open func() (File, error)) (File, error) {
	var file File
	err := f.do(kind, path, func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		if file != nil {
			_ = file.Close() // opened, then reported as failed
		}
		return nil, err
	}
	return &faultFile{fs: f, path: path, inner: file}, nil
}

// Rename implements FS.
func (f *Fault) Rename(oldpath, newpath string) error {
	return f.do(OpRename, newpath, func() error { return f.inner.Rename(oldpath, newpath) })
}

// Remove implements FS.
func (f *Fault) Remove(path string) error {
	return f.do(OpRemove, path, func() error { return f.inner.Remove(path) })
}

// ReadDir implements FS.
func (f *Fault) ReadDir(path string) (names []string, err error) {
	err = f.do(OpReadDir, path, func() (err error) {
		names, err = f.inner.ReadDir(path)
		return err
	})
	return names, err
}

// MkdirAll implements FS.
func (f *Fault) MkdirAll(path string) error {
	return f.do(OpMkdir, path, func() error { return f.inner.MkdirAll(path) })
}

// Stat implements FS.
func (f *Fault) Stat(path string) (size int64, err error) {
	err = f.do(OpStat, path, func() (err error) {
		size, err = f.inner.Stat(path)
		return err
	})
	return size, err
}

// SyncDir implements FS.
func (f *Fault) SyncDir(path string) error {
	return f.do(OpSyncDir, path, func() error { return f.inner.SyncDir(path) })
}

// Lock implements FS.
func (f *Fault) Lock(path string) (io.Closer, error) {
	var held io.Closer
	err := f.do(OpLock, path, func() (err error) {
		held, err = f.inner.Lock(path)
		return err
	})
	if err != nil {
		if held != nil {
			_ = held.Close()
		}
		return nil, err
	}
	return held, nil
}

// faultFile is an open file of a Fault.
type faultFile struct {
	fs    *Fault
	path  string
	inner File
}

// ReadAt implements File. io.EOF is an answer, not a failure.
func (f *faultFile) ReadAt(p []byte, off int64) (n int, err error) {
	planned := f.fs.do(OpRead, f.path, func() error {
		n, err = f.inner.ReadAt(p, off)
		return nil
	})
	if planned != nil {
		return 0, planned
	}
	return n, err
}

// WriteAt implements File. A planned failure leaves the first half written.
func (f *faultFile) WriteAt(p []byte, off int64) (n int, err error) {
	op, fail, tookEffect := f.fs.verdict(OpWrite, f.path)
	if fail != nil {
		if !tookEffect {
			p = p[:len(p)/2]
		}
		n, _ = f.inner.WriteAt(p, off) // the planned failure is what the caller is to see
		return n, fail
	}
	if n, err = f.inner.WriteAt(p, off); err == nil && f.fs.after != nil {
		f.fs.after(op)
	}
	return n, err
}

// Datasync implements File.
func (f *faultFile) Datasync() error { return f.sync(OpDatasync, f.inner.Datasync) }

// Sync implements File.
func (f *faultFile) Sync() error { return f.sync(OpSync, f.inner.Sync) }

func (f *faultFile) sync(kind OpKind, sync func() error) error {
	synced := false
	err := f.fs.do(kind, f.path, func() error {
		synced = true
		return sync()
	})
	if m, ok := f.inner.(*memHandle); ok && err != nil && !synced {
		m.failSync()
	}
	return err
}

// Truncate implements File.
func (f *faultFile) Truncate(size int64) error {
	return f.fs.do(OpTruncate, f.path, func() error { return f.inner.Truncate(size) })
}

// Size implements File.
func (f *faultFile) Size() (size int64, err error) {
	err = f.fs.do(OpSize, f.path, func() (err error) {
		size, err = f.inner.Size()
		return err
	})
	return size, err
}

// Close implements File.
func (f *faultFile) Close() error { return f.fs.do(OpClose, f.path, f.inner.Close) }
