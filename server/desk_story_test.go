package server_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const deskStories = "testdata/desks.txt"

// TestDeskStories replays testdata/desks.txt: what is asked there is answered byte for byte as it stands there, the times too.
func TestDeskStories(t *testing.T) {
	script, err := os.ReadFile(deskStories)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	asked := 0
	synctest.Test(t, func(t *testing.T) { got, asked = tellStories(t, string(script)) })
	if *update {
		if err := os.WriteFile(deskStories, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want := strings.Split(string(script), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(want) || want[i] != line {
			t.Fatalf("line %d is now (-update writes it)\n%s\n%s", i+1, line, strings.Join(want[min(i, len(want)):min(i+1, len(want))], ""))
		}
	}
	if asked < 90 {
		t.Errorf("only %d are asked", asked)
	}
}

func tellStories(t *testing.T, script string) (string, int) {
	w := newWorld(t, nil)
	w.must(200, "PUT", "/v1/realms/r", "")
	var out strings.Builder
	asked := 0
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch {
		case verb == "wait":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			synctest.Wait()
		case verb == "GET", verb == "PUT", verb == "POST", verb == "DELETE":
			target, body, _ := strings.Cut(rest, " ")
			r := w.do(verb, "/v1/realms/r"+target, body)
			line += fmt.Sprintf("\n  %d %s", r.Code, strings.TrimSuffix(r.Body.String(), "\n"))
			asked++
		case strings.HasPrefix(line, "  "):
			continue
		}
		out.WriteString(line + "\n")
	}
	return out.String(), asked
}
