package door

import (
	"math"
	"runtime/metrics"
	"time"
)

// schedule tells how late goroutines run that have something to do, as the runtime itself measures it on a sample of them: the time from
// when a goroutine could run (its connection has something to read, its batch is confirmed) until it does. It is the queue of a Go
// server, which nothing else shows: net/http has no queue of its own. What waits in the kernel's buffers is not seen, but not for long
// either: the runtime asks the network at least every 10 ms, and then it waits here.
type schedule struct {
	sample [1]metrics.Sample
	before []uint64
}

func (s *schedule) delay() time.Duration {
	s.sample[0].Name = "/sched/latencies:seconds"
	metrics.Read(s.sample[:])
	if s.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0 // a later runtime without it: nobody is turned away
	}
	h := s.sample[0].Value.Float64Histogram()
	if len(s.before) != len(h.Counts) {
		s.before = make([]uint64, len(h.Counts))
	}
	seconds, count := 0.0, 0.0
	for i, n := range h.Counts {
		if n > s.before[i] {
			fresh := float64(n - s.before[i])
			seconds += fresh * middle(h.Buckets[i], h.Buckets[i+1])
			count += fresh
		}
		s.before[i] = n
	}
	if count == 0 {
		return 0
	}
	return time.Duration(seconds / count * float64(time.Second))
}

// middle of a bucket; the outermost have one end only.
func middle(low, high float64) float64 {
	switch {
	case math.IsInf(low, -1):
		return max(0, high) / 2
	case math.IsInf(high, 1):
		return low
	}
	return (low + high) / 2
}
