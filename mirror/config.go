package mirror

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says which database, and how it is written. DefaultConfig gives a filled one.
type Config struct {
	// URL is "postgres://…" (or "postgresql://…"), "sqlite:PATH", or a path alone, which is SQLite too. The directory of
	// an SQLite file must exist; the file is made.
	URL string
	// BatchRows is how many events one transaction takes at most, rounded up to whole frames. Memory holds two such
	// batches. 1 to 100,000, default 20,000.
	BatchRows int
	// RetryMost caps the pause before the database is tried again; each pause is random, between zero and a bound that
	// doubles from 50 ms up to this. Default 5 s.
	RetryMost time.Duration
	// Timeout bounds one transaction, and one attempt to connect. Default 1 min.
	Timeout time.Duration
	// HotShare is the share of the time that the mirror writes while a crowd is there (5,000 events a second and more) and
	// nobody waits for a record: decisions go first, the database catches up behind the crowd. Above 0, to 1 (never rest). Default 0.25.
	HotShare float64
	// HotLag is how old the oldest event that is not recorded may become by that; then the mirror rests no more.
	// Default 30 s.
	HotLag time.Duration
	// Logger hears of each change of state once. nil discards.
	Logger *slog.Logger
	// Registerer takes the metrics. nil: none are registered.
	Registerer prometheus.Registerer
	// OnRecorded is called after each transaction, by one goroutine, with the last sequence that is now recorded, and the
	// time. It must be quick. nil: nobody is called.
	OnRecorded func(seq uint64, at time.Time)

	// hook stands between any two statements of a transaction: tests let it fail. nil otherwise.
	hook hook
}

// DefaultConfig is filled but for the URL.
func DefaultConfig() Config {
	return Config{
		BatchRows: 20_000, RetryMost: 5 * time.Second, Timeout: time.Minute,
		HotShare: 0.25, HotLag: 30 * time.Second,
	}
}

func (c *Config) validate() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.URL == "":
		return errors.New("mirror: Config.URL is missing: sqlite:PATH or postgres://…")
	case c.BatchRows < 1 || c.BatchRows > 100_000:
		return fmt.Errorf("mirror: Config.BatchRows is %d, must be 1 to 100000", c.BatchRows)
	case !(c.HotShare > 0 && c.HotShare <= 1):
		return fmt.Errorf("mirror: Config.HotShare is %v, must be above 0, to 1", c.HotShare)
	case c.HotLag <= 0:
		return errors.New("mirror: Config.HotLag must be positive")
	case c.RetryMost <= 0:
		return errors.New("mirror: Config.RetryMost must be positive")
	case c.Timeout <= 0:
		return errors.New("mirror: Config.Timeout must be positive")
	}
	return nil
}

// Valid says what is wrong with the configuration, its URL included. It does not connect.
func (c *Config) Valid() error {
	_, err := c.newStore()
	return err
}

// newStore picks the database of the URL. It does not connect.
func (c *Config) newStore() (store, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	scheme, rest, ok := strings.Cut(c.URL, ":")
	switch {
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		conf, err := pgx.ParseConfig(c.URL)
		if err != nil {
			return nil, fmt.Errorf("mirror: Config.URL: %w", hidePassword(err))
		}
		return newPostgres(conf, c), nil
	case ok && scheme == "sqlite":
		return newSQLite(rest, c)
	case ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\.`):
		return nil, fmt.Errorf("mirror: Config.URL: %q is no database that Holdfast knows: sqlite:PATH or postgres://…", scheme)
	}
	return newSQLite(c.URL, c)
}

// hidePassword: pgx repeats the URL in its message, with the password masked, but not in every case.
func hidePassword(err error) error {
	if parse := new(pgconn.ParseConfigError); errors.As(err, &parse) {
		return errors.New("it is not a Postgres URL such as postgres://user:password@host:5432/database")
	}
	return err
}

// sqliteURI makes the name by which SQLite opens a path: escaped, so that no byte of it is taken for an option.
func sqliteURI(path string) (string, error) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || path == ":memory:" {
		return "", errors.New("mirror: Config.URL: sqlite needs the path of a file, such as sqlite:holdfast.db")
	}
	u := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + u.EscapedPath(), nil
}
