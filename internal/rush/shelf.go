package rush

import (
	"net/http"
	"sync"
	"time"
)

// errand says what a student asked.
type errand uint8

const (
	errandClaim   errand = iota + 1 // PUT a claim
	errandLook                      // GET a standing
	errandBasket                    // POST a basket
	errandRelease                   // DELETE a claim
	errandLate                      // PUT the first claim again, long after: a late duplicate
	errandPush                      // nothing: a push of the student's claims came by itself
	errandFirst                     // the same, the first one after hello: what changed meanwhile
)

func (e errand) String() string {
	switch e {
	case errandClaim, errandLate:
		return "claim"
	case errandLook:
		return "look"
	case errandBasket:
		return "basket"
	case errandRelease:
		return "release"
	}
	return "push"
}

// push says whether the student did not ask.
func (e errand) push() bool { return e >= errandPush }

// record is one HTTP answer as it came in. Its body is read only after the rush, when nobody waits any more.
type record struct {
	errand   errand
	act      uint8
	again    bool  // the student had pressed before
	person   int32 // index in the plan
	course   int32 // index in the plan; baskets: -1
	status   uint16
	run      uint16 // of the server
	sent     time.Duration
	received time.Duration // both since the rush began
	body     []byte
}

// asOf is the place in the log at which the answer was true.
func (r *record) asOf() uint64 {
	if r.errand.push() {
		return pushedAsOf(r.body)
	}
	return asOf(r.body)
}

// putOff says whether nothing was decided: busy, too often, or unknown. The student asks again.
func (r *record) putOff() bool {
	return r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests
}

// shelf keeps the records of one asker, bodies packed one behind the other. One goroutine owns it while the crowd runs.
type shelf struct {
	records []record
	chunk   []byte
}

// shelfChunk is how much is taken from the heap at once.
const shelfChunk = 256 << 10

// put copies the body.
func (s *shelf) put(r record) {
	if cap(s.chunk)-len(s.chunk) < len(r.body) {
		s.chunk = make([]byte, 0, max(shelfChunk, len(r.body)))
	}
	start := len(s.chunk)
	s.chunk = append(s.chunk, r.body...)
	r.body = s.chunk[start:len(s.chunk):len(s.chunk)]
	s.records = append(s.records, r)
}

// sharedShelf is a shelf of several students.
type sharedShelf struct {
	mu    sync.Mutex // guards shelf
	shelf shelf
}

func (s *sharedShelf) put(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shelf.put(r)
}
