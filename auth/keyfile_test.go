package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFileOfKeysIsReadStrictly(t *testing.T) {
	t.Parallel()
	const hash = "ababababababababababababababababababababababababababababababababab"
	key := func(more string) string {
		return `{"id":"abcdefgh","sha256":"` + hash[:64] + `","role":"backend","created":"2026-01-01T00:00:00Z"` + more + `}`
	}
	file := func(keys ...string) string { return `{"version":1,"keys":[` + strings.Join(keys, ",") + `]}` }
	if _, err := decodeKeys([]byte(file(key(`,"realm":"spring","desk":"d","note":"ä b","expires":"2027-01-01T00:00:00Z"`)))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, place string }{
		{``, "JSON object"}, {`null`, "JSON object"}, {`[]`, "JSON object"}, {file() + "x", "not JSON"}, {`{"version":1}`, "keys is missing"}, {`{"keys":[]}`, "version is 0"},
		{`{"version":2,"keys":[]}`, "version is 2"}, {`{"version":1,"keys":[],"more":1}`, `"more"`}, {`{"version":1,"keys":null}`, "keys is null"}, {`{"version":1,"version":1,"keys":[]}`, "twice"},
		{`{"version":1,"Keys":[]}`, `"Keys"`}, {"{\"version\":1,\"keys\":[\"\xff\"]}", "UTF-8"},
		{file(key(""), `1`), "keys[1]"}, {file(key(`,"scope":"all"`)), `"scope"`}, {file(key(`,"Realm":"x"`)), `"Realm"`}, {file(key(`,"realm":"x","realm":"y"`)), "keys[0]"},
		{file(key(`,"role":"admin"`)), "twice"}, {file(key(`,"expires":null`)), "expires is null"}, {file(key(`,"revoked":null`)), "revoked is null"},
		{file(key(`,"expires":"0001-01-01T00:00:00Z"`)), "year 1"}, {file(key(`,"revoked":"0001-01-01T00:00:00Z"`)), "year 1"}, {file(key(`,"expires":"2999-01-01T00:00:00Z"`)), "after the year"},
		{file(key(`,"expires":"soon"`)), "a time"}, {file(key(`,"expires":5`)), "keys[0]"}, {file(key(`,"realm":"a/b"`)), "realm"}, {file(key(`,"realm":5`)), "realm"},
		{file(key(`,"desk":"d"`)), "desk"}, {file(key(`,"person":"p"`)), "person"}, {file(key(`,"note":"a\nb"`)), "note"}, {file(key(`,"replaces":"x"`)), "replaces"},
		{file(key(""), key("")), "keys[0] too"}, {file(strings.Replace(key(""), "abcdefgh", "abcdefg", 1)), "id"}, {file(strings.Replace(key(""), "abcdefgh", "ABCDEFGH", 1)), "id"},
		{file(strings.Replace(key(""), "backend", "root", 1)), "role"}, {file(strings.Replace(key(""), "backend", "Backend", 1)), "role"}, {file(strings.Replace(key(""), "backend", "agent", 1)), "person"},
		{file(strings.Replace(key(""), "abab", "ab", 1)), "sha256"}, {file(strings.Replace(key(""), "abab", "ABAB", 1)), "sha256"}, {file(strings.Replace(key(""), "abab", "xyxy", 1)), "sha256"},
		{file(strings.Replace(key(""), `,"created":"2026-01-01T00:00:00Z"`, ``, 1)), "created"},
	} {
		_, err := decodeKeys([]byte(c.text))
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.place) {
			t.Errorf("%s: %v, which does not name %s", c.text, err, c.place)
		}
	}
	many := slices.Repeat([]string{"1"}, maxKeys+1)
	if _, err := decodeKeys([]byte(file(many...))); err == nil || !strings.Contains(err.Error(), fmt.Sprint(maxKeys)) {
		t.Errorf("too many keys: %v", err)
	}
}

func TestOpenRefusesWhatOthersCanWrite(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	for _, m := range []struct {
		keys, secret fs.FileMode
		ok           bool
	}{{0o600, 0o600, true}, {0o400, 0o400, true}, {0o640, 0o640, true}, {0o644, 0o600, true}, {0o660, 0o600, false}, {0o602, 0o600, false}, {0o600, 0o644, false}, {0o600, 0o602, false}, {0o600, 0o620, false}} {
		cfg, logged := hsConfig(t, c.now)
		mustCreate(t, keyFile(cfg), Key{Role: Admin})
		if err := errors.Join(os.Chmod(cfg.Keys, m.keys), os.Chmod(cfg.JWT.SecretFile, m.secret)); err != nil {
			t.Fatal(err)
		}
		a, err := Open(cfg)
		if (err == nil) != m.ok || err != nil && !errors.Is(err, ErrFile) {
			t.Errorf("%o, %o: %v", m.keys, m.secret, err)
		}
		if err == nil {
			a.Close()
			if warned := strings.Contains(logged.String(), "others can read"); warned != (m.keys&0o044 != 0) {
				t.Errorf("%o: warned: %v", m.keys, warned)
			}
		}
	}
	cfg, _ := hsConfig(t, c.now)
	if err := os.Mkdir(cfg.Keys, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); !errors.Is(err, ErrFile) {
		t.Errorf("a directory for a file: %v", err)
	}
}

// TestKeyFileTakesEditsAtOnce: none may be lost, and who reads meanwhile sees a whole file.
func TestKeyFileTakesEditsAtOnce(t *testing.T) {
	t.Parallel()
	f := KeyFile{Path: filepath.Join(t.TempDir(), "keys.json")}
	const editors, each = 6, 6
	var wg, reader sync.WaitGroup
	done := make(chan struct{})
	reader.Go(func() {
		for !closed(done) {
			if _, err := f.List(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range editors {
		wg.Go(func() {
			for n := range each {
				k, _, err := f.Create(Key{Role: Backend})
				if err == nil && n%3 == 0 {
					_, err = f.Revoke(k.ID)
				}
				if err == nil && n%3 == 1 {
					_, _, err = f.Rotate(k.ID, time.Hour, time.Time{})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(done)
	reader.Wait()
	keys, err := f.List()
	if err != nil {
		t.Fatal(err)
	}
	revoked, replaced := 0, 0
	for _, k := range keys {
		if !k.Revoked.IsZero() {
			revoked++
		}
		if k.Replaces != "" {
			replaced++
		}
		if k.Hash != "" {
			t.Error("List gives hashes")
		}
	}
	if len(keys) != editors*(each+2) || revoked != editors*2 || replaced != editors*2 {
		t.Errorf("%d keys, %d revoked, %d replaced", len(keys), revoked, replaced)
	}
	left, err := os.ReadDir(filepath.Dir(f.Path))
	if err != nil || len(left) != 2 {
		t.Errorf("%d files are left: %v, %v", len(left), left, err)
	}
	info, err := os.Stat(f.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

// TestFailedEditChangesNothing also leaves no temporary file behind.
func TestFailedEditChangesNothing(t *testing.T) {
	t.Parallel()
	f := KeyFile{Path: filepath.Join(t.TempDir(), "keys.json")}
	mustCreate(t, f, Key{Role: Backend})
	before, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"bad role":     second(f.Create(Key{Role: "root"})),
		"bad note":     second(f.Create(Key{Role: Admin, Note: "a\nb"})),
		"revoke":       func() error { _, err := f.Revoke("nonesuch"); return err }(),
		"rotate":       second(f.Rotate("nonesuch", 0, time.Time{})),
		"overlap":      second(f.Rotate("nonesuch", -1, time.Time{})),
		"far too late": second(f.Create(Key{Role: Admin, Expires: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)})),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	after, err := os.ReadFile(f.Path)
	if err != nil || string(after) != string(before) {
		t.Error("the file changed", err)
	}
	if _, err := (KeyFile{Path: filepath.Join(t.TempDir(), "none", "keys.json")}).List(); err != nil {
		t.Errorf("listing no file: %v", err)
	}
	if _, _, err := (KeyFile{Path: filepath.Join(t.TempDir(), "none", "keys.json")}).Create(Key{Role: Admin}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("creating in no directory: %v", err)
	}
}

func second(_ Key, _ string, err error) error { return err }

// TestWatched: a file that did not change is not read again; a change is seen even if size and time of the file are the same.
func TestWatched(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "f"), "one")
	w := watched{path: path, most: 10}
	read := func(want string, fresh bool) {
		t.Helper()
		b, _, got, err := w.read()
		if err != nil || got != fresh || string(b) != want {
			t.Errorf("%q, %v, %v; want %q, %v", b, got, err, want, fresh)
		}
	}
	date := func(at time.Time) {
		t.Helper()
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	date(long)
	read("one", true)
	read("", false)
	date(long.Add(time.Minute))
	read("one", true)
	read("", false)
	now := time.Now()
	date(now)
	read("one", true)
	write(t, path, "two") // in the same moment, as far as its clock can tell
	date(now)
	read("two", true)
	date(long)
	read("two", true)
	other := write(t, filepath.Join(t.TempDir(), "g"), "six")
	if err := os.Chtimes(other, long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	read("six", true)
	write(t, path, strings.Repeat("x", 11))
	if _, _, _, err := w.read(); !errors.Is(err, ErrFile) {
		t.Errorf("too long: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := w.read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gone: %v", err)
	}
}

// TestRootEditsForTheServer: what root makes in a directory belongs to whom the directory belongs.
func TestRootEditsForTheServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const other = 65534
	dir := t.TempDir()
	if err := os.Chown(dir, other, other); err != nil {
		t.Fatal(err)
	}
	f := KeyFile{Path: filepath.Join(dir, "keys.json")}
	for range 2 {
		mustCreate(t, f, Key{Role: Backend})
		for _, path := range []string{f.Path, f.Path + ".lock"} {
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err != nil || st.Uid != other || st.Gid != other {
				t.Errorf("%s belongs to %d:%d, %v", path, st.Uid, st.Gid, err)
			}
		}
	}
}

// TestLinkedFile: an edit changes the file, not the link to it.
func TestLinkedFile(t *testing.T) {
	t.Parallel()
	real, link := KeyFile{Path: filepath.Join(t.TempDir(), "real.json")}, KeyFile{Path: filepath.Join(t.TempDir(), "keys.json")}
	mustCreate(t, real, Key{Role: Backend})
	if err := os.Symlink(real.Path, link.Path); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, link, Key{Role: Admin})
	if keys, err := real.List(); err != nil || len(keys) != 2 {
		t.Errorf("%+v, %v", keys, err)
	}
	if info, err := os.Lstat(link.Path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
}

// TestGroupThatReadsKeepsReading: an edit leaves the file to a server that reads it by its group, which must see who is revoked; and never
// gives more than that.
func TestGroupThatReadsKeepsReading(t *testing.T) {
	t.Parallel()
	f := KeyFile{Path: filepath.Join(t.TempDir(), "keys.json")}
	made, _ := mustCreate(t, f, Key{Role: Admin})
	for _, c := range []struct{ before, after os.FileMode }{{0o600, 0o600}, {0o640, 0o640}, {0o644, 0o640}, {0o604, 0o600}} {
		if err := os.Chmod(f.Path, c.before); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Revoke(made.ID); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(f.Path); err != nil || st.Mode().Perm() != c.after {
			t.Errorf("%o became %o, want %o: %v", c.before, st.Mode().Perm(), c.after, err)
		}
	}
}
