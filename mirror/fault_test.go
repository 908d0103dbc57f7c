package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"holdfast/engine"
	"holdfast/internal/pgtest"
)

// history makes a closed log of n random commands.
func history(tb testing.TB, seed uint64, n int) *fakeLog { return busyHistory(tb, seed, n, 1) }

// busyHistory has so many commands at desks beside each at a pool.
func busyHistory(tb testing.TB, seed uint64, n, desks int) *fakeLog {
	log := newFakeLog("history")
	w := newWorld(tb, log, seed)
	w.desks.often = desks
	w.setup()
	w.random(n)
	log.close()
	return log
}

// TestExactlyOnce lets the k-th step of a mirror fail, for every k until none does: before, between and after the
// statements, at the commit, and after a commit whose answer is lost. Once with the same process going on, and once with
// a new one.
func TestExactlyOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := newFakeLog("history")
		w := newWorld(t, log, 3)
		w.desks.often = 0
		w.setup()
		for _, name := range []string{"one", "two", "three", "four"} {
			w.random(30)
			aDesk(w, name)
			w.frame()
		}
		log.close()
		for _, again := range []bool{true, false} {
			fired := map[string]bool{}
			for k := 0; ; k++ {
				db := db.fresh(t)
				db.cfg.BatchRows = 100
				done := db.failAt(t, log, func(n int, _ string) bool { return n == k }, again, fired)
				db.same(t, log)
				if done {
					break
				}
			}
			for _, step := range []string{"begin", "cursor", "events", "pools", "vacated", "claims", "counts", "desks", "agents",
				"requests", "offers", "sessions", "commit", "committed"} {
				if fired[step] {
					continue
				}
				// Where a transaction ends is chance, and so may be which step is the k-th.
				db := db.fresh(t)
				if db.failAt(t, log, func(_ int, is string) bool { return is == step }, again, fired) {
					t.Errorf("step %s never failed", step)
				}
				db.same(t, log)
			}
		}
	})
}

// fresh is another empty database of the same kind. A new schema costs Postgres less than a new database.
func (db *database) fresh(tb testing.TB) *database {
	if !db.pg {
		return newSQLiteDB(tb)
	}
	db.rows(tb, "DROP SCHEMA IF EXISTS holdfast CASCADE")
	return &database{cfg: testConfig(db.cfg.URL), pg: true}
}

// failAt mirrors log with a failure at the first step that fails says, and says whether there was no such step.
func (db *database) failAt(t *testing.T, log *fakeLog, fails func(n int, step string) bool, again bool, fired map[string]bool) (done bool) {
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	n, failed := 0, false
	cfg := db.cfg
	cfg.RetryMost = time.Millisecond
	cfg.hook = func(step string) error {
		n++
		if failed || !fails(n-1, step) {
			return nil
		}
		failed, fired[step] = true, true
		if !again {
			cancel()
		}
		return errors.New("planted at " + step)
	}
	m, err := Open(cfg)
	check(t, err)
	err = m.Run(ctx, log)
	if !failed {
		check(t, err)
		return true
	}
	if again {
		check(t, err)
	} else {
		db.mirrorAll(t, log)
	}
	return false
}

// TestTwoMirrors: of two that have read the same cursor one loses, and goes on from where the other is; nothing is there
// twice.
func TestTwoMirrors(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := history(t, 5, 300)
		db.cfg.BatchRows = 20
		var both sync.WaitGroup
		both.Add(2)
		ends := make(chan error, 2)
		var retries atomic.Int64
		for range 2 {
			cfg, first := db.cfg, true
			cfg.hook = func(step string) error {
				if first && step == "begin" {
					first = false
					both.Done()
					both.Wait()
				}
				return nil
			}
			m, err := Open(cfg)
			check(t, err)
			go func() {
				err := m.Run(within(t), log)
				retries.Add(int64(counted(t, m.metrics.retries)))
				ends <- err
			}()
		}
		check(t, <-ends)
		check(t, <-ends)
		db.same(t, log)
		if retries.Load() == 0 {
			t.Error("nobody ever lost")
		}
	})
}

func counted(t *testing.T, c prometheus.Counter) float64 {
	var m dto.Metric
	check(t, c.Write(&m))
	return m.GetCounter().GetValue()
}

// TestDatabaseDownFromTheStart: the mirror waits, and catches up when the database is there. Nothing of the log may go.
func TestDatabaseDownFromTheStart(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newPostgresDB(t, server)
	server.Kill()
	log := history(t, 6, 200)
	log.retained = 99
	m, err := Open(db.cfg)
	check(t, err)
	run := make(chan error, 1)
	go func() { run <- m.Run(within(t), log) }()
	for m.Status().Err == nil {
		m.change(func(*progress) {}) // let go of the processor
	}
	if s, kept := m.Status(), log.kept(); s.State != Connecting || s.LagEvents != log.end.Seq || kept != 0 {
		t.Errorf("down: %+v, retained %d", s, kept)
	}
	check(t, server.Restart())
	check(t, m.Wait(within(t), log.end.Seq))
	check(t, <-run)
	db.same(t, log)
	if kept := log.kept(); kept != log.end.Seq {
		t.Errorf("retained %d of %d", kept, log.end.Seq)
	}
}

// TestDatabaseKilledInTheMiddle kills Postgres between the statements of a transaction, a few times.
func TestDatabaseKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newPostgresDB(t, server)
	log := history(t, 7, 600)
	db.cfg.BatchRows = 20
	var steps atomic.Int64
	db.cfg.hook = func(string) error {
		if n := steps.Add(1); n == 31 || n == 77 || n == 141 {
			server.Kill()
			return server.Restart() // what follows meets a lost connection
		}
		return nil
	}
	db.mirrorAll(t, log)
	if steps.Load() < 141 {
		t.Fatal("killed too little")
	}
	db.cfg.hook = nil
	db.same(t, log)
}

// TestSomebodyWroteThere: a row that is not as the log says halts the mirror when it comes to it, by name.
func TestSomebodyWroteThere(t *testing.T) {
	const put = "INSERT INTO claims (realm, pool, person, status, seat, seq, at) VALUES ('spring', 'c1', 'z', 'seated', %s, 1, '2026-09-01T08:00:00Z')"
	cases := []struct {
		name, sql string
		next      func(w *world)
		want      []string
	}{
		{"deleted a claim", "DELETE FROM claims WHERE person = 'a'", func(w *world) { w.release("c1", "a") },
			[]string{"table claims, row realm=spring pool=c1 person=a", "seated"}},
		{"changed a status", "UPDATE claims SET status = 'released', seat = NULL WHERE person = 'a'", func(w *world) { w.release("c1", "a") },
			[]string{"table claims, row realm=spring pool=c1 person=a", "seated"}},
		{"seated somebody who waits", "UPDATE claims SET status = 'seated', seat = 9, ticket = NULL, swap = NULL WHERE person = 'c'",
			func(w *world) { w.release("c1", "c") }, []string{"table claims, row realm=spring pool=c1 person=c", "waiting"}},
		{"made the claim before us", fmt.Sprintf(put, "7"), func(w *world) { w.claim("c1", "y", "z") },
			[]string{"claims", "spring", "c1", "z"}},
		{"took the seat", fmt.Sprintf(put, "2"), func(w *world) { w.put("c1", seatConfig(4)); w.claim("c1", "d") },
			[]string{"claims", "spring", "c1", "seat"}},
		{"deleted a pool", "DELETE FROM pools", func(w *world) { w.release("c1", "a") }, []string{"table pools", "realm=spring pool=c1"}},
		{"changed a count", "UPDATE pools SET waiting = 0", func(w *world) { w.release("c1", "c") }, []string{"pools", "c1"}},
		{"wrote an event", "INSERT INTO events (seq, at, realm, kind, body) SELECT max(seq) + 1, '2026-09-01T08:00:00Z', '', 'x', '{}' FROM events",
			func(w *world) { w.release("c1", "c") }, []string{"events", "seq"}},
		{"dropped a table", "DROP TABLE events", func(w *world) { w.release("c1", "c") }, []string{"events"}},
		{"deleted the cursor", "DELETE FROM progress", func(w *world) { w.release("c1", "c") }, []string{"table progress"}},
		{"broke the cursor", "UPDATE progress SET hash = 'x'", func(w *world) { w.release("c1", "c") }, []string{"table progress", "hash"}},
		{"took a swap", "UPDATE claims SET swap = NULL WHERE person = 'c'", func(w *world) { w.release("c2", "c") },
			[]string{"table claims, row realm=spring pool=c1 person=c", "c2"}},
	}
	onBoth(t, func(t *testing.T, db *database) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				db := db.fresh(t)
				log := newFakeLog("tampered")
				w := newWorld(t, log, 1)
				tampered(w)
				log.close()
				db.mirrorAll(t, log)
				db.do(t, c.sql)
				log.closed = false
				m, err := Open(db.cfg)
				check(t, err)
				c.next(w)
				w.frame()
				log.close()
				err = m.Run(within(t), log)
				if !errors.Is(err, ErrHalted) {
					t.Fatalf("not halted: %v", err)
				}
				for _, want := range append(c.want, "holdfast mirror rebuild") {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q is not named in: %v", want, err)
					}
				}
				if s := m.Status(); s.State != Halted || !errors.Is(s.Err, ErrHalted) {
					t.Errorf("status: %+v", s)
				}
				if err := m.Wait(within(t), log.end.Seq); !errors.Is(err, ErrHalted) {
					t.Errorf("Wait: %v", err)
				}
				// The way out: rebuild, and mirror again.
				check(t, Rebuild(within(t), db.cfg, log.truth(), engine.Position{}))
				db.mirrorAll(t, log)
				db.same(t, log)
			})
		}
	})
}

func tampered(w *world) {
	begin(w)
	w.put("c1", seatConfig(1))
	w.put("c2", seatConfig(1))
	w.claim("c1", "a", "b")
	w.claim("c2", "c")
	w.swap1("c", "c2", "c1")
	w.frame()
}

// TestForeignDatabase: a database of another log, of a log that lost its end, or with another history, is refused by name.
func TestForeignDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := history(t, 8, 50)
		db.mirrorAll(t, log)
		halted := func(log *fakeLog, wants ...string) {
			t.Helper()
			m, err := Open(db.cfg)
			check(t, err)
			err = m.Run(within(t), log)
			if !errors.Is(err, ErrHalted) {
				t.Fatalf("not halted: %v", err)
			}
			for _, want := range wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		}
		other := history(t, 8, 50)
		other.id[0]++
		other.end.LogID = other.id
		halted(other, "another log", hexID(log.end), hexID(other.end))
		if _, err := Check(within(t), db.cfg, other.truth()); err == nil || !strings.Contains(err.Error(), "another log") {
			t.Errorf("Check: %v", err)
		}
		short := history(t, 8, 20)
		halted(short, "ahead of the log", fmt.Sprint(log.end.Seq), fmt.Sprint(short.end.Seq))
		if _, err := Check(within(t), db.cfg, short.truth()); err == nil || !strings.Contains(err.Error(), "ahead of the log") {
			t.Errorf("Check: %v", err)
		}
		halted(history(t, 9, 80), "another history", hexHash(log.end))
		trimmed := history(t, 8, 60)
		trimmed.first = trimmed.end.Seq
		halted(trimmed, fmt.Sprint(log.end.Seq+1), "rebuild")
		db.do(t, "INSERT INTO schema_version VALUES (7, 'x', '2026-09-01T08:00:00Z')")
		halted(log, "schema version 7", "versions up to 3")
	})
}

// TestClose: Run ends, whatever it was doing, and leaves no goroutine.
func TestClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	db := newSQLiteDB(t)
	log := history(t, 10, 20)
	log.closed = false
	m, err := Open(db.cfg)
	check(t, err)
	run := make(chan error, 1)
	go func() { run <- m.Run(context.Background(), log) }()
	check(t, m.Wait(within(t), log.end.Seq))
	waiting := make(chan error, 1)
	go func() { waiting <- m.Wait(context.Background(), log.end.Seq+1) }()
	check(t, m.Close())
	if err := <-run; !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if err := <-waiting; !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if err := m.Run(context.Background(), log); err == nil {
		t.Error("Run ran twice")
	}
}
