package rush

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"holdfast"
)

// counts keeps the pushes of a pool's counts, each once: all who are subscribed are told the same. It is safe for
// concurrent use.
type counts struct {
	seed maphash.Seed

	mu   sync.Mutex // guards what follows
	seen map[uint64]bool
	kept []countsPush
}

// countsPush is one push of a pool's counts.
type countsPush struct {
	run  uint16 // of the server
	line []byte
	asOf uint64
}

func newCounts() *counts {
	return &counts{seed: maphash.MakeSeed(), seen: map[uint64]bool{}}
}

func (c *counts) put(line []byte, run uint16) {
	hash := maphash.Bytes(c.seed, line)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.seen[hash] {
		c.seen[hash] = true
		c.kept = append(c.kept, countsPush{run, bytes.Clone(line), asOf(line)})
	}
}

// sorted gives what was kept, by as_of.
func (c *counts) sorted() []countsPush {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortStableFunc(c.kept, func(a, b countsPush) int { return cmp.Compare(a.asOf, b.asOf) })
	return c.kept
}

// wrong compares a push with the log at its place (P2); empty = it is true.
func (p *countsPush) wrong(r *holdfast.Realm) string {
	var said struct {
		Pool                                           string
		Capacity, Seated, Offered, Waiting, Free, Over uint32
	}
	if err := json.Unmarshal(p.line, &said); err != nil {
		return fmt.Sprintf("a push is not JSON: %v: %.200q", err, p.line)
	}
	v, ok := r.Seats.Pool(said.Pool)
	if !ok {
		return fmt.Sprintf("counts of pool %q were told, which does not exist", said.Pool)
	}
	told := [...]uint32{said.Capacity, said.Seated, said.Offered, said.Waiting, said.Free, said.Over}
	if log := [...]uint32{v.Config.Capacity, v.Seated, v.Offered, v.Waiting, v.Free, v.Over}; told != log {
		return fmt.Sprintf("of pool %s the counts %v (capacity, seated, offered, waiting, free, over) were told; by the log they are %v", said.Pool, told, log)
	}
	return ""
}
