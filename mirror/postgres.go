package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// migrationLock is the key of the advisory lock under which the schema is made: "holdfast" in ASCII.
const migrationLock = 0x686f6c6466617374

// postgresStore writes one Postgres database through one connection, in the schema holdfast.
type postgresStore struct {
	conf    *pgx.ConnConfig
	timeout time.Duration
	hook    hook

	conn *pgx.Conn // nil: not open
	copy copyBuffer
	temp map[string]bool // the tables of desks that have one for rows that change, in this connection
}

func newPostgres(conf *pgx.ConnConfig, c *Config) *postgresStore {
	conf.ConnectTimeout = c.Timeout
	if conf.RuntimeParams["application_name"] == "" {
		conf.RuntimeParams["application_name"] = "holdfast"
	}
	conf.RuntimeParams["timezone"] = "UTC"
	return &postgresStore{conf: conf, timeout: c.Timeout, hook: c.hook}
}

func (s *postgresStore) table(name string) string { return "holdfast." + name }

func (s *postgresStore) stamp(column string) string {
	return "coalesce(to_char(" + column + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '')"
}

func (s *postgresStore) member(name string) string { return "body ->> '" + name + "'" }

func (s *postgresStore) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.conf)
	if err != nil {
		return s.name(err)
	}
	s.conn, s.temp = conn, map[string]bool{}
	if err := s.migrate(ctx); err != nil {
		return s.name(err)
	}
	// Rows that change are copied here first. Nobody else sees it, and each commit empties it.
	_, err = conn.Exec(ctx, `CREATE TEMP TABLE changed (realm text, pool text, person text, status text, seat bigint,
		ticket bigint, deadline timestamptz, swap text, cause text, seq bigint, at timestamptz, was text) ON COMMIT DELETE ROWS`)
	return s.name(err)
}

func (s *postgresStore) close() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.conn.Close(ctx) // the connection is given up, whatever it says
	s.conn = nil
}

// migrate makes the schema or brings it up to date, in one transaction, one program at a time. A schema that is there
// already needs no right but that of its owner.
func (s *postgresStore) migrate(ctx context.Context) error {
	all, err := migrations("postgres")
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.conn, func(t pgx.Tx) error {
		if _, err := t.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		var there bool
		if err := t.QueryRow(ctx, "SELECT to_regclass('holdfast.schema_version') IS NOT NULL").Scan(&there); err != nil {
			return err
		}
		if !there {
			if err := firstSchema(ctx, t); err != nil {
				return err
			}
		}
		applied := map[int]string{}
		rows, err := t.Query(ctx, "SELECT version, checksum FROM holdfast.schema_version")
		if err != nil {
			return err
		}
		var version int
		var checksum string
		_, err = pgx.ForEachRow(rows, []any{&version, &checksum}, func() error {
			applied[version] = checksum
			return nil
		})
		if err != nil {
			return err
		}
		todo, err := pending(all, applied)
		if err != nil {
			return err
		}
		for _, m := range todo {
			if _, err := t.Exec(ctx, m.sql); err != nil {
				return fmt.Errorf("schema %s: %w", m.name, err)
			}
			if _, err := t.Exec(ctx, "INSERT INTO holdfast.schema_version VALUES ($1, $2, now())", m.version, m.checksum); err != nil {
				return err
			}
		}
		return nil
	})
}

func firstSchema(ctx context.Context, t pgx.Tx) error {
	var there bool
	if err := t.QueryRow(ctx, "SELECT to_regnamespace('holdfast') IS NOT NULL").Scan(&there); err != nil {
		return err
	}
	if !there { // IF NOT EXISTS asks for the right to make one even where it exists
		if _, err := t.Exec(ctx, "CREATE SCHEMA holdfast"); err != nil {
			return err
		}
	}
	_, err := t.Exec(ctx, `CREATE TABLE holdfast.schema_version (version integer PRIMARY KEY, checksum text NOT NULL,
		at timestamptz NOT NULL)`)
	return err
}

func (s *postgresStore) query(ctx context.Context, sql string, args []any, each func(func(...any) error) error) error {
	rows, err := s.conn.Query(ctx, sql, args...)
	if err != nil {
		return s.name(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return s.name(rows.Err())
}

func (s *postgresStore) snapshot(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	return s.name(err)
}

func (s *postgresStore) release(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "ROLLBACK")
	return s.name(err)
}

// name tells what no retry mends from the rest, and names the row where Postgres knows it. Everything that is not an
// answer of the server is a lost connection.
func (s *postgresStore) name(err error) error {
	if err == nil {
		return nil
	}
	if known := new(violation); errors.As(err, &known) {
		return err
	}
	answer := new(pgconn.PgError)
	if !errors.As(err, &answer) {
		return fmt.Errorf("postgres: %w", err)
	}
	switch answer.Code[:2] {
	case "23", // a constraint
		"22": // a value that does not fit its column
		return violated("table %s: %s (%s); %s", answer.TableName, answer.Message, answer.Detail, nextCommand)
	case "42": // no such table or column. But a right can be given back:
		if answer.Code != "42501" {
			return violated("postgres: %s; %s", answer.Message, nextCommand)
		}
	case "3F":
		return violated("postgres: %s; %s", answer.Message, nextCommand)
	}
	return fmt.Errorf("postgres: %w", err)
}
