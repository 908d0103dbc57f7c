package server

import (
	"errors"
	"net/http"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// postTicket gives a one-use ticket, with which a connection says who comes without showing a token. A person gets it for
// themselves; who acts for others may name the person, and gets one that is that person's, in this realm only.
func postTicket(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	ask, err := wire.ParseTicket(body)
	if err != nil {
		return c.fail(err)
	}
	if c.auth == nil {
		return c.problem(wire.New(wire.NoAuth, "This server has no authentication, and its WebSocket needs no ticket: say hello without one."))
	}
	if c.foreign {
		return c.refuse(&seat.Refusal{Code: holdfast.UnknownRealm}, wire.Stamp{})
	}
	if wait := c.limit(&c.id); wait > 0 {
		return c.limited(wait)
	}
	if permit(&c.id, auth.Person, c.realm, ask.Person) != allowed {
		return c.problem(notForYou)
	}
	origin := c.r.Header.Get("Origin")
	if origin != "" && ask.Origin != "" && ask.Origin != origin {
		return c.fail(invalid("origin", "is not the origin of the page that asks"))
	}
	if origin == "" {
		origin = ask.Origin
	}
	if len(origin) > wire.MaxOrigin { // it is kept as long as the ticket
		return c.fail(invalid("Origin", "is too long"))
	}
	ticket, expires, err := c.auth.Ticket(inPerson(c.id, ask.Person), c.realm, origin)
	switch {
	case errors.Is(err, auth.ErrCrowded):
		return c.problem(wire.New(wire.Busy, "Too many tickets are open. Ask again."))
	case err != nil:
		return c.stranger()
	}
	c.w.Header()["Cache-Control"] = noStore
	return c.write(http.StatusOK, jsonType, func(b []byte) []byte {
		b = append(append(b, `{"ticket":"`...), ticket...)
		return append(wire.AppendTime(b, `","expires_at":"`, seat.TimeOf(expires.Truncate(time.Microsecond))), '}')
	})
}

// inPerson is who a ticket is for: the person where one is named, on the authority of who names them.
func inPerson(id auth.Identity, person string) auth.Identity {
	if id.Role != auth.Person && person != "" {
		id.Role, id.Person, id.Name = auth.Person, person, id.Name+"/"+person
	}
	return id
}
