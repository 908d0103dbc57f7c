package rush

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"os"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"holdfast/internal/play"
)

//go:embed page.html
var pageSource string

// writePage writes the report: one page that needs nothing from elsewhere.
func (s *Summary) writePage(file string) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"number": play.Number, "duration": play.Duration, "seconds": func(s float64) string { return play.Duration(s * 1000) }, "word": word,
		"whole": func(n float64) string { return play.Number(int(n)) }, "order": func() []string { return observed },
		"observations": func(p play.Percentiles) string { return play.Number(int(p.Count)) },
	}).Parse(pageSource)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s.page()); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// page is what the template shows.
type page struct {
	*Summary
	Where, Comparison string
	Curves            []chart // latency, act by act
	Filling           *chart
	Traffic           *chart // nil: nobody was on a connection of their own
	Bars              []bar
	Told              int // the sum of Bars
}

// chart is a line chart in the coordinates of its drawing: 720 by 260, the plot from (plotX, plotY).
type chart struct {
	Title  string
	Lines  []plotted
	X, Y   []mark
	Legend bool
}

type plotted struct {
	Name, Class, Path string
}

// mark is a label at an axis.
type mark struct {
	At   float64
	Text string
}

type bar struct {
	Name, Number string
	Width        float64
	Share        string
}

// The plot's place within a chart.
const (
	plotX, plotY          = 64.0, 14.0
	plotWidth, plotHeight = 620.0, 200.0
)

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
			share(n, s.AnswersTotal)})
	}
	return p
}

// curve draws latency against the percentile, on the scale that gives every nine the same room.
func (a *Act) curve(title string) chart {
	c := chart{Title: title, Legend: true}
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
		return plotX + plotWidth*math.Min(1, -math.Log10(math.Max(1e-9, 1-quantile))/nines)
	}
	y := func(ms float64) float64 {
		return plotY + plotHeight*(1-(math.Max(math.Log10(ms), bottom)-bottom)/(top-bottom))
	}
	for _, name := range observed {
		if h := a.histograms[name]; h.TotalCount() > 0 {
			c.Lines = append(c.Lines, plotted{"to " + name, name, quantilePath(h, nines, x, y)})
		}
	}
	for n, text := range []string{"0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"} {
		if float64(n) <= nines {
			c.X = append(c.X, mark{x(1 - math.Pow(10, -float64(n))), text})
		}
	}
	c.X = append(c.X, mark{x(0.5), "50 %"})
	for e := bottom; e <= top; e++ {
		c.Y = append(c.Y, mark{y(math.Pow(10, e)), axisTime(math.Pow(10, e))})
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
func (s *Summary) fillingChart() *chart {
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
		x := plotX + plotWidth*float64(i)/steps
		c := "ML"[min(i, 1)]
		fmt.Fprintf(&seated, "%c%.1f %.1f", c, x, plotY+plotHeight*(1-float64(last.seated)/float64(mostSeats)))
		fmt.Fprintf(&inLine, "%c%.1f %.1f", c, x, plotY+plotHeight*(1-float64(last.inLine)/float64(mostInLine)))
	}
	c := &chart{Title: "Seats filling", Legend: true, Lines: []plotted{
		{fmt.Sprintf("seats taken (100 %% = %s)", play.Number(mostSeats)), "confirmed", seated.String()},
		{fmt.Sprintf("places in line (100 %% = %s)", play.Number(mostInLine)), "preapproved", inLine.String()},
	}}
	for i := range 5 {
		c.Y = append(c.Y, mark{plotY + plotHeight*(1-float64(i)/4), fmt.Sprintf("%d %%", i*25)})
	}
	step := roundStep(span / 6)
	for i := 0; float64(i)*step <= span; i++ {
		c.X = append(c.X, mark{plotX + plotWidth*float64(i)*step/span, fmt.Sprintf("%.4g s", float64(i)*step)})
	}
	return c
}

// trafficChart draws answers and pushes over time, from the opening on. Nil: nobody was on a connection of their own.
func (s *Summary) trafficChart() *chart {
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
		x := plotX + plotWidth*float64(i)/float64(max(1, len(s.Live.traffic)-1))
		c := "ML"[min(i, 1)]
		fmt.Fprintf(&answers, "%c%.1f %.1f", c, x, plotY+plotHeight*(1-float64(t.answers)/float64(most)))
		fmt.Fprintf(&pushes, "%c%.1f %.1f", c, x, plotY+plotHeight*(1-float64(t.pushes)/float64(most)))
	}
	c := &chart{Title: "Answers and pushes over time", Legend: true, Lines: []plotted{
		{"answers", "confirmed", answers.String()}, {"pushes", "preapproved", pushes.String()},
	}}
	for i := range 5 {
		perSecond := float64(most) * float64(i) / 4 / pulseWidth.Seconds()
		c.Y = append(c.Y, mark{plotY + plotHeight*(1-float64(i)/4), play.Number(int(perSecond))})
	}
	step := roundStep(span / 6)
	for i := 0; float64(i)*step <= span; i++ {
		c.X = append(c.X, mark{plotX + plotWidth*float64(i)*step/span, fmt.Sprintf("%.4g s", float64(i)*step)})
	}
	return c
}

// roundStep is the next of 1, 2, 5, 10, 20 … of the right size.
func roundStep(least float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(least)))
	for _, n := range []float64{1, 2, 5} {
		if n*unit >= least {
			return n * unit
		}
	}
	return 10 * unit
}

// share is a percentage; what is there is never shown as nothing.
func share(n, of int) string {
	if p := 100 * float64(n) / float64(max(1, of)); p >= 0.05 || n == 0 {
		return fmt.Sprintf("%.1f %%", p)
	}
	return "< 0.1 %"
}
