package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holdfast/engine"
)

// fill makes a realm with one pool of two seats and lets n people ask.
func fill(c *child, n int) {
	c.t.Helper()
	c.must("PUT", "/v1/realms/spring", "")
	c.must("PUT", "/v1/realms/spring/pools/c1", `{"capacity":2}`)
	for i := range n {
		c.must("PUT", fmt.Sprintf("/v1/realms/spring/pools/c1/claims/s%d", i), "")
	}
}

func TestServeStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir := filepath.Join(t.TempDir(), "made", "by", "serve")
		c := startServer(t, dir)
		fill(c, 10)
		if code := c.end(sig); code != 0 {
			t.Fatalf("%v: exit code %d: %s", sig, code, c.stderr)
		}
		d, err := engine.ViewDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !d.Report().Sealed || d.Last().Seq != 13 {
			t.Errorf("%v: sealed %t, ends at %d, want a sealed log of 13 events", sig, d.Report().Sealed, d.Last().Seq)
		}
		out, _, code := cli(t, "verify", dir)
		if code != 0 {
			t.Errorf("verify: exit code %d", code)
		}
		expect(t, "the report", out, "closed in good order", "13 events, as of event 13; 0 more are not recorded yet", "Nothing is wrong.")
	}
}

func TestPrintedCommandsWork(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	dir := t.TempDir()
	c := startServer(t, dir, "--log-format", "json")
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Fatal(code)
	}
	first := printedCommands(t, c)
	if len(first) != 3 {
		t.Fatalf("printed are %q", first)
	}
	// The lines name the port of the server that printed them.
	old := c.url
	c = startServer(t, dir)
	for _, line := range first {
		sh(t, strings.ReplaceAll(line, old, c.url))
	}
	if got := c.must("GET", "/v1/realms/demo/pools/tango/claims/ada", ""); got["status"] != "seated" {
		t.Errorf("the printed lines seat nobody: %v", got)
	}
	c.end(syscall.SIGTERM)
	c = startServer(t, dir)
	c.end(syscall.SIGTERM)
	if again := printedCommands(t, c); len(again) != 1 || !strings.HasSuffix(again[0], "/v1/realms") {
		t.Errorf("a server that has realms prints %q", again)
	}
	if lines := strings.Split(strings.TrimSpace(c.stderr.String()), "\n"); len(lines) == 0 {
		t.Error("nothing is logged")
	}
}

// printedCommands are the curl lines of a server that has ended.
func printedCommands(t *testing.T, c *child) (lines []string) {
	t.Helper()
	for line := range strings.SplitSeq(c.stdout.String(), "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func sh(t *testing.T, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "curl --fail-with-body -sS"+strings.TrimPrefix(line, "curl"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", line, err, out)
	}
}

func TestKillKeepsWhatWasConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startServer(t, dir)
	fill(c, 0)
	want := map[string]string{}
	show := func(a map[string]any) string { return fmt.Sprint(a["status"], a["seat"], a["position"], a["seq"]) }
	for i := range 50 {
		path := fmt.Sprintf("/v1/realms/spring/pools/c1/claims/s%d", i)
		want[path] = show(c.must("PUT", path, ""))
	}
	if code := c.end(syscall.SIGKILL); code != -1 {
		t.Fatalf("exit code %d after kill -9", code)
	}
	c = startServer(t, dir)
	for path, was := range want {
		if is := show(c.must("GET", path, "")); is != was {
			t.Errorf("%s was confirmed as %s and is %s after kill -9", path, was, is)
		}
	}
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out, _, code := cli(t, "verify", dir); code != 0 {
		t.Errorf("verify: %s", out)
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startServer(t, dir)
	fill(c, 1)
	_, stderr, code := cli(t, "serve", "--data", dir, "--listen", "127.0.0.1:0")
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the message", stderr, "in use by another process", "next: stop the holdfast that has "+dir)
	c.must("GET", "/v1/realms/spring/pools/c1/claims/s0", "")

	// Verify, why and the mirror's check only look, so they work beside it.
	out, _, code := cli(t, "verify", dir)
	if code != 0 {
		t.Errorf("verify beside a server: %d", code)
	}
	expect(t, "the report", out, "not closed", "Nothing is wrong.")
	if out, _, code = cli(t, "why", "spring", "c1", "s0", "--data", dir); code != 0 {
		t.Errorf("why beside a server: %d", code)
	}
	expect(t, "the story", out, "asked; 0 of 2 seats were taken: got seat 1 (event 4)", "Now: has seat 1.")
	if out, stderr, code = cli(t, "mirror", "check", "--data", dir); code != 0 {
		t.Errorf("mirror check beside a server: %d %s", code, stderr)
	}
	expect(t, "the check", out, "no difference")
	_, stderr, code = cli(t, "mirror", "rebuild", "--data", dir)
	if code != exitFailure {
		t.Errorf("mirror rebuild beside a server: %d", code)
	}
	expect(t, "the message", stderr, "the log was not closed", "--the-server-is-stopped")
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"port taken", []string{"--listen", busy.Addr().String()}, exitFailure, []string{"address already in use", "next: ", "--listen 127.0.0.1:0"}},
		{"not loopback", []string{"--listen", "0.0.0.0:0"}, exitFailure, []string{"0.0.0.0 is not a loopback address", "next: "}},
		{"no such database", []string{"--database", "mysql://x"}, exitFailure, []string{"mysql", "next: holdfast serve --database sqlite:"}},
		{"not a directory", []string{"--data", file}, exitFailure, []string{"not a directory", "next: name a directory"}},
		{"unknown flag", []string{"--port", "80"}, exitUsage, []string{"unknown flag: --port", "next: holdfast serve --help"}},
		{"an argument", []string{"dir"}, exitUsage, []string{"1 arguments given", "next: holdfast serve --help"}},
		{"log format", []string{"--log-format", "xml"}, exitUsage, []string{"text or json"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "d")
			_, stderr, code := cli(t, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, row.args...)...)
			if code != row.code {
				t.Errorf("exit code %d, want %d", code, row.code)
			}
			expect(t, "the message", stderr, row.want...)
			if _, err := os.Stat(dir); err == nil {
				t.Error("the data directory was made although nothing can be served")
			}
		})
	}
}

func TestDatabaseOfAnotherLog(t *testing.T) {
	t.Parallel()
	first, second, none := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "none")
	for _, dir := range []string{first, second} {
		c := startServer(t, dir)
		fill(c, 3)
		c.end(syscall.SIGTERM)
	}
	before := endOf(t, second)
	for _, dir := range []string{second, none} {
		_, stderr, code := cli(t, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--database", "sqlite:"+filepath.Join(first, "holdfast.db"))
		if code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		expect(t, "the message", stderr, "belongs to another log", "next: see docs/RUNBOOK.md", "--data "+dir+" --database none")
	}
	// It was refused and nothing was changed: neither a log nor the database, which still serves its own log.
	if after := endOf(t, second); after != before {
		t.Errorf("the log moved from %v to %v", before, after)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("a data directory was made")
	}
	c := startServer(t, first)
	c.must("GET", "/v1/realms/spring/pools/c1/claims/s2", "")
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Error(code)
	}
	if out, _, code := cli(t, "verify", first); code != 0 {
		t.Error(out)
	}
}

// endOf is where the log of a directory ends.
func endOf(t *testing.T, dir string) engine.Position {
	t.Helper()
	d, err := engine.ViewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d.Last()
}

func TestDatabaseAheadOfTheLog(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	c := startServer(t, dir)
	fill(c, 3)
	c.end(syscall.SIGTERM)
	if err := os.CopyFS(filepath.Join(copied, "d"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	c = startServer(t, dir)
	c.must("DELETE", "/v1/realms/spring/pools/c1/claims/s0", "")
	c.end(syscall.SIGTERM)
	// The directory is restored from the older copy; the database is not.
	old := filepath.Join(copied, "d")
	before := endOf(t, old)
	_, stderr, code := cli(t, "serve", "--data", old, "--listen", "127.0.0.1:0", "--database", "sqlite:"+filepath.Join(dir, "holdfast.db"))
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the message", stderr, "ahead of the log", "next: see docs/RUNBOOK.md")
	if after := endOf(t, old); after != before {
		t.Errorf("the log moved from %v to %v", before, after)
	}
}

func TestDatabaseDownIsNoReasonNotToServe(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	c := startServer(t, t.TempDir(), "--drain", "100ms", "--database", "postgres://user:secret@"+closed.Addr().String()+"/db?sslmode=disable")
	fill(c, 3)
	if ready := c.must("GET", "/readyz", ""); ready["mirror"].(map[string]any)["state"] != "connecting" {
		t.Errorf("ready says %v", ready)
	}
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the log", c.stderr.String(), "connection refused", "the database is behind the log; the next start brings it up")
	if all := c.stdout.String() + c.stderr.String(); strings.Contains(all, "secret") {
		t.Errorf("the password is shown:\n%s", all)
	}
}

func TestNoDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startServer(t, dir, "--database", "none")
	fill(c, 1)
	if got := c.must("PUT", "/v1/realms/spring/pools/c1/claims/x?wait=recorded", ""); got["durability"] != "confirmed" {
		t.Errorf("without a database it says %v", got)
	}
	c.end(syscall.SIGTERM)
	if _, err := os.Stat(filepath.Join(dir, "holdfast.db")); err == nil {
		t.Error("a database was made")
	}
	out, _, _ := cli(t, "verify", dir)
	expect(t, "the report", out, "none was compared", "Nothing is wrong.")
}

func TestWarnsOfMemory(t *testing.T) {
	t.Parallel()
	const shm = "/dev/shm"
	if !inMemory(shm) {
		t.Skip("no tmpfs here")
	}
	dir, err := os.MkdirTemp(shm, "holdfast-test-")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := startServer(t, dir)
	c.end(syscall.SIGTERM)
	expect(t, "the log", c.stderr.String(), "in memory (tmpfs)", "--data")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	c := startServer(t, t.TempDir())
	fill(c, 3)
	resp, err := http.Get(c.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "the metrics", string(text), "holdfast_durable_seq 6", "holdfast_head_seq 6", "holdfast_ready 1", "holdfast_realms 1",
		"holdfast_batch_events_count", "holdfast_batch_bytes_sum", "holdfast_append_seconds_bucket", "holdfast_pending_bytes ",
		"holdfast_pending_batches ", "holdfast_first_seq 1", "holdfast_disk_free_bytes", "holdfast_mirror_lag_events",
		"holdfast_mirror_halted 0", "holdfast_decisions_total", "go_goroutines", "process_open_fds")
}
