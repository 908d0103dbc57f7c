package mirror

import (
	"context"
	"fmt"
	"math"

	"holdfast"
	"holdfast/seat"
)

// page is how many rows of the State are asked for at a time.
const page = 1000

func (c *checker) eachRealm(each func(claimKey)) {
	for _, r := range c.state.Realms() {
		each(claimKey{realm: r.Name})
	}
}

func (c *checker) countPools() (n uint64) {
	for _, r := range c.state.Realms() {
		n += uint64(r.Seats.PoolCount())
	}
	return n
}

func (c *checker) eachPool(each func(claimKey)) {
	for _, r := range c.state.Realms() {
		eachPoolOf(r, func(p *seat.PoolView) { each(claimKey{realm: r.Name, pool: p.Name}) })
	}
}

func eachPoolOf(r *holdfast.Realm, each func(*seat.PoolView)) {
	for after := ""; ; {
		views := r.Seats.Pools(after, page)
		if len(views) == 0 {
			return
		}
		for i := range views {
			each(&views[i])
		}
		after = views[len(views)-1].Name
	}
}

func everyStatus(seat.Status) bool { return true }

func eachRowOf(r *holdfast.Realm, pool string, each func(*seat.Row)) {
	for cursor := uint32(0); ; {
		rows, next := r.Seats.Roster(pool, cursor, everyStatus, page)
		for i := range rows {
			each(&rows[i])
		}
		if next == 0 {
			return
		}
		cursor = next
	}
}

// eachClaim goes through the claims of one pool, or of all when realm is empty.
func (c *checker) eachClaim(realm, pool string, each func(claimKey)) {
	for _, r := range c.state.Realms() {
		if realm != "" && r.Name != realm {
			continue
		}
		eachPoolOf(r, func(p *seat.PoolView) {
			if pool != "" && p.Name != pool {
				return
			}
			eachRowOf(r, p.Name, func(row *seat.Row) { each(claimKey{r.Name, p.Name, row.Person}) })
		})
	}
}

// missingClaims goes pool by pool, so that it holds the people of one pool only.
func (c *checker) missingClaims(ctx context.Context) error {
	var pools []claimKey
	c.eachPool(func(k claimKey) { pools = append(pools, k) })
	for _, p := range pools {
		where := []any{p.realm, p.pool}
		err := c.missing(ctx, "claims", "realm, pool, person", where,
			func(each func(claimKey)) { c.eachClaim(p.realm, p.pool, each) }, claimName)
		if err != nil {
			return err
		}
	}
	return nil
}

// missing names the rows that should be in a table and are not. pool, if there is one, narrows it to (realm, pool).
func (c *checker) missing(ctx context.Context, table, columns string, pool []any, should func(func(claimKey)), name func(claimKey) string) error {
	sql := "SELECT " + columns + " FROM " + c.store.table(table)
	if len(pool) > 0 {
		sql += " WHERE realm = $1 AND pool = $2"
	}
	there := map[claimKey]bool{}
	err := c.store.query(ctx, sql, pool, func(scan func(...any) error) error {
		var k claimKey
		err := scan([]any{&k.realm, &k.pool, &k.person}[:commas(columns)+1]...)
		there[k] = true
		return err
	})
	if err != nil {
		return err
	}
	should(func(k claimKey) {
		if !there[k] {
			c.differ("%s: is missing", name(k))
		}
	})
	return nil
}

func commas(s string) (n int) {
	for _, r := range s {
		if r == ',' {
			n++
		}
	}
	return n
}

// events walks the table beside the log. The log is asked for one piece after the other, each as long as what the table
// has of it is being read.
func (c *checker) events(ctx context.Context) error {
	first := max(c.truth.First, 1)
	if c.truth.First == 0 || first > c.Cursor.Seq {
		first = c.Cursor.Seq + 1
	}
	if err := c.surplus(ctx); err != nil {
		return err
	}
	table := newRows(ctx, c.store, "SELECT seq, "+c.store.stamp("at")+", realm, kind, cast(body AS text) FROM "+
		c.store.table("events")+" WHERE seq >= $1 AND seq <= $2 ORDER BY seq", first, c.Cursor.Seq)
	defer table.stop()
	var body []byte
	err := c.truth.Events(ctx, first, c.Cursor.Seq, func(e *holdfast.Event) error {
		row, ok, err := table.at(e.Seq)
		if err != nil {
			return err
		}
		if !ok {
			c.differ("%s: is missing", eventName(e.Seq))
			return nil
		}
		c.Events++
		body = append(e.AppendBodyJSON(append(body[:0], '{')), '}')
		if row.at != stampText(e.At) || row.realm != e.Realm || row.kind != e.KindName() || row.body != storable(string(body)) {
			c.differ("%s: is %s %s %s %s, should be %s %s %s %s", eventName(e.Seq), row.at, row.realm, row.kind, row.body,
				stampText(e.At), e.Realm, e.KindName(), body)
		}
		return nil
	})
	return err
}

// surplus names events that lie beyond the cursor.
func (c *checker) surplus(ctx context.Context) error {
	sql := "SELECT seq FROM " + c.store.table("events") + " WHERE seq > $1 OR seq < 1 ORDER BY seq"
	return c.store.query(ctx, sql, []any{int64(c.Cursor.Seq)}, func(scan func(...any) error) error {
		var seq int64
		if err := scan(&seq); err != nil {
			return err
		}
		c.differ("%s: lies beyond the cursor", eventName(uint64(seq)))
		return nil
	})
}

// tableEvent is a row of events, as text.
type tableEvent struct {
	seq                   int64
	at, realm, kind, body string
}

// tableRows turns a query, which calls, into a reader, which is called, a page at a time.
type tableRows struct {
	ctx      context.Context
	store    store
	sql      string
	from, to int64
	rows     []tableEvent
}

func newRows(ctx context.Context, s store, sql string, from, to uint64) *tableRows {
	return &tableRows{ctx: ctx, store: s, sql: sql, from: int64(from), to: int64(min(to, math.MaxInt64))}
}

func (t *tableRows) stop() { t.rows = nil }

// at gives the row of a sequence; the sequences that it is asked for rise.
func (t *tableRows) at(seq uint64) (row tableEvent, ok bool, err error) {
	for len(t.rows) > 0 && t.rows[0].seq < int64(seq) {
		t.rows = t.rows[1:]
	}
	if len(t.rows) == 0 && int64(seq) >= t.from {
		if err := t.load(int64(seq)); err != nil {
			return row, false, err
		}
	}
	if len(t.rows) == 0 || t.rows[0].seq != int64(seq) {
		return row, false, nil
	}
	return t.rows[0], true, nil
}

func (t *tableRows) load(from int64) error {
	const most = 5000
	t.rows = make([]tableEvent, 0, most)
	t.from = math.MaxInt64 // after this, unless there may be more
	err := t.store.query(t.ctx, fmt.Sprintf("%s LIMIT %d", t.sql, most), []any{from, t.to}, func(scan func(...any) error) error {
		var r tableEvent
		err := scan(&r.seq, &r.at, &r.realm, &r.kind, &r.body)
		t.rows = append(t.rows, r)
		return err
	})
	if len(t.rows) == most {
		t.from = t.rows[most-1].seq + 1
	}
	return err
}
