package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/auth"
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

	// MaxDelay is how late work may begin on the mean before newcomers are turned away, when it lasts: with more, those who are let in
	// wait longer and no more of them are served. Above 0.
	MaxDelay time.Duration

	// Auth proves who asks; nil = no authentication: everybody may do everything, and Listen takes loopback only.
	Auth *auth.Authority
	// Origins are the pages that may ask from a browser, exactly as browsers write them ("https://portal.example.edu").
	Origins []string

	// TLS serves HTTPS, HTTP/2 included, with at most MaxStreams requests at once on one connection; nil = plain HTTP.
	TLS        *tls.Config
	MaxStreams int
	// PlainHTTPBehindAProxy lets Listen take any address without TLS. Tokens then cross the network readable, unless a proxy on this
	// machine or a private network does the TLS. Only with Auth.
	PlainHTTPBehindAProxy bool

	// MaxConnections is the most open TCP connections; what is more is answered busy and closed. At least 1.
	MaxConnections int
	// MaxSockets is the most WebSockets and streams of server-sent events, MaxStrangers the most of them that have not
	// said who they are yet. At least 1 each.
	MaxSockets   int
	MaxStrangers int
	// MaxSocketsEach is the most of them that one person's tokens may have open. At least 1. Programs, staff and servers without
	// authentication have no such limit.
	MaxSocketsEach int
	// PersonRate is how many requests or commands a second a person's token may make, after PersonBurst at once.
	// Programs, staff and servers without authentication have no such limit.
	PersonRate  float64
	PersonBurst int
	// SocketQueue is how many bytes may wait for a person's connection, BackendQueue for a program's; then it is cut, and
	// resumes.
	SocketQueue  int
	BackendQueue int
	// SocketPending is how many commands of one person's connection may wait, BackendPending of a program's: for their confirmation,
	// where a basket counts as each of its items, or, confirmed, for the record they asked for, where it counts once. While as many
	// or more wait, each further command is answered busy: the last one let in may be a basket that goes beyond. At least 1 each.
	SocketPending  int
	BackendPending int
	// HelloWait is how long a connection may take to say who it is. Ping is how often it is pinged, SocketDead after how
	// long without a sign of life it is gone.
	HelloWait, Ping, SocketDead time.Duration
	// ReturnWithin bounds the random delay after which connections are told to come back when the server stops. With few of
	// them it is shorter: a second, and one more for each 2,000.
	ReturnWithin time.Duration

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
		MaxInFlight:    16_384,
		MaxFeeds:       64,
		ConfirmWait:    250 * time.Millisecond,
		RecordWait:     10 * time.Second,
		MaxWait:        60 * time.Second,
		MaxDelay:       250 * time.Millisecond,
		MaxStreams:     128,
		MaxConnections: 100_000,
		MaxSockets:     100_000,
		MaxStrangers:   4_096,
		MaxSocketsEach: 64,
		PersonRate:     5,
		PersonBurst:    20,
		SocketQueue:    64 << 10,
		BackendQueue:   4 << 20,
		SocketPending:  64,
		BackendPending: 4_096,
		HelloWait:      5 * time.Second,
		Ping:           20 * time.Second,
		SocketDead:     45 * time.Second,
		ReturnWithin:   10 * time.Second,
		Heartbeat:      15 * time.Second,
		FeedWrite:      10 * time.Second,
		Registerer:     registry,
		Gatherer:       registry,
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
	case c.MaxConnections < 1 || c.MaxSockets < 1 || c.MaxStrangers < 1 || c.MaxSocketsEach < 1:
		return errors.New("server: MaxConnections, MaxSockets, MaxStrangers and MaxSocketsEach must be at least 1")
	case c.MaxDelay <= 0 || c.MaxStreams < 1:
		return errors.New("server: MaxDelay must be above 0, MaxStreams at least 1")
	case c.PlainHTTPBehindAProxy && (c.Auth == nil || c.TLS != nil):
		return errors.New("server: PlainHTTPBehindAProxy goes with Auth, and without TLS")
	case !(c.PersonRate >= 0.001 && c.PersonRate <= 1e6) || c.PersonBurst < 1 || c.PersonBurst > 1e6: // NaN is neither
		return errors.New("server: PersonRate must be 0.001 to 1,000,000, PersonBurst 1 to 1,000,000")
	case c.SocketQueue < 4<<10 || c.BackendQueue < c.SocketQueue || c.SocketPending < 1 || c.BackendPending < 1:
		return errors.New("server: SocketQueue must be at least 4096 and at most BackendQueue, SocketPending and BackendPending at least 1")
	case c.HelloWait <= 0 || c.Ping <= 0 || c.SocketDead <= c.Ping || c.ReturnWithin < 0:
		return errors.New("server: HelloWait and Ping must be above 0, SocketDead above Ping, ReturnWithin not below 0")
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
