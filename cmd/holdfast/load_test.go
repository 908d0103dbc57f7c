package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startServer(t, dir)
	pools := write(t, "courses.csv", "course,capacity,opens_at,days\nc1,2,2099-01-01T08:00:00Z,mon wed\nc2,1,,\n")
	claims := write(t, "booked.csv", "student,course\nx,c1\ny,c1\nz,c2\n")
	args := []string{"load", "spring", "--pools", pools, "--claims", claims, "--target", c.url}
	out, stderr, code := cli(t, args...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	expect(t, "the summary", out, "2 made or changed, 0 as they were", "3 seated, 0 seated already, 0 refused")
	end := c.must("GET", "/v1/log", "")["durable"]
	out, _, code = cli(t, args...)
	if code != 0 {
		t.Errorf("again: exit code %d", code)
	}
	expect(t, "the summary", out, "0 made or changed, 2 as they were", "0 seated, 3 seated already, 0 refused")
	if again := c.must("GET", "/v1/log", "")["durable"]; again != end {
		t.Errorf("loading twice moved the log from %v to %v", end, again)
	}
	_, stderr, code = cli(t, "load", "spring", "--pools", write(t, "bad.csv", "course,capacity\nc1,many\n"), "--target", c.url)
	if code != exitFailure {
		t.Errorf("bad file: exit code %d", code)
	}
	expect(t, "the message", stderr, "bad.csv:2: capacity:", "next: mend the file", "nothing was sent")
	if again := c.must("GET", "/v1/log", "")["durable"]; again != end {
		t.Errorf("a bad file moved the log from %v to %v", end, again)
	}
}

func TestLoadWithoutServer(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	pools := write(t, "courses.csv", "course,capacity\nc1,2\n")
	for _, row := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--pools", pools, "--target", "http://" + closed.Addr().String()}, exitFailure, "next: holdfast serve"},
		{[]string{"--pools", pools, "--target", "nowhere"}, exitFailure, "next: name where the server listens"},
		{[]string{"--pools", pools + ".missing"}, exitFailure, "next: name files that can be read"},
		{nil, exitUsage, "--pools is missing"},
	} {
		_, stderr, code := cli(t, append([]string{"load", "spring"}, row.args...)...)
		if code != row.code {
			t.Errorf("%q: exit code %d, want %d", row.args, code, row.code)
		}
		expect(t, "the message", stderr, row.want)
	}
	_, stderr, code := cli(t, "load", "spring term", "--pools", pools)
	if code != exitUsage {
		t.Errorf("a bad realm: exit code %d", code)
	}
	expect(t, "the message", stderr, "realm:", "next: holdfast load --help")
}
