package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the tests tamper with a database

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/journal"
	"holdfast/internal/vfs"
	"holdfast/seat"
)

// served makes a data directory that a server has filled and closed.
func served(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	c := startServer(t, dir)
	fill(c, 8)
	c.must("DELETE", "/v1/realms/spring/pools/c1/claims/s0", "")
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.stderr)
	}
	return dir
}

func flip(t *testing.T, file string, at int64, change func(b []byte)) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 16)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	change(b)
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func segmentOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(files) != 1 {
		t.Fatalf("segments: %v %v", files, err)
	}
	return files[0]
}

func TestVerifyFindsAFlippedByte(t *testing.T) {
	t.Parallel()
	dir := served(t)
	segment := segmentOf(t, dir)
	// A payload byte of an early frame: everything behind it was confirmed.
	text, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(bytes.Index(text, []byte("spring")))
	flip(t, segment, at, func(b []byte) { b[0] ^= 1 })
	stdout, stderr, code := cli(t, "verify", dir)
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the output", stdout+stderr, filepath.Base(segment), "next: ", "The log is corrupt")
	_, stderr, code = cli(t, "serve", "--data", dir, "--listen", "127.0.0.1:0")
	if code != exitFailure {
		t.Errorf("serve: exit code %d", code)
	}
	expect(t, "the message", stderr, "corrupt", segment, "next: holdfast verify "+dir)
}

func TestOtherVersion(t *testing.T) {
	t.Parallel()
	dir := served(t)
	flip(t, segmentOf(t, dir), 0, func(b []byte) {
		binary.LittleEndian.PutUint32(b[8:], 99)
		binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], crc32.MakeTable(crc32.Castagnoli)))
	})
	for _, args := range [][]string{{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, {"verify", dir}, {"log", dir}} {
		_, stderr, code := cli(t, args...)
		if code != exitFailure {
			t.Errorf("%s: exit code %d", args[0], code)
		}
		expect(t, args[0], stderr, "format version 99", "use the program that wrote it", "next: ")
		if strings.Contains(stderr, "journal: corrupt") {
			t.Errorf("%s takes another version for damage: %s", args[0], stderr)
		}
	}
}

func TestVerifyFindsAPlantedRow(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ statement, names string }{
		{"UPDATE claims SET seat = 77 WHERE person = 's1'", "s1"},
		{"DELETE FROM claims WHERE person = 's5'", "s5"},
		{"UPDATE pools SET capacity = 3", "c1"},
		{"DELETE FROM events WHERE seq = 5", "seq=5"},
		{"UPDATE events SET body = '{}' WHERE seq = 6", "seq=6"},
	} {
		t.Run(row.statement, func(t *testing.T) {
			t.Parallel()
			dir := served(t)
			db, err := sql.Open("sqlite", filepath.Join(dir, "holdfast.db"))
			if err != nil {
				t.Fatal(err)
			}
			res, err := db.Exec(row.statement)
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := res.RowsAffected(); n != 1 {
				t.Fatalf("the statement changed %d rows", n)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			out, _, code := cli(t, "verify", dir)
			if code != exitFailure {
				t.Errorf("exit code %d", code)
			}
			expect(t, "the report", out, "J7", row.names, "next: the log is right and the database is not", "mirror rebuild --data "+dir)
			out, _, code = cli(t, "verify", "--json", dir)
			var report struct {
				Found  int    `json:"violations_found"`
				Events uint64 `json:"events"`
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil || report.Found == 0 || report.Events != 13 || code != exitFailure {
				t.Errorf("as JSON: %v, %+v, exit code %d", err, report, code)
			}
			if out, _, code = cli(t, "mirror", "check", "--data", dir); code != exitFailure {
				t.Errorf("mirror check: exit code %d: %s", code, out)
			}
			expect(t, "the check", out, row.names, "next: ")
			// And it is mended by the command that it names.
			if out, stderr, code := cli(t, "mirror", "rebuild", "--data", dir); code != 0 {
				t.Errorf("mirror rebuild: exit code %d: %s%s", code, out, stderr)
			}
			if out, _, code = cli(t, "verify", dir); code != 0 {
				t.Errorf("after the rebuild: %s", out)
			}
			expect(t, "the report", out, "13 events, as of event 13")
		})
	}
}

func TestVerifyComparesSnapshots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := engine.OpenDir(dir, engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	do := func(b holdfast.Body) {
		t.Helper()
		a, err := e.Do("r", b)
		if err == nil {
			err = a.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	do(holdfast.PutRealm{Limits: seat.DefaultLimits()})
	do(seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 2}})
	for i := range 3 {
		for j := range 5 {
			do(seat.Claim{Pool: "p", Person: fmt.Sprintf("p%d.%d", i, j)})
		}
		if err := e.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	do(seat.Release{Pool: "p", Person: "p0.0"})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	out, _, code := cli(t, "verify", dir)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the report", out, "snapshots and recovery: 3 compared", "Nothing is wrong.")

	// A snapshot of another state under the right name is found by its hash: the audit is asked directly, because the
	// journal's own checksums find every damage to the file itself.
	d, err := engine.ViewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := newAudit(d, dir)
	a.marks = []mark{{seq: 7, name: "the snapshot"}}
	if err := a.log(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.report.Found != 1 || !strings.Contains(a.report.text(), "J3 at event 7: the snapshot differs from the replay of the log") {
		t.Errorf("a wrong snapshot is not found:\n%s", a.report.text())
	}

	// Damage to the newest snapshot is named, and the server starts from the older one.
	files, err := filepath.Glob(filepath.Join(dir, "*.snap"))
	if err != nil || len(files) != 2 {
		t.Fatalf("snapshots: %v %v", files, err)
	}
	flip(t, files[1], 200, func(b []byte) { b[0] ^= 1 })
	out, _, code = cli(t, "verify", dir)
	if code != exitFailure {
		t.Errorf("a damaged snapshot: exit code %d", code)
	}
	expect(t, "the report", out, filepath.Base(files[1]), "next: ")
	c := startServer(t, dir)
	if got := c.must("GET", "/v1/realms/r/pools/p/claims/p0.2", ""); got["seat"] != 1.0 {
		t.Errorf("from the older snapshot: %v", got)
	}
	c.end(syscall.SIGTERM)
	expect(t, "the log", c.stderr.String(), "a snapshot cannot be used; trying an older one")
}

func TestVerifyNothingThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range [][]string{{"verify", dir}, {"log", dir}, {"why", "r", "p", "x", "--data", dir}, {"mirror", "check", "--data", dir}} {
		_, stderr, code := cli(t, args...)
		if code != exitFailure {
			t.Errorf("%s: exit code %d", args[0], code)
		}
		expect(t, args[0], stderr, "no log here", "next: name the directory")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("looking left %v behind", entries)
	}
}

func TestLogFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startServer(t, dir)
	fill(c, 1)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := printLog(ctx, logConfig{Dir: dir, Realm: "spring", After: 2, Follow: true, Poll: time.Millisecond, Stdout: out})
		out.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(in)
	next := func(seq float64, kind string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the log ends before event %v: %v", seq, lines.Err())
		}
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e["seq"] != seq || e["kind"] != kind {
			t.Fatalf("%v, want event %v %s: %s", err, seq, kind, lines.Bytes())
		}
	}
	next(3, "pool_put")
	next(4, "seated")
	c.must("PUT", "/v1/realms/other", "")
	c.must("PUT", "/v1/realms/spring/pools/c1/claims/late", "")
	next(6, "seated")
	// It goes on over a restart; the start itself belongs to no realm.
	c.end(syscall.SIGTERM)
	c = startServer(t, dir)
	c.must("PUT", "/v1/realms/spring/pools/c1/claims/later", "")
	next(8, "waiting")
	cancel()
	for lines.Scan() {
		t.Errorf("more than was asked for: %s", lines.Bytes())
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	text, _, code := cli(t, "log", dir)
	if code != 0 || strings.Count(text, "\n") != 8 || strings.Count(text, `"kind":"started"`) != 2 {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	if text, _, _ = cli(t, "log", dir, "--after", "7"); strings.Count(text, "\n") != 1 {
		t.Errorf("after 7:\n%s", text)
	}
	if text, _, code = cli(t, "log", dir, "--after", "9999"); code != 0 || text != "" {
		t.Errorf("after the end: exit code %d:\n%s", code, text)
	}
}

func TestWhyUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"why"}, {"why", "r", "p"}, {"why", "r", "p", "a b"}} {
		if _, stderr, code := cli(t, args...); code != exitUsage {
			t.Errorf("%q: exit code %d: %s", args, code, stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	out, _, code := cli(t)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the help", out, "holdfast serve", "Run it:", "See what happened", "verify", "why", "log", "mirror", "load", "rush", "version")
	if out, _, code = cli(t, "version"); code != 0 || !strings.HasPrefix(out, "holdfast ") {
		t.Errorf("version: %d %s", code, out)
	}
	_, stderr, code := cli(t, "nonsense")
	if code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the message", stderr, "nonsense", "next: holdfast --help")
}

// TestVerifyFindsABrokenRule: every frame is whole and every event can be applied, and still the log cannot be true.
func TestVerifyFindsABrokenRule(t *testing.T) {
	t.Parallel()
	taken := func(person string, number uint32) seat.Event {
		return seat.Event{Kind: seat.SeatTaken, Pool: "p", Person: person, Cause: seat.ByClaim, Seat: number}
	}
	for _, row := range []struct {
		name, want string
		events     []seat.Event
	}{
		{"right", "", []seat.Event{taken("ann", 1)}},
		{"oversold", "S1 at event 5", []seat.Event{taken("ann", 1), taken("bob", 2)}},
		{"one seat for two", "J2 at event 5", []seat.Event{taken("ann", 1), taken("bob", 1)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j, err := journal.Open(vfs.OS{}, dir, journal.DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			var b holdfast.Batch
			limits := seat.DefaultLimits()
			list := []holdfast.Event{
				{Epoch: 1, Seat: seat.Event{Kind: holdfast.Started}},
				{Realm: "r", Limits: &limits, Seat: seat.Event{Kind: holdfast.RealmPut}},
				{Realm: "r", Seat: seat.Event{Kind: seat.PoolPut, Pool: "p", Config: &seat.Config{Capacity: 1}}},
			}
			for _, e := range row.events {
				list = append(list, holdfast.Event{Realm: "r", Seat: e})
			}
			for i := range list {
				list[i].Seq, list[i].At = uint64(i)+1, seat.Time(i)+1
				b.Append(&list[i])
			}
			if _, err := j.Append(b.First, b.Count, b.Bytes); err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			out, _, code := cli(t, "verify", dir)
			if (code == 0) != (row.want == "") {
				t.Errorf("exit code %d", code)
			}
			expect(t, "the report", out, row.want)
		})
	}
}

// TestLookBesideAServerThatWrites: the log and the database move while they are compared.
func TestLookBesideAServerThatWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startServer(t, dir)
	fill(c, 1)
	seen := map[uint64]bool{}
	for round := range 3 {
		// A crowd for each round: one without end would make each look longer than the one before.
		ctx, cancel := context.WithCancel(t.Context())
		var crowd sync.WaitGroup
		for k := range 2 {
			crowd.Go(func() {
				for i := 0; i < 1000 && ctx.Err() == nil; i++ {
					c.must("PUT", fmt.Sprintf("/v1/realms/spring/pools/c1/claims/w%d.%d.%d?timeout=30s", round, k, i), "")
				}
			})
		}
		out, stderr, code := cli(t, "verify", "--json", dir)
		var report verifyReport
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
			t.Errorf("verify: exit code %d, %v: %s%s", code, err, out, stderr)
		}
		seen[report.Last] = true
		if out, stderr, code = cli(t, "mirror", "check", "--data", dir); code != 0 {
			t.Errorf("mirror check: exit code %d: %s%s", code, out, stderr)
		}
		if _, stderr, code = cli(t, "serve", "--data", dir, "--listen", "127.0.0.1:0"); code != exitFailure || !strings.Contains(stderr, "next: stop the holdfast") {
			t.Errorf("a second server: exit code %d: %s", code, stderr)
		}
		cancel()
		crowd.Wait()
	}
	if len(seen) < 2 {
		t.Errorf("the server did not write meanwhile: %v", seen)
	}
}
