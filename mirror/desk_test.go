package mirror

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/desk"
)

// theDesk is the log of helpDesk.
func theDesk(t *testing.T) *fakeLog {
	log := newFakeLog("a desk")
	w := newWorld(t, log, 1)
	w.now = at("08:00:00")
	w.start(0)
	helpDesk(w)
	w.frame()
	log.close()
	return log
}

// TestCheckFindsEveryDifferenceOfDesks plants one in each column of each table.
func TestCheckFindsEveryDifferenceOfDesks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := theDesk(t)
		first := map[string]string{"desks": "desk = 'acme'", "agents": "agent = 'bob'", "requests": "client = 'yan'", "offers": "agent = 'bob' AND state = 'rejected'",
			"sessions": "client = 'zoe'"}
		other := map[string]string{"config": `'{"policy":"queue"}'`, "topics": `'["x"]'`, "reach": "'socket'", "removed_at": "at", "accepting": "NOT accepting",
			"session": "coalesce(session, 0) + 1000", "state": "'aborted'", "wrap_until": "at"}
		n := 0
		db.mirrorAll(t, log)
		if r := db.same(t, log); r.Desks != 1 || r.Agents != 2 || r.Requests != 6 || r.Offers != 6 || r.Sessions != 3 {
			t.Fatalf("compared too little: %+v", r)
		}
		for _, l := range deskLayouts() {
			db.do(t, "CREATE TABLE saved_"+l.table+" AS SELECT * FROM "+l.table)
			for _, c := range l.columns[l.keys:] {
				set, ok := other[c.name]
				switch {
				case ok:
				case c.kind == numberCell:
					set = c.name + " + 1"
				case c.kind == timeCell && db.pg:
					set = "coalesce(" + c.name + ", at) + interval '1 second'"
				case c.kind == timeCell:
					set = "replace(coalesce(" + c.name + ", at), '2026', '2027')"
				default:
					set = "'x'"
				}
				n += db.plant(t, log, l, c.name, set, first[l.table])
			}
		}
		if n < 40 {
			t.Errorf("only %d differences could be planted", n)
		}
		for _, l := range deskLayouts() {
			db.do(t, "DELETE FROM "+l.table+" WHERE "+first[l.table])
			if r := db.compare(t, log); !slices.ContainsFunc(r.Differences, func(d string) bool {
				return strings.HasPrefix(d, "table "+l.table+", row ") && strings.HasSuffix(d, ": is missing")
			}) {
				t.Errorf("a missing row of %s: %q", l.table, r.Differences)
			}
			db.restore(t, l)
		}
	})
}

// restore makes a table what it was when it was saved.
func (db *database) restore(t *testing.T, l *layout) {
	db.do(t, "DELETE FROM "+l.table)
	db.do(t, "INSERT INTO "+l.table+" SELECT * FROM saved_"+l.table)
}

// plant changes one column and says whether the tables' constraints allowed it; the check must find it.
func (db *database) plant(t *testing.T, log *fakeLog, l *layout, column, set, where string) int {
	if err := db.try("UPDATE " + l.table + " SET " + column + " = " + set + " WHERE " + where); err != nil {
		return 0 // a constraint finds it
	}
	r := db.compare(t, log)
	db.restore(t, l)
	if !slices.ContainsFunc(r.Differences, func(d string) bool { return strings.HasPrefix(d, "table "+l.table+", row ") }) {
		t.Errorf("%s.%s = %s: %q", l.table, column, set, r.Differences)
	}
	return 1
}

// TestDeskRowsThatWereChanged: an event that finds a row other than the events before left it halts the mirror.
func TestDeskRowsThatWereChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		for sql, want := range map[string]string{
			"DELETE FROM requests WHERE client = 'uma'":                                   "table requests, row request=",
			"DELETE FROM offers WHERE state = 'pending'":                                  "table offers, row offer=",
			"DELETE FROM agents WHERE agent = 'eve'":                                      "table agents, row realm=help desk=acme agent=eve should have been there",
			"UPDATE agents SET state = 'busy' WHERE agent = 'eve'":                        "agent=eve should have had state init and had busy",
			"UPDATE offers SET agent = 'bob' WHERE state = 'pending'":                     "should have had agent bob",
			"UPDATE requests SET state = 'queued', agent = NULL WHERE state = 'offering'": "should have had state offering and had queued",
			"UPDATE desks SET config = '[]'":                                              "config is malformed",
		} {
			db := db.fresh(t)
			log := newFakeLog("a desk")
			w := newWorld(t, log, 1)
			w.now = at("08:00:00")
			w.start(0)
			helpDesk(w)
			w.frame()
			log.close()
			db.mirrorAll(t, log)
			db.do(t, sql)
			log.closed = false
			w.start(time.Minute)
			v, _ := w.step.State.Realm("help").Desks.Agent("acme", "eve")
			w.do("help", desk.AcceptOffer{Desk: "acme", Agent: "eve", Offer: v.Offer.ID})
			w.do("help", desk.Cancel{Desk: "acme", Client: "uma", Request: w.lastOf("uma")})
			w.frame()
			log.close()
			m, err := Open(db.cfg)
			check(t, err)
			err = m.Run(within(t), log)
			if want == "should have had agent bob" {
				want = "should have had agent eve and had bob"
			}
			if !errors.Is(err, ErrHalted) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; should be %q", sql, err, want)
			}
		}
	})
}

// TestDesksAgainstTheirConstraints: what cannot be, the tables refuse.
func TestDesksAgainstTheirConstraints(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		db.mirrorAll(t, theDesk(t))
		for _, sql := range []string{
			"UPDATE requests SET state = 'queued', ended_at = NULL, client = 'uma', agent = NULL WHERE client = 'xia'",
			"UPDATE requests SET expires_at = NULL WHERE client = 'uma'",
			"UPDATE requests SET ended_at = at WHERE client = 'uma'",
			"UPDATE requests SET agent = NULL WHERE client = 'vic'",
			"UPDATE offers SET agent = 'eve', state = 'pending', ended_at = NULL, session = NULL WHERE attempt = 2",
			"UPDATE offers SET attempt = 1",
			"UPDATE offers SET session = 1 WHERE state = 'rejected'",
			"UPDATE sessions SET ended_at = NULL, agent = 'eve'",
			"UPDATE agents SET accepting = NOT accepting WHERE agent = 'bob'",
			"UPDATE agents SET removed_at = at WHERE agent = 'eve'",
			"UPDATE agents SET connections = -1",
			"UPDATE agents SET state = 'asleep'",
		} {
			if db.try(sql) == nil {
				t.Errorf("the tables took: %s", sql)
			}
		}
	})
}

// TestNullsOfDesks: nothing is an empty text, and no time is 1970.
func TestNullsOfDesks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := busyHistory(t, 9, 300, 3)
		db.mirrorAll(t, log)
		db.same(t, log)
		for _, l := range deskLayouts() {
			for _, c := range l.columns {
				where := c.name + " = ''"
				switch c.kind {
				case boolCell:
					continue
				case jsonCell:
					where = "cast(" + c.name + " AS text) IN ('', 'null', '[]')"
				case numberCell:
					where = c.name + " = 0 AND '" + c.name + "' NOT IN ('priority', 'connections', 'attempts')"
				case timeCell:
					where = c.name + " < '2026-01-01T00:00:00.000000Z'"
				}
				if n := db.do(t, "SELECT count(*) FROM "+l.table+" WHERE "+where); n != "0" {
					t.Errorf("%s.%s: %s rows with %s", l.table, c.name, n, where)
				}
			}
		}
		for _, where := range []string{"data IS NULL", "data LIKE '%DROP TABLE%'", "key IS NULL", "topic IS NULL", "topic = 'tax'", "reason LIKE 'Grüße%'"} {
			if db.do(t, "SELECT count(*) FROM requests WHERE "+where) == "0" {
				t.Errorf("no request with %s", where)
			}
		}
	})
}

// TestBigTextsOfDesks: the longest data, reasons and names are taken, and come back as they were but for NUL.
func TestBigTextsOfDesks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := newFakeLog("big")
		w := newWorld(t, log, 1)
		w.now = at("08:00:00")
		w.start(0)
		helpDesk(w)
		long := func(most int) string { return strings.Repeat("\"\\\x00ü😀\t\x1f'", most/12) }
		res := w.do("help", desk.Request{Desk: "acme", Client: strings.Repeat("k", desk.MaxID), Ask: desk.Ask{Reach: desk.Push, Data: long(desk.MaxData), Key: strings.Repeat("x", desk.MaxID)}})
		w.do("help", desk.Cancel{Desk: "acme", Request: res.Desk.Request.ID, Staff: desk.Staff{By: long(desk.MaxReason), Reason: long(desk.MaxReason)}})
		w.frame()
		log.close()
		db.mirrorAll(t, log)
		db.same(t, log)
		got := db.do(t, fmt.Sprintf("SELECT r.data || r.reason || (e.body ->> 'by') FROM requests r JOIN events e ON e.seq = r.seq WHERE r.request = %d", res.Desk.Request.ID))
		if want := strings.ReplaceAll(long(desk.MaxData)+long(desk.MaxReason)+long(desk.MaxReason), "\x00", "\uFFFD"); got != want {
			t.Errorf("%q\nshould be\n%q", got, want)
		}
	})
}

// TestStartAtDesks: a start takes the connections of all, and gives who has an offer or waits their desk's grace, each desk
// its own; one transaction or two.
func TestStartAtDesks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		for _, split := range []bool{false, true} {
			db := db.fresh(t)
			log := newFakeLog("start")
			w := newWorld(t, log, 1)
			w.now = at("08:00:00")
			w.start(0)
			helpDesk(w)
			c := desk.DefaultConfig()
			c.Policy, c.QueueLimit, c.RestartGrace = desk.Queue, 5, 10*time.Minute
			w.do("help", desk.PutDesk{Desk: "acme", Config: c})
			w.do("help", desk.Attach{Desk: "acme", Agent: "bob", Conn: 7})
			if split {
				w.frame()
				log.close()
				db.mirrorAll(t, log)
				if got := db.do(t, "SELECT connections FROM agents WHERE agent = 'bob'"); got != "1" {
					t.Errorf("bob has %s connections", got)
				}
				log.closed = false
			}
			w.pass(time.Second)
			w.start(time.Minute)
			w.frame()
			log.close()
			db.mirrorAll(t, log)
			db.same(t, log)
			for query, want := range map[string]string{
				"SELECT connections FROM agents WHERE agent = 'bob'":                                  "0",
				"SELECT substr(cast(deadline_at AS text), 12, 8) FROM offers WHERE state = 'pending'": "08:13:36",
				"SELECT substr(cast(expires_at AS text), 12, 8) FROM requests WHERE state = 'queued'": "08:13:36",
			} {
				if got := db.do(t, query); got != want {
					t.Errorf("split %v: %s is %s, should be %s", split, query, got, want)
				}
			}
		}
	})
}

// TestAgentWhoComesBack: an agent who was removed and is put again is the same row.
func TestAgentWhoComesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := newFakeLog("back")
		w := newWorld(t, log, 1)
		w.now = at("08:00:00")
		w.start(0)
		helpDesk(w)
		w.do("help", desk.RemoveAgent{Desk: "acme", Agent: "eve", Staff: desk.Staff{Reason: "left"}})
		w.frame()
		log.close()
		db.mirrorAll(t, log)
		db.same(t, log)
		const row = "SELECT state, CASE WHEN removed_at IS NULL THEN 'here' ELSE 'gone' END, substr(cast(state_since AS text), 12, 8) FROM agents WHERE agent = 'eve'"
		if got := db.do(t, row); got != "offline|gone|08:03:35" {
			t.Error(got)
		}
		log.closed = false
		w.pass(time.Minute)
		w.do("help", desk.PutAgent{Desk: "acme", Agent: "eve", Profile: desk.Profile{Reach: desk.Push}})
		w.frame()
		w.pass(time.Minute)
		w.do("help", desk.Online{Desk: "acme", Agent: "eve"})
		w.do("help", desk.RemoveAgent{Desk: "acme", Agent: "eve", Staff: desk.Staff{Reason: "again"}})
		w.do("help", desk.PutAgent{Desk: "acme", Agent: "eve"})
		w.frame()
		log.close()
		db.mirrorAll(t, log)
		db.same(t, log)
		if got := db.do(t, row); got != "offline|here|08:05:35" {
			t.Error(got)
		}
	})
}

// TestRequestsThatLeftTheState: the mirror keeps what the state forgets after a day, the check still finds what is wrong
// with it, and a rebuild from a snapshot leaves it.
func TestRequestsThatLeftTheState(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := newFakeLog("a day")
		w := newWorld(t, log, 1)
		w.now = at("08:00:00")
		w.start(0)
		helpDesk(w)
		w.frame()
		w.pass(desk.KeepFinished + time.Hour)
		w.do("help", desk.LookAgent{Desk: "acme", Agent: "eve"})
		w.frame()
		w.do("help", desk.PutAgent{Desk: "acme", Agent: "new"})
		w.frame()
		log.close()
		if _, ok := w.step.State.Realm("help").Desks.Request("acme", w.firstRequest(log)); ok {
			t.Fatal("the state still has the first request")
		}
		db.mirrorAll(t, log)
		if r := db.same(t, log); r.Requests != 6 || r.Offers != 6 || r.Sessions != 3 {
			t.Errorf("%+v", r)
		}
		before := db.dumpDesks(t, true)
		log.first = log.position(w.firstRequest(log)).Seq + 1
		check(t, Rebuild(within(t), db.cfg, log.truth(), log.end))
		sameRows(t, before, db.dumpDesks(t, true))
		db.do(t, "UPDATE sessions SET cause = 'x' WHERE client = 'zoe'")
		db.do(t, "UPDATE requests SET reason = 'x' WHERE client = 'zoe'")
		db.do(t, "UPDATE requests SET attempts = 5 WHERE client = 'yan'")
		db.do(t, "UPDATE offers SET state = 'revoked' WHERE state = 'rejected'")
		if r := db.compare(t, log); r.Different != 4 {
			t.Errorf("%+v", r)
		}
	})
}

// firstRequest is the id of the first request of a log.
func (w *world) firstRequest(log *fakeLog) (id uint64) {
	check(w.tb, log.truth().Events(w.tb.Context(), 1, log.end.Seq, func(e *holdfast.Event) error {
		if id == 0 && e.KindName() == "request_made" {
			id = e.Seq
		}
		return nil
	}))
	return id
}
