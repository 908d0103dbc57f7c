package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// servedDesk makes a data directory in which zoe asked desk acme, bob declined, and eve served zoe; and names the request.
func servedDesk(t *testing.T) (dir, request string) {
	t.Helper()
	dir = t.TempDir()
	c := startServer(t, dir)
	const desk = "/v1/realms/help/desks/acme"
	c.must("PUT", "/v1/realms/help", "")
	c.must("PUT", desk, `{"policy":"queue"}`)
	for _, agent := range []string{"bob", "eve"} {
		c.must("PUT", desk+"/agents/"+agent, `{"reach":"push"}`)
		c.must("POST", desk+"/agents/"+agent+"/state", `{"state":"online"}`)
	}
	id := func(v any) string { return fmt.Sprint(int(v.(float64))) }
	request = id(c.must("POST", desk+"/requests", `{"client":"zoe"}`)["request"])
	offer := func() string { return desk + "/offers/" + id(c.must("GET", desk+"/requests/"+request, "")["offer"]) }
	c.must("POST", offer()+"/reject", `{"agent":"bob","reason":"lunch"}`)
	session := id(c.must("POST", offer()+"/accept", `{"agent":"eve"}`)["session"])
	c.must("POST", desk+"/sessions/"+session+"/finish", `{"agent":"eve"}`)
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.stderr)
	}
	return dir, request
}

func TestLookAtADesk(t *testing.T) {
	t.Parallel()
	dir, request := servedDesk(t)
	out, stderr, code := cli(t, "why", "help", "--desk", "acme", "--request", request, "--data", dir)
	if code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	expect(t, "the request's story", out, "request "+request+" at acme of help", "zoe asked: 2 agents were ready", "bob declined", `reason: "lunch"`, "eve accepted", "Now: it has ended: done")
	out, _, _ = cli(t, "why", "help", "--desk", "acme", "--agent", "bob", "--data", dir)
	expect(t, "the agent's story", out, "agent bob at acme of help", "went online: idle", "at the end of the line", "Now: idle")
	for _, args := range [][]string{{"help", "--desk", "acme"}, {"help", "--desk", "acme", "--request", "1", "--agent", "bob"}, {"help", "--request", "1"},
		{"help", "--desk", "a b", "--agent", "bob"}, {"help", "acme", "bob", "--desk", "acme", "--agent", "bob"}} {
		if _, _, code := cli(t, append([]string{"why"}, args...)...); code != exitUsage {
			t.Errorf("why %v: exit code %d", args, code)
		}
	}
	out, _, _ = cli(t, "log", dir, "--realm", "help")
	expect(t, "the log", out, `"kind":"desk_put","desk":"acme"`, `"kind":"offer_ended","desk":"acme","agent":"bob","request":`+request, `"kind":"session_finished"`)
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	const rows = "1 desks, 2 agents, 1 requests, 2 offers, 1 sessions"
	out, _, code = cli(t, "verify", dir)
	if code != 0 {
		t.Errorf("verify: exit code %d", code)
	}
	expect(t, "the report", out, rows, "D1 ", "Nothing is wrong")
	var report struct {
		Database struct{ Desks, Agents, Requests, Offers, Sessions int }
	}
	out, _, _ = cli(t, "verify", "--json", dir)
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Database.Offers != 2 || report.Database.Agents != 2 || report.Database.Requests != 1 {
		t.Errorf("as JSON: %v %+v", err, report)
	}
	out, _, _ = cli(t, "mirror", "check", "--data", dir)
	expect(t, "the check", out, rows, "no difference")
}

func TestVerifyFindsAPlantedRowOfADesk(t *testing.T) {
	t.Parallel()
	dir, request := servedDesk(t)
	for statement, names := range map[string]string{
		"UPDATE agents SET state = 'busy' WHERE agent = 'bob'": "agent=bob",
		"UPDATE requests SET agent = 'bob'":                    "request=" + request,
		"DELETE FROM offers WHERE agent = 'bob'":               "table offers",
		"UPDATE sessions SET client = 'yan'":                   "table sessions",
		"UPDATE desks SET config = '{}'":                       "desk=acme",
	} {
		db, err := sql.Open("sqlite", filepath.Join(dir, "holdfast.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		out, _, code := cli(t, "verify", dir)
		if code != exitFailure {
			t.Errorf("%s: exit code %d", statement, code)
		}
		expect(t, "the report", out, "J7", names, "mirror rebuild --data "+dir)
		if out, stderr, code := cli(t, "mirror", "rebuild", "--data", dir); code != 0 {
			t.Errorf("mirror rebuild: exit code %d: %s%s", code, out, stderr)
		}
		if out, _, code = cli(t, "verify", dir); code != 0 {
			t.Errorf("after the rebuild: %s", out)
		}
	}
}
