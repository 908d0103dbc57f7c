package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast/internal/wire"
)

// caller asks the server, again and again while it is busy: everything a load sends may be sent twice.
type caller struct {
	realm string // URL of the realm
	base  string // URL of the server
	by    string
	token string // empty = none
	http  *http.Client
}

// patience is how often something is asked while the server is busy, and how long the pauses get.
const (
	mostTries  = 12
	firstPause = 50 * time.Millisecond
	mostPause  = 5 * time.Second
)

// confirm makes the server wait for the confirmation: an answer that carries no number is none.
const confirm = "?wait=confirmed&timeout=30s"

// ErrTarget: Config.Target is not the address of a server.
var ErrTarget = errors.New("the target is not a URL")

func newCaller(cfg *Config) (*caller, error) {
	u, err := url.Parse(cfg.Target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: %q; it is one such as http://127.0.0.1:7700", ErrTarget, cfg.Target)
	}
	base := strings.TrimSuffix(u.String(), "/")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = cfg.Workers
	return &caller{
		realm: base + "/v1/realms/" + cfg.Realm, base: base, by: cfg.By, token: cfg.Token,
		http: &http.Client{Transport: transport, Timeout: time.Minute},
	}, nil
}

// decided says whether the server refused by its rules, and was neither busy nor asked wrongly.
func decided(p *wire.Problem) bool { return p.Status == http.StatusConflict }

// makeRealm makes the realm if it is missing; one that is there keeps its limits. It returns the end of the log as it was
// then, of which a key for this one realm may hear.
func (c *caller) makeRealm(ctx context.Context) (end uint64, err error) {
	var realm struct {
		AsOf *uint64 `json:"as_of"`
	}
	err = c.call(ctx, http.MethodGet, c.realm+confirm, nil, &realm)
	if problem := new(wire.Problem); errors.As(err, &problem) && problem.Status == http.StatusNotFound {
		err = c.call(ctx, http.MethodPut, c.realm+confirm, nil, &realm)
	}
	if err == nil && realm.AsOf == nil {
		err = fmt.Errorf("%s is not a Holdfast server: its answer names no place in the log", c.base)
	}
	if err != nil {
		return 0, err
	}
	return *realm.AsOf, nil
}

// made is what the answers have in common: the number of the event that made what they show.
type made struct {
	Seq        uint64          `json:"seq"`
	Durability wire.Durability `json:"durability"`
}

func (c *caller) putPool(ctx context.Context, row *poolRow) (seq uint64, err error) {
	body, err := json.Marshal(&row.config)
	if err != nil {
		return 0, err
	}
	var a made
	err = c.call(ctx, http.MethodPut, c.realm+"/pools/"+row.name+confirm, body, &a)
	return a.Seq, err
}

// override is the body of the staff's call.
type override struct {
	Action string `json:"action"`
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
}

// seat gives a person a seat out of order, unless there is one already.
func (c *caller) seat(ctx context.Context, pool, person, reason string) (seq uint64, err error) {
	body, err := json.Marshal(override{"seat", reason, c.by})
	if err != nil {
		return 0, err
	}
	var a made
	err = c.call(ctx, http.MethodPost, c.realm+"/pools/"+pool+"/claims/"+person+"/override"+confirm, body, &a)
	return a.Seq, err
}

// call asks until there is a confirmed answer; into may be nil. A *wire.Problem is the server's own refusal.
func (c *caller) call(ctx context.Context, method, address string, body []byte, into any) error {
	pause := firstPause
	for try := 1; ; try++ {
		again, err := c.once(ctx, method, address, body, into)
		if err == nil || !again || try == mostTries || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		pause = min(2*pause, mostPause)
	}
}

// once asks once. again: it may be asked again, because nothing was decided, or nobody can tell.
func (c *caller) once(ctx context.Context, method, address string, body []byte, into any) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", wire.JSON)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return true, err
	}
	switch {
	case resp.StatusCode >= 400:
		problem, err := wire.DecodeProblem(resp.StatusCode, answer)
		if err != nil {
			return false, err
		}
		return problem.Status == http.StatusServiceUnavailable, problem
	case resp.StatusCode == http.StatusAccepted:
		return true, errors.New("the server did not confirm it in time")
	case into == nil:
		return false, nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return false, fmt.Errorf("the answer of %s is not Holdfast's: %w", address, err)
	}
	return false, nil
}
