package desk_test

import (
	"reflect"
	"slices"

	"holdfast/desk"
)

// same compares all that can be seen.
func (m *machine) same() {
	if err := m.core.Check(); err != nil {
		m.t.Fatalf("%s: %v", m.at, err)
	}
	next, ok := m.core.NextDue()
	if todo := m.oracle.next(); (todo != nil) != ok || ok && todo.at != next {
		m.t.Fatalf("%s: next due is %d (%v), wanted %+v", m.at, next, ok, todo)
	}
	all := func(desk.RequestState) bool { return true }
	for _, d := range m.oracle.desks {
		is, _ := m.core.Desk(d.name)
		m.equal("desk "+d.name, is, d.view())
		var agents, ring []desk.AgentView
		for _, a := range d.agents {
			agents = append(agents, a.view())
		}
		m.equal("agents", m.core.Agents(d.name, "", 100), agents)
		for _, a := range d.ring("") {
			ring = append(ring, a.view())
		}
		m.equal("ring", m.core.Ring(d.name, "", 100), ring)
		var requests []desk.RequestView
		for _, r := range d.requests {
			requests = append(requests, d.requestView(r))
		}
		rows, _ := m.core.Requests(d.name, 0, all, 1_000)
		m.equal("requests", rows, requests)
		for _, of := range d.offers[max(0, len(d.offers)-5):] {
			v, _ := m.core.Offer(d.name, of.ID)
			m.equal("offer", v, of.OfferView)
		}
		for _, s := range d.sessions[max(0, len(d.sessions)-5):] {
			v, _ := m.core.Session(d.name, s.ID)
			m.equal("session", v, s.SessionView)
		}
		m.told(d)
	}
}

// told compares the availability of each topic; its version rises with every change of what it counts.
func (m *machine) told(d *oDesk) {
	for _, topic := range append([]string{""}, topicNames...) {
		is, ok := m.core.Availability(d.name, topic)
		if ok != (slices.Contains(d.cfg.Topics, topic) || topic == "" && len(d.cfg.Topics) == 0) {
			m.t.Fatalf("%s: availability of %s for %q is told: %v", m.at, d.name, topic, ok)
		}
		key := d.name + " " + topic
		if !ok {
			delete(m.versions, key)
			continue
		}
		want := m.oracle.availability(d, topic)
		want.Version = is.Version
		m.equal("availability", is, want)
		before, known := m.versions[key]
		if m.versions[key] = is; !known {
			continue
		}
		if is.Version < before.Version || is.Version == before.Version && (is.Idle != before.Idle || is.Waiting != before.Waiting) || is.Version > m.oracle.seq {
			m.t.Fatalf("%s: availability was %+v and is %+v", m.at, before, is)
		}
	}
}

func (m *machine) equal(what string, got, want any) {
	if m.compared++; !reflect.DeepEqual(got, want) {
		m.t.Fatalf("%s at %d: %s\n%+v\nwanted\n%+v", m.at, m.now, what, got, want)
	}
}

func (m *machine) note(events []desk.Event, refused desk.Code) {
	if refused != "" {
		m.seen["refused "+string(refused)]++
	}
	for i := range events {
		e := &events[i]
		what := e.Kind.String()
		switch e.Kind {
		case desk.AgentOnline:
			what += " " + e.State.String()
		case desk.OfferEnded:
			what += " " + e.Outcome.String()
		case desk.SessionFinished, desk.RequestEnded:
			what += " " + e.Then.String()
		case desk.OfferMade:
			if r := m.oracle.desk(e.Desk).request(e.Request); r != nil && m.older(r) {
				m.seen["parked behind a younger one"]++
			}
		}
		if e.Cause != 0 {
			what += " " + e.Cause.String()
		}
		m.seen[what]++
	}
}

// older: somebody who asked before r still waits.
func (m *machine) older(r *oRequest) bool {
	for _, is := range m.oracle.desk(r.Desk).requests {
		if is.State == desk.Queued && is.ID < r.ID && is.Priority == r.Priority {
			return true
		}
	}
	return false
}

func lines(events []desk.Event) string {
	var b []byte
	for i := range events {
		b = append(events[i].AppendJSON(append(b, ("  "+events[i].Kind.String()+" ")...)), '\n')
	}
	return string(b)
}

// sometimes is what must happen now and then, by kind, cause and state.
var sometimes = []string{
	"agent_removed", "agent_connected", "agent_disconnected lost", "agent_disconnected superseded", "agent_online idle", "agent_online busy",
	"agent_paused agent", "agent_paused misses", "agent_paused staff", "agent_offline agent", "agent_offline staff", "agent_offline grace",
	"agent_offline restart", "agent_ready", "agent_heard", "client_connected", "client_disconnected lost", "offer_made", "offer_received", "offer_accepted",
	"offer_ended rejected agent", "offer_ended rejected going_away", "offer_ended timed_out deadline", "offer_ended rescinded client",
	"offer_ended rescinded staff", "offer_ended rescinded grace", "offer_ended rescinded max_wait", "offer_ended revoked undelivered", "offer_ended revoked lost",
	"offer_ended revoked restart", "offer_ended revoked staff", "offer_ended revoked removal", "session_finished done agent", "session_finished done client",
	"session_finished done staff", "session_finished queued agent_lost", "session_finished aborted agent_lost", "session_finished aborted no_show",
	"session_finished queued removal", "request_ended cancelled client", "request_ended cancelled staff", "request_ended cancelled grace",
	"request_ended cancelled restart", "request_ended expired max_wait", "request_ended expired max_attempts", "request_ended all_declined nobody_left",
	"refused no_agent", "refused queue_full", "refused offer_closed", "refused session_ended", "refused not_connected", "refused unknown_desk",
	"refused unknown_agent", "refused unknown_topic", "refused unknown_request", "refused desk_live", "parked behind a younger one",
}
