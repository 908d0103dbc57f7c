package server

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/auth"
	"holdfast/internal/live"
	"holdfast/internal/wire"
)

// socketMetrics are those of the connections that stay open.
type socketMetrics struct {
	pushes map[string]prometheus.Counter
	ends   map[int]prometheus.Counter
	lost   prometheus.Counter
	roles  map[auth.Role]prometheus.Gauge
}

func (m *socketMetrics) register(h *sockets) error {
	pushes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_pushes_total",
		Help: "What connections were told without asking, by kind."}, []string{"kind"})
	ends := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_sockets_closed_total",
		Help: "Connections that were closed, by close code (1000, 1001: by the other side); dead: those not heard any more. One that breaks off is not counted."}, []string{"code"})
	m.pushes, m.ends, m.lost = map[string]prometheus.Counter{}, map[int]prometheus.Counter{}, ends.WithLabelValues("dead")
	for _, kind := range []string{live.Claims, live.Pool, live.Opening, live.Agent, live.Offer, live.OfferClosed, live.Request, live.Availability} {
		m.pushes[kind] = pushes.WithLabelValues(kind)
	}
	for _, c := range wire.Closings() {
		m.ends[c.Close] = ends.WithLabelValues(strconv.Itoa(c.Close))
	}
	roles := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "holdfast_sockets_known",
		Help: "Open WebSockets that have said who they are, by role."}, []string{"role"})
	m.roles = map[auth.Role]prometheus.Gauge{}
	for _, role := range auth.Roles() {
		m.roles[role] = roles.WithLabelValues(string(role))
	}
	for _, c := range append([]prometheus.Collector{pushes, ends, roles}, h.measures()...) {
		if err := h.cfg.Registerer.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// measures are read when somebody looks.
func (h *sockets) measures() (list []prometheus.Collector) {
	gauge := func(name, help string, read func() float64) {
		list = append(list, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("holdfast_sockets", "Open connections: WebSockets, and streams of a person's events.",
		func() float64 { return float64(h.inside.inside.Load()) })
	gauge("holdfast_sockets_strangers", "Connections that have not said who they are.",
		func() float64 { return float64(h.strangers.inside.Load()) })
	gauge("holdfast_sockets_queued_bytes", "Pushes that wait to be written to WebSockets, in bytes.",
		func() float64 { return float64(h.queued()) })
	gauge("holdfast_watches", "People whose claims connections follow, each time counted.",
		func() float64 { return float64(h.following().Watches) })
	gauge("holdfast_parties", "Agents' devices and clients' connections that are told of their desks.",
		func() float64 { return float64(h.following().Parties) })
	gauge("holdfast_subscriptions", "Pools and desks that connections follow, each time counted.",
		func() float64 { return float64(h.following().Subscriptions) })
	gauge("holdfast_pushes_due", "People, agents, clients, pools and desks that are still to be looked at because something changed.",
		func() float64 { return float64(h.following().Due) })
	gauge("holdfast_pushes_behind_events", "Confirmed events that have not been noted for pushes yet.",
		func() float64 { return float64(h.following().Lag) })
	return list
}

// queued is how many bytes of pushes wait, of all WebSockets.
func (h *sockets) queued() (n int) {
	for _, s := range h.sweeper.all() {
		s.mu.Lock()
		n += s.pushes.unsent
		if s.pushes.buf != nil {
			n += len(*s.pushes.buf)
		}
		s.mu.Unlock()
	}
	return n
}

// came counts a WebSocket that has said who it is; by is 1, or -1 when it leaves.
func (m *socketMetrics) came(role auth.Role, by float64) {
	if c, ok := m.roles[role]; ok {
		c.Add(by)
	}
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
