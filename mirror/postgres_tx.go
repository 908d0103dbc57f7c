package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"holdfast/engine"
	"holdfast/seat"
)

// postgresTx is the open transaction of a postgresStore. READ COMMITTED is enough: whoever moves the cursor holds its row
// until the end, and a second mirror that waited for it finds the cursor moved.
type postgresTx struct {
	*postgresStore
	tx pgx.Tx
}

func (s *postgresStore) begin(ctx context.Context) (tx, error) {
	t, err := s.conn.Begin(ctx)
	if err != nil {
		return nil, s.name(err)
	}
	return &postgresTx{s, t}, nil
}

func (t *postgresTx) commit(ctx context.Context) error { return t.name(t.tx.Commit(ctx)) }

func (t *postgresTx) rollback() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	t.tx.Rollback(ctx) // on an error the caller closes the connection, which rolls back too
}

// exec runs one statement and says how many rows it hit.
func (t *postgresTx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, sql, args...)
	return tag.RowsAffected(), t.name(err)
}

func (t *postgresTx) moveCursor(ctx context.Context, from, to engine.Position) error {
	n, err := t.exec(ctx, `UPDATE holdfast.progress SET epoch = $1, seq = $2, hash = $3, at = now()
		WHERE shard = 'main' AND log_id = $4 AND epoch = $5 AND seq = $6 AND hash = $7`,
		int64(to.Epoch), int64(to.Seq), hexHash(to), hexID(from), int64(from.Epoch), int64(from.Seq), hexHash(from))
	if err == nil && n != 1 {
		return errMoved
	}
	return err
}

func (t *postgresTx) setCursor(ctx context.Context, to engine.Position) error {
	n, err := t.exec(ctx, `INSERT INTO holdfast.progress (shard, log_id, epoch, seq, hash, at)
		VALUES ('main', $1, $2, $3, $4, now()) ON CONFLICT (shard) DO NOTHING`,
		hexID(to), int64(to.Epoch), int64(to.Seq), hexHash(to))
	if err == nil && n != 1 {
		return errMoved
	}
	return err
}

func (t *postgresTx) insertEvents(ctx context.Context, rows []eventRow) error {
	t.copy.reset()
	for i := range rows {
		t.copy.event(&rows[i])
	}
	return t.copy.send(ctx, t.postgresStore, "holdfast.events (seq, at, realm, kind, body)")
}

// timestamp is a time for Postgres; nil for none.
func timestamp(at seat.Time) any {
	if at == 0 {
		return nil
	}
	return at.Std()
}

func (t *postgresTx) start(ctx context.Context, until seat.Time) error {
	_, err := t.exec(ctx, `UPDATE holdfast.claims c
		SET deadline = least(greatest(c.deadline, $1), coalesce(p.promote_until, p.closes_at))
		FROM holdfast.pools p WHERE p.realm = c.realm AND p.pool = c.pool AND c.deadline IS NOT NULL`, timestamp(until))
	return err
}

func (t *postgresTx) putRealms(ctx context.Context, rows map[string]realmRow) error {
	for name, r := range rows {
		_, err := t.exec(ctx, `INSERT INTO holdfast.realms (realm, max_seats_per_person, max_waits_per_person, seq, at)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (realm) DO UPDATE SET max_seats_per_person = excluded.max_seats_per_person,
				max_waits_per_person = excluded.max_waits_per_person, seq = excluded.seq, at = excluded.at`,
			name, optional(r.limits.MaxSeats), int64(r.limits.MaxWaits), int64(r.seq), timestamp(r.at))
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *postgresTx) putPools(ctx context.Context, rows []poolRow) error {
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
		n, err := t.exec(ctx, "UPDATE holdfast.pools SET seed = $1 WHERE realm = $2 AND pool = $3", p.seed, p.realm, p.pool)
		if err == nil && n != 1 {
			err = violated("%s should have been there and was not; %s", poolName(p.poolKey), nextCommand)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *postgresTx) putPool(ctx context.Context, p *poolRow) error {
	c := p.config
	_, err := t.exec(ctx, `INSERT INTO holdfast.pools AS had (realm, pool, capacity, waitlist, opens_at, closes_at, promote_until,
				promotion, answer_seconds, pool_group, data, seq, at, pool_order, seed_hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::json, $12, $13, $14, $15)
			ON CONFLICT (realm, pool) DO UPDATE SET capacity = excluded.capacity, waitlist = excluded.waitlist,
				opens_at = excluded.opens_at, closes_at = excluded.closes_at, promote_until = excluded.promote_until,
				promotion = excluded.promotion, answer_seconds = excluded.answer_seconds,
				pool_group = excluded.pool_group, data = excluded.data, seq = excluded.seq, at = excluded.at,
				pool_order = excluded.pool_order, seed_hash = excluded.seed_hash,
				seed = CASE WHEN had.seed_hash = excluded.seed_hash THEN had.seed END`,
		p.realm, p.pool, int64(c.Capacity), optional(c.Waitlist), timestamp(c.OpensAt), timestamp(c.ClosesAt),
		timestamp(c.PromoteUntil), c.Promotion.String(), orNull(answerSeconds(c)), orNull(c.Group),
		orNull(storable(c.Data)), int64(p.seq), timestamp(p.at), c.Order.String(), orNull(seedHash(c)))
	if err != nil || p.cap == 0 {
		return err
	}
	_, err = t.exec(ctx, "UPDATE holdfast.claims SET deadline = $1 WHERE realm = $2 AND pool = $3 AND deadline > $1",
		timestamp(p.cap), p.realm, p.pool)
	return err
}

func (t *postgresTx) unswap(ctx context.Context, rows []unswapRow) error {
	for i := range rows {
		u := &rows[i]
		n, err := t.exec(ctx, "UPDATE holdfast.claims SET swap = NULL WHERE realm = $1 AND pool = $2 AND person = $3 AND swap = $4",
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

// putClaims copies new claims straight into their table, and changed ones into one of our own, from which three
// statements bring them over. In a rush nearly all are new.
func (t *postgresTx) putClaims(ctx context.Context, rows []claimRow) error {
	var fresh, held, rest int64
	t.copy.reset()
	for i := range rows {
		c := &rows[i]
		if c.was == seat.None {
			fresh++
			continue
		}
		if holds(c.was) {
			held++
		}
		if !holds(c.was) || c.status != seat.Released {
			rest++
		}
		t.copy.row(12)
		t.copy.claim(c)
		t.copy.text(c.was.String())
	}
	if held+rest > 0 {
		if err := t.copy.send(ctx, t.postgresStore, "changed"); err != nil {
			return err
		}
		if err := t.changeClaims(ctx, held, rest); err != nil {
			return err
		}
	}
	if fresh == 0 {
		return nil
	}
	t.copy.reset()
	for i := range rows {
		if rows[i].was == seat.None {
			t.copy.row(11)
			t.copy.claim(&rows[i])
		}
	}
	return t.copy.send(ctx, t.postgresStore, "holdfast.claims "+claimColumns)
}

func (t *postgresTx) changeClaims(ctx context.Context, held, rest int64) error {
	// First every seat that changes hands is let go of: exchanged seats would violate their uniqueness.
	if held > 0 {
		n, err := t.exec(ctx, `UPDATE holdfast.claims c SET status = 'released', seat = NULL, ticket = NULL, deadline = NULL,
				swap = NULL, cause = n.cause, seq = n.seq, at = n.at
			FROM changed n WHERE n.was IN ('seated', 'offered')
				AND c.realm = n.realm AND c.pool = n.pool AND c.person = n.person AND c.status = n.was`)
		if err != nil {
			return err
		}
		if n != held {
			return t.missing(ctx, "n.was IN ('seated', 'offered')")
		}
	}
	if err := t.hook.at("vacated"); err != nil {
		return err
	}
	if rest == 0 {
		return nil
	}
	n, err := t.exec(ctx, `UPDATE holdfast.claims c SET status = n.status, seat = n.seat, ticket = n.ticket,
			deadline = n.deadline, swap = n.swap, cause = n.cause, seq = n.seq, at = n.at
		FROM changed n WHERE (n.was NOT IN ('seated', 'offered') OR n.status <> 'released')
			AND c.realm = n.realm AND c.pool = n.pool AND c.person = n.person
			AND c.status = CASE WHEN n.was IN ('seated', 'offered') THEN 'released' ELSE n.was END`)
	if err != nil {
		return err
	}
	if n != rest {
		return t.missing(ctx, "n.was NOT IN ('seated', 'offered')")
	}
	_, err = t.exec(ctx, "DELETE FROM changed") // a batch may have several segments
	return err
}

// missing names a row that a statement should have changed and did not.
func (t *postgresTx) missing(ctx context.Context, which string) error {
	var key claimKey
	var was string
	err := t.tx.QueryRow(ctx, `SELECT n.realm, n.pool, n.person, n.was FROM changed n
		LEFT JOIN holdfast.claims c ON c.realm = n.realm AND c.pool = n.pool AND c.person = n.person
		WHERE (`+which+`) AND c.seq IS DISTINCT FROM n.seq LIMIT 1`).Scan(&key.realm, &key.pool, &key.person, &was)
	if errors.Is(err, pgx.ErrNoRows) {
		return violated("table claims: not every row that an event changes was as it said; %s", nextCommand)
	}
	if err != nil {
		return t.name(err)
	}
	return violated("%s should have been %s and was not; %s", claimName(key), was, nextCommand)
}

func (t *postgresTx) countPools(ctx context.Context, rows []poolRow) error {
	var realms, pools []string
	var seated, offered, waiting, entered []int64
	for i := range rows {
		if p := &rows[i]; p.counts() {
			realms, pools = append(realms, p.realm), append(pools, p.pool)
			seated, offered, waiting = append(seated, p.seated), append(offered, p.offered), append(waiting, p.waiting)
			entered = append(entered, p.entered)
		}
	}
	if len(realms) == 0 {
		return nil
	}
	n, err := t.exec(ctx, `UPDATE holdfast.pools p
		SET seated = p.seated + d.seated, offered = p.offered + d.offered, waiting = p.waiting + d.waiting,
			entered = p.entered + d.entered
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
			d (realm, pool, seated, offered, waiting, entered)
		WHERE p.realm = d.realm AND p.pool = d.pool`, realms, pools, seated, offered, waiting, entered)
	if err != nil || n == int64(len(realms)) {
		return err
	}
	var key poolKey
	err = t.tx.QueryRow(ctx, `SELECT d.realm, d.pool FROM unnest($1::text[], $2::text[]) d (realm, pool)
		WHERE NOT EXISTS (SELECT FROM holdfast.pools p WHERE p.realm = d.realm AND p.pool = d.pool) LIMIT 1`,
		realms, pools).Scan(&key.realm, &key.pool)
	if errors.Is(err, pgx.ErrNoRows) {
		return violated("table pools: not one row for each pool; %s", nextCommand)
	}
	if err != nil {
		return t.name(err)
	}
	return violated("%s should have been there and was not; %s", poolName(key), nextCommand)
}

func (t *postgresTx) causes(ctx context.Context) error {
	_, err := t.exec(ctx, `UPDATE holdfast.claims c SET cause = e.body ->> 'cause' FROM holdfast.events e WHERE e.seq = c.seq`)
	return err
}

func (t *postgresTx) forgetSchema(ctx context.Context) error {
	_, err := t.exec(ctx, "DELETE FROM holdfast.schema_version")
	return err
}
