package mirror

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"holdfast/desk"
	"holdfast/seat"
)

// deskEvent is an event of a desk, as a batch keeps it until it is written.
type deskEvent struct {
	seq   uint64
	at    seat.Time
	realm string
	*desk.Event
}

func (e *deskEvent) agentKey() agentKey { return agentKey{e.realm, e.Desk, e.Agent} }

// deskFold leads the rows of desks over a segment's events: it reads those rows that the events change, changes them as the
// events say, and writes each once. An event says what is, and with it what was: a row that is not as the events before
// left it halts the mirror. A fold is made for one segment.
type deskFold struct {
	desks    rowSet[deskKey, deskRow, *deskRow]
	agents   rowSet[agentKey, agentRow, *agentRow]
	requests rowSet[uint64, requestRow, *requestRow]
	offers   rowSet[uint64, offerRow, *offerRow]
	sessions rowSet[uint64, sessionRow, *sessionRow]
}

func newDeskFold() *deskFold {
	return &deskFold{
		newRowSet(deskLayout(), func(r *deskRow) deskKey { return r.deskKey }),
		newRowSet(agentLayout(), func(r *agentRow) agentKey { return r.agentKey }),
		newRowSet(requestLayout(), func(r *requestRow) uint64 { return r.id }),
		newRowSet(offerLayout(), func(r *offerRow) uint64 { return r.id }),
		newRowSet(sessionLayout(), func(r *sessionRow) uint64 { return r.id }),
	}
}

// tables are the fold's, in the order in which they are read and written.
func (f *deskFold) tables() []deskTable {
	return []deskTable{&f.desks, &f.agents, &f.requests, &f.offers, &f.sessions}
}

// foldDesks brings the tables of desks over a segment's events.
func foldDesks(ctx context.Context, t tx, s *segment, h hook) error {
	if !s.started && len(s.desks) == 0 {
		return nil
	}
	f := newDeskFold()
	if s.started {
		if err := f.start(ctx, t, s.at); err != nil {
			return err
		}
	}
	for i := range s.desks {
		f.want(&s.desks[i])
	}
	for _, table := range f.tables() {
		if err := table.read(ctx, t); err != nil {
			return err
		}
	}
	for i := range s.desks {
		if err := f.event(&s.desks[i]); err != nil {
			return err
		}
	}
	return f.write(ctx, t, h)
}

func (f *deskFold) write(ctx context.Context, t tx, h hook) error {
	for _, table := range f.tables() {
		written, err := table.write(ctx, t)
		if err != nil {
			return err
		}
		if written == "" {
			continue
		}
		if err := h.at(written); err != nil {
			return err
		}
	}
	return nil
}

// start: every connection is gone; who has an offer, and whoever waits, has at least their desk's restart grace.
func (f *deskFold) start(ctx context.Context, t tx, at seat.Time) error {
	if _, err := t.exec(ctx, "UPDATE "+t.table("agents")+" SET connections = 0 WHERE connections > 0"); err != nil {
		return err
	}
	err := withConfig(ctx, t, f.offers.layout, "t.ended_at IS NULL", func(scan func(...any) error, c *deskTimes) error {
		row := new(offerRow)
		if err := row.scan(scan); err != nil {
			return err
		}
		if end := at.Add(time.Duration(c.Grace) * time.Millisecond); row.moments.deadline < end {
			row.moments.deadline, row.dirty = end, true
			f.offers.add(row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return withConfig(ctx, t, f.requests.layout, "t.state IN ('queued', 'offering')", func(scan func(...any) error, c *deskTimes) error {
		row := new(requestRow)
		if err := row.scan(scan); err != nil {
			return err
		}
		if end := at.Add(time.Duration(c.Grace) * time.Millisecond); row.moments.expires < end {
			row.moments.expires, row.dirty = end, true
			f.requests.add(row)
		}
		return nil
	})
}

// deskTimes are what the mirror has to know of a desk's configuration, in milliseconds.
type deskTimes struct {
	Grace   int64 `json:"restart_grace_ms"`
	MaxWait int64 `json:"max_wait_ms"`
}

func timesOf(d *deskRow) (c deskTimes, err error) {
	if err := json.Unmarshal([]byte(d.config), &c); err != nil {
		return c, violated("%s: its config is malformed; %s", d.name(), nextCommand)
	}
	return c, nil
}

// withConfig gives rows, each with what its desk is configured with.
func withConfig(ctx context.Context, t tx, l *layout, where string, each func(scan func(...any) error, c *deskTimes) error) error {
	sql := "SELECT " + l.selected(t) + ", d.realm, d.desk, cast(d.config AS text) FROM " + t.table(l.table) + " t JOIN " +
		t.table("desks") + " d ON d.realm = t.realm AND d.desk = t.desk WHERE " + where
	return t.query(ctx, sql, nil, func(scan func(...any) error) error {
		var d deskRow
		var c deskTimes
		return each(func(dest ...any) error {
			if err := scan(append(dest, &d.realm, &d.desk, &d.config)...); err != nil {
				return err
			}
			var err error
			c, err = timesOf(&d)
			return err
		}, &c)
	})
}

// want asks for the rows that an event is about, unless it makes them.
func (f *deskFold) want(e *deskEvent) {
	switch e.Kind {
	case desk.DeskPut:
		f.desks.want(deskKey{e.realm, e.Desk})
		return
	case desk.AgentReady, desk.AgentHeard, desk.ClientConnected, desk.ClientDisconnected:
		return // they change nothing that is in a table
	case desk.RequestMade:
		f.requests.making(e.seq)
	case desk.OfferMade:
		f.offers.making(e.seq)
	case desk.OfferAccepted:
		f.sessions.making(e.seq)
	case desk.SessionFinished:
		f.desks.want(deskKey{e.realm, e.Desk})
	}
	if e.Agent != "" {
		f.agents.want(e.agentKey())
	}
	if e.Request != 0 {
		f.requests.want(e.Request)
	}
	if e.Offer != 0 {
		f.offers.want(e.Offer)
	}
	if e.Session != 0 {
		f.sessions.want(e.Session)
	}
}

// deskTable is a rowSet of whatever rows.
type deskTable interface {
	read(ctx context.Context, t tx) error
	// write gives the table's name, or "" when there was nothing to write.
	write(ctx context.Context, t tx) (table string, err error)
}

// rowSet is the rows of one table that a fold has to do with.
type rowSet[K comparable, R any, P rowOf[R]] struct {
	layout *layout
	key    func(P) K
	at     map[K]P // nil: not there yet
	wanted rowKeys
	list   []deskRecord // all that are there
}

// rowOf is a pointer to a row.
type rowOf[R any] interface {
	*R
	deskRecord
}

func newRowSet[K comparable, R any, P rowOf[R]](l *layout, key func(P) K) rowSet[K, R, P] {
	return rowSet[K, R, P]{layout: l, key: key, at: map[K]P{}}
}

// want asks for a row.
func (s *rowSet[K, R, P]) want(key K) {
	if _, ok := s.at[key]; !ok {
		s.at[key] = nil
		s.wanted.add(key)
	}
}

// making says that an event will make the row: the table does not have it.
func (s *rowSet[K, R, P]) making(key K) { s.at[key] = nil }

func (s *rowSet[K, R, P]) add(row P) P {
	s.at[s.key(row)] = row
	s.list = append(s.list, row)
	return row
}

// get gives a row that must be there.
func (s *rowSet[K, R, P]) get(key K, name func(K) string) (P, error) {
	if row := s.at[key]; row != nil {
		return row, nil
	}
	return nil, violated("%s should have been there and was not; %s", name(key), nextCommand)
}

func (s *rowSet[K, R, P]) read(ctx context.Context, t tx) error {
	if s.wanted.len() == 0 {
		return nil
	}
	return t.find(ctx, s.layout, &s.wanted, func(scan func(...any) error) error {
		row := P(new(R))
		if err := row.scan(scan); err != nil {
			return err
		}
		s.add(row)
		return nil
	})
}

// write writes every row once. Those that were there go first: they only let go of what is one's alone (a client's live
// request, an agent's pending offer), and a new row may take it.
func (s *rowSet[K, R, P]) write(ctx context.Context, t tx) (string, error) {
	var old, fresh []deskRecord
	for _, r := range s.list {
		switch {
		case !r.changed():
		case r.was():
			old = append(old, r)
		default:
			fresh = append(fresh, r)
		}
	}
	if len(old)+len(fresh) == 0 {
		return "", nil
	}
	for part := range slices.Chunk(old, refillRows) {
		if err := t.update(ctx, s.layout, part); err != nil {
			return "", err
		}
	}
	for part := range slices.Chunk(fresh, refillRows) {
		if err := t.insert(ctx, s.layout, part); err != nil {
			return "", err
		}
	}
	return s.layout.table, nil
}
