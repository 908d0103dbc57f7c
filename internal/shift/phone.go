package shift

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"holdfast/internal/play"
)

// caller is one who asks over HTTP, and looks again and again how it stands.
type caller struct {
	arrival arrival
	name    string
	request uint64 // 0: not known yet
	until   time.Duration
	looks   int
	call    call
}

// phone is one HTTP connection, on which callers take turns. One goroutine owns it.
type phone struct {
	floor *floor
	conn  *play.Conn // nil: not connected
	run   int        // of the server that conn leads to
	tries int
	path  []byte
	body  []byte
}

// phones is how many connections the callers take turns on.
const phones = 8

// ring lets a caller arrive.
func (f *floor) ring(a arrival) {
	c := &caller{arrival: a, name: fmt.Sprintf("p%07d", a.number+1), call: call{sent: f.now()}}
	c.until = c.call.sent + f.cfg.life(meanPatience)
	f.tally.came.Add(1)
	f.tally.live.Add(1)
	f.handOver(c)
}

func (f *floor) handOver(c *caller) {
	select {
	case f.hands.rings <- c:
	case <-f.ctx.Done():
	}
}

// serve takes one caller after another.
func (p *phone) serve() {
	defer p.hangUp()
	for {
		select {
		case c := <-p.floor.hands.rings:
			if err := p.take(p.floor.ctx, c); err != nil {
				p.floor.cancel(err)
				return
			}
		case <-p.floor.ctx.Done():
			return
		}
	}
}

func (p *phone) hangUp() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// take asks once for a caller, and lets them come again unless they know their end.
func (p *phone) take(ctx context.Context, c *caller) error {
	f := p.floor
	if err := p.connect(ctx); err != nil {
		return p.again(ctx, c)
	}
	q, does := p.question(c)
	sent := f.now()
	rep, err := p.conn.Do(q)
	if err != nil {
		p.hangUp()
		return p.again(ctx, c)
	}
	p.tries = 0
	f.put(record{-1, does, uint16(rep.Status), c.request, uint16(p.run), sent, f.now(), rep.Body})
	if rep.Last {
		p.hangUp()
	}
	switch rep.Status {
	case http.StatusOK, http.StatusConflict:
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		f.tally.putOff.Add(1)
		f.after(max(rep.RetryAfter, 20*time.Millisecond), func() { f.handOver(c) })
		return nil
	case http.StatusAccepted: // not confirmed yet: look again
	default:
		return fmt.Errorf("%s %s was answered %d: %.300s", q.Method, q.Path, rep.Status, rep.Body)
	}
	if !c.step(rep.Status, rep.Body, f.now()) {
		c.looks++
		wait := min(20*time.Millisecond<<min(c.looks, 10), 500*time.Millisecond)
		f.after(wait/2+rand.N(wait), func() { f.handOver(c) })
		return nil
	}
	f.tally.live.Add(-1)
	f.hands.mu.Lock()
	defer f.hands.mu.Unlock()
	f.hands.rung = append(f.hands.rung, c)
	return nil
}

// again puts a caller off whose connection broke.
func (p *phone) again(ctx context.Context, c *caller) error {
	if ctx.Err() != nil {
		return nil // why is said elsewhere
	}
	p.tries++
	p.floor.after(jitter(min(10*time.Millisecond<<min(p.tries, 6), 500*time.Millisecond)), func() { p.floor.handOver(c) })
	return nil
}

func (p *phone) connect(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	run, err := p.floor.door.Pass(ctx)
	if err != nil {
		return err
	}
	conn, err := play.Dial(ctx, p.floor.door.Address)
	if err != nil {
		return err
	}
	if p.floor.door.Now() != run {
		conn.Close()
		return errMeanwhile
	}
	p.conn, p.run = conn, run
	return nil
}

// question is what a caller asks next: for an agent, how it stands, or to be forgotten.
func (p *phone) question(c *caller) (*play.Request, do) {
	f := p.floor
	d := &f.plan.desks[c.arrival.desk]
	b := append(append(append(p.path[:0], f.door.Address.Prefix...), "/v1/realms/"...), f.realm...)
	b = append(append(append(b, "/desks/"...), d.name...), "/requests"...)
	body := append(append(append(p.body[:0], `{"client":"`...), c.name...), '"')
	if c.request == 0 {
		p.path, p.body = b, append(c.arrival.appendWish(body, d), '}')
		return &play.Request{Method: http.MethodPost, Path: p.path, Body: p.body}, doRequest
	}
	p.path = strconv.AppendUint(append(b, '/'), c.request, 10)
	if c.call.accepted == 0 && (f.closing.Load() || f.now() > c.until) {
		p.body = append(body, `,"reason":"waited long enough"}`...)
		return &play.Request{Method: http.MethodDelete, Path: p.path, Body: p.body}, doCancel
	}
	return &play.Request{Method: http.MethodGet, Path: p.path}, doLook
}

// step takes an answer, and says whether it is the end.
func (c *caller) step(status int, body []byte, now time.Duration) bool {
	if status == http.StatusConflict {
		c.call.ended, c.call.outcome = now, string(word(body, memberCode))
		return true
	}
	if id := number(body, memberRequest); id != 0 {
		c.request, c.call.request = id, id
	}
	state := word(body, memberState)
	if string(state) == "assigned" && c.call.accepted == 0 {
		c.call.accepted = now
	}
	if ended(state) && status == http.StatusOK {
		c.call.ended, c.call.outcome = now, string(state)
		return true
	}
	return false
}
