package mirror

import (
	"strings"
	"testing"

	"holdfast/engine"
)

// TestSchemaOfTheFirstVersion: tables of version 1, with rows and with what a customer made on them, become those of this
// version, and a rebuild makes the schema again where it is already.
func TestSchemaOfTheFirstVersion(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		dialect, table := "sqlite", "CREATE TABLE schema_version (version integer PRIMARY KEY, checksum text NOT NULL, at text NOT NULL) STRICT"
		if db.pg {
			dialect = "postgres"
			db.rows(t, "CREATE SCHEMA holdfast")
			table = "CREATE TABLE holdfast.schema_version (version integer PRIMARY KEY, checksum text NOT NULL, at timestamptz NOT NULL)"
		}
		all, err := migrations(dialect)
		check(t, err)
		db.rows(t, table)
		for statement := range strings.SplitSeq(all[0].sql, ";\n") {
			if strings.TrimSpace(statement) != "" {
				db.rows(t, statement)
			}
		}
		db.rows(t, "INSERT INTO schema_version VALUES (1, '"+all[0].checksum+"', '2026-09-01T08:00:00Z')")
		const moment = "'2026-09-01T08:00:00.000000Z'"
		db.rows(t, "INSERT INTO claims (realm, pool, person, status, seat, seq, at) VALUES ('r', 'p', 'x', 'seated', 1, 5, "+moment+")")
		db.rows(t, "INSERT INTO pools (realm, pool, capacity, promotion, seq, at) VALUES ('r', 'p', 1, 'auto', 4, "+moment+")")
		db.rows(t, "CREATE VIEW who AS SELECT person FROM claims")

		log := newFakeLog("first version")
		w := newWorld(t, log, 1)
		s, err := db.cfg.newStore()
		check(t, err)
		check(t, s.open(within(t)))
		s.close()
		if got := db.do(t, "SELECT max(version) FROM schema_version"); got != "3" {
			t.Errorf("version %s", got)
		}
		if got := db.do(t, "SELECT pool_order, entered FROM pools"); got != "arrival|0" {
			t.Errorf("the pool of before is %s", got)
		}
		if got := db.do(t, "SELECT person FROM who"); got != "x" {
			t.Errorf("the view has %q", got)
		}
		db.rows(t, "UPDATE claims SET status = 'entered', seat = NULL")

		lottery(w)
		w.frame()
		log.close()
		check(t, Rebuild(within(t), db.cfg, log.truth(), log.position(log.end.Seq)))
		db.same(t, log)
		check(t, Rebuild(within(t), db.cfg, log.truth(), engine.Position{}))
		db.mirrorAll(t, log)
		db.same(t, log)
		if got := db.do(t, "SELECT count(*) FROM who"); got != "3" {
			t.Errorf("the view has %s rows", got)
		}
		if db.pg {
			return
		}
		if got := db.do(t, "PRAGMA integrity_check"); got != "ok" {
			t.Error(got)
		}
	})
}
