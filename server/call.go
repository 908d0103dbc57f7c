package server

import (
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/engine"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// call is one request on its way. A handler returns the status it answered with.
type call struct {
	*Server
	w     http.ResponseWriter
	r     *http.Request
	route *route

	id      auth.Identity // who asks
	foreign bool          // they are of another realm than the path's: for them there is no such realm
	barred  bool          // they are of another desk than the path's: for them there is no such desk
	named
	wait  patience
	query url.Values // what ?wait= and ?timeout= leave
}

// named is what the path names; empty or 0 where it does not.
type named struct {
	realm, pool, person string
	desk, agent         string
	number              uint64 // of a request, an offer or a session
}

// Values of headers, made once: the header map takes the slices as they are.
var (
	jsonType    = []string{wire.JSON}
	problemType = []string{wire.ProblemJSON}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
)

// buffers holds the bytes of answers while they are made.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxKept bounds what a buffer may have grown to and still be kept.
const maxKept = 64 << 10

// bigAnswer is from where on an answer may not fit what the kernel takes at once: then its reader has FeedWrite to take
// it, so that one who never reads does not keep a place among MaxInFlight.
const bigAnswer = 32 << 10

// write sends the JSON that fill appends, as one line: a shell's prompt after curl begins on the next.
func (c *call) write(status int, media []string, fill func([]byte) []byte) int {
	buf := buffers.Get().(*[]byte)
	*buf = append(fill((*buf)[:0]), '\n')
	h := c.w.Header()
	h["Content-Type"] = media
	if c.r.Method == http.MethodGet {
		h["Cache-Control"] = noStore
	}
	if len(*buf) > bigAnswer {
		c.pieceDeadline()
	}
	c.w.WriteHeader(status)
	c.w.Write(*buf) // an error, here or of the deadline, means that the caller is gone: nobody to tell
	if cap(*buf) <= maxKept {
		buffers.Put(buf)
	}
	return status
}

// problem answers with what went wrong.
func (c *call) problem(p wire.Problem) int {
	switch p.Code {
	case wire.Unauthenticated, wire.Forbidden:
		c.metrics.denied[p.Code].Inc()
	case wire.Busy, wire.Unknown, wire.Limited:
		if p.RetryAfterMS == 0 { // jittered, so that who was turned away together does not come back together
			c.retry(&p, time.Second+rand.N(4*time.Second))
		}
		c.metrics.outcome(p.Code).Inc()
	}
	if p.Realm == "" && p.Code != wire.Malformed {
		p.Realm, p.Pool, p.Person, p.Desk = c.realm, c.pool, c.person, c.desk
	}
	return c.write(p.Status, problemType, p.Append)
}

// fail answers an error of the engine or of the request.
func (c *call) fail(err error) int {
	p, known := problemOf(err)
	if !known {
		c.cfg.Logger.Error("a request failed", "route", c.route.pattern(), "error", err)
	}
	return c.problem(p)
}

// problemOf is what an error of the engine or of a request is to whoever asked; known is false where it should not have happened.
func problemOf(err error) (p wire.Problem, known bool) {
	var invalid *seat.Invalid
	var refused *refusedError
	switch {
	case errors.As(err, &invalid):
		return wire.Malformation(invalid.Field, invalid.Problem), true
	case errors.As(err, &refused):
		return refused.problem, true
	case errors.Is(err, engine.ErrBusy):
		return wire.New(wire.Busy, "The server has more to do than it can promise to keep. Nothing was recorded: ask again."), true
	case errors.Is(err, engine.ErrStopped):
		return wire.New(wire.Busy, "The server is stopping. Nothing was recorded: ask again."), true
	case errors.Is(err, engine.ErrUnknown):
		return wire.New(wire.Unknown, "The server cannot tell whether it took effect: its log failed or it is stopping. It was not refused: ask again."), true
	}
	return wire.New(wire.Unknown, "The server failed and cannot tell whether it took effect. It was not refused: ask again."), false
}

// refusedError carries a problem up from where a request is read.
type refusedError struct{ problem wire.Problem }

func (e *refusedError) Error() string { return e.problem.Error() }

func invalid(field, problem string) error { return &seat.Invalid{Field: field, Problem: problem} }

// ids reads and checks what the path names.
func (c *call) ids() error {
	names := &c.route.names
	for _, id := range [...]struct {
		name string
		to   *string
		in   bool
	}{{"realm", &c.realm, names.realm}, {"pool", &c.pool, names.pool}, {"person", &c.person, names.person}, {"desk", &c.desk, names.desk}, {"agent", &c.agent, names.agent}} {
		if !id.in {
			continue
		}
		value := c.r.PathValue(id.name)
		if err := seat.ValidID(id.name, value); err != nil {
			return err
		}
		*id.to = value
	}
	if names.number == "" {
		return nil
	}
	n, err := strconv.ParseUint(c.r.PathValue(names.number), 10, 63)
	if err != nil || n == 0 {
		return invalid(names.number, "must be a whole number from 1 on")
	}
	c.number = n
	return nil
}

// params reads the query: ?wait= and ?timeout= where the route takes them, and the rest of what it takes. Anything else is
// an error that names it.
func (c *call) params() error {
	c.wait = patience{wire.Confirmed, c.cfg.ConfirmWait}
	if c.r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return invalid("query", "is malformed: "+err.Error())
	}
	for name, values := range query {
		if !c.route.takes(name) {
			return invalid(shorten(name), "is not a parameter of this request")
		}
		if len(values) > 1 {
			return invalid(name, "is there twice")
		}
	}
	c.query = query
	if !c.route.takes("wait") {
		return nil
	}
	return c.patience()
}

func (c *call) patience() error {
	switch v := c.query.Get("wait"); v {
	case "confirmed":
	case "none":
		c.wait.until = wire.Preapproved
	case "recorded":
		c.wait = patience{wire.Recorded, c.cfg.RecordWait}
	default:
		if c.query.Has("wait") {
			return invalid("wait", `must be "none", "confirmed" or "recorded"`)
		}
	}
	if !c.query.Has("timeout") {
		return nil
	}
	v := c.query.Get("timeout")
	d, err := time.ParseDuration(v)
	if ms, msErr := strconv.ParseUint(v, 10, 32); msErr == nil {
		d, err = time.Duration(ms)*time.Millisecond, nil
	}
	if err != nil || d < time.Millisecond || d > c.cfg.MaxWait {
		return invalid("timeout", "must be 1ms to "+c.cfg.MaxWait.String()+", as in 250, 250ms or 2s")
	}
	c.wait.limit = d
	return nil
}

// count reads a parameter; fallback where it is absent.
func (c *call) count(name string, least, most, fallback uint64) (uint64, error) {
	if !c.query.Has(name) {
		return fallback, nil
	}
	n, err := strconv.ParseUint(c.query.Get(name), 10, 64)
	if err != nil || n < least || n > most {
		return 0, invalid(name, "must be a whole number from "+strconv.FormatUint(least, 10)+" to "+strconv.FormatUint(most, 10))
	}
	return n, nil
}

// body reads the request's body; nil where there is none.
func (c *call) body() ([]byte, error) {
	if c.r.Body == nil || c.r.Body == http.NoBody {
		return nil, nil
	}
	tooLarge := &refusedError{wire.New(wire.TooLarge, "A body may have "+strconv.Itoa(wire.MaxBody)+" bytes.")}
	if c.r.ContentLength > wire.MaxBody {
		c.w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, wire.MaxBody))
	if err != nil {
		if _, over := errors.AsType[*http.MaxBytesError](err); over {
			return nil, tooLarge
		}
		return nil, invalid("body", "did not arrive whole")
	}
	if len(body) == 0 {
		return nil, nil
	}
	return body, c.mediaType()
}

func (c *call) mediaType() error {
	values := c.r.Header["Content-Type"]
	if len(values) == 0 {
		return nil
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err == nil && len(values) == 1 && media == wire.JSON && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8")) {
		return nil
	}
	hint := ""
	if media == "application/x-www-form-urlencoded" {
		hint = " (with curl: --json in place of -d)"
	}
	return &refusedError{wire.New(wire.MediaType, "Send it with Content-Type: application/json"+hint+".")}
}

// precondition reads If-Match, If-None-Match and what the body has said.
func (c *call) precondition(body seat.Precondition) (seat.Precondition, error) {
	header := seat.Precondition{}
	name := "If-Match"
	if values := c.r.Header["If-Match"]; len(values) > 0 {
		tag := strings.TrimSpace(values[0])
		digits, quoted := strings.CutPrefix(tag, `"`)
		digits, closed := strings.CutSuffix(digits, `"`)
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || len(values) > 1 || !quoted || !closed {
			return body, invalid(name, `must be one seq in quotes, as in "4711"`)
		}
		header = seat.Precondition{Check: true, Seq: n}
	}
	if values := c.r.Header["If-None-Match"]; len(values) > 0 {
		if header.Check {
			return body, invalid("If-None-Match", "cannot go with If-Match")
		}
		name = "If-None-Match"
		if len(values) > 1 || strings.TrimSpace(values[0]) != "*" {
			return body, invalid(name, "must be *: the person has never had a claim here")
		}
		header.Check = true
	}
	if !header.Check {
		return body, nil
	}
	if body.Check && body != header {
		return body, invalid("if_seq", "is not what "+name+" says")
	}
	return header, nil
}

// shorten cuts a name that a caller made up.
func shorten(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}

// stamp is what an answer ends with.
func stamp(d wire.Durability, st engine.Stamp) wire.Stamp {
	return wire.Stamp{Durability: d, AsOf: st.AsOf, At: st.At}
}

// do decides a command, and times it.
func (c *call) do(body holdfast.Body) (a engine.Answer, start time.Time, err error) {
	start = time.Now()
	a, err = c.decide(body)
	c.metrics.decide.Observe(time.Since(start).Seconds())
	return a, start, err
}

// decide asks the engine. For who is of another realm, or of another desk, the answer is that of one which does not exist, whether it
// does or not.
func (c *call) decide(body holdfast.Body) (a engine.Answer, err error) {
	if !c.foreign && !c.barred {
		return c.engine.Do(c.realm, body)
	}
	if err = body.Valid(); err != nil {
		return a, err
	}
	a.Refusal.Code = holdfast.UnknownRealm
	a.Stamp, err = c.engine.Read(func(s *holdfast.State) {
		if c.world(s) != nil {
			a.Refusal.Code = ""
			a.Desk = &desk.Result{Refusal: desk.Refusal{Code: desk.UnknownDesk}}
		}
	})
	return a, err
}

// world finds the path's realm; nil = there is none, for who asks.
func (c *call) world(s *holdfast.State) *holdfast.Realm {
	if c.foreign {
		return nil
	}
	return s.Realm(c.realm)
}
