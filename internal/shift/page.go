package shift

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"

	"holdfast/desk"
	"holdfast/internal/play"
)

//go:embed page.html
var pageSource string

// writePage writes the report: one page that needs nothing from elsewhere.
func (s *Summary) writePage(file string) error {
	return play.WritePage(file, pageSource, template.FuncMap{
		"words": words, "count": play.Count, "observations": func(p play.Percentiles) string { return play.Number(int(p.Count)) },
	}, s.page())
}

// page is what the template shows.
type page struct {
	*Summary
	Where, Staffed, Rhythm, Comparison string
	States                             *play.Chart // agents by state over time
	Working, Waiting, Oldest           *play.Chart
	Times                              []timed
	Ended, Offered                     []bar
}

type timed struct {
	Name string
	play.Percentiles
}

type bar struct {
	Name, Number string
	Width        float64
	Share        string
}

func (s *Summary) page() page {
	p := page{Summary: s, Where: s.where(), Staffed: s.staffed(), Rhythm: s.rhythm(), Comparison: s.comparison(),
		Times: []timed{{"to the offer, an agent being ready", s.ToOfferReadyMS}, {"to the offer", s.ToOfferMS}, {"to the accept", s.ToAcceptMS}},
		Ended: bars(s.Outcomes, ordered(s.Outcomes, outcomes)), Offered: bars(s.Offers, ordered(s.Offers, offers)),
	}
	if d := newDrawing(s); d != nil {
		p.States, p.Working, p.Waiting, p.Oldest = d.states(), d.working(), d.waiting(), d.oldest()
	}
	return p
}

func bars(counts map[string]int, names []string) (all []bar) {
	most, sum := 1, 0
	for _, n := range counts {
		most, sum = max(most, n), sum+n
	}
	for _, name := range names {
		n := counts[name]
		all = append(all, bar{words(name), play.Number(n), max(1, 100*float64(n)/float64(most)), play.Share(n, sum)})
	}
	return all
}

// drawing is the shift over time, from when clients may come until the last agent has gone.
type drawing struct {
	points []point // one for each step, from left to right
	span   float64 // seconds
	agents int
	kills  []float64 // seconds
}

// drawSteps is how fine the charts are.
const drawSteps = 320

// newDrawing samples what the log told; nil: nothing happened.
func newDrawing(s *Summary) *drawing {
	if len(s.lines) == 0 {
		return nil
	}
	first, last := desk.Time(s.opened.UnixMicro()), s.lines[len(s.lines)-1].at
	d := &drawing{span: float64(last-first) / 1e6, agents: s.Desks * s.Agents}
	if d.span <= 0 {
		return nil
	}
	next, now := 0, point{}
	for i := range drawSteps + 1 {
		t := first + (last-first)*desk.Time(i)/drawSteps
		for next < len(s.lines) && s.lines[next].at <= t {
			now = s.lines[next]
			next++
		}
		at := now
		at.at = t
		d.points = append(d.points, at)
	}
	for _, at := range s.killedAt {
		d.kills = append(d.kills, at.Seconds())
	}
	return d
}

func plotAt(i int) float64 { return play.PlotX + play.PlotWidth*float64(i)/drawSteps }

// scale is the height of a value that may be most.
func scale(v, most float64) float64 { return play.PlotY + play.PlotHeight*(1-v/most) }

// states stacks the agents: busy at the bottom, then those with an offer, the idle, and the offline on top.
func (d *drawing) states() *play.Chart {
	return d.stack("Agents by state", float64(d.agents), desk.Busy, desk.Init, desk.Idle, desk.Offline)
}

// working stacks those who are not idle, where they are too few to be seen among all; nil: they are not.
func (d *drawing) working() *play.Chart {
	most := 0.0
	for i := range d.points {
		p := &d.points[i]
		most = max(most, float64(p.states[desk.Busy]+p.states[desk.Init]))
	}
	if most == 0 || most > float64(d.agents)/3 {
		return nil
	}
	step := play.RoundStep(most / 4)
	return d.stack("Agents at work", step*math.Ceil(most/step), desk.Busy, desk.Init)
}

// stack draws states one upon the other.
func (d *drawing) stack(title string, most float64, states ...desk.AgentState) *play.Chart {
	c := &play.Chart{Title: title, Legend: true}
	floor := make([]float64, len(d.points))
	for _, state := range states {
		var up, down strings.Builder
		for i, p := range d.points {
			top := floor[i] + float64(max(0, p.states[state]))/most
			fmt.Fprintf(&up, "%c%.1f %.1f", "ML"[min(i, 1)], plotAt(i), scale(min(top, 1), 1))
			k := len(d.points) - 1 - i
			fmt.Fprintf(&down, "L%.1f %.1f", plotAt(k), scale(min(floor[k], 1), 1))
		}
		for i, p := range d.points {
			floor[i] += float64(max(0, p.states[state])) / most
		}
		name := state.String()
		if state == desk.Init {
			name = "init: an offer is before them"
		}
		c.Lines = append(c.Lines, play.Plotted{Name: name, Class: state.String(), Path: up.String() + down.String() + "Z", Fill: true})
	}
	step := max(1, play.RoundStep(most/4))
	for n := 0.0; n <= most; n += step {
		c.Y = append(c.Y, play.Mark{At: scale(n, most), Text: play.Number(int(n))})
	}
	return d.overTime(c)
}

func (d *drawing) waiting() *play.Chart {
	return d.line("Requests that wait", func(p *point) float64 { return float64(p.waiting) }, func(v float64) string { return play.Number(int(v)) })
}

func (d *drawing) oldest() *play.Chart {
	return d.line("How long the first of them waits", func(p *point) float64 {
		if p.oldest == 0 {
			return 0
		}
		return max(0, float64(p.at-p.oldest)/1e6)
	}, func(v float64) string { return fmt.Sprintf("%.3g s", v) })
}

// line draws one value over time.
func (d *drawing) line(title string, value func(*point) float64, label func(float64) string) *play.Chart {
	most := 0.0
	for i := range d.points {
		most = max(most, value(&d.points[i]))
	}
	if most == 0 {
		return nil
	}
	step := play.RoundStep(most / 4)
	top := step
	for top < most {
		top += step
	}
	var b strings.Builder
	for i := range d.points {
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], plotAt(i), scale(value(&d.points[i]), top))
	}
	c := &play.Chart{Title: title, Lines: []play.Plotted{{Name: title, Class: "confirmed", Path: b.String()}}}
	for v := 0.0; v <= top*1.001; v += step {
		c.Y = append(c.Y, play.Mark{At: scale(v, top), Text: label(v)})
	}
	return d.overTime(c)
}

// overTime labels the axis of time, and draws the kills.
func (d *drawing) overTime(c *play.Chart) *play.Chart {
	c.X = play.TimeMarks(d.span)
	name := "kill -9"
	for _, at := range d.kills {
		if x := play.PlotX + play.PlotWidth*at/d.span; at >= 0 && at <= d.span {
			c.Lines = append(c.Lines, play.Plotted{Name: name, Class: "kill", Path: fmt.Sprintf("M%.1f %.1fV%.1f", x, play.PlotY, play.PlotY+play.PlotHeight)})
			name = "" // the legend names them once
		}
	}
	return c
}
