package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	named   = regexp.MustCompile(`\b(?:docs|scripts|examples)/[A-Za-z][A-Za-z/.-]*[A-Za-z]`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// TestLinks: what the pages link to or name is there, headings too.
func TestLinks(t *testing.T) {
	root := filepath.Join("..", "..")
	pages := map[string]string{}
	headings := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if filepath.Ext(file) != ".md" {
			return nil
		}
		text, err := os.ReadFile(file)
		pages[file] = string(text)
		for line := range strings.SplitSeq(string(text), "\n") {
			if title, is := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); is && strings.HasPrefix(line, "#") {
				headings[file+"#"+strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(title), ""), " ", "-")] = true
			}
		}
		return err
	})
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	n := 0
	for page, text := range pages {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			n++
			to, heading, has := strings.Cut(m[1], "#")
			file := page
			if to != "" {
				file = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(file); err != nil || has && !headings[file+"#"+heading] {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
		for _, name := range named.FindAllString(text, -1) {
			n++
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("%s names %s, which is not there", page, name)
			}
		}
	}
	if n < 50 {
		t.Errorf("%d links: they are not found any more", n)
	}
}
