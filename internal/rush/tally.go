package rush

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
)

// tally counts what comes over the connections of the students. It is safe for concurrent use.
type tally struct {
	students int // who take part; set before anybody connects
	present  atomic.Int64
	caught   atomic.Int64 // who had the first push since connect was called
	heard    atomic.Int64 // of the opening
	settled  atomic.Int64 // commands confirmed
	openings atomic.Int64 // pushes of openings
	counts   atomic.Int64 // pushes of the counts of a pool
	pushes   pulse
	answers  pulse

	mu     sync.Mutex // guards ends
	ends   map[string]int
	recent atomic.Int64 // when the last push or answer about claims came
}

// pulse counts by tenths of a second since the rush began, the last of them for all that is later.
type pulse [pulseTenths]atomic.Uint32

const (
	pulseTenths = 6000
	pulseWidth  = 100 * time.Millisecond
)

func (p *pulse) add(now time.Duration) {
	p[min(int(now/pulseWidth), pulseTenths-1)].Add(1)
}

// total is how many there were.
func (p *pulse) total() (n int) {
	for i := range p {
		n += int(p[i].Load())
	}
	return n
}

// peak is the most in one second.
func (p *pulse) peak() (most int) {
	sum := 0
	for i := range p {
		sum += int(p[i].Load())
		if i >= 10 {
			sum -= int(p[i-10].Load())
		}
		most = max(most, sum)
	}
	return most
}

func (t *tally) pool(opening bool, now time.Duration) {
	if opening {
		t.openings.Add(1)
	} else {
		t.counts.Add(1)
	}
	t.pushes.add(now)
}

func (t *tally) claims(now time.Duration) {
	t.pushes.add(now)
	t.recent.Store(int64(now))
}

func (t *tally) answer(now time.Duration) {
	t.answers.add(now)
	t.recent.Store(int64(now))
}

// last is when something was last heard about claims.
func (t *tally) last() time.Duration { return time.Duration(t.recent.Load()) }

// lost counts how connections ended: by close code, or broken.
func (t *tally) lost(err error) {
	name := "broken"
	var closed *gws.CloseError
	if errors.As(err, &closed) && closed.Code != 0 {
		name = strconv.Itoa(int(closed.Code))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ends == nil {
		t.ends = map[string]int{}
	}
	t.ends[name]++
}
