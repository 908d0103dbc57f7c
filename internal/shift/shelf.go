package shift

import (
	"sync"
	"time"
)

// record is one message as it came in. Its body is read only after the shift, when nobody waits any more.
type record struct {
	who      int32 // index of the peer; phones: -1
	do       do    // what it answers; 0 = nothing: a push
	status   uint16
	what     uint64 // the offer, request or session that was asked about
	run      uint16 // of the server
	sent     time.Duration
	received time.Duration // both since the shift began
	body     []byte
}

// shelf keeps records, bodies packed one behind the other. It is safe for concurrent use.
type shelf struct {
	mu      sync.Mutex // guards what follows
	records []record
	chunk   []byte
}

// shelfChunk is how much is taken from the heap at once; shelves is how many are filled side by side.
const (
	shelfChunk = 256 << 10
	shelves    = 32
)

// put copies the body.
func (s *shelf) put(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(s.chunk)-len(s.chunk) < len(r.body) {
		s.chunk = make([]byte, 0, max(shelfChunk, len(r.body)))
	}
	start := len(s.chunk)
	s.chunk = append(s.chunk, r.body...)
	r.body = s.chunk[start:len(s.chunk):len(s.chunk)]
	s.records = append(s.records, r)
}
