package client

import (
	"context"
	"io"
	"slices"
	"time"

	"holdfast/internal/wire"
)

// Kind is what a Command asks.
type Kind string

// The kinds.
const (
	ToClaim   Kind = wire.DoClaim
	ToRelease Kind = wire.DoRelease
	ToAccept  Kind = wire.DoAccept
	ToSwap    Kind = wire.DoSwap
	ToBasket  Kind = wire.DoBasket
	ToLook    Kind = wire.DoStanding
)

// Command is one thing to ask on a Live.
type Command struct {
	Kind   Kind
	Person string // may be empty where the connection speaks for one person
	Pool   string // all but ToBasket
	About  About  // ToClaim, ToRelease, ToSwap
	Offer  uint64 // ToAccept: the standing's Offer
	Swap   string // ToSwap: the pool to give up
	Mode   Mode   // ToBasket
	Items  []Item // ToBasket: 1 to 32

	Quiet    bool // leave the preapproved stage out
	Recorded bool // the answer is not the last before it is recorded; the server must have a mirror
}

// message is a command as it is sent.
type message struct {
	ID       uint64     `json:"id"`
	Do       Kind       `json:"do"`
	As       string     `json:"as,omitempty"`
	Pool     string     `json:"pool,omitempty"`
	Seq      *uint64    `json:"if_seq,omitempty"`
	Offer    uint64     `json:"offer,omitempty"`
	Swap     string     `json:"swap,omitempty"`
	Mode     Mode       `json:"mode,omitempty"`
	Items    []itemBody `json:"items,omitempty"`
	Quiet    bool       `json:"quiet,omitempty"`
	Recorded bool       `json:"recorded,omitempty"`

	// subscribe and unsubscribe
	Pools []string `json:"pools,omitempty"`
	Log   string   `json:"log,omitempty"`
	From  uint64   `json:"seq,omitempty"`
}

// Call is a command that was asked, and what has been answered so far. It belongs to one goroutine.
type Call struct {
	live *Live
	news chan struct{} // has one where something changed
	stop func() bool   // ends the watch over its context

	// Guarded by live.mu.
	id  uint64
	ask message
	asking
	stage stage
}

// asking is how far the asking has got.
type asking struct {
	person   string
	learnt   []bool      // which of the seqs may be learnt from the answer
	attempts int         // answers that decided nothing
	out      bool        // it was left for the connection that is up
	doubt    bool        // it may have taken effect, or be on its way, on a connection that is gone
	timer    *time.Timer // until it is asked again; nil: it does not wait
}

// stage is how far the answer has got.
type stage struct {
	answer BasketAnswer // one item, unless it was a basket
	shown  Durability   // the last that Next gave
	done   bool
	fault  *Error // done, and nothing was decided
}

// Start asks a command. It waits while InFlight others are pending. The call is pending until it is confirmed (or recorded,
// where that was wished), a connection's end or not, or until ctx ends. The error is an *Error.
func (l *Live) Start(ctx context.Context, cmd Command) (*Call, error) {
	if cmd.Kind != ToBasket && cmd.Pool == "" {
		return nil, &Error{Code: malformedCode, Field: "pool", Detail: "is missing"}
	}
	c := &Call{live: l, news: make(chan struct{}, 1)}
	l.client.budget.earn()
	c.prepare(&cmd)
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, broken("not sent", ctx.Err(), false)
	case <-l.done:
		return nil, l.Err()
	}
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		<-l.slots
		return nil, l.Err()
	}
	c.numberLocked()
	c.sendLocked()
	l.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { c.abandon(ctx.Err()) })
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.stop = stop; c.stage.done {
		stop()
	}
	return c, nil
}

// prepare makes the message.
func (c *Call) prepare(cmd *Command) {
	l := c.live
	c.person = cmd.Person
	if c.person == "" {
		c.person = l.person
	}
	m := message{Do: cmd.Kind, Pool: cmd.Pool, Offer: cmd.Offer, Swap: cmd.Swap, Mode: cmd.Mode, Quiet: cmd.Quiet, Recorded: cmd.Recorded}
	if l.person == "" {
		m.As = c.person
	}
	switch cmd.Kind {
	case ToClaim, ToRelease, ToSwap:
		seq, learnt := l.client.stand(place{c.person, cmd.Pool}, cmd.About)
		m.Seq, c.learnt = &seq, []bool{learnt}
	case ToBasket:
		m.Items, c.learnt = make([]itemBody, len(cmd.Items)), make([]bool, len(cmd.Items))
		for i, it := range cmd.Items {
			m.Items[i] = itemBody{Pool: it.Pool, Swap: it.Swap}
			m.Items[i].Seq, c.learnt[i] = l.client.stand(place{c.person, it.Pool}, it.About)
		}
	}
	c.ask = m
}

// numberLocked gives the call a number of its own.
func (c *Call) numberLocked() {
	delete(c.live.calls, c.id)
	c.live.ids++
	c.id = c.live.ids
	c.live.calls[c.id] = c
}

// sendLocked leaves the command for the connection, if one is up; else for the next.
func (c *Call) sendLocked() {
	if c.live.link == nil {
		return
	}
	c.ask.ID, c.out = c.id, true
	if c.stage.answer.Certain() { // confirmed, and only to be recorded: that must not be asked to be done again
		c.live.link.send(message{ID: c.id, Do: ToLook, As: c.ask.As, Pool: c.latest(), Quiet: true, Recorded: true})
		return
	}
	c.live.link.send(c.ask)
}

// latest is the pool of the answer's last event: once that is recorded, all are.
func (c *Call) latest() string {
	pool, seq := c.ask.Pool, uint64(0)
	for _, it := range c.stage.answer.Items {
		if pool == "" || it.Seq > seq {
			pool, seq = it.Pool, it.Seq
		}
	}
	return pool
}

// reply takes a message that answers a command.
func (l *Live) reply(h *head, line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.calls[h.Reply]
	if l.link != nil {
		if asked, ok := l.link.asked[h.Reply]; ok {
			delete(l.link.asked, h.Reply)
			l.subscribedLocked(h, asked, line)
			return
		}
	}
	if c == nil {
		l.unownedLocked(h, line)
		return
	}
	switch {
	case h.Code != "" && h.Durability == "":
		c.faultLocked(problemOf(line))
	case c.stage.answer.Certain():
		c.recordedLocked(h)
	case h.Durability == "" || h.Status == nil && h.Items == nil:
		c.finishLocked(nil) // done, and nothing to tell
	default:
		c.answerLocked(h, line)
	}
}

// unownedLocked takes an answer that nobody waits for any more. What it says is kept: the server does not push it too.
func (l *Live) unownedLocked(h *head, line []byte) {
	if h.Durability.rank() < Confirmed.rank() || h.Status == nil && h.Items == nil {
		if h.Code != "" {
			l.client.logger.Debug("holdfast: a message that nobody waits for", "code", string(h.Code), "reply", h.Reply)
		}
		return
	}
	a, err := decode(h, line, h.Items != nil)
	if err != nil {
		l.client.logger.Debug("holdfast: an answer that nobody waits for cannot be read", "error", err, "reply", h.Reply)
		return
	}
	l.learn(&a)
}

// learn keeps what a confirmed answer says of the standings.
func (l *Live) learn(a *BasketAnswer) {
	for i := range a.Items {
		if it := &a.Items[i]; a.Certain() {
			l.client.remember(it)
			if !it.Refused() {
				l.board.answered(it.Standing)
			}
		}
	}
}

// recordedLocked takes what comes behind the confirmed answer.
func (c *Call) recordedLocked(h *head) {
	if h.Durability == Recorded {
		c.stage.answer.Durability = Recorded
		c.stage.answer.Items = slices.Clone(c.stage.answer.Items) // who asked for an earlier stage has them
		for i := range c.stage.answer.Items {
			c.stage.answer.Items[i].Durability = Recorded
		}
		c.finishLocked(nil)
	}
}

// faultLocked: it was not decided. It is asked again where that may help.
func (c *Call) faultLocked(fault *Error) {
	l := c.live
	c.attempts++
	c.doubt = c.doubt || fault.InDoubt || c.stage.answer.Durability != ""
	c.out = false
	kept := c.stage.answer.Durability != "" // what is there is asked again until it is certain
	if !fault.passes() || !kept && (c.attempts >= l.client.cfg.Attempts || !l.client.budget.spend()) {
		fault.Attempts, fault.InDoubt = c.attempts, c.doubt
		c.finishLocked(fault)
		return
	}
	c.timer = time.AfterFunc(l.client.pause(c.attempts, fault), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if c.timer = nil; !c.stage.done {
			c.sendLocked()
		}
	})
}

func (c *Call) answerLocked(h *head, line []byte) {
	a, err := decode(h, line, c.ask.Do == ToBasket)
	if err != nil {
		c.finishLocked(notOurs(0, err, true))
		return
	}
	if c.ask.Do == ToBasket {
		for i := range a.Items {
			a.Items[i].Person = c.person
		}
	}
	if c.learnLocked(&a) {
		return
	}
	c.stage.answer = a
	c.live.learn(&a)
	if a.Certain() {
		c.live.client.swapped(c.person, append(c.ask.Items, itemBody{Swap: c.ask.Swap}))
	}
	if a.Certain() && (!c.ask.Recorded || a.Durability == Recorded) {
		c.finishLocked(nil)
		return
	}
	c.tellLocked()
}

// decode makes a basket's answer of any answer.
func decode(h *head, line []byte, basket bool) (BasketAnswer, error) {
	status := 200
	if h.Code != "" {
		status = 409
	}
	if basket {
		w, err := wire.DecodeBasket(status, line)
		if err != nil {
			return BasketAnswer{}, err
		}
		return basketOf(&w), nil
	}
	w, err := wire.DecodeAnswer(status, line)
	if err != nil {
		return BasketAnswer{}, err
	}
	a := answerOf(&w)
	return BasketAnswer{
		Realm: a.Realm, Person: a.Person, Items: []Answer{a}, Durability: a.Durability, AsOf: a.AsOf, At: a.At, Refusal: a.Refusal,
	}, nil
}

// learnLocked asks once more where the answer was but a look (see Client.change); false: it is the answer.
func (c *Call) learnLocked(a *BasketAnswer) bool {
	look := false
	for i := range min(len(a.Items), len(c.learnt)) {
		look = look || c.learnt[i] && a.Items[i].RefusedAs(Precondition)
	}
	if !look || c.doubt {
		return false
	}
	if !a.Certain() {
		return true // its seq comes with the next stage
	}
	for i := range min(len(a.Items), len(c.learnt)) {
		if it := &a.Items[i]; c.learnt[i] && it.RefusedAs(Precondition) {
			if c.ask.Do == ToBasket {
				c.ask.Items[i].Seq = it.Refusal.Seq
			} else {
				seq := it.Refusal.Seq
				c.ask.Seq = &seq
			}
		}
	}
	c.learnt = nil
	c.numberLocked()
	c.sendLocked()
	return true
}

func (c *Call) tellLocked() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// finishLocked ends the call; fault nil: with the answer that is there.
func (c *Call) finishLocked(fault *Error) {
	if c.stage.done {
		return
	}
	c.stage.done, c.stage.fault = true, fault
	delete(c.live.calls, c.id)
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.stop != nil {
		c.stop()
	}
	<-c.live.slots
	c.tellLocked()
}

// abandon: the caller's context has ended.
func (c *Call) abandon(cause error) {
	c.live.mu.Lock()
	defer c.live.mu.Unlock()
	c.finishLocked(&Error{Code: brokenCode, Detail: "no answer in time", cause: cause, InDoubt: c.inDoubtLocked(), Attempts: c.attempts})
}

// inDoubtLocked says whether it may have taken effect, or be on its way.
func (c *Call) inDoubtLocked() bool { return c.ask.Do != ToLook && (c.out || c.doubt) }

// NextBasket is Next for a basket.
func (c *Call) NextBasket(ctx context.Context) (BasketAnswer, error) {
	for {
		c.live.mu.Lock()
		s := &c.stage
		a, done, fault := s.answer, s.done, s.fault
		if a.Durability != "" && a.Durability != s.shown {
			s.shown = a.Durability
			c.live.mu.Unlock()
			return a, nil
		}
		c.live.mu.Unlock()
		switch {
		case fault != nil:
			return a, fault
		case done:
			return a, io.EOF
		}
		select {
		case <-c.news:
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
}

// Next waits for the next stage of the answer: preapproved (unless Quiet), confirmed, recorded (where wished), and then
// io.EOF. A stage that was overtaken is left out. The error is an *Error where nothing more will come; ctx ends the wait only.
func (c *Call) Next(ctx context.Context) (Answer, error) {
	b, err := c.NextBasket(ctx)
	return b.only(c.ask.Pool), err
}

// wait gives the last stage; the one that is there when the call's context ends.
func (c *Call) wait() (BasketAnswer, error) {
	for {
		a, err := c.NextBasket(context.Background())
		switch {
		case err == nil:
		case err == io.EOF || a.Durability != "":
			return a, nil
		default:
			return a, err
		}
	}
}
