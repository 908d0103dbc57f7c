package desk_test

import (
	"fmt"
	"strconv"
	"strings"

	"holdfast/desk"
)

// What the scenarios say.

func seconds(t desk.Time) string {
	return strconv.FormatFloat(float64(t-dawn)/float64(second), 'f', -1, 64)
}

func (w *world) events(prefix string, events []desk.Event) {
	for i := range events {
		w.seq++
		w.say("%s%d %s", prefix, w.seq, eventText(&events[i]))
	}
}

func eventText(e *desk.Event) string {
	words := []string{e.Kind.String()}
	add := func(ok bool, format string, args ...any) {
		if ok {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	if e.Kind == desk.DeskPut {
		words = append(words, e.Desk)
	}
	add(e.Client != "", "%s", e.Client)
	add(e.Agent != "" && e.Client != "", "and")
	add(e.Agent != "", "%s", e.Agent)
	add(e.Session != 0, "session %d", e.Session)
	add(e.Offer != 0, "offer %d", e.Offer)
	add(e.Request != 0, "request %d", e.Request)
	add(e.Conn != 0, "connection %d", e.Conn)
	add(e.Kind == desk.OfferEnded, "%s", e.Outcome)
	add(e.Kind == desk.RequestEnded || e.Kind == desk.SessionFinished, "%s", e.Then)
	add(e.Cause != 0, "by %s", e.Cause)
	ends := e.Kind == desk.OfferEnded || e.Kind == desk.SessionFinished
	add(ends || e.Kind == desk.AgentOnline, "→ %s", e.State)
	add(ends && e.State == desk.Idle, "(%s)", e.Place)
	add(e.Until != 0, "until %s", seconds(e.Until))
	add(e.Receipt != 0, "receipt %s", seconds(e.Receipt))
	add(e.Reason != "", "(%s: %s)", e.By, e.Reason)
	return strings.Join(words, " ")
}

// result says what the command was about, as it stands now.
func (w *world) result(cmd desk.Command, res *desk.Result) {
	if res.Refused() {
		r := &res.Refusal
		text := "refused " + string(r.Code)
		if r.Limit != 0 {
			text += fmt.Sprintf(", limit %d", r.Limit)
		}
		if r.Topic != "" {
			text += ", topic " + r.Topic
		}
		if r.Code == desk.OfferClosed || r.Cause != 0 {
			text += fmt.Sprintf(", %s by %q", r.Offer, r.Cause)
		}
		w.say("= %s", text)
	}
	if res.AcceptedElsewhere {
		w.say("= accepted elsewhere")
	}
	if res.Session != nil {
		w.say("= %s", sessionText(res.Session))
	}
	if _, put := cmd.(desk.PutAgent); res.Agent != nil && !put {
		w.say("= %s", agentText(res.Agent))
	}
	if res.Request != nil {
		w.say("= %s", requestText(res.Request))
	}
}

func sessionText(v *desk.SessionView) string {
	text := fmt.Sprintf("session %d of %s and %s", v.ID, v.Client, v.Agent)
	if v.JoinBy != 0 {
		text += ", to be joined by " + seconds(v.JoinBy)
	}
	if v.Ended != 0 {
		text += fmt.Sprintf(", ended at %s by %s", seconds(v.Ended), v.Cause)
	}
	return text
}

func agentText(v *desk.AgentView) string {
	words := []string{v.Agent, v.State.String()}
	add := func(ok bool, format string, args ...any) {
		if ok {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(v.State == desk.Idle, "since %s", seconds(v.IdleSince))
	add(v.Ready, "ready")
	add(!v.Accepting && v.State != desk.Offline, "not accepting")
	add(v.Silent, "silent")
	add(v.Misses > 0, "%d missed", v.Misses)
	add(v.NotBefore != 0, "not before %s", seconds(v.NotBefore))
	add(v.Away, "away")
	add(v.Until != 0, "until %s", seconds(v.Until))
	if v.Offer != nil {
		add(true, "offer %d of request %d until %s", v.Offer.ID, v.Offer.Request, seconds(v.Offer.Deadline))
	}
	if v.Session != nil {
		add(true, "session %d", v.Session.ID)
	}
	return strings.Join(words, ", ")
}

func requestText(v *desk.RequestView) string {
	words := []string{fmt.Sprintf("request %d of %s %s", v.ID, v.Client, v.State)}
	add := func(ok bool, format string, args ...any) {
		if ok {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(v.Position != 0, "number %d", v.Position)
	add(v.Attempts != 0, "%d attempts", v.Attempts)
	add(v.Agent != "", "%s", v.Agent)
	add(v.Away, "away")
	add(v.Until != 0, "until %s", seconds(v.Until))
	add(v.Cause != 0, "by %s", v.Cause)
	return strings.Join(words, ", ")
}

// show says how a desk stands: the ring, the line and what clients are told; or one agent, or one request.
func (w *world) show(f []string) {
	if len(f) > 1 {
		if v, ok := w.state.Agent(f[0], f[1]); ok {
			w.say("%s", agentText(&v))
			return
		}
		v, ok := w.state.Request(f[0], w.number(f[1]))
		if !ok {
			w.t.Fatalf("%s: neither an agent nor a request", w.at)
		}
		w.say("%s", requestText(&v))
		return
	}
	v, _ := w.state.Desk(f[0])
	var ring []string
	for _, a := range w.state.Ring(f[0], "", 10) {
		ring = append(ring, a.Agent)
	}
	w.say("%d offline, %d idle, %d init, %d busy; ring: %s", v.States[0], v.States[1], v.States[2], v.States[3], strings.Join(ring, " "))
	rows, _ := w.state.Requests(f[0], 0, desk.RequestState.Live, 10)
	for i := range rows {
		w.say("%s", requestText(&rows[i]))
	}
	for _, topic := range append([]string{""}, v.Config.Topics...) {
		if a, ok := w.state.Availability(f[0], topic); ok {
			w.say("told %s: open %v, %d idle, %d waiting", topic, a.Open, a.Idle, a.Waiting)
		}
	}
}
