package pgtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"holdfast/internal/pgtest"
)

func TestKillAndRestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := pgtest.Start(t)
	url := s.Database(t)
	answer := func() (version string, err error) {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return "", err
		}
		defer conn.Close(ctx)
		err = conn.QueryRow(ctx, "SHOW server_version").Scan(&version)
		return version, err
	}
	version, err := answer()
	if err != nil {
		t.Fatal(err)
	}
	t.Log("Postgres", version)
	s.Kill()
	if _, err := answer(); err == nil {
		t.Fatal("a killed server answers")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := answer(); err != nil {
		t.Fatal(err)
	}
}
