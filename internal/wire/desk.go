package wire

import (
	"strconv"
	"time"

	"holdfast/desk"
)

// The forms of desks (docs/DESKS.md). Each thing has two: an answer, with its realm and how far it has got, and a row of a list,
// which a push is made of too. A number of an event (the id of a request, offer or session, seq, version) stands only where it is
// confirmed: before, it can be given again after a crash. So an offer or a session inside an agent is shown only then.

// AppendDesk appends a desk as an answer. Its time is that of its last configuration.
func AppendDesk(b []byte, realm string, v *desk.DeskView, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendDesk(append(b, ','), v, s.Durability != Preapproved)
	s.At = v.At
	return append(s.Append(b), '}')
}

// AppendDeskRow appends a desk as one row of a list.
func AppendDeskRow(b []byte, v *desk.DeskView, confirmed bool) []byte {
	b = appendDesk(append(b, '{'), v, confirmed)
	return append(AppendTime(b, `,"at":"`, v.At), '}')
}

func appendDesk(b []byte, v *desk.DeskView, confirmed bool) []byte {
	b = appendPlain(b, `"desk":"`, v.Name)
	config, _ := v.Config.MarshalJSON() // what was put always has a form
	b = append(append(b, `,"config":`...), config...)
	b = appendNumber(b, `,"agents":`, uint64(v.Agents))
	for st, n := range v.States {
		b = append(append(b, `,"`...), desk.AgentState(st).String()...)
		b = appendNumber(b, `":`, uint64(n))
	}
	b = appendNumber(b, `,"ready":`, uint64(v.Ready))
	b = appendNumber(b, `,"waiting":`, uint64(v.Waiting))
	b = appendNumber(b, `,"offering":`, uint64(v.Offering))
	b = appendNumber(b, `,"sessions":`, uint64(v.Sessions))
	b = appendInstant(b, `,"oldest":"`, v.Oldest)
	return appendEvent(b, `,"seq":`, v.Seq, confirmed)
}

// AppendAgent appends an agent as an answer, with what is pending before them and the session they are in. Its time is that of
// the last event that changed them; now is when it is told.
func AppendAgent(b []byte, realm string, v *desk.AgentView, now desk.Time, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendAgent(append(b, ','), v, now, s.Durability != Preapproved)
	s.At = v.At
	return append(s.Append(b), '}')
}

// AppendAgentRow appends an agent as one row of a list.
func AppendAgentRow(b []byte, v *desk.AgentView, now desk.Time, confirmed bool) []byte {
	b = appendAgent(append(b, '{'), v, now, confirmed)
	return append(AppendTime(b, `,"at":"`, v.At), '}')
}

func appendAgent(b []byte, v *desk.AgentView, now desk.Time, confirmed bool) []byte {
	b = appendPlain(b, `"desk":"`, v.Desk)
	b = appendPlain(b, `,"agent":"`, v.Agent)
	if len(v.Profile.Topics) > 0 {
		b = append(b, `,"topics":[`...)
		for i, topic := range v.Profile.Topics {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendPlain(b, `"`, topic)
		}
		b = append(b, ']')
	}
	b = appendPlain(b, `,"reach":"`, v.Profile.Reach.String())
	b = appendPlain(b, `,"state":"`, v.State.String())
	b = strconv.AppendBool(append(b, `,"accepting":`...), v.Accepting)
	b = strconv.AppendBool(append(b, `,"ready":`...), v.Ready)
	b = strconv.AppendBool(append(b, `,"away":`...), v.Away)
	b = strconv.AppendBool(append(b, `,"silent":`...), v.Silent)
	b = appendNumber(b, `,"misses":`, uint64(v.Misses))
	b = appendNumber(b, `,"connections":`, uint64(len(v.Connections)))
	b = appendInstant(b, `,"idle_since":"`, v.IdleSince)
	b = appendInstant(b, `,"not_before":"`, v.NotBefore)
	b = appendInstant(b, `,"until":"`, v.Until)
	if v.Offer != nil && confirmed {
		b = AppendOfferRow(append(b, `,"offer":`...), v.Offer, now, true)
	}
	if v.Session != nil && confirmed {
		b = AppendSessionRow(append(b, `,"session":`...), v.Session, true)
	}
	return appendEvent(b, `,"seq":`, v.Seq, confirmed)
}

// AppendRemoved appends the answer to the removal of an agent.
func AppendRemoved(b []byte, realm, name, agent string, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendPlain(b, `,"desk":"`, name)
	b = appendPlain(b, `,"agent":"`, agent)
	return append(s.Append(append(b, `,"removed":true`...)), '}')
}

// AppendRequest appends a request as an answer. Its time is that of the last event that changed it.
func AppendRequest(b []byte, realm string, v *desk.RequestView, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendRequest(append(b, ','), v, s.Durability != Preapproved)
	s.At = v.At
	return append(s.Append(b), '}')
}

// AppendRequestRow appends a request as one row of a list.
func AppendRequestRow(b []byte, v *desk.RequestView, confirmed bool) []byte {
	b = appendRequest(append(b, '{'), v, confirmed)
	return append(AppendTime(b, `,"at":"`, v.At), '}')
}

func appendRequest(b []byte, v *desk.RequestView, confirmed bool) []byte {
	b = appendPlain(b, `"desk":"`, v.Desk)
	b = appendEvent(b, `,"request":`, v.ID, confirmed)
	b = appendPlain(b, `,"client":"`, v.Client)
	b = appendAsk(b, v.Topic, v.Priority, v.Data)
	if v.Key != "" {
		b = AppendString(append(b, `,"key":`...), v.Key)
	}
	b = appendPlain(b, `,"reach":"`, v.Reach.String())
	b = appendPlain(b, `,"state":"`, v.State.String())
	if v.Position != 0 {
		b = appendNumber(b, `,"position":`, uint64(v.Position))
	}
	b = appendNumber(b, `,"attempts":`, uint64(v.Attempts))
	b = AppendTime(b, `,"made":"`, v.Made)
	b = appendInstant(b, `,"expires":"`, v.Expires)
	b = strconv.AppendBool(append(b, `,"away":`...), v.Away)
	b = appendInstant(b, `,"until":"`, v.Until)
	b = appendEvent(b, `,"offer":`, v.Offer, confirmed)
	b = appendEvent(b, `,"session":`, v.Session, confirmed)
	if v.Agent != "" {
		b = appendPlain(b, `,"agent":"`, v.Agent)
	}
	b = appendWhy(b, v.Cause, v.Reason)
	return appendEvent(b, `,"seq":`, v.Seq, confirmed)
}

// AppendOffer appends an offer as an answer; now is when it is told, which remaining_ms is counted from.
func AppendOffer(b []byte, realm string, v *desk.OfferView, now desk.Time, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendOffer(append(b, ','), v, now, s.Durability != Preapproved)
	return append(s.Append(b), '}')
}

// AppendOfferRow appends an offer inside something else.
func AppendOfferRow(b []byte, v *desk.OfferView, now desk.Time, confirmed bool) []byte {
	return append(appendOffer(append(b, '{'), v, now, confirmed), '}')
}

func appendOffer(b []byte, v *desk.OfferView, now desk.Time, confirmed bool) []byte {
	b = appendPlain(b, `"desk":"`, v.Desk)
	b = appendEvent(b, `,"offer":`, v.ID, confirmed)
	b = appendPlain(b, `,"agent":"`, v.Agent)
	b = appendEvent(b, `,"request":`, v.Request, confirmed)
	b = appendPlain(b, `,"client":"`, v.Client)
	b = appendAsk(b, v.Topic, v.Priority, v.Data)
	b = appendPlain(b, `,"state":"`, v.State.String())
	b = appendNumber(b, `,"attempt":`, uint64(v.Attempt))
	b = AppendTime(b, `,"made":"`, v.Made)
	b = AppendTime(b, `,"deadline":"`, v.Deadline)
	if v.State == desk.Pending {
		const ms = desk.Time(time.Millisecond / time.Microsecond)
		b = appendNumber(b, `,"remaining_ms":`, uint64(max(0, v.Deadline-now)/ms))
	}
	b = strconv.AppendBool(append(b, `,"received":`...), v.Received)
	b = appendWhy(b, v.Cause, v.Reason)
	return appendEvent(b, `,"session":`, v.Session, confirmed)
}

// AppendSession appends a session as an answer.
func AppendSession(b []byte, realm string, v *desk.SessionView, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendSession(append(b, ','), v, s.Durability != Preapproved)
	return append(s.Append(b), '}')
}

// AppendSessionRow appends a session as one row of a list, or inside something else.
func AppendSessionRow(b []byte, v *desk.SessionView, confirmed bool) []byte {
	return append(appendSession(append(b, '{'), v, confirmed), '}')
}

func appendSession(b []byte, v *desk.SessionView, confirmed bool) []byte {
	b = appendPlain(b, `"desk":"`, v.Desk)
	b = appendEvent(b, `,"session":`, v.ID, confirmed)
	b = appendPlain(b, `,"agent":"`, v.Agent)
	b = appendPlain(b, `,"client":"`, v.Client)
	b = appendEvent(b, `,"request":`, v.Request, confirmed)
	b = appendEvent(b, `,"offer":`, v.Offer, confirmed)
	if v.Topic != "" {
		b = appendPlain(b, `,"topic":"`, v.Topic)
	}
	if v.Data != "" {
		b = AppendString(append(b, `,"data":`...), v.Data)
	}
	b = AppendTime(b, `,"began":"`, v.Began)
	b = strconv.AppendBool(append(b, `,"joined":`...), v.Joined)
	b = appendInstant(b, `,"join_by":"`, v.JoinBy)
	b = appendInstant(b, `,"ended":"`, v.Ended)
	return appendWhy(b, v.Cause, v.Reason)
}

// AppendAvailability appends what clients are told of a topic, as an answer.
func AppendAvailability(b []byte, realm string, v *desk.Availability, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendAvailability(append(b, ','), v, s.Durability != Preapproved)
	return append(s.Append(b), '}')
}

// AppendAvailabilityRow appends it as the body of a push.
func AppendAvailabilityRow(b []byte, v *desk.Availability, confirmed bool) []byte {
	return append(appendAvailability(append(b, '{'), v, confirmed), '}')
}

func appendAvailability(b []byte, v *desk.Availability, confirmed bool) []byte {
	b = appendPlain(b, `"desk":"`, v.Desk)
	if v.Topic != "" {
		b = appendPlain(b, `,"topic":"`, v.Topic)
	}
	b = strconv.AppendBool(append(b, `,"open":`...), v.Open)
	b = appendNumber(b, `,"idle":`, uint64(v.Idle))
	b = appendNumber(b, `,"waiting":`, uint64(v.Waiting))
	return appendEvent(b, `,"version":`, v.Version, confirmed)
}

// AppendPush appends what row appends, a JSON object, as a push of that kind: with as_of behind its members where it is not 0.
func AppendPush(b []byte, kind string, asOf uint64, row func([]byte) []byte) []byte {
	b = appendPlain(b, `{"push":"`, kind)
	open := len(b)
	b = row(b)
	b[open] = ',' // in place of the brace
	if asOf != 0 {
		b = append(appendNumber(b[:len(b)-1], `,"as_of":`, asOf), '}')
	}
	return b
}

func appendAsk(b []byte, topic string, priority uint8, opaque string) []byte {
	if topic != "" {
		b = appendPlain(b, `,"topic":"`, topic)
	}
	b = appendNumber(b, `,"priority":`, uint64(priority))
	if opaque != "" {
		b = AppendString(append(b, `,"data":`...), opaque)
	}
	return b
}

func appendWhy(b []byte, cause desk.Cause, reason string) []byte {
	if cause != 0 {
		b = appendPlain(b, `,"cause":"`, cause.String())
	}
	if reason != "" {
		b = AppendString(append(b, `,"reason":`...), reason)
	}
	return b
}

// appendEvent appends the number of an event; 0 = there is none.
func appendEvent(b []byte, name string, seq uint64, confirmed bool) []byte {
	if seq == 0 || !confirmed {
		return b
	}
	return appendNumber(b, name, seq)
}

// appendInstant appends a time; zero = there is none.
func appendInstant(b []byte, name string, t desk.Time) []byte {
	if t == 0 {
		return b
	}
	return AppendTime(b, name, t)
}

// RefusedAtDesk makes the Problem of what a desk refused, with the facts that explain it.
func RefusedAtDesk(name string, r *desk.Result) Problem {
	m := Mean(r.Refusal.Code)
	p := Problem{Code: m.Code, Status: m.Status, Title: m.Title, Detail: m.Detail, Desk: name, Topic: r.Refusal.Topic,
		Version: r.Refusal.Version, Limit: r.Refusal.Limit, Cause: r.Refusal.Cause.String()}
	if m.Code == desk.OfferClosed && (r.Refusal.Offer != desk.Pending || r.Refusal.Cause != 0) {
		p.Offer = r.Refusal.Offer.String()
	}
	if m.Code == desk.OfferClosed && r.Agent != nil {
		p.AgentState = r.Agent.State.String()
	}
	return p
}
