package rush

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/internal/play"
)

// The table has two columns of names and numbers, and, right of them, a remark.
const (
	nameWidth   = 26
	numberWidth = 10
)

// table draws the summary for a person.
func (s *Summary) table() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
		b.WriteByte('\n')
	}
	row := func(name, number, remark string) {
		line("  %s%*s   %s", play.Pad(name, nameWidth), numberWidth, number, remark)
	}
	line("Holdfast: the seat rush")
	line("%s", s.where())
	if s.Live != nil {
		line("")
		line("THE LOBBY AND THE OPENING  Everybody waits on a connection; all courses open at one instant.")
		line("")
		s.liveRows(row)
	}
	for i := range s.Acts {
		a := &s.Acts[i]
		line("")
		line("ACT %d  %s", i+1, a.Title)
		line("")
		if i == 1 {
			from := "the first press"
			if s.Live != nil {
				from = "the opening"
			}
			row("everybody knew after", play.Duration(a.Seconds*1000), "confirmed, from "+from+" to the last student's answer")
			row("decisions per second", play.Number(int(a.DecisionsPerSecond)), "")
		}
		for _, kind := range kinds(a.Outcome) {
			row(word(kind), play.Number(a.Outcome[kind]), "")
		}
		line("")
		line("  %s%10s%10s%10s%10s%10s", play.Pad("how long it took", 18), "p50", "p90", "p99", "p99.9", "max")
		for _, name := range observed {
			if p := a.LatencyMS[name]; p.Count > 0 {
				line("  %s%10s%10s%10s%10s%10s", play.Pad("to "+name, 18),
					play.Duration(p.P50), play.Duration(p.P90), play.Duration(p.P99), play.Duration(p.P999), play.Duration(p.Max))
			}
		}
	}
	line("")
	s.aftermath(row)
	line("")
	line("ANSWERS")
	line("")
	for _, kind := range kinds(s.Answers) {
		row(word(kind), play.Number(s.Answers[kind]), meaning(kind))
	}
	line("")
	line("CHECKED")
	line("")
	for i, v := range s.ViolationList {
		if i == shownViolations {
			line("  … and %s more", play.Number(s.Violations-i))
			break
		}
		line("  %s at %d: %s", v.Name, v.Seq, v.Text)
	}
	for _, text := range s.looked() {
		line("  %s", text)
	}
	line("")
	line("  violations %s — %s", play.Number(s.Violations), s.comparison())
	line("")
	line("%s", s.next())
	return b.Bytes()
}

// shownViolations is how many a person reads before looking for the cause.
const shownViolations = 20

// aftermath says what else happened in act 2 and behind it.
func (s *Summary) aftermath(row func(name, number, remark string)) {
	if again := s.Acts[1].PressedAgain; again > 0 {
		row("pressed again", play.Number(again), "")
	}
	for i, ms := range s.OutagesMS {
		row(fmt.Sprintf("kill -9, number %d", i+1), play.Duration(ms), "until the server answered again; everybody cut off asked again")
	}
	for i, ms := range s.RestartGapsMS {
		row(fmt.Sprintf("restart, number %d", i+1), play.Duration(ms), fmt.Sprintf("without answers; the server was away for %s", play.Duration(s.RestartAwayMS[i])))
	}
	if s.Kills+s.Restarts > 0 {
		row("broken connections", play.Number(s.Broken), "")
	}
	if s.Erased > 0 {
		row("erased by the crash", play.Number(s.Erased), "preapproved only, never confirmed: asked again")
	}
	if m := s.Mirror; m != nil {
		row("in the SQL database after", play.Duration(m.LastClaimSeconds*1000), "from the last confirmation until it was recorded")
	}
	if l := s.Leaving; l.SeatsGivenBack > 0 {
		row("seats given back", play.Number(l.SeatsGivenBack), "")
		remark := ""
		if l.SeenMS != nil {
			remark = fmt.Sprintf("and could see it after %s (p99 %s)", play.Duration(l.SeenMS.P50), play.Duration(l.SeenMS.P99))
		}
		row("moved up", play.Number(l.MovedUp), remark)
		row("late duplicates", play.Number(l.LateDuplicates), "first claims sent once more by people who had left; none may undo that")
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
	connections := play.Count(s.Connections, "connection")
	if s.Live != nil {
		connections = play.Count(s.Live.Connected, "WebSocket")
	}
	return fmt.Sprintf("%s · students and server share %s · %s · seed %d", server, play.Count(s.CPUs, "CPU"), connections, s.Seed)
}

// comparison says what was compared with what.
func (s *Summary) comparison() string {
	text := fmt.Sprintf("%s compared with %s", play.Count(s.Compared, "answer"), play.Count(s.Events, "event"))
	if s.Rows != nil {
		return text + " and " + play.Count(*s.Rows, "database row")
	}
	return text
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

// next names the command to try next: the one that shows something that this rush did not.
func (s *Summary) next() string {
	switch {
	case s.Violations > 0:
		return "Please report this, with the seed, and keep the data: holdfast rush --data DIR --answers answers.ndjson"
	case s.cfg.Data != "" && s.cfg.Database == "":
		return "Next, check the data once more, by itself: holdfast verify " + s.cfg.Data
	case s.Server != "child":
		return "Next, with a crash in the middle: holdfast rush --kill 3"
	case s.Kills == 0:
		if s.Live != nil {
			return "Next, end the server in the middle of it: holdfast rush --ws --kill 1 --restart 1"
		}
		return "Next, kill the server in the middle of it: holdfast rush --kill 3"
	case s.Live == nil:
		return "Next, everybody on a connection of their own, and all cut at once: holdfast rush --ws --storm"
	case s.cfg.Report == "":
		return "Next, see it as curves: holdfast rush --report rush.html"
	}
	return "Next, keep the data and look into it: holdfast rush --data ./rush-data"
}

// word is how a person calls a kind of answer.
func word(kind string) string {
	switch kind {
	case "waiting":
		return "in line"
	case "none":
		return "no standing"
	case "precondition":
		return "late duplicate refused"
	}
	return strings.ReplaceAll(kind, "_", " ")
}

// meaning says what the person on the phone has from it.
func meaning(kind string) string {
	switch kind {
	case "seated":
		return "you have a seat, with its number"
	case "waiting":
		return "you are number so-and-so; your place is saved"
	case "released":
		return "you gave it back"
	case "full":
		return "no seat and no place in line"
	case "busy":
		return "nothing was recorded; they asked again"
	case "unknown":
		return "the server could not tell; they asked again"
	}
	return ""
}
