package server

import (
	"cmp"
	"net/http"

	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/engine"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// deskAnswer appends what a desk decided.
type deskAnswer func(b []byte, r *desk.Result, st wire.Stamp) []byte

// atDesk decides something at a desk, waits as the caller asked, and answers with what show appends, or with the refusal.
// An answer of a desk is recorded once everything up to its as_of is.
func (c *call) atDesk(cmd holdfast.Body, show deskAnswer) int {
	a, start, err := c.do(cmd)
	if err != nil {
		return c.fail(err)
	}
	r := deskResult(&a)
	d, err := c.settle(c.r.Context(), c.wait, a.Stamp, a.AsOf, start)
	if err != nil {
		return c.fail(err)
	}
	st := stamp(d, a.Stamp)
	if r.Refused() {
		c.metrics.outcome(r.Refusal.Code).Inc()
		return c.refuseAtDesk(r, st)
	}
	return c.write(c.reached(d), jsonType, func(b []byte) []byte { return show(b, r, st) })
}

// deskResult is what was decided at a desk: also where there is no such realm.
func deskResult(a *engine.Answer) *desk.Result {
	if a.Desk != nil {
		return a.Desk
	}
	return &desk.Result{Refusal: desk.Refusal{Code: a.Refusal.Code}}
}

// reached is the status of an answer that is no refusal, by how far it has got.
func (c *call) reached(d wire.Durability) int {
	if d == wire.Preapproved {
		return http.StatusAccepted
	}
	return http.StatusOK
}

func (c *call) refuseAtDesk(r *desk.Result, st wire.Stamp) int {
	p := wire.RefusedAtDesk(c.desk, r)
	p.Realm, p.Durability, p.AsOf, p.At = c.realm, st.Durability, st.AsOf, st.At
	return c.write(p.Status, problemType, p.Append)
}

// atDesks finds the desks of the path's realm; look is called only where the realm is there, and the path's desk, if it names one.
func (c *call) atDesks(look func(*desk.State) holdfast.Code) func(*holdfast.State) holdfast.Code {
	return func(s *holdfast.State) holdfast.Code {
		realm := c.world(s)
		if realm == nil {
			return holdfast.UnknownRealm
		}
		if c.desk != "" {
			if _, found := realm.Desks.Desk(c.desk); c.barred || !found {
				return desk.UnknownDesk
			}
		}
		return look(realm.Desks)
	}
}

// author is who did something, where by is what they say: their own name where they say nothing. False: they may not say that.
// Only programs may name somebody else.
func (c *call) author(by string) (string, bool) {
	own := cmp.Or(c.id.Person, c.id.Name)
	programs := c.id.Role == auth.Backend || c.id.Role == auth.Admin
	return cmp.Or(by, own), by == "" || programs || by == own || by == c.id.Name
}

// speaks is for whom something is done: for themselves where who asks is of that role. False: they name somebody else.
func (c *call) speaks(as auth.Role, whom string) (string, bool) {
	if c.id.Role != as {
		return whom, true
	}
	return c.id.Person, whom == "" || whom == c.id.Person
}

// party says whether who asks may see what is between an agent and a client.
func (c *call) party(agent, client string) bool {
	switch c.id.Role {
	case auth.Agent:
		return agent == c.id.Person
	case auth.Client:
		return client == c.id.Person
	}
	return true
}

func putDesk(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParseDesk(c.desk, body)
	if err != nil {
		return c.fail(err)
	}
	c.meter.begin()
	return c.atDesk(cmd, func(b []byte, r *desk.Result, st wire.Stamp) []byte {
		return wire.AppendDesk(b, c.realm, r.Desk, st)
	})
}

func getDesk(c *call) int {
	var view desk.DeskView
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		view, _ = s.Desk(c.desk)
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		return wire.AppendDesk(b, c.realm, &view, st)
	})
}

func listDesks(c *call) int {
	limit, after, err := c.after()
	if err != nil {
		return c.fail(err)
	}
	var views []desk.DeskView
	next := ""
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		if c.id.Desk != "" {
			return c.ownDesk(s, after, &views)
		}
		if _, found := s.Desk(after); after != "" && !found {
			return desk.UnknownDesk
		}
		if views = s.Desks(after, limit+1); len(views) > limit {
			views = views[:limit]
			next = views[limit-1].Name
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		b = append(b, `{"realm":"`+c.realm+`","desks":[`...)
		b = rows(b, len(views), func(b []byte, i int) []byte {
			return wire.AppendDeskRow(b, &views[i], st.Durability != wire.Preapproved)
		})
		b = appendNext(append(b, ']'), next)
		return append(st.Append(b), '}')
	})
}

// ownDesk is the list of who is of one desk.
func (c *call) ownDesk(s *desk.State, after string, views *[]desk.DeskView) holdfast.Code {
	view, found := s.Desk(c.id.Desk)
	switch {
	case after != "" && (after != c.id.Desk || !found):
		return desk.UnknownDesk
	case after == "" && found:
		*views = append(*views, view)
	}
	return ""
}

func getAvailability(c *call) int {
	topic, err := c.topic()
	if err != nil {
		return c.fail(err)
	}
	var view desk.Availability
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		found := false
		if view, found = s.Availability(c.desk, topic); !found {
			return desk.UnknownTopic
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		return wire.AppendAvailability(b, c.realm, &view, st)
	})
}

// topic reads ?topic=.
func (c *call) topic() (string, error) {
	topic := c.query.Get("topic")
	if !c.query.Has("topic") {
		return "", nil
	}
	return topic, seat.ValidID("topic", topic)
}

// yes reads a parameter that is true or false.
func (c *call) yes(name string) (is, said bool, err error) {
	switch v := c.query.Get(name); {
	case v == "true", v == "false":
		return v == "true", true, nil
	case c.query.Has(name):
		return false, true, invalid(name, "must be true or false")
	}
	return false, false, nil
}

// now is when an answer is told, on the shard's clock. Only what is pending needs it.
func (c *call) now(pending bool) (now desk.Time) {
	if pending {
		now = c.engine.Now()
	}
	return now
}
