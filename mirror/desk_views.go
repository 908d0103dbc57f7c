package mirror

import (
	"fmt"
	"strings"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// What follows makes rows of a state, for a check and for a rebuild that begins at a snapshot. A state does not know every
// moment that a row has; those are left zero.

func rowOfDesk(realm string, v *desk.DeskView) *deskRow {
	return &deskRow{deskKey: deskKey{realm, v.Name}, config: configText(&v.Config), stored: stored{dirty: true, seq: v.Seq, at: v.At}}
}

// rowOfAgent: since when the agent is as they are is known only with an offer or a session.
func rowOfAgent(realm string, v *desk.AgentView) *agentRow {
	a := &agentRow{agentKey: agentKey{realm, v.Desk, v.Agent}, topics: topicsText(v.Profile.Topics), reach: v.Profile.Reach.String(),
		state: v.State.String(), accepting: v.Accepting, connections: int64(len(v.Connections)), stored: stored{dirty: true, seq: v.Seq, at: v.At}}
	switch {
	case v.Offer != nil:
		a.since = v.Offer.Made
	case v.Session != nil:
		a.since = v.Session.Began
	}
	return a
}

// rowOfRequest takes the request's offers too: they know when it was first offered, and when it was accepted.
func rowOfRequest(realm string, v *desk.RequestView, offers []desk.OfferView, began func(session uint64) seat.Time) *requestRow {
	r := &requestRow{id: v.ID, realm: realm, desk: v.Desk, asked: askedOf(v.Client, &v.Ask), state: v.State.String(),
		stored: stored{dirty: true, seq: v.Seq, at: v.At}}
	r.served = served{attempts: int64(v.Attempts), agent: v.Agent, session: v.Session, cause: v.Cause.String(), reason: plain(v.Reason)}
	r.moments.made, r.moments.expires = v.Made, v.Expires
	if !v.State.Live() {
		r.moments.ended = v.At
	}
	if len(offers) > 0 {
		r.moments.offered = offers[0].Made
	}
	for i := range offers {
		if offers[i].Session != 0 {
			r.moments.assigned = began(offers[i].Session)
			break
		}
	}
	return r
}

// rowOfOffer: when it was received or ended is not known, but of an accepted one.
func rowOfOffer(realm string, v *desk.OfferView, began func(session uint64) seat.Time) *offerRow {
	o := &offerRow{id: v.ID, realm: realm, desk: v.Desk, request: v.Request, agent: v.Agent, attempt: int64(v.Attempt),
		state: v.State.String(), session: v.Session, cause: v.Cause.String(), reason: plain(v.Reason), stored: stored{dirty: true, seq: v.ID, at: v.Made}}
	o.moments.made, o.moments.deadline = v.Made, v.Deadline
	if v.Session != 0 {
		o.moments.ended = began(v.Session)
		o.seq, o.at = v.Session, o.moments.ended
	}
	return o
}

// rowOfSession: until when the agent wraps up is not known.
func rowOfSession(realm string, v *desk.SessionView) *sessionRow {
	return &sessionRow{id: v.ID, agentKey: agentKey{realm, v.Desk, v.Agent}, client: v.Client, request: v.Request, offer: v.Offer,
		began: v.Began, ended: v.Ended, cause: v.Cause.String(), reason: plain(v.Reason), stored: stored{dirty: true, seq: v.ID, at: v.Began}}
}

// beganAt gives the beginning of a desk's session.
func beganAt(s *desk.State, name string) func(session uint64) seat.Time {
	return func(session uint64) seat.Time {
		v, _ := s.Session(name, session)
		return v.Began
	}
}

func eachDesk(r *holdfast.Realm, each func(*desk.DeskView)) {
	for after := ""; ; {
		views := r.Desks.Desks(after, page)
		if len(views) == 0 {
			return
		}
		for i := range views {
			each(&views[i])
		}
		after = views[len(views)-1].Name
	}
}

func eachAgent(r *holdfast.Realm, name string, each func(*desk.AgentView)) {
	for after := ""; ; {
		views := r.Desks.Agents(name, after, page)
		if len(views) == 0 {
			return
		}
		for i := range views {
			each(&views[i])
		}
		after = views[len(views)-1].Agent
	}
}

func everyRequest(desk.RequestState) bool { return true }

func eachRequest(r *holdfast.Realm, name string, each func(*desk.RequestView)) {
	for cursor := uint64(0); ; {
		views, next := r.Desks.Requests(name, cursor, everyRequest, page)
		for i := range views {
			each(&views[i])
		}
		if next == 0 {
			return
		}
		cursor = next
	}
}

// cellText is a row as text, for whoever has to see what differs.
type cellText struct{ parts []string }

func textOf(r deskRecord) string {
	var c cellText
	r.cells(&c)
	return strings.Join(c.parts, " ")
}

func (c *cellText) add(s string)            { c.parts = append(c.parts, s) }
func (c *cellText) text(s string)           { c.textOrNull(s) }
func (c *cellText) int64(n int64)           { c.add(fmt.Sprint(n)) }
func (c *cellText) idOrNull(id uint64)      { c.add(fmt.Sprint(id)) }
func (c *cellText) time(at seat.Time)       { c.timeOrNull(at) }
func (c *cellText) bool(b bool)             { c.add(fmt.Sprint(b)) }
func (c *cellText) timeOrNull(at seat.Time) { c.add(orDash(stampOrNone(at))) }
func (c *cellText) textOrNull(s string)     { c.add(orDash(quoted(s))) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// quoted is a text that cannot be mistaken for two.
func quoted(s string) string {
	if strings.ContainsAny(s, " \n\t\"") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
