package rush

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a rush that takes a second.
func small(target string) Config {
	cfg := DefaultConfig()
	cfg.Students, cfg.Pools, cfg.Seats, cfg.Connections = 400, 12, 5, 16
	cfg.Leave = 0.4
	cfg.Target = target
	return cfg
}

func TestRushAgainstAnHonestServer(t *testing.T) {
	t.Parallel()
	for _, trick := range []string{"", trickRough} {
		t.Run("trick "+trick, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			cfg := small(newFake(t, trick).URL)
			cfg.Stdout = &out
			dir := t.TempDir()
			cfg.Answers, cfg.Report = filepath.Join(dir, "answers.ndjson"), filepath.Join(dir, "rush.html")
			s, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatalf("%v\n%s", err, out.Bytes())
			}
			// 100 of act 1, 2,000 claims of act 2, those who pressed again, and what followed.
			if s.Compared < 2_100 || s.Violations != 0 || s.Events < 2_100 {
				t.Fatalf("compared %d answers with %d events, %d violations", s.Compared, s.Events, s.Violations)
			}
			if got := s.Acts[1].Outcome["seated"]; got != 60 {
				t.Errorf("%d seated in act 2, want all 60 seats taken", got)
			}
			if s.Acts[0].Outcome["seated"] != 5 || s.Acts[0].Outcome["waiting"] != 95 {
				t.Errorf("act 1 ended with %v", s.Acts[0].Outcome)
			}
			if s.Leaving.SeatsGivenBack != 24 || s.Leaving.MovedUp != 24 || s.Leaving.SeenMS == nil || s.Leaving.SeenMS.Count != 24 {
				t.Errorf("leaving: %+v", s.Leaving)
			}
			if s.Answers["precondition"] != s.Leaving.LateDuplicates || s.Leaving.LateDuplicates == 0 {
				t.Errorf("%d late duplicates, %d refused", s.Leaving.LateDuplicates, s.Answers["precondition"])
			}
			if trick == trickRough && (s.Answers["busy"] == 0 || s.Broken == 0) {
				t.Errorf("the rough server was not rough: %v, %d broken", s.Answers, s.Broken)
			}
			if !strings.Contains(out.String(), "violations 0 — ") {
				t.Errorf("the table does not say violations 0:\n%s", out.Bytes())
			}
			checkAnswersFile(t, cfg.Answers, s.AnswersTotal)
			checkPage(t, cfg.Report)
		})
	}
}

// checkAnswersFile: every line is an object with the promised keys.
func checkAnswersFile(t *testing.T, file string, want int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for scan := bufio.NewScanner(f); scan.Scan(); lines++ {
		var line map[string]any
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatalf("line %d: %v: %s", lines+1, err, scan.Bytes())
		}
		for _, key := range []string{"realm", "pool", "person", "status", "sent_at", "received_at"} {
			if line[key] == nil {
				t.Fatalf("line %d has no %s: %s", lines+1, key, scan.Bytes())
			}
		}
		if line["status"] == "seated" && (line["seat"] == nil || line["seq"] == nil || line["as_of"] == nil || line["at"] == nil) {
			t.Fatalf("line %d says seated and not where: %s", lines+1, scan.Bytes())
		}
	}
	if lines != want {
		t.Errorf("%d lines for %d answers", lines, want)
	}
}

// checkPage: one page that asks nobody for anything.
func checkPage(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "Seats filling", "What students were told", "prefers-color-scheme"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, never := range []string{"<script", "http://", "https://", "@import", "src=", "ZgotmplZ", "NaN", "Inf"} {
		if i := bytes.Index(b, []byte(never)); i >= 0 && !bytes.Contains(b[max(0, i-60):i], []byte("against ")) {
			t.Errorf("the page has %q: …%s…", never, b[max(0, i-60):min(len(b), i+40)])
		}
	}
}

func TestRushFindsEveryBrokenPromise(t *testing.T) {
	t.Parallel()
	for trick, names := range map[string]string{
		trickOversell:  "S1 S4",
		trickSameSeat:  "S1 S2 S4",
		trickForget:    "J1",
		trickOvertake:  "S5 S3",
		trickPosition:  "J1",
		trickDuplicate: "S9 J1",
		trickWorse:     "J1",
	} {
		t.Run(trick, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			cfg := small(newFake(t, trick).URL)
			cfg.Stdout, cfg.JSON = &out, true
			s, err := Run(t.Context(), cfg)
			if !errors.Is(err, ErrViolations) {
				t.Fatalf("the rush found nothing: %v", err)
			}
			found := false
			for _, v := range s.ViolationList {
				found = found || strings.Contains(names, v.Name)
			}
			if !found {
				t.Errorf("none of %s among %v", names, s.ViolationList)
			}
			var object struct{ Violations int }
			if err := json.Unmarshal(out.Bytes(), &object); err != nil || object.Violations != s.Violations || object.Violations == 0 {
				t.Errorf("the JSON object says %d violations, the summary %d: %v", object.Violations, s.Violations, err)
			}
		})
	}
}

func TestJSONHasThePromisedKeys(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cfg := small(newFake(t, "").URL)
	cfg.Stdout, cfg.JSON, cfg.Students = &out, true, 80
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	var got struct {
		LatencyMS map[string]map[string]float64 `json:"latency_ms"`
		Answers   map[string]int
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"p50", "p90", "p99", "p99.9", "max"} {
		if got.LatencyMS["confirmed"][p] <= 0 {
			t.Errorf("latency_ms.confirmed has no %s: %v", p, got.LatencyMS)
		}
	}
	if got.Answers["seated"] == 0 || got.Answers["waiting"] == 0 {
		t.Errorf("answers: %v", got.Answers)
	}
	doc, err := os.ReadFile("../../docs/RUSH.md")
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(out.Bytes(), &keys); err != nil {
		t.Fatal(err)
	}
	for key := range keys {
		if !bytes.Contains(doc, []byte("`"+key+"`")) {
			t.Errorf("docs/RUSH.md does not say what `%s` is", key)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"--students":  func(c *Config) { c.Students = 0 },
		"--choices":   func(c *Config) { c.Choices = 33 },
		"--pools":     func(c *Config) { c.Pools = 3 },
		"--refresh":   func(c *Config) { c.Refresh = 1.5 },
		"--kill":      func(c *Config) { c.Target, c.Kill = "http://127.0.0.1:1", 1 },
		"--data":      func(c *Config) { c.Target, c.Data = "http://127.0.0.1:1", "x" },
		"--target":    func(c *Config) { c.Target = "localhost" },
		"--courses":   func(c *Config) { c.Courses = "x.csv" },
		"--restart":   func(c *Config) { c.Target, c.Restart = "http://127.0.0.1:1", 1 },
		"--storm":     func(c *Config) { c.Storm = true },
		"--squeeze":   func(c *Config) { c.Squeeze = 0 },
		"connections": func(c *Config) { c.Connections = 0 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
}
