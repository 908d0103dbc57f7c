package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Standings is all of a person, released ones too, the newest claims first.
type Standings struct {
	Person     string     `json:"person"`
	Claims     []Standing `json:"claims"`
	Durability Durability `json:"durability"`
	AsOf       uint64     `json:"as_of"` // of the first page; each standing has its own
}

// Pool is a pool as it stands.
type Pool struct {
	Realm         string          `json:"realm,omitempty"`
	Pool          string          `json:"pool"`
	Capacity      int             `json:"capacity"`
	Waitlist      *int            `json:"waitlist,omitempty"` // most people that wait; nil = no limit
	OpensAt       time.Time       `json:"opens_at,omitzero"`
	ClosesAt      time.Time       `json:"closes_at,omitzero"`
	PromoteUntil  time.Time       `json:"promote_until,omitzero"`
	Promotion     string          `json:"promotion"`                // auto, offer
	AnswerSeconds int             `json:"answer_seconds,omitempty"` // offer: the time to accept
	Group         string          `json:"group,omitempty"`
	Order         string          `json:"order"`          // arrival, lottery
	Data          json.RawMessage `json:"data,omitempty"` // the customer's own

	Seated  int `json:"seated"`
	Offered int `json:"offered"`
	Waiting int `json:"waiting"`
	Entered int `json:"entered"` // in a lottery before its draw
	Free    int `json:"free"`
	Over    int `json:"over"` // more than the capacity

	Durability Durability `json:"durability"`
	Seq        uint64     `json:"seq,omitempty"` // the event that put its configuration
	AsOf       uint64     `json:"as_of"`
	At         time.Time  `json:"at,omitzero"`
}

// Standings gives all standings of a person: confirmed ones, unless the server's log is slow. The error is an *Error; a
// realm that nobody has put is one too, with the code UnknownRealm.
func (c *Client) Standings(ctx context.Context, person string) (Standings, error) {
	all := Standings{Person: person}
	query := url.Values{"limit": {"1000"}}
	for {
		var page struct {
			Standings
			Next string `json:"next"`
		}
		if err := c.fetch(ctx, "/people/"+url.PathEscape(person), query, &page); err != nil {
			return Standings{}, err
		}
		if all.Durability == "" {
			all.Durability, all.AsOf = page.Durability, page.AsOf
		} else if page.Durability.rank() < all.Durability.rank() {
			all.Durability = page.Durability
		}
		for _, s := range page.Claims {
			s.Realm, s.Person, s.AsOf = c.cfg.Realm, person, page.AsOf
			if page.Durability.rank() >= Confirmed.rank() {
				c.keep(&s)
			}
			all.Claims = append(all.Claims, s)
		}
		if page.Next == "" {
			return all, nil
		}
		query.Set("after", page.Next)
	}
}

// Pool gives a pool as it stands. The error is an *Error; its code may be UnknownPool or UnknownRealm.
func (c *Client) Pool(ctx context.Context, pool string) (Pool, error) {
	var p Pool
	err := c.fetch(ctx, poolPath(pool), nil, &p)
	return p, err
}

// Ticket gets a ticket with which one WebSocket of this realm can be opened once, before it ends (30 s). It is for a page
// that must not have the token itself: origin is that page's ("https://portal.example.edu"; empty where it is no browser's). It
// speaks for whom the token speaks, or, where person is not empty and the token may act for others, for that person. The error
// is an *Error.
func (c *Client) Ticket(ctx context.Context, person, origin string) (ticket string, ends time.Time, err error) {
	body := map[string]string{}
	if person != "" {
		body["person"] = person
	}
	if origin != "" {
		body["origin"] = origin
	}
	res, err := c.ask(ctx, &request{method: http.MethodPost, path: "/tickets", body: body})
	if err != nil {
		return "", time.Time{}, err
	}
	var given struct {
		Ticket  string    `json:"ticket"`
		Expires time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(res.body, &given); err != nil {
		return "", time.Time{}, notOurs(res.status, err, false)
	}
	return given.Ticket, given.Expires, nil
}

// fetch reads something that is no answer about one person and pool. What the server refuses is an error here: there is
// nothing to give.
func (c *Client) fetch(ctx context.Context, path string, query url.Values, into any) error {
	res, err := c.ask(ctx, &request{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return err
	}
	if res.status/100 != 2 {
		return refusedRead(res)
	}
	if err := json.Unmarshal(res.body, into); err != nil {
		return notOurs(res.status, err, false)
	}
	return nil
}

func refusedRead(res response) *Error {
	var p struct {
		Code   Code   `json:"code"`
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(res.body, &p); err != nil {
		return notOurs(res.status, err, false)
	}
	return &Error{Code: p.Code, Status: res.status, Detail: p.Detail}
}
