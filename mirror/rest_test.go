package mirror

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/engine"
	"holdfast/seat"
)

// movingLog is a log to which events come until a given time.
type movingLog struct {
	Log
	until time.Time
	rate  uint64 // events between two looks
	seq   uint64
}

func (l *movingLog) Durable() engine.Position {
	if time.Now().Before(l.until) {
		l.seq += l.rate
	}
	return engine.Position{Seq: l.seq}
}

func TestRest(t *testing.T) {
	t.Parallel()
	const wrote = 100 * time.Millisecond
	for name, c := range map[string]struct {
		hot  time.Duration                        // for how long events come
		rate uint64                               // of them in each hotPause
		do   func(m *Mirror, p *pipe)             // beside the rest
		want func(rested time.Duration) (ok bool) // how long it may take
	}{
		"nobody claims":    {0, 0, nil, func(d time.Duration) bool { return d <= hotPause }},
		"a few":            {time.Hour, hotEvents - 1, nil, func(d time.Duration) bool { return d <= hotPause }},
		"a crowd":          {time.Hour, hotEvents, nil, func(d time.Duration) bool { return d >= 3*wrote && d < 3*wrote+2*hotPause }},
		"the crowd leaves": {wrote, hotEvents, nil, func(d time.Duration) bool { return d > wrote/2 && d < 2*wrote }},
		"somebody waits":   {time.Hour, hotEvents, func(m *Mirror, _ *pipe) { m.waiting.Add(1) }, func(d time.Duration) bool { return d == 0 }},
		"the database is old": {time.Hour, hotEvents, func(m *Mirror, p *pipe) {
			old := seat.TimeOf(time.Now().Add(-time.Minute))
			p.open.events = append(p.open.events, eventRow{seq: 1, at: old})
		}, func(d time.Duration) bool { return d <= 2*hotPause }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := DefaultConfig()
				cfg.URL = "unused.db"
				m, err := Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				p := newPipe(10, engine.Position{})
				if c.do != nil {
					c.do(m, p)
				}
				begun := time.Now()
				m.rest(t.Context(), &movingLog{until: begun.Add(c.hot), rate: c.rate}, p, wrote)
				if rested := time.Since(begun); !c.want(rested) {
					t.Errorf("it rested for %v", rested)
				}
			})
		})
	}
}

func TestWaitEndsARest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.URL = "unused.db"
		m, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		go m.Wait(t.Context(), 1)
		synctest.Wait()
		begun := time.Now()
		m.rest(t.Context(), &movingLog{until: begun.Add(time.Hour), rate: hotEvents}, newPipe(10, engine.Position{}), time.Second)
		if rested := time.Since(begun); rested != 0 {
			t.Errorf("it rested for %v though somebody waits", rested)
		}
	})
}

// TestOneOutageIsToldOnce: a database that lets itself be opened and takes nothing (its disk is full) is one outage, however
// often it is tried, and its error stands in Status meanwhile.
func TestOneOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	db := newSQLiteDB(t)
	log := history(t, 7, 50)
	var told bytes.Buffer
	db.cfg.Logger = slog.New(slog.NewTextHandler(&told, nil))
	db.cfg.RetryMost = time.Millisecond
	full, tried := errors.New("the disk is full"), 0
	var m *Mirror
	db.cfg.hook = func(step string) error {
		if step != "begin" {
			return nil
		}
		if tried++; tried > 1 && tried <= 6 && !errors.Is(m.Status().Err, full) { // the sixth succeeds; others may follow
			t.Errorf("try %d: the status has the error %v", tried, m.Status().Err)
		}
		if tried > 5 {
			return nil
		}
		return full
	}
	m, err := Open(db.cfg)
	check(t, err)
	check(t, m.Run(within(t), log))
	if err := m.Status().Err; err != nil {
		t.Errorf("all is recorded, and the status has the error %v", err)
	}
	for line, want := range map[string]int{"mirror: connected": 2, "mirror: nothing can be recorded": 1} {
		if got := strings.Count(told.String(), line); got != want {
			t.Errorf("%q is said %d times, want %d:\n%s", line, got, want, told.String())
		}
	}
}
