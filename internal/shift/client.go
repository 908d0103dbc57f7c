package shift

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// client is one who asks, again and again: each time for somebody who arrived. Calls, waits, talks, loses patience or the
// connection, and hangs up.
type client struct {
	peer // its lock guards what follows
	name string
	rng  *rand.Rand

	cursor  uint64 // as_of of the last push about a request, or of the answer to one
	arrival arrival
	live    bool   // has asked, and does not know the end yet
	busy    bool   // live, or something that they asked is not answered
	request uint64 // 0: not known yet
	session uint64
	watches bool // subscribed to the availability
	away    time.Duration
	calls   []call
}

// call is what one arrival lived through. Times are since the shift began; 0 = it did not come to that.
type call struct {
	request  uint64
	sent     time.Duration
	accepted time.Duration // when the client heard that somebody had taken it
	ended    time.Duration
	outcome  string // the state of the request, or the code of a refusal
}

func newClient(f *floor, number int32, i int) *client {
	c := &client{name: fmt.Sprintf("c%05d", i+1), rng: random(f.cfg.Seed, streamClients+uint64(i))}
	c.peer = peer{floor: f, number: number, party: c}
	return c
}

// begin: somebody arrives.
func (c *client) begin(a arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beginLocked(a)
	c.flushLocked()
}

func (c *client) beginLocked(a arrival) {
	f := c.floor
	c.arrival, c.live, c.busy, c.request, c.session = a, true, true, 0, 0
	c.calls = append(c.calls, call{sent: f.now()})
	f.tally.came.Add(1)
	f.tally.live.Add(1)
	if c.watches = !f.cfg.Calm && c.rng.IntN(10) == 0; c.watches {
		c.askLocked(doSubscribe, 0)
	}
	c.askLocked(doRequest, 0)
	if c.conn == nil {
		c.comeLocked()
	}
	if f.cfg.Calm {
		return
	}
	number := a.number
	c.later(exponential(c.rng, f.cfg.life(meanPatience)), func() {
		if c.arrival.number == number && c.session == 0 {
			c.giveUp()
		}
	})
	if c.unlucky() {
		f.after(time.Duration(c.rng.Int64N(int64(offerTime(f.cfg)))), func() { c.breakAway(number) })
	}
}

func (c *client) unlucky() bool {
	cfg := c.floor.cfg
	return !cfg.Calm && c.rng.Float64() < cfg.Lose
}

// giveUp cancels what waits.
func (c *client) giveUp() {
	if c.live && c.request != 0 {
		c.askLocked(doCancel, c.request)
	}
}

// breakAway breaks the connection; the client is back soon, or too late.
func (c *client) breakAway(number int) {
	c.mu.Lock()
	if c.conn == nil || !c.live || c.arrival.number != number || c.floor.closing.Load() {
		c.mu.Unlock()
		return
	}
	c.away = absence(c.rng, graceClient)
	c.mu.Unlock()
	c.cut()
}

// absence implements party.
func (c *client) absence() time.Duration {
	away := c.away
	c.away = 0
	return away
}

// hello implements party.
func (c *client) hello(b []byte) []byte {
	b = append(append(append(b, `"client":"`...), c.name...), '"')
	if log := c.floor.log.Load(); log != nil && c.cursor > 0 {
		b = append(append(append(b, `,"log":"`...), *log...), `","seq":`...)
		b = strconv.AppendUint(b, c.cursor, 10)
	}
	return b
}

// command implements party.
func (c *client) command(b []byte, q *ask) []byte {
	d := &c.floor.plan.desks[c.arrival.desk]
	b = append(append(append(b, `,"desk":"`...), d.name...), '"')
	switch q.do {
	case doRequest:
		b = c.arrival.appendWish(b, d)
	case doSubscribe, doUnsubscribe:
		b = c.arrival.appendTopic(b, d)
	case doCancel:
		b = strconv.AppendUint(append(b, `,"request":`...), q.what, 10)
		b = append(b, `,"reason":"waited long enough"`...)
	case doFinish:
		b = strconv.AppendUint(append(b, `,"session":`...), q.what, 10)
	}
	return b
}

func (a *arrival) appendTopic(b []byte, d *deskPlan) []byte {
	if a.topic >= 0 {
		b = append(append(append(b, `,"topic":"`...), d.kind.topics[a.topic]...), '"')
	}
	return b
}

// appendWish appends the members of a request.
func (a *arrival) appendWish(b []byte, d *deskPlan) []byte {
	b = a.appendTopic(b, d)
	if a.priority > 0 {
		b = strconv.AppendUint(append(b, `,"priority":`...), uint64(a.priority), 10)
	}
	b = strconv.AppendInt(append(b, `,"data":"matter `...), int64(a.number), 10)
	return append(a.appendKey(append(b, `","key":"`...)), '"')
}

// appendKey appends the key of the request, which no other arrival has.
func (a *arrival) appendKey(b []byte) []byte {
	return strconv.AppendInt(append(b, 'k'), int64(a.number), 10)
}

// welcomed implements party.
func (c *client) welcomed() {}

// told implements party.
func (c *client) told(line []byte, now time.Duration) error {
	switch {
	case bytes.HasPrefix(line, beginsRequest):
		c.cursor = max(c.cursor, asOf(line))
		return c.step(line, now)
	case bytes.HasPrefix(line, beginsAvailability):
		return nil
	}
	return fmt.Errorf("a client was told: %.300q", line)
}

// step takes how a request stands, from a push or an answer.
func (c *client) step(line []byte, now time.Duration) error {
	if !c.live || string(word(line, memberKey)) != string(c.arrival.appendKey(nil)) {
		return nil // of an earlier one
	}
	id := number(line, memberRequest)
	if c.request != 0 && c.request != id {
		return fmt.Errorf("%s was told of request %d with the key of request %d: %.300q", c.name, id, c.request, line)
	}
	last := &c.calls[len(c.calls)-1]
	c.request, last.request = id, id
	switch state := word(line, memberState); {
	case ended(state):
		c.endLocked(string(state), now)
	case string(state) == "assigned":
		session := number(line, memberSession)
		if session == c.session {
			return nil
		}
		c.session = session
		if last.accepted == 0 {
			last.accepted = now
		}
		c.talk()
	case string(state) == "queued" || string(state) == "offering":
		c.session = 0
		if c.floor.closing.Load() && !c.asked(doCancel) {
			c.giveUp()
		}
	}
	return nil
}

// talk is a session. Mostly the agent ends it, sometimes the client does.
func (c *client) talk() {
	cfg, session := c.floor.cfg, c.session
	if cfg.Calm || c.rng.IntN(4) > 0 {
		return
	}
	length := lognormal(c.rng, cfg.life(cfg.Talk), spreadTalk)
	c.later(length, func() {
		if c.live && c.session == session {
			c.askLocked(doFinish, session)
		}
	})
}

// endLocked: the client knows the end.
func (c *client) endLocked(outcome string, now time.Duration) {
	last := &c.calls[len(c.calls)-1]
	last.ended, last.outcome = now, outcome
	c.live = false
	c.floor.tally.live.Add(-1)
	if c.watches {
		c.askLocked(doUnsubscribe, 0)
	}
	c.freeLocked()
}

// freeLocked: once everything is over, the client hangs up or stays, for the next who arrives.
func (c *client) freeLocked() {
	if c.live || !c.busy || len(c.asks) > 0 {
		return
	}
	f := c.floor
	c.busy = false
	if f.cfg.Rate == 0 && !f.closing.Load() {
		c.beginLocked(f.nextFor(c))
		return
	}
	if !f.cfg.Calm && c.rng.IntN(2) == 0 {
		c.hangUpLocked()
	}
	f.hands.free <- c
}

// answered implements party.
func (c *client) answered(q *ask, status int, line []byte, now time.Duration) error {
	defer c.freeLocked()
	return c.decided(q, status, line, now)
}

func (c *client) decided(q *ask, status int, line []byte, now time.Duration) error {
	switch q.do {
	case doRequest:
		// From here on they know: whoever loses the connection before the first push hears what ended behind this.
		c.cursor = max(c.cursor, asOf(line))
		if status == http.StatusOK {
			return c.step(line, now)
		}
		switch code := string(word(line, memberCode)); code {
		case "no_agent", "queue_full":
			if c.live {
				c.endLocked(code, now)
			}
		default:
			return fmt.Errorf("a request was refused: %.300s", line)
		}
	case doCancel:
		if status == http.StatusOK {
			return c.step(line, now)
		}
	}
	return nil
}

// wrapUp cancels what waits, at the end of the shift.
func (c *client) wrapUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == 0 && !c.asked(doCancel) {
		c.giveUp()
	}
	c.flushLocked()
}

func (c *client) inCall() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}
