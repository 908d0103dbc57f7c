package server

import (
	"errors"
	"net/http"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// postTicket gives a one-use ticket, with which a connection says who comes without showing a token. A person, an agent and a client
// get it for themselves; who acts for others may name one of these, and gets one that is theirs, in this realm only.
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
	id, may, err := c.bearer(&ask)
	switch {
	case err != nil:
		return c.fail(err)
	case may == otherDesk:
		return c.refuse(&seat.Refusal{Code: desk.UnknownDesk}, wire.Stamp{})
	case may != allowed:
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
	ticket, expires, err := c.auth.Ticket(id, c.realm, origin)
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

// bearer is who a ticket is for: who asks, or whom they name as in a hello, on the authority of who names them.
func (c *call) bearer(ask *wire.Ticket) (auth.Identity, verdict, error) {
	id := c.id
	if *ask == (wire.Ticket{Origin: ask.Origin}) {
		return id, allowed, nil
	}
	hello := wire.Message{Person: ask.Person}
	hello.Agent, hello.Desk, hello.Client = ask.Agent, ask.Desk, ask.Client
	w, may, err := comes(&hello, &id, c.realm)
	if err != nil || may != allowed {
		return id, may, err
	}
	if name := w.person + w.agent + w.client; !single(&id) {
		id.Person, id.Name = name, id.Name+"/"+name
	}
	switch {
	case w.agent != "":
		id.Role, id.Desk = auth.Agent, w.desk
	case w.client != "":
		id.Role = auth.Client
	default:
		id.Role = auth.Person
	}
	return id, allowed, nil
}
