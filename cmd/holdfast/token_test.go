package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestCommandsSendAToken: who asks a server with authentication says who comes, by flag or environment; and no token is repeated.
func TestCommandsSendAToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := func(args ...string) string {
		out, stderr, code := cli(t, append([]string{"key", "create", "--data", dir}, args...)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		return strings.TrimSpace(out)
	}
	everywhere, spring := key("--role", "admin"), key("--role", "admin", "--realm", "spring")
	autumn, low := key("--role", "admin", "--realm", "autumn"), key("--role", "staff", "--realm", "spring")
	c := startServer(t, dir, "--database", "none")
	pools := write(t, "courses.csv", "course,capacity\nc1,2\n")
	const wrong = "hf_aaaaaaaa_" + "0123456789012345678901234567890123456789012"
	next := "next: export HOLDFAST_TOKEN=$(holdfast key create --role admin"
	for _, row := range []struct {
		name, command, token string
		code                 int
		want                 string
	}{
		{"no token", "load", "", exitFailure, next + " --realm spring --data DIR)"},
		{"unknown", "load", wrong, exitFailure, next},
		{"low", "load", low, exitFailure, next},
		{"another realm", "load", autumn, exitFailure, next},
		{"newline", "load", wrong + "\nX: y", exitUsage, "is no token"},
		{"this realm", "load", spring, exitOK, "0 made or changed, 1 as they were"},
		{"every realm", "load", everywhere, exitOK, "0 made or changed, 1 as they were"},
		{"no token", "rush", "", exitFailure, next + " --data DIR)"},
		{"unknown", "rush", wrong, exitFailure, next},
		{"one realm", "rush", spring, exitFailure, next},
		{"newline", "rush", wrong + "\nX: y", exitUsage, "is no token"},
	} {
		args := []string{"rush", "--target", c.url, "--students", "4"}
		if row.command == "load" {
			args = []string{"load", "spring", "--pools", pools, "--target", c.url}
		}
		byFlag := args
		if row.token != "" {
			byFlag = append(args, "--token", row.token)
		}
		out, stderr, code := cli(t, byFlag...)
		check := func(how string, code int, said string) {
			if code != row.code || row.token != "" && strings.Contains(said, strings.SplitN(row.token, "\n", 2)[0]) {
				t.Errorf("%s, %s, %s: exit code %d: %s", row.command, row.name, how, code, said)
			}
		}
		check("flag", code, out+stderr)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self, args...)
		cmd.Env = append(os.Environ(), asCommand+"=1", tokenVariable+"="+row.token)
		said, _ := cmd.CombinedOutput() // the exit code says it
		check("environment", cmd.ProcessState.ExitCode(), string(said))
		expect(t, row.command+", "+row.name, string(said), row.want)
	}
}

// TestHelpShowsEveryFlag: where flags stand in groups, none may be forgotten.
func TestHelpShowsEveryFlag(t *testing.T) {
	t.Parallel()
	for _, cmd := range newRoot().Commands() {
		shown := cmd.UsageString()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(shown, "  --"+f.Name+" ") {
				t.Errorf("holdfast %s --help does not show --%s", cmd.Name(), f.Name)
			}
		})
	}
	out, _, code := cli(t, "serve", "--help")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	expect(t, "serve --help", out, "Examples:", "Who may ask:", "From where:")
}
