package play

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"math"
	"os"
)

//go:embed page.css
var pageStyle string

//go:embed chart.html
var chartSource string

// WritePage writes a report: one page that needs nothing from elsewhere. Its template may use style, number, duration, seconds
// and the template chart, of a Chart, beside the functions given.
func WritePage(file, source string, more template.FuncMap, shown any) error {
	functions := template.FuncMap{
		"style": func() template.CSS { return template.CSS(pageStyle) }, "number": Number, "duration": Duration,
		"seconds": func(s float64) string { return Duration(s * 1000) },
	}
	maps.Copy(functions, more)
	t, err := template.New("page").Funcs(functions).Parse(source)
	if err == nil {
		_, err = t.Parse(chartSource)
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, shown); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// Chart is a chart in the coordinates of its drawing: 720 by 244, the plot from (PlotX, PlotY).
type Chart struct {
	Title  string
	Lines  []Plotted
	X, Y   []Mark
	Legend bool
}

// Plotted is a line of a chart, or with Fill an area.
type Plotted struct {
	Name, Class, Path string
	Fill              bool
}

// Mark is a label at an axis.
type Mark struct {
	At   float64
	Text string
}

// The plot's place within a chart.
const (
	PlotX, PlotY          = 64.0, 14.0
	PlotWidth, PlotHeight = 620.0, 200.0
)

// TimeMarks labels an axis of so many seconds.
func TimeMarks(span float64) (marks []Mark) {
	step := RoundStep(span / 6)
	for i := 0; float64(i)*step <= span; i++ {
		marks = append(marks, Mark{PlotX + PlotWidth*float64(i)*step/span, fmt.Sprintf("%.4g s", float64(i)*step)})
	}
	return marks
}

// RoundStep is the next of 1, 2, 5, 10, 20 … of the right size.
func RoundStep(least float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(least)))
	for _, n := range []float64{1, 2, 5} {
		if n*unit >= least {
			return n * unit
		}
	}
	return 10 * unit
}

// Share is a percentage; what is there is never shown as nothing.
func Share(n, of int) string {
	if p := 100 * float64(n) / float64(max(1, of)); p >= 0.05 || n == 0 {
		return fmt.Sprintf("%.1f %%", p)
	}
	return "< 0.1 %"
}
