package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"holdfast/internal/pgtest"
)

// postgres is the server of all tests but those that kill one.
var postgres pgtest.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	postgres.Close()
	os.Exit(code)
}

// database is an empty one of either kind, and a way around the mirror.
type database struct {
	cfg Config
	pg  bool
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(t *testing.T, db *database)) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, newSQLiteDB(t))
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newPostgresDB(t, postgres.Server(t)))
	})
}

func newSQLiteDB(tb testing.TB) *database {
	return &database{cfg: testConfig("sqlite:" + filepath.Join(tb.TempDir(), "a b?c%41.db"))}
}

func newPostgresDB(tb testing.TB, s *pgtest.Server) *database {
	return &database{cfg: testConfig(s.Database(tb)), pg: true}
}

func testConfig(url string) Config {
	cfg := DefaultConfig()
	cfg.URL, cfg.RetryMost = url, 100*time.Millisecond
	return cfg
}

// do runs SQL and gives the first column of the first row, or "".
func (db *database) do(tb testing.TB, query string) string {
	tb.Helper()
	rows := db.rows(tb, query)
	if len(rows) == 0 {
		return ""
	}
	return rows[0]
}

// try runs SQL and gives its error.
func (db *database) try(query string) error {
	ctx := context.Background()
	if db.pg {
		conn, err := pgx.Connect(ctx, db.cfg.URL)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "SET search_path = public, holdfast; "+query)
		return err
	}
	uri, err := sqliteURI(strings.TrimPrefix(db.cfg.URL, "sqlite:"))
	if err != nil {
		return err
	}
	conn, err := sql.Open("sqlite", uri+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Exec(query)
	return err
}

// rows runs SQL and gives each row as text. It goes around the mirror, as a customer does.
func (db *database) rows(tb testing.TB, query string) (out []string) {
	tb.Helper()
	add := func(values []any) {
		parts := make([]string, len(values))
		for i, v := range values {
			if n, ok := v.(pgtype.Numeric); ok {
				f, err := n.Float64Value()
				check(tb, err)
				v = f.Float64
			}
			parts[i] = fmt.Sprint(v)
		}
		out = append(out, strings.Join(parts, "|"))
	}
	if !db.pg {
		uri, err := sqliteURI(strings.TrimPrefix(db.cfg.URL, "sqlite:"))
		check(tb, err)
		conn, err := sql.Open("sqlite", uri+"?_pragma=busy_timeout(10000)")
		check(tb, err)
		defer conn.Close()
		rows, err := conn.Query(query)
		check(tb, err)
		defer rows.Close()
		names, _ := rows.Columns()
		for rows.Next() {
			values := make([]any, len(names))
			into := make([]any, len(names))
			for i := range values {
				into[i] = &values[i]
			}
			check(tb, rows.Scan(into...))
			add(values)
		}
		check(tb, rows.Err())
		return out
	}
	ctx := context.Background()
	conf, err := pgx.ParseConfig(db.cfg.URL)
	check(tb, err)
	conf.RuntimeParams["search_path"] = "public, holdfast"
	conn, err := pgx.ConnectConfig(ctx, conf)
	check(tb, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, query)
	check(tb, err)
	for rows.Next() {
		values, err := rows.Values()
		check(tb, err)
		add(values)
	}
	check(tb, rows.Err())
	return out
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func within(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

// mirrorAll runs a mirror until all of a closed log is recorded.
func (db *database) mirrorAll(tb testing.TB, log Log) {
	tb.Helper()
	m, err := Open(db.cfg)
	check(tb, err)
	check(tb, m.Run(within(tb), log))
	if s := m.Status(); s.Seq != log.Durable().Seq || s.LagEvents != 0 {
		tb.Fatalf("recorded %d of %d", s.Seq, log.Durable().Seq)
	}
}

// same fails unless every row is what the log says.
func (db *database) same(tb testing.TB, log *fakeLog) Report {
	tb.Helper()
	report := db.compare(tb, log)
	if report.Different > 0 {
		var text strings.Builder
		report.WriteTo(&text)
		tb.Fatal(text.String())
	}
	return report
}

func (db *database) compare(tb testing.TB, log *fakeLog) Report {
	tb.Helper()
	report, err := Check(within(tb), db.cfg, log.truth())
	check(tb, err)
	return report
}

// TestMirrorIsTheFoldOfTheLog is J7: after any history, cut into any transactions, every row is what the log says.
func TestMirrorIsTheFoldOfTheLog(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		seen := map[string]int{}
		for seed := range uint64(12) {
			db := db.fresh(t)
			log := newFakeLog("the log")
			w := newWorld(t, log, seed)
			w.setup()
			w.random(400)
			log.close()
			db.cfg.BatchRows = []int{1, 7, 60, 100_000}[seed%4]
			db.mirrorAll(t, log)
			report := db.same(t, log)
			if report.Desks != 2*worldDesks || report.Agents < worldDesks*worldAgents || report.Requests < 50 || report.Offers < 50 || report.Sessions < 2 {
				t.Fatalf("compared too little of the desks: %+v", report)
			}
			if report.Events != log.end.Seq || report.Claims < 50 || report.Pools != 2*worldPools || report.Realms != 2 {
				t.Fatalf("compared too little: %+v", report)
			}
			for name, n := range w.seen {
				seen[name] += n
			}
		}
		for _, name := range []string{"started", "realm_put", "pool_put", "seated", "seated+swap", "waiting", "waiting+swap",
			"seat_offered", "seat_offered+swap", "released", "released+swap", "wait becomes swap", "staff", "put while offered",
			"start while offered", "entered", "drawn", "drawn seated", "drawn waiting", "drawn released",
			"agent_removed", "agent_ready", "agent_heard", "offer_received", "offer_accepted", "offer rejected agent", "offer rejected going_away",
			"offer rescinded client", "offer rescinded max_wait", "offer revoked undelivered", "offer revoked removal", "offer timed_out deadline",
			"session done agent", "session queued agent_lost", "session aborted no_show", "request expired max_attempts",
			"request all_declined nobody_left", "request cancelled grace", "request cancelled restart"} {
			if seen[name] == 0 {
				t.Errorf("no history had %q", name)
			}
		}
		t.Log(seen)
	})
}
