package shift

import (
	"math"
	"math/rand/v2"
	"time"
)

// The regular calls of the bank in Brown et al. 2005 took 188 s on average, with a standard deviation of 240 s, and were
// lognormal.
const (
	meanTalk   = 188 * time.Second
	spreadTalk = 240.0 / 188.0 // the standard deviation of a talk, as a share of its mean
)

// Others of the same kind, which that article does not give: people answer an offer in 8 s on average and lose patience after
// ten minutes of waiting.
const (
	spreadThink  = 0.6
	meanPatience = 10 * time.Minute // exponential
	meanRest     = time.Minute      // of a pause, exponential
)

// lognormal draws a duration with the given mean, and a standard deviation of spread times that.
func lognormal(rng *rand.Rand, mean time.Duration, spread float64) time.Duration {
	if mean <= 0 {
		return 0
	}
	sigma2 := math.Log1p(spread * spread)
	x := math.Exp(math.Log(float64(mean)) - sigma2/2 + math.Sqrt(sigma2)*rng.NormFloat64())
	return time.Duration(math.Min(x, float64(24*time.Hour)))
}

// exponential draws a duration with the given mean.
func exponential(rng *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(rng.ExpFloat64() * float64(mean))
}

// dayCurve is how many come at each part of a day, from its first call to its last, as multiples of the mean: a climb in the
// morning, a peak before and one after noon, a quiet evening. The shape is that of the bank's weekdays; the values are ours.
var dayCurve = [...]float64{0.35, 0.85, 1.40, 1.75, 1.80, 1.45, 1.30, 1.50, 1.55, 1.30, 0.95, 0.70, 0.65, 0.75, 0.70, 0.45, 0.25}

// curve is a rate over a shift, as multiples of its mean.
type curve struct {
	knots []float64 // evenly spread, the first at the begin and the last at the end; straight lines between
	mean  float64   // of the lines
	most  float64
}

func newCurve(knots []float64) curve {
	c := curve{knots: knots}
	for i, k := range knots {
		c.most = max(c.most, k)
		if i > 0 {
			c.mean += (k + knots[i-1]) / 2 / float64(len(knots)-1)
		}
	}
	return c
}

// at is the rate at a point of the shift, 0 to 1, as a multiple of the mean.
func (c *curve) at(point float64) float64 {
	x := point * float64(len(c.knots)-1)
	i := min(int(x), len(c.knots)-2)
	return (c.knots[i] + (x-float64(i))*(c.knots[i+1]-c.knots[i])) / c.mean
}

// poisson draws the instants of an inhomogeneous Poisson process of rate mean times c over a span, by thinning: a homogeneous
// one at the highest rate, of which each instant is kept with the share that its rate has of the highest.
func (c *curve) poisson(rng *rand.Rand, mean float64, span time.Duration) (instants []time.Duration) {
	highest := mean * c.most / c.mean
	for t := 0.0; ; {
		t += rng.ExpFloat64() / highest
		if t >= span.Seconds() {
			return instants
		}
		if rng.Float64()*highest < mean*c.at(t/span.Seconds()) {
			instants = append(instants, time.Duration(t*float64(time.Second)))
		}
	}
}

// ranks draws from so many, of which rank k is wanted in proportion to 1/k^skew.
type ranks struct{ sums []float64 }

func newRanks(n int, skew float64) ranks {
	r := ranks{make([]float64, n)}
	sum := 0.0
	for k := range n {
		sum += math.Pow(float64(k+1), -skew)
		r.sums[k] = sum
	}
	return r
}

func (r *ranks) draw(rng *rand.Rand) int {
	x := rng.Float64() * r.sums[len(r.sums)-1]
	low, high := 0, len(r.sums)-1
	for low < high {
		if mid := (low + high) / 2; r.sums[mid] <= x {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
