package mirror

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	sqlite "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// sqliteStore writes an SQLite file through one connection of the driver, without database/sql: its pool would be of no
// use, and its conversions cost more than the statements. WAL, so that readers never wait; synchronous=FULL, because the
// log is trimmed behind the cursor, which therefore must not roll back.
type sqliteStore struct {
	path, uri string
	timeout   time.Duration
	hook      hook

	conn  driver.Conn // nil: not open
	stmts map[string]driver.Stmt
	args  []driver.NamedValue // of the statement that is being made
}

func newSQLite(path string, c *Config) (*sqliteStore, error) {
	uri, err := sqliteURI(path)
	if err != nil {
		return nil, err
	}
	return &sqliteStore{path: path, uri: uri, timeout: c.Timeout, hook: c.hook}, nil
}

func (s *sqliteStore) table(name string) string   { return name }
func (s *sqliteStore) stamp(column string) string { return "coalesce(" + column + ", '')" }
func (s *sqliteStore) member(name string) string  { return "json_extract(body, '$." + name + "')" }

func (s *sqliteStore) open(ctx context.Context) error {
	conn, err := new(sqlite.Driver).Open(s.uri)
	if err != nil {
		return s.name(err)
	}
	s.conn, s.stmts = conn, map[string]driver.Stmt{}
	busy := min(s.timeout.Milliseconds(), 10_000)
	for _, pragma := range []string{
		"PRAGMA busy_timeout = " + strconv.FormatInt(busy, 10),
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",
		"PRAGMA cache_size = -32768", // KiB
		"PRAGMA temp_store = MEMORY",
		"PRAGMA wal_autocheckpoint = 16384", // pages
	} {
		if err := s.script(ctx, pragma); err != nil {
			return err
		}
	}
	return s.migrate(ctx)
}

func (s *sqliteStore) close() {
	if s.conn == nil {
		return
	}
	for _, stmt := range s.stmts {
		stmt.Close() // the connection is given up, whatever it says
	}
	s.conn.Close()
	s.conn, s.stmts = nil, nil
}

// migrate runs under SQLite's lock of all writers.
func (s *sqliteStore) migrate(ctx context.Context) error {
	all, err := migrations("sqlite")
	if err != nil {
		return err
	}
	if err := s.script(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer s.script(context.Background(), "ROLLBACK") // an error after COMMIT, when there is nothing to roll back
	if err := s.script(ctx, `CREATE TABLE IF NOT EXISTS schema_version (
		version integer PRIMARY KEY, checksum text NOT NULL, at text NOT NULL) STRICT`); err != nil {
		return err
	}
	applied := map[int]string{}
	err = s.query(ctx, "SELECT version, checksum FROM schema_version", nil, func(scan func(...any) error) error {
		var version int64
		var checksum string
		err := scan(&version, &checksum)
		applied[int(version)] = checksum
		return err
	})
	if err != nil {
		return err
	}
	todo, err := pending(all, applied)
	if err != nil {
		return err
	}
	for _, m := range todo {
		sql, err := s.newColumns(ctx, m.sql)
		if err == nil {
			err = s.script(ctx, sql)
		}
		if err != nil {
			return fmt.Errorf("schema %s: %w", m.name, err)
		}
		if _, err := s.exec(ctx, "INSERT INTO schema_version VALUES (?, ?, ?)", m.version, m.checksum, now()); err != nil {
			return err
		}
	}
	return s.script(ctx, "COMMIT")
}

// addsColumn is a line of a migration that adds a column which may be there.
var addsColumn = regexp.MustCompile(`(?m)^ALTER TABLE (\w+) ADD COLUMN IF NOT EXISTS (\w+) .*$`)

// newColumns does what SQLite lacks: it leaves out the columns that are there, and the words IF NOT EXISTS.
func (s *sqliteStore) newColumns(ctx context.Context, sql string) (string, error) {
	for _, line := range addsColumn.FindAllStringSubmatch(sql, -1) {
		there := false
		err := s.query(ctx, "SELECT name FROM pragma_table_info(?) WHERE name = ?", []any{line[1], line[2]}, func(func(...any) error) error {
			there = true
			return nil
		})
		if err != nil {
			return "", err
		}
		only := strings.Replace(line[0], "IF NOT EXISTS ", "", 1)
		if there {
			only = ""
		}
		sql = strings.Replace(sql, line[0], only, 1)
	}
	return sql, nil
}

// now is the time for columns that say when a row was written here, which no event knows.
func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000000Z") }

// script runs statements without arguments.
func (s *sqliteStore) script(ctx context.Context, sql string) error {
	_, err := s.conn.(driver.ExecerContext).ExecContext(ctx, sql, nil)
	return s.name(err)
}

// prepare gives the statement, made once for each connection.
func (s *sqliteStore) prepare(sql string) (driver.Stmt, error) {
	if stmt := s.stmts[sql]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.conn.Prepare(sql)
	if err != nil {
		return nil, s.name(err)
	}
	s.stmts[sql] = stmt
	return stmt, nil
}

// exec runs one prepared statement and says how many rows it hit.
func (s *sqliteStore) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	stmt, err := s.prepare(sql)
	if err != nil {
		return 0, err
	}
	s.args = s.args[:0]
	for _, a := range args {
		s.bind(a)
	}
	return s.run(stmt)
}

// bind adds an argument.
func (s *sqliteStore) bind(v any) {
	if n, ok := v.(int); ok {
		v = int64(n)
	}
	s.args = append(s.args, driver.NamedValue{Ordinal: len(s.args) + 1, Value: v})
}

// run executes with what was bound. No context goes down: the driver would start a goroutine for each statement.
func (s *sqliteStore) run(stmt driver.Stmt) (int64, error) {
	res, err := stmt.(driver.StmtExecContext).ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, s.name(err)
	}
	return res.RowsAffected()
}

func (s *sqliteStore) query(ctx context.Context, sql string, args []any, each func(func(...any) error) error) error {
	s.args = s.args[:0]
	for _, a := range args {
		s.bind(a)
	}
	rows, err := s.conn.(driver.QueryerContext).QueryContext(ctx, sql, s.args)
	if err != nil {
		return s.name(err)
	}
	defer rows.Close()
	values := make([]driver.Value, len(rows.Columns()))
	scan := func(dest ...any) error { return scanInto(dest, values) }
	for {
		err := rows.Next(values)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return s.name(err)
		}
		if err := each(scan); err != nil {
			return err
		}
	}
}

func scanInto(dest []any, values []driver.Value) error {
	for i, d := range dest {
		var ok bool
		switch d := d.(type) {
		case *string:
			*d, ok = values[i].(string)
		case *int64:
			*d, ok = values[i].(int64)
		}
		if !ok {
			return fmt.Errorf("column %d: %T does not fit %T", i, values[i], d)
		}
	}
	return nil
}

func (s *sqliteStore) snapshot(ctx context.Context) error { return s.script(ctx, "BEGIN") }
func (s *sqliteStore) release(ctx context.Context) error  { return s.script(ctx, "ROLLBACK") }

// name adds the file, and tells what no retry mends from the rest.
func (s *sqliteStore) name(err error) error {
	if err == nil {
		return nil
	}
	if known := new(violation); errors.As(err, &known) {
		return err
	}
	code := new(sqlite.Error)
	if !errors.As(err, &code) {
		return fmt.Errorf("sqlite %s: %w", s.path, err)
	}
	switch code.Code() & 0xff {
	case codes.SQLITE_CONSTRAINT, codes.SQLITE_MISMATCH, codes.SQLITE_ERROR, codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB,
		codes.SQLITE_TOOBIG, codes.SQLITE_RANGE, codes.SQLITE_MISUSE:
		return violated("sqlite %s: %v; %s", s.path, err, nextCommand)
	}
	return fmt.Errorf("sqlite %s: %w", s.path, err)
}
