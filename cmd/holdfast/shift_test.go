package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestShift plays with the real program: a child that is killed with -9 must be a process of its own.
func TestShift(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "holdfast")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data := filepath.Join(t.TempDir(), "data")
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "shift", "--json", "--desks", "10", "--agents", "4", "--clients", "80", "--rate", "40",
		"--duration", "4s", "--compress", "100", "--accept", "0.7", "--lose", "0.1", "--phone", "0.2", "--kill", "1", "--data", data)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\n%s\n%s", err, stderr.Bytes(), stdout.Bytes())
	}
	var got struct {
		Sessions, Compared, Violations, Kills, Stuck, Overtaken, Came, Broken int
		Double                                                                int   `json:"double_assignments"`
		Pending                                                               []int `json:"offers_pending_at_kill"`
		Offers                                                                map[string]int
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("stdout is not one JSON object: %v\n%s", err, stdout.Bytes())
	}
	if got.Violations != 0 || got.Double != 0 || got.Stuck != 0 || got.Overtaken != 0 || got.Kills != 1 || len(got.Pending) != 1 {
		t.Errorf("%+v", got)
	}
	if got.Came < 100 || got.Sessions < 20 || got.Offers["accepted"] != got.Sessions || got.Compared < 1_000 {
		t.Errorf("%+v", got)
	}
	if out, err := exec.CommandContext(t.Context(), program, "verify", data).CombinedOutput(); err != nil {
		t.Errorf("verify of the kept data: %v\n%s", err, out)
	}
}

func TestShiftNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	full := filepath.Dir(write(t, "something", ""))
	for _, row := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--kill", "1", "--target", "http://127.0.0.1:1"}, exitUsage, []string{"--kill", "next: holdfast shift --help"}},
		{[]string{"--desks", "0"}, exitUsage, []string{"--desks must be 1 to 10000"}},
		{[]string{"--rate", "0"}, exitUsage, []string{"--rate 0", "--calm"}},
		{[]string{"--target", "http://127.0.0.1:1", "--desks", "2", "--agents", "2", "--clients", "2"}, exitFailure, []string{"refused", "next: holdfast serve"}},
		{[]string{"--data", full, "--desks", "2", "--agents", "2", "--clients", "2"}, exitFailure, []string{"not empty", "next: holdfast verify " + full}},
		{[]string{"--desks", "10000", "--agents", "1000", "--clients", "20000"}, exitFailure, []string{"ulimit -Hn", "next: "}},
	} {
		_, stderr, code := cli(t, append([]string{"shift"}, row.args...)...)
		if code != row.code {
			t.Errorf("%q: exit code %d, want %d", row.args, code, row.code)
		}
		expect(t, "the message", stderr, row.want...)
	}
}
