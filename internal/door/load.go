package door

import (
	"hash/maphash"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// LoadConfig says what a Load goes by. DefaultLoadConfig fills it.
type LoadConfig struct {
	// Delay is how long work waited before it was begun, on the mean since the last call. Called by one goroutine.
	Delay func() time.Duration
	// Limit is the delay above which too much is taken in. Above 0.
	Limit time.Duration
	// Window is how often the delay is looked at and the share moved. Above 0.
	Window time.Duration
	// Patience is how many windows in a row must be above Limit before anybody is turned away: a crowd that has been answered within
	// that time is what the server is for, and would only come again. At least 1.
	Patience int
}

// DefaultLoadConfig goes by how late the goroutines of this program run. A quarter of a second is what people do not notice; DAGOR's 20 ms
// is for calls between servers. Work that waits 20 ms keeps the processor as busy as work that waits longer, and turning somebody away costs
// nearly as much as deciding: with 20 ms a rush that is over in one second took eighteen.
func DefaultLoadConfig() LoadConfig {
	return LoadConfig{Delay: new(schedule).delay, Limit: 250 * time.Millisecond, Window: 100 * time.Millisecond, Patience: 10}
}

// How the share of newcomers that is let in moves with each window: down by a twentieth while the delay is above the limit, as DAGOR does
// (Zhou et al., "Overload Control for Scaling WeChat Microservices", 2018), and up by a step that leads from the least share to all
// of them in 7.6 s. So there are always some who come in, by whom it is seen that there is room again.
const (
	shrink = 0.95
	grow   = 0.0125
	least  = 0.05
)

// Load measures how long work waits before it is begun, and turns away a share of the newcomers while that is too long.
// Its methods may be called by several goroutines. Between Start and Close one goroutine of it runs; without it everybody is let in.
type Load struct {
	cfg  LoadConfig
	seed maphash.Seed

	share    atomic.Uint64 // bits of a float64, least to 1
	delay    atomic.Int64  // of the last window, in nanoseconds
	turned   atomic.Uint64 // turned away since the start, by whomever
	answered atomic.Uint64
	second   atomic.Pointer[rates]

	mu    sync.Mutex // guards what follows
	stop  chan struct{}
	ended chan struct{}
	over  bool
}

// rates are what happened within the last second.
type rates struct{ turned, answered uint64 }

// NewLoad makes one that lets everybody in.
func NewLoad(cfg LoadConfig) *Load {
	l := &Load{cfg: cfg, seed: maphash.MakeSeed()}
	l.share.Store(math.Float64bits(1))
	l.second.Store(&rates{})
	return l
}

// Admit says whether a newcomer is let in. The same key is let in or not for a minute, as far as the share stays, so that whoever is in
// is not turned away with their next step; then it is drawn anew. Without a key it is drawn each time.
func (l *Load) Admit(key string) bool {
	share := l.Share()
	if share == 1 {
		return true
	}
	if key == "" {
		return rand.Float64() < share
	}
	hash := maphash.Comparable(l.seed, drawn{key, time.Now().Unix() / 60})
	return float64(hash>>11)/(1<<53) < share
}

// drawn is what decides about a key in one minute.
type drawn struct {
	key    string
	minute int64
}

// Share is the share of newcomers that is let in, 0.05 to 1.
func (l *Load) Share() float64 { return math.Float64frombits(l.share.Load()) }

// Delay is how long work waited on the mean in the last window.
func (l *Load) Delay() time.Duration { return time.Duration(l.delay.Load()) }

// Turned counts a newcomer who was turned away, here or elsewhere; Answered one who was answered. Return goes by them.
func (l *Load) Turned()   { l.turned.Add(1) }
func (l *Load) Answered() { l.answered.Add(1) }

// mostReturn bounds Return.
const mostReturn = 30 * time.Second

// Return is when somebody who is turned away shall come again: a random time from 1 s up to twice what the backlog takes, which is who was
// turned away within the last second and who is inside, at the pace of the last second; at least up to 2 s, at most up to 30 s.
func (l *Load) Return(inside int) time.Duration {
	second := l.second.Load()
	backlog := second.turned + uint64(max(0, inside))
	most := mostReturn
	if second.answered > 0 {
		most = time.Duration(min(mostReturn.Seconds(), 2*float64(backlog)/float64(second.answered)) * float64(time.Second))
	} else if backlog == 0 {
		most = 0
	}
	return time.Second + rand.N(max(most, 2*time.Second)-time.Second)
}

// Start begins to measure. Further calls, and those after Close, do nothing.
func (l *Load) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil || l.over {
		return
	}
	l.stop, l.ended = make(chan struct{}), make(chan struct{})
	go l.run(l.stop, l.ended)
}

// Close ends the measuring, and lets everybody in. It may be called again.
func (l *Load) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.stop == nil {
		return
	}
	close(l.stop)
	<-l.ended
	l.stop = nil
	l.share.Store(math.Float64bits(1))
}

func (l *Load) run(stop <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	tick := time.NewTicker(l.cfg.Window)
	defer tick.Stop()
	l.cfg.Delay() // what was before does not count
	late := 0
	past := newWindows(l.cfg.Window)
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		delay := l.cfg.Delay()
		l.delay.Store(int64(delay))
		if late++; delay <= l.cfg.Limit {
			late = 0
		}
		l.share.Store(math.Float64bits(next(l.Share(), late, l.cfg.Patience)))
		l.second.Store(past.move(l.turned.Load(), l.answered.Load()))
	}
}

// next is the share after a window, the last of late windows in a row that were above the limit.
func next(share float64, late, patience int) float64 {
	switch {
	case late == 0:
		return min(1, share+grow)
	case share < 1 || late >= patience:
		return max(least, share*shrink)
	}
	return share
}

// windows are the counts at the ends of the last second's windows.
type windows struct {
	counts []rates
	at     int
}

func newWindows(window time.Duration) *windows {
	return &windows{counts: make([]rates, max(1, int(time.Second/window)))}
}

// move takes the counts of now, and gives what came to them within the last second.
func (w *windows) move(turned, answered uint64) *rates {
	old := w.counts[w.at]
	w.counts[w.at] = rates{turned, answered}
	w.at = (w.at + 1) % len(w.counts)
	return &rates{turned - old.turned, answered - old.answered}
}
