package rush

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"holdfast/internal/play"
	"holdfast/internal/sim"
	"holdfast/seat"
)

// Summary is the outcome of a rush: the table, the page and the JSON object show it. docs/RUSH.md says what each key means.
type Summary struct {
	Server      string `json:"server"` // "child", or the target's URL
	Realm       string `json:"realm"`
	Seed        uint64 `json:"seed"`
	Connections int    `json:"connections"`
	CPUs        int    `json:"cpus"`
	Data        string `json:"data,omitempty"`

	Students           int                         `json:"students"` // of act 2
	Pools              int                         `json:"pools"`
	Seats              int                         `json:"seats"`
	Answers            map[string]int              `json:"answers"`
	AnswersTotal       int                         `json:"answers_total"`
	Confirmed          int                         `json:"confirmed"`
	Preapproved        int                         `json:"preapproved"`
	DecisionsPerSecond float64                     `json:"decisions_per_second"`
	LatencyMS          map[string]play.Percentiles `json:"latency_ms"` // of act 2
	Acts               []Act                       `json:"acts"`
	Leaving            Leaving                     `json:"leaving"`
	Live               *Live                       `json:"live,omitempty"` // with --ws
	Mirror             *Mirror                     `json:"mirror"`         // null: no database was there
	Kills              int                         `json:"kills"`
	OutagesMS          []float64                   `json:"outages_ms"` // of the kills
	Restarts           int                         `json:"restarts"`
	RestartAwayMS      []float64                   `json:"restart_away_ms"`
	RestartGapsMS      []float64                   `json:"restart_gaps_ms"`
	Broken             int                         `json:"broken_connections"`
	Erased             int                         `json:"erased"`

	Events        int               `json:"events"`
	Rows          *int              `json:"rows"` // null: no database was compared
	Compared      int               `json:"compared"`
	Checks        map[string]uint64 `json:"checks"`
	Violations    int               `json:"violations"`
	ViolationList []ViolationAt     `json:"violation_list"`

	filling []filling
	began   time.Time // of act 2
	cfg     *Config
}

// Act is one act as the students lived it.
type Act struct {
	Title              string                      `json:"title"`
	Students           int                         `json:"students"`
	Claims             int                         `json:"claims"`  // decided: each student's wishes, counted once
	Outcome            map[string]int              `json:"outcome"` // the last that each student heard of each claim in this act
	Seconds            float64                     `json:"seconds"` // from the first press to the last student's confirmed answer
	DecisionsPerSecond float64                     `json:"decisions_per_second"`
	LatencyMS          map[string]play.Percentiles `json:"latency_ms"`
	PressedAgain       int                         `json:"pressed_again"`
	SentLateMS         *play.Percentiles           `json:"sent_late_ms,omitempty"`

	histograms map[string]*hdrhistogram.Histogram // microseconds
}

// observed are the keys of Act.LatencyMS, in the order in which students live through them.
var observed = []string{"preapproved", "confirmed"}

// Leaving is what happened after act 2.
type Leaving struct {
	SeatsGivenBack int               `json:"seats_given_back"`
	MovedUp        int               `json:"moved_up"`
	SeenMS         *play.Percentiles `json:"seen_ms"` // from the sending of the release until the feed showed who moved up
	LateDuplicates int               `json:"late_duplicates"`
}

// Mirror is how far behind the database was.
type Mirror struct {
	LastClaimSeconds float64 `json:"last_claim_seconds"` // from act 2's last confirmation until the database had it
	MostEventsBehind uint64  `json:"most_events_behind"`
}

// ViolationAt is one broken promise.
type ViolationAt struct {
	Name string `json:"name"`
	Seq  uint64 `json:"seq"`
	Text string `json:"text"`
}

// listedViolations bounds ViolationList.
const listedViolations = 100

func summarize(p *performance, answers []answer, v *verdict) *Summary {
	s := &Summary{
		Server: p.cfg.Target, Realm: p.crowd.realm, Seed: p.cfg.Seed, Connections: p.cfg.Connections,
		CPUs: runtime.NumCPU(), Data: p.cfg.Data,
		Students: p.plan.students(), Pools: len(p.plan.courses) - 1, Seats: p.plan.seats(),
		Answers: map[string]int{}, AnswersTotal: len(answers),
		OutagesMS: []float64{}, RestartAwayMS: []float64{}, RestartGapsMS: []float64{}, Erased: v.erased,
		Events: v.events, Compared: v.compared, Checks: v.checks,
		Violations: len(v.violations) + v.unlisted, ViolationList: []ViolationAt{},
		filling: v.filling, cfg: p.cfg,
	}
	if s.Server == "" {
		s.Server = "child"
	}
	for i := range p.outages {
		s.addOutage(&p.outages[i])
	}
	for _, a := range p.crowd.askers {
		s.Broken += a.broke
	}
	for i := range answers {
		a := &answers[i]
		s.Answers[a.kindOf()]++
		switch {
		case stands(a.Durability):
			s.Confirmed++
		case a.Durability != "":
			s.Preapproved++
		}
	}
	if v.rows >= 0 {
		s.Rows = &v.rows
	}
	for _, x := range v.violations[:min(len(v.violations), listedViolations)] {
		s.ViolationList = append(s.ViolationList, violationAt(x))
	}
	return s
}

func (s *Summary) addOutage(o *outage) {
	if !o.restart {
		s.Kills++
		s.OutagesMS = append(s.OutagesMS, play.Milliseconds(o.away()))
		return
	}
	s.Restarts++
	s.RestartAwayMS = append(s.RestartAwayMS, play.Milliseconds(o.away()))
	s.RestartGapsMS = append(s.RestartGapsMS, play.Milliseconds(o.gap))
}

func violationAt(v sim.Violation) ViolationAt { return ViolationAt{v.Name, v.Seq, v.Text} }

func (s *Summary) addStages(p *performance, opening, university *stage, answers []answer) {
	one := Act{
		Title:    fmt.Sprintf("One course of %s; %s press within one second.", play.Count(p.cfg.Seats, "seat"), play.Count(opening.students, "student")),
		Students: opening.students, Claims: opening.students,
	}
	if len(opening.late) > 0 {
		late := play.Summarize(play.Histogram(opening.late))
		one.SentLateMS = &late
	}
	two := Act{Students: university.students, Claims: p.plan.claims(), PressedAgain: len(p.plan.order) - university.students}
	courses := play.Count(s.Pools, "course")
	if p.cfg.Courses != "" {
		two.Title = fmt.Sprintf("A real catalogue: %s, %s, %s, %s.", play.Count(s.Students, "student"), courses,
			play.Count(s.Seats, "seat"), play.Count(two.Claims, "wish"))
	} else {
		two.Title = fmt.Sprintf("A university: %s, %s of %s, baskets of %s.", play.Count(s.Students, "student"), courses,
			play.Count(p.cfg.Seats, "seat"), play.Count(p.cfg.Choices, "wish"))
	}
	one.add(opening, answers, 1)
	two.add(university, answers, 2)
	s.Acts = []Act{one, two}
	s.DecisionsPerSecond, s.LatencyMS = two.DecisionsPerSecond, two.LatencyMS
	s.began = p.crowd.began.Add(university.began)
}

// add fills in what was measured.
func (a *Act) add(st *stage, answers []answer, act uint8) {
	a.Outcome = outcome(answers, act)
	a.Seconds = (st.ended - st.began).Seconds()
	if a.Seconds > 0 {
		a.DecisionsPerSecond = float64(a.Claims) / a.Seconds
	}
	a.LatencyMS = map[string]play.Percentiles{}
	a.histograms = map[string]*hdrhistogram.Histogram{
		"preapproved": play.Histogram(st.preapproved), "confirmed": play.Histogram(st.confirmed),
	}
	for name, h := range a.histograms {
		a.LatencyMS[name] = play.Summarize(h)
	}
}

// outcome counts the last confirmed thing that each student heard of each claim in an act.
func outcome(answers []answer, act uint8) map[string]int {
	last := map[claimKey]string{}
	for i := range answers {
		if a := &answers[i]; a.act == act && !a.errand.push() && stands(a.Durability) {
			// A look after a refusal shows no standing: the refusal is what the student knows.
			key := claimKey{a.course, a.person}
			if a.Status == "none" && last[key] != "" {
				continue
			}
			last[key] = a.kindOf()
		}
	}
	counts := map[string]int{}
	for _, kind := range last {
		counts[kind]++
	}
	return counts
}

func (s *Summary) addLeaving(l *leaving) {
	s.Leaving = Leaving{SeatsGivenBack: l.left, MovedUp: l.moved, LateDuplicates: l.late}
	if len(l.seen) > 0 {
		seen := play.Summarize(play.Histogram(l.seen))
		s.Leaving.SeenMS = &seen
	}
}

func (s *Summary) addMirror(there bool, behind time.Duration, most uint64) {
	if there {
		s.Mirror = &Mirror{LastClaimSeconds: max(0, behind.Seconds()), MostEventsBehind: most}
	}
}

// write shows the summary as was asked for.
func (s *Summary) write(cfg *Config) error {
	if cfg.Report != "" {
		if err := s.writePage(cfg.Report); err != nil {
			return err
		}
	}
	if cfg.JSON {
		enc := json.NewEncoder(cfg.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	_, err := cfg.Stdout.Write(s.table())
	return err
}

// kinds gives the keys of counts in the order in which a person asks for them; what is left follows by name.
func kinds(counts map[string]int) []string {
	var names []string
	for _, name := range []string{"seated", "offered", "waiting", "full", "released", "none", "busy", "unknown"} {
		if counts[name] > 0 {
			names = append(names, name)
		}
	}
	known := len(names)
	for name := range counts {
		if !slices.Contains(names[:known], name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[known:])
	return names
}

// seconds of the log's time since act 2 began.
func (s *Summary) seconds(at seat.Time) float64 { return at.Std().Sub(s.began).Seconds() }
