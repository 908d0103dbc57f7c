package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRush plays against the real program: a child that is killed with -9 must be a process of its own.
func TestRush(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "holdfast")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("kills", func(t *testing.T) {
		t.Parallel()
		testRushSurvivesKills(t, program)
	})
	t.Run("websockets", func(t *testing.T) {
		t.Parallel()
		testRushOnWebSockets(t, program)
	})
	t.Run("target", func(t *testing.T) {
		t.Parallel()
		testRushAgainstARunningServer(t, program)
	})
}

// rushed is what --json must have at least.
type rushed struct {
	Students, Confirmed, Compared, Violations, Kills, Events, Erased int
	Broken                                                           int `json:"broken_connections"`
	Rows                                                             *int
	Answers                                                          map[string]int
	LatencyMS                                                        map[string]map[string]float64 `json:"latency_ms"`
	DecisionsPerSecond                                               float64                       `json:"decisions_per_second"`
	AnswersTotal                                                     int                           `json:"answers_total"`
	Restarts                                                         int
	RestartGaps                                                      []float64 `json:"restart_gaps_ms"`
	Live                                                             struct {
		Connected, Gaps    int
		MovedUpTold        int                `json:"moved_up_told"`
		Heard              map[string]float64 `json:"heard_ms"`
		BytesPerConnection *int               `json:"bytes_per_connection"`
		Pushes             map[string]int
		Storm              struct {
			MovedUp  int `json:"moved_up"`
			Told     int
			Gaps     int
			CaughtUp map[string]float64 `json:"caught_up_ms"`
		}
	}
}

// runRush runs the program; it must end with 0 and nothing on stderr.
func runRush(t *testing.T, program string, args ...string) (out rushed) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, append([]string{"rush", "--json"}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\n%s\n%s", err, stderr.Bytes(), stdout.Bytes())
	}
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("stdout is not one JSON object: %v\n%s", err, stdout.Bytes())
	}
	return out
}

func testRushSurvivesKills(t *testing.T, program string) {
	dir := t.TempDir()
	data, answers, page := filepath.Join(dir, "data"), filepath.Join(dir, "answers.ndjson"), filepath.Join(dir, "rush.html")
	got := runRush(t, program, "--students", "2000", "--pools", "40", "--seats", "10", "--kill", "2", "--connections", "64",
		"--data", data, "--answers", answers, "--report", page)
	// 500 of act 1, 10,000 wishes of act 2, and those who pressed again.
	if got.Violations != 0 || got.Kills != 2 || got.Broken == 0 || got.Students != 2000 || got.Compared < 12_000 {
		t.Errorf("%+v", got)
	}
	if got.Rows == nil || *got.Rows != 10_500 || got.Events < 10_500 || got.Answers["seated"] < 410 || got.Confirmed < 11_000 {
		t.Errorf("%+v", got)
	}
	if got.DecisionsPerSecond <= 0 || got.LatencyMS["confirmed"]["p99"] <= 0 {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(filepath.Join(data, "holdfast.db")); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(page); err != nil || !bytes.Contains(b, []byte("2 × kill -9")) {
		t.Errorf("the page: %v", err)
	}
	f, err := os.Open(answers)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for scan := bufio.NewScanner(f); scan.Scan(); {
		lines++
	}
	if lines != got.AnswersTotal {
		t.Errorf("%d lines for %d answers", lines, got.AnswersTotal)
	}
	if out, err := exec.CommandContext(t.Context(), program, "verify", data).CombinedOutput(); err != nil {
		t.Errorf("verify of the kept data: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), program, "rush", "--data", data).CombinedOutput(); err == nil || !strings.Contains(string(out), "not empty") {
		t.Errorf("a second rush on the same directory: %v\n%s", err, out)
	}
}

// testRushOnWebSockets: a kill, a restart and a storm, and nobody misses anything.
func testRushOnWebSockets(t *testing.T, program string) {
	got := runRush(t, program, "--ws", "--storm", "--students", "400", "--pools", "20", "--seats", "10", "--kill", "1", "--restart", "1")
	if got.Violations != 0 || got.Kills != 1 || got.Restarts != 1 || len(got.RestartGaps) != 1 || got.Compared < 2_700 {
		t.Errorf("%+v", got)
	}
	v := got.Live
	if v.Connected != 400 || v.Gaps != 0 || v.Storm.Gaps != 0 || v.Storm.Told != v.Storm.MovedUp || v.Storm.MovedUp == 0 {
		t.Errorf("%+v", v)
	}
	if v.MovedUpTold == 0 || v.Heard["count"] != 400 || v.Storm.CaughtUp["count"] != 400 || v.Pushes["claims"] < 800 {
		t.Errorf("%+v", v)
	}
	if _, err := os.Stat("/proc/self/status"); err == nil && (v.BytesPerConnection == nil || *v.BytesPerConnection > 100_000) {
		t.Errorf("bytes per connection: %v", v.BytesPerConnection)
	}
}

func testRushAgainstARunningServer(t *testing.T, program string) {
	cmd := exec.Command(program, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--database", "none")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the rushes below; how the server ends is not the question here
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	url := ""
	for scan := bufio.NewScanner(out); url == "" && scan.Scan(); {
		for _, word := range strings.Fields(scan.Text()) {
			if strings.HasPrefix(word, "http://127.0.0.1:") {
				url = word
			}
		}
	}
	// Two rushes at once: each has a realm of its own, and must find its way through a log that has the other's events too.
	for _, seed := range []string{"1", "2"} {
		t.Run("seed "+seed, func(t *testing.T) {
			t.Parallel()
			got := runRush(t, program, "--target", url, "--students", "800", "--pools", "20", "--seats", "10", "--connections", "32", "--seed", seed)
			if got.Violations != 0 || got.Compared < 4_900 || got.Rows != nil {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("websockets", func(t *testing.T) {
		t.Parallel()
		got := runRush(t, program, "--target", url, "--ws", "--storm", "--students", "200", "--pools", "20", "--seats", "5", "--seed", "3")
		if got.Violations != 0 || got.Live.Connected != 200 || got.Live.Gaps != 0 || got.Live.BytesPerConnection != nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestRushNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	full := filepath.Dir(write(t, "something", ""))
	for _, row := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--kill", "1", "--target", "http://127.0.0.1:1"}, exitUsage, []string{"--kill", "next: holdfast rush --help"}},
		{[]string{"--students", "2000000"}, exitUsage, []string{"--students must be 4 to 1000000"}},
		{[]string{"--restart", "1", "--target", "http://127.0.0.1:1"}, exitUsage, []string{"--restart"}},
		{[]string{"--storm"}, exitUsage, []string{"--storm", "--ws"}},
		{[]string{"--courses", "none.csv", "--wishes", "none.csv"}, exitFailure, []string{"none.csv", "next: name files"}},
		{[]string{"--target", "http://127.0.0.1:1"}, exitFailure, []string{"refused", "next: holdfast serve"}},
		{[]string{"--data", full}, exitFailure, []string{"not empty", "next: holdfast verify " + full}},
	} {
		_, stderr, code := cli(t, append([]string{"rush"}, row.args...)...)
		if code != row.code {
			t.Errorf("%q: exit code %d, want %d", row.args, code, row.code)
		}
		expect(t, "the message", stderr, row.want...)
	}
}
