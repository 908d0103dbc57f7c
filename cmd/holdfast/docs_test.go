package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestDocumentedDesks runs what the README and the guide say to people who try a desk, on a fresh directory each: the numbers of
// events in the text are those of a log that begins there.
func TestDocumentedDesks(t *testing.T) {
	t.Parallel()
	for _, page := range []struct {
		name, from, to string
		most           int // commands
	}{
		{"README.md", "## Desks", "## Embed it", 11},
		{"docs/guides/coming-from-ets.md", "## Try it", "## How the phones connect", 10},
	} {
		text, err := os.ReadFile("../../" + page.name)
		if err != nil {
			t.Fatal(err)
		}
		_, part, found := strings.Cut(string(text), "\n"+page.from)
		part, _, ends := strings.Cut(part, "\n"+page.to)
		if !found || !ends {
			t.Fatalf("%s has no part from %q to %q", page.name, page.from, page.to)
		}
		c := startServer(t, t.TempDir())
		if n := runDocumented(t, c, page.name, part); n != page.most {
			t.Errorf("%s: %d commands were run, %d wanted", page.name, n, page.most)
		}
		if code := c.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

var fenced = regexp.MustCompile("(?s)\n```[a-z]*\n(.*?)\n```")

// runDocumented runs the curl lines of a part, and says how many there are. Only the second client may be refused: nobody is ready.
func runDocumented(t *testing.T, c *child, name, part string) (n int) {
	t.Helper()
	variable := ""
	for _, block := range fenced.FindAllStringSubmatch(part, -1) {
		for line := range strings.SplitSeq(strings.ReplaceAll(block[1], "http://127.0.0.1:7700", c.url), "\n") {
			if strings.HasPrefix(line, "D=") {
				variable = line
			}
			if !strings.HasPrefix(line, "curl ") {
				continue
			}
			n++
			out, err := exec.Command("sh", "-c", variable+"\ncurl --fail-with-body -sS"+strings.TrimPrefix(line, "curl")).CombinedOutput()
			refused := strings.Contains(string(out), `"code":"no_agent"`)
			if expected := strings.Contains(line, `"client":"yan"`); refused != expected || (err != nil) != expected {
				t.Errorf("%s: %s: %v: %s", name, line, err, out)
			}
		}
	}
	return n
}
