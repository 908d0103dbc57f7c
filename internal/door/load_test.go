package door

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plant is a server in numbers: it does so many a second, and what is more waits.
type plant struct {
	load *Load

	mu       sync.Mutex // guards what follows
	offered  float64    // newcomers a second
	capacity float64
	waiting  float64
	served   float64
}

// window lets 100 ms pass, and is the delay at its end.
func (p *plant) window() time.Duration {
	const dt = 0.1
	p.mu.Lock()
	defer p.mu.Unlock()
	// What is more than it keeps at once (MaxInFlight) is turned away, as by the server.
	p.waiting += min(p.offered*p.load.Share()*dt, (0.3+dt)*p.capacity-p.waiting)
	done := min(p.waiting, p.capacity*dt)
	p.waiting -= done
	p.served += done
	return time.Duration(p.waiting / p.capacity * float64(time.Second))
}

// offer changes what is offered a second.
func (p *plant) offer(n float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offered, p.served = n, 0
}

func newPlant(t *testing.T) *plant {
	p := &plant{capacity: 10_000}
	cfg := DefaultLoadConfig()
	cfg.Delay = p.window
	p.load = NewLoad(cfg)
	p.load.Start()
	t.Cleanup(p.load.Close)
	return p
}

// TestLoadStep: ten times what can be done is offered for 20 s. The share falls to about a tenth, what can be done is done, and after the
// load goes everybody is let in again within 10 s.
func TestLoadStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		p.offer(5_000)
		time.Sleep(3*time.Second + time.Millisecond)
		if p.load.Share() != 1 {
			t.Fatalf("at half the load %.2f are let in", p.load.Share())
		}
		p.offer(100_000)
		time.Sleep(20 * time.Second)
		if share := p.load.Share(); share < least || share > 0.2 {
			t.Errorf("at ten times the load %.3f are let in, want about 0.1", share)
		}
		synctest.Wait()
		if p.served < 0.9*20*p.capacity {
			t.Errorf("%.0f were served in 20 s at ten times the load, want 90 %% of %.0f", p.served, 20*p.capacity)
		}
		p.offer(5_000)
		back := time.Now()
		for p.load.Share() < 1 && time.Since(back) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(back); took > 10*time.Second {
			t.Errorf("%s after the load went everybody is let in, want 10 s", took)
		}
	})
}

// TestNext: patience is for who lets everybody in; who turns some away already turns away more with the first late window.
func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		share          float64
		late, patience int
		want           float64
	}{
		{1, 0, 10, 1}, {1, 9, 10, 1}, {1, 10, 10, shrink}, {0.5, 1, 10, 0.5 * shrink}, {0.5, 0, 10, 0.5 + grow},
		{least, 20, 10, least}, {1 - grow/2, 0, 10, 1},
	} {
		if got := next(c.share, c.late, c.patience); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestLoadRecovers: from the least share everybody is let in again within 10 s.
func TestLoadRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late atomic.Bool
		late.Store(true)
		cfg := DefaultLoadConfig()
		cfg.Delay = func() time.Duration {
			if late.Load() {
				return time.Second
			}
			return time.Millisecond
		}
		l := NewLoad(cfg)
		l.Start()
		defer l.Close()
		time.Sleep(20 * time.Second)
		if l.Share() != least {
			t.Fatalf("after 20 s of overload %.3f are let in, want %.2f", l.Share(), least)
		}
		late.Store(false)
		time.Sleep(10 * time.Second)
		if l.Share() != 1 {
			t.Errorf("10 s after the overload %.3f are let in", l.Share())
		}
	})
}

// TestLoadIsPatient: a crowd that is answered within a second is not turned away.
func TestLoadIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		for range 5 {
			p.mu.Lock()
			p.waiting += 8_000 // at once: 800 ms of work
			p.mu.Unlock()
			for range 30 {
				time.Sleep(100 * time.Millisecond)
				if p.load.Share() != 1 {
					t.Fatalf("%.2f are let in while a crowd of 800 ms is answered", p.load.Share())
				}
			}
		}
	})
}

// TestAdmit: the share is kept, the same key gets the same answer for a minute, and who is let in at a smaller share is at a larger.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoad(DefaultLoadConfig())
		const keys = 20_000
		in := make([]bool, keys)
		ask := func(share float64) (n, moved int) {
			l.share.Store(math.Float64bits(share))
			for i := range in {
				now := l.Admit(fmt.Sprint("spring/s", i))
				if now != in[i] {
					moved++
				}
				if in[i] = now; now {
					n++
				}
			}
			return n, moved
		}
		first, _ := ask(0.3)
		if first < 5_500 || first > 6_500 {
			t.Errorf("%d of %d were let in at a share of 0.3", first, keys)
		}
		if _, moved := ask(0.3); moved != 0 {
			t.Errorf("%d got another answer within a minute", moved)
		}
		if n, moved := ask(0.5); moved != n-first {
			t.Errorf("a larger share let %d more in, but changed the answer of %d", n-first, moved)
		}
		ask(0.3)
		time.Sleep(time.Minute)
		if _, moved := ask(0.3); moved < keys/5 {
			t.Errorf("only %d got another answer a minute later: the same are always turned away", moved)
		}
		n := 0
		for range keys {
			if l.Admit("") {
				n++
			}
		}
		if n < 5_500 || n > 6_500 {
			t.Errorf("%d of %d without a key were let in at a share of 0.3", n, keys)
		}
	})
}

// TestReturn: the later, the more were turned away for each who is answered; never all at once.
func TestReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultLoadConfig()
		cfg.Delay = func() time.Duration { return 0 }
		l := NewLoad(cfg)
		l.Start()
		defer l.Close()
		for _, c := range []struct {
			turned, answered uint64
			inside           int
			most             time.Duration
		}{
			{0, 0, 0, 2 * time.Second}, {100, 1000, 0, 2 * time.Second}, {4000, 1000, 0, 8 * time.Second}, {3000, 1000, 1000, 8 * time.Second},
			{1_000_000, 1, 0, 30 * time.Second}, {1, 0, 0, 30 * time.Second},
		} {
			l.turned.Add(c.turned)
			l.answered.Add(c.answered)
			time.Sleep(110 * time.Millisecond)
			least, most := time.Hour, time.Duration(0)
			for range 2000 {
				after := l.Return(c.inside)
				least, most = min(least, after), max(most, after)
			}
			if least < time.Second || least > time.Second+c.most/100 || most > c.most || most < c.most-c.most/50 {
				t.Errorf("%+v: %s to %s, want 1s to %s", c, least, most, c.most)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// TestSchedule: the delay is seen where more goroutines want to run than there are processors, and not where they do not.
func TestSchedule(t *testing.T) {
	s := new(schedule)
	s.delay()
	var wakes [64]chan struct{}
	var all sync.WaitGroup
	var stop atomic.Bool
	for i := range wakes { // each round all of them can run, and each works for a while
		wakes[i] = make(chan struct{}, 1)
		all.Go(func() {
			for range wakes[i] {
				for began := time.Now(); time.Since(began) < time.Millisecond && !stop.Load(); {
				}
			}
		})
	}
	for range 20 {
		for i := range wakes {
			select {
			case wakes[i] <- struct{}{}:
			default:
			}
		}
		runtime.Gosched()
	}
	for i := range wakes {
		close(wakes[i])
	}
	all.Wait()
	if busy := s.delay(); busy < time.Millisecond {
		t.Errorf("64 goroutines that want to run at once wait %s on the mean", busy)
	}
}

// TestLoadCloses: Start and Close may come twice and in any order.
func TestLoadCloses(t *testing.T) {
	l := NewLoad(DefaultLoadConfig())
	l.Close()
	l.Start()
	l.Close()
	l = NewLoad(DefaultLoadConfig())
	l.Start()
	l.Start()
	l.Close()
	l.Close()
	if !l.Admit("x") {
		t.Error("nobody is let in after Close")
	}
}
