package rush

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"holdfast/seat"
)

// Config says how large a rush is and against what it is played. DefaultConfig gives a filled one.
type Config struct {
	Students    int     // who press in act 2, 4 to 1,000,000; a quarter of them press in act 1
	Pools       int     // courses of act 2, 1 to 10,000
	Seats       int     // seats of every course, in act 1 too
	Choices     int     // wishes of each student, 1 to 32, at most Pools
	Refresh     float64 // share of the students who press again, 0 to 1
	Leave       float64 // share of the seats of act 2 given back afterwards, 0 to 1
	Skew        float64 // popularity: the course of rank k is wanted in proportion to 1/k^Skew; 0 = all alike
	Seed        uint64  // who wants what, in which order they press, who presses again, who leaves
	Connections int     // connections to the server, 1 to 20,000; students take turns on them

	Courses string  // catalogue: CSV with course, capacity; replaces act 2 together with Wishes
	Wishes  string  // catalogue: CSV with student, course, rank
	Squeeze float64 // the catalogue's capacities are multiplied by it, never below 1 where there was a seat

	WS    bool // every student has a WebSocket of their own
	Storm bool // with WS: at the end all connections are cut at once, and come back
	Fit   bool // with WS: as many of the Students as the limit of open files allows; else too many are an error

	Target   string // URL of a running server; empty = start a child
	Token    string // sent as a bearer token; empty = none
	Kill     int    // kill -9 the child this often in the middle of act 2
	Restart  int    // stop the child in good order (SIGTERM) and start it again this often in the middle of act 2
	Data     string // directory of the child, kept; must be empty or absent. Empty = a temporary one, removed
	Database string // handed to the child as --database; empty = its default, SQLite in the directory

	Answers string // file for every answer that a student saw, one JSON object a line; empty = none
	Report  string // file for the HTML page; empty = none
	JSON    bool   // the table as one JSON object

	Program  []string  // the child's command up to "serve"; empty = this executable
	Stdout   io.Writer // the table
	Stderr   io.Writer // progress
	Terminal bool      // Stderr is a terminal: show a progress bar

	quiet time.Duration // with WS: after so long without a word nothing more is expected; positions come once a second
}

// DefaultConfig is the rush that is played when nothing else is said: 40,000 students, 300 courses of 30 seats, baskets of 5 wishes.
func DefaultConfig() Config {
	return Config{
		Students: 40_000, Pools: 300, Seats: 30, Choices: 5, Refresh: 0.3, Leave: 0.05, Skew: 1, Seed: 1,
		Connections: 256, Squeeze: 0.5, quiet: 1500 * time.Millisecond, Stdout: io.Discard, Stderr: io.Discard,
	}
}

// Validate names the flags that are out of range or do not go together.
func (c *Config) Validate() error {
	between := func(flag string, v, low, high float64) error {
		if v >= low && v <= high {
			return nil
		}
		plain := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
		return fmt.Errorf("--%s must be %s to %s", flag, plain(low), plain(high))
	}
	if err := errors.Join(
		between("students", float64(c.Students), 4, 1_000_000),
		between("pools", float64(c.Pools), 1, 10_000),
		between("seats", float64(c.Seats), 0, seat.MaxCapacity),
		between("choices", float64(c.Choices), 1, seat.MaxBasket),
		between("refresh", c.Refresh, 0, 1),
		between("leave", c.Leave, 0, 1),
		between("skew", c.Skew, 0, 5),
		between("connections", float64(c.Connections), 1, 20_000),
		between("squeeze", c.Squeeze, 0.001, 1_000),
		between("kill", float64(c.Kill), 0, 100),
		between("restart", float64(c.Restart), 0, 100),
	); err != nil {
		return err
	}
	switch {
	case c.Courses == "" && c.Choices > c.Pools:
		return errors.New("--choices must not be above --pools")
	case (c.Courses == "") != (c.Wishes == ""):
		return errors.New("--courses and --wishes go together")
	case c.Target != "" && c.Kill > 0:
		return errors.New("--kill needs a server of its own; a --target is never killed")
	case c.Target != "" && c.Restart > 0:
		return errors.New("--restart needs a server of its own; a --target is never stopped")
	case c.Storm && !c.WS:
		return errors.New("--storm cuts the connections of --ws")
	case c.Target != "" && (c.Data != "" || c.Database != ""):
		return errors.New("--data and --database are for a server of its own; a --target has its own")
	}
	if c.Target == "" {
		return nil
	}
	u, err := url.Parse(c.Target)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("--target: %q is not a URL such as http://127.0.0.1:7777", c.Target)
	}
	return nil
}
