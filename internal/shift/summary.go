package shift

import (
	"cmp"
	"encoding/json"
	"maps"
	"runtime"
	"slices"
	"time"

	"holdfast/desk"
	"holdfast/internal/play"
	"holdfast/internal/sim"
)

// Summary is the outcome of a shift: the table, the page and the JSON object show it. docs/SHIFT.md says what each key means.
type Summary struct {
	Server   string  `json:"server"` // "child", or the target's URL
	Realm    string  `json:"realm"`
	Seed     uint64  `json:"seed"`
	CPUs     int     `json:"cpus"`
	Data     string  `json:"data,omitempty"`
	Compress float64 `json:"compress"`

	Desks              int     `json:"desks"`
	Agents             int     `json:"agents"` // of each desk
	AgentsWanted       int     `json:"agents_wanted"`
	Clients            int     `json:"clients"` // connections
	ConnectSeconds     float64 `json:"connect_seconds"`
	BytesPerConnection *int64  `json:"bytes_per_connection"` // null: the server's memory cannot be seen
	Seconds            float64 `json:"seconds"`              // in which clients came

	Came     int            `json:"came"`     // clients
	Late     int            `json:"late"`     // came later than planned: all connections of clients were in use
	Phoned   int            `json:"phoned"`   // over HTTP
	Outcomes map[string]int `json:"outcomes"` // how it ended for the clients: states of requests, codes of refusals
	Requests int            `json:"requests"` // made, by the log
	Sessions int            `json:"sessions"`
	Offers   map[string]int `json:"offers"` // by outcome
	Cycles   float64        `json:"sessions_per_second"`

	ToOfferMS      play.Percentiles `json:"to_offer_ms"`       // from the sending of the request until the agent had the offer
	ToOfferReadyMS play.Percentiles `json:"to_offer_ready_ms"` // of those for whom somebody was ready
	ToAcceptMS     play.Percentiles `json:"to_accept_ms"`      // until the client heard that somebody had accepted

	DoubleAssignments int `json:"double_assignments"`
	Stuck             int `json:"stuck"`
	Overtaken         int `json:"overtaken"`

	Kills         int               `json:"kills"`
	OutagesMS     []float64         `json:"outages_ms"`
	PendingAtKill []int             `json:"offers_pending_at_kill"`
	Cut           int               `json:"connections_cut"`
	Superseded    int               `json:"connections_superseded"`
	Broken        int               `json:"broken_connections"`
	PutOff        int               `json:"put_off"`
	Events        int               `json:"events"`
	Compared      int               `json:"compared"`
	Checks        map[string]uint64 `json:"checks"`
	Violations    int               `json:"violations"`
	ViolationList []sim.Violation   `json:"violation_list"`

	lines    []point
	opened   time.Time
	killedAt []time.Duration // since opened
	cfg      *Config
}

func summarize(s *performance, v *verdict) *Summary {
	f := s.floor
	out := &Summary{
		Server: cmp.Or(s.cfg.Target, "child"), Realm: f.realm, Seed: s.cfg.Seed, CPUs: runtime.NumCPU(), Data: s.cfg.Data, Compress: s.cfg.Compress,
		Desks: s.cfg.Desks, Agents: s.cfg.Agents, AgentsWanted: s.wanted, Clients: s.cfg.Clients, ConnectSeconds: s.connecting.Seconds(),
		Seconds: (s.closed - s.opened).Seconds(), Came: int(f.tally.came.Load()), Late: int(f.tally.late.Load()), Phoned: len(f.hands.rung),
		Outcomes: map[string]int{}, Requests: int(v.Requests), Sessions: int(v.Sessions), Offers: map[string]int{},
		DoubleAssignments: int(v.DoubleAssignments), Stuck: max(int(v.StuckInInit), s.left.Init), Overtaken: int(v.Overtaken),
		Kills: len(s.outages), OutagesMS: []float64{}, PendingAtKill: v.lines.pending, Cut: int(f.tally.cut.Load()),
		Superseded: int(f.tally.told4409.Load()), Broken: int(f.tally.broken.Load()), PutOff: int(f.tally.putOff.Load()),
		Events: int(v.DeskReport.Events), Compared: int(v.Compared), Checks: maps.Clone(v.Checks),
		Violations: v.Found + v.found, ViolationList: append(slices.Clone(v.list), v.DeskReport.Violations...),
		lines: v.lines.points, opened: f.began.Add(s.opened), cfg: s.cfg,
	}
	for name, n := range v.checks {
		out.Checks[name] += n
	}
	out.ViolationList = out.ViolationList[:min(len(out.ViolationList), listedViolations)]
	if out.ViolationList == nil {
		out.ViolationList = []sim.Violation{}
	}
	if out.PendingAtKill == nil {
		out.PendingAtKill = []int{}
	}
	for state, n := range v.Offers {
		if n > 0 || desk.OfferState(state) != desk.Pending {
			out.Offers[desk.OfferState(state).String()] = int(n)
		}
	}
	for _, o := range s.outages {
		out.OutagesMS = append(out.OutagesMS, play.Milliseconds(o.ended-o.began))
		out.killedAt = append(out.killedAt, o.began-s.opened)
	}
	if connections := len(f.hands.agents); s.empty > 0 && s.full > s.empty {
		each := (s.full - s.empty) / int64(connections)
		out.BytesPerConnection = &each
	}
	out.addTimes(f, v)
	return out
}

// addTimes joins what clients sent with what agents saw.
func (s *Summary) addTimes(f *floor, v *verdict) {
	seen := map[uint64]sight{} // by request: the first offer
	for _, a := range f.hands.agents {
		for _, x := range a.seen {
			if first, there := seen[x.request]; !there || x.offer < first.offer {
				seen[x.request] = x
			}
		}
	}
	var toOffer, toReady, toAccept []time.Duration
	accepted := 0
	take := func(c *call) {
		s.Outcomes[cmp.Or(c.outcome, "unknown")]++
		if x, there := seen[c.request]; there && c.request != 0 {
			toOffer = append(toOffer, x.at-c.sent)
			if v.requests[c.request].atOnce {
				toReady = append(toReady, x.at-c.sent)
			}
		}
		if c.accepted > 0 {
			toAccept = append(toAccept, c.accepted-c.sent)
		}
		if c.outcome == desk.Done.String() && c.ended <= s.span(f) {
			accepted++
		}
	}
	for _, c := range f.hands.clients {
		for i := range c.calls {
			take(&c.calls[i])
		}
	}
	for _, c := range f.hands.rung {
		take(&c.call)
	}
	if s.Seconds > 0 {
		s.Cycles = float64(accepted) / s.Seconds
	}
	s.ToOfferMS, s.ToOfferReadyMS = play.Summarize(play.Histogram(toOffer)), play.Summarize(play.Histogram(toReady))
	s.ToAcceptMS = play.Summarize(play.Histogram(toAccept))
}

// span is when the last client had come, since the shift began.
func (s *Summary) span(f *floor) time.Duration {
	return s.opened.Sub(f.began) + time.Duration(s.Seconds*float64(time.Second))
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
