package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answered is one answer that a client got.
type answered struct {
	realm     string
	body      holdfast.Body
	answer    engine.Answer
	confirmed bool // the client has seen Wait return nil
}

// ledger is what clients outside remember. Several goroutines may use it.
type ledger struct {
	mu   sync.Mutex // guards what follows
	list []*answered
	safe uint64 // the highest AsOf of a confirmed answer
}

func (l *ledger) add(realm string, body holdfast.Body, a engine.Answer) *answered {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &answered{realm: realm, body: body, answer: a}
	l.list = append(l.list, e)
	return e
}

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}

// confirm notes that the client has heard it.
func (l *ledger) confirm(e *answered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.confirmed = true
	l.safe = max(l.safe, e.answer.AsOf)
}

// confirmed is how far the log must reach after whatever happens from now on.
func (l *ledger) confirmed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.safe
}

// history is the frames that an engine tried to append, in order: the witness.
type history struct {
	mu     sync.Mutex // guards what follows
	frames []engine.Frame
	failed bool
	retry  bool // an append was tried after one that failed
}

// witness is a Log that notes what is appended.
type witness struct {
	engine.Log
	seen *history
}

func (w witness) Append(first uint64, count int, payload []byte) (engine.Position, error) {
	w.seen.mu.Lock()
	w.seen.frames = append(w.seen.frames, engine.Frame{First: first, Count: count, Payload: slices.Clone(payload)})
	w.seen.retry = w.seen.retry || w.seen.failed
	w.seen.mu.Unlock()
	at, err := w.Log.Append(first, count, payload)
	w.seen.mu.Lock()
	w.seen.failed = w.seen.failed || err != nil
	w.seen.mu.Unlock()
	return at, err
}

// hashes folds the history, checks that every answer is true at its place (J1, for what the log has), that every state
// keeps the invariants, and gives the state's hash at the end of each frame.
func (h *history) hashes(l *ledger) (map[uint64][32]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	answers := slices.Clone(l.list)
	slices.SortStableFunc(answers, func(a, b *answered) int { return cmp.Compare(a.answer.AsOf, b.answer.AsOf) })
	if h.retry {
		return nil, errors.New("an append was tried after one that failed")
	}
	state, ends := holdfast.NewState(), map[uint64][32]byte{}
	check := func() error {
		for len(answers) > 0 && answers[0].answer.AsOf == state.Seq() {
			if err := answers[0].trueIn(state); err != nil {
				return err
			}
			answers = answers[1:]
		}
		return nil
	}
	for _, f := range h.frames {
		err := holdfast.Decode(f.First, f.Count, f.Payload, func(e *holdfast.Event) error {
			return errors.Join(check(), state.Apply(e))
		})
		if err = errors.Join(err, state.Check()); err != nil {
			return nil, err
		}
		ends[f.Last()] = state.Hash()
	}
	if err := check(); err != nil {
		return nil, err
	}
	for _, a := range answers {
		if a.confirmed {
			return nil, fmt.Errorf("an answer as of %d was confirmed, the log was given %d events", a.answer.AsOf, state.Seq())
		}
	}
	return ends, nil
}

// trueIn compares an answer with the state at its AsOf.
func (a *answered) trueIn(s *holdfast.State) error {
	realm := s.Realm(a.realm)
	if realm == nil {
		if a.answer.Refusal.Code != holdfast.UnknownRealm {
			return fmt.Errorf("as of %d realm %q was there", a.answer.AsOf, a.realm)
		}
		return nil
	}
	same := func(pool, person string, res seat.Result) error {
		st, _ := realm.Seats.Standing(pool, person)
		if st != res.Standing {
			return fmt.Errorf("%T as of %d said %+v, the log says %+v", a.body, a.answer.AsOf, res.Standing, st)
		}
		if v, ok := realm.Seats.Pool(pool); ok && res.Refusal.Code == seat.Full && v.Free > 0 && v.Waiting == 0 && !st.Status.Live() {
			return fmt.Errorf("%T as of %d said full, with a free seat and nobody waiting", a.body, a.answer.AsOf)
		}
		return nil
	}
	switch b := a.body.(type) {
	case holdfast.PutRealm:
		if a.answer.Seq != realm.Seq || a.answer.Result.At != realm.At {
			return fmt.Errorf("PutRealm as of %d said %d, the log says %d", a.answer.AsOf, a.answer.Seq, realm.Seq)
		}
	case seat.PutPool:
		if v, _ := realm.Seats.Pool(b.Pool); !a.answer.Refused() && (v.Seq != a.answer.Seq || v.Config.Capacity != b.Config.Capacity) {
			return fmt.Errorf("PutPool as of %d said %d, the log says %+v", a.answer.AsOf, a.answer.Seq, v)
		}
	case seat.Basket:
		for i, it := range b.Items {
			if err := same(it.Pool, b.Person, a.answer.Items[i]); err != nil {
				return err
			}
		}
	case seat.Claim:
		return same(b.Pool, b.Person, a.answer.Result.Result)
	case seat.Release:
		return same(b.Pool, b.Person, a.answer.Result.Result)
	case seat.Accept:
		return same(b.Pool, b.Person, a.answer.Result.Result)
	case seat.Override:
		return same(b.Pool, b.Person, a.answer.Result.Result)
	case seat.Look:
		return same(b.Pool, b.Person, a.answer.Result.Result)
	}
	return nil
}

// workload makes commands of every kind, from a seed. One goroutine at a time.
type workload struct {
	rng    *rand.Rand
	offers map[string]seat.Accept // person → the last offer seen
}

func newWorkload(seed uint64) *workload {
	return &workload{rand.New(rand.NewPCG(seed, 7)), map[string]seat.Accept{}}
}

const workRealm = "r"

func (w *workload) setup() []holdfast.Body {
	most := uint32(3)
	bodies := []holdfast.Body{holdfast.PutRealm{Limits: seat.Limits{MaxSeats: &most, MaxWaits: 4}}}
	for i := range 5 {
		bodies = append(bodies, w.pool(i))
	}
	return bodies
}

func (w *workload) pool(i int) seat.PutPool {
	cfg := seat.Config{Capacity: uint32(w.rng.IntN(5)), Data: fmt.Sprintf(`"%0*d"`, w.rng.IntN(200)+1, i)}
	switch i {
	case 1, 4:
		cfg.Promotion, cfg.AnswerWithin = seat.Offer, time.Hour
	case 2:
		line := uint32(2)
		cfg.Waitlist = &line
	}
	if i >= 3 {
		cfg.Group = "g"
	}
	return seat.PutPool{Pool: fmt.Sprintf("p%d", i), Config: cfg}
}

func (w *workload) next() holdfast.Body {
	pool, person := fmt.Sprintf("p%d", w.rng.IntN(5)), fmt.Sprintf("s%d", w.rng.IntN(14))
	switch n := w.rng.IntN(100); {
	case n < 45:
		return seat.Claim{Pool: pool, Person: person}
	case n < 65:
		return seat.Release{Pool: pool, Person: person}
	case n < 72:
		return seat.Look{Pool: pool, Person: person}
	case n < 82:
		items := []seat.Item{{Pool: "p0"}, {Pool: "p3", Swap: "p4"}, {Pool: "p2"}}
		return seat.Basket{Person: person, Mode: seat.Mode(w.rng.IntN(3) + 1), Items: items[w.rng.IntN(2):]}
	case n < 88:
		return seat.Override{Pool: pool, Person: person, Action: seat.Action(w.rng.IntN(2) + 1), Reason: "because"}
	case n < 94:
		return w.pool(w.rng.IntN(5))
	}
	for _, offer := range w.offers {
		return offer
	}
	return seat.Look{Pool: pool, Person: person}
}

func (w *workload) note(body holdfast.Body, a engine.Answer) {
	if a.Status == seat.Offered {
		if look, ok := body.(seat.Look); ok {
			w.offers[look.Person] = seat.Accept{Pool: look.Pool, Person: look.Person, Offer: a.Seq}
		}
	}
}

// run gives the engine the setup and n commands, waiting for about every third, and writes the ledger. It ends early when the
// engine stops; ErrBusy is passed over.
func (w *workload) run(e *engine.Engine, l *ledger, n int) error {
	bodies := w.setup()
	for i := 0; i < n+len(bodies); i++ {
		var body holdfast.Body
		if i < len(bodies) {
			body = bodies[i]
		} else {
			body = w.next()
		}
		a, err := e.Do(workRealm, body)
		for try := 0; errors.Is(err, engine.ErrBusy) && try < 50; try++ {
			runtime.Gosched() // the next segment is being prepared
			a, err = e.Do(workRealm, body)
		}
		if errors.Is(err, engine.ErrBusy) {
			continue
		}
		if err != nil {
			return err
		}
		w.note(body, a)
		entry := l.add(workRealm, body, a)
		if i%3 == 0 {
			l.settle(entry)
		}
	}
	return nil
}

// settle waits for one answer and notes it.
func (l *ledger) settle(entry *answered) {
	switch err := entry.answer.Wait(context.Background()); {
	case err == nil:
		l.confirm(entry)
	case !errors.Is(err, engine.ErrUnknown):
		panic(err)
	}
}

// settleAll waits for all.
func (l *ledger) settleAll() (confirmed, unknown int) {
	l.mu.Lock()
	list := slices.Clone(l.list)
	l.mu.Unlock()
	for _, entry := range list {
		if l.settle(entry); entry.confirmed {
			confirmed++
		} else {
			unknown++
		}
	}
	return confirmed, unknown
}
