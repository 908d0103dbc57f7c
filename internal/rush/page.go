package rush

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"holdfast/internal/play"
)

//go:embed page.html
var pageSource string

// writePage writes the report: one page that needs nothing from elsewhere.
func (s *Summary) writePage(file string) error {
	return play.WritePage(file, pageSource, template.FuncMap{
		"word": word, "whole": func(n float64) string { return play.Number(int(n)) }, "order": func() []string { return observed },
		"observations": func(p play.Percentiles) string { return play.Number(int(p.Count)) },
	}, s.page())
}

// page is what the template shows.
type page struct {
	*Summary
	Where, Comparison string
	Curves            []play.Chart // latency, act by act
	Filling           *play.Chart
	Traffic           *play.Chart // nil: nobody was on a connection of their own
	Bars              []bar
	Told              int // the sum of Bars
}

type bar struct {
	Name, Number string
	Width        float64
	Share        string
}

func (s *Summary) page() page {
	p := page{Summary: s, Where: s.where(), Comparison: s.comparison(), Told: s.AnswersTotal}
	for i := range s.Acts {
		p.Curves = append(p.Curves, s.Acts[i].curve(fmt.Sprintf("Act %d", i+1)))
	}
	p.Filling, p.Traffic = s.fillingChart(), s.trafficChart()
	most := 1
	for _, n := range s.Answers {
		most = max(most, n)
	}
	for _, kind := range kinds(s.Answers) {
		n := s.Answers[kind]
		p.Bars = append(p.Bars, bar{word(kind), play.Number(n), max(2, 100*float64(n)/float64(most)),
			play.Share(n, s.AnswersTotal)})
	}
	return p
}

// curve draws latency against the percentile, on the scale that gives every nine the same room.
func (a *Act) curve(title string) play.Chart {
	c := play.Chart{Title: title, Legend: true}
	nines := 1.0
	low, high := math.Inf(1), 0.0
	for _, h := range a.histograms {
		if n := h.TotalCount(); n > 0 {
			nines = max(nines, math.Log10(float64(n)))
			low = min(low, math.Max(0.01, float64(h.ValueAtQuantile(5))/1000))
			high = max(high, float64(h.Max())/1000)
		}
	}
	if high == 0 {
		return c
	}
	nines = min(nines, 5)
	bottom, top := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high*1.0001))
	x := func(quantile float64) float64 {
		return play.PlotX + play.PlotWidth*math.Min(1, -math.Log10(math.Max(1e-9, 1-quantile))/nines)
	}
	y := func(ms float64) float64 {
		return play.PlotY + play.PlotHeight*(1-(math.Max(math.Log10(ms), bottom)-bottom)/(top-bottom))
	}
	for _, name := range observed {
		if h := a.histograms[name]; h.TotalCount() > 0 {
			c.Lines = append(c.Lines, play.Plotted{Name: "to " + name, Class: name, Path: quantilePath(h, nines, x, y)})
		}
	}
	for n, text := range []string{"0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"} {
		if float64(n) <= nines {
			c.X = append(c.X, play.Mark{At: x(1 - math.Pow(10, -float64(n))), Text: text})
		}
	}
	c.X = append(c.X, play.Mark{At: x(0.5), Text: "50 %"})
	for e := bottom; e <= top; e++ {
		c.Y = append(c.Y, play.Mark{At: y(math.Pow(10, e)), Text: axisTime(math.Pow(10, e))})
	}
	return c
}

func axisTime(ms float64) string {
	if ms >= 1000 {
		return fmt.Sprintf("%g s", ms/1000)
	}
	return fmt.Sprintf("%g ms", ms)
}

func quantilePath(h *hdrhistogram.Histogram, nines float64, x, y func(float64) float64) string {
	var b strings.Builder
	const steps = 160
	for i := range steps + 1 {
		q := 1 - math.Pow(10, -nines*float64(i)/steps)
		ms := float64(h.ValueAtQuantile(q*100)) / 1000
		if i == steps {
			ms = float64(h.Max()) / 1000
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], x(q), y(ms))
	}
	return b.String()
}

// fillingChart draws how the seats of act 2 filled, and how the lines grew, over time. Nil: nothing happened.
func (s *Summary) fillingChart() *play.Chart {
	span := s.Acts[1].Seconds
	if len(s.filling) == 0 || span <= 0 {
		return nil
	}
	mostSeats, mostInLine := max(1, s.Seats), 1
	for _, f := range s.filling {
		mostInLine = max(mostInLine, f.inLine)
	}
	const steps = 320
	var seated, inLine strings.Builder
	next, last := 0, filling{}
	for i := range steps + 1 {
		t := span * float64(i) / steps
		for next < len(s.filling) && s.seconds(s.filling[next].at) <= t {
			last = s.filling[next]
			next++
		}
		x := play.PlotX + play.PlotWidth*float64(i)/steps
		c := "ML"[min(i, 1)]
		fmt.Fprintf(&seated, "%c%.1f %.1f", c, x, play.PlotY+play.PlotHeight*(1-float64(last.seated)/float64(mostSeats)))
		fmt.Fprintf(&inLine, "%c%.1f %.1f", c, x, play.PlotY+play.PlotHeight*(1-float64(last.inLine)/float64(mostInLine)))
	}
	c := &play.Chart{Title: "Seats filling", Legend: true, Lines: []play.Plotted{
		{Name: fmt.Sprintf("seats taken (100 %% = %s)", play.Number(mostSeats)), Class: "confirmed", Path: seated.String()},
		{Name: fmt.Sprintf("places in line (100 %% = %s)", play.Number(mostInLine)), Class: "preapproved", Path: inLine.String()},
	}}
	for i := range 5 {
		c.Y = append(c.Y, play.Mark{At: play.PlotY + play.PlotHeight*(1-float64(i)/4), Text: fmt.Sprintf("%d %%", i*25)})
	}
	c.X = play.TimeMarks(span)
	return c
}

// trafficChart draws answers and pushes over time, from the opening on. Nil: nobody was on a connection of their own.
func (s *Summary) trafficChart() *play.Chart {
	if s.Live == nil || len(s.Live.traffic) == 0 {
		return nil
	}
	span := float64(len(s.Live.traffic)) * pulseWidth.Seconds()
	most := 1
	for _, t := range s.Live.traffic {
		most = max(most, t.answers, t.pushes)
	}
	var answers, pushes strings.Builder
	for i, t := range s.Live.traffic {
		x := play.PlotX + play.PlotWidth*float64(i)/float64(max(1, len(s.Live.traffic)-1))
		c := "ML"[min(i, 1)]
		fmt.Fprintf(&answers, "%c%.1f %.1f", c, x, play.PlotY+play.PlotHeight*(1-float64(t.answers)/float64(most)))
		fmt.Fprintf(&pushes, "%c%.1f %.1f", c, x, play.PlotY+play.PlotHeight*(1-float64(t.pushes)/float64(most)))
	}
	c := &play.Chart{Title: "Answers and pushes over time", Legend: true, Lines: []play.Plotted{
		{Name: "answers", Class: "confirmed", Path: answers.String()}, {Name: "pushes", Class: "preapproved", Path: pushes.String()},
	}}
	for i := range 5 {
		perSecond := float64(most) * float64(i) / 4 / pulseWidth.Seconds()
		c.Y = append(c.Y, play.Mark{At: play.PlotY + play.PlotHeight*(1-float64(i)/4), Text: play.Number(int(perSecond))})
	}
	c.X = play.TimeMarks(span)
	return c
}
