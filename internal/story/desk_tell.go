package story

import (
	"fmt"
	"strings"

	"holdfast"
	"holdfast/desk"
)

// ofRequest tells an event of the story's request, before it is applied.
func (t *DeskTeller) ofRequest(e *holdfast.Event) string {
	switch d := e.Desk; d.Kind {
	case desk.RequestMade:
		return t.asked(d)
	case desk.OfferMade:
		return fmt.Sprintf("offer %d to %s, %s; to be answered until %s", e.Seq, d.Agent, t.chosen(d), clock(d.Until.Add(-desk.Slack)))
	case desk.OfferReceived:
		return "a device of " + d.Agent + " has the offer"
	case desk.OfferAccepted:
		text := fmt.Sprintf("%s accepted%s: session %d began", d.Agent, t.after(e), e.Seq)
		if d.Until != 0 {
			text += "; the client is away, and has until " + clock(d.Until) + " to come"
		}
		return text
	case desk.OfferEnded:
		return fmt.Sprintf("%s: the offer to %s is %s%s", answered(d), d.Agent, d.Outcome, because(d.Cause, d.Staff))
	case desk.SessionFinished:
		text := fmt.Sprintf("session %d of %s ended%s%s: the request is %s", d.Session, d.Agent, t.lasted(e), because(d.Cause, d.Staff), d.Then)
		if d.Then == desk.Queued {
			text += " again, at its old place"
		}
		return text
	case desk.RequestEnded:
		return "the request ended: " + d.Then.String() + because(d.Cause, d.Staff)
	case desk.ClientConnected:
		return d.Client + " is connected"
	case desk.ClientDisconnected:
		if d.Until != 0 {
			return fmt.Sprintf("%s has no connection any more, and has until %s to come back", d.Client, clock(d.Until))
		}
		return "a connection of " + d.Client + " ended"
	}
	return ""
}

// asked is how the desk stood when the request came.
func (t *DeskTeller) asked(d *desk.Event) string {
	text := d.Client + " asked"
	if d.Ask.Topic != "" {
		text += " about " + d.Ask.Topic
	}
	if d.Ask.Priority > 0 {
		text += fmt.Sprintf(", with priority %d", d.Ask.Priority)
	}
	v, ok := t.desks().Availability(t.desk, d.Ask.Topic)
	if !ok {
		return text
	}
	return fmt.Sprintf("%s: %s ready, %s waiting; it waits until %s at most", text, count(v.Idle, "agent was", "agents were"),
		count(v.Waiting, "request was", "requests were"), clock(d.Until))
}

// chosen is why this agent is asked: who is ready stands in line, and those before have been asked already.
func (t *DeskTeller) chosen(d *desk.Event) string {
	s := t.desks()
	v, _ := s.Request(t.desk, d.Request)
	var before []string
	for _, a := range s.Ring(t.desk, v.Topic, 100) {
		if a.Agent != d.Agent {
			before = append(before, a.Agent)
			continue
		}
		text := fmt.Sprintf("who stood first of those ready (in line since %s)", clock(a.IdleSince))
		if len(before) > 0 {
			text = fmt.Sprintf("who stood first of those not asked before (in line since %s; %s declined or did not answer)", clock(a.IdleSince), strings.Join(before, ", "))
		}
		return text
	}
	return "who was ready"
}

// after is how long the agent took to answer.
func (t *DeskTeller) after(e *holdfast.Event) string {
	if o, ok := t.desks().Offer(t.desk, e.Desk.Offer); ok {
		return fmt.Sprintf(" after %s", span(o.Made, e.At))
	}
	return ""
}

func (t *DeskTeller) lasted(e *holdfast.Event) string {
	if v, ok := t.desks().Session(t.desk, e.Desk.Session); ok {
		return fmt.Sprintf(" after %s", span(v.Began, e.At))
	}
	return ""
}

func answered(d *desk.Event) string {
	switch d.Outcome {
	case desk.Rejected:
		return d.Agent + " declined"
	case desk.TimedOut:
		return d.Agent + " did not answer"
	case desk.Rescinded:
		return "taken back"
	}
	return "it did not reach " + d.Agent + ", or was taken back"
}

// ofAgent tells an event of the story's agent, before it is applied.
func (t *DeskTeller) ofAgent(e *holdfast.Event) string {
	d := e.Desk
	switch d.Kind {
	case desk.AgentPut:
		return t.put(d)
	case desk.AgentRemoved:
		return "was removed" + because(0, d.Staff)
	case desk.AgentConnected:
		return fmt.Sprintf("connected (connection %d)", d.Conn)
	case desk.AgentDisconnected:
		text := fmt.Sprintf("connection %d ended%s", d.Conn, because(d.Cause, d.Staff))
		if d.Until != 0 {
			text += "; it was the last, and there is time to come back until " + clock(d.Until)
		}
		return text
	case desk.AgentOnline:
		return "went online: " + d.State.String()
	case desk.AgentPaused:
		return "takes no more requests" + because(d.Cause, d.Staff)
	case desk.AgentOffline:
		return "went offline" + because(d.Cause, d.Staff)
	case desk.AgentReady:
		return "the pause is over"
	case desk.AgentHeard:
		return "was heard again"
	case desk.OfferMade:
		return fmt.Sprintf("offer %d of request %d of %s, as one %s; to be answered until %s", e.Seq, d.Request, d.Client, t.chosen(d), clock(d.Until.Add(-desk.Slack)))
	case desk.OfferReceived:
		return fmt.Sprintf("a device has offer %d", d.Offer)
	case desk.OfferAccepted:
		return fmt.Sprintf("accepted offer %d%s: session %d with %s began", d.Offer, t.after(e), e.Seq, d.Client)
	case desk.OfferEnded:
		return fmt.Sprintf("offer %d is %s%s; %s", d.Offer, d.Outcome, because(d.Cause, d.Staff), turnedWords(d))
	case desk.SessionFinished:
		return fmt.Sprintf("session %d with %s ended%s%s; %s", d.Session, d.Client, t.lasted(e), because(d.Cause, d.Staff), turnedWords(d))
	}
	return ""
}

func (t *DeskTeller) put(d *desk.Event) string {
	text := "was made an agent"
	if _, known := t.agentView(t.agent); known {
		text = "was changed"
	}
	topics := "all topics"
	if len(d.Profile.Topics) > 0 {
		topics = strings.Join(d.Profile.Topics, ", ")
	}
	return fmt.Sprintf("%s: %s, reached by %s", text, topics, d.Profile.Reach)
}

// turnedWords is where the agent stands after an offer or a session.
func turnedWords(d *desk.Event) string {
	if d.State != desk.Idle {
		return d.State.String()
	}
	text := map[desk.Place]string{desk.Kept: "idle, at the old place in line", desk.Back: "idle, at the end of the line",
		desk.BackMiss: "idle, at the end of the line, and it counts as a miss", desk.KeptMute: "idle, and offered nothing until something is heard"}[d.Place]
	if d.Until != 0 {
		text += ", pausing until " + clock(d.Until)
	}
	return text
}

// started tells a start of the server, as far as it belongs to the story; it is applied already.
func (t *DeskTeller) started() string {
	s := t.desks()
	if s == nil {
		return ""
	}
	const text = "the server was started anew, and every connection was lost: "
	if t.request == 0 {
		if v, ok := s.Agent(t.desk, t.agent); ok && v.State != desk.Offline {
			return text + agentWords(&v)
		}
		return ""
	}
	if v, ok := s.Request(t.desk, t.request); ok && v.State.Live() {
		return text + requestWords(&v)
	}
	return ""
}
