package live_test

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/live"
	"holdfast/internal/memlog"
	"holdfast/seat"
)

// deaf is a log whose readers can be made to fail.
type deaf struct {
	*memlog.Log
	failure atomic.Pointer[error]
}

func (d *deaf) Read(after uint64) (engine.Reader, error) {
	r, err := d.Log.Read(after)
	return &deafReader{r, d}, err
}

type deafReader struct {
	engine.Reader
	log *deaf
}

func (r *deafReader) Next() (engine.Frame, error) {
	if err := r.log.failure.Load(); err != nil {
		return engine.Frame{}, *err
	}
	return r.Reader.Next()
}

// TestLogIsGone: the follower cannot read what it needs; it goes on at the end, and everybody hears what they missed.
func TestLogIsGone(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"trimmed": engine.ErrTrimmed, "broken": errors.New("a bad disk")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &deaf{Log: memlog.New()}
				e, err := engine.Open(log, engine.DefaultConfig())
				if err != nil {
					t.Fatal(err)
				}
				h, err := live.New(e, live.DefaultConfig())
				if err != nil {
					t.Fatal(err)
				}
				w := &world{tb: t, log: log.Log, engine: e, hub: h}
				defer w.stop()
				w.do(holdfast.PutRealm{Limits: seat.DefaultLimits()})
				w.pool("c1", 1)
				w.claim("c1", "bob", "cyd", "ann")
				ann, _ := w.settled("ann")
				dan, _ := w.settled("dan")
				counts, _ := w.subscribe("c1")
				counts.only()
				failure := fmt.Errorf("wrapped: %w", failure)
				log.failure.Store(&failure)
				w.claim("c1", "dan")
				w.release("c1", "bob")
				time.Sleep(500 * time.Millisecond)
				synctest.Wait()
				log.failure.Store(nil)
				w.ok(seat.Claim{Pool: "c1", Person: "eve"}) // wakes the reader
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if list := counts.take(); len(list) == 0 || list[len(list)-1].Waiting != 3 {
					t.Errorf("counts %+v", list)
				}
				w.true(ann, "ann")
				w.true(dan, "dan")
				if st := h.Stats(); st.Lag != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestEngineEnds: closed or failed, before or after the hub; nothing unconfirmed is told, nothing hangs.
func TestEngineEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pool("c1", 1)
		ann, watch := w.settled("ann")
		w.claim("c1", "ann")
		if err := w.engine.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ann.take() // it may have been told, or the engine was gone
		bob, _ := w.watch("bob", live.Cursor{})
		bob.none()
		if _, ok := w.hub.Subscribe(term, "c1", bob); ok {
			t.Error("subscribed to an engine that has ended")
		}
		w.hub.Close()
		w.hub.Close()
		watch.Close()
		cyd, watch := w.watch("cyd", live.Cursor{})
		watch.Again()
		watch.Close()
		cyd.none()
	})
}

func TestLogFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pool("c1", 1)
		ann, _ := w.settled("ann")
		failed := false
		w.log.Late = func(uint64, int) error { failed = true; return errors.New("no disk") }
		w.claim("c1", "ann")
		ann.none()
		if <-w.engine.Done(); !failed || w.engine.Err() == nil {
			t.Error("the log did not fail")
		}
		w.hub.Close()
	})
}

// TestClosedSink: what is closed while its first push is on its way hears no more.
func TestClosedSink(t *testing.T) {
	t.Parallel()
	for _, watches := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			w.pool("c1", 1)
			w.subscribe("c1")
			synctest.Wait()
			w.gate.close()
			w.claim("c1", "bob")
			var s, other *ear
			var closing interface{ Close() }
			if watches {
				s, closing = w.watch("ann", live.Cursor{})
				other, _ = w.watch("ann", live.Cursor{})
			} else {
				s, closing = w.subscribe("c1")
				other, _ = w.subscribe("c1")
			}
			synctest.Wait() // they are read, and wait for the confirmation
			closing.Close()
			w.gate.open()
			s.none()
			other.only() // alone, if it is a pool: the next counts for all are not due
		})
	}
}

// closer closes its watch from another goroutine in the middle of a push, and waits for that.
type closer struct {
	watch  *live.Watch
	closed chan struct{}
	pushes atomic.Int64
}

func (c *closer) Push(string, uint64, []byte) {
	if c.pushes.Add(1) == 1 {
		go func() { c.watch.Close(); close(c.closed) }()
		<-c.closed
	}
}

func TestCloseFromPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.pool("c1", 1)
		synctest.Wait()
		w.gate.close()
		w.claim("c1", "bob")
		c := &closer{closed: make(chan struct{})}
		c.watch = w.hub.Watch(term, "ann", live.Cursor{}, c) // told once bob is confirmed
		w.gate.open()
		synctest.Wait()
		w.claim("c1", "ann")
		synctest.Wait()
		if n := c.pushes.Load(); n != 1 {
			t.Errorf("%d pushes", n)
		}
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		for i, change := range []func(*live.Config){
			func(c *live.Config) { c.Positions = 0 },
			func(c *live.Config) { c.PositionShare = 0 },
			func(c *live.Config) { c.Counts = time.Hour },
			func(c *live.Config) { c.Reminder = 0 },
			func(c *live.Config) { c.Hold = 0 },
			func(c *live.Config) { c.Round = c.Hold - 1 },
		} {
			cfg := live.DefaultConfig()
			change(&cfg)
			if _, err := live.New(w.engine, cfg); err == nil {
				t.Errorf("configuration %d was taken", i)
			}
		}
	})
}

// TestTogether: everything at once by many, for the race detector; then everybody who still watches knows the truth.
func TestTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *live.Config) {
		c.Positions, c.Counts, c.Hold, c.Round = 10*time.Millisecond, 10*time.Millisecond, 2, 4
	})
	defer w.stop()
	pools := crowd(4)
	for _, p := range pools {
		w.pool(p, 2)
	}
	var wait sync.WaitGroup
	ears := make([]*ear, 16)
	for i := range ears {
		ears[i] = newEar(t)
		wait.Go(func() {
			person := crowd(8)[i%8]
			var watch *live.Watch
			for n := range 60 {
				if watch == nil {
					watch = w.hub.Watch(term, person, ears[i].since(memID), ears[i])
				}
				pool := pools[(n+i)%4]
				sub, _ := w.hub.Subscribe(term, pool, drop{})
				if a, err := w.engine.Do(term, seat.Claim{Pool: pool, Person: person}); err == nil && n%2 == 0 {
					watch.Told(&a.Standing)
					ears[i].answered(&a.Standing)
				}
				if _, err := w.engine.Do(term, seat.Release{Pool: pools[n%4], Person: person}); err != nil {
					t.Error(err)
				}
				w.hub.Stats()
				switch n % 7 {
				case 3:
					watch.Again()
				case 5:
					watch.Close()
					watch = nil
				}
				sub.Close()
			}
			if watch == nil {
				watch = w.hub.Watch(term, person, ears[i].since(memID), ears[i])
			}
			watch.Again()
		})
	}
	wait.Wait()
	late := time.After(20 * time.Second)
	for i, s := range ears {
		truth := w.truth(crowd(8)[i%8])
		for !s.knows(truth) {
			select {
			case <-s.news:
			case <-late:
				w.true(s, crowd(8)[i%8])
				return
			}
		}
	}
}

type drop struct{}

func (drop) Push(string, uint64, []byte) {}

func (s *ear) knows(truth map[string]row) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Equal(s.view, truth)
}
