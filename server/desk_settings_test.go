package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"holdfast/desk"
)

// TestDeskSettings: the table of settings in docs/DESKS.md says of each member what it is where it is left out, and what it may be.
func TestDeskSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/DESKS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## Settings\n")
	part, _, _ := strings.Cut(after, "\n## ")
	said := map[string][]string{}
	for line := range strings.SplitSeq(part, "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 4 && strings.HasPrefix(line, "| `") {
			said[strings.Trim(cells[0], "| `")] = cells
		}
	}
	queue := desk.DefaultConfig()
	queue.Policy, queue.QueueLimit = desk.Queue, 100
	b, err := queue.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var is map[string]any
	if err := json.Unmarshal(b, &is); err != nil {
		t.Fatal(err)
	}
	is["policy"] = "refuse"
	if text, err = os.ReadFile("schemas.json"); err != nil {
		t.Fatal(err)
	}
	var parts struct {
		Schemas struct {
			DeskConfig struct {
				Properties map[string]struct{ Minimum, Maximum *float64 }
			}
		}
	}
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatal(err)
	}
	schema := parts.Schemas.DeskConfig.Properties
	if n := len(schema); n < 21 || len(said) != n {
		t.Errorf("%d members in the table, %d in schemas.json", len(said), n)
	}
	for name, p := range schema {
		cells := said[name]
		if cells == nil {
			t.Errorf("%s: not in the table", name)
			continue
		}
		if want := fmt.Sprint(is[name]); name != "topics" && strings.Trim(cells[1], "`") != want && cells[1] != fmt.Sprintf("%.0f", is[name]) {
			t.Errorf("%s: %q where it is left out, it is %s", name, cells[1], want)
		}
		if want := ""; p.Maximum != nil && !strings.HasSuffix(name, "receipt_ms") {
			if want = fmt.Sprintf("%.0f to %.0f", *p.Minimum, *p.Maximum); cells[2] != want {
				t.Errorf("%s: %q, it may be %s", name, cells[2], want)
			}
		}
	}
}
