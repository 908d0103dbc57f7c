package server

import (
	"strings"

	"holdfast/internal/wire"
)

// maxToken bounds what is looked at as a token, in bytes.
const maxToken = 8 << 10

// One text each, whatever is wrong with the token: what it is stands in the server's own log.
var (
	notKnown  = wire.New(wire.Unauthenticated, "Send a valid key or token as Authorization: Bearer.")
	notForYou = wire.New(wire.Forbidden, "The token is not for this.")
	challenge = []string{"Bearer"}
)

// identify finds out who asks; nil = c.id is set. What is public asks nobody.
func (c *call) identify() *wire.Problem {
	if c.auth == nil || c.route.role == Public {
		c.id = everybody
		return nil
	}
	if token, ok := bearer(c.r.Header["Authorization"]); ok {
		id, err := c.auth.Check(token)
		if err == nil {
			c.id = id
			return nil
		}
	}
	c.w.Header()["Www-Authenticate"] = challenge
	return &notKnown
}

// bearer takes the token out of the header; false = there is none, or more than one, or one that is too long to be looked at.
func bearer(values []string) (token string, ok bool) {
	if len(values) != 1 || len(values[0]) > maxToken {
		return "", false
	}
	scheme, token, found := strings.Cut(values[0], " ")
	return token, found && token != "" && strings.EqualFold(scheme, "Bearer")
}
