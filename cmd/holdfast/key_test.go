package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"holdfast/auth"
)

var keyText = regexp.MustCompile(`^hf_([a-z2-7]{8})_[0-9A-Za-z]{43}\n$`)

// makeKey runs a command that prints a key, and nothing but it, on stdout.
func makeKey(t *testing.T, args ...string) (id, token, stderr string) {
	t.Helper()
	out, stderr, code := cli(t, append([]string{"key"}, args...)...)
	m := keyText.FindStringSubmatch(out)
	if code != exitOK || m == nil {
		t.Fatalf("exit %d, stdout %q, stderr %s", code, out, stderr)
	}
	if strings.Contains(stderr, strings.TrimSpace(out)) {
		t.Errorf("the key is on stderr too: %s", stderr)
	}
	return m[1], strings.TrimSpace(out), stderr
}

// listed is key list --json.
func listed(t *testing.T, args ...string) map[string]auth.Key {
	t.Helper()
	out, stderr, code := cli(t, append([]string{"key", "list", "--json"}, args...)...)
	var list struct{ Keys []auth.Key }
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitOK {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, stderr)
	}
	keys := map[string]auth.Key{}
	for _, k := range list.Keys {
		keys[k.ID] = k
	}
	return keys
}

// TestKeyLife goes from the first key to its end, with an authority that says what each step means.
func TestKeyLife(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	id, token, stderr := makeKey(t, "create", "--data", dir, "--role", "backend", "--realm", "spring", "--note", "the portal")
	if !strings.Contains(stderr, "restart") || !strings.Contains(stderr, "cannot be shown again") {
		t.Errorf("the first key says: %s", stderr)
	}
	_, _, stderr = makeKey(t, "create", "--data", dir, "--role", "admin", "--expires", "90d")
	if strings.Contains(stderr, "restart") || !strings.Contains(stderr, time.Now().UTC().Add(90*24*time.Hour).Format(time.DateOnly)) {
		t.Errorf("the second key says: %s", stderr)
	}
	cfg := auth.DefaultConfig()
	cfg.Keys = filepath.Join(dir, "keys.json")
	check := func(token string) (auth.Identity, error) {
		t.Helper()
		a, err := auth.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		return a.Check(token)
	}
	if who, err := check(token); err != nil || who.Role != auth.Backend || who.Realm != "spring" || who.Name != id {
		t.Errorf("%+v, %v", who, err)
	}
	next, nextToken, stderr := makeKey(t, "rotate", id, "--data", dir, "--overlap", "2d")
	if !strings.Contains(stderr, "holdfast key revoke "+id+" --data "+dir) {
		t.Errorf("rotate says: %s", stderr)
	}
	for _, text := range []string{token, nextToken} {
		if _, err := check(text); err != nil {
			t.Errorf("within the overlap: %v", err)
		}
	}
	keys := listed(t, "--data", dir)
	if len(keys) != 3 || keys[next].Replaces != id || keys[next].Note != "the portal" || keys[id].Expires.IsZero() || keys[id].Hash != "" {
		t.Errorf("%+v", keys)
	}
	out, stderr, code := cli(t, "key", "revoke", id, "--data", dir)
	if code != exitOK || !strings.Contains(out, id+" (backend) is revoked") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	if _, err := check(token); err == nil {
		t.Error("the revoked key is accepted")
	}
	if _, err := check(nextToken); err != nil {
		t.Errorf("the new key went with the old one: %v", err)
	}
	out, _, _ = cli(t, "key", "list", "--data", dir)
	for _, want := range []string{"ID", id, next, "the portal", "spring", "all", "revoked 20", "replaced by " + next, "valid until"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the list:\n%s", want, out)
		}
	}
	if strings.Contains(out, token) || strings.Contains(out, nextToken[12:]) {
		t.Error("the list tells a secret")
	}
}

func TestKeyMistakes(t *testing.T) {
	dir := t.TempDir()
	id, _, _ := makeKey(t, "create", "--data", dir, "--role", "backend")
	if _, stderr, code := cli(t, "key", "revoke", id, "--data", dir); code != exitOK {
		t.Fatal(stderr)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.json")
	if err := os.WriteFile(damaged, []byte(`{"version":1,"keys":[{"rôle":"admin"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open.json")
	if err := os.WriteFile(open, []byte(`{"version":1,"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		line string
		code int
		says string
		next string
	}{
		{"create --data " + dir, exitUsage, "--role is missing", "holdfast key create --help"},
		{"create --role root --data " + dir, exitUsage, "--role", "key create --help"},
		{"create --role person --data " + dir, exitUsage, "--person", "key create --help"},
		{"create --role backend --realm a/b --data " + dir, exitUsage, "--realm", "key create --help"},
		{"create --role backend --desk d --data " + dir, exitUsage, "--desk", "key create --help"},
		{"create --role admin --expires soon --data " + dir, exitUsage, "--expires", "key create --help"},
		{"create --role admin --expires 2001-01-01T00:00:00Z --data " + dir, exitUsage, "over already", "key create --help"},
		{"create --role admin --expires -5h --data " + dir, exitUsage, "over already", "key create --help"},
		{"create --role admin more --data " + dir, exitUsage, "1 arguments", "key create --help"},
		{"rotate " + id + " --overlap -1h --data " + dir, exitUsage, "--overlap", "key rotate --help"},
		{"rotate " + id + " --overlap x --data " + dir, exitUsage, "--overlap", "key rotate --help"},
		{"revoke --data " + dir, exitUsage, "0 arguments", "key revoke --help"},
		{"revoke nonesuch --data " + dir, exitFailure, "no such API key", "holdfast key list --data " + dir},
		{"rotate nonesuch --keys " + dir + "/keys.json", exitFailure, "no such API key", "holdfast key list --keys " + dir + "/keys.json"},
		{"rotate " + id + " --data " + dir, exitFailure, "revoked", "holdfast key create"},
		{"list --keys " + damaged, exitFailure, "keys[0]", "put back a copy"},
		{"create --role admin --keys " + damaged, exitFailure, "keys[0]", "put back a copy"},
		{"list --keys " + open, exitFailure, "chmod 600", "mend"},
		{"create --role admin --keys " + dir + "/none/keys.json", exitFailure, "no such file", "make the directory"},
	} {
		out, stderr, code := cli(t, append([]string{"key"}, strings.Fields(x.line)...)...)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		if code != x.code || out != "" || len(lines) != 2 || !strings.Contains(lines[0], x.says) || !strings.HasPrefix(lines[1], "next: ") || !strings.Contains(lines[1], x.next) {
			t.Errorf("key %s: exit %d\n%s%s", x.line, code, out, stderr)
		}
	}
	if n := len(listed(t, "--data", dir)); n != 1 {
		t.Errorf("%d keys after all these mistakes", n)
	}
	out, _, code := cli(t, "key", "list", "--data", t.TempDir())
	if code != exitOK || !strings.Contains(out, "no API key") || !strings.Contains(out, "next: holdfast key create") {
		t.Errorf("an empty list: exit %d: %s", code, out)
	}
	if keys := listed(t, "--data", t.TempDir()); len(keys) != 0 {
		t.Errorf("%+v", keys)
	}
}
