package rush

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"holdfast/seat"
)

// row is one line of the table of claims.
type row struct {
	pool, person, status string
	entry                // status stays unset: the column is text
}

// readRows calls each with every claim of a realm in the customer's database: the one given to the child, or SQLite in its
// directory. It only reads.
func readRows(ctx context.Context, cfg *Config, dir, realm string, each func(*row)) error {
	const columns = "SELECT pool, person, status, coalesce(seat, 0), coalesce(ticket, 0), seq FROM "
	path := filepath.Join(dir, "holdfast.db")
	scheme, rest, _ := strings.Cut(cfg.Database, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		return readPostgres(ctx, cfg.Database, columns+"holdfast.claims WHERE realm = $1", realm, each)
	case scheme == "sqlite" && rest != "":
		path = strings.TrimPrefix(rest, "//")
	case cfg.Database != "":
		path = cfg.Database
	}
	u := url.URL{Path: filepath.ToSlash(path)}
	db, err := sql.Open("sqlite", "file:"+u.EscapedPath()+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	found, err := db.QueryContext(ctx, columns+"claims WHERE realm = ?", realm)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var r row
		if err := found.Scan(&r.pool, &r.person, &r.status, &r.seat, &r.ticket, &r.seq); err != nil {
			return err
		}
		each(&r)
	}
	return found.Err()
}

func readPostgres(ctx context.Context, database, query, realm string, each func(*row)) error {
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	found, err := db.Query(ctx, query, realm)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var r row
		var number, ticket, seq int64
		if err := found.Scan(&r.pool, &r.person, &r.status, &number, &ticket, &seq); err != nil {
			return err
		}
		r.seat, r.ticket, r.seq = uint32(number), uint32(ticket), uint64(seq)
		each(&r)
	}
	return found.Err()
}

// compareRows compares the table of claims, row by row, with the fold of the log (J7), and every student's answers with
// the rows. It is called when the mirror has recorded everything.
func (v *verdict) compareRows(l *ledger, answers []answer, read func(each func(*row)) error) error {
	rows := make(map[claimKey]entry, len(l.claims))
	v.rows = 0
	err := read(func(r *row) {
		v.rows++
		status, known := seat.ParseStatus(r.status)
		r.entry.status = status
		key := l.key(r.pool, r.person)
		rows[key] = r.entry
		switch want, there := l.claims[key]; {
		case !there:
			v.violate("J7", r.seq, "the database has %s in %s as %s, the log does not", r.person, r.pool, r.entry)
		case !known || r.entry != want:
			v.violate("J7", want.seq, "%s in %s is %s in the database, and %s by the log", r.person, r.pool, r.entry, want)
		}
	})
	if err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	for key, want := range l.claims {
		if _, there := rows[key]; !there {
			v.violate("J7", want.seq, "a claim is missing in the database: by the log it is %s", want)
		}
	}
	v.compareWithRows(answers, rows)
	v.checks["J7"] += uint64(v.rows)
	return nil
}

// compareWithRows: what a student was told is what the row says, unless a later event stands in the row.
func (v *verdict) compareWithRows(answers []answer, rows map[claimKey]entry) {
	for i := range answers {
		a := &answers[i]
		if !a.standing() || a.Status == "none" {
			continue
		}
		row, there := rows[claimKey{a.course, a.person}]
		switch {
		case !there:
			v.violate("J7", a.Seq, "%s was told %s of %s; the database has no row of it", a.Person, a.Status, a.Pool)
		case row.seq < a.Seq:
			v.violate("J7", a.Seq, "%s was told %s of %s by event %d; the row stands at event %d", a.Person, a.Status, a.Pool, a.Seq, row.seq)
		case row.seq == a.Seq && (row.status.String() != a.Status || row.seat != a.Seat):
			v.violate("J7", a.Seq, "%s was told %s (seat %d) of %s; the row of the same event says %s", a.Person, a.Status, a.Seat, a.Pool, row)
		}
	}
}

func (e entry) String() string {
	switch e.status {
	case seat.Seated, seat.Offered:
		return fmt.Sprintf("%s in seat %d by event %d", e.status, e.seat, e.seq)
	case seat.Waiting:
		return fmt.Sprintf("waiting with ticket %d by event %d", e.ticket, e.seq)
	}
	return fmt.Sprintf("%s by event %d", e.status, e.seq)
}
