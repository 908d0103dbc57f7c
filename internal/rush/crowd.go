package rush

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/internal/play"
)

// crowd is everybody who asks: students taking turns on a bounded number of connections.
type crowd struct {
	plan    *plan
	realm   string
	seed    uint64
	door    *play.Door
	began   time.Time // the zero of all durations
	askers  []*asker
	shelves []*sharedShelf     // of students on connections of their own
	counts  *counts            // what the same students were told of pools
	quiet   []standstill       // when everything that had happened must have been told
	done    atomic.Int64       // finished errands, for the progress bar
	onDone  func(finished int) // may be nil; called with the count of each finished errand of the running act
}

func newCrowd(cfg *Config, p *plan, realm string, d *play.Door) *crowd {
	c := &crowd{plan: p, realm: realm, seed: cfg.Seed, door: d, began: time.Now()}
	for i := range cfg.Connections {
		c.askers = append(c.askers, &asker{crowd: c, rng: rand.New(rand.NewPCG(cfg.Seed, streamBackOff+uint64(i)<<8))})
	}
	return c
}

// finished is how many errands are done, for the progress bar.
func (c *crowd) finished() int { return int(c.done.Load()) }

// now is the time since the rush began.
func (c *crowd) now() time.Duration { return time.Since(c.began) }

// each gives the errands 0 to n-1 to the askers, in order, each as soon as an asker is free, and waits for all. The first
// error ends it.
func (c *crowd) each(ctx context.Context, n int, do func(ctx context.Context, a *asker, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.done.Store(0)
	var next atomic.Int64
	var all sync.WaitGroup
	for _, a := range c.askers[:min(n, len(c.askers))] {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				if err := do(ctx, a, i); err != nil {
					cancel(err)
					return
				}
				finished := int(c.done.Add(1))
				if c.onDone != nil {
					c.onDone(finished)
				}
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// connect opens every connection before the rush, so that the handshakes are not part of it.
func (c *crowd) connect(ctx context.Context) error {
	var all sync.WaitGroup
	failed := make([]error, len(c.askers))
	for i, a := range c.askers {
		all.Go(func() { failed[i] = a.connect(ctx) })
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// hangUp closes all connections.
func (c *crowd) hangUp() {
	for _, a := range c.askers {
		a.hangUp()
	}
}

// records calls each with all records, asker by asker.
func (c *crowd) records(each func(*record)) {
	for _, a := range c.askers {
		for i := range a.shelf.records {
			each(&a.shelf.records[i])
		}
	}
	for _, s := range c.shelves {
		s.mu.Lock()
		for i := range s.shelf.records {
			each(&s.shelf.records[i])
		}
		s.mu.Unlock()
	}
}

// asker is one connection and the students who take turns on it. One goroutine at a time owns it.
type asker struct {
	crowd *crowd
	conn  *play.Conn // nil: not connected
	run   int        // of the server that conn leads to
	rng   *rand.Rand
	shelf shelf
	path  []byte
	body  []byte
	broke int // connections that broke before the answer came
}

func (a *asker) connect(ctx context.Context) error {
	door := a.crowd.door
	run, err := door.Pass(ctx)
	if err != nil {
		return err
	}
	conn, err := play.Dial(ctx, door.Address)
	if err != nil {
		return err
	}
	if door.Now() != run {
		conn.Close()
		return errMeanwhile
	}
	a.conn, a.run = conn, run
	return nil
}

var errMeanwhile = errors.New("the server was killed while a student was dialling")

func (a *asker) hangUp() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
}

// patience is how long a student keeps asking before the rush is given up as failed.
const patience = 90 * time.Second

// ask sends a request until somebody decides it: a connection that breaks, a busy and an unknown are asked again, with a
// jittered back-off. Every answer goes on the shelf. The reply's body is valid until the next call.
func (a *asker) ask(ctx context.Context, q *play.Request, r record) (play.Reply, error) {
	giveUp := time.Now().Add(patience)
	var last error
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			if time.Now().After(giveUp) {
				return play.Reply{}, fmt.Errorf("no decision within %v: %w", patience, last)
			}
			if err := play.Sleep(ctx, a.backOff(attempt)); err != nil {
				return play.Reply{}, err
			}
		}
		if a.conn == nil {
			if err := a.connect(ctx); err != nil {
				if ctx.Err() != nil {
					return play.Reply{}, context.Cause(ctx)
				}
				last = err
				continue
			}
		}
		r.sent = a.crowd.now()
		rep, err := a.conn.Do(q)
		if err != nil {
			a.hangUp()
			a.broke++
			last = err
			continue
		}
		r.received, r.status, r.run, r.body = a.crowd.now(), uint16(rep.Status), uint16(a.run), rep.Body
		a.shelf.put(r)
		if rep.Last {
			a.hangUp()
		}
		switch rep.Status {
		case http.StatusOK, http.StatusAccepted, http.StatusConflict, http.StatusPreconditionFailed:
			return rep, nil
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
			last = errors.New("the server is busy")
			if rep.RetryAfter > 0 {
				if err := play.Sleep(ctx, min(rep.RetryAfter, 2*time.Second)); err != nil {
					return play.Reply{}, err
				}
			}
		default:
			return play.Reply{}, fmt.Errorf("%s %s: the server answered %d: %.300s", q.Method, q.Path, rep.Status, rep.Body)
		}
	}
}

// backOff is full jitter over a doubling span: at most 20 ms first, 500 ms later.
func (a *asker) backOff(attempt int) time.Duration {
	span := min(10*time.Millisecond<<min(attempt, 10), 500*time.Millisecond)
	return time.Duration(a.rng.Int64N(int64(span)) + 1)
}

// settle asks until the answer is confirmed: preapproved is a promise that a crash may still erase.
func (a *asker) settle(ctx context.Context, q *play.Request, r record) (play.Reply, error) {
	giveUp := time.Now().Add(patience)
	for {
		rep, err := a.ask(ctx, q, r)
		if err != nil || confirmed(rep.Status, rep.Body) {
			return rep, err
		}
		if time.Now().After(giveUp) {
			return rep, fmt.Errorf("no confirmation within %v", patience)
		}
		if err := play.Sleep(ctx, a.backOff(1)); err != nil {
			return rep, err
		}
	}
}

// confirmed says at a glance whether an answer stands: 202 is preapproved, and a refusal names its durability.
func confirmed(status int, body []byte) bool {
	switch status {
	case http.StatusOK:
		return true
	case http.StatusConflict, http.StatusPreconditionFailed:
		return !bytes.Contains(body, []byte(`"preapproved"`))
	}
	return false
}

// claimPath is the path of one claim, ready for a query.
func (a *asker) claimPath(course, person int32) []byte {
	b := append(a.path[:0], a.crowd.door.Address.Prefix...)
	b = append(append(b, "/v1/realms/"...), a.crowd.realm...)
	b = append(append(b, "/pools/"...), a.crowd.plan.courses[course].name...)
	b = append(append(b, "/claims/"...), a.crowd.plan.people[person]...)
	a.path = b
	return b
}

// basket is the request for all wishes of a person. if_seq 0 says that the person never had a claim there: should the
// request arrive twice, or late, it undoes nothing.
func (a *asker) basket(person int32, query string) *play.Request {
	b := append(a.path[:0], a.crowd.door.Address.Prefix...)
	b = append(append(b, "/v1/realms/"...), a.crowd.realm...)
	b = append(append(b, "/baskets"...), query...)
	a.path = b
	body := append(append(a.body[:0], `{"person":"`...), a.crowd.plan.people[person]...)
	body = appendItems(append(body, `",`...), a.crowd.plan, person)
	a.body = append(body, '}')
	return &play.Request{Method: http.MethodPost, Path: b, Body: a.body}
}

// appendItems appends what a basket asks for.
func appendItems(b []byte, p *plan, person int32) []byte {
	b = append(b, `"mode":"each_or_wait","items":[`...)
	for i, course := range p.wishes[person] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"pool":"`...), p.courses[course].name...)
		b = append(b, `","if_seq":0}`...)
	}
	return append(b, ']')
}

const ifNoneMatch = "If-None-Match: *\r\n"

func ifMatch(seq uint64) string { return `If-Match: "` + strconv.FormatUint(seq, 10) + "\"\r\n" }
