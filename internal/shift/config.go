package shift

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"time"
)

// Config says how large a shift is, how people behave in it, and against what it is played. DefaultConfig gives a filled one.
type Config struct {
	Desks   int  // companies, 1 to 10,000
	Agents  int  // of each desk, 1 to 1,000; each on a WebSocket of their own
	Clients int  // WebSockets that clients take turns on, 1 to 20,000
	Fit     bool // as many agents at each desk as the limit of open files allows; else too many are an error

	Rate     float64       // clients a second, on average, 0 to 100,000; 0 = each comes back as soon as they are served
	Duration time.Duration // how long clients come, 1 s to 1 h
	Compress float64       // everything happens so many times faster than in life, 1 to 100,000
	Talk     time.Duration // mean length of a session, in life, 0 to 24 h
	Think    time.Duration // mean time to answer an offer, in life, 0 to 15 min
	Accept   float64       // probability that an offer is accepted, 0 to 1
	Lose     float64       // probability that a connection is lost in a wait, an offer or a session, 0 to 1
	Phone    float64       // share of the clients who ask over HTTP, 0 to 1
	Calm     bool          // no bursts, no day curve, nobody loses patience, is lost, pauses or says nothing: a load to measure with
	Seed     uint64        // who comes when, who talks how long, who does what

	Target   string // URL of a running server; empty = start a child
	Token    string // sent as a bearer token; empty = none
	Kill     int    // kill -9 the child this often in the middle
	Data     string // directory of the child, kept; must be empty or absent. Empty = a temporary one, removed
	Database string // handed to the child as --database; "none" = no copy in SQL

	Report   string    // file for the HTML page; empty = none
	JSON     bool      // the table as one JSON object
	Program  []string  // the child's command up to "serve"; empty = this executable
	Stdout   io.Writer // the table
	Stderr   io.Writer // progress
	Terminal bool      // Stderr is a terminal: show a progress bar
}

// DefaultConfig is the shift that is played when nothing else is said. Talk is the mean of the regular calls of that bank.
func DefaultConfig() Config {
	return Config{
		Desks: 1_000, Agents: 20, Clients: 2_000, Rate: 300, Duration: 30 * time.Second, Compress: 60,
		Talk: meanTalk, Think: 8 * time.Second, Accept: 0.85, Lose: 0.03, Phone: 0.05, Seed: 1, Database: noDatabase,
		Stdout: io.Discard, Stderr: io.Discard,
	}
}

// noDatabase is the --database of a child that keeps no copy in SQL.
const noDatabase = "none"

// Validate names the flags that are out of range or do not go together.
func (c *Config) Validate() error {
	between := func(flag string, v, low, high float64) error {
		if v >= low && v <= high { // and so is no NaN
			return nil
		}
		plain := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
		return fmt.Errorf("--%s must be %s to %s", flag, plain(low), plain(high))
	}
	within := func(flag string, v, low, high time.Duration) error {
		if v >= low && v <= high {
			return nil
		}
		return fmt.Errorf("--%s must be %v to %v", flag, low, high)
	}
	if err := errors.Join(
		between("desks", float64(c.Desks), 1, 10_000),
		between("agents", float64(c.Agents), 1, 1_000),
		between("clients", float64(c.Clients), 1, 20_000),
		between("rate", c.Rate, 0, 100_000),
		within("duration", c.Duration, time.Second, time.Hour),
		between("compress", c.Compress, 1, 100_000),
		within("talk", c.Talk, 0, 24*time.Hour),
		within("think", c.Think, 0, 15*time.Minute),
		between("accept", c.Accept, 0, 1),
		between("lose", c.Lose, 0, 1),
		between("phone", c.Phone, 0, 1),
		between("kill", float64(c.Kill), 0, 100),
	); err != nil {
		return err
	}
	switch {
	case c.Rate*c.Duration.Seconds() > mostClients:
		return fmt.Errorf("--rate and --duration are %.0f clients; %d is the most", c.Rate*c.Duration.Seconds(), mostClients)
	case c.Rate == 0 && !c.Calm:
		return errors.New("--rate 0, as fast as it goes, is a measure of the server: it needs --calm")
	case c.Target != "" && c.Kill > 0:
		return errors.New("--kill needs a server of its own; a --target is never killed")
	case c.Target != "" && (c.Data != "" || c.Database != noDatabase):
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

// mostClients bounds what a shift keeps in memory.
const mostClients = 5_000_000

// crowd is a time for each connection, together.
func (c *Config) crowd(each time.Duration) time.Duration {
	return time.Duration(c.Desks*c.Agents+c.Clients) * each
}

// life turns a time in life into one in the shift.
func (c *Config) life(d time.Duration) time.Duration {
	return time.Duration(math.Round(float64(d) / c.Compress))
}
