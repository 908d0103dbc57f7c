package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"holdfast/internal/wire"
)

// About says which standing a command is about. The zero About is what the client knows: the last confirmed seq that it was
// told, or, where it was told none, 0 and then what the server says (see the package's comment). At names one.
type About struct {
	seq   uint64
	named bool
}

// At is a standing that the caller has seen: its Seq; 0 = there never was one. Where it is another by now, the answer is the
// refusal Precondition.
func At(seq uint64) About { return About{seq, true} }

// Claim asks for a seat or a place in line; where there is a live claim it shows it. The answer is confirmed, unless ctx
// ended before; then it is preapproved. The error is an *Error.
func (c *Client) Claim(ctx context.Context, pool, person string, about About) (Answer, error) {
	return c.change(ctx, http.MethodPut, place{person, pool}, about)
}

// Release gives up a seat, a place in line, or (declining it) an offered seat. Who has none is shown as they are. The answer
// and the error are as Claim's.
func (c *Client) Release(ctx context.Context, pool, person string, about About) (Answer, error) {
	return c.change(ctx, http.MethodDelete, place{person, pool}, about)
}

// change is a claim or a release: with a precondition, always.
func (c *Client) change(ctx context.Context, method string, p place, about About) (Answer, error) {
	seq, learnt := c.stand(p, about)
	r := &request{method: method, path: claimPath(p.pool, p.person), ifSeq: &seq}
	a, doubt, err := c.decide(ctx, r, r)
	if err == nil && learnt && !doubt && a.RefusedAs(Precondition) && a.Certain() {
		// Nothing of this call took effect or is still on its way, so this was a look.
		seq = a.Refusal.Seq
		a, _, err = c.decide(ctx, r, r)
	}
	return a, err
}

// stand is the seq to name, and whether the client may learn it from the answer: nobody has named or known one.
func (c *Client) stand(p place, about About) (seq uint64, learnt bool) {
	if about.named {
		return about.seq, false
	}
	seq, known := c.known.seq(p)
	return seq, !known
}

// Accept takes the offered seat; offer is the standing's Offer. The answer and the error are as Claim's.
func (c *Client) Accept(ctx context.Context, pool, person string, offer uint64) (Answer, error) {
	r := &request{method: http.MethodPost, path: claimPath(pool, person) + "/accept", body: map[string]any{"offer": offer}}
	a, _, err := c.decide(ctx, r, r)
	return a, err
}

// Action is what staff do out of order.
type Action string

// The actions.
const (
	SeatPerson   Action = "seat"
	RemovePerson Action = "remove"
)

// Override seats or removes a person out of order, as staff; reason is kept with the event, by (who did it) may be empty.
// It has no precondition, so it is not asked again where it may have taken effect: then the error is InDoubt, and a look
// says whether it did. The answer is confirmed, unless ctx ended before.
func (c *Client) Override(ctx context.Context, pool, person string, action Action, reason, by string) (Answer, error) {
	body := map[string]any{"action": action, "reason": reason}
	if by != "" {
		body["by"] = by
	}
	r := &request{method: http.MethodPost, path: claimPath(pool, person) + "/override", body: body, once: true}
	a, _, err := c.decide(ctx, r, &request{method: http.MethodGet, path: claimPath(pool, person)})
	return a, err
}

// Standing looks where a person stands in a pool. The answer and the error are as Claim's.
func (c *Client) Standing(ctx context.Context, pool, person string) (Answer, error) {
	r := &request{method: http.MethodGet, path: claimPath(pool, person)}
	a, _, err := c.decide(ctx, r, r)
	return a, err
}

// decide is decided for an answer about one pool.
func (c *Client) decide(ctx context.Context, r, again *request) (a Answer, doubt bool, err error) {
	return decided(ctx, c, r, again, c.read, func(a *Answer) (Durability, bool) { return a.Durability, !a.Refused() })
}

// decided asks r, and then again until the answer is confirmed, also while the server is away. Should it refuse to be asked,
// or ctx end, the answer is the preapproved one that is there. read makes an answer of a response; stage says how far it is, and whether
// something of it took effect. doubt: a part of the call that was asked before may have taken effect or still be on its way.
func decided[A any](ctx context.Context, c *Client, r, again *request, read func(*request, response) (A, error),
	stage func(*A) (at Durability, took bool)) (a A, doubt bool, err error) {
	res, err := c.ask(ctx, r)
	if err != nil {
		return a, false, err
	}
	doubt = res.doubt
	if a, err = read(r, res); err != nil {
		return a, doubt, err
	}
	for n := 1; ; n++ {
		at, took := stage(&a)
		if at != Preapproved {
			return a, doubt, nil
		}
		doubt = doubt || took
		held := *again
		held.query = url.Values{"wait": {"confirmed"}, "timeout": {strconv.FormatInt(c.cfg.HoldAnswer.Milliseconds(), 10)}}
		if n > 1 && !sleep(ctx, c.backoff(n)) {
			return a, doubt, nil
		}
		res, err := c.ask(ctx, &held)
		if err != nil && !passing(err) {
			return a, doubt, nil
		}
		doubt = doubt || res.doubt || inDoubt(err)
		if later, unread := read(&held, res); err == nil && unread == nil {
			a = later
		}
	}
}

// read makes an answer of a response, and remembers its seq.
func (c *Client) read(r *request, res response) (Answer, error) {
	w, err := wire.DecodeAnswer(res.status, res.body)
	if err != nil {
		return Answer{}, notOurs(res.status, err, r.method != http.MethodGet)
	}
	a := answerOf(&w)
	c.remember(&a)
	return a, nil
}

// remember keeps what a confirmed answer says of the standing's seq.
func (c *Client) remember(a *Answer) {
	switch {
	case !a.Certain():
	case a.RefusedAs(Precondition):
		c.known.correct(place{a.Person, a.Pool}, version{a.Refusal.Seq, a.AsOf})
	case !a.Refused():
		c.keep(&a.Standing)
	}
}

func poolPath(pool string) string { return "/pools/" + url.PathEscape(pool) }

func claimPath(pool, person string) string {
	return poolPath(pool) + "/claims/" + url.PathEscape(person)
}
