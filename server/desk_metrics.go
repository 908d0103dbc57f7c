package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/desk"
	"holdfast/engine"
)

// deskMeter measures the desks by what is confirmed: it follows the log from when there is a desk. What was asked before the
// server started is not in its times. There are no labels by desk: there may be ten thousand.
type deskMeter struct {
	engine   *engine.Engine
	logger   *slog.Logger
	toOffer  prometheus.Histogram
	toAccept prometheus.Histogram
	offers   [desk.OfferStates]prometheus.Counter
	requests [desk.RequestStates]prometheus.Counter // by how they ended
	sessions *prometheus.CounterVec                 // by why they ended
	standing [len(standings)]*prometheus.Desc

	asked map[uint64]asked // requests that nobody has accepted yet; owned by follow

	life
}

// life is when the meter follows.
type life struct {
	ended sync.WaitGroup

	mu     sync.Mutex // guards what follows
	stop   context.CancelFunc
	begun  bool
	closed bool
}

// asked is a request on its way to somebody.
type asked struct {
	made    desk.Time
	offered bool // at least once
}

const (
	maxAsked    = 1 << 20     // requests whose way is measured at once; beyond, new ones are not
	meterPiece  = 256         // desks looked at under one hold of the shard's lock
	meterResume = time.Second // after a failure to read the log
)

// standings are what a scrape looks up, of all desks together.
var standings = [...][2]string{
	{"holdfast_desks", "Desks."},
	{"holdfast_desk_agents_ready", "Agents who would be offered a request now, of all desks."},
	{"holdfast_desk_queue_length", "Requests that wait for an agent, of all desks."},
	{"holdfast_desk_oldest_wait_seconds", "How long the request waits that has waited longest, of all desks; 0 = none waits."},
}

func newDeskMeter(s *Server) (*deskMeter, error) {
	offers := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_desk_offers_total",
		Help: "Offers that came to an end, by how: accepted, rejected, timed_out, rescinded (the request ended), revoked (not reached, or by staff)."}, []string{"outcome"})
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_desk_requests_total",
		Help: "Requests that ended, by their state: done, cancelled, expired, all_declined, aborted. Refused ones are holdfast_decisions_total{outcome=\"no_agent\"} and queue_full."}, []string{"state"})
	m := &deskMeter{
		engine: s.engine, logger: s.cfg.Logger, asked: map[uint64]asked{},
		toOffer: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_desk_offer_seconds",
			Help: "Time from a request to its first offer.", Buckets: prometheus.ExponentialBuckets(1e-3, 4, 11)}),
		toAccept: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_desk_accept_seconds",
			Help: "Time from a request to its accept.", Buckets: prometheus.ExponentialBuckets(0.125, 2, 13)}),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_desk_sessions_total",
			Help: "Sessions that ended, by why: agent, client, staff, agent_lost, no_show and others."}, []string{"cause"}),
	}
	for st := range m.offers {
		if desk.OfferState(st) != desk.Pending {
			m.offers[st] = offers.WithLabelValues(desk.OfferState(st).String())
		}
	}
	for st := range m.requests {
		if !desk.RequestState(st).Live() {
			m.requests[st] = requests.WithLabelValues(desk.RequestState(st).String())
		}
	}
	for i, is := range standings {
		m.standing[i] = prometheus.NewDesc(is[0], is[1], nil, nil)
	}
	for _, c := range []prometheus.Collector{offers, requests, m.toOffer, m.toAccept, m.sessions, m} {
		if err := s.cfg.Registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// begin has the meter follow the log from its durable end; again is a no-op.
func (m *deskMeter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun || m.closed {
		return
	}
	sub, err := m.engine.Subscribe(m.engine.Durable().Seq)
	if err != nil {
		m.logger.Error("the desks are not measured: the log cannot be read", "error", err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	m.begun, m.stop = true, stop
	m.ended.Go(func() { m.follow(ctx, sub) })
}

// close ends the meter, and returns when it has ended.
func (m *deskMeter) close() {
	m.mu.Lock()
	if m.closed = true; m.begun {
		m.stop()
	}
	m.mu.Unlock()
	m.ended.Wait()
}

// follow counts confirmed events until the meter or the engine ends. When the log cannot be read it begins anew at its end.
func (m *deskMeter) follow(ctx context.Context, sub *engine.Subscription) {
	for {
		err := m.read(ctx, sub)
		sub.Close()
		for sub = nil; sub == nil; {
			if ctx.Err() != nil || errors.Is(err, engine.ErrStopped) || m.engine.Err() != nil {
				return
			}
			m.logger.Error("the measures of the desks have a gap: the log cannot be read", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(meterResume):
			}
			sub, err = m.engine.Subscribe(m.engine.Durable().Seq)
		}
		clear(m.asked)
	}
}

func (m *deskMeter) read(ctx context.Context, sub *engine.Subscription) error {
	for {
		events, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		for i := range events.List {
			if e := &events.List[i]; e.Desk != nil {
				m.count(e.Seq, e.At, e.Desk)
			}
		}
	}
}

func (m *deskMeter) count(seq uint64, at desk.Time, e *desk.Event) {
	switch e.Kind {
	case desk.RequestMade:
		if len(m.asked) < maxAsked {
			m.asked[seq] = asked{made: at}
		}
	case desk.OfferMade:
		if is, known := m.asked[e.Request]; known && !is.offered {
			m.toOffer.Observe(between(is.made, at))
			m.asked[e.Request] = asked{is.made, true}
		}
	case desk.OfferAccepted:
		m.offers[desk.Accepted].Inc()
		if is, known := m.asked[e.Request]; known {
			m.toAccept.Observe(between(is.made, at))
			delete(m.asked, e.Request)
		}
	case desk.OfferEnded:
		if int(e.Outcome) < len(m.offers) && m.offers[e.Outcome] != nil {
			m.offers[e.Outcome].Inc()
		}
	case desk.SessionFinished:
		m.sessions.WithLabelValues(e.Cause.String()).Inc()
		m.end(e)
	case desk.RequestEnded:
		m.end(e)
	}
}

// end counts how a request ended; one that waits again has not.
func (m *deskMeter) end(e *desk.Event) {
	delete(m.asked, e.Request)
	if int(e.Then) < len(m.requests) && m.requests[e.Then] != nil {
		m.requests[e.Then].Inc()
	}
}

func between(from, to desk.Time) float64 { return to.Std().Sub(from.Std()).Seconds() }

// Describe implements prometheus.Collector.
func (m *deskMeter) Describe(c chan<- *prometheus.Desc) {
	for _, d := range m.standing {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *deskMeter) Collect(c chan<- prometheus.Metric) {
	t, err := m.look()
	if err != nil {
		return // the engine has ended: nothing stands any more
	}
	if t.desks > 0 {
		m.begin() // they were not made over the wire
	}
	oldest := 0.0
	if t.oldest != 0 {
		oldest = max(0, between(t.oldest, m.engine.Now()))
	}
	for i, value := range [len(standings)]float64{float64(t.desks), float64(t.ready), float64(t.waiting), oldest} {
		c <- prometheus.MustNewConstMetric(m.standing[i], prometheus.GaugeValue, value)
	}
}

// total is all desks added up.
type total struct {
	desks, ready, waiting int
	oldest                desk.Time
}

func (t *total) add(v *desk.DeskView) {
	t.desks++
	t.ready += int(v.Ready)
	t.waiting += int(v.Waiting)
	if v.Oldest != 0 && (t.oldest == 0 || v.Oldest < t.oldest) {
		t.oldest = v.Oldest
	}
}

// look adds the desks up, a few under each hold of the shard's lock.
func (m *deskMeter) look() (t total, err error) {
	var names []string
	_, err = m.engine.Read(func(s *holdfast.State) {
		for _, r := range s.Realms() {
			if !r.Desks.Empty() {
				names = append(names, r.Name)
			}
		}
	})
	for _, name := range names {
		for after, more := "", true; more && err == nil; {
			var views []desk.DeskView
			_, err = m.engine.Read(func(s *holdfast.State) { views = s.Realm(name).Desks.Desks(after, meterPiece) })
			for i := range views {
				t.add(&views[i])
			}
			if more = len(views) == meterPiece; more {
				after = views[len(views)-1].Name
			}
		}
	}
	return t, err
}
