package server

import (
	"context"
	"strings"
	"time"

	"holdfast/auth"
	"holdfast/internal/wire"
)

// One text each, whatever is wrong with the token: what it is stands in the server's own log.
var (
	notKnown       = wire.New(wire.Unauthenticated, "Send a valid key or token as Authorization: Bearer.")
	notForYou      = wire.New(wire.Forbidden, "The token is not for this.")
	notInTheirName = wire.New(wire.Forbidden, "Who acts for others does so in their own name: leave by out, or let it be yours.")
	challenge      = []string{"Bearer"}
)

// identify finds out who asks; nil = c.id is set. What is public asks nobody.
func (c *call) identify() *wire.Problem {
	if c.auth == nil || c.route.role == Public {
		c.id = everybody
		return nil
	}
	if token, ok := bearer(c.r.Header["Authorization"]); ok {
		id, err := c.check(token)
		if err == nil {
			c.id = id
			return nil
		}
	}
	c.w.Header()["Www-Authenticate"] = challenge
	return &notKnown
}

// scheme is what a token stands behind.
const scheme = "Bearer "

// bearer takes the token out of the header; false = there is none, or more than one, or one that is too long to be looked at.
func bearer(values []string) (token string, ok bool) {
	if len(values) != 1 || len(values[0]) > len(scheme)+auth.MaxToken {
		return "", false
	}
	token, found := values[0], len(values[0]) > len(scheme) && strings.EqualFold(values[0][:len(scheme)], scheme)
	return token[min(len(scheme), len(token)):], found
}

// ended waits until id is nobody any more (true), or ctx ends.
func (e *entrance) ended(ctx context.Context, id auth.Identity) bool {
	var expiry <-chan time.Time
	if !id.Expires.IsZero() {
		timer := time.NewTimer(time.Until(id.Expires))
		defer timer.Stop()
		expiry = timer.C
	}
	for {
		changed := e.auth.Changed()
		if !e.auth.Holds(id) {
			return true
		}
		select {
		case <-changed:
		case <-expiry:
			return true
		case <-ctx.Done():
			return false
		}
	}
}
