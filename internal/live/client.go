package live

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"holdfast/desk"
	"holdfast/internal/wire"
)

// MostRequests is the most requests of one client that are told at once. Of whom more have ended behind the cursor only those
// are told that live, and of those no more either.
const MostRequests = 1_000

// ClientWatch tells one connection of a client what becomes of the client's requests. Its methods may be called by several
// goroutines. It must be closed.
type ClientWatch struct {
	hub    *Hub
	realm  *realm
	client string
	only   string // the one desk it may see; empty: all
	conn   uint64
	to     Party

	clientLinks // guarded by Hub.mu

	mu     sync.Mutex // guards what follows
	said   clientSaid
	closed bool
}

// clientLinks is a watch's place in the index.
type clientLinks struct {
	place      int // in realm.clients
	queued     bool
	slow       bool         // positions are to be told too
	superseded bool         // another connection has taken its place
	join       bool         // a request was made that does not have it
	waits      []*deskEntry // where it is one of those who wait
}

// clientSaid is what a connection has been told.
type clientSaid struct {
	cursor uint64 // as_of of the last push, or what the client came with
	since  uint64 // what ended up to here was told on this connection, or is known to the client
	rows   []requestSaid
	waits  bool // they wait somewhere
}

// requestSaid is what was pushed or answered of one request.
type requestSaid struct {
	id, seq  uint64
	position uint32
}

// WatchClient tells to each live request of a client and each that ended behind the cursor, and then whatever changes. A
// cursor of another log, or one that this log has not reached, is told all that is there; the zero Cursor only what lives.
// only is the one desk that may be told of, empty = all of them.
func (h *Hub) WatchClient(realm, client, only string, conn uint64, since Cursor, to Party) *ClientWatch {
	w := &ClientWatch{hub: h, client: client, only: only, conn: conn, to: to}
	switch {
	case since.Log == "":
		w.said.since = math.MaxInt64
	case since.Log == h.log && since.Seq <= h.engine.Durable().Seq:
		w.said = clientSaid{cursor: since.Seq, since: since.Seq}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		w.closed = true
		return w
	}
	w.realm = h.realmLocked(realm)
	if w.realm.clients == nil {
		w.realm.clients = map[string][]*ClientWatch{}
	}
	w.place = len(w.realm.clients[client])
	w.realm.clients[client] = append(w.realm.clients[client], w)
	h.desks.parties++
	h.clientDueLocked(w)
	h.signal()
	return w
}

// Close ends the watch. What is on its way may still come, once.
func (w *ClientWatch) Close() { w.close() }

// close is Close; false: it was closed before.
func (w *ClientWatch) close() bool {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.closed, w.said.rows = true, nil
	list := w.realm.clients[w.client]
	last := len(list) - 1
	list[w.place] = list[last]
	list[w.place].place = w.place
	list[last] = nil
	if w.realm.clients[w.client] = list[:last]; last == 0 {
		delete(w.realm.clients, w.client)
	}
	w.hub.desks.parties--
	for _, d := range w.waits {
		delete(d.waiting, w)
		w.realm.leaveDeskLocked(d)
	}
	w.waits = nil
	w.hub.leaveLocked(w.realm)
	return true
}

// waitLocked says at which desks the client is known to wait. Needs Hub.mu.
func (w *ClientWatch) waitLocked(names []string) {
	if w.closed {
		return
	}
	at := make([]*deskEntry, 0, len(names))
	for _, name := range names {
		at = append(at, w.realm.deskLocked(name))
	}
	for _, d := range w.waits {
		if !slices.Contains(at, d) {
			delete(d.waiting, w)
			w.realm.leaveDeskLocked(d)
		}
	}
	for _, d := range at {
		if slices.Contains(w.waits, d) {
			continue
		}
		if d.waiting == nil {
			d.waiting = map[*ClientWatch]struct{}{}
		}
		d.waiting[w] = struct{}{}
		if !d.moved { // it may have moved since it was read
			d.moved = true
			w.hub.desks.moved = append(w.hub.desks.moved, d)
		}
	}
	w.waits = at
}

// Told says that an answer on the same connection tells this request, so that no push comes because of it. Call it when it is
// decided, confirmed or not.
func (w *ClientWatch) Told(v *desk.RequestView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	is := requestSaid{v.ID, v.Seq, v.Position}
	if at := w.find(v.ID); at >= 0 {
		if w.said.rows[at].seq < v.Seq {
			w.said.rows[at] = is
		}
	} else if len(w.said.rows) < mostAhead {
		w.said.rows = append(w.said.rows, is)
	}
}

func (w *ClientWatch) find(id uint64) int {
	return slices.IndexFunc(w.said.rows, func(r requestSaid) bool { return r.id == id })
}

// clientLook is what the teller has read for one connection.
type clientLook struct {
	watch      *ClientWatch
	slow       bool
	superseded bool
	join       bool
	head       uint64 // the last event when it was read
	rows       []desk.RequestView
	waits      []string // the desks where the client waits
}

// read reads the requests. It runs under the shard's lock.
func (l *clientLook) read(s *desk.State, head uint64) (newest uint64) {
	w := l.watch
	w.mu.Lock()
	since := w.said.since
	w.mu.Unlock()
	if l.rows = s.OfClient(w.client, since, MostRequests); len(l.rows) == MostRequests && since != math.MaxInt64 {
		l.rows = s.OfClient(w.client, math.MaxInt64, MostRequests)
	}
	for i := range l.rows {
		if newest = max(newest, l.rows[i].Seq); l.rows[i].Position != 0 {
			newest = head // others moved it
		}
	}
	return newest
}

// news appends what the client is to be told: n messages. stir: where they wait is to be noted.
func (w *ClientWatch) news(b []byte, l *clientLook, asOf uint64) (lines []byte, n int, stir bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return b, 0, false
	}
	rows, news := l.rows, []*desk.RequestView(nil)
	known := make([]requestSaid, 0, len(rows))
	for i := range rows {
		row := &rows[i]
		if w.only != "" && row.Desk != w.only {
			continue
		}
		is := requestSaid{row.ID, row.Seq, row.Position}
		was := requestSaid{}
		if at := w.find(row.ID); at >= 0 {
			was = w.said.rows[at]
		}
		switch {
		case was.seq > row.Seq: // an answer is ahead of what was read
			is = was
		case was.seq == row.Seq && (was.position == row.Position || !l.slow):
			is = was
		default:
			news = append(news, row)
		}
		if row.State.Live() || is.seq > asOf {
			known = append(known, is)
		}
		if row.State == desk.Queued {
			l.waits = append(l.waits, row.Desk)
		}
	}
	for _, was := range w.said.rows { // answers after what was read
		if was.seq > asOf && !slices.ContainsFunc(known, func(is requestSaid) bool { return is.id == was.id }) {
			known = append(known, was)
		}
	}
	w.said.rows, w.said.since = known, asOf
	// The one told last has the new cursor: one before it, only up to its own event.
	slices.SortStableFunc(news, func(a, b *desk.RequestView) int { return cmp.Compare(a.Seq, b.Seq) })
	for i, row := range news {
		if w.said.cursor = max(w.said.cursor, row.Seq); i == len(news)-1 {
			w.said.cursor = asOf
		}
		b = wire.AppendPush(line(b), Request, w.said.cursor, func(b []byte) []byte { return wire.AppendRequestRow(b, row, true) })
	}
	stir = w.said.waits || len(l.waits) > 0
	w.said.waits = len(l.waits) > 0
	return b, len(news), stir
}
