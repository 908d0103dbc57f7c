package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"holdfast/desk"
)

// shift is a log of a shift: 50 desks of 20 agents, all of whom are busy at a time, and n cycles of request, offer, accept
// and finish. setup is the part before it; rows are those that the tables have at the end.
func shift(tb testing.TB, n int) (log *fakeLog, setup int, rows *deskFold, events []eventRow) {
	log = newFakeLog("shift")
	w := newWorld(tb, log, 1)
	begin(w)
	each := func(do func(desk, agent string, i int)) {
		for i := range 1000 {
			do(deskID(i/20), agentID(i%20), i)
		}
	}
	for i := range 50 {
		c := desk.DefaultConfig()
		c.Receipt = 0
		w.do("spring", desk.PutDesk{Desk: deskID(i), Config: c})
	}
	each(func(at, agent string, i int) {
		w.do("spring", desk.PutAgent{Desk: at, Agent: agent})
		w.do("spring", desk.Attach{Desk: at, Agent: agent, Conn: uint64(i + 1)})
		w.do("spring", desk.Online{Desk: at, Agent: agent, Conn: uint64(i + 1)})
	})
	w.frame()
	setup = len(log.frames)
	w.pass(time.Minute)
	for round := range n / 1000 {
		var offers, sessions [1000]uint64
		each(func(at, _ string, i int) {
			res := w.do("spring", desk.Request{Desk: at, Client: fmt.Sprintf("k%d-%d", round, i), Ask: desk.Ask{Reach: desk.Push, Data: "a tax return"}})
			offers[i] = res.Desk.Request.Offer
		})
		w.frame()
		for i, id := range offers {
			o, _ := w.step.State.Realm("spring").Desks.Offer(deskID(i/20), id)
			res := w.do("spring", desk.AcceptOffer{Desk: o.Desk, Agent: o.Agent, Offer: id})
			sessions[i] = res.Desk.Session.ID
			w.pass(7 * time.Microsecond)
		}
		w.frame()
		for i, id := range sessions {
			w.do("spring", desk.Finish{Desk: deskID(i / 20), Session: id})
			w.pass(7 * time.Microsecond)
		}
		w.frame()
	}
	log.close()
	rows = newDeskFold()
	sub := &fakeSub{log: log}
	for frame := 0; ; frame++ {
		f, err := sub.Next(context.Background())
		if err != nil {
			return log, setup, rows, events
		}
		b := &batch{}
		b.addFrame(&f)
		if frame >= setup {
			events = append(events, b.events...)
		}
		for s := range b.segments {
			for i := range b.segments[s].desks {
				check(tb, rows.event(&b.segments[s].desks[i]))
			}
		}
	}
}

// measureDesks is measure for a desk's cycle.
func measureDesks(b *testing.B, fresh func() *database, bare func(db *database, events []eventRow, tables []bareTable)) {
	const n = 25_000
	log, setup, rows, events := shift(b, n)
	tables := []bareTable{{rows.requests.layout, rows.requests.list}, {rows.offers.layout, rows.offers.list}, {rows.sessions.layout, rows.sessions.list}}
	if len(events) != 4*n || len(tables[2].rows) != n {
		b.Fatalf("%d events, %d sessions", len(events), len(tables[2].rows))
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
		bare(db, events, tables)
		inserted += time.Since(start)
		if c := db.do(b, "SELECT count(*) FROM sessions"); c != fmt.Sprint(n) {
			b.Fatal(c)
		}
	}
	b.ReportMetric(float64(inserted)/float64(mirrored), "ratio-vs-bare")
	b.ReportMetric(float64(b.N*n)/mirrored.Seconds(), "cycles/s")
	b.ReportMetric(float64(b.N*n)/inserted.Seconds(), "bare-cycles/s")
	b.ReportMetric(0, "ns/op")
}

// bareTable is a table and the rows to insert.
type bareTable struct {
	*layout
	rows []deskRecord
}

// values are a row's columns as the databases' own drivers take them.
type values struct {
	list []any
	pg   bool
}

func (v *values) add(x any)           { v.list = append(v.list, x) }
func (v *values) text(s string)       { v.add(s) }
func (v *values) textOrNull(s string) { v.add(orNull(s)) }
func (v *values) int64(n int64)       { v.add(n) }
func (v *values) bool(b bool)         { v.add(b) }
func (v *values) time(at desk.Time)   { v.timeOrNull(at) }
func (v *values) idOrNull(id uint64)  { v.add(orNull(uint32(id))) }
func (v *values) timeOrNull(at desk.Time) {
	if v.pg {
		v.add(timestamp(at))
		return
	}
	v.add(text(at))
}

// BenchmarkDesksSQLite: what a user would write instead is prepared inserts of many rows through database/sql.
func BenchmarkDesksSQLite(b *testing.B) {
	measureDesks(b, func() *database { return newSQLiteDB(b) }, func(db *database, events []eventRow, tables []bareTable) {
		uri, err := sqliteURI(strings.TrimPrefix(db.cfg.URL, "sqlite:"))
		check(b, err)
		conn, err := sql.Open("sqlite", uri+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-32768)&_pragma=temp_store(2)")
		check(b, err)
		defer conn.Close()
		conn.SetMaxOpenConns(1)
		const size = 100
		insert := func(into string, columns int) *sql.Stmt {
			tuple := "(" + strings.Repeat("?,", columns-1) + "?)"
			stmt, err := conn.Prepare("INSERT INTO " + into + " VALUES " + strings.Repeat(tuple+",", size-1) + tuple)
			check(b, err)
			return stmt
		}
		intoEvents := insert("events (seq, at, realm, kind, body)", 5)
		var into []*sql.Stmt
		for _, t := range tables {
			into = append(into, insert(t.table+" ("+t.names()+")", len(t.columns)))
		}
		const cycles = bareBatch / 4
		for from := 0; from < len(tables[0].rows); from += cycles {
			t, err := conn.Begin()
			check(b, err)
			for i := 4 * from; i < 4*(from+cycles); i += size {
				var v values
				for _, e := range events[i : i+size] {
					v.list = append(v.list, int64(e.seq), stampText(e.at), e.realm, e.kind, e.body)
				}
				_, err = t.Stmt(intoEvents).Exec(v.list...)
				check(b, err)
			}
			for k, table := range tables {
				for i := from; i < from+cycles; i += size {
					var v values
					for _, r := range table.rows[i : i+size] {
						r.cells(&v)
					}
					_, err = t.Stmt(into[k]).Exec(v.list...)
					check(b, err)
				}
			}
			check(b, t.Commit())
		}
	})
}

// BenchmarkDesksPostgres: what a user would write instead is pgx's CopyFrom.
func BenchmarkDesksPostgres(b *testing.B) {
	server := postgres.Server(b)
	empty := newPostgresDB(b, server)
	measureDesks(b, func() *database { return empty.fresh(b) }, func(db *database, events []eventRow, tables []bareTable) {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, db.cfg.URL)
		check(b, err)
		defer conn.Close(ctx)
		const cycles = bareBatch / 4
		for from := 0; from < len(tables[0].rows); from += cycles {
			t, err := conn.Begin(ctx)
			check(b, err)
			_, err = t.CopyFrom(ctx, pgx.Identifier{"holdfast", "events"}, []string{"seq", "at", "realm", "kind", "body"},
				pgx.CopyFromSlice(bareBatch, func(i int) ([]any, error) {
					e := &events[4*from+i]
					return []any{int64(e.seq), e.at.Std(), e.realm, e.kind, []byte(e.body)}, nil
				}))
			check(b, err)
			for _, table := range tables {
				_, err = t.CopyFrom(ctx, pgx.Identifier{"holdfast", table.table}, strings.Split(table.names(), ", "),
					pgx.CopyFromSlice(cycles, func(i int) ([]any, error) {
						v := values{pg: true}
						table.rows[from+i].cells(&v)
						return v.list, nil
					}))
				check(b, err)
			}
			check(b, t.Commit(ctx))
		}
	})
}
