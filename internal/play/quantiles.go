package play

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Percentiles of a duration, in milliseconds.
type Percentiles struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
	Count int64   `json:"count"`
}

// longest is the longest duration that a histogram tells from a longer one.
const longest = 10 * time.Minute

// Histogram counts durations to three digits, in microseconds; negative ones were not observed.
func Histogram(ds []time.Duration) *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, longest.Microseconds(), 3)
	for _, d := range ds {
		if d >= 0 {
			_ = h.RecordValue(min(max(d, time.Microsecond), longest).Microseconds()) // within its range
		}
	}
	return h
}

// Summarize takes the percentiles from a histogram of microseconds.
func Summarize(h *hdrhistogram.Histogram) Percentiles {
	at := func(p float64) float64 { return float64(h.ValueAtQuantile(p)) / 1000 }
	return Percentiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000, Count: h.TotalCount()}
}

// Milliseconds is a duration as JSON has it.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
