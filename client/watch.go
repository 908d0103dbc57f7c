package client

import (
	"context"
	"slices"

	"holdfast/internal/wire"
	"holdfast/seat"
)

// Do asks a command and waits for its last stage, as Client.Claim and the others do. Not for ToBasket.
func (l *Live) Do(ctx context.Context, cmd Command) (Answer, error) {
	c, err := l.Start(ctx, cmd)
	if err != nil {
		return Answer{}, err
	}
	b, err := c.wait()
	if err != nil {
		return Answer{}, err
	}
	return b.only(cmd.Pool), nil
}

// Claim is Client.Claim on the connection.
func (l *Live) Claim(ctx context.Context, pool, person string, about About) (Answer, error) {
	return l.Do(ctx, Command{Kind: ToClaim, Pool: pool, Person: person, About: about, Quiet: true})
}

// Release is Client.Release on the connection.
func (l *Live) Release(ctx context.Context, pool, person string, about About) (Answer, error) {
	return l.Do(ctx, Command{Kind: ToRelease, Pool: pool, Person: person, About: about, Quiet: true})
}

// Accept is Client.Accept on the connection.
func (l *Live) Accept(ctx context.Context, pool, person string, offer uint64) (Answer, error) {
	return l.Do(ctx, Command{Kind: ToAccept, Pool: pool, Person: person, Offer: offer, Quiet: true})
}

// Swap is Client.Swap on the connection.
func (l *Live) Swap(ctx context.Context, pool, old, person string, about About) (Answer, error) {
	return l.Do(ctx, Command{Kind: ToSwap, Pool: pool, Swap: old, Person: person, About: about, Quiet: true})
}

// Standing is Client.Standing on the connection.
func (l *Live) Standing(ctx context.Context, pool, person string) (Answer, error) {
	return l.Do(ctx, Command{Kind: ToLook, Pool: pool, Person: person, Quiet: true})
}

// Basket is Client.Basket on the connection.
func (l *Live) Basket(ctx context.Context, person string, mode Mode, items ...Item) (BasketAnswer, error) {
	c, err := l.Start(ctx, Command{Kind: ToBasket, Person: person, Mode: mode, Items: items, Quiet: true})
	if err != nil {
		return BasketAnswer{}, err
	}
	return c.wait()
}

// Follow has a person's claims told, on a connection that acts for many, until Unfollow; from is what is known already.
func (l *Live) Follow(person string, from Cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.board.follow(person, from) && l.link != nil {
		l.link.send(l.subscriptionLocked(wire.DoSubscribe, person, nil))
	}
}

// Unfollow has them told no more, and forgets them.
func (l *Live) Unfollow(person string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.board.unfollow(person)
	if l.link != nil && person != l.person {
		l.link.send(l.subscriptionLocked(wire.DoUnsubscribe, person, nil))
	}
}

// Subscribe has the counts of pools told, and when they open, until Unsubscribe. A pool that does not exist is left out:
// name it again once it does.
func (l *Live) Subscribe(pools ...string) { l.subscribe(wire.DoSubscribe, pools) }

// Unsubscribe has them told no more.
func (l *Live) Unsubscribe(pools ...string) { l.subscribe(wire.DoUnsubscribe, pools) }

func (l *Live) subscribe(do Kind, pools []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(pools) > 0 {
		some := slices.Clone(pools[:min(len(pools), wire.MaxPools)])
		pools = pools[len(some):]
		for _, pool := range some {
			if do == wire.DoSubscribe {
				l.pools[pool] = true
				continue
			}
			delete(l.pools, pool)
			l.board.drop(pool)
		}
		if l.link != nil {
			l.link.send(l.subscriptionLocked(do, "", some))
		}
	}
}

// subscriptionLocked makes the message, for the connection that is up.
func (l *Live) subscriptionLocked(do Kind, person string, pools []string) message {
	l.ids++
	m := message{ID: l.ids, Do: do, As: person, Pools: pools}
	if do == wire.DoSubscribe {
		l.link.asked[l.ids] = subscription{person, pools}
	}
	if person != "" && do == wire.DoSubscribe {
		since := l.board.expect(person, l.ids)
		m.Log, m.From = since.Log, since.Seq
	}
	return m
}

// subscription is what one subscribe asked for.
type subscription struct {
	person string // empty: pools
	pools  []string
}

// subscribedLocked takes the answer to a subscribe. The server takes all of its pools or none, so without one that does not
// exist the others are asked for again.
func (l *Live) subscribedLocked(h *head, asked subscription, line []byte) {
	if h.Code == "" {
		l.board.expected(asked.person, h.Reply)
		return
	}
	l.client.logger.Warn("holdfast: a subscription was refused", "code", string(h.Code), "pool", h.Pool, "person", asked.person)
	if h.Code != UnknownPool || !slices.Contains(asked.pools, h.Pool) {
		return
	}
	delete(l.pools, h.Pool)
	l.board.drop(h.Pool)
	rest := slices.DeleteFunc(slices.Clone(asked.pools), func(pool string) bool { return !l.pools[pool] })
	if len(rest) > 0 {
		l.link.send(l.subscriptionLocked(wire.DoSubscribe, "", rest))
	}
}

// Watcher tells one person's claims, and the counts and the opening of pools, for as long as it is open. Its methods may be
// called by several goroutines, Next by one at a time. It must be closed.
type Watcher struct{ live *Live }

// Watch gives a Watcher of person; from is what is known already (the zero Cursor: nothing, and everything is told). It returns
// at once, and comes back after every break until Close or the end of ctx.
func (c *Client) Watch(ctx context.Context, person string, from Cursor) *Watcher {
	return &Watcher{c.open(ctx, person, from, seat.ValidID("person", person))}
}

// Next is Live.Next.
func (w *Watcher) Next(ctx context.Context) (Update, error) { return w.live.Next(ctx) }

// View gives the person's standings as far as they were told, released ones too, by pool.
func (w *Watcher) View() []Standing { return w.live.View(w.live.person) }

// Cursor is what View knows: name it when you come back.
func (w *Watcher) Cursor() Cursor { return w.live.Cursor(w.live.person) }

// Subscribe is Live.Subscribe.
func (w *Watcher) Subscribe(pools ...string) { w.live.Subscribe(pools...) }

// Unsubscribe is Live.Unsubscribe.
func (w *Watcher) Unsubscribe(pools ...string) { w.live.Unsubscribe(pools...) }

// Done is closed when it has ended for good, and Err says why.
func (w *Watcher) Done() <-chan struct{} { return w.live.Done() }

// Err says why it ended; nil: it has not.
func (w *Watcher) Err() error { return w.live.Err() }

// Close ends it, and returns when it is gone.
func (w *Watcher) Close() { w.live.Close() }
