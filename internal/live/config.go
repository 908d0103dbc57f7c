package live

import (
	"errors"
	"log/slog"
	"time"
)

// Config is how a hub runs. DefaultConfig gives a filled one.
//
// How many watches and subscriptions there are is bounded by who makes them: so many connections, so many of each. A watch
// costs about 200 bytes and 100 more for each claim that is not settled; none has a goroutine or a timer of its own.
type Config struct {
	// Logger gets failures to read the log, never single pushes. nil discards.
	Logger *slog.Logger
	// Positions is the least time from one telling of changed positions to the next; 10 ms to 1 min.
	Positions time.Duration
	// PositionShare is the part of a processor that telling positions may take; the time between two tellings is stretched
	// until it holds. 0.01 to 1.
	PositionShare float64
	// Counts is the least time between two pushes of a pool's changed counts; 10 ms to 1 min.
	Counts time.Duration
	// Availability is the least time between two pushes of what changed at a desk; whether it is open, and whether anybody is
	// ready, is told at once. 10 ms to 1 min.
	Availability time.Duration
	// Reminder is the time after which subscribers of a pool that is not open yet are told again when it opens; 1 s to 1 h.
	Reminder time.Duration
	// Hold is the most people, or pools, that are read under one hold of the shard's lock; 1 to 1,000.
	Hold int
	// Round is the most people who are read before the first of them is told; it is what waits for one confirmation.
	// Hold to 10,000.
	Round int
}

// DefaultConfig: positions once a second with a quarter of a processor, counts four times a second, a desk's
// availability ten times, an opening each 30 s.
func DefaultConfig() Config {
	return Config{
		Positions: time.Second, PositionShare: 0.25, Counts: 250 * time.Millisecond, Availability: 100 * time.Millisecond,
		Reminder: 30 * time.Second, Hold: 32, Round: 1024,
	}
}

func (c *Config) validate() error {
	switch {
	case c.Positions < 10*time.Millisecond || c.Positions > time.Minute:
		return errors.New("live: Positions must be 10 ms to 1 min")
	case c.PositionShare < 0.01 || c.PositionShare > 1:
		return errors.New("live: PositionShare must be 0.01 to 1")
	case c.Counts < 10*time.Millisecond || c.Counts > time.Minute:
		return errors.New("live: Counts must be 10 ms to 1 min")
	case c.Availability < 10*time.Millisecond || c.Availability > time.Minute:
		return errors.New("live: Availability must be 10 ms to 1 min")
	case c.Reminder < time.Second || c.Reminder > time.Hour:
		return errors.New("live: Reminder must be 1 s to 1 h")
	case c.Hold < 1 || c.Hold > 1000:
		return errors.New("live: Hold must be 1 to 1,000")
	case c.Round < c.Hold || c.Round > 10_000:
		return errors.New("live: Round must be Hold to 10,000")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
