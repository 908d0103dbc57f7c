package story

import (
	"fmt"
	"strings"
	"time"

	"holdfast"
	"holdfast/desk"
)

// DeskTeller follows a log and keeps the story of one request, or of one agent, at one desk. One goroutine owns it.
type DeskTeller struct {
	realm, desk string
	request     uint64 // 0: the story is an agent's
	agent       string

	state *holdfast.State
	lines []Line
	known bool // it was there once
}

// OfRequest begins the story of a request at a state: an empty one, or that of a snapshot when the log before it is gone.
// The teller owns the state from now on.
func OfRequest(state *holdfast.State, realm, at string, request uint64) *DeskTeller {
	t := &DeskTeller{realm: realm, desk: at, request: request, state: state}
	if s := t.desks(); s != nil {
		if v, ok := s.Request(at, request); ok {
			t.known = true
			t.say(v.Seq, v.At, "the log begins after this: "+requestWords(&v))
		}
	}
	return t
}

// OfAgent begins the story of an agent, as OfRequest does that of a request.
func OfAgent(state *holdfast.State, realm, at, agent string) *DeskTeller {
	t := &DeskTeller{realm: realm, desk: at, agent: agent, state: state}
	if v, ok := t.agentView(agent); ok {
		t.known = true
		t.say(v.Seq, v.At, "the log begins after this: "+agentWords(&v))
	}
	return t
}

// Event applies the next event of the log and tells of it if it belongs to the story.
func (t *DeskTeller) Event(e *holdfast.Event) error {
	text := ""
	d := e.Desk
	ours := e.Realm == t.realm && d != nil && d.Desk == t.desk
	switch {
	case !ours:
	case t.request != 0 && (d.Request == t.request || d.Kind == desk.RequestMade && e.Seq == t.request):
		text = t.ofRequest(e)
	case t.request == 0 && d.Agent == t.agent:
		text = t.ofAgent(e)
	}
	if err := t.state.Apply(e); err != nil {
		return err
	}
	if e.Kind() == holdfast.Started {
		text = t.started()
	}
	if text != "" {
		t.known = true
		t.say(e.Seq, e.At, text)
	}
	return nil
}

func (t *DeskTeller) say(seq uint64, at desk.Time, text string) {
	t.lines = append(t.lines, Line{seq, at, text})
}

func (t *DeskTeller) desks() *desk.State {
	realm := t.state.Realm(t.realm)
	if realm == nil {
		return nil
	}
	return realm.Desks
}

func (t *DeskTeller) agentView(agent string) (desk.AgentView, bool) {
	if s := t.desks(); s != nil {
		return s.Agent(t.desk, agent)
	}
	return desk.AgentView{}, false
}

// Lines is the story so far.
func (t *DeskTeller) Lines() []Line { return t.lines }

// End says how it stands now, or why there is no story.
func (t *DeskTeller) End() string {
	s := t.desks()
	if s == nil {
		return fmt.Sprintf("There is no realm %q in this log.", t.realm)
	}
	if _, ok := s.Desk(t.desk); !ok {
		return fmt.Sprintf("There is no desk %q in realm %q.", t.desk, t.realm)
	}
	if t.request == 0 {
		v, ok := s.Agent(t.desk, t.agent)
		switch {
		case ok:
			return "Now: " + agentWords(&v) + "."
		case t.known:
			return fmt.Sprintf("%s is not an agent of %s any more.", t.agent, t.desk)
		}
		return fmt.Sprintf("%s never was an agent of %s.", t.agent, t.desk)
	}
	v, ok := s.Request(t.desk, t.request)
	switch {
	case ok:
		return "Now: " + requestWords(&v) + "."
	case t.known:
		return "It ended more than a day ago."
	}
	return fmt.Sprintf("Event %d made no request at %s. A refusal (no_agent, queue_full, unknown_topic) leaves nothing in the log.", t.request, t.desk)
}

// requestWords is how a request stands.
func requestWords(v *desk.RequestView) string {
	switch {
	case v.State == desk.Queued:
		return fmt.Sprintf("it waits as number %d, after %s, until %s", v.Position, count(v.Attempts, "offer", "offers"), clock(v.Expires))
	case v.State == desk.Offering:
		return fmt.Sprintf("it is offered to %s (offer %d)", v.Agent, v.Offer)
	case v.State == desk.Assigned:
		return fmt.Sprintf("%s has it (session %d)", v.Agent, v.Session)
	}
	return fmt.Sprintf("it has ended: %s%s", v.State, because(v.Cause, desk.Staff{Reason: v.Reason}))
}

// agentWords is how an agent stands.
func agentWords(v *desk.AgentView) string {
	text := v.State.String()
	switch {
	case v.Offer != nil:
		text = fmt.Sprintf("has offer %d (of request %d) to answer until %s", v.Offer.ID, v.Offer.Request, clock(v.Offer.Deadline))
	case v.Session != nil:
		text = fmt.Sprintf("is in session %d with %s", v.Session.ID, v.Session.Client)
	case v.State == desk.Idle && v.Ready:
		return "idle and ready, in line since " + clock(v.IdleSince)
	case v.State == desk.Idle:
		text = "idle, and not ready" + notReady(v)
	}
	if v.State != desk.Offline && v.State != desk.Idle && !v.Accepting {
		text += ", and goes offline after it"
	}
	if v.Away && v.State != desk.Offline && v.Until != 0 {
		text += "; is away, and has until " + clock(v.Until) + " to come back"
	}
	return text
}

// notReady says why an idle agent is offered nothing.
func notReady(v *desk.AgentView) string {
	var why []string
	for _, w := range []struct {
		is   bool
		text string
	}{{!v.Accepting, "takes nothing at the moment"}, {v.Away, "is not connected"}, {v.Silent, "nothing was heard since an offer did not arrive"},
		{v.NotBefore != 0, "pauses until " + clock(v.NotBefore)}} {
		if w.is {
			why = append(why, w.text)
		}
	}
	if len(why) == 0 {
		return ""
	}
	return ": " + strings.Join(why, ", ")
}

// because is why something ended, as the event says.
func because(c desk.Cause, by desk.Staff) string {
	text := map[desk.Cause]string{
		desk.ByAgent: "the agent said so", desk.ByClient: "the client said so", desk.ByStaff: "staff said so", desk.ByDeadline: "the time to answer was over",
		desk.ByLostLink: "the connection was lost", desk.BySuperseded: "another connection took its place", desk.ByGrace: "who was away did not come back in time",
		desk.ByRestart: "who was away since a start of the server did not come back in time", desk.ByUndelivered: "no device said that it had the offer",
		desk.ByMisses: "too many offers in a row were not answered", desk.ByGoingAway: "the agent went with the offer pending", desk.ByRemoval: "the agent was removed, or the topic taken from them",
		desk.ByMaxWait: "it waited too long", desk.ByMaxAttempts: "it was offered as often as may be", desk.ByNobodyLeft: "everybody who could be asked has declined",
		desk.ByAgentLost: "the agent was away too long", desk.ByNoShow: "the client did not come after the accept",
	}[c]
	if text != "" {
		text = " (" + text + ")"
	}
	if by.Reason != "" {
		text += fmt.Sprintf(", reason: %q", by.Reason)
	}
	if by.By != "" {
		text += ", by " + by.By
	}
	return text
}

func span(from, to desk.Time) time.Duration {
	return (time.Duration(to-from) * time.Microsecond).Round(time.Millisecond)
}
