package server

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/internal/live"
	"holdfast/internal/wire"
)

// socketMetrics are those of the connections that stay open.
type socketMetrics struct {
	pushes map[string]prometheus.Counter
	ends   map[int]prometheus.Counter
	lost   prometheus.Counter
}

func (m *socketMetrics) register(h *sockets) error {
	pushes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_pushes_total",
		Help: "What connections were told without asking, by kind."}, []string{"kind"})
	ends := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_sockets_closed_total",
		Help: "Connections that the server closed, by close code; dead: those not heard any more."}, []string{"code"})
	m.pushes, m.ends, m.lost = map[string]prometheus.Counter{}, map[int]prometheus.Counter{}, ends.WithLabelValues("dead")
	for _, kind := range []string{live.Claims, live.Pool, live.Opening} {
		m.pushes[kind] = pushes.WithLabelValues(kind)
	}
	for _, c := range wire.Closings() {
		m.ends[c.Close] = ends.WithLabelValues(strconv.Itoa(c.Close))
	}
	for _, c := range []prometheus.Collector{pushes, ends,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "holdfast_sockets", Help: "Open connections: WebSockets, and streams of a person's events."},
			func() float64 { return float64(h.inside.inside.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "holdfast_sockets_strangers", Help: "Connections that have not said who they are."},
			func() float64 { return float64(h.strangers.inside.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "holdfast_watches", Help: "People whose claims connections follow, each time counted."},
			func() float64 { return float64(h.following().Watches) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "holdfast_subscriptions", Help: "Pools that connections follow, each time counted."},
			func() float64 { return float64(h.following().Subscriptions) }),
	} {
		if err := h.cfg.Registerer.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *socketMetrics) pushed(kind string) {
	if c, ok := m.pushes[kind]; ok {
		c.Inc()
	}
}

func (m *socketMetrics) cut(code int) {
	if c, ok := m.ends[code]; ok {
		c.Inc()
	}
}

func (m *socketMetrics) dead() { m.lost.Inc() }
