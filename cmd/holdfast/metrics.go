package main

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"holdfast/engine"
)

// batchMetrics watch the committer.
type batchMetrics struct {
	events, bytes, seconds prometheus.Histogram
}

func newBatchMetrics(reg prometheus.Registerer) (*batchMetrics, error) {
	m := &batchMetrics{
		events: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_batch_events",
			Help: "Events of one durable batch.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_batch_bytes",
			Help: "Bytes of one durable batch, its frame apart.", Buckets: prometheus.ExponentialBuckets(64, 4, 8)}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "holdfast_append_seconds",
			Help: "Time to write one batch and force it to stable storage.", Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16)}),
	}
	return m, errors.Join(reg.Register(m.events), reg.Register(m.bytes), reg.Register(m.seconds))
}

// observe is the engine's OnBatch.
func (m *batchMetrics) observe(b engine.BatchStats) {
	m.events.Observe(float64(b.Events))
	m.bytes.Observe(float64(b.Bytes))
	m.seconds.Observe(b.Append.Seconds())
}

// registerEngine shows how full the engine's queues are, and what the process and its disk use.
func registerEngine(reg prometheus.Registerer, e *engine.Engine, dir string) error {
	gauge := func(name, help string, value func() float64) error {
		return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	return errors.Join(
		reg.Register(collectors.NewGoCollector()),
		reg.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
		gauge("holdfast_head_seq", "The last event decided.", func() float64 { return float64(e.Stats().Head) }),
		gauge("holdfast_durable_seq", "The last event confirmed.", func() float64 { return float64(e.Stats().Durable) }),
		gauge("holdfast_first_seq", "The oldest event that the log still has.", func() float64 { return float64(e.First()) }),
		gauge("holdfast_pending_bytes", "Decided and not yet durable; at 16 MiB commands are answered busy.",
			func() float64 { return float64(e.Stats().PendingBytes) }),
		gauge("holdfast_pending_batches", "Full batches that wait for the log.", func() float64 { return float64(e.Stats().SealedBatches) }),
		gauge("holdfast_realms", "Realms.", func() float64 { return float64(e.Stats().Realms) }),
		gauge("holdfast_undrawn_lotteries", "Lotteries past their opening whose seed is missing: not drawn, and shut. Should be 0.",
			func() float64 { return float64(e.Stats().Undrawn) }),
		gauge("holdfast_ready", "1 while commands are taken; 0: full disk, failed log, or stopping.", func() float64 {
			if e.Ready() != nil {
				return 0
			}
			return 1
		}),
		gauge("holdfast_disk_free_bytes", "Room left on the disk of the data directory; -1: not known.", func() float64 { return freeBytes(dir) }),
	)
}
