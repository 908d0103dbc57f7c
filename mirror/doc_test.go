package mirror

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/seat"
)

// TestDocumentedQueries runs every query of docs/DATABASE.md, on the databases that it is for, against a history in which
// each finds something.
func TestDocumentedQueries(t *testing.T) {
	text, err := os.ReadFile("../docs/DATABASE.md")
	check(t, err)
	blocks := regexp.MustCompile("(?s)```sql ?(\\w*)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 19 {
		t.Fatalf("found only %d blocks", len(blocks))
	}
	onBoth(t, func(t *testing.T, db *database) {
		log := newFakeLog("documented")
		w := newWorld(t, log, 1)
		w.now = at("07:59:00")
		begin(w)
		w.put("c0101", seat.Config{Capacity: 2})
		w.put("c1", offering(0))
		w.claim("c0101", "s00001", "s00002", "s00003", "s00017", "s00018", "s00019")
		w.claim("c1", "s00002", "s00017")
		w.release("c0101", "s00001", "s00002")
		w.release("c1", "s00002")
		w.do("spring", seat.Override{Pool: "c0101", Person: "s00017", Action: seat.RemovePerson, Reason: "moved", By: "Ms. Smith"})
		w.put("c0301", lots(seat.Config{Capacity: 2}, w.now.Add(time.Minute), 1))
		w.claim("c0301", "s00001", "s00002", "s00003", "s00004", "s00005")
		w.pass(time.Minute)
		w.claim("c0301", "s00006")
		helpDesk(w)
		w.frame()
		log.close()
		db.mirrorAll(t, log)
		dialect := "sqlite"
		if db.pg {
			dialect = "postgres"
		}
		if db.pg { // roles belong to the whole server, not to the test's database
			t.Cleanup(func() {
				for _, role := range []string{"registrar", "holdfast_writer"} {
					db.rows(t, "DROP OWNED BY "+role+" CASCADE")
					db.rows(t, "DROP ROLE "+role)
				}
			})
		}
		run, reported := 0, map[string]bool{}
		for _, b := range blocks {
			if b[1] != "" && b[1] != dialect {
				continue
			}
			for _, query := range strings.Split(strings.TrimSpace(b[2]), ";\n") {
				rows := db.rows(t, query)
				run++
				reported[checkReport(t, query, rows)] = true
				for i, row := range rows {
					if place := strconv.Itoa(i + 1); strings.Contains(query, "by_seed") && (!strings.HasPrefix(row, place+"|") || !strings.HasSuffix(row, "|"+place)) {
						t.Errorf("the draw is not in the order of its seed: %s", row)
					}
				}
				if isSelect := strings.HasPrefix(query, "SELECT"); isSelect && len(rows) == 0 && !strings.Contains(query, "students") {
					t.Errorf("finds nothing: %s", query)
				}
				if strings.HasPrefix(query, "CREATE TABLE courses") {
					db.rows(t, "INSERT INTO students SELECT DISTINCT person, person, person FROM claims")
					db.rows(t, "INSERT INTO courses SELECT pool, pool, NULL FROM pools")
				}
			}
		}
		if delete(reported, ""); len(reported) != len(reports) {
			t.Errorf("only the reports %v were found", reported)
		}
		if run < 15 {
			t.Errorf("only %d queries ran", run)
		}
		if !db.pg {
			return
		}
		const may = "SELECT has_table_privilege('registrar', 'holdfast.claims', 'SELECT'), has_table_privilege('registrar', 'holdfast.claims', 'INSERT, UPDATE, DELETE, TRUNCATE')"
		if got := db.do(t, may); got != "true|false" {
			t.Errorf("the role registrar may read and write: %s", got)
		}
	})
}
