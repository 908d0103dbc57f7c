// Package client asks a Holdfast server: claims that are safe to repeat, and connections that resume.
//
// # What is authoritative
//
// The server's log. A client keeps no truth of its own: it keeps what it was told, with the place in the log where that was
// true (AsOf), and of two things told about one standing the one with the higher AsOf is the later.
//
// # Refusals and errors
//
// A refusal (full, not open, limit …) is a decision, so it is in the Answer, beside the standings. An error means that
// nothing was decided as far as the client knows: the server was busy, could not be reached, or could not tell. Where an
// error's InDoubt is true, the request may have taken effect.
//
// # Why asking again is safe
//
// A request may arrive twice, and an hour late: phones, proxies and this client repeat. Four things make that harmless.
//
//  1. A claim shows the standing where there is a live one, a release of what is not there does nothing, an accept names its
//     offer. So the same request twice in a row is one.
//  2. Each claim, release, swap and item of a basket says which standing it is about (its seq; 0: there never was one). The
//     server changes nothing where the standing is another by now. So a duplicate cannot undo what was done since: every
//     change gives the standing a new seq. This holds whoever did it, on whichever device.
//  3. The client remembers the last confirmed seq of each person and pool, and sends it. Where it knows none, it says 0.
//     The server then either acts on it, because it is true, or answers with the true seq and has done nothing: that is a
//     look which costs no round trip where nobody claimed before. The client asks once more with that seq, as it would have
//     after a look. It does so only if nothing of the same call may still be on its way or have taken effect: else the seq
//     might be that of somebody's release of what this call itself had claimed, and to ask again would undo that release.
//     Then, and wherever the client or its caller did name a seq, the answer is the refusal "precondition" with the true
//     seq. Who asked decides: what they saw when they asked was no longer so. Asking again, knowing it, is a new call.
//  4. What has no precondition (an override by staff) is repeated only where it certainly had no effect.
//
// So it repeats after a broken connection, busy, unknown and limited, never after a refusal: at growing random intervals
// (full jitter), not before the server's Retry-After, at most Config.Attempts times, and within a budget for the whole
// client, so that the retries of many callers add a tenth to the load of a server in trouble and do not multiply it.
//
// An answer that is only preapproved is kept and asked again, the same request with the same precondition, until it is
// confirmed. Should the server have crashed in between and forgotten it, that is a new ask, and the answer may be worse.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"holdfast/seat"
)

// Config says whom to ask and how patiently. DefaultConfig fills all but URL and Realm.
type Config struct {
	// URL is the server's address, such as "https://seats.example.edu"; a path before /v1 is kept.
	URL string
	// Realm is the one that everything is asked of.
	Realm string
	// Token gives the API key or JWT to show; it is called before each request and each connection, by several goroutines at
	// once, so it should keep what is still good. nil = the server asks for none.
	Token func(context.Context) (string, error)
	// HTTP sends the requests and opens the connections. Its Timeout must be 0: AttemptTimeout is what bounds a request. It
	// follows no redirection: a claim must not become a look on its way.
	HTTP *http.Client

	// Attempts is how often a request is made at most, the first included; at least 1. Connections, and what waits on them,
	// go on until their context ends.
	Attempts int
	// Backoff bounds the random wait before the second attempt, and doubles with each further one up to MaxBackoff. The wait
	// is anything from 0 to that bound, or the server's Retry-After plus it.
	Backoff, MaxBackoff time.Duration
	// BudgetRatio is how many retries each request earns for the whole client, 0 to 1; BudgetBurst is the most that are
	// saved up, and what a client begins with. What finds the budget empty is not repeated.
	BudgetRatio float64
	BudgetBurst int
	// AttemptTimeout is how long one attempt may take, and how long a connection may be silent before it is tested.
	AttemptTimeout time.Duration
	// HoldAnswer is how long the server is asked to hold a request that asks again for a confirmation, 1 ms to 60 s. It must
	// be below AttemptTimeout.
	HoldAnswer time.Duration

	// Remembered is how many standings' seqs are kept, at least 1. One that was forgotten costs one more round trip.
	Remembered int
	// InFlight is how many commands may be pending on one Live; what is more waits. At least 1. The server has a bound of its
	// own (64 for a person, 4,096 for a program).
	InFlight int
	// MaxMessage is the most bytes of an answer or of a frame; a longer one is an error. At least 4096.
	MaxMessage int

	// Logger tells of lost connections and of what could not be read; nil discards.
	Logger *slog.Logger
}

// DefaultConfig is patient enough for a server that restarts.
func DefaultConfig() Config {
	return Config{
		HTTP:           &http.Client{Transport: transport()},
		Attempts:       5,
		Backoff:        200 * time.Millisecond,
		MaxBackoff:     10 * time.Second,
		BudgetRatio:    0.1,
		BudgetBurst:    10,
		AttemptTimeout: 10 * time.Second,
		HoldAnswer:     5 * time.Second,
		Remembered:     65_536,
		InFlight:       64,
		MaxMessage:     4 << 20,
	}
}

// transport is the standard library's, with connections kept for as many callers as a back end has.
func transport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 128
	return t
}

func (c *Config) validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return fmt.Errorf("client: URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("client: URL must be http://HOST or https://HOST, without a query")
	case c.HTTP == nil || c.HTTP.Timeout != 0:
		return errors.New("client: HTTP is missing or has a Timeout: AttemptTimeout is what bounds a request")
	case c.Attempts < 1:
		return errors.New("client: Attempts must be at least 1")
	case c.Backoff <= 0 || c.MaxBackoff < c.Backoff:
		return errors.New("client: Backoff must be above 0 and at most MaxBackoff")
	case !(c.BudgetRatio >= 0 && c.BudgetRatio <= 1) || c.BudgetBurst < 0:
		return errors.New("client: BudgetRatio must be 0 to 1, BudgetBurst not below 0")
	case c.HoldAnswer < time.Millisecond || c.HoldAnswer > time.Minute || c.AttemptTimeout <= c.HoldAnswer:
		return errors.New("client: HoldAnswer must be 1 ms to 60 s, AttemptTimeout above it")
	case c.Remembered < 1 || c.InFlight < 1:
		return errors.New("client: Remembered and InFlight must be at least 1")
	case c.MaxMessage < 4<<10:
		return errors.New("client: MaxMessage must be at least 4096")
	}
	if err := seat.ValidID("realm", c.Realm); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}

// Client asks one realm of one server. Its methods may be called by several goroutines. It holds no goroutine and need not
// be closed; what Watch and Dial give must be.
type Client struct {
	cfg    Config
	http   *http.Client
	base   *url.URL
	logger *slog.Logger
	budget budget
	known  memory
	random func(n int64) int64 // 0 to n-1
}

// New makes a client; it asks nothing yet. The error is a field of cfg that is wrong.
func New(cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	direct := *cfg.HTTP
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &Client{cfg: cfg, http: &direct, base: base, logger: cfg.Logger, random: rand.Int64N}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	c.budget.init(cfg.BudgetRatio, cfg.BudgetBurst)
	c.known.init(cfg.Remembered)
	return c, nil
}
