package mirror

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"holdfast/engine"
	"holdfast/seat"
)

// sqliteTx is the open transaction of a sqliteStore.
type sqliteTx struct {
	*sqliteStore
	done bool
}

func (s *sqliteStore) begin(ctx context.Context) (tx, error) {
	if err := s.script(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	return &sqliteTx{sqliteStore: s}, nil
}

func (t *sqliteTx) commit(ctx context.Context) error {
	err := t.script(ctx, "COMMIT")
	t.done = err == nil
	return err
}

func (t *sqliteTx) rollback() {
	if !t.done {
		t.done = true
		t.script(context.Background(), "ROLLBACK") // on an error the caller closes the connection, which rolls back too
	}
}

func (t *sqliteTx) moveCursor(ctx context.Context, from, to engine.Position) error {
	n, err := t.exec(ctx, `UPDATE progress SET epoch = ?, seq = ?, hash = ?, at = ?
		WHERE shard = 'main' AND log_id = ? AND epoch = ? AND seq = ? AND hash = ?`,
		int64(to.Epoch), int64(to.Seq), hexHash(to), now(), hexID(from), int64(from.Epoch), int64(from.Seq), hexHash(from))
	if err == nil && n != 1 {
		return errMoved
	}
	return err
}

func (t *sqliteTx) setCursor(ctx context.Context, to engine.Position) error {
	n, err := t.exec(ctx, `INSERT INTO progress (shard, log_id, epoch, seq, hash, at) VALUES ('main', ?, ?, ?, ?, ?)
		ON CONFLICT (shard) DO NOTHING`, hexID(to), int64(to.Epoch), int64(to.Seq), hexHash(to), now())
	if err == nil && n != 1 {
		return errMoved
	}
	return err
}

// bulk inserts n rows, many to a statement. bind binds one row.
func (t *sqliteTx) bulk(ctx context.Context, head string, columns, n int, bind func(i int), name func(i int) string) error {
	for i := 0; i < n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		size := 1
		for _, s := range [...]int{128, 16} {
			if n-i >= s {
				size = s
				break
			}
		}
		if err := t.bulkOne(head, columns, i, size, bind); err != nil {
			return t.nameRow(err, head, columns, i, size, bind, name)
		}
		i += size
	}
	return nil
}

func (t *sqliteTx) bulkOne(head string, columns, from, size int, bind func(int)) error {
	key := head + string(rune('0'+size))
	stmt := t.stmts[key]
	if stmt == nil {
		tuple := "(" + strings.Repeat("?,", columns-1) + "?)"
		made, err := t.conn.Prepare(head + strings.Repeat(tuple+",", size-1) + tuple)
		if err != nil {
			return t.sqliteStore.name(err)
		}
		t.stmts[key], stmt = made, made
	}
	t.args = t.args[:0]
	for i := from; i < from+size; i++ {
		bind(i)
	}
	_, err := t.run(stmt)
	return err
}

// nameRow finds which row of a statement violates something: SQLite does not say.
func (t *sqliteTx) nameRow(err error, head string, columns, from, size int, bind func(int), name func(int) string) error {
	if v := new(violation); !errors.As(err, &v) {
		return err
	}
	for i := from; i < from+size; i++ {
		if single := t.bulkOne(head, columns, i, 1, bind); single != nil {
			return violated("%s: %v", name(i), single)
		}
	}
	return err
}

func (t *sqliteTx) insertEvents(ctx context.Context, rows []eventRow) error {
	return t.bulk(ctx, "INSERT INTO events (seq, at, realm, kind, body) VALUES ", 5, len(rows), func(i int) {
		e := &rows[i]
		t.bind(int64(e.seq))
		t.bind(text(e.at))
		t.bind(e.realm)
		t.bind(e.kind)
		t.bind(e.body)
	}, func(i int) string { return eventName(rows[i].seq) })
}

// text is a time for SQLite; nil for none.
func text(at seat.Time) any {
	if at == 0 {
		return nil
	}
	return stampText(at)
}

func orNull[T uint32 | string](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	if n, ok := any(v).(uint32); ok {
		return int64(n)
	}
	return v
}

func optional(n *uint32) any {
	if n == nil {
		return nil
	}
	return int64(*n)
}

func (t *sqliteTx) start(ctx context.Context, until seat.Time) error {
	_, err := t.exec(ctx, `UPDATE claims SET deadline = min(max(deadline, ?),
			coalesce(p.promote_until, p.closes_at, '9999-12-31T23:59:59.999999Z'))
		FROM pools p WHERE p.realm = claims.realm AND p.pool = claims.pool AND claims.deadline IS NOT NULL`, text(until))
	return err
}

func (t *sqliteTx) putRealms(ctx context.Context, rows map[string]realmRow) error {
	for name, r := range rows {
		_, err := t.exec(ctx, `INSERT INTO realms (realm, max_seats_per_person, max_waits_per_person, seq, at)
			VALUES (?, ?, ?, ?, ?) ON CONFLICT (realm) DO UPDATE SET max_seats_per_person = excluded.max_seats_per_person,
				max_waits_per_person = excluded.max_waits_per_person, seq = excluded.seq, at = excluded.at`,
			name, optional(r.limits.MaxSeats), int64(r.limits.MaxWaits), int64(r.seq), text(r.at))
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *sqliteTx) putPools(ctx context.Context, rows []poolRow) error {
	for i := range rows {
		p := &rows[i]
		if p.config != nil {
			if err := t.putPool(ctx, p); err != nil {
				return err
			}
		}
		if p.seed == "" {
			continue
		}
		n, err := t.exec(ctx, "UPDATE pools SET seed = ? WHERE realm = ? AND pool = ?", p.seed, p.realm, p.pool)
		if err == nil && n != 1 {
			err = violated("%s should have been there and was not; %s", poolName(p.poolKey), nextCommand)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *sqliteTx) putPool(ctx context.Context, p *poolRow) error {
	c := p.config
	_, err := t.exec(ctx, `INSERT INTO pools (realm, pool, capacity, waitlist, opens_at, closes_at, promote_until,
				promotion, answer_seconds, pool_group, pool_order, seed_hash, data, seq, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (realm, pool) DO UPDATE SET capacity = excluded.capacity, waitlist = excluded.waitlist,
				opens_at = excluded.opens_at, closes_at = excluded.closes_at, promote_until = excluded.promote_until,
				promotion = excluded.promotion, answer_seconds = excluded.answer_seconds,
				pool_group = excluded.pool_group, pool_order = excluded.pool_order, seed_hash = excluded.seed_hash,
				seed = CASE WHEN pools.seed_hash = excluded.seed_hash THEN pools.seed END,
				data = excluded.data, seq = excluded.seq, at = excluded.at`,
		p.realm, p.pool, int64(c.Capacity), optional(c.Waitlist), text(c.OpensAt), text(c.ClosesAt), text(c.PromoteUntil),
		c.Promotion.String(), orNull(answerSeconds(c)), orNull(c.Group), c.Order.String(), orNull(seedHash(c)),
		orNull(storable(c.Data)), int64(p.seq), text(p.at))
	if err != nil || p.cap == 0 {
		return err
	}
	_, err = t.exec(ctx, "UPDATE claims SET deadline = ? WHERE realm = ? AND pool = ? AND deadline > ?",
		text(p.cap), p.realm, p.pool, text(p.cap))
	return err
}

func (t *sqliteTx) unswap(ctx context.Context, rows []unswapRow) error {
	for i := range rows {
		u := &rows[i]
		n, err := t.exec(ctx, "UPDATE claims SET swap = NULL WHERE realm = ? AND pool = ? AND person = ? AND swap = ?",
			u.realm, u.pool, u.person, u.was)
		if err != nil {
			return err
		}
		if n != 1 {
			return violated("%s should have had swap %q and did not; %s", claimName(u.claimKey), u.was, nextCommand)
		}
	}
	return nil
}

func (t *sqliteTx) putClaims(ctx context.Context, rows []claimRow) error {
	// First every seat that changes hands is let go of: exchanged seats would violate their uniqueness.
	for i := range rows {
		c := &rows[i]
		if !holds(c.was) {
			continue
		}
		gone := claimRow{claimKey: c.claimKey, was: c.was, status: seat.Released, cause: c.cause, seq: c.seq, at: c.at}
		if err := t.updateClaim(ctx, &gone, c.was); err != nil {
			return err
		}
	}
	if err := t.hook.at("vacated"); err != nil {
		return err
	}
	var fresh []*claimRow
	for i := range rows {
		c := &rows[i]
		var err error
		switch {
		case c.was == seat.None:
			fresh = append(fresh, c)
		case holds(c.was) && c.status == seat.Released:
		case holds(c.was):
			err = t.updateClaim(ctx, c, seat.Released)
		default:
			err = t.updateClaim(ctx, c, c.was)
		}
		if err != nil {
			return err
		}
	}
	// In the order of the key, neighbours in the tree are written one after the other.
	slices.SortFunc(fresh, func(a, b *claimRow) int {
		return cmp.Or(cmp.Compare(a.realm, b.realm), cmp.Compare(a.pool, b.pool), cmp.Compare(a.person, b.person))
	})
	return t.bulk(ctx, `INSERT INTO claims (realm, pool, person, status, seat, ticket, deadline, swap, cause, seq, at) VALUES `,
		11, len(fresh), func(i int) {
			c := fresh[i]
			t.bind(c.realm)
			t.bind(c.pool)
			t.bind(c.person)
			t.bindState(c)
		}, func(i int) string { return claimName(fresh[i].claimKey) })
}

func (t *sqliteTx) bindState(c *claimRow) {
	t.bind(c.status.String())
	t.bind(orNull(c.seat))
	t.bind(orNull(c.ticket))
	t.bind(text(c.deadline))
	t.bind(orNull(c.swap))
	t.bind(orNull(causeName(c.cause)))
	t.bind(int64(c.seq))
	t.bind(text(c.at))
}

// updateClaim changes one row, which must have the given status.
func (t *sqliteTx) updateClaim(ctx context.Context, c *claimRow, was seat.Status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := t.prepare(`UPDATE claims SET status = ?, seat = ?, ticket = ?, deadline = ?, swap = ?, cause = ?, seq = ?, at = ?
		WHERE realm = ? AND pool = ? AND person = ? AND status = ?`)
	if err != nil {
		return err
	}
	t.args = t.args[:0]
	t.bindState(c)
	t.bind(c.realm)
	t.bind(c.pool)
	t.bind(c.person)
	t.bind(was.String())
	n, err := t.run(stmt)
	if v := new(violation); errors.As(err, &v) {
		return violated("%s: %v", claimName(c.claimKey), err)
	}
	if err == nil && n != 1 {
		return violated("%s should have been %s and was not; %s", claimName(c.claimKey), was, nextCommand)
	}
	return err
}

func (t *sqliteTx) countPools(ctx context.Context, rows []poolRow) error {
	for i := range rows {
		p := &rows[i]
		if !p.counts() {
			continue
		}
		n, err := t.exec(ctx, `UPDATE pools SET seated = seated + ?, offered = offered + ?, waiting = waiting + ?, entered = entered + ?
			WHERE realm = ? AND pool = ?`, p.seated, p.offered, p.waiting, p.entered, p.realm, p.pool)
		if v := new(violation); errors.As(err, &v) {
			return violated("%s: %v", poolName(p.poolKey), err)
		}
		if err != nil {
			return err
		}
		if n != 1 {
			return violated("%s should have been there and was not; %s", poolName(p.poolKey), nextCommand)
		}
	}
	return nil
}

func (t *sqliteTx) causes(ctx context.Context) error {
	_, err := t.exec(ctx, "UPDATE claims SET cause = (SELECT json_extract(body, '$.cause') FROM events e WHERE e.seq = claims.seq)")
	return err
}

func (t *sqliteTx) forgetSchema(ctx context.Context) error {
	_, err := t.exec(ctx, "DELETE FROM schema_version")
	return err
}
