package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"holdfast/engine"
	"holdfast/mirror"
)

// verifyConfig says what is checked.
type verifyConfig struct {
	Dir      string
	Database string // as of serve; empty: holdfast.db in Dir, if it is there
	JSON     bool
	Stdout   io.Writer
}

func newVerify() *cobra.Command {
	cfg := verifyConfig{}
	cmd := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Check a data directory: frames, hashes, rules, snapshots, database",
		Long: `Reads the whole log and checks every frame and the chain of their hashes, replays it and checks the rules at every
event, compares every snapshot and the recovered state with the replay, and every row of the database with the log.
It changes nothing, and prints what it compared. The exit code is 1 if anything is not right.

Beside a running server it checks what was durable when it began, and says so.`,
		Example: `  holdfast verify ./holdfast-data
  holdfast verify /var/lib/holdfast --database postgres://holdfast@db.internal/enrolment --json`,
		Args: optionalDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.Dir, cfg.Stdout = dirOf(args), cmd.OutOrStdout()
			return verify(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Database, "database", "", "`URL` of the database, or none (default holdfast.db in DIR, if it is there)")
	f.BoolVar(&cfg.JSON, "json", false, "the report as one JSON object")
	return cmd
}

// verify checks a directory and prints the report. It returns errToldAlready if the report has something that is not right.
func verify(ctx context.Context, cfg verifyConfig) error {
	dir, err := engine.ViewDir(cfg.Dir)
	if err != nil {
		return adviseView(err, cfg.Dir)
	}
	a := newAudit(dir, cfg.Dir)
	if err := a.log(ctx); err != nil {
		return err
	}
	if url := databaseToVerify(&cfg); url != "" {
		a.database(ctx, url, cfg.Database)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.report.print(cfg.Stdout, cfg.JSON); err != nil {
		return err
	}
	if a.report.Found > 0 {
		return errToldAlready
	}
	return nil
}

// databaseToVerify is the database's URL; empty = there is none to compare.
func databaseToVerify(cfg *verifyConfig) string {
	url := databaseOf(cfg.Dir, cfg.Database)
	if cfg.Database != "" {
		return url
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, "holdfast.db")); err != nil {
		return ""
	}
	return url
}

// database compares the rows with the log (J7).
func (a *audit) database(ctx context.Context, url, flag string) {
	cfg := mirror.DefaultConfig()
	cfg.URL = url
	report, err := checkMirror(ctx, a.dir, a.report.Directory, cfg)
	a.report.rebuild = "holdfast mirror rebuild --data " + a.report.Directory + databaseFlag(flag)
	a.report.Database = &databaseReport{
		URL: hidePassword(url), Cursor: report.Cursor.Seq, Behind: report.Behind,
		Realms: report.Realms, Pools: report.Pools, Claims: report.Claims, Events: report.Events,
		Desks: report.Desks, Agents: report.Agents, Requests: report.Requests, Offers: report.Offers, Sessions: report.Sessions,
	}
	if err != nil {
		a.violate("J7", report.Cursor.Seq, "the database could not be compared: %v", err)
		return
	}
	for _, d := range report.Differences {
		a.violate("J7", report.Cursor.Seq, "%s", d)
	}
	a.report.Found += int(report.Different) - len(report.Differences)
}

func (r *verifyReport) print(out io.Writer, asJSON bool) error {
	if !asJSON {
		_, err := io.WriteString(out, r.text())
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		_, err = out.Write(append(b, '\n'))
	}
	return err
}
