package live

import (
	"slices"
	"sync"

	"holdfast"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// Watch is one watcher of one person. Its methods may be called by several goroutines. It must be closed.
type Watch struct {
	hub    *Hub
	realm  *realm
	person string
	to     Sink

	links // guarded by Hub.mu

	mu     sync.Mutex      // guards what follows
	cursor uint64          // everything up to here has been pushed, or was known at the start
	told   []seat.Standing // as pushed or answered: what changes without an event of its own, and answers ahead of the cursor
	wish   wish
	closed bool
}

// links is a watch's place in the index.
type links struct {
	prev, next *Watch // of the same person
	place      int    // in index.watches
	queued     bool   // in index.due
	lazy       bool   // to be looked at in the next round of positions
}

// wish is what the next push must have.
type wish uint8

const (
	changes  wish = iota // what differs; nothing if nothing does
	catchUp              // the first after a cursor: comes always
	totality             // everything there is
)

// mostAhead is how many answers ahead of the cursor a watch remembers. What an answer beyond told is pushed once more.
const mostAhead = 64

// Watch tells to what changes of a person's claims, and first what changed since: that push comes always. A cursor of
// another log, or one that this log has not reached, is told everything. The realm and the person need not exist yet.
func (h *Hub) Watch(realm, person string, since Cursor, to Sink) *Watch {
	w := &Watch{hub: h, person: person, to: to, cursor: since.Seq, wish: catchUp}
	if since.Log != h.log || since.Seq > h.engine.Durable().Seq {
		w.cursor, w.wish = 0, totality
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		w.closed = true
		return w
	}
	w.realm = h.realmLocked(realm)
	if first := w.realm.people[person]; first != nil {
		w.next, first.prev = first, w
	}
	w.realm.people[person] = w
	w.place = len(h.watches)
	h.watches = append(h.watches, w)
	h.dueLocked(w)
	h.signal()
	return w
}

// Close ends the watch. A push that is on its way may still come, at most one.
func (w *Watch) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed, w.told = true, nil
	w.hub.dropLocked(w)
}

// dropLocked takes a watch out of the index.
func (h *Hub) dropLocked(w *Watch) {
	if w.next != nil {
		w.next.prev = w.prev
	}
	switch {
	case w.prev != nil:
		w.prev.next = w.next
	case w.next != nil:
		w.realm.people[w.person] = w.next
	default:
		delete(w.realm.people, w.person)
		h.leaveLocked(w.realm)
	}
	last := len(h.watches) - 1
	h.watches[w.place] = h.watches[last]
	h.watches[w.place].place = w.place
	h.watches[last] = nil
	h.watches = h.watches[:last]
}

// Again has everything pushed once more.
func (w *Watch) Again() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.wish = totality
		w.hub.dueLocked(w)
		w.hub.signal()
	}
}

// Told says that an answer on the same connection tells this standing, so that no push comes because of it. Call it when
// it is decided, confirmed or not. A push that comes for another reason has it once more, because the push's as_of is a
// cursor, and the answer may still be on its way when the connection breaks.
func (w *Watch) Told(st *seat.Standing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || st.Seq <= w.cursor {
		return
	}
	ahead := 0
	for i := range w.told {
		if e := &w.told[i]; e.Pool == st.Pool {
			if e.Seq < st.Seq { // else a push has told it, and maybe what became of it
				*e = *st
			}
			return
		} else if e.Seq > w.cursor {
			ahead++
		}
	}
	if ahead < mostAhead {
		w.told = append(w.told, *st)
	}
}

// Levels of what a watch has been told of an event.
type known uint8

const (
	nothing known = iota // what the event changed is to be told
	mostly               // told, but it may bear on where else the person waits
	wholly
)

// knows says how much of an event of its person the watch has been told.
func (w *Watch) knows(e *holdfast.Event) known {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || e.Seq <= w.cursor {
		return wholly
	}
	at := w.find(e.Seat.Pool, 0)
	if at < 0 || w.told[at].Seq < e.Seq {
		return nothing
	}
	switch e.Seat.Kind {
	case seat.LineJoined, seat.LotteryEntered:
		if e.Seat.Swap == "" {
			return wholly
		}
	default:
		if e.Seat.Swap != "" { // the other pool's standing changed too
			return nothing
		}
	}
	for i := range w.told {
		if i != at && w.told[i].Status == seat.Waiting {
			return mostly
		}
	}
	return wholly
}

// concerned: the person waits, or is offered a seat, where something moved. Needs Hub.mu.
func (w *Watch) concerned() bool {
	s := &w.realm.round
	if len(s.pools) == 0 && !s.all {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.told {
		if st := &w.told[i]; !settled(st) && s.has(st.Pool) {
			return true
		}
	}
	return false
}

// find gives the place of a pool in w.told, looking first where it is likely; -1: it is not there. Needs w.mu.
func (w *Watch) find(pool string, likely int) int {
	if likely < len(w.told) && w.told[likely].Pool == pool {
		return likely
	}
	for i := range w.told {
		if w.told[i].Pool == pool {
			return i
		}
	}
	return -1
}

// settled standings change by an event of their own only, so that a cursor says whether they are known.
func settled(st *seat.Standing) bool { return st.Status == seat.Seated || st.Status == seat.Released }

// look is what the teller has in mind about one watch.
type look struct {
	watch     *Watch
	wish      wish
	positions bool   // changed positions may be told
	since     uint64 // rows are those of seat.State.Since
	from, to  int    // the rows, in the teller's
	asOf      uint64
}

// beginLocked takes the watch's wish. Needs Hub.mu; what is marked from now on is looked at again.
func (w *Watch) beginLocked(positions bool) (look, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := look{watch: w, wish: w.wish, positions: positions, since: w.cursor}
	if w.wish == totality {
		l.since = 0
	}
	w.wish = changes
	return l, !w.closed
}

// verdict is what becomes of one row.
type verdict uint8

const (
	keep    verdict = iota // known
	answer                 // known from an answer; a push that passes it has it too
	later                  // only the position changed, and it is not the time
	overdue                // an answer is ahead of what was read
	tell
)

func (w *Watch) judge(l *look, row *seat.Standing, at int) verdict {
	if at >= 0 && w.told[at].Seq > row.Seq {
		return overdue
	}
	if l.wish != changes {
		return tell
	}
	if at < 0 {
		if settled(row) && row.Seq <= w.cursor { // told since this look began, by another
			return keep
		}
		return tell
	}
	was := w.told[at]
	same := was == *row
	if !same {
		was.Position = row.Position
		if l.positions || was != *row {
			return tell
		}
	}
	switch {
	case row.Seq > w.cursor:
		return answer
	case same:
		return keep
	}
	return later
}

// news makes the push out of the rows that were read and are confirmed by now; nil: there is nothing to tell. lazy: a
// position is left to be told.
func (w *Watch) news(t *teller, l *look, rows []seat.Standing) (message []byte, lazy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, false
	}
	speak := l.wish != changes
	t.verdicts = t.verdicts[:0]
	for i := range rows {
		at := w.find(rows[i].Pool, i)
		v := w.judge(l, &rows[i], at)
		if v == tell {
			speak = true
		}
		if v == later || v == answer && w.told[at] != rows[i] {
			lazy = true
		}
		t.verdicts = append(t.verdicts, v)
	}
	if !speak {
		return nil, lazy
	}
	lazy = false
	t.news, t.known = t.news[:0], t.known[:0]
	for i := range rows {
		row := &rows[i]
		switch t.verdicts[i] {
		case tell, answer:
			t.news = append(t.news, *row)
		case later:
			lazy = true
			row = &w.told[w.find(row.Pool, i)]
		case overdue:
			if l.wish == totality { // what is not in it is gone
				t.news = append(t.news, *row)
			}
			continue
		}
		if !settled(row) {
			t.known = append(t.known, *row)
		}
	}
	for i := range w.told {
		if st := &w.told[i]; st.Seq > l.asOf { // an answer after what was read
			t.known = append(t.known, *st)
		}
	}
	w.told = append(w.told[:0], t.known...)
	if cap(w.told) > 2*len(w.told)+4 {
		w.told = slices.Clone(w.told)
	}
	w.cursor = l.asOf
	t.buf = wire.AppendClaims(t.buf[:0], w.person, l.asOf, l.wish == totality, t.news)
	return t.buf, lazy
}
