package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// CrashMode says what becomes, in a power loss, of what was not synced.
type CrashMode int

const (
	// DropAll loses everything that was not synced.
	DropAll CrashMode = iota + 1
	// KeepAll keeps everything written, but what a failed sync has marked clean.
	KeepAll
	// Mix decides for each sector, each length and each change of an entry by
	// itself whether it is kept or lost.
	Mix
	// Tear is Mix where a sector may also hold garbage.
	Tear
)

// CrashModes are all modes, for tests that try each.
func CrashModes() []CrashMode { return []CrashMode{DropAll, KeepAll, Mix, Tear} }

// String names the mode.
func (m CrashMode) String() string {
	switch m {
	case DropAll:
		return "drop"
	case KeepAll:
		return "keep"
	case Mix:
		return "mix"
	case Tear:
		return "tear"
	}
	return "unknown"
}

// CrashClone gives a new file system as the disk may look after a power loss
// at this moment. m goes on unharmed. The clone shares nothing with m, holds no
// locks, and everything in it is durable. The same rng state gives the same clone.
func (m *Mem) CrashClone(rng *rand.Rand, mode CrashMode) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	clone := &Mem{dirs: map[string]*memDir{}, locks: map[string]bool{}}
	crashed := map[*memFile]*memFile{}
	for _, path := range slices.Sorted(maps.Keys(m.dirs)) {
		entries := m.dirs[path].crash(rng, mode)
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			f := entries[name]
			if crashed[f] == nil {
				crashed[f] = f.crash(rng, mode)
			}
			entries[name] = crashed[f]
		}
		clone.dirs[path] = &memDir{live: entries, durable: maps.Clone(entries)}
	}
	return clone
}

// crash gives the entries that a power loss may leave. Half of the time the
// changes survive in order, as a journaling file system has it; else each by
// itself.
func (d *memDir) crash(rng *rand.Rand, mode CrashMode) map[string]*memFile {
	entries := maps.Clone(d.durable)
	cut := len(d.pending)
	inOrder := true
	switch mode {
	case DropAll:
		cut = 0
	case Mix, Tear:
		if inOrder = rng.IntN(2) == 0; inOrder {
			cut = rng.IntN(len(d.pending) + 1)
		}
	}
	for _, c := range d.pending[:cut] {
		if inOrder || rng.IntN(2) == 0 {
			d.apply(entries, c)
		}
	}
	return entries
}

// crash gives the file that a power loss may leave.
func (f *memFile) crash(rng *rand.Rand, mode CrashMode) *memFile {
	size := int64(len(f.data))
	if mode == DropAll || (mode != KeepAll && rng.IntN(2) == 0) {
		size = f.size
	}
	after := newMemFile()
	after.size = size
	after.data = make([]byte, size)
	copy(after.data, f.data)
	put := func(s int64, b sector) {
		if off := s * Sector; off < size {
			copy(after.data[off:], b[:])
		}
	}
	for _, s := range slices.Sorted(maps.Keys(f.lost)) {
		if mode == DropAll || mode == KeepAll || rng.IntN(2) == 0 {
			put(s, f.lost[s])
		}
	}
	for _, s := range slices.Sorted(maps.Keys(f.dirty)) {
		if mode == DropAll {
			put(s, f.dirty[s])
			continue
		}
		if mode == KeepAll {
			continue
		}
		switch fate := rng.IntN(3); {
		case fate == 0:
			put(s, f.dirty[s])
		case fate == 1 && mode == Tear:
			put(s, tear(rng, f.dirty[s], f.at(s)))
		}
	}
	return after
}

// tear gives the sector of a write that was cut: a part old and a part new, or
// noise.
func tear(rng *rand.Rand, before, after sector) sector {
	if rng.IntN(2) == 0 {
		copy(before[:rng.IntN(Sector)], after[:])
		return before
	}
	for i := range before {
		before[i] = byte(rng.Uint32())
	}
	return before
}
