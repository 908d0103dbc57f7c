package mirror

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"holdfast/engine"
	"holdfast/seat"
)

// TestCheckFindsEveryDifference plants one in each table, and each way.
func TestCheckFindsEveryDifference(t *testing.T) {
	cases := []struct{ sql, want string }{
		{"UPDATE realms SET max_waits_per_person = 7", "table realms, row realm=spring: is"},
		{"DELETE FROM realms", "table realms, row realm=spring: is missing"},
		{"INSERT INTO realms (realm, max_waits_per_person, seq, at) SELECT 'x', 1, seq, at FROM realms", "table realms, row realm=x: the log has no such"},
		{"UPDATE pools SET capacity = 99 WHERE pool = 'c1'", "table pools, row realm=spring pool=c1: is"},
		{"UPDATE pools SET seated = seated + 1 WHERE pool = 'c1'", "table pools, row realm=spring pool=c1: is"},
		{"UPDATE pools SET entered = entered + 1 WHERE pool = 'c1'", "table pools, row realm=spring pool=c1: is"},
		{"UPDATE pools SET pool_order = 'lottery', seed_hash = 'x' WHERE pool = 'c1'", "table pools, row realm=spring pool=c1: is"},
		{"DELETE FROM pools WHERE pool = 'c2'", "table pools, row realm=spring pool=c2: is missing"},
		{"INSERT INTO pools (realm, pool, capacity, promotion, seq, at) SELECT realm, 'x', 1, 'auto', seq, at FROM pools WHERE pool = 'c1'",
			"table pools, row realm=spring pool=x: the log has no such"},
		{"UPDATE claims SET seat = 2 WHERE person = 'a'", "table claims, row realm=spring pool=c1 person=a: is"},
		{"UPDATE claims SET ticket = 77 WHERE person = 'b'", "table claims, row realm=spring pool=c1 person=b: is"},
		{"UPDATE claims SET swap = NULL WHERE person = 'c'", "table claims, row realm=spring pool=c1 person=c: is"},
		{"UPDATE claims SET cause = 'staff' WHERE person = 'a'", "table claims, row realm=spring pool=c1 person=a: cause"},
		{"DELETE FROM claims WHERE person = 'b'", "table claims, row realm=spring pool=c1 person=b: is missing"},
		{"INSERT INTO claims (realm, pool, person, status, seq, at) SELECT realm, pool, 'x', 'released', seq, at FROM claims WHERE person = 'a'",
			"table claims, row realm=spring pool=c1 person=x: the log has no such"},
		{"UPDATE events SET body = '{}' WHERE seq = 5", "table events, row seq=5: is"},
		{"UPDATE events SET kind = 'x' WHERE seq = 1", "table events, row seq=1: is"},
		{"DELETE FROM events WHERE seq = 4", "table events, row seq=4: is missing"},
		{"INSERT INTO events (seq, at, realm, kind, body) SELECT 99, at, realm, kind, body FROM events WHERE seq = 1",
			"table events, row seq=99: lies beyond"},
	}
	onBoth(t, func(t *testing.T, db *database) {
		log := newFakeLog("checked")
		w := newWorld(t, log, 1)
		tampered(w)
		log.close()
		for _, c := range cases {
			db := db.fresh(t)
			db.mirrorAll(t, log)
			if r := db.same(t, log); r.Realms != 1 || r.Pools != 2 || r.Claims != 4 || r.Events != log.end.Seq {
				t.Fatalf("compared too little: %+v", r)
			}
			db.do(t, c.sql)
			r := db.compare(t, log)
			found := slices.ContainsFunc(r.Differences, func(d string) bool { return strings.HasPrefix(d, c.want) })
			if r.Different != uint64(len(r.Differences)) || r.Different > 2 || !found { // an event may differ from its claim too
				t.Errorf("%s: %d differences: %q, should be %q", c.sql, r.Different, r.Differences, c.want)
			}
			var text strings.Builder
			r.WriteTo(&text)
			if !strings.Contains(text.String(), c.want) {
				t.Error(text.String())
			}
		}
	})
}

// TestRebuild: from a whole log, from a trimmed one, and in a database of another log.
func TestRebuild(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := busyHistory(t, 11, 600, 3)
		if log.end.Seq < 1500 {
			t.Fatal("the history is too short: ", log.end.Seq)
		}
		db.mirrorAll(t, log)
		before, known := db.dumpDesks(t, true), db.dumpDesks(t, false)
		db.do(t, "UPDATE claims SET cause = 'nonsense', seq = 1")
		db.do(t, "DELETE FROM events WHERE seq > 100")
		for _, table := range deskTables() {
			db.do(t, "DELETE FROM "+table+" WHERE seq > 500")
		}
		check(t, Rebuild(within(t), db.cfg, log.truth(), engine.Position{}))
		if n := db.do(t, "SELECT count(*) FROM events"); n != "0" {
			t.Errorf("%s events are left", n)
		}
		db.mirrorAll(t, log)
		db.same(t, log)
		sameRows(t, before, db.dumpDesks(t, true))

		// The log begins at 800 now; a snapshot of the state is at 1200 or a little later.
		db.do(t, "UPDATE claims SET cause = 'nonsense', seq = 1")
		db.do(t, "UPDATE events SET body = '{}' WHERE seq > 1100")
		old := db.do(t, "SELECT body FROM events WHERE seq = 7")
		log.first = log.position(799).Seq + 1
		base := log.position(1200)
		check(t, Rebuild(within(t), db.cfg, log.truth(), base))
		if pos, ok, err := Cursor(within(t), db.cfg); err != nil || !ok || pos != base {
			t.Errorf("cursor %+v, %v, %v; should be %+v", pos, ok, err, base)
		}
		part := log.truth()
		if r, err := Check(within(t), db.cfg, part); err != nil || r.Different != 0 || r.Behind != log.end.Seq-base.Seq {
			t.Errorf("%+v, %v", r, err)
		}
		if db.do(t, "SELECT body FROM events WHERE seq = 7") != old {
			t.Error("the history before the log's beginning is gone")
		}
		db.mirrorAll(t, log)
		db.same(t, log)
		sameRows(t, known, db.dumpDesks(t, false))
		if n := db.do(t, "SELECT count(*) FROM claims WHERE cause IS NULL"); n != "0" {
			t.Errorf("%s claims have no cause", n)
		}

		other := history(t, 12, 100)
		other.id[0]++
		other.end.LogID = other.id
		check(t, Rebuild(within(t), db.cfg, other.truth(), engine.Position{}))
		db.mirrorAll(t, other)
		db.same(t, other)

		short := log.truth()
		if err := Rebuild(within(t), db.cfg, short, engine.Position{}); err == nil || !strings.Contains(err.Error(), "snapshot") {
			t.Errorf("a trimmed log without a snapshot: %v", err)
		}
		db.same(t, other)
	})
}

// dumpDesks gives every row of the tables of desks. What only a whole log knows of every row is left out on request: the
// last event that changed it.
func (db *database) dumpDesks(tb testing.TB, whole bool) (rows []string) {
	for _, l := range deskLayouts() {
		columns := l.names()
		if !whole {
			columns = strings.TrimSuffix(columns, ", seq, at")
		}
		for _, row := range db.rows(tb, "SELECT "+columns+" FROM "+l.table+" ORDER BY "+l.keyNames()) {
			rows = append(rows, l.table+": "+row)
		}
	}
	return rows
}

func sameRows(tb testing.TB, before, after []string) {
	tb.Helper()
	for i := range max(len(before), len(after)) {
		if i >= len(before) || i >= len(after) || before[i] != after[i] {
			tb.Fatalf("%d rows, before %d. The first that differs:\n%s\n%s", len(after), len(before), before[min(i, len(before)-1)], after[min(i, len(after)-1)])
		}
	}
}

// TestLibc: modernc.org/sqlite works only with the very modernc.org/libc that its own go.mod names.
func TestLibc(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-json", "modernc.org/sqlite").Output()
	check(t, err)
	var sqlite struct{ GoMod string }
	check(t, json.Unmarshal(out, &sqlite))
	theirs, err := os.ReadFile(sqlite.GoMod)
	check(t, err)
	out, err = exec.Command("go", "list", "-m", "modernc.org/libc").Output()
	check(t, err)
	if ours := strings.TrimSpace(string(out)); !strings.Contains(string(theirs), "\t"+ours+"\n") {
		t.Errorf("this module builds with %s, and sqlite's go.mod names another", ours)
	}
}

func TestStorable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":"b"}`:              `{"a":"b"}`,
		`{"a":"\u0000"}`:         `{"a":"\ufffd"}`,
		`{"a":"\\u0000"}`:        `{"a":"\\u0000"}`,
		`{"a":"\\\u0000"}`:       `{"a":"\\\ufffd"}`,
		`{"a":"\ud83d\ude00"}`:   `{"a":"\ud83d\ude00"}`,
		`{"a":"\ud83dx\ude00"}`:  `{"a":"\ufffdx\ufffd"}`,
		`{"a":"\uD83D\uD83D"}`:   `{"a":"\ufffd\ufffd"}`,
		`{"a":"\u00fc\n"}`:       `{"a":"\u00fc\n"}`,
		"{\"a\":\"\xff\"}":       "{\"a\":\"\uFFFD\"}",
		`{"a":"\ud800"}`:         `{"a":"\ufffd"}`,
		`{"a":"\udfff\u0001\""}`: `{"a":"\ufffd\u0001\""}`,
	} {
		if got := storable(in); got != want {
			t.Errorf("%s: %s, should be %s", in, got, want)
		}
		if !json.Valid([]byte(storable(in))) {
			t.Errorf("%s is no JSON any more", in)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                   "missing",
		"mysql://x":                          "mysql",
		"postgres://u:secret@h:99999999/x":   "Postgres URL",
		"postgres://u:secret@h/x?sslmode=no": "Postgres URL",
		"sqlite:":                            "path",
		"sqlite::memory:":                    "path",
	} {
		cfg := DefaultConfig()
		cfg.URL = url
		_, err := Open(cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{"holdfast.db", "./a:b.db", "/x/y.db", "sqlite:y.db", `C:\x.db`, "postgres://h/x", "postgresql://h/x"} {
		cfg := DefaultConfig()
		cfg.URL = url
		if _, err := Open(cfg); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	cfg := DefaultConfig()
	cfg.URL, cfg.BatchRows = "x.db", 0
	if _, err := Open(cfg); err == nil {
		t.Error("BatchRows 0 is taken")
	}
}

// TestHostileData: whatever somebody puts into a pool's data or a reason, both databases take it.
func TestHostileData(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := newFakeLog("hostile")
		w := newWorld(t, log, 1)
		begin(w)
		w.put("c1", seat.Config{Capacity: 1, Data: strings.Repeat("[", 8000) + strings.Repeat("]", 8000)})
		w.put("c2", seat.Config{Capacity: 1, Data: `[1e400000, {"a": 1, "a": 2}, "\u0000\ud800", "'); DROP TABLE claims; --"]`})
		w.do("spring", seat.Override{Pool: "c1", Person: "a", Action: seat.SeatPerson, Reason: "a\x00b\\u0000", By: "'\"\t\u2028"})
		w.frame()
		log.close()
		db.mirrorAll(t, log)
		db.same(t, log)
		if got := db.do(t, "SELECT body ->> 'reason' FROM events WHERE kind = 'seated'"); got != "a\uFFFDb\\u0000" {
			t.Errorf("%q", got)
		}
	})
}
