package server

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"holdfast"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// metrics are the server's own. What is counted on the way of a claim is looked up once, here.
type metrics struct {
	decide  prometheus.Histogram
	confirm prometheus.Histogram
	record  prometheus.Histogram

	byRoute   *prometheus.CounterVec
	byStatus  [seat.Statuses]prometheus.Counter
	byCode    map[holdfast.Code]prometheus.Counter
	other     prometheus.Counter
	turned    map[string]prometheus.Counter        // by why
	denied    map[holdfast.Code]prometheus.Counter // by the problem's code
	exhibited http.Handler
}

func newMetrics(s *Server) (*metrics, error) {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_decisions_total",
		Help: "Commands about one person and pool, by what was decided: the standing or the code of the refusal; busy and unknown too."}, []string{"outcome"})
	m := &metrics{
		decide: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_decide_seconds",
			Help: "Time to decide a command, the wait for the shard's lock included.", Buckets: prometheus.ExponentialBuckets(1e-6, 4, 10)}),
		confirm: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_confirm_seconds",
			Help: "Time from taking a command or a read up to its confirmation, of those that waited for it.", Buckets: prometheus.ExponentialBuckets(1e-4, 2, 14)}),
		record: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_record_seconds",
			Help: "Time from taking a command up to its commit in the customer's database, of those that waited for it.", Buckets: prometheus.ExponentialBuckets(1e-3, 2, 16)}),
		byRoute: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_http_requests_total",
			Help: "HTTP requests by route and class of the status."}, []string{"route", "class"}),
		byCode:    map[holdfast.Code]prometheus.Counter{},
		other:     decisions.WithLabelValues("other"),
		exhibited: promhttp.HandlerFor(s.cfg.Gatherer, promhttp.HandlerOpts{}),
	}
	away, denied := m.turnedAway(), m.deniedFor()
	for st := range m.byStatus {
		m.byStatus[st] = decisions.WithLabelValues(seat.Status(st).String())
	}
	for _, row := range wire.Codes() {
		m.byCode[row.Code] = decisions.WithLabelValues(string(row.Code))
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	collectors := []prometheus.Collector{decisions, away, denied, m.decide, m.confirm, m.record, m.byRoute,
		gauge("holdfast_http_in_flight", "Requests at work, feeds apart.", func() float64 { return float64(s.calls.inside.Load() + s.sure.inside.Load()) }),
		gauge("holdfast_http_connections", "Open TCP connections.", func() float64 { return float64(s.conns.open.Load()) }),
		gauge("holdfast_queue_delay_seconds", "How late goroutines ran on the mean in the last window of 100 ms.", func() float64 { return s.load.Delay().Seconds() }),
		gauge("holdfast_admitted_share", "The share of newcomers that is let in, 0.05 to 1: below 1 there is more to do than can be done.", s.load.Share),
		gauge("holdfast_http_feeds", "Open feeds.", func() float64 { return float64(s.feeds.inside.Load()) }),
	}
	for _, c := range collectors {
		if err := s.cfg.Registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// turnedAway makes the counters of who is turned away.
func (m *metrics) turnedAway() prometheus.Collector {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_turned_away_total",
		Help: "Requests turned away before a place in line was given, by why: too many in_flight (placed: of those who must be answered), feeds, connections, sockets or sockets of one person (person_sockets), too much load, one person's rate."}, []string{"why"})
	m.turned = map[string]prometheus.Counter{}
	for _, why := range []string{newcomer.full(), placed.full(), feeding.full(), byLoad, byRate, byConnections, bySockets, byPerson} {
		m.turned[why] = vec.WithLabelValues(why)
	}
	return vec
}

// deniedFor makes the counters of who may not.
func (m *metrics) deniedFor() prometheus.Collector {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_denied_total",
		Help: "Requests denied, by the code: unauthenticated (no token, or a bad one) or forbidden (not for this token, origin or host)."}, []string{"code"})
	m.denied = map[holdfast.Code]prometheus.Counter{}
	for _, code := range []holdfast.Code{wire.Unauthenticated, wire.Forbidden} {
		m.denied[code] = vec.WithLabelValues(string(code))
	}
	return vec
}

func behind(durable, recorded uint64) uint64 {
	if recorded > durable {
		return 0
	}
	return durable - recorded
}

// outcome is the counter of a code.
func (m *metrics) outcome(code holdfast.Code) prometheus.Counter {
	if c, ok := m.byCode[code]; ok {
		return c
	}
	return m.other
}

// decided counts one decision.
func (m *metrics) decided(r *seat.Result) {
	switch {
	case r.Refused():
		m.outcome(r.Refusal.Code).Inc()
	case int(r.Status) < len(m.byStatus):
		m.byStatus[r.Status].Inc()
	default:
		m.other.Inc()
	}
}

// requests gives the counters of a route, by the first digit of the status. What no route takes is counted together.
func (m *metrics) requests(r *route) (count [6]prometheus.Counter) {
	name := r.pattern()
	if r.method == "*" {
		name = "none"
	}
	for class := 2; class <= 5; class++ {
		count[class] = m.byRoute.WithLabelValues(name, strconv.Itoa(class)+"xx")
	}
	return count
}

func getMetrics(c *call) int {
	c.metrics.exhibited.ServeHTTP(c.w, c.r)
	return http.StatusOK
}
