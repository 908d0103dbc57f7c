package server

import (
	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/internal/wire"
)

func (c *call) showOffer(b []byte, r *desk.Result, st wire.Stamp) []byte {
	return wire.AppendOffer(b, c.realm, r.Offer, c.now(r.Offer.State == desk.Pending), st)
}

func (c *call) showSession(b []byte, r *desk.Result, st wire.Stamp) []byte {
	return wire.AppendSession(b, c.realm, r.Session, st)
}

func getOffer(c *call) int {
	var view desk.OfferView
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		found := false
		if view, found = s.Offer(c.desk, c.number); !found || !c.party(view.Agent, "") {
			return wire.UnknownOffer
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		return wire.AppendOffer(b, c.realm, &view, c.now(view.State == desk.Pending), st)
	})
}

func receiveOffer(c *call) int {
	return c.act(false, func(agent, _ string) int {
		return c.atDesk(desk.Receive{Desk: c.desk, Agent: agent, Offer: c.number}, c.showOffer)
	})
}

func acceptOffer(c *call) int {
	return c.act(false, func(agent, _ string) int {
		return c.atDesk(desk.AcceptOffer{Desk: c.desk, Agent: agent, Offer: c.number}, c.showSession)
	})
}

func rejectOffer(c *call) int {
	return c.act(true, func(agent, reason string) int {
		return c.atDesk(desk.RejectOffer{Desk: c.desk, Agent: agent, Offer: c.number, Reason: reason}, c.showOffer)
	})
}

// act reads which agent does something with an offer.
func (c *call) act(reasoned bool, do func(agent, reason string) int) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	agent, reason, err := wire.ParseAct(body, reasoned)
	if err != nil {
		return c.fail(err)
	}
	agent, own := c.speaks(auth.Agent, agent)
	if !own {
		return c.problem(notForYou)
	}
	return do(agent, reason)
}

func getSession(c *call) int {
	var view desk.SessionView
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		found := false
		if view, found = s.Session(c.desk, c.number); !found || !c.party(view.Agent, view.Client) {
			return wire.UnknownSession
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		return wire.AppendSession(b, c.realm, &view, st)
	})
}

func finishSession(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	p, err := wire.ParseParties(body)
	if err != nil {
		return c.fail(err)
	}
	if problem := c.sign(&p); problem != nil {
		return c.problem(*problem)
	}
	return c.atDesk(desk.Finish{Desk: c.desk, Agent: p.Agent, Client: p.Client, Session: c.number, Staff: p.Staff}, c.showSession)
}

func listSessions(c *call) int {
	limit, after, err := c.from()
	if err != nil {
		return c.fail(err)
	}
	live, said, err := c.yes("live")
	if err != nil {
		return c.fail(err)
	}
	var views []desk.SessionView
	var next uint64
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		views, next = s.Sessions(c.desk, after, func(lives bool) bool { return !said || lives == live }, limit)
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		b = c.beginList(b, "sessions")
		b = rows(b, len(views), func(b []byte, i int) []byte {
			return wire.AppendSessionRow(b, &views[i], st.Durability != wire.Preapproved)
		})
		b = appendNext(append(b, ']'), eventText(next))
		return append(st.Append(b), '}')
	})
}
