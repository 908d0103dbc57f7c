package mirror

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

// TestEngine mirrors a live engine: every claim is recorded shortly after it is confirmed; a mirror that halts leaves the
// engine unharmed; after a restart of both the tables are still the fold of the log.
func TestEngine(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		dir := t.TempDir()
		for round := range 2 {
			e, err := engine.OpenDir(dir, engine.DefaultConfig())
			check(t, err)
			cfg := db.cfg
			registry := prometheus.NewRegistry()
			cfg.Registerer = registry
			var last uint64
			cfg.OnRecorded = func(seq uint64, at time.Time) {
				if seq <= last || at.IsZero() {
					t.Errorf("recorded %d after %d", seq, last)
				}
				last = seq
			}
			m, err := Open(cfg)
			check(t, err)
			run := make(chan error, 1)
			go func() { run <- m.Run(within(t), FromEngine(e)) }()
			claimAll(t, e, m, round)
			if s := m.Status(); s.State != Current {
				t.Errorf("%+v", s)
			}
			end := e.Durable()
			check(t, e.Close())
			check(t, <-run) // the engine ended, and all is recorded
			if last < end.Seq || m.Recorded() < end.Seq {
				t.Errorf("recorded %d, %d of %d", last, m.Recorded(), end.Seq)
			}
			if at, err := m.Cursor(within(t)); err != nil || at != end {
				t.Errorf("cursor %+v, %v; should be %+v", at, err, end)
			}
			if got := gauge(t, registry, "holdfast_mirror_recorded_seq"); got != float64(end.Seq) {
				t.Errorf("the metric says %v, should be %d", got, end.Seq)
			}
			for _, name := range []string{"holdfast_mirror_lag_events", "holdfast_mirror_lag_seconds", "holdfast_mirror_halted"} {
				if got := gauge(t, registry, name); got != 0 {
					t.Errorf("%s is %v", name, got)
				}
			}
			compareWithEngine(t, db, dir)
		}

		db.do(t, "UPDATE claims SET status = 'released', seat = NULL, ticket = NULL WHERE person = 's00001'")
		e, err := engine.OpenDir(dir, engine.DefaultConfig())
		check(t, err)
		defer e.Close()
		m, err := Open(db.cfg)
		check(t, err)
		run := make(chan error, 1)
		go func() { run <- m.Run(within(t), FromEngine(e)) }()
		confirmed(t, e, seat.Release{Pool: "c0", Person: "s00001"})
		if err := <-run; !errors.Is(err, ErrHalted) {
			t.Fatal(err)
		}
		if answer := confirmed(t, e, seat.Claim{Pool: "c1", Person: "after"}); answer.Refused() {
			t.Error(answer.Refusal)
		}
	})
}

func confirmed(t *testing.T, e *engine.Engine, body holdfast.Body) engine.Answer {
	answer, err := e.Do("spring", body)
	if err == nil {
		err = answer.Wait(within(t))
	}
	if err != nil {
		t.Error(err)
	}
	return answer
}

func claimAll(t *testing.T, e *engine.Engine, m *Mirror, round int) {
	confirmed(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
	for i := range 5 {
		confirmed(t, e, seat.PutPool{Pool: fmt.Sprintf("c%d", i), Config: seat.Config{Capacity: 30}})
	}
	var callers sync.WaitGroup
	for c := range 8 {
		callers.Go(func() {
			for i := range 50 {
				a := confirmed(t, e, seat.Claim{Pool: fmt.Sprintf("c%d", i%5), Person: fmt.Sprintf("s%d%02d%02d", round, c, i)})
				if i%10 == 0 {
					if err := m.Wait(within(t), a.AsOf); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	callers.Wait()
	lots := seat.PutPool{Pool: fmt.Sprintf("l%d", round), Config: seat.Config{Capacity: 30, Order: seat.Lottery, OpensAt: e.Now().Add(time.Hour)}}
	confirmed(t, e, lots)
	for i := range 1500 { // two turns
		if _, err := e.Do("spring", seat.Claim{Pool: lots.Pool, Person: fmt.Sprintf("s%d", i)}); err != nil {
			t.Error(err)
		}
	}
	lots.Config.OpensAt = e.Now()
	confirmed(t, e, lots)
	if late := confirmed(t, e, seat.Claim{Pool: lots.Pool, Person: "late"}); late.Position != 1471 {
		t.Errorf("behind the draw: %+v", late.Result)
	}
	a := confirmed(t, e, seat.Claim{Pool: "c0", Person: "s00001"})
	check(t, m.Wait(within(t), a.AsOf))
}

// compareWithEngine folds the log in a directory by an engine of its own.
func compareWithEngine(t *testing.T, db *database, dir string) {
	e, err := engine.OpenDir(dir, engine.DefaultConfig())
	check(t, err)
	defer e.Close()
	log := newFakeLog("")
	sub, err := e.Subscribe(0)
	check(t, err)
	defer sub.Close()
	var b holdfast.Batch
	for {
		ev, ok, err := sub.TryNext()
		check(t, err)
		if !ok {
			break
		}
		for i := range ev.List {
			b.Append(&ev.List[i])
		}
		log.append(ev.Epoch, &b)
		log.frames[len(log.frames)-1].Hash = ev.Hash
		log.end = ev.Position
	}
	report := db.same(t, log)
	if report.Claims < 400 || report.Events < 400 {
		t.Fatalf("compared too little: %+v", report)
	}
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	all, err := registry.Gather()
	check(t, err)
	for _, family := range all {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Errorf("there is no metric %s", name)
	return 0
}
