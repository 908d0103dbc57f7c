package mirror

import (
	"context"
	"encoding/json"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// deskRefill makes the rows of desks of a state. What no state knows (when an offer was received, since when an agent is
// offline) is read from the events of the table, as far back as the oldest request of the state.
type deskRefill struct {
	tx   tx
	fold *deskFold
	told map[agentKey]told // the last event that said how the agent is
}

type told struct {
	state string
	since seat.Time
}

func (r *refill) desks(ctx context.Context, state *holdfast.State) error {
	d := deskRefill{tx: r.tx, fold: newDeskFold(), told: map[agentKey]told{}}
	for _, realm := range state.Realms() {
		eachDesk(realm, func(v *desk.DeskView) { d.desk(realm, v) })
	}
	oldest := r.base.Seq + 1
	for id := range d.fold.requests.at {
		oldest = min(oldest, id)
	}
	if err := d.remember(ctx, oldest, r.base.Seq); err != nil {
		return err
	}
	for _, l := range []struct {
		*layout
		ids []int64
	}{{requestLayout(), ids(d.fold.requests.at)}, {offerLayout(), ids(d.fold.offers.at)}, {sessionLayout(), ids(d.fold.sessions.at)}} {
		if err := r.tx.forget(ctx, l.layout, l.ids); err != nil {
			return err
		}
	}
	for key := range d.fold.agents.at {
		if _, err := r.tx.exec(ctx, "DELETE FROM "+r.tx.table("agents")+" WHERE realm = $1 AND desk = $2 AND agent = $3",
			key.realm, key.desk, key.agent); err != nil {
			return err
		}
	}
	return d.fold.write(ctx, r.tx, nil)
}

func ids[R any](rows map[uint64]R) []int64 {
	list := make([]int64, 0, len(rows))
	for id := range rows {
		list = append(list, int64(id))
	}
	return list
}

func (d *deskRefill) desk(realm *holdfast.Realm, v *desk.DeskView) {
	s := realm.Desks
	began := beganAt(s, v.Name)
	d.fold.desks.add(rowOfDesk(realm.Name, v))
	eachAgent(realm, v.Name, func(v *desk.AgentView) { d.fold.agents.add(rowOfAgent(realm.Name, v)) })
	eachRequest(realm, v.Name, func(r *desk.RequestView) {
		offers := s.Offers(v.Name, r.ID)
		d.fold.requests.add(rowOfRequest(realm.Name, r, offers, began))
		for i := range offers {
			d.fold.offers.add(rowOfOffer(realm.Name, &offers[i], began))
			if id := offers[i].Session; id != 0 {
				session, _ := s.Session(v.Name, id)
				d.fold.sessions.add(rowOfSession(realm.Name, &session))
			}
		}
	})
}

// remember reads the events of desks in the table and gives the rows the moments that the state has forgotten.
func (d *deskRefill) remember(ctx context.Context, from, to uint64) error {
	t := d.tx
	sql := "SELECT seq, " + t.stamp("at") + ", realm, kind, cast(body AS text) FROM " + t.table("events") +
		" WHERE seq >= $1 AND seq <= $2 AND kind IN ('agent_put', 'agent_removed', 'agent_online', 'agent_offline', 'offer_made', 'offer_received', " +
		"'offer_accepted', 'offer_ended', 'session_finished') ORDER BY seq"
	err := t.query(ctx, sql, []any{int64(from), int64(to)}, func(scan func(...any) error) error {
		var e tableEvent
		if err := scan(&e.seq, &e.at, &e.realm, &e.kind, &e.body); err != nil {
			return err
		}
		return d.recall(&e)
	})
	if err != nil {
		return err
	}
	for _, a := range d.fold.agents.at {
		if a.since != 0 {
			continue
		}
		a.since = a.at
		if is, ok := d.told[a.agentKey]; ok && is.state == a.state {
			a.since = is.since
		}
	}
	return nil
}

// recall takes one event of the table.
func (d *deskRefill) recall(e *tableEvent) error {
	var body struct {
		Desk, Agent, State      string
		Offer, Session, Request uint64
		Until                   seat.Time
	}
	var at seat.Time
	if err := json.Unmarshal([]byte(e.body), &body); err != nil {
		return violated("%s: its body is malformed: %v; %s", eventName(uint64(e.seq)), err, nextCommand)
	}
	if err := at.UnmarshalText([]byte(e.at)); err != nil {
		return violated("%s: its time is malformed; %s", eventName(uint64(e.seq)), nextCommand)
	}
	mark := stored{dirty: true, seq: uint64(e.seq), at: at}
	o, s := d.fold.offers.at[body.Offer], d.fold.sessions.at[body.Session]
	switch {
	case e.kind == "offer_received" && o != nil:
		o.moments.received = at
		if mark.seq > o.seq { // it may be accepted since
			o.stored = mark
		}
	case e.kind == "offer_ended" && o != nil:
		o.moments.ended = at
		o.stored = mark
	case e.kind == "session_finished" && s != nil:
		s.wrap, s.stored = body.Until, mark
	}
	switch e.kind {
	case "agent_put":
		if _, ok := d.told[agentKey{e.realm, body.Desk, body.Agent}]; !ok {
			body.State = desk.Offline.String()
		}
	case "agent_offline":
		body.State = desk.Offline.String()
	case "offer_made":
		body.State = desk.Init.String()
	case "offer_accepted":
		body.State = desk.Busy.String()
	}
	key := agentKey{e.realm, body.Desk, body.Agent}
	if e.kind == "agent_removed" {
		delete(d.told, key)
	}
	if body.State != "" && d.told[key].state != body.State {
		d.told[key] = told{body.State, at}
	}
	return nil
}
