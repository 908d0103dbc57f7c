package shift

import (
	"math"
	"testing"
	"time"
)

// near says whether a is within a share of b.
func near(a, b, share float64) bool { return math.Abs(a-b) <= share*math.Abs(b) }

// moments gives the mean and the standard deviation of n draws, in seconds.
func moments(n int, draw func() time.Duration) (mean, deviation float64) {
	sum, squares := 0.0, 0.0
	for range n {
		x := draw().Seconds()
		sum, squares = sum+x, squares+x*x
	}
	mean = sum / float64(n)
	return mean, math.Sqrt(squares/float64(n) - mean*mean)
}

func TestTalksAreLognormal(t *testing.T) {
	t.Parallel()
	rng := random(1, 2)
	const n = 200_000
	mean, deviation := moments(n, func() time.Duration { return lognormal(rng, meanTalk, spreadTalk) })
	if !near(mean, 188, 0.02) || !near(deviation, 240, 0.05) {
		t.Errorf("mean %.1f s, standard deviation %.1f s", mean, deviation)
	}
	// The logarithm is normal: half below exp(mu), and as many within one and two sigma as the normal law says.
	sigma := math.Sqrt(math.Log1p(spreadTalk * spreadTalk))
	median := 188 / math.Exp(sigma*sigma/2)
	var below, one, two float64
	for range n {
		z := math.Log(lognormal(rng, meanTalk, spreadTalk).Seconds()/median) / sigma
		if z < 0 {
			below++
		}
		if math.Abs(z) < 1 {
			one++
		}
		if math.Abs(z) < 2 {
			two++
		}
	}
	if !near(below/n, 0.5, 0.02) || !near(one/n, 0.6827, 0.02) || !near(two/n, 0.9545, 0.02) {
		t.Errorf("below the median %.3f, within one sigma %.3f, within two %.3f", below/n, one/n, two/n)
	}
	if lognormal(rng, 0, spreadTalk) != 0 {
		t.Error("a talk of no length has one")
	}
	if mean, deviation := moments(n, func() time.Duration { return exponential(rng, time.Minute) }); !near(mean, 60, 0.02) || !near(deviation, 60, 0.03) {
		t.Errorf("exponential: mean %.1f s, standard deviation %.1f s", mean, deviation)
	}
}

func TestArrivalsArePoisson(t *testing.T) {
	t.Parallel()
	c := newCurve(dayCurve[:])
	const mean, bins, rounds = 200.0, 40, 50
	span := 100 * time.Second
	width := span / bins
	var counts [rounds][bins]float64
	for r := range rounds {
		last := time.Duration(-1)
		for _, at := range c.poisson(random(uint64(r), 1), mean, span) {
			if at < last || at < 0 || at >= span {
				t.Fatalf("an arrival at %v after one at %v", at, last)
			}
			counts[r][at/width]++
			last = at
		}
	}
	total, chi := 0.0, 0.0
	for b := range bins {
		expected := 0.0 // the rate over the bin, by small steps
		const steps = 100
		for k := range steps {
			expected += mean * c.at((float64(b)+(float64(k)+0.5)/steps)/bins) * width.Seconds() / steps
		}
		for r := range rounds {
			d := counts[r][b] - expected
			chi += d * d / expected // of a Poisson count the variance is the mean
			total += counts[r][b]
		}
	}
	if got := total / rounds / span.Seconds(); !near(got, mean, 0.01) {
		t.Errorf("%.1f arrivals a second on average, want %.0f", got, mean)
	}
	// Chi-square with 2,000 degrees of freedom: 2,000 with a standard deviation of 63.
	if chi < 2000-4*63 || chi > 2000+4*63 {
		t.Errorf("chi-square %.0f of 2,000: the counts do not scatter as a Poisson process of this rate does", chi)
	}
}

func TestCurve(t *testing.T) {
	t.Parallel()
	c := newCurve([]float64{0, 2, 1})
	for point, want := range map[float64]float64{0: 0, 0.25: 0.8, 0.5: 1.6, 0.75: 1.2, 1: 0.8} {
		if got := c.at(point); !near(got, want, 1e-9) {
			t.Errorf("at %v the rate is %v, want %v", point, got, want)
		}
	}
}

func TestRanks(t *testing.T) {
	t.Parallel()
	rng, r := random(3, 4), newRanks(4, 1)
	var counts [4]float64
	const n = 100_000
	for range n {
		counts[r.draw(rng)]++
	}
	for k, got := range counts {
		if want := 1 / float64(k+1) / (1 + 1.0/2 + 1.0/3 + 1.0/4); !near(got/n, want, 0.03) {
			t.Errorf("rank %d: %.3f, want %.3f", k+1, got/n, want)
		}
	}
}
