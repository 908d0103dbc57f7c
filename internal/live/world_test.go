package live_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/live"
	"holdfast/internal/memlog"
	"holdfast/seat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tb is what a *testing.T and a *rapid.T have.
type tb interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

const term = "spring"

// world is a hub on an engine on a log in memory. It lives in a synctest bubble.
type world struct {
	tb
	log    *memlog.Log
	engine *engine.Engine
	hub    *live.Hub
	gate   *gate
}

// gate holds appends back while it is shut.
type gate struct {
	mu   sync.Mutex // guards what follows
	shut chan struct{}
}

func (g *gate) pass(uint64, int) error {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return nil
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

// step lets what waits pass, and holds back what comes next.
func (g *gate) step() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = make(chan struct{})
}

func newWorld(t tb, change ...func(*live.Config)) *world {
	w := &world{tb: t, log: memlog.New(), gate: &gate{}}
	w.log.Gate = w.gate.pass
	w.start(change...)
	w.do(holdfast.PutRealm{Limits: seat.DefaultLimits()})
	return w
}

func (w *world) start(change ...func(*live.Config)) {
	w.Helper()
	cfg := engine.DefaultConfig()
	cfg.SnapshotEvery = 0
	var err error
	if w.engine, err = engine.Open(w.log, cfg); err != nil {
		w.Fatal(err)
	}
	lcfg := live.DefaultConfig()
	for _, f := range change {
		f(&lcfg)
	}
	if w.hub, err = live.New(w.engine, lcfg); err != nil {
		w.Fatal(err)
	}
}

func (w *world) stop() {
	w.hub.Close()
	if err := w.engine.Close(); err != nil {
		w.Error(err)
	}
}

// restart is a new process on the same log.
func (w *world) restart(change ...func(*live.Config)) {
	w.stop()
	w.log.Reopen()
	w.start(change...)
}

func (w *world) do(body holdfast.Body) engine.Answer {
	w.Helper()
	a, err := w.engine.Do(term, body)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// ok is do where nothing may be refused.
func (w *world) ok(body holdfast.Body) engine.Answer {
	w.Helper()
	a := w.do(body)
	if a.Refused() {
		w.Fatalf("%+v was refused: %+v", body, a.Refusal)
	}
	return a
}

func (w *world) pool(name string, capacity uint32, change ...func(*seat.Config)) {
	w.Helper()
	cfg := seat.Config{Capacity: capacity}
	for _, f := range change {
		f(&cfg)
	}
	w.ok(seat.PutPool{Pool: name, Config: cfg})
}

func (w *world) claim(pool string, people ...string) {
	w.Helper()
	for _, who := range people {
		w.ok(seat.Claim{Pool: pool, Person: who})
	}
}

func (w *world) release(pool string, people ...string) {
	w.Helper()
	for _, who := range people {
		w.ok(seat.Release{Pool: pool, Person: who})
	}
}

// truth is how a person stands, by pool.
func (w *world) truth(person string) map[string]row {
	rows := map[string]row{}
	if _, err := w.engine.Read(func(s *holdfast.State) { rows = truthOf(s, person) }); err != nil {
		w.Fatal(err)
	}
	return rows
}

func truthOf(s *holdfast.State, person string) map[string]row {
	rows := map[string]row{}
	if r := s.Realm(term); r != nil {
		list, _ := r.Seats.Person(person, 0, 1<<20)
		for i := range list {
			rows[list[i].Pool] = rowOf(&list[i])
		}
	}
	return rows
}

// row is one claim of a push.
type row struct {
	Pool, Status, Swap, Blocked string
	Seat, Position, Ticket      uint32
	Seq                         uint64
	At, Deadline                seat.Time
}

func rowOf(st *seat.Standing) row {
	return row{st.Pool, st.Status.String(), st.Swap, string(st.Blocked), st.Seat, st.Position, st.Ticket, st.Seq, st.At, st.Deadline}
}

// push is one message.
type push struct {
	Push, Person, Pool                                            string
	AsOf                                                          uint64 `json:"as_of"`
	All                                                           bool
	Claims                                                        []row
	Capacity, Seated, Offered, Waiting, Entered, Free, Over, InMS int
	Open                                                          bool
	OpensAt                                                       seat.Time `json:"opens_at"`
	Time                                                          seat.Time
	MS                                                            int `json:"in_ms"`

	at time.Time
}

func (p *push) pools() string {
	var names []string
	for _, r := range p.Claims {
		names = append(names, r.Pool+"="+r.Status)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// ear is a Sink that keeps what it hears, and what a client would make of it.
type ear struct {
	tb
	news   chan struct{} // holds one: something was pushed
	mu     sync.Mutex    // guards what follows
	heard  []push
	cursor uint64
	view   map[string]row
	check  func(*push)
}

func newEar(t tb) *ear { return &ear{tb: t, news: make(chan struct{}, 1), view: map[string]row{}} }

func (s *ear) Push(kind string, asOf uint64, message []byte) {
	var p push
	if err := json.Unmarshal(message, &p); err != nil {
		s.Errorf("%v: %s", err, message)
	}
	p.at = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Push != kind || kind != live.Opening && p.AsOf != asOf || asOf < s.cursor {
		s.Errorf("pushed as %s of %d after %d: %s", kind, asOf, s.cursor, message)
	}
	if s.check != nil {
		s.check(&p)
	}
	s.heard = append(s.heard, p)
	if kind == live.Claims {
		s.fold(&p)
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// fold takes a push into the view. What an answer told that is later than the push stays.
func (s *ear) fold(p *push) {
	s.cursor = p.AsOf
	if p.All {
		maps.DeleteFunc(s.view, func(_ string, r row) bool { return r.Seq <= p.AsOf })
	}
	for _, r := range p.Claims {
		if s.view[r.Pool].Seq <= p.AsOf {
			s.view[r.Pool] = r
		}
	}
}

// answered takes an answer into the view, as a client does that got it on the same connection.
func (s *ear) answered(st *seat.Standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.view[st.Pool]; st.Seq > old.Seq {
		s.view[st.Pool] = rowOf(st)
	}
}

// take gives what was heard since the last take.
func (s *ear) take() []push {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.heard
	s.heard = nil
	return list
}

func (s *ear) since(log string) live.Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return live.Cursor{Log: log, Seq: s.cursor}
}

// only gives the one push that came.
func (s *ear) only() push {
	s.Helper()
	synctest.Wait()
	list := s.take()
	if len(list) != 1 {
		s.Fatalf("%d pushes: %+v", len(list), list)
	}
	return list[0]
}

// none: nothing came.
func (s *ear) none() {
	s.Helper()
	synctest.Wait()
	if list := s.take(); len(list) > 0 {
		s.Errorf("%d pushes: %+v", len(list), list)
	}
}

// expect checks the one push that came.
func (s *ear) expect(pools string) push {
	s.Helper()
	p := s.only()
	if p.Push != live.Claims || p.pools() != pools {
		s.Errorf("told %q, want %q", p.pools(), pools)
	}
	return p
}

// true checks that the view is how things stand.
func (w *world) true(s *ear, person string) {
	w.Helper()
	truth := w.truth(person)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(truth) != len(s.view) {
		w.Errorf("%s: the view is %+v, the truth %+v", person, s.view, truth)
	}
	for pool, r := range truth {
		if s.view[pool] != r {
			w.Errorf("%s in %s: the view is %+v, the truth %+v", person, pool, s.view[pool], r)
		}
	}
}

const memID = "6d656d00000000000000000000000000"

func (w *world) watch(person string, since live.Cursor) (*ear, *live.Watch) {
	s := newEar(w)
	return s, w.hub.Watch(term, person, since, s)
}

// settled gives a watcher of a person who has had the first push.
func (w *world) settled(person string) (*ear, *live.Watch) {
	synctest.Wait() // what is followed with nobody there begins no round of positions
	s, watch := w.watch(person, live.Cursor{})
	synctest.Wait()
	s.take()
	return s, watch
}

func offers(within time.Duration) func(*seat.Config) {
	return func(c *seat.Config) { c.Promotion, c.AnswerWithin = seat.Offer, within }
}

func inGroup(name string) func(*seat.Config) { return func(c *seat.Config) { c.Group = name } }
