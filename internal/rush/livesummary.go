package rush

import (
	"fmt"
	"time"

	"holdfast/internal/play"
)

// Live is what was measured of students on connections of their own.
type Live struct {
	StudentsWanted     int                         `json:"students_wanted"` // as asked for; Students is as many as fit
	Connected          int                         `json:"connected"`
	ConnectSeconds     float64                     `json:"connect_seconds"`
	BytesPerConnection *int64                      `json:"bytes_per_connection"` // null: the server's memory cannot be seen
	HeardMS            play.Percentiles            `json:"heard_ms"`             // from the opening
	KnewMS             map[string]play.Percentiles `json:"knew_ms"`              // from the opening
	Pushes             Pushes                      `json:"pushes"`
	MovedUpTold        int                         `json:"moved_up_told"`
	Closes             map[string]int              `json:"closes"`
	Gaps               int                         `json:"gaps"`
	Storm              *Storm                      `json:"storm"`

	traffic []tenth // from the opening on
}

// tenth is what came in a tenth of a second.
type tenth struct{ answers, pushes int }

// Pushes counts what came unasked.
type Pushes struct {
	Total         int `json:"total"`
	Claims        int `json:"claims"`
	Pools         int `json:"pools"`
	Openings      int `json:"openings"`
	Positions     int `json:"positions"` // rows that told somebody in line where they stand
	MostPerSecond int `json:"most_per_second"`
}

// Storm is what happened when all connections were cut at once.
type Storm struct {
	GivenBack int              `json:"seats_given_back"` // while nobody listened
	MovedUp   int              `json:"moved_up"`
	Told      int              `json:"told"`
	AwayMS    float64          `json:"away_ms"`
	CaughtMS  play.Percentiles `json:"caught_up_ms"` // from the moment when all began to come back
	Gaps      int              `json:"gaps"`
}

// addLive fills in what was measured on connections.
func (s *Summary) addLive(p *performance, answers []answer, v *verdict) {
	if p.lobby == nil {
		return
	}
	l, m := p.lobby, &p.live
	out := &Live{
		StudentsWanted: max(m.wanted, s.Students), Connected: l.tally.students, ConnectSeconds: m.connecting.Seconds(), Closes: map[string]int{},
		HeardMS: play.Summarize(play.Histogram(since(m.opened, l.board.heard))), KnewMS: map[string]play.Percentiles{},
	}
	if m.before > 0 && m.idle > m.before {
		each := (m.idle - m.before) / int64(max(1, l.tally.students))
		out.BytesPerConnection = &each
	}
	preapproved, confirmed := p.knew()
	out.KnewMS["preapproved"], out.KnewMS["confirmed"] = play.Summarize(play.Histogram(preapproved)), play.Summarize(play.Histogram(confirmed))
	for name, n := range l.tally.ends {
		out.Closes[name] = n
	}
	t := &l.tally
	out.Pushes = Pushes{Total: t.pushes.total(), Pools: int(t.counts.Load()), Openings: int(t.openings.Load()), MostPerSecond: t.pushes.peak()}
	out.Pushes.Claims = out.Pushes.Total - out.Pushes.Pools - out.Pushes.Openings
	for i := range answers {
		if answers[i].errand.push() && answers[i].Status == "waiting" {
			out.Pushes.Positions++
		}
	}
	missed := map[int32]bool{}
	for _, people := range v.gaps {
		for person := range people {
			missed[person] = true
		}
	}
	out.Gaps = len(missed)
	after := tellings(v.moves, answers, actLeaving)
	s.Leaving.MovedUp, out.MovedUpTold = after.moved, len(after.told)
	if len(after.told) > 0 {
		told := play.Summarize(play.Histogram(after.told))
		s.Leaving.SeenMS = &told
	}
	if p.cfg.Storm {
		again := tellings(v.moves, answers, actStorm)
		out.Storm = &Storm{
			GivenBack: len(m.stormLeavers), MovedUp: again.moved, Told: len(again.told), AwayMS: play.Milliseconds(m.backAt - m.cutAt),
			CaughtMS: play.Summarize(play.Histogram(m.caught)), Gaps: len(v.gaps[actStorm]),
		}
	}
	first, last := int(m.opened/pulseWidth), int(t.last()/pulseWidth)
	for i := max(0, first); i <= min(last, pulseTenths-1); i++ {
		out.traffic = append(out.traffic, tenth{int(t.answers[i].Load()), int(t.pushes[i].Load())})
	}
	s.Live = out
}

// since counts durations from a moment; what is zero was not observed.
func since(from time.Duration, at []time.Duration) []time.Duration {
	out := make([]time.Duration, len(at))
	for i, t := range at {
		if out[i] = -1; t != 0 {
			out[i] = max(0, t-from)
		}
	}
	return out
}

// knew is when each student knew of all that they had asked for, from the opening.
func (p *performance) knew() (preapproved, confirmed []time.Duration) {
	n := len(p.plan.people)
	preapproved, confirmed = make([]time.Duration, n), make([]time.Duration, n)
	b := &p.lobby.board
	for i := range n {
		preapproved[i], confirmed[i] = -1, -1
		from := b.heard[i] + b.moments[i] - p.live.opened
		for _, s := range []*stage{b.one, b.two} {
			if s.confirmed[i] >= 0 {
				preapproved[i] = max(preapproved[i], from+s.preapproved[i])
				confirmed[i] = max(confirmed[i], from+s.confirmed[i])
			}
		}
	}
	return preapproved, confirmed
}

// liveRows tells a person of the connections.
func (s *Summary) liveRows(row func(name, number, remark string)) {
	v := s.Live
	if v == nil {
		return
	}
	remark := fmt.Sprintf("each on a WebSocket, connected within %s", play.Duration(v.ConnectSeconds*1000))
	if v.StudentsWanted > s.Students {
		remark += fmt.Sprintf("; as many of %s as the limit of open files lets in (ulimit -Hn)", play.Number(v.StudentsWanted))
	}
	row("students", play.Number(v.Connected), remark)
	if v.BytesPerConnection != nil {
		row("memory per idle student", play.Number(int(*v.BytesPerConnection)), "bytes of the server, resident")
	}
	row("heard of the opening", play.Duration(v.HeardMS.Max), fmt.Sprintf("the last one; half of them after %s, 99 of 100 after %s", play.Duration(v.HeardMS.P50), play.Duration(v.HeardMS.P99)))
	for _, name := range observed {
		k := v.KnewMS[name]
		row("knew, "+name, play.Duration(k.Max), fmt.Sprintf("the last one, from the opening; half after %s (they press within a second)", play.Duration(k.P50)))
	}
	row("pushes", play.Number(v.Pushes.Total), fmt.Sprintf("%s in the busiest second; %s of claims, with %s", play.Number(v.Pushes.MostPerSecond), play.Number(v.Pushes.Claims), play.Count(v.Pushes.Positions, "position")))
	if st := v.Storm; st != nil {
		row("reconnect storm", play.Duration(st.CaughtMS.Max), fmt.Sprintf("until everybody had caught up; half after %s", play.Duration(st.CaughtMS.P50)))
		row("moved up meanwhile", play.Number(st.MovedUp), fmt.Sprintf("of %s given back while nobody listened; %s told", play.Count(st.GivenBack, "seat"), play.Number(st.Told)))
	}
	row("gaps", play.Number(v.Gaps), "students who missed something")
}
