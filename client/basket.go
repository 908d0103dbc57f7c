package client

import (
	"context"
	"net/http"
	"slices"

	"holdfast/internal/wire"
)

// Mode says how the items of a basket hang together.
type Mode string

// The modes.
const (
	All        Mode = "all"          // all seated or none
	Each       Mode = "each"         // each seated or refused
	EachOrWait Mode = "each_or_wait" // each as if claimed alone
)

// Item is one claim of a basket, or one swap.
type Item struct {
	Pool  string
	Swap  string // not empty: the pool whose seat is given up once this one is certain
	About About
}

// itemBody is an Item as it is sent.
type itemBody struct {
	Pool string `json:"pool"`
	Swap string `json:"swap,omitempty"`
	Seq  uint64 `json:"if_seq"`
}

// Basket decides 1 to 32 items of one person in one place of the order. Each has its precondition. The answer is confirmed,
// unless ctx ended before; then it is preapproved. The error is an *Error.
func (c *Client) Basket(ctx context.Context, person string, mode Mode, items ...Item) (BasketAnswer, error) {
	list := make([]itemBody, len(items))
	learnt := make([]bool, len(items))
	for i, it := range items {
		list[i] = itemBody{Pool: it.Pool, Swap: it.Swap}
		list[i].Seq, learnt[i] = c.stand(place{person, it.Pool}, it.About)
	}
	r := &request{method: http.MethodPost, path: "/baskets", body: map[string]any{"person": person, "mode": mode, "items": list}}
	defer c.swapped(person, list)
	a, doubt, err := c.decideBasket(ctx, person, r)
	if err != nil || doubt || !a.Certain() {
		return a, err
	}
	// As in change: an item that named a seq only to learn it was a look. What the others did stays done when asked again.
	again := false
	for i := range min(len(a.Items), len(list)) {
		if learnt[i] && a.Items[i].RefusedAs(Precondition) {
			list[i].Seq, again = a.Items[i].Refusal.Seq, true
		}
	}
	if again {
		a, _, err = c.decideBasket(ctx, person, r)
	}
	return a, err
}

// decideBasket is decide for a basket.
func (c *Client) decideBasket(ctx context.Context, person string, r *request) (a BasketAnswer, doubt bool, err error) {
	read := func(_ *request, res response) (BasketAnswer, error) { return c.readBasket(person, res) }
	return decided(ctx, c, r, r, read, func(a *BasketAnswer) (Durability, bool) { return a.Durability, a.taken() })
}

// taken says whether some item is not refused.
func (a *BasketAnswer) taken() bool {
	return a.Refusal == nil && slices.ContainsFunc(a.Items, func(it Answer) bool { return !it.Refused() })
}

func (c *Client) readBasket(person string, res response) (BasketAnswer, error) {
	w, err := wire.DecodeBasket(res.status, res.body)
	if err != nil {
		return BasketAnswer{}, notOurs(res.status, err, true)
	}
	a := basketOf(&w)
	c.rememberBasket(person, &a)
	return a, nil
}

func (c *Client) rememberBasket(person string, a *BasketAnswer) {
	for i := range a.Items {
		item := &a.Items[i]
		item.Person = person
		c.remember(item)
	}
}

// swapped: of the seats that a certain answer may have given up, its items do not tell.
func (c *Client) swapped(person string, items []itemBody) {
	for _, it := range items {
		if it.Swap != "" {
			c.known.lose(place{person, it.Swap})
		}
	}
}

// Swap asks for a seat in pool and gives up the one in old once the new one is certain: a basket of one item. Until then the
// person keeps the old one, and waits. The answer and the error are as Claim's.
func (c *Client) Swap(ctx context.Context, pool, old, person string, about About) (Answer, error) {
	b, err := c.Basket(ctx, person, EachOrWait, Item{Pool: pool, Swap: old, About: about})
	if err != nil {
		return Answer{}, err
	}
	return b.only(pool), nil
}

// only is the answer of a basket of one item as that of a claim.
func (a *BasketAnswer) only(pool string) Answer {
	if len(a.Items) == 1 {
		return a.Items[0]
	}
	return Answer{
		Standing:   Standing{Realm: a.Realm, Pool: pool, Person: a.Person, AsOf: a.AsOf, At: a.At},
		Durability: a.Durability, Refusal: a.Refusal,
	}
}
