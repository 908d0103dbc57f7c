package mirror

import (
	"context"
	"fmt"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

// Rebuild makes the tables anew in one transaction: readers see them as they were until it commits.
//
// While the log still begins with event 1, base is the zero Position: everything is deleted, the cursor is set to zero, and
// a mirror that runs fills the tables from the log. A log that was trimmed begins later: then base is a position from
// which the mirror can go on (that of a snapshot; at least truth.First-1, at most truth.End), and the state of that position
// is written. Of the events, those that the log still has are written anew up to base; older ones stay as they are, unless
// they are of another log: then they are deleted, and the history begins at truth.First.
//
// No mirror may run on the database meanwhile: one that does finds its cursor moved.
func Rebuild(ctx context.Context, cfg Config, truth Truth, base engine.Position) error {
	base.LogID = truth.End.LogID
	if base.Seq > truth.End.Seq {
		return fmt.Errorf("rebuild at %d: the log ends at %d", base.Seq, truth.End.Seq)
	}
	if truth.First > base.Seq+1 {
		return fmt.Errorf("rebuild at %d: the log begins at %d, so the tables must start from a snapshot", base.Seq, truth.First)
	}
	s, err := cfg.newStore()
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := restore(ctx, s); err != nil {
		return err
	}
	cursor, ok, err := readCursor(ctx, s)
	if err != nil { // a malformed cursor is what this is for
		ok = false
	}
	from := truth.First
	if base.Seq == 0 || !ok || cursor.LogID != base.LogID {
		from = 0
	}
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer t.rollback()
	r := refill{tx: t, truth: truth, base: base}
	if err := r.run(ctx, from); err != nil {
		return err
	}
	return t.commit(ctx)
}

// restore makes tables and indexes anew that somebody has dropped, and leaves the others as they are.
func restore(ctx context.Context, s store) error {
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer t.rollback()
	if err := t.forgetSchema(ctx); err != nil {
		return err
	}
	if err := t.commit(ctx); err != nil {
		return err
	}
	s.close()
	return s.open(ctx)
}

// refill writes the state at base. A refilled row is a new row to the statements that the mirror uses.
type refill struct {
	tx    tx
	truth Truth
	base  engine.Position
	part  segment
}

// refillRows is how many rows go into the statements at a time.
const refillRows = 10_000

func (r *refill) run(ctx context.Context, wipeFrom uint64) error {
	if err := r.wipe(ctx, wipeFrom); err != nil {
		return err
	}
	if err := r.tx.setCursor(ctx, r.base); err != nil {
		return err
	}
	if r.base.Seq == 0 {
		return nil
	}
	if err := r.events(ctx); err != nil {
		return err
	}
	state, err := r.truth.StateAt(ctx, r.base.Seq)
	if err != nil {
		return fmt.Errorf("fold the log up to %d: %w", r.base.Seq, err)
	}
	for _, realm := range state.Realms() {
		if err := r.realm(ctx, realm); err != nil {
			return err
		}
	}
	if err := r.tx.causes(ctx); err != nil {
		return err
	}
	return r.desks(ctx, state)
}

// wipe empties the tables of state, and of the events those from a sequence on. Where older events stay, so do the requests
// that ended before the base, with their offers and sessions, and who was removed: a state has forgotten them.
func (r *refill) wipe(ctx context.Context, from uint64) error {
	for _, name := range []string{"progress", "realms", "pools", "claims", "desks"} {
		if _, err := r.tx.exec(ctx, "DELETE FROM "+r.tx.table(name)); err != nil {
			return err
		}
	}
	for _, w := range []struct{ table, behind string }{{"events", "seq >= $1"}, {"agents", "removed_at IS NULL OR seq > $1"},
		{"requests", "ended_at IS NULL OR seq > $1"}, {"offers", "ended_at IS NULL OR seq > $1"}, {"sessions", "ended_at IS NULL OR seq > $1"}} {
		behind := from
		if from > 0 && w.table != "events" {
			behind = r.base.Seq
		}
		if _, err := r.tx.exec(ctx, "DELETE FROM "+r.tx.table(w.table)+" WHERE "+w.behind, int64(behind)); err != nil {
			return err
		}
	}
	return nil
}

func (r *refill) events(ctx context.Context) error {
	if r.truth.First == 0 || r.truth.First > r.base.Seq {
		return nil
	}
	var rows []eventRow
	flush := func() error {
		err := r.tx.insertEvents(ctx, rows)
		rows = rows[:0]
		return err
	}
	err := r.truth.Events(ctx, r.truth.First, r.base.Seq, func(e *holdfast.Event) error {
		body := string(append(e.AppendBodyJSON([]byte{'{'}), '}'))
		rows = append(rows, eventRow{e.Seq, e.At, e.Realm, e.KindName(), storable(body)})
		if len(rows) < refillRows {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (r *refill) realm(ctx context.Context, realm *holdfast.Realm) error {
	r.part = newSegment()
	r.part.realms[realm.Name] = realmRow{limits: realm.Seats.Limits(), seq: realm.Seq, at: realm.At}
	var names []string
	eachPoolOf(realm, func(p *seat.PoolView) {
		names = append(names, p.Name)
		row := r.part.pool(poolKey{realm.Name, p.Name})
		config := p.Config
		row.config, row.seq, row.at = &config, p.Seq, p.At
		row.seated, row.offered, row.waiting, row.entered = int64(p.Seated), int64(p.Offered), int64(p.Waiting), int64(p.Entered)
		row.seed = seedOf(p)
	})
	for _, name := range names {
		var err error
		eachRowOf(realm, name, func(row *seat.Row) {
			r.part.claims = append(r.part.claims, claimRow{
				claimKey: claimKey{realm.Name, name, row.Person}, status: row.Status, seat: row.Seat, ticket: row.Ticket,
				deadline: row.Deadline, swap: row.Swap, seq: row.Seq, at: row.At,
			})
			if len(r.part.claims) >= refillRows && err == nil {
				err = r.flush(ctx)
			}
		})
		if err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

func (r *refill) flush(ctx context.Context) error {
	err := applySegment(ctx, r.tx, &r.part, nil)
	r.part.reset()
	return err
}

// Cursor reads where a database stands, without a mirror; ok false: no mirror has ever written it.
func Cursor(ctx context.Context, cfg Config) (pos engine.Position, ok bool, err error) {
	s, err := cfg.newStore()
	if err != nil {
		return pos, false, err
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(ctx, max(cfg.Timeout, time.Second))
	defer cancel()
	if err := s.open(ctx); err != nil {
		return pos, false, err
	}
	return readCursor(ctx, s)
}
