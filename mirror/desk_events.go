package mirror

import (
	"encoding/json"
	"strings"
	"time"

	"holdfast/desk"
)

// event changes the rows as one event says.
func (f *deskFold) event(e *deskEvent) error {
	switch e.Kind {
	case desk.DeskPut:
		f.putDesk(e)
	case desk.AgentPut:
		f.putAgent(e)
	case desk.AgentRemoved, desk.AgentConnected, desk.AgentDisconnected, desk.AgentOnline, desk.AgentPaused, desk.AgentOffline:
		return f.agent(e)
	case desk.RequestMade:
		f.makeRequest(e)
	case desk.OfferMade:
		return f.makeOffer(e)
	case desk.OfferReceived:
		o, err := f.offer(e)
		if err == nil {
			o.moments.received = e.at
			o.mark(e)
		}
		return err
	case desk.OfferAccepted:
		return f.accept(e)
	case desk.OfferEnded:
		return f.endOffer(e)
	case desk.SessionFinished:
		return f.finish(e)
	case desk.RequestEnded:
		return f.endRequest(e)
	}
	return nil
}

func (f *deskFold) putDesk(e *deskEvent) {
	key := deskKey{e.realm, e.Desk}
	d := f.desks.at[key]
	if d == nil {
		d = f.desks.add(&deskRow{deskKey: key})
	}
	d.config = configText(e.Config)
	d.mark(e)
}

func configText(c *desk.Config) string {
	b, _ := json.Marshal(c) // strings and numbers always marshal
	return storable(string(b))
}

func (f *deskFold) putAgent(e *deskEvent) {
	key := e.agentKey()
	a := f.agents.at[key]
	if a == nil {
		a = f.agents.add(&agentRow{agentKey: key, state: desk.Offline.String(), since: e.at})
	}
	if a.removed != 0 {
		a.removed, a.since = 0, e.at
	}
	a.topics, a.reach = topicsText(e.Profile.Topics), e.Profile.Reach.String()
	a.mark(e)
}

// topicsText is a list in JSON; "" of none.
func topicsText(topics []string) string {
	if len(topics) == 0 {
		return ""
	}
	b, _ := json.Marshal(topics) // strings always marshal
	return storable(string(b))
}

// getAgent gives the agent's row, who is not removed.
func (f *deskFold) getAgent(e *deskEvent) (*agentRow, error) {
	a, err := f.agents.get(e.agentKey(), agentKey.name)
	if err == nil && a.removed != 0 {
		return nil, violated("%s should have had no removed_at and had one; %s", a.name(), nextCommand)
	}
	return a, err
}

func (f *deskFold) agent(e *deskEvent) error {
	a, err := f.getAgent(e)
	if err != nil {
		return err
	}
	switch e.Kind {
	case desk.AgentRemoved:
		a.turn(e, desk.Offline)
		a.accepting, a.connections, a.removed = false, 0, e.at
	case desk.AgentConnected:
		a.connections++
	case desk.AgentDisconnected:
		a.connections--
	case desk.AgentOnline:
		a.turn(e, e.State)
		a.accepting = true
	case desk.AgentPaused:
		a.accepting = false
	case desk.AgentOffline:
		a.turn(e, desk.Offline)
		a.accepting = false
	}
	a.mark(e)
	return nil
}

// turnAgent: an event about an offer or a session says how the agent is after it.
func (f *deskFold) turnAgent(e *deskEvent, was, is desk.AgentState) error {
	a, err := f.getAgent(e)
	if err != nil {
		return err
	}
	if err := wasSo(a.name(), "state", a.state, was.String()); err != nil {
		return err
	}
	a.turn(e, is)
	if is == desk.Offline {
		a.accepting = false
	}
	return nil
}

// wasSo says whether a column was what the event says that it must have been.
func wasSo(row, column, is, should string) error {
	if is == should {
		return nil
	}
	return violated("%s should have had %s %s and had %s; %s", row, column, should, is, nextCommand)
}

func askedOf(client string, a *desk.Ask) asked {
	return asked{client, a.Topic, int64(a.Priority), plain(a.Data), a.Key, a.Reach.String()}
}

func (f *deskFold) makeRequest(e *deskEvent) {
	r := &requestRow{id: e.seq, realm: e.realm, desk: e.Desk, asked: askedOf(e.Client, e.Ask), state: desk.Queued.String()}
	r.moments.made, r.moments.expires = e.at, e.Until
	r.mark(e)
	f.requests.add(r)
}

// request gives the row of the request that an event is about, which must have been in the given state.
func (f *deskFold) request(e *deskEvent, was desk.RequestState) (*requestRow, error) {
	r, err := f.requests.get(e.Request, requestName)
	if err != nil {
		return nil, err
	}
	if err := wasSo(r.name(), "state", r.state, was.String()); err != nil {
		return nil, err
	}
	r.mark(e)
	return r, nil
}

func (f *deskFold) makeOffer(e *deskEvent) error {
	r, err := f.request(e, desk.Queued)
	if err != nil {
		return err
	}
	r.state, r.agent = desk.Offering.String(), e.Agent
	r.attempts++
	if r.moments.offered == 0 {
		r.moments.offered = e.at
	}
	o := &offerRow{id: e.seq, realm: e.realm, desk: e.Desk, request: e.Request, agent: e.Agent, attempt: r.attempts, state: desk.Pending.String()}
	o.moments.made, o.moments.deadline = e.at, e.Until.Add(-desk.Slack)
	o.mark(e)
	f.offers.add(o)
	return f.turnAgent(e, desk.Idle, desk.Init)
}

// offer gives the row of the offer that an event is about, which must have been pending.
func (f *deskFold) offer(e *deskEvent) (*offerRow, error) {
	o, err := f.offers.get(e.Offer, offerName)
	if err != nil {
		return nil, err
	}
	if err := wasSo(o.name(), "state", o.state, desk.Pending.String()); err != nil {
		return nil, err
	}
	return o, wasSo(o.name(), "agent", o.agent, e.Agent)
}

func (f *deskFold) accept(e *deskEvent) error {
	o, err := f.offer(e)
	if err != nil {
		return err
	}
	o.state, o.moments.ended, o.session = desk.Accepted.String(), e.at, e.seq
	o.mark(e)
	r, err := f.request(e, desk.Offering)
	if err != nil {
		return err
	}
	r.state, r.session, r.agent = desk.Assigned.String(), e.seq, e.Agent
	r.moments.expires = 0
	if r.moments.assigned == 0 {
		r.moments.assigned = e.at
	}
	s := &sessionRow{id: e.seq, agentKey: e.agentKey(), client: e.Client, request: e.Request, offer: e.Offer, began: e.at}
	s.mark(e)
	f.sessions.add(s)
	return f.turnAgent(e, desk.Init, desk.Busy)
}

func (f *deskFold) endOffer(e *deskEvent) error {
	o, err := f.offer(e)
	if err != nil {
		return err
	}
	o.state, o.moments.ended = e.Outcome.String(), e.at
	o.cause, o.reason = e.Cause.String(), plain(e.Reason)
	o.mark(e)
	r, err := f.request(e, desk.Offering)
	if err != nil {
		return err
	}
	r.state, r.agent = desk.Queued.String(), ""
	return f.turnAgent(e, desk.Init, e.State)
}

func (f *deskFold) finish(e *deskEvent) error {
	s, err := f.sessions.get(e.Session, sessionName)
	if err != nil {
		return err
	}
	if s.ended != 0 {
		return violated("%s should have had no ended_at and had one; %s", s.name(), nextCommand)
	}
	s.ended, s.wrap = e.at, e.Until
	s.cause, s.reason = e.Cause.String(), plain(e.Reason)
	s.mark(e)
	r, err := f.request(e, desk.Assigned)
	if err != nil {
		return err
	}
	f.close(r, e)
	if e.Then == desk.Queued { // it waits anew, as long as its desk lets one wait
		d, err := f.desks.get(deskKey{e.realm, e.Desk}, deskKey.name)
		if err != nil {
			return err
		}
		c, err := timesOf(d)
		if err != nil {
			return err
		}
		r.agent, r.moments.expires = "", e.at.Add(time.Duration(c.MaxWait)*time.Millisecond)
	}
	return f.turnAgent(e, desk.Busy, e.State)
}

func (f *deskFold) endRequest(e *deskEvent) error {
	r, err := f.request(e, desk.Queued)
	if err == nil {
		f.close(r, e)
	}
	return err
}

// close puts a request into the state that the event says. One that waits again has not ended, and so has no cause.
func (f *deskFold) close(r *requestRow, e *deskEvent) {
	r.state = e.Then.String()
	if e.Then.Live() {
		return
	}
	r.moments.expires, r.moments.ended = 0, e.at
	r.cause, r.reason = e.Cause.String(), plain(e.Reason)
}

// plain is somebody's text as both databases can hold it: as storable does for JSON.
func plain(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
