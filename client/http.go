package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/wire"
)

// request is one thing to ask, as often as it takes.
type request struct {
	method string
	path   string // below the realm, escaped: "/pools/c0101"
	query  url.Values
	body   any     // nil = none; marshalled to JSON
	ifSeq  *uint64 // nil = no precondition
	once   bool    // must not be asked again where it may have taken effect
}

// response is an answer that decides: a success, or a refusal.
type response struct {
	status int
	body   []byte
	doubt  bool // an earlier attempt of the same request may have taken effect, or still be on its way
}

// ask sends r until it is decided, it is of no use any more, or ctx ends. The error is an *Error.
func (c *Client) ask(ctx context.Context, r *request) (response, error) {
	c.budget.earn()
	doubt, refused := false, "" // refused is the token that the server did not take
	for n := 1; ; n++ {
		res, token, err := c.attempt(ctx, r, refused)
		if err == nil {
			res.doubt = doubt
			return res, nil
		}
		doubt = doubt || err.InDoubt
		again := err.passes() && n < c.cfg.Attempts && !(r.once && err.InDoubt) && ctx.Err() == nil && c.budget.spend()
		switch {
		case err.Code == unauthenticatedCode && token != "" && refused == "":
			refused = token // once more, if there is another one
		case !again || !sleep(ctx, c.pause(n, err)):
			err.Attempts, err.InDoubt = n, doubt
			if ctx.Err() != nil && err.cause == nil {
				err.cause = ctx.Err()
			}
			return response{}, err
		}
	}
}

// attempt sends r once. refused is a token that it must not be sent with; token the one it was sent with.
func (c *Client) attempt(ctx context.Context, r *request, refused string) (res response, token string, fault *Error) {
	if err := ctx.Err(); err != nil {
		return res, "", broken("not sent", err, false)
	}
	if token, fault = c.token(ctx, refused); fault != nil {
		return res, token, fault
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AttemptTimeout)
	defer cancel()
	req, err := c.build(ctx, r, token)
	if err != nil {
		return res, token, &Error{Code: malformedCode, Detail: "the request cannot be made", cause: err}
	}
	changes := r.method != http.MethodGet
	answer, err := c.http.Do(req)
	if err != nil {
		return res, token, broken("no answer", err, changes && !unsent(err))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(c.cfg.MaxMessage)+1))
	switch {
	case err != nil:
		return res, token, broken("the answer did not arrive whole", err, changes)
	case len(body) > c.cfg.MaxMessage:
		return res, token, &Error{Code: malformedCode, Detail: "the answer is longer than MaxMessage", InDoubt: changes}
	}
	fault = judge(answer, body)
	if fault != nil {
		fault.InDoubt = fault.InDoubt && changes
	}
	return response{status: answer.StatusCode, body: body}, token, fault
}

// unsent says whether a request that failed has certainly not left: there was no connection.
func unsent(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

// token asks for the token to show; one that was refused already is no use.
func (c *Client) token(ctx context.Context, refused string) (string, *Error) {
	if c.cfg.Token == nil {
		return "", nil
	}
	token, err := c.cfg.Token(ctx)
	switch {
	case err != nil:
		return "", &Error{Code: unauthenticatedCode, Detail: "no token could be had", cause: err}
	case refused != "" && token == refused:
		return "", &Error{Code: unauthenticatedCode, Status: http.StatusUnauthorized, Detail: "the server does not take the token, and there is no other"}
	}
	return token, nil
}

func (c *Client) build(ctx context.Context, r *request, token string) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.url(r.path, r.query), body)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", wire.JSON)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	switch { // headers, because not every proxy passes the body of a DELETE
	case r.ifSeq == nil:
	case *r.ifSeq == 0:
		req.Header.Set("If-None-Match", "*")
	default:
		req.Header.Set("If-Match", `"`+strconv.FormatUint(*r.ifSeq, 10)+`"`)
	}
	return req, nil
}

// url is the address of a path below the realm.
func (c *Client) url(path string, query url.Values) string {
	u := strings.TrimSuffix(c.base.String(), "/") + "/v1/realms/" + url.PathEscape(c.cfg.Realm) + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	return u
}

// judge says whether an answer decides (nil), or what it is instead.
func judge(answer *http.Response, body []byte) *Error {
	status := answer.StatusCode
	if status/100 == 2 {
		return nil
	}
	p, err := wire.DecodeProblem(status, body)
	if err == nil && p.Durability != "" {
		return nil // a refusal: decided
	}
	e := &Error{Status: status, RetryAfter: retryAfter(answer.Header.Get("Retry-After"), time.Now())}
	if err == nil {
		e.Code, e.Field, e.Detail = Code(p.Code), p.Field, p.Detail
		if p.RetryAfterMS > 0 { // the header has whole seconds only
			e.RetryAfter = time.Duration(p.RetryAfterMS) * time.Millisecond
		}
		e.InDoubt = e.Code == unknownCode
		return e
	}
	// What answered is not Holdfast, but something on the way to it.
	e.Detail, e.cause = fmt.Sprintf("status %d", status), errNotOurs
	switch {
	case status == http.StatusUnauthorized:
		e.Code = unauthenticatedCode
	case status == http.StatusForbidden:
		e.Code = forbiddenCode
	case status == http.StatusTooManyRequests:
		e.Code = limitedCode
	case status >= 500:
		e.Code, e.InDoubt = brokenCode, true
	default:
		e.Code = malformedCode
	}
	return e
}

var errNotOurs = errors.New("the answer is not Holdfast's")

// retryAfter reads the header: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// notOurs is the error of a success that cannot be read. It may have taken effect.
func notOurs(status int, cause error, changes bool) *Error {
	return &Error{Code: brokenCode, Status: status, Detail: "the answer cannot be read", cause: cause, InDoubt: changes}
}
