package mirror

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds prometheus.Histogram
	rows    prometheus.Histogram
	retries prometheus.Counter
}

func newMetrics(m *Mirror, reg prometheus.Registerer) (*metrics, error) {
	made := &metrics{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_mirror_batch_seconds",
			Help: "Time of one transaction of the mirror.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
		rows: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_mirror_batch_events",
			Help: "Events of one transaction of the mirror.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "holdfast_mirror_retries_total",
			Help: "How often the mirror lost or did not get its database and tried again."}),
	}
	if reg == nil {
		return made, nil
	}
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(m.Status()) })
	}
	for _, c := range []prometheus.Collector{
		made.seconds, made.rows, made.retries,
		gauge("holdfast_mirror_recorded_seq", "The last event that is committed in the database.",
			func(s Status) float64 { return float64(s.Seq) }),
		gauge("holdfast_mirror_lag_events", "Durable events that are not in the database yet.",
			func(s Status) float64 { return float64(s.LagEvents) }),
		gauge("holdfast_mirror_lag_seconds", "Age of the oldest durable event that is not in the database yet.",
			func(s Status) float64 { return s.Lag.Seconds() }),
		gauge("holdfast_mirror_halted", "1 when the mirror is halted: its tables contradict the log.",
			func(s Status) float64 {
				if s.State == Halted {
					return 1
				}
				return 0
			}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (m *metrics) batch(rows int, took time.Duration) {
	m.rows.Observe(float64(rows))
	m.seconds.Observe(took.Seconds())
}
