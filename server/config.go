package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says how the server answers. DefaultConfig fills it.
type Config struct {
	// MaxInFlight is the most requests at work at once, feeds apart; what is more is answered busy. A request that waits
	// to be recorded counts while it waits. At least 1.
	MaxInFlight int
	// MaxFeeds is the most feeds open at once; what is more is answered busy. At least 1.
	MaxFeeds int

	// ConfirmWait is how long ?wait=confirmed (the default) waits; then the answer is preapproved, with 202.
	ConfirmWait time.Duration
	// RecordWait is how long ?wait=recorded waits, confirmation included.
	RecordWait time.Duration
	// MaxWait bounds ?timeout=.
	MaxWait time.Duration

	// Heartbeat is how often a quiet feed of server-sent events says that it lives.
	Heartbeat time.Duration
	// FeedWrite is how long a reader may leave one piece of a feed or of an export unread, or a long answer; then it is
	// cut. The reader of a feed resumes by its last number.
	FeedWrite time.Duration

	// Registerer takes the server's metrics, Gatherer is what /metrics shows. A new registry in DefaultConfig.
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	// Logger tells of what an operator should know, never of single requests; nil discards.
	Logger *slog.Logger
}

// DefaultConfig is what a single machine serves a rush with.
func DefaultConfig() Config {
	registry := prometheus.NewRegistry()
	return Config{
		MaxInFlight: 16_384,
		MaxFeeds:    64,
		ConfirmWait: 250 * time.Millisecond,
		RecordWait:  10 * time.Second,
		MaxWait:     60 * time.Second,
		Heartbeat:   15 * time.Second,
		FeedWrite:   10 * time.Second,
		Registerer:  registry,
		Gatherer:    registry,
	}
}

func (c *Config) validate() error {
	switch {
	case c.MaxInFlight < 1:
		return errors.New("server: MaxInFlight must be at least 1")
	case c.MaxFeeds < 1:
		return errors.New("server: MaxFeeds must be at least 1")
	case c.ConfirmWait <= 0 || c.RecordWait <= 0 || c.MaxWait < c.ConfirmWait || c.MaxWait < c.RecordWait:
		return errors.New("server: ConfirmWait and RecordWait must be above 0 and at most MaxWait")
	case c.Heartbeat <= 0 || c.FeedWrite <= 0:
		return errors.New("server: Heartbeat and FeedWrite must be above 0")
	case c.Registerer == nil || c.Gatherer == nil:
		return errors.New("server: Registerer and Gatherer are missing")
	}
	return nil
}

// Recorder is what the server asks of the mirror. A server without one never says recorded.
// All methods may be called by several goroutines.
type Recorder interface {
	// Recorded is the last sequence that the customer's database has committed. It costs nanoseconds.
	Recorded() uint64
	// Wait returns nil once Recorded is at least seq, or the context's error.
	Wait(ctx context.Context, seq uint64) error
	// Status says in a word how the mirror is ("ok", "retrying", "halted"), how old the oldest event is that it has not
	// committed, and the error that keeps it from doing so.
	Status() (state string, lag time.Duration, err error)
}
