package shift

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/internal/play"
)

const (
	nameWidth   = 26
	numberWidth = 12
)

// shownViolations is how many a person reads before looking for the cause.
const shownViolations = 20

// table is the outcome for people.
func (s *Summary) table() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
		b.WriteByte('\n')
	}
	row := func(name, number, remark string) {
		line("  %s%*s   %s", play.Pad(name, nameWidth), numberWidth, number, remark)
	}
	line("Holdfast: the shift")
	line("%s", s.where())
	line("")
	line("AT THE DESKS  %s.", s.staffed())
	line("")
	if s.Agents < s.AgentsWanted {
		row("agents for each desk", play.Number(s.Agents), s.fewer())
	}
	row("all agents online after", play.Duration(s.ConnectSeconds*1000), fmt.Sprintf("%s on WebSockets of their own", play.Number(s.Desks*s.Agents)))
	if s.BytesPerConnection != nil {
		row("memory for each", play.Number(int(*s.BytesPerConnection)), "bytes in the server, for an agent who waits")
	}
	line("")
	line("CLIENTS  %s in %s%s.", play.Number(s.Came), play.Duration(s.Seconds*1000), s.rhythm())
	line("")
	for _, name := range ordered(s.Outcomes, outcomes) {
		row(words(name), play.Number(s.Outcomes[name]), outcomeMeans(name))
	}
	if s.Late > 0 {
		row("had to wait for a line", play.Number(s.Late), "of ours: all client connections were in use (--clients)")
	}
	line("")
	line("OFFERS")
	line("")
	for _, name := range ordered(s.Offers, offers) {
		row(words(name), play.Number(s.Offers[name]), offerMeans(name))
	}
	row("sessions", play.Number(s.Sessions), fmt.Sprintf("%s a second served to the end", play.Number(int(s.Cycles))))
	s.times(line)
	s.troubles(line, row)
	line("")
	line("CHECKED")
	line("")
	for i, v := range s.ViolationList {
		if i == shownViolations {
			line("  … and %s more", play.Number(s.Violations-i))
			break
		}
		line("  %s at event %d: %s", v.Name, v.Seq, v.Text)
	}
	for _, text := range s.looked() {
		line("  %s", text)
	}
	line("")
	row("double assignments", play.Number(s.DoubleAssignments), "a request with two agents, or an agent with two requests")
	row("agents stuck in init", play.Number(s.Stuck), "with an offer that was over")
	row("requests overtaken", play.Number(s.Overtaken), "by a later one that the same agent could serve")
	line("")
	line("  violations %s — %s", play.Number(s.Violations), s.comparison())
	line("")
	line("%s", s.next())
	return b.Bytes()
}

// times is the part about how long it took.
func (s *Summary) times(line func(string, ...any)) {
	line("")
	line("  %s%10s%10s%10s%10s%10s", play.Pad("from the request", nameWidth), "p50", "p90", "p99", "p99.9", "max")
	for _, t := range []struct {
		name string
		p    play.Percentiles
	}{{"to the offer, agent ready", s.ToOfferReadyMS}, {"to the offer", s.ToOfferMS}, {"to the accept", s.ToAcceptMS}} {
		if p := t.p; p.Count > 0 {
			line("  %s%10s%10s%10s%10s%10s", play.Pad(t.name, nameWidth),
				play.Duration(p.P50), play.Duration(p.P90), play.Duration(p.P99), play.Duration(p.P999), play.Duration(p.Max))
		}
	}
}

// troubles is the part about what went wrong on purpose.
func (s *Summary) troubles(line func(string, ...any), row func(name, number, remark string)) {
	if s.Cut+s.Superseded+s.Kills+s.Broken+s.PutOff == 0 {
		return
	}
	line("")
	line("TROUBLE")
	line("")
	for i, ms := range s.OutagesMS {
		pending := ""
		if i < len(s.PendingAtKill) {
			pending = fmt.Sprintf(" with %s pending", play.Count(s.PendingAtKill[i], "offer"))
		}
		row(fmt.Sprintf("kill -9, number %d", i+1), play.Duration(ms), "until the server answered again;"+pending)
	}
	row("connections cut", play.Number(s.Cut), "by dead networks; most came back in time, some did not")
	if s.Superseded > 0 {
		row("second devices", play.Number(s.Superseded), "that closed the first, where a desk allows one")
	}
	if s.Broken > 0 {
		row("broken connections", play.Number(s.Broken), "that came back by themselves")
	}
	if s.PutOff > 0 {
		row("put off", play.Number(s.PutOff), "answers busy or unknown; asked again")
	}
}

func (s *Summary) where() string {
	server := "against " + s.Server + ", realm " + s.Realm
	if s.Server == "child" {
		server = "a server of its own"
		if s.Data != "" {
			server += ", its data kept in " + s.Data
		} else {
			server += " in a temporary directory"
		}
	}
	return fmt.Sprintf("%s · agents, clients and server share %s · seed %d", server, play.Count(s.CPUs, "CPU"), s.Seed)
}

func (s *Summary) staffed() string {
	return fmt.Sprintf("%s with %s each", play.Count(s.Desks, "desk"), play.Count(s.Agents, "agent"))
}

// fewer says why there are not as many agents as are usual, and what would help.
func (s *Summary) fewer() string {
	return fmt.Sprintf("of %d: each is an open file, of which a process may not have more here; as root: ulimit -Hn %d",
		s.AgentsWanted, s.Desks*s.AgentsWanted+s.Clients+spareFiles)
}

// rhythm says how they came.
func (s *Summary) rhythm() string {
	if s.cfg.Rate == 0 {
		return ", each again as soon as they are served"
	}
	if s.cfg.Calm {
		return fmt.Sprintf(", evenly, %.4g times as fast as in life", s.Compress)
	}
	return fmt.Sprintf(", over a day's curve and in bursts, talking %.4g times as fast as in life", s.Compress)
}

// comparison says what was compared with what.
func (s *Summary) comparison() string {
	return fmt.Sprintf("%s compared with %s", play.Count(s.Compared, "message"), play.Count(s.Events, "event"))
}

// looked says how often each invariant was looked at, five to a line.
func (s *Summary) looked() (lines []string) {
	names := slices.Sorted(maps.Keys(s.Checks))
	for row := range slices.Chunk(names, 5) {
		var b strings.Builder
		for _, name := range row {
			fmt.Fprintf(&b, "%s%11s   ", name, play.Number(int(s.Checks[name])))
		}
		lines = append(lines, b.String())
	}
	return lines
}

// next names the command to try next: the one that shows something that this shift did not.
func (s *Summary) next() string {
	switch {
	case s.Violations > 0:
		return "Please report this, with the seed, and keep the data: holdfast shift --data DIR"
	case s.Data != "":
		return "Next, check the data once more, by itself: holdfast verify " + s.Data
	case s.Kills == 0:
		return "Next, kill the server in the middle of it: holdfast shift --kill 2"
	case s.cfg.Report == "":
		return "Next, see it as curves: holdfast shift --kill 2 --report shift.html"
	}
	return "Next, keep the data and look into it: holdfast shift --data ./shift-data"
}

// The order in which a person asks for counts.
var (
	outcomes = []string{"done", "cancelled", "no_agent", "queue_full", "all_declined", "expired", "aborted"}
	offers   = []string{"accepted", "rejected", "timed_out", "rescinded", "revoked", "pending"}
)

// ordered gives the keys of counts in that order; what is left follows by name.
func ordered(counts map[string]int, order []string) (names []string) {
	for _, name := range order {
		if counts[name] > 0 {
			names = append(names, name)
		}
	}
	known := len(names)
	for name := range counts {
		if !slices.Contains(order, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[known:])
	return names
}

func words(name string) string {
	switch name {
	case "done":
		return "served"
	case "no_agent":
		return "nobody was free"
	case "aborted":
		return "session lost"
	}
	return strings.ReplaceAll(name, "_", " ")
}

func outcomeMeans(name string) string {
	switch name {
	case "cancelled":
		return "they lost patience, or did not come back"
	case "no_agent":
		return "at a desk without a line; told at once"
	case "queue_full":
		return "the line was as long as it may be"
	case "all_declined":
		return "everybody who could be asked said no"
	case "expired":
		return "they waited too long, or it was offered too often"
	case "aborted":
		return "the agent was lost, at a desk that closes then"
	case "unknown":
		return "they never heard the end"
	}
	return ""
}

func offerMeans(name string) string {
	switch name {
	case "rejected":
		return "the next agent was asked"
	case "timed_out":
		return "nothing was said; the next agent was asked"
	case "rescinded":
		return "the client was gone"
	case "revoked":
		return "it could not reach the agent"
	}
	return ""
}
