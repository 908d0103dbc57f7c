package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/seat"
)

// gate holds appends back. The zero value lets everything pass; shut before use makes each wait for a let.
type gate struct {
	shut    atomic.Bool
	release chan error
	mu      sync.Mutex // guards what follows
	frames  []engine.Frame
}

func newGate() *gate { return &gate{release: make(chan error)} }

func (g *gate) pass(first uint64, count int) error {
	g.mu.Lock()
	g.frames = append(g.frames, engine.Frame{First: first, Count: count})
	g.mu.Unlock()
	if g.shut.Load() {
		return <-g.release
	}
	return nil
}

// let lets one append through and waits until all is quiet again.
func (g *gate) let(err error) {
	g.release <- err
	synctest.Wait()
}

// open lets everything pass from now on.
func (g *gate) open() {
	g.shut.Store(false)
	for {
		select {
		case g.release <- nil:
			synctest.Wait()
		default:
			return
		}
	}
}

// gated is an engine over a memlog with a gate, a realm, and a pool of two seats and no line, all confirmed.
func gated(t *testing.T, cfg engine.Config) (*engine.Engine, *gate) {
	t.Helper()
	log, g := memlog.New(), newGate()
	log.Gate = g.pass
	e := mustOpen(t, log, cfg)
	line := uint32(0)
	mustDo(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
	mustConfirm(t, mustDo(t, e, seat.PutPool{Pool: "full", Config: seat.Config{Capacity: 0, Waitlist: &line}}))
	mustConfirm(t, mustDo(t, e, seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 10_000_000}}))
	return e, g
}

func claimant(n int) seat.Claim { return seat.Claim{Pool: "p", Person: fmt.Sprintf("s%d", n)} }

// waiters wait for one answer, and count how often one was woken.
func waiters(t *testing.T, n int, a engine.Answer) *atomic.Int32 {
	var woken atomic.Int32
	for range n {
		go func() {
			if err := a.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			woken.Add(1)
		}()
	}
	return &woken
}

func TestOneBatchFliesWhileTheNextFills(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, g := gated(t, engine.DefaultConfig())
		g.shut.Store(true)
		one := mustDo(t, e, claimant(1))
		synctest.Wait() // its batch flies
		var next []engine.Answer
		for n := range 5 {
			next = append(next, mustDo(t, e, claimant(2+n)))
		}
		repeat := mustDo(t, e, claimant(1))
		look := mustDo(t, e, seat.Look{Pool: "p", Person: "nobody"})
		full := mustDo(t, e, seat.Claim{Pool: "full", Person: "s1"})
		unknown, err := e.Do("nowhere", claimant(1))
		if err != nil || unknown.Refusal.Code != holdfast.UnknownRealm || full.Refusal.Code != seat.Full || repeat.Seat != 1 {
			t.Fatalf("%v %+v %+v %+v", err, unknown, full, repeat)
		}
		stamp, err := e.Read(func(*holdfast.State) {})
		if err != nil {
			t.Fatal(err)
		}
		head := next[4].AsOf
		quiet := []engine.Stamp{repeat.Stamp, look.Stamp, full.Stamp, unknown.Stamp, stamp}
		for i, s := range quiet {
			if s.AsOf != head || s.Confirmed() {
				t.Errorf("%d: an answer without events is of %d, the head is %d; confirmed %t", i, s.AsOf, head, s.Confirmed())
			}
		}
		first, second := waiters(t, 100, one), waiters(t, 100, next[2])
		third := waiters(t, 100, full)
		synctest.Wait()
		if first.Load()+second.Load()+third.Load() != 0 || one.Confirmed() || e.Stats().Durable != one.AsOf-1 {
			t.Fatal("somebody heard confirmed before Append returned")
		}
		g.let(nil)
		if first.Load() != 100 || !one.Confirmed() || second.Load()+third.Load() != 0 || next[0].Confirmed() || look.Confirmed() {
			t.Fatalf("after the first batch %d of its waiters were woken, %d and %d of the next", first.Load(), second.Load(), third.Load())
		}
		g.let(nil)
		if first.Load() != 100 || second.Load() != 100 || third.Load() != 100 {
			t.Fatalf("woken are %d, %d, %d", first.Load(), second.Load(), third.Load())
		}
		for i, s := range quiet {
			if !s.Confirmed() {
				t.Errorf("%d: an answer without events is not confirmed", i)
			}
		}
		g.open()
		if again := mustDo(t, e, claimant(1)); !again.Confirmed() {
			t.Error("a repeat on a quiet log is not confirmed at once")
		}
		last := g.frames[len(g.frames)-1]
		if last.Count != 5 || last.First != next[0].AsOf {
			t.Errorf("the second batch was %d events at %d", last.Count, last.First)
		}
		mustClose(t, e)
	})
}

// TestBatchesKeepTheirBounds: no batch is larger than FrameBytes unless one command is, and no command straddles two.
func TestBatchesKeepTheirBounds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) { boundedBatches(t, seed) })
	}
}

func boundedBatches(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	cfg := engine.DefaultConfig()
	cfg.FrameBytes = 4 << 10
	var h history
	var l ledger
	log, g := memlog.New(), newGate()
	log.Gate = g.pass
	e := mustOpen(t, witness{log, &h}, cfg)
	mustConfirm(t, mustDo(t, e, holdfast.PutRealm{Limits: seat.Limits{MaxWaits: 1000}}))
	var items []seat.Item
	for i := range 32 {
		items = append(items, seat.Item{Pool: fmt.Sprintf("pool%d", i)})
		mustDo(t, e, seat.PutPool{Pool: items[i].Pool, Config: seat.Config{Capacity: 5}})
	}
	synctest.Wait()
	starts := map[uint64]bool{1: true, 2: true} // the first event of each command
	for _, f := range h.frames {
		for n := range f.Count {
			starts[f.First+uint64(n)] = true // each was a command of one event
		}
	}
	for round := range 6 {
		g.shut.Store(true)
		for range 40 {
			before := e.Stats().Head
			body := boundedCommand(rng, items)
			a := mustDo(t, e, body)
			l.add(workRealm, body, a)
			if a.AsOf > before {
				starts[before+1] = true
			}
		}
		synctest.Wait()
		if s := e.Stats(); round > 0 && s.SealedBatches == 0 {
			t.Errorf("nothing was sealed: %+v", s)
		}
		g.open()
		synctest.Wait()
		if s := e.Stats(); s.PendingBytes != 0 || s.SealedBatches != 0 || s.Durable != s.Head {
			t.Fatalf("when all is durable the queues are %+v", s)
		}
	}
	mustClose(t, e)
	if _, err := h.hashes(&l); err != nil {
		t.Error(err)
	}
	for _, f := range h.frames {
		alone := true
		for n := range f.Count - 1 {
			alone = alone && !starts[f.First+uint64(n)+1]
		}
		if !starts[f.First] || len(f.Payload) > cfg.FrameBytes && !alone {
			t.Errorf("a batch of %d events at %d with %d bytes: begins a command %t, is one command %t",
				f.Count, f.First, len(f.Payload), starts[f.First], alone)
		}
	}
}

func boundedCommand(rng *rand.Rand, items []seat.Item) holdfast.Body {
	person := fmt.Sprintf("s%d", rng.IntN(500))
	switch rng.IntN(4) {
	case 0:
		return seat.Basket{Person: person, Mode: seat.EachOrWait, Items: items[:rng.IntN(32)+1]}
	case 1:
		return seat.Override{Pool: items[0].Pool, Person: person, Action: seat.SeatPerson, Reason: strings.Repeat("r", rng.IntN(1000)+1)}
	case 2:
		pool := items[rng.IntN(32)].Pool
		return seat.PutPool{Pool: pool, Config: seat.Config{Capacity: 5, Data: `"` + strings.Repeat("x", rng.IntN(16_000)) + `"`}}
	}
	return seat.Claim{Pool: items[rng.IntN(32)].Pool, Person: person}
}

func TestBusyChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := engine.DefaultConfig()
		cfg.PendingBytes = 2 << 20
		e, g := gated(t, cfg)
		g.shut.Store(true)
		fill := func(n int) error {
			_, err := e.Do(workRealm, seat.PutPool{Pool: fmt.Sprintf("x%d", n), Config: seat.Config{Data: `"` + strings.Repeat("x", 16_000) + `"`}})
			return err
		}
		n, err := 0, error(nil)
		for ; err == nil; n++ {
			err = fill(n)
		}
		if !errors.Is(err, engine.ErrBusy) || n < 60 {
			t.Fatalf("after %d commands: %v", n, err)
		}
		synctest.Wait() // the committer has taken what it takes
		before, full := hashOf(t, e), e.Stats()
		if full.PendingBytes > cfg.PendingBytes {
			t.Errorf("pending are %d bytes of %d", full.PendingBytes, cfg.PendingBytes)
		}
		for _, body := range []holdfast.Body{claimant(1), seat.Release{Pool: "p", Person: "s1"}, holdfast.PutRealm{}, seat.PutPool{Pool: "y"}} {
			if _, err := e.Do(workRealm, body); !errors.Is(err, engine.ErrBusy) {
				t.Errorf("%T: %v", body, err)
			}
		}
		if err := e.Ready(); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("Ready: %v", err)
		}
		look := mustDo(t, e, seat.Look{Pool: "p", Person: "s1"}) // adds nothing, so it is answered
		if hashOf(t, e) != before || e.Stats() != full || look.Confirmed() {
			t.Error("a busy engine has changed")
		}
		g.open()
		synctest.Wait()
		if s := e.Stats(); s.PendingBytes != 0 || e.Ready() != nil || !look.Confirmed() {
			t.Errorf("afterwards: %+v, ready %v", s, e.Ready())
		}
		mustConfirm(t, mustDo(t, e, claimant(1)))
		mustClose(t, e)
	})
}

func TestNoRoomIsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New()
		var full atomic.Bool
		noRoom := errors.New("no room")
		log.Full = func() error {
			if full.Load() {
				return noRoom
			}
			return nil
		}
		e := mustOpen(t, log, engine.DefaultConfig())
		mustConfirm(t, mustDo(t, e, holdfast.PutRealm{}))
		full.Store(true)
		if _, err := e.Do(workRealm, seat.PutPool{Pool: "p"}); !errors.Is(err, engine.ErrBusy) || !errors.Is(err, noRoom) {
			t.Errorf("Do: %v", err)
		}
		if err := e.Ready(); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("Ready: %v", err)
		}
		mustDo(t, e, seat.Look{Pool: "p", Person: "a"})
		time.Sleep(time.Minute)
		full.Store(false)
		mustConfirm(t, mustDo(t, e, seat.PutPool{Pool: "p"}))
		mustClose(t, e)
	})
}

func hashOf(t testing.TB, e *engine.Engine) (hash [32]byte) {
	t.Helper()
	if _, err := e.Read(func(s *holdfast.State) { hash = s.Hash() }); err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestLargeRaise: a raise by 50,000 seats is done in slices, before any newcomer; by the next command or by the
// timekeeper, also when more is due than may be pending.
func TestLargeRaise(t *testing.T) {
	t.Parallel()
	const line = 50_000
	for name, run := range map[string]func(t *testing.T, e *engine.Engine, g *gate, raise engine.Answer){
		"a newcomer": func(t *testing.T, e *engine.Engine, g *gate, raise engine.Answer) {
			late := mustDo(t, e, seat.Claim{Pool: "big", Person: "late"})
			if late.Status != seat.Waiting || late.Position != 11 || late.AsOf != raise.AsOf+line-1000+2 {
				t.Errorf("a newcomer is %v at %d as of %d, the raise was decided as of %d", late.Status, late.Position, late.AsOf, raise.AsOf)
			}
			g.open()
		},
		"the timekeeper": func(t *testing.T, e *engine.Engine, g *gate, _ engine.Answer) { g.open() },
		"too much is pending": func(t *testing.T, e *engine.Engine, g *gate, _ engine.Answer) {
			busy := 0
			for range 100 {
				if _, err := e.Do(workRealm, seat.Claim{Pool: "big", Person: "late"}); errors.Is(err, engine.ErrBusy) {
					busy++
				}
			}
			if busy != 100 || e.Stats().PendingBytes > 2<<20 {
				t.Errorf("%d of 100 were busy, %+v", busy, e.Stats())
			}
			g.open()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := engine.DefaultConfig()
				cfg.PendingBytes = 16 << 20
				padding := "s"
				if name == "too much is pending" {
					cfg.PendingBytes, padding = 2<<20, strings.Repeat("s", 100)
				}
				e, g := gated(t, cfg)
				mustDo(t, e, seat.PutPool{Pool: "big"})
				fillLine(t, e, padding, line+10)
				synctest.Wait()
				g.shut.Store(true)
				before := e.Stats().Head
				raise := mustDo(t, e, seat.PutPool{Pool: "big", Config: seat.Config{Capacity: line}})
				if raise.AsOf > before+1000 {
					t.Errorf("one command made %d events", raise.AsOf-before)
				}
				run(t, e, g, raise)
				synctest.Wait()
				time.Sleep(time.Second)
				_, err := e.Read(func(s *holdfast.State) {
					v, _ := s.Realm(workRealm).Seats.Pool("big")
					if v.Seated != line || v.Waiting < 10 || s.Check() != nil {
						t.Errorf("in the end %+v, %v", v, s.Check())
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				mustClose(t, e)
			})
		})
	}
}

// fillLine puts n people in the line of the pool "big".
func fillLine(t *testing.T, e *engine.Engine, padding string, n int) {
	t.Helper()
	for i := range n {
		body := seat.Claim{Pool: "big", Person: fmt.Sprintf("%s%d", padding, i)}
		a, err := e.Do(workRealm, body)
		for ; errors.Is(err, engine.ErrBusy); a, err = e.Do(workRealm, body) {
			synctest.Wait()
		}
		if err != nil || a.Position != uint32(i)+1 {
			t.Fatalf("%d: %+v %v", i, a.Result, err)
		}
	}
}
