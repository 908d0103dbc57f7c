package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
)

// Sector is the unit, in bytes, in which a crash keeps, drops or tears what
// was written and not synced.
const Sector = 512

// Mem is a file system in memory that remembers what is durable: the bytes
// that were synced, and the directory entries that were synced. Reads see
// everything written, as from a page cache. CrashClone gives what a disk may
// hold after a power loss. Several goroutines may use it at once.
//
// Assumed of the disk: a sector once synced and not written again keeps its
// bytes; a sector written again and not yet synced may hold the old bytes, the
// new ones, or neither; a rename is atomic.
type Mem struct {
	mu    sync.Mutex // guards what follows, and every memFile below it
	dirs  map[string]*memDir
	locks map[string]bool
}

var _ FS = (*Mem)(nil)

// memDir is a directory: its entries as seen, and how they came about.
type memDir struct {
	live    map[string]*memFile
	durable map[string]*memFile
	pending []dirChange // since the last SyncDir, oldest first
}

// dirChange is one change of entries: gone disappears, name (if not empty)
// comes to point at file. Either may be the only one.
type dirChange struct {
	gone, name string
	file       *memFile
}

func (d *memDir) apply(entries map[string]*memFile, c dirChange) {
	if c.gone != "" {
		delete(entries, c.gone)
	}
	if c.name != "" {
		entries[c.name] = c.file
	}
}

func (d *memDir) change(c dirChange) {
	d.apply(d.live, c)
	d.pending = append(d.pending, c)
}

// sector is the content of one sector.
type sector [Sector]byte

// memFile is what an inode is on a disk; names point at it.
type memFile struct {
	data []byte // as seen by reads
	// size is the durable length. dirty holds the durable content of each
	// sector that differs from data and would be written by the next sync;
	// lost that of each sector that a failed sync has marked clean: no sync
	// writes those until they are written again.
	size        int64
	dirty, lost map[int64]sector
}

func newMemFile() *memFile {
	return &memFile{dirty: map[int64]sector{}, lost: map[int64]sector{}}
}

// NewMem gives an empty file system that has only its root and ".".
func NewMem() *Mem {
	return &Mem{dirs: map[string]*memDir{
		string(filepath.Separator): newMemDir(),
		".":                        newMemDir(),
	}, locks: map[string]bool{}}
}

func newMemDir() *memDir {
	return &memDir{live: map[string]*memFile{}, durable: map[string]*memFile{}}
}

func notExist(op, path string) error {
	return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

// entryLocked finds the directory of a path and the name in it.
func (m *Mem) entryLocked(op, path string) (*memDir, string, error) {
	path = filepath.Clean(path)
	d, ok := m.dirs[filepath.Dir(path)]
	if !ok {
		return nil, "", notExist(op, path)
	}
	return d, filepath.Base(path), nil
}

// fileLocked finds the file at a path.
func (m *Mem) fileLocked(op, path string) (*memFile, error) {
	d, name, err := m.entryLocked(op, path)
	if err != nil {
		return nil, err
	}
	f, ok := d.live[name]
	if !ok {
		return nil, notExist(op, path)
	}
	return f, nil
}

// Create implements FS.
func (m *Mem) Create(path string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, name, err := m.entryLocked("create", path)
	if err != nil {
		return nil, err
	}
	f, ok := d.live[name]
	if !ok {
		f = newMemFile()
		d.change(dirChange{name: name, file: f})
	}
	f.resize(0)
	return &memHandle{fs: m, file: f, write: true}, nil
}

// OpenFile implements FS.
func (m *Mem) OpenFile(path string, access Access) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.fileLocked("open", path)
	if err != nil {
		return nil, err
	}
	return &memHandle{fs: m, file: f, write: access == ReadWrite}, nil
}

// Rename implements FS.
func (m *Mem) Rename(oldpath, newpath string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.fileLocked("rename", oldpath)
	if err != nil {
		return err
	}
	if filepath.Dir(filepath.Clean(oldpath)) != filepath.Dir(filepath.Clean(newpath)) {
		return &fs.PathError{Op: "rename", Path: newpath, Err: errors.ErrUnsupported}
	}
	d, oldname, err := m.entryLocked("rename", oldpath)
	if err != nil {
		return err
	}
	d.change(dirChange{gone: oldname, name: filepath.Base(newpath), file: f})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.fileLocked("remove", path); err != nil {
		return err
	}
	d, name, err := m.entryLocked("remove", path)
	if err != nil {
		return err
	}
	d.change(dirChange{gone: name})
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(path string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.dirs[filepath.Clean(path)]
	if !ok {
		return nil, notExist("readdir", path)
	}
	return slices.Sorted(maps.Keys(d.live)), nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path = filepath.Clean(path); m.dirs[path] == nil; path = filepath.Dir(path) {
		m.dirs[path] = newMemDir()
	}
	return nil
}

// Stat implements FS.
func (m *Mem) Stat(path string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.fileLocked("stat", path)
	if err != nil {
		return 0, err
	}
	return int64(len(f.data)), nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.dirs[filepath.Clean(path)]
	if !ok {
		return notExist("syncdir", path)
	}
	d.durable, d.pending = maps.Clone(d.live), nil
	return nil
}

// Lock implements FS. A crash releases it: a clone has no locks.
func (m *Mem) Lock(path string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path = filepath.Clean(path)
	if m.locks[path] {
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	m.locks[path] = true
	return &memLock{fs: m, path: path}, nil
}

// memLock is a held lock.
type memLock struct {
	fs   *Mem
	path string
	once sync.Once
}

// Close releases the lock, once.
func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		defer l.fs.mu.Unlock()
		delete(l.fs.locks, l.path)
	})
	return nil
}

// soil remembers the durable content of the sectors of [from, to) before they
// change. Content of lost sectors moves along: it is still what the disk has.
func (f *memFile) soil(from, to int64) {
	if to <= from {
		return
	}
	for s := from / Sector; s <= (to-1)/Sector; s++ {
		if _, ok := f.dirty[s]; ok {
			continue
		}
		if old, ok := f.lost[s]; ok {
			f.dirty[s] = old
			delete(f.lost, s)
			continue
		}
		f.dirty[s] = f.at(s)
	}
}

// at is the content of a sector as seen by reads; zero beyond the end.
func (f *memFile) at(s int64) (b sector) {
	if off := s * Sector; off < int64(len(f.data)) {
		copy(b[:], f.data[off:])
	}
	return b
}

// resize sets the length.
func (f *memFile) resize(size int64) {
	was := int64(len(f.data))
	f.soil(min(size, was), max(size, was))
	if size <= was {
		clear(f.data[size:])
		f.data = f.data[:size]
		return
	}
	f.data = append(f.data, make([]byte, size-was)...)
}

// memHandle is an open file of a Mem.
type memHandle struct {
	fs     *Mem
	file   *memFile
	write  bool
	closed bool // guarded by fs.mu
}

func (h *memHandle) usableLocked(write bool) error {
	if h.closed {
		return fs.ErrClosed
	}
	if write && !h.write {
		return fs.ErrPermission
	}
	return nil
}

// ReadAt implements File.
func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked(false); err != nil {
		return 0, err
	}
	if off >= int64(len(h.file.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.file.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements File.
func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked(true); err != nil {
		return 0, err
	}
	end := off + int64(len(p))
	if end > int64(len(h.file.data)) {
		h.file.resize(end)
	}
	h.file.soil(off, end)
	return copy(h.file.data[off:], p), nil
}

// Datasync implements File.
func (h *memHandle) Datasync() error { return h.Sync() }

// Sync implements File.
func (h *memHandle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked(false); err != nil {
		return err
	}
	clear(h.file.dirty)
	h.file.size = int64(len(h.file.data))
	return nil
}

// failSync is what a sync that fails leaves: pages that look clean and are not
// on the disk.
func (h *memHandle) failSync() {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	maps.Copy(h.file.lost, h.file.dirty)
	clear(h.file.dirty)
}

// Truncate implements File.
func (h *memHandle) Truncate(size int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked(true); err != nil {
		return err
	}
	h.file.resize(size)
	return nil
}

// Size implements File.
func (h *memHandle) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return int64(len(h.file.data)), h.usableLocked(false)
}

// Close implements File.
func (h *memHandle) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	err := h.usableLocked(false)
	h.closed = true
	return err
}
