package client

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"holdfast/internal/wire"
	"holdfast/seat"
)

// Live is a connection that is kept up: commands in flight side by side, and news of people and pools. When it breaks it
// comes back by itself, names what it has heard, asks again whatever is not confirmed, each with the precondition it had,
// and hears the latest of what it missed.
//
// Its methods may be called by several goroutines, Next by one at a time. It must be closed. It ends by itself only where
// coming back is of no use (the server does not take the token, there is no such realm …): Done is closed, and Err says why.
type Live struct {
	client *Client
	person string // who it speaks for; empty = for many
	cancel context.CancelFunc
	done   chan struct{}
	slots  chan struct{} // one for each pending command
	board  board

	mu    sync.Mutex // guards what follows
	ids   uint64
	calls map[uint64]*Call // pending
	pools map[string]bool  // subscribed
	link  *link            // nil: no connection is up
	err   error            // why it ended; nil: it has not
}

// helloID is the number of the first message of every connection; commands have higher ones.
const helloID = 1

// Dial gives a connection for person, whose claims it follows; from is what is known already. An empty person acts for many,
// with a token that may: each command then names its person, and Follow says whose claims to tell. It returns at once; the
// connection comes up, and comes back, until Close or the end of ctx.
func (c *Client) Dial(ctx context.Context, person string, from Cursor) *Live {
	if person == "" {
		return c.open(ctx, "", from, nil)
	}
	return c.open(ctx, person, from, seat.ValidID("person", person))
}

func (c *Client) open(ctx context.Context, person string, from Cursor, invalid error) *Live {
	ctx, cancel := context.WithCancel(ctx)
	l := &Live{
		client: c, person: person, cancel: cancel, done: make(chan struct{}), slots: make(chan struct{}, c.cfg.InFlight),
		ids: helloID, calls: map[uint64]*Call{}, pools: map[string]bool{},
	}
	l.board.init()
	if person != "" {
		l.board.follow(person, from)
	}
	go l.run(ctx, invalid)
	return l
}

// Close ends the connection and all that waits on it, with ErrClosed, and returns when it is gone.
func (l *Live) Close() {
	l.cancel()
	<-l.done
}

// Done is closed when the connection has ended for good.
func (l *Live) Done() <-chan struct{} { return l.done }

// Err says why it ended; nil: it has not.
func (l *Live) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// run keeps a connection up until there is no use in it.
func (l *Live) run(ctx context.Context, invalid error) {
	defer close(l.done)
	defer l.cancel()
	if invalid != nil {
		l.end(&Error{Code: malformedCode, cause: invalid})
		return
	}
	refused := ""
	for failures := 1; ; failures++ {
		began := time.Now()
		token, up, fault := l.connect(ctx, refused)
		if ctx.Err() != nil {
			l.end(&Error{Code: closedCode, cause: ctx.Err()})
			return
		}
		switch {
		case fault.Code == unauthenticatedCode && token != "":
			refused = token // another one may do
		case fault.Code == unauthenticatedCode && fault.cause != nil: // none could be had just now
		case !fault.passes():
			l.end(fault)
			return
		default:
			refused = ""
		}
		if up && time.Since(began) > l.client.cfg.MaxBackoff {
			failures = 1
		}
		l.client.logger.Info("holdfast: the connection is gone and comes back", "error", fault)
		// Two steps on from a request's wait: when a server goes, all its connections come back at once.
		if !sleep(ctx, fault.RetryAfter+l.client.backoff(failures+2)) {
			l.end(&Error{Code: closedCode, cause: ctx.Err()})
			return
		}
	}
}

// end is the last thing that happens to a Live.
func (l *Live) end(why *Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = why
	for _, call := range l.calls {
		fault := *why
		fault.InDoubt = call.inDoubtLocked()
		call.finishLocked(&fault)
	}
	l.board.down()
}

// connect opens one connection and works on it until it ends. up: hello was answered.
func (l *Live) connect(ctx context.Context, refused string) (token string, up bool, fault *Error) {
	k, token, fault := l.dial(ctx, refused)
	if fault != nil {
		return token, false, fault
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	defer l.lost(k)
	work.Go(func() { k.write(ctx) })
	k.send(l.hello())
	fault = k.read(ctx, func(h *head, line []byte) *Error {
		switch {
		case h.Push != "":
			if err := l.push(h.Push, line); err != nil {
				return broken("a push cannot be read", err, false)
			}
		case h.Reply == helloID && !up:
			hello, fault := readHello(h, line)
			if fault != nil {
				return fault
			}
			up = true
			l.begin(k, hello)
			work.Go(func() { l.prolong(ctx, k) })
		case h.Reply != helloID:
			l.reply(h, line)
		}
		return nil
	})
	k.conn.CloseNow()
	return token, up, fault
}

// helloMessage is the first message.
type helloMessage struct {
	ID     uint64 `json:"id"`
	Do     string `json:"do"`
	Token  string `json:"token,omitempty"`
	Person string `json:"person,omitempty"`
	Log    string `json:"log,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
}

func (l *Live) hello() helloMessage {
	since := l.board.cursor(l.person)
	return helloMessage{ID: helloID, Do: wire.DoHello, Person: l.person, Log: since.Log, Seq: since.Seq}
}

func readHello(h *head, line []byte) (hello wire.Hello, fault *Error) {
	if h.Code != "" {
		return hello, problemOf(line)
	}
	if err := json.Unmarshal(line, &hello); err != nil {
		return hello, broken("the answer to hello cannot be read", err, false)
	}
	return hello, nil
}

// begin: the server has answered hello. Everything that was there before the connection is asked again.
func (l *Live) begin(k *link, hello wire.Hello) {
	if l.board.up(hello.Log) {
		l.client.known.forget()
	}
	k.quiet.Store(int64(max(time.Duration(hello.PingMS)*time.Millisecond*5/4, time.Second)))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.link = k
	for _, person := range l.board.followedNow() {
		if person != l.person {
			k.send(l.subscriptionLocked(wire.DoSubscribe, person, nil))
		}
	}
	pools := make([]string, 0, len(l.pools))
	for pool := range l.pools {
		pools = append(pools, pool)
	}
	slices.Sort(pools)
	for some := range slices.Chunk(pools, wire.MaxPools) {
		k.send(l.subscriptionLocked(wire.DoSubscribe, "", some))
	}
	pending := make([]*Call, 0, len(l.calls))
	for _, call := range l.calls {
		if call.timer == nil { // who waits for a time to ask again goes on waiting
			pending = append(pending, call)
		}
	}
	slices.SortFunc(pending, func(x, y *Call) int { return int(x.id) - int(y.id) }) // in the order they were asked
	for _, call := range pending {
		call.sendLocked()
	}
}

// lost: the connection is gone. What was left for it may have taken effect.
func (l *Live) lost(k *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != k {
		return
	}
	l.link = nil
	for _, call := range l.calls {
		call.doubt = call.doubt || call.out
		call.out = false
	}
	l.board.down()
}

// waits says whether a command waits for its answer.
func (l *Live) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls) > 0
}

// prolong shows a fresh token before the one that opened the connection ends, where that says when it does. Where it does not,
// or there is no fresh one, the server ends the connection, and it comes back.
func (l *Live) prolong(ctx context.Context, k *link) {
	token := k.token
	for {
		ends, ok := expiry(token)
		if !ok {
			return
		}
		left := time.Until(ends)
		if !sleep(ctx, left-min(left/4, time.Minute)-time.Duration(l.client.random(int64(max(1, min(left/8, time.Minute)))))) {
			return
		}
		fresh, err := l.client.cfg.Token(ctx)
		if err != nil || fresh == token {
			return
		}
		token = fresh
		l.mu.Lock()
		l.ids++
		again := helloMessage{ID: l.ids, Do: wire.DoHello, Token: token, Person: l.person}
		l.mu.Unlock()
		k.send(again)
	}
}

// problemOf reads a message that says why something was not decided.
func problemOf(line []byte) *Error {
	p, err := wire.DecodeProblem(0, line)
	if err != nil {
		return broken("a message cannot be read", err, false)
	}
	e := &Error{Code: Code(p.Code), Field: p.Field, Detail: p.Detail, RetryAfter: time.Duration(p.RetryAfterMS) * time.Millisecond}
	e.InDoubt = e.Code == unknownCode
	return e
}

// Next waits for news and gives what changed since the last time. The error is ctx's, or why the connection ended for good:
// an *Error, after all news was given.
func (l *Live) Next(ctx context.Context) (Update, error) {
	for {
		if u, ok := l.board.take(); ok {
			return u, nil
		}
		select {
		case <-l.board.ready:
		case <-ctx.Done():
			return Update{}, ctx.Err()
		case <-l.done:
			if u, ok := l.board.take(); ok {
				return u, nil
			}
			return Update{}, l.Err()
		}
	}
}

// View gives a person's standings as far as they were told, by pool; only of who is followed.
func (l *Live) View(person string) []Standing { return l.board.view(person) }

// Cursor is what View knows: name it when you come back.
func (l *Live) Cursor(person string) Cursor { return l.board.cursor(person) }
