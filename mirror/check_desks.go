package mirror

import (
	"context"
	"fmt"

	"holdfast"
	"holdfast/desk"
)

// DeskCounts is how many rows of the tables of desks were compared.
type DeskCounts struct {
	Desks, Agents, Requests, Offers, Sessions uint64
}

// deskRows compares the tables of desks. A request that ended long ago has left the state: its rows are compared with the
// events that they name.
func (c *checker) deskRows(ctx context.Context) error {
	for _, step := range []func(context.Context) error{c.desks, c.agents, c.requests, c.offers, c.sessions, c.deskEvents} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compare goes through a table. want gives the row as it should be, with what the state does not know taken from the row;
// gone says that the row may be there although the state does not have it.
func compare[R any, P rowOf[R]](ctx context.Context, c *checker, l *layout, n *uint64, want func(P) (P, bool), gone func(P) bool) (found uint64, err error) {
	err = c.store.query(ctx, "SELECT "+l.selected(c.store)+" FROM "+c.store.table(l.table)+" t", nil, func(scan func(...any) error) error {
		row := P(new(R))
		if err := row.scan(scan); err != nil {
			return err
		}
		*n++
		should, ok := want(row)
		switch {
		case !ok && gone(row):
		case !ok:
			c.differ("%s: the log has no such row", row.name())
		default:
			found++
			if is, should := textOf(row), textOf(should); is != should {
				c.differ("%s: is %q, should be %q", row.name(), is, should)
			}
		}
		return nil
	})
	return found, err
}

// desksOf is a realm's desks; nil: there is no such realm.
func (c *checker) desksOf(realm string) *desk.State {
	if r := c.state.Realm(realm); r != nil {
		return r.Desks
	}
	return desk.NewState()
}

// eachDeskOf goes through all desks of all realms.
func (c *checker) eachDeskOf(each func(*holdfast.Realm, *desk.DeskView)) {
	for _, r := range c.state.Realms() {
		eachDesk(r, func(v *desk.DeskView) { each(r, v) })
	}
}

func (c *checker) desks(ctx context.Context) error {
	found, err := compare(ctx, c, deskLayout(), &c.Desks, func(row *deskRow) (*deskRow, bool) {
		v, ok := c.desksOf(row.realm).Desk(row.desk)
		return rowOfDesk(row.realm, &v), ok
	}, func(*deskRow) bool { return false })
	if err != nil {
		return err
	}
	return c.absent(ctx, deskLayout(), found, func(each func(key any, name string)) {
		c.eachDeskOf(func(r *holdfast.Realm, v *desk.DeskView) {
			key := deskKey{r.Name, v.Name}
			each(key, key.name())
		})
	})
}

func (c *checker) agents(ctx context.Context) error {
	found, err := compare(ctx, c, agentLayout(), &c.Agents, func(row *agentRow) (*agentRow, bool) {
		v, ok := c.desksOf(row.realm).Agent(row.desk, row.agent)
		if !ok || row.seq > v.Seq || row.since > row.at {
			return rowOfAgent(row.realm, &v), ok
		}
		should := rowOfAgent(row.realm, &v)
		should.stored = row.stored // an event that changes nothing in the row may be newer
		if should.since == 0 {
			should.since = row.since
		}
		return should, true
	}, func(row *agentRow) bool { return row.removed != 0 })
	if err != nil {
		return err
	}
	return c.absent(ctx, agentLayout(), found, func(each func(key any, name string)) {
		c.eachDeskOf(func(r *holdfast.Realm, d *desk.DeskView) {
			eachAgent(r, d.Name, func(v *desk.AgentView) {
				key := agentKey{r.Name, d.Name, v.Agent}
				each(key, key.name())
			})
		})
	})
}

func (c *checker) requests(ctx context.Context) error {
	found, err := compare(ctx, c, requestLayout(), &c.Requests, func(row *requestRow) (*requestRow, bool) {
		s := c.desksOf(row.realm)
		v, ok := s.Request(row.desk, row.id)
		if !ok {
			return nil, false
		}
		should := rowOfRequest(row.realm, &v, s.Offers(row.desk, row.id), beganAt(s, row.desk))
		if row.moments.ended == 0 && row.seq <= v.Seq {
			should.stored = row.stored
		}
		return should, true
	}, func(row *requestRow) bool { return row.moments.ended != 0 })
	if err != nil {
		return err
	}
	return c.absent(ctx, requestLayout(), found, func(each func(key any, name string)) {
		c.eachDeskOf(func(r *holdfast.Realm, d *desk.DeskView) {
			eachRequest(r, d.Name, func(v *desk.RequestView) { each(v.ID, requestName(v.ID)) })
		})
	})
}

func (c *checker) offers(ctx context.Context) error {
	found, err := compare(ctx, c, offerLayout(), &c.Offers, func(row *offerRow) (*offerRow, bool) {
		s := c.desksOf(row.realm)
		v, ok := s.Offer(row.desk, row.id)
		if !ok {
			return nil, false
		}
		should := rowOfOffer(row.realm, &v, beganAt(s, row.desk))
		if row.state == desk.Pending.String() || row.session == 0 {
			should.stored, should.moments.ended = row.stored, row.moments.ended
		}
		if v.Received == (row.moments.received != 0) {
			should.moments.received = row.moments.received
		}
		return should, true
	}, func(row *offerRow) bool { return row.moments.ended != 0 })
	if err != nil {
		return err
	}
	return c.absent(ctx, offerLayout(), found, func(each func(key any, name string)) {
		c.eachOffer(func(v *desk.OfferView) { each(v.ID, offerName(v.ID)) })
	})
}

func (c *checker) eachOffer(each func(*desk.OfferView)) {
	c.eachDeskOf(func(r *holdfast.Realm, d *desk.DeskView) {
		eachRequest(r, d.Name, func(v *desk.RequestView) {
			offers := r.Desks.Offers(d.Name, v.ID)
			for i := range offers {
				each(&offers[i])
			}
		})
	})
}

func (c *checker) sessions(ctx context.Context) error {
	found, err := compare(ctx, c, sessionLayout(), &c.Sessions, func(row *sessionRow) (*sessionRow, bool) {
		v, ok := c.desksOf(row.realm).Session(row.desk, row.id)
		if !ok {
			return nil, false
		}
		should := rowOfSession(row.realm, &v)
		if row.ended != 0 {
			should.stored, should.wrap = row.stored, row.wrap
		}
		return should, true
	}, func(row *sessionRow) bool { return row.ended != 0 })
	if err != nil {
		return err
	}
	return c.absent(ctx, sessionLayout(), found, func(each func(key any, name string)) {
		c.eachOffer(func(v *desk.OfferView) {
			if v.Session != 0 {
				each(v.Session, sessionName(v.Session))
			}
		})
	})
}

// absent names the rows that should be in a table and are not; found is how many are.
func (c *checker) absent(ctx context.Context, l *layout, found uint64, should func(each func(key any, name string))) error {
	var n uint64
	should(func(any, string) { n++ })
	if n == found {
		return nil
	}
	there := map[any]bool{}
	add := func(key any) { there[key] = true }
	sql := "SELECT " + l.keyNames() + " FROM " + c.store.table(l.table)
	err := c.store.query(ctx, sql, nil, func(scan func(...any) error) error { return scanKey(l, scan, add) })
	if err != nil {
		return err
	}
	should(func(key any, name string) {
		if !there[key] {
			c.differ("%s: is missing", name)
		}
	})
	return nil
}

func scanKey(l *layout, scan func(...any) error, add func(any)) (err error) {
	var id int64
	var key agentKey
	switch l.keys {
	case 1:
		if err = scan(&id); err == nil {
			add(uint64(id))
		}
	case 2:
		if err = scan(&key.realm, &key.desk); err == nil {
			add(deskKey{key.realm, key.desk})
		}
	default:
		if err = scan(&key.realm, &key.desk, &key.agent); err == nil {
			add(key)
		}
	}
	return err
}

// deskEvents compares rows with the events that they name, and with the rows that belong to them.
func (c *checker) deskEvents(ctx context.Context) error {
	for _, q := range c.deskQueries() {
		err := c.store.query(ctx, q.sql, nil, func(scan func(...any) error) error {
			var id int64
			if err := scan(&id); err != nil {
				return err
			}
			c.differ("table %ss, row %s=%d: %s", q.id, q.id, id, q.what)
			return nil
		})
		if err != nil {
			return fmt.Errorf("compare %ss with their events: %w", q.id, err)
		}
	}
	sql := "SELECT r.realm, r.desk, r.agent" + c.joined("agents", "seq") + "e.at <> r.at"
	return c.store.query(ctx, sql, nil, func(scan func(...any) error) error {
		var key agentKey
		if err := scan(&key.realm, &key.desk, &key.agent); err != nil {
			return err
		}
		c.differ("%s: at is not that of its event", key.name())
		return nil
	})
}

// joined is a table's rows with the events that a column of theirs names.
func (c *checker) joined(table, column string) string {
	return " FROM " + c.store.table(table) + " r JOIN " + c.store.table("events") + " e ON e.seq = r." + column + " WHERE "
}

// deskQuery finds the ids of rows that are wrong.
type deskQuery struct{ id, what, sql string }

func (c *checker) deskQueries() (list []deskQuery) {
	m := c.store.member
	add := func(id, what, from, where string) {
		list = append(list, deskQuery{id, what, "SELECT r." + id + from + where})
	}
	made := func(id, at, kind string, members ...string) {
		where := "e.kind <> '" + kind + "' OR e.at <> r." + at + " OR e.realm <> r.realm"
		for _, name := range members {
			where += " OR cast(" + m(name) + " AS text) <> cast(r." + name + " AS text)"
		}
		add(id, "is not what the event that made it says", c.joined(id+"s", id), where)
		add(id, "at is not that of its event", c.joined(id+"s", "seq"), "e.at <> r.at")
	}
	made("request", "made_at", "request_made", "desk", "client")
	made("offer", "made_at", "offer_made", "desk", "request", "agent")
	made("session", "began_at", "offer_accepted", "desk", "request", "offer", "agent", "client")
	ended := func(id, more string) {
		add(id, "has not the end that its event says", c.joined(id+"s", "seq"), "r.ended_at IS NOT NULL AND (e.at <> r.ended_at OR coalesce(r.cause, '') <> coalesce("+
			m("cause")+", '') OR coalesce(r.reason, '') <> coalesce("+m("reason")+", '') OR "+more+")")
	}
	ended("request", "r.state <> "+m("request_state"))
	ended("offer", "r.state <> coalesce("+m("outcome")+", 'accepted') OR coalesce(r.session, e.seq) <> e.seq")
	ended("session", c.store.stamp("r.wrap_until")+" <> coalesce("+m("until")+", '')")
	offers := " FROM " + c.store.table("offers") + " r WHERE "
	add("offer", "was received before or after it lived", offers, "r.received_at < r.made_at OR r.received_at > r.ended_at")
	add("request", "does not agree with its offers", " FROM "+c.store.table("requests")+" r LEFT JOIN (SELECT request, count(*) AS n, min(made_at) AS first, "+
		"min(CASE WHEN state = 'accepted' THEN ended_at END) AS answered FROM "+c.store.table("offers")+" GROUP BY request) o ON o.request = r.request WHERE ",
		"r.attempts <> coalesce(o.n, 0) OR r.first_offer_at IS DISTINCT FROM o.first OR r.assigned_at IS DISTINCT FROM o.answered")
	return list
}
