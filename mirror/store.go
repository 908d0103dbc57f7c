package mirror

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"holdfast/engine"
	"holdfast/seat"
)

// ErrHalted is what a halted mirror answers with: its tables contradict the log, and it writes nothing more until somebody
// has looked. The error around it names the table, the row and the next command.
var ErrHalted = errors.New("the mirror is halted")

// errMoved: the cursor is not where this mirror left it: another one wrote, or the last commit took effect after all.
// Reading the cursor anew says which, and is always right.
var errMoved = errors.New("the cursor was moved by somebody else")

// violation is an error that no retry mends.
type violation struct{ reason string }

func (v *violation) Error() string { return v.reason }

func violated(format string, args ...any) error { return &violation{fmt.Sprintf(format, args...)} }

// hook stands between the statements of a transaction; an error is handled as that of a lost connection.
type hook func(step string) error

func (h hook) at(step string) error {
	if h == nil {
		return nil
	}
	return h(step)
}

// tables is what reads them, in a transaction or not.
type tables interface {
	// query gives each row, as of one instant between snapshot and release. Times are read as RFC 3339 text with stamp.
	query(ctx context.Context, sql string, args []any, each func(scan func(dest ...any) error) error) error
	// stamp is the SQL expression of a column of time as text, and null as the empty text.
	stamp(column string) string
	// table is a table's name in SQL.
	table(name string) string
	// member is the SQL expression of a text member of an event's body.
	member(name string) string
}

// store is one database: SQLite or Postgres. One goroutine at a time uses it. After an error of any method it is closed,
// and opened again. Errors are *violation where trying again is of no use.
type store interface {
	tables
	// open connects, and makes or migrates the schema under a lock.
	open(ctx context.Context) error
	// close ends the connection, if there is one, and with it an open transaction.
	close()
	// begin opens a transaction that no other mirror's can overlap once it has moved the cursor.
	begin(ctx context.Context) (tx, error)
	// snapshot begins, and release ends, a view in which all queries see one state.
	snapshot(ctx context.Context) error
	release(ctx context.Context) error
}

// tx is an open transaction. What it did is there for others when commit returns nil; when commit returns an error it
// may be there.
type tx interface {
	tables
	// moveCursor is errMoved when the cursor is not at from.
	moveCursor(ctx context.Context, from, to engine.Position) error
	// setCursor makes the cursor, and is errMoved when there is one.
	setCursor(ctx context.Context, to engine.Position) error
	insertEvents(ctx context.Context, rows []eventRow) error
	start(ctx context.Context, until seat.Time) error
	putRealms(ctx context.Context, rows map[string]realmRow) error
	putPools(ctx context.Context, rows []poolRow) error
	unswap(ctx context.Context, rows []unswapRow) error
	putClaims(ctx context.Context, rows []claimRow) error
	countPools(ctx context.Context, rows []poolRow) error
	// exec runs one statement and says how many rows it hit.
	exec(ctx context.Context, sql string, args ...any) (int64, error)
	// find gives those rows of a layout's table that are there, each column as columnsOf reads it.
	find(ctx context.Context, l *layout, keys *rowKeys, each func(scan func(dest ...any) error) error) error
	// insert adds rows that are not there.
	insert(ctx context.Context, l *layout, rows []deskRecord) error
	// update writes rows that are there, whole.
	update(ctx context.Context, l *layout, rows []deskRecord) error
	// forget deletes rows of a table whose key is an id.
	forget(ctx context.Context, l *layout, ids []int64) error
	// causes fills in claims.cause from the events.
	causes(ctx context.Context) error
	// forgetSchema makes the next open run every migration again.
	forgetSchema(ctx context.Context) error
	commit(ctx context.Context) error
	// rollback ends the transaction without effect; after commit it does nothing.
	rollback()
}

// apply writes one batch in one transaction.
func apply(ctx context.Context, s store, b *batch, h hook) error {
	if err := h.at("begin"); err != nil {
		return err
	}
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer t.rollback()
	if err := t.moveCursor(ctx, b.from, b.to); err != nil {
		return err
	}
	if err := h.at("cursor"); err != nil {
		return err
	}
	if err := t.insertEvents(ctx, b.events); err != nil {
		return err
	}
	if err := h.at("events"); err != nil {
		return err
	}
	for i := range b.segments {
		if err := applySegment(ctx, t, &b.segments[i], h); err != nil {
			return err
		}
	}
	if err := h.at("commit"); err != nil {
		return err
	}
	// The commit point. An error from here on does not say whether the batch is in the database: the cursor does.
	if err := t.commit(ctx); err != nil {
		return err
	}
	return h.at("committed")
}

// applySegment: first what concerns rows as they were before the segment, then the segment's own rows, which are whole.
func applySegment(ctx context.Context, t tx, s *segment, h hook) error {
	if s.started {
		if err := t.start(ctx, s.until); err != nil {
			return err
		}
	}
	if err := t.putRealms(ctx, s.realms); err != nil {
		return err
	}
	if err := t.putPools(ctx, s.pools); err != nil {
		return err
	}
	if err := h.at("pools"); err != nil {
		return err
	}
	if err := t.unswap(ctx, s.unswaps); err != nil {
		return err
	}
	if err := t.putClaims(ctx, s.claims); err != nil {
		return err
	}
	if err := h.at("claims"); err != nil {
		return err
	}
	if err := t.countPools(ctx, s.pools); err != nil {
		return err
	}
	if err := h.at("counts"); err != nil {
		return err
	}
	return foldDesks(ctx, t, s, h)
}

// readCursor gives the cursor; ok false: there is none yet.
func readCursor(ctx context.Context, s store) (pos engine.Position, ok bool, err error) {
	sql := "SELECT log_id, epoch, seq, hash FROM " + s.table("progress") + " WHERE shard = 'main'"
	err = s.query(ctx, sql, nil, func(scan func(...any) error) error {
		var id, hash string
		var epoch, seq int64
		if err := scan(&id, &epoch, &seq, &hash); err != nil {
			return err
		}
		ok = true
		pos.Epoch, pos.Seq = uint64(epoch), uint64(seq)
		if !unhex(pos.LogID[:], id) || !unhex(pos.Hash[:], hash) {
			return violated("table progress, row shard=main: log_id or hash is malformed; %s", nextCommand)
		}
		return nil
	})
	return pos, ok, err
}

const nextCommand = "see what else differs with `holdfast mirror check`, and make the tables anew with `holdfast mirror rebuild`"

func unhex(dst []byte, text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && copy(dst, b) == len(dst) && len(b) == len(dst)
}

func hexID(p engine.Position) string   { return hex.EncodeToString(p.LogID[:]) }
func hexHash(p engine.Position) string { return hex.EncodeToString(p.Hash[:]) }
