package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

// Truth is what a log says, for Check and Rebuild. Neither knows how a log is stored.
type Truth struct {
	// End is the durable end of the log.
	End engine.Position
	// First is the oldest sequence that Events can give; 0 while the log is empty.
	First uint64
	// StateAt gives the fold of the log up to a sequence.
	StateAt func(ctx context.Context, seq uint64) (*holdfast.State, error)
	// Events calls each with the events from one sequence to another, both included, in order. The Event is reused.
	Events func(ctx context.Context, from, to uint64, each func(*holdfast.Event) error) error
}

// Report is what Check found.
type Report struct {
	Cursor engine.Position // of the database
	Behind uint64          // durable events that are not recorded yet: no difference
	// How many rows of the database were compared.
	Realms, Pools, Claims, Events uint64
	DeskCounts
	// Different is the number of rows that differ, are missing, or are too many. The first maxNamed stand in Differences.
	Different   uint64
	Differences []string
}

const maxNamed = 20

func (r *Report) differ(format string, args ...any) {
	r.Different++
	if len(r.Differences) < maxNamed {
		r.Differences = append(r.Differences, fmt.Sprintf(format, args...))
	}
}

// WriteTo prints the report for a person.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	text := fmt.Sprintf("compared with the log up to event %d (%d more are not recorded yet):\n"+
		"  %d realms, %d pools, %d claims, %d events\n", r.Cursor.Seq, r.Behind, r.Realms, r.Pools, r.Claims, r.Events)
	if r.Desks > 0 {
		text += fmt.Sprintf("  %d desks, %d agents, %d requests, %d offers, %d sessions\n", r.Desks, r.Agents, r.Requests, r.Offers, r.Sessions)
	}
	if r.Different == 0 {
		text += "no difference\n"
	} else {
		text += fmt.Sprintf("%d rows differ\n", r.Different)
	}
	for _, d := range r.Differences {
		text += "  " + d + "\n"
	}
	n, err := io.WriteString(w, text)
	return int64(n), err
}

// Check compares every row of realms, pools, claims and of the tables of desks with the fold of the log at the database's cursor, and every row of
// events that the log still has with the log. It sees the database as of one instant, so a mirror may go on writing. Rows
// are read one by one; the memory is that of the fold. An error means that it could not compare.
func Check(ctx context.Context, cfg Config, truth Truth) (Report, error) {
	s, err := cfg.newStore()
	if err != nil {
		return Report{}, err
	}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return Report{}, err
	}
	if err := s.snapshot(ctx); err != nil {
		return Report{}, err
	}
	c := checker{store: s, truth: truth}
	if err := c.run(ctx); err != nil {
		return c.Report, err
	}
	return c.Report, s.release(ctx)
}

type checker struct {
	Report
	store store
	truth Truth
	state *holdfast.State
}

func (c *checker) run(ctx context.Context) error {
	cursor, ok, err := readCursor(ctx, c.store)
	if err != nil {
		return err
	}
	end := c.truth.End
	switch {
	case !ok:
		return errors.New("the database has no cursor: no mirror has ever connected to it (or somebody deleted the row of table progress)")
	case cursor.LogID != end.LogID:
		return fmt.Errorf("the database belongs to another log: its table progress names log %s, and this log is %s", hexID(cursor), hexID(end))
	case cursor.Seq > end.Seq:
		return fmt.Errorf("the database is ahead of the log: %d events are recorded, and the log ends at %d", cursor.Seq, end.Seq)
	}
	c.Cursor, c.Behind = cursor, end.Seq-cursor.Seq
	if c.state, err = c.truth.StateAt(ctx, cursor.Seq); err != nil {
		return fmt.Errorf("fold the log up to %d: %w", cursor.Seq, err)
	}
	for _, step := range []func(context.Context) error{c.realms, c.pools, c.claims, c.causes, c.deskRows, c.events} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) realms(ctx context.Context) error {
	sql := "SELECT realm, coalesce(max_seats_per_person, -1), max_waits_per_person, seq, " + c.store.stamp("at") +
		" FROM " + c.store.table("realms")
	err := c.store.query(ctx, sql, nil, func(scan func(...any) error) error {
		var name, at string
		var seats, waits, seq int64
		if err := scan(&name, &seats, &waits, &seq, &at); err != nil {
			return err
		}
		c.Realms++
		r := c.state.Realm(name)
		if r == nil {
			c.differ("%s: the log has no such realm", realmName(name))
			return nil
		}
		row := fmt.Sprintf("%d %d %d %s", seats, waits, seq, at)
		if want := realmText(r); row != want {
			c.differ("%s: is %q, should be %q", realmName(name), row, want)
		}
		return nil
	})
	if err != nil || c.Realms == uint64(len(c.state.Realms())) {
		return err
	}
	return c.missing(ctx, "realms", "realm", nil, c.eachRealm, func(k claimKey) string { return realmName(k.realm) })
}

func realmText(r *holdfast.Realm) string {
	limits := r.Seats.Limits()
	seats := int64(-1)
	if limits.MaxSeats != nil {
		seats = int64(*limits.MaxSeats)
	}
	return fmt.Sprintf("%d %d %d %s", seats, limits.MaxWaits, r.Seq, stampText(r.At))
}

func (c *checker) pools(ctx context.Context) error {
	t := c.store.stamp
	sql := "SELECT realm, pool, capacity, coalesce(waitlist, -1), " + t("opens_at") + ", " + t("closes_at") + ", " +
		t("promote_until") + ", promotion, coalesce(answer_seconds, 0), coalesce(pool_group, ''), coalesce(cast(data AS text), ''), " +
		"pool_order, coalesce(seed_hash, ''), coalesce(seed, ''), seated, offered, waiting, entered, seq, " + t("at") + " FROM " + c.store.table("pools")
	err := c.store.query(ctx, sql, nil, func(scan func(...any) error) error {
		var key poolKey
		var capacity, waitlist, answer, seated, offered, waiting, entered, seq int64
		var opens, closes, until, promotion, group, data, order, hash, seed, at string
		if err := scan(&key.realm, &key.pool, &capacity, &waitlist, &opens, &closes, &until, &promotion, &answer, &group, &data,
			&order, &hash, &seed, &seated, &offered, &waiting, &entered, &seq, &at); err != nil {
			return err
		}
		c.Pools++
		var view seat.PoolView
		var ok bool
		if r := c.state.Realm(key.realm); r != nil {
			view, ok = r.Seats.Pool(key.pool)
		}
		if !ok {
			c.differ("%s: the log has no such pool", poolName(key))
			return nil
		}
		row := fmt.Sprintf("%d %d %s %s %s %s %d %s %s %s %s %s %d %d %d %d %d %s", capacity, waitlist, opens, closes, until, promotion,
			answer, group, data, order, hash, seed, seated, offered, waiting, entered, seq, at)
		if want := poolText(&view); row != want {
			c.differ("%s: is %q, should be %q", poolName(key), row, want)
		}
		return nil
	})
	if err != nil || c.Pools == c.countPools() {
		return err
	}
	return c.missing(ctx, "pools", "realm, pool", nil, c.eachPool, func(k claimKey) string { return poolName(poolKey{k.realm, k.pool}) })
}

func poolText(v *seat.PoolView) string {
	waitlist := int64(-1)
	if v.Config.Waitlist != nil {
		waitlist = int64(*v.Config.Waitlist)
	}
	return fmt.Sprintf("%d %d %s %s %s %s %d %s %s %s %s %s %d %d %d %d %d %s", v.Config.Capacity, waitlist, stampOrNone(v.Config.OpensAt),
		stampOrNone(v.Config.ClosesAt), stampOrNone(v.Config.PromoteUntil), v.Config.Promotion, answerSeconds(&v.Config),
		v.Config.Group, storable(v.Config.Data), v.Config.Order, seedHash(&v.Config), seedOf(v),
		v.Seated, v.Offered, v.Waiting, v.Entered, v.Seq, stampText(v.At))
}

func stampOrNone(at seat.Time) string {
	if at == 0 {
		return ""
	}
	return stampText(at)
}

func (c *checker) claims(ctx context.Context) error {
	t := c.store.stamp
	sql := "SELECT realm, pool, person, status, coalesce(seat, 0), coalesce(ticket, 0), " + t("deadline") +
		", coalesce(swap, ''), seq, " + t("at") + " FROM " + c.store.table("claims")
	var row struct {
		claimKey
		status, deadline, swap, at string
		seat, ticket, seq          int64
	}
	err := c.store.query(ctx, sql, nil, func(scan func(...any) error) error {
		if err := scan(&row.realm, &row.pool, &row.person, &row.status, &row.seat, &row.ticket, &row.deadline, &row.swap,
			&row.seq, &row.at); err != nil {
			return err
		}
		c.Claims++
		var st seat.Standing
		if r := c.state.Realm(row.realm); r != nil {
			st, _ = r.Seats.Standing(row.pool, row.person)
		}
		if st.Status == seat.None {
			c.differ("%s: the log has no such claim", claimName(row.claimKey))
			return nil
		}
		if row.status != st.Status.String() || row.seat != int64(st.Seat) || row.ticket != int64(st.Ticket) ||
			row.deadline != stampOrNone(st.Deadline) || row.swap != st.Swap || row.seq != int64(st.Seq) || row.at != stampText(st.At) {
			c.differ("%s: is %s seat=%d ticket=%d deadline=%s swap=%s seq=%d at=%s, should be %s seat=%d ticket=%d deadline=%s swap=%s seq=%d at=%s",
				claimName(row.claimKey), row.status, row.seat, row.ticket, row.deadline, row.swap, row.seq, row.at,
				st.Status, st.Seat, st.Ticket, stampOrNone(st.Deadline), st.Swap, st.Seq, stampText(st.At))
		}
		return nil
	})
	if err != nil {
		return err
	}
	var should uint64
	c.eachClaim("", "", func(claimKey) { should++ })
	if c.Claims == should {
		return nil
	}
	return c.missingClaims(ctx)
}

// causes compares claims.cause, which no fold has, with the event that the row names.
func (c *checker) causes(ctx context.Context) error {
	sql := "SELECT c.realm, c.pool, c.person FROM " + c.store.table("claims") + " c JOIN " + c.store.table("events") +
		" e ON e.seq = c.seq WHERE coalesce(c.cause, '') <> coalesce(" + c.store.member("cause") + ", '')"
	return c.store.query(ctx, sql, nil, func(scan func(...any) error) error {
		var key claimKey
		if err := scan(&key.realm, &key.pool, &key.person); err != nil {
			return err
		}
		c.differ("%s: cause is not the one of its event", claimName(key))
		return nil
	})
}
