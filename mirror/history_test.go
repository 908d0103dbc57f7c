package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

// fakeLog is a Log in memory.
type fakeLog struct {
	id [16]byte

	mu       sync.Mutex // guards what follows
	frames   []engine.Frame
	end      engine.Position
	first    uint64
	closed   bool
	retained uint64
	moved    chan struct{}
}

func newFakeLog(name string) *fakeLog {
	l := &fakeLog{first: 1, moved: make(chan struct{})}
	copy(l.id[:], name)
	l.end.LogID = l.id
	return l
}

// append adds a frame, copied.
func (l *fakeLog) append(epoch uint64, b *holdfast.Batch) {
	if b.Count == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := engine.Frame{Epoch: epoch, First: b.First, Count: b.Count, Payload: append([]byte(nil), b.Bytes...)}
	f.Hash = sha256.Sum256(append(l.end.Hash[:], f.Payload...))
	l.frames = append(l.frames, f)
	l.end = engine.Position{LogID: l.id, Epoch: epoch, Seq: f.Last(), Hash: f.Hash}
	close(l.moved)
	l.moved = make(chan struct{})
	b.Reset()
}

// close says that nothing more will come.
func (l *fakeLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *fakeLog) Durable() engine.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

func (l *fakeLog) Retain(_ string, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retained = seq
}

// kept is up to where the mirror lets the log go.
func (l *fakeLog) kept() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retained
}

func (l *fakeLog) Subscribe(after uint64) (Subscription, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after+1 < l.first {
		return nil, engine.ErrTrimmed
	}
	if after > l.end.Seq {
		return nil, errors.New("beyond the end")
	}
	return &fakeSub{log: l, after: after}, nil
}

type fakeSub struct {
	log   *fakeLog
	after uint64
	next  int
}

func (s *fakeSub) Next(ctx context.Context) (engine.Events, error) {
	for {
		s.log.mu.Lock()
		for s.next < len(s.log.frames) && s.log.frames[s.next].Last() <= s.after {
			s.next++
		}
		if s.next < len(s.log.frames) {
			f := s.log.frames[s.next]
			s.log.mu.Unlock()
			return s.decode(&f)
		}
		closed, moved := s.log.closed, s.log.moved
		s.log.mu.Unlock()
		if closed {
			return engine.Events{}, engine.ErrStopped
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return engine.Events{}, ctx.Err()
		}
	}
}

func (s *fakeSub) decode(f *engine.Frame) (engine.Events, error) {
	var list []holdfast.Event
	err := holdfast.Decode(f.First, f.Count, f.Payload, func(e *holdfast.Event) error {
		if e.Seq > s.after {
			list = append(list, *e)
		}
		return nil
	})
	if err != nil {
		return engine.Events{}, err
	}
	s.after = f.Last()
	pos := engine.Position{LogID: s.log.id, Epoch: f.Epoch, Seq: f.Last(), Hash: f.Hash}
	return engine.Events{Position: pos, First: list[0].Seq, List: list}, nil
}

func (s *fakeSub) Close() error { return nil }

// truth gives what Check and Rebuild want of the log.
func (l *fakeLog) truth() Truth {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := Truth{End: l.end, First: l.first}
	if l.end.Seq == 0 {
		t.First = 0
	}
	frames := l.frames
	each := func(from, to uint64, fn func(*holdfast.Event) error) error {
		for _, f := range frames {
			err := holdfast.Decode(f.First, f.Count, f.Payload, func(e *holdfast.Event) error {
				if e.Seq < from || e.Seq > to {
					return nil
				}
				return fn(e)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	t.Events = func(_ context.Context, from, to uint64, fn func(*holdfast.Event) error) error {
		return each(from, to, fn)
	}
	t.StateAt = func(_ context.Context, seq uint64) (*holdfast.State, error) {
		state := holdfast.NewState()
		return state, each(1, seq, state.Apply)
	}
	return t
}

// position finds the frame that ends at or behind seq.
func (l *fakeLog) position(seq uint64) engine.Position {
	for _, f := range l.frames {
		if f.Last() >= seq {
			return engine.Position{LogID: l.id, Epoch: f.Epoch, Seq: f.Last(), Hash: f.Hash}
		}
	}
	return l.end
}

// world makes histories by the real rules.
type world struct {
	tb    testing.TB
	log   *fakeLog
	step  holdfast.Stepper
	batch holdfast.Batch
	now   seat.Time
	epoch uint64
	rng   *rand.Rand
	seen  map[string]int // what happened, to know that the histories are worth it
	desks *deskWorld     // beside the pools, with chances of its own
}

func newWorld(tb testing.TB, log *fakeLog, seed uint64) *world {
	start := time.Date(2026, 9, 1, 8, 0, 0, 123456000, time.UTC)
	w := &world{tb: tb, log: log, step: holdfast.Stepper{State: holdfast.NewState(), Seed: seedOfHash}, now: seat.TimeOf(start),
		rng: rand.New(rand.NewPCG(seed, 7)), seen: map[string]int{}}
	w.desks = &deskWorld{world: w, often: 3, rng: rand.New(rand.NewPCG(seed, 8))}
	return w
}

// lots makes a configuration a lottery, with one of the seeds that seedOfHash knows.
func lots(c seat.Config, opens seat.Time, n byte) seat.Config {
	seed := [32]byte{n}
	c.Order, c.OpensAt, c.SeedHash = seat.Lottery, opens, sha256.Sum256(seed[:])
	return c
}

func seedOfHash(hash [32]byte) (seed [32]byte, ok bool) {
	for n := range 256 {
		if seed = [32]byte{byte(n)}; sha256.Sum256(seed[:]) == hash {
			return seed, true
		}
	}
	return seed, false
}

// do runs what is due and then a command.
func (w *world) do(realm string, body holdfast.Body) holdfast.Result {
	w.tb.Helper()
	if err := body.Valid(); err != nil {
		w.tb.Fatal(err)
	}
	for _, r := range w.step.State.Realms() {
		for w.step.Due(r, w.now, w.now, &w.batch) {
		}
	}
	return w.step.Step(&holdfast.Command{Realm: realm, At: w.now, Body: body}, &w.batch)
}

// frame makes what was decided durable.
func (w *world) frame() {
	if w.batch.Count > 0 {
		w.note()
	}
	w.log.append(w.epoch, &w.batch)
}

func (w *world) note() {
	err := holdfast.Decode(w.batch.First, w.batch.Count, w.batch.Bytes, func(e *holdfast.Event) error {
		name := e.KindName()
		if e.Seat.Swap != "" {
			name += "+swap"
		}
		w.seen[name]++
		w.noteDesk(e)
		if e.Kind() == seat.LineJoined && e.Seat.Was == seat.Waiting {
			w.seen["wait becomes swap"]++
		}
		if e.Seat.Cause == seat.ByDraw {
			w.seen["drawn "+name]++
		}
		if e.Seat.Cause == seat.ByStaff {
			w.seen["staff"]++
		}
		return nil
	})
	if err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) start(grace time.Duration) {
	w.epoch++
	w.do("", holdfast.Start{Epoch: w.epoch, Grace: seat.Time(grace / time.Microsecond)})
}

func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

func number(n uint32) *uint32 { return &n }

const (
	worldPools  = 6
	worldPeople = 14
)

func poolID(i int) string   { return fmt.Sprintf("c%02d", i) }
func personID(i int) string { return fmt.Sprintf("s%03d", i) }

// setup makes two realms with pools of every sort.
func (w *world) setup() {
	w.start(time.Minute)
	for _, realm := range []string{"spring", "autumn"} {
		w.do(realm, holdfast.PutRealm{Limits: seat.Limits{MaxSeats: number(4), MaxWaits: 5}})
		for i := range worldPools {
			w.do(realm, seat.PutPool{Pool: poolID(i), Config: w.config(i)})
		}
	}
	w.frame()
	w.desks.setup()
}

func (w *world) config(i int) seat.Config {
	c := seat.Config{Capacity: uint32(1 + w.rng.IntN(3)), Data: `{"title":"Gr\u00fc\u00dfe \ud83d\ude00 \u0000 \ud800"}`}
	if i%2 == 1 {
		c.Promotion, c.AnswerWithin = seat.Offer, time.Duration(30+w.rng.IntN(600))*time.Second
	}
	if i >= 4 {
		c.Group = "g1"
	}
	if w.rng.IntN(3) == 0 {
		c.PromoteUntil = w.now.Add(time.Duration(60+w.rng.IntN(600)) * time.Second)
	}
	if w.rng.IntN(4) == 0 {
		c.Waitlist = number(uint32(w.rng.IntN(6)))
	}
	if i == 2 || w.rng.IntN(8) == 0 {
		c.PromoteUntil = 0
		if i == 2 {
			c.Waitlist = number(uint32(w.rng.IntN(3)))
		}
		c = lots(c, w.now.Add(time.Duration(w.rng.IntN(1200)-30)*time.Second), byte(w.rng.IntN(256)))
	}
	return c
}

// random does n commands, a frame after every few.
func (w *world) random(n int) {
	for range n {
		w.pass(time.Duration(w.rng.IntN(20_000_000)) * time.Microsecond)
		w.one()
		for range w.desks.often {
			w.desks.one()
		}
		if w.rng.IntN(4) == 0 {
			w.frame()
		}
	}
	w.frame()
}

func (w *world) one() {
	realm := []string{"spring", "autumn"}[w.rng.IntN(2)]
	pool, other, person := poolID(w.rng.IntN(worldPools)), poolID(w.rng.IntN(worldPools)), personID(w.rng.IntN(worldPeople))
	state := w.step.State.Realm(realm).Seats
	switch k := w.rng.IntN(100); {
	case k < 40:
		w.do(realm, seat.Claim{Pool: pool, Person: person})
	case k < 58:
		w.do(realm, seat.Release{Pool: pool, Person: person})
	case k < 72:
		w.swap(realm, state, other, person)
	case k < 84:
		for _, row := range offers(state) {
			w.do(realm, seat.Accept{Pool: row.Pool, Person: row.Person, Offer: row.Seq})
			break
		}
	case k < 88:
		w.do(realm, seat.Override{Pool: pool, Person: person, Action: seat.SeatPerson, Reason: "late \x00 form", By: "Ms. Müller"})
	case k < 91:
		w.do(realm, seat.Override{Pool: pool, Person: person, Action: seat.RemovePerson, Reason: "moved away"})
	case k < 96:
		i := w.rng.IntN(worldPools)
		c := w.config(i)
		if p, ok := state.Pool(poolID(i)); ok {
			c.Group = p.Config.Group
		}
		if len(offers(state)) > 0 {
			w.seen["put while offered"]++
		}
		w.do(realm, seat.PutPool{Pool: poolID(i), Config: c})
	case k < 98:
		w.do(realm, holdfast.PutRealm{Limits: seat.Limits{MaxSeats: number(uint32(2 + w.rng.IntN(4))), MaxWaits: 5}})
	default:
		if len(offers(state)) > 0 {
			w.seen["start while offered"]++
		}
		w.start(time.Duration(w.rng.IntN(600)) * time.Second)
	}
}

// swap gives up one of the person's seats for a place in another pool.
func (w *world) swap(realm string, state *seat.State, other, person string) {
	rows, _ := state.Person(person, 0, 100)
	for _, st := range rows {
		if st.Status == seat.Seated && st.Pool != other {
			w.do(realm, seat.Basket{Person: person, Mode: seat.EachOrWait, Items: []seat.Item{{Pool: other, Swap: st.Pool}}})
			return
		}
	}
}

func offers(state *seat.State) (rows []seat.Row) {
	for i := range worldPools {
		some, _ := state.Roster(poolID(i), 0, func(s seat.Status) bool { return s == seat.Offered }, 100)
		rows = append(rows, some...)
	}
	return rows
}
