package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"holdfast/seat"
)

// rush is a log of a rush: 300 pools of 30 seats, and each of n claims a row of events and a row of claims.
// setup is the part before it.
func rush(tb testing.TB, n int) (log *fakeLog, setup int, rows *batch) {
	log = newFakeLog("rush")
	w := newWorld(tb, log, 1)
	begin(w)
	for i := range 300 {
		w.put(fmt.Sprintf("c%04d", i), seat.Config{Capacity: 30})
	}
	w.frame()
	setup = len(log.frames)
	for i := range n {
		w.do("spring", seat.Claim{Pool: fmt.Sprintf("c%04d", (i*7)%300), Person: fmt.Sprintf("s%06d", i*5/2%999983)})
		w.pass(7 * time.Microsecond)
		if i%2500 == 2499 {
			log.append(1, &w.batch)
		}
	}
	log.append(1, &w.batch)
	log.close()
	rows = &batch{}
	sub := &fakeSub{log: log}
	for {
		f, err := sub.Next(context.Background())
		if err != nil {
			return log, setup, rows
		}
		rows.addFrame(&f)
	}
}

// measure runs the mirror and the bare insert of the same rows in turns, and reports their ratio.
func measure(b *testing.B, fresh func() *database, bare func(db *database, events []eventRow, claims []claimRow)) {
	const n = 100_000
	log, setup, rows := rush(b, n)
	before := rows.events[:302]
	events, claims := rows.events[302:], rows.segments[0].claims
	if len(before) != 302 || len(events) != n || len(claims) != n || setup != 1 {
		b.Fatalf("%d events, %d claims", len(events), len(claims))
	}
	var mirrored, inserted time.Duration
	for b.Loop() {
		db := fresh()
		prepare(b, db, log, setup)
		start := time.Now()
		db.mirrorAll(b, log)
		mirrored += time.Since(start)

		db = fresh()
		prepare(b, db, log, setup)
		start = time.Now()
		bare(db, events, claims)
		inserted += time.Since(start)
		if c := db.do(b, "SELECT count(*) FROM claims"); c != fmt.Sprint(n) {
			b.Fatal(c)
		}
	}
	b.ReportMetric(float64(inserted)/float64(mirrored), "ratio-vs-bare")
	b.ReportMetric(float64(b.N*n)/mirrored.Seconds(), "events/s")
	b.ReportMetric(float64(b.N*n)/inserted.Seconds(), "bare-events/s")
	b.ReportMetric(0, "ns/op")
}

// prepare mirrors the part before the rush, which makes the tables.
func prepare(b *testing.B, db *database, log *fakeLog, setup int) {
	head := newFakeLog("")
	head.id, head.end.LogID = log.id, log.id
	head.frames, head.closed = log.frames[:setup], true
	head.end = head.position(head.frames[setup-1].Last())
	db.mirrorAll(b, head)
}

const bareBatch = 10_000

// BenchmarkSQLite: what a user would write instead is prepared inserts of many rows through database/sql.
func BenchmarkSQLite(b *testing.B) {
	measure(b, func() *database { return newSQLiteDB(b) }, func(db *database, events []eventRow, claims []claimRow) {
		uri, err := sqliteURI(strings.TrimPrefix(db.cfg.URL, "sqlite:"))
		check(b, err)
		conn, err := sql.Open("sqlite", uri+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-32768)&_pragma=temp_store(2)")
		check(b, err)
		defer conn.Close()
		conn.SetMaxOpenConns(1)
		const size = 100
		insert := func(columns int, head string) *sql.Stmt {
			tuple := "(" + strings.Repeat("?,", columns-1) + "?)"
			stmt, err := conn.Prepare(head + " VALUES " + strings.Repeat(tuple+",", size-1) + tuple)
			check(b, err)
			return stmt
		}
		intoEvents := insert(5, "INSERT INTO events (seq, at, realm, kind, body)")
		intoClaims := insert(11, "INSERT INTO claims "+claimColumns)
		var args []any
		for from := 0; from < len(events); from += bareBatch {
			t, err := conn.Begin()
			check(b, err)
			for i := from; i < from+bareBatch; i += size {
				args = args[:0]
				for j := i; j < i+size; j++ {
					e := &events[j]
					args = append(args, int64(e.seq), stampText(e.at), e.realm, e.kind, e.body)
				}
				_, err = t.Stmt(intoEvents).Exec(args...)
				check(b, err)
				args = args[:0]
				for j := i; j < i+size; j++ {
					c := &claims[j]
					args = append(args, c.realm, c.pool, c.person, c.status.String(), orNull(c.seat), orNull(c.ticket), nil, nil,
						c.cause.String(), int64(c.seq), stampText(c.at))
				}
				_, err = t.Stmt(intoClaims).Exec(args...)
				check(b, err)
			}
			check(b, t.Commit())
		}
	})
}

// BenchmarkPostgres: what a user would write instead is pgx's CopyFrom.
func BenchmarkPostgres(b *testing.B) {
	server := postgres.Server(b)
	empty := newPostgresDB(b, server)
	measure(b, func() *database { return empty.fresh(b) }, func(db *database, events []eventRow, claims []claimRow) {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, db.cfg.URL)
		check(b, err)
		defer conn.Close(ctx)
		for from := 0; from < len(events); from += bareBatch {
			t, err := conn.Begin(ctx)
			check(b, err)
			_, err = t.CopyFrom(ctx, pgx.Identifier{"holdfast", "events"}, []string{"seq", "at", "realm", "kind", "body"},
				pgx.CopyFromSlice(bareBatch, func(i int) ([]any, error) {
					e := &events[from+i]
					return []any{int64(e.seq), e.at.Std(), e.realm, e.kind, []byte(e.body)}, nil
				}))
			check(b, err)
			_, err = t.CopyFrom(ctx, pgx.Identifier{"holdfast", "claims"}, strings.Split(strings.Trim(claimColumns, "()"), ", "),
				pgx.CopyFromSlice(bareBatch, func(i int) ([]any, error) {
					c := &claims[from+i]
					return []any{c.realm, c.pool, c.person, c.status.String(), orNull(c.seat), orNull(c.ticket), nil, nil,
						c.cause.String(), int64(c.seq), c.at.Std()}, nil
				}))
			check(b, err)
			check(b, t.Commit(ctx))
		}
	})
}
