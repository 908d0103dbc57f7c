package rush

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"holdfast/internal/play"
)

// lobby is everybody on a connection of their own. It must be closed.
type lobby struct {
	crowd    *crowd
	students []*student // by person; nil = takes no part
	way      way
	board    board
	tally    tally

	log  atomic.Pointer[string] // the log's id, as the server tells it
	act  atomic.Int32           // that is played: the act of what comes unasked
	held atomic.Bool            // nobody comes back for now

	ctx     context.Context
	cancel  context.CancelCauseFunc
	waiting chan *student  // to be connected
	all     sync.WaitGroup // the diallers and the readers
}

// way is how students get to the server.
type way struct {
	option  gws.ClientOption
	sources []net.IP      // local addresses that the students come from; none = the system's choice
	quiet   time.Duration // nothing came for so long: the rush believes that nothing more comes
}

// board is what is measured of each student, by person. Before it is read, everybody is waited for through tally.
type board struct {
	opening []bool          // presses for the one course too
	moments []time.Duration // from hearing of the opening to pressing
	again   []time.Duration // from pressing to pressing again; 0 = never
	heard   []time.Duration // of the opening
	caught  []time.Duration // the first push after the last hello
	one     *stage          // act 1
	two     *stage          // act 2
}

// handshakes is how many students connect at the same time.
const handshakes = 128

// newLobby prepares all students, and begins to connect who is sent to waiting.
func newLobby(ctx context.Context, c *crowd, quiet time.Duration) *lobby {
	p := c.plan
	n := len(p.people)
	l := &lobby{crowd: c, students: make([]*student, n), waiting: make(chan *student, n)}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.board = board{
		opening: make([]bool, n), moments: make([]time.Duration, n), again: make([]time.Duration, n),
		heard: make([]time.Duration, n), caught: make([]time.Duration, n), one: newStage(n), two: newStage(n),
	}
	l.board.one.students, l.board.two.students = len(p.opening), p.students()
	for _, person := range p.opening {
		l.board.opening[person] = true
	}
	for _, press := range p.order {
		if press.again {
			l.board.again[press.person] = 1
		}
	}
	rng := random(c.seed, streamMoments)
	for i := range n {
		l.board.moments[i] = time.Duration(rng.Int64N(int64(openingSpan)))
		if later := time.Duration(rng.Int64N(int64(openingSpan))) + 1; l.board.again[i] > 0 {
			l.board.again[i] = later
		}
		l.board.caught[i] = -1
		if l.takesPart(int32(i)) {
			l.students[i] = &student{lobby: l, person: int32(i)}
			l.tally.students++
		}
	}
	l.act.Store(2)
	c.counts = newCounts()
	const shelves = 32
	for range shelves {
		c.shelves = append(c.shelves, &sharedShelf{})
	}
	l.way = way{c.door.Address.WebSocket(c.realm), play.Sources(c.door.Address.Host, l.tally.students), quiet}
	for range handshakes {
		l.all.Go(l.dialler)
	}
	return l
}

func (l *lobby) takesPart(person int32) bool {
	return l.board.opening[person] || len(l.crowd.plan.wishes[person]) > 0
}

// watched is the course whose opening a student waits for.
func (l *lobby) watched(person int32) int32 {
	if l.board.opening[person] {
		return 0
	}
	return l.crowd.plan.wishes[person][0]
}

// source is the local address of a student.
func (l *lobby) source(person int32) net.Addr {
	if len(l.way.sources) == 0 {
		return nil
	}
	return &net.TCPAddr{IP: l.way.sources[int(person)%len(l.way.sources)]}
}

// dialler connects one student after another.
func (l *lobby) dialler() {
	for {
		select {
		case s := <-l.waiting:
			if err := s.connect(l.ctx); err != nil {
				l.lost(s, err)
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// connect sends everybody to the diallers, and waits until the server has told each what they have.
func (l *lobby) connect(what string) error {
	l.tally.caught.Store(0)
	for i, s := range l.students {
		if s != nil {
			l.board.caught[i] = -1
			l.waiting <- s
		}
	}
	return l.await(what, func() int { return l.tally.students - int(l.tally.caught.Load()) })
}

// lost brings a student back later, whose connection ended or did not come about.
func (l *lobby) lost(s *student, err error) {
	if l.ctx.Err() != nil || l.held.Load() {
		return
	}
	l.tally.lost(err)
	s.mu.Lock()
	tries := s.tries
	s.tries++
	s.mu.Unlock()
	delay, err := play.ComeBack(err, l.jitter, tries)
	if err != nil {
		l.cancel(err)
		return
	}
	time.AfterFunc(delay, func() {
		select {
		case l.waiting <- s:
		case <-l.ctx.Done():
		}
	})
}

// jitter is full jitter over a span.
func (l *lobby) jitter(span time.Duration) time.Duration {
	return rand.N(max(span, 1)) + 1
}

// greeted notes the log's id in the answer to a hello.
func (l *lobby) greeted(line []byte) {
	l.tally.present.Add(1)
	if l.log.Load() != nil {
		return
	}
	const name = `"log":"`
	if i := bytes.Index(line, []byte(name)); i >= 0 {
		id, _, _ := bytes.Cut(line[i+len(name):], []byte(`"`))
		text := string(id)
		l.log.Store(&text)
	}
}

// caughtUp: a student has the first push after hello.
func (l *lobby) caughtUp(person int32, now time.Duration) {
	if l.board.caught[person] < 0 {
		l.board.caught[person] = now
		l.tally.caught.Add(1)
	}
}

// put keeps what a student heard.
func (l *lobby) put(r record) {
	l.crowd.shelves[int(r.person)%len(l.crowd.shelves)].put(r)
	if !r.errand.push() {
		l.tally.answer(r.received)
	}
}

// answered notes when a student knew, preapproved or confirmed.
func (l *lobby) answered(a *ask, now time.Duration, confirmed bool) {
	stage := l.board.one
	if a.act == 2 {
		stage = l.board.two
	}
	if a.act <= 2 && !a.again {
		if !a.seen {
			stage.preapproved[a.person] = now - a.intended
		}
		if confirmed {
			stage.confirmed[a.person] = now - a.intended
		}
	}
	if !confirmed {
		return
	}
	l.tally.settled.Add(1)
	if a.act == 2 {
		finished := int(l.crowd.done.Add(1))
		if l.crowd.onDone != nil {
			l.crowd.onDone(finished)
		}
	}
}

// await waits until nobody is missing any more, as long as they become fewer.
func (l *lobby) await(what string, missing func() int) error {
	giveUp := time.Now().Add(patience)
	for last := 0; ; {
		n := missing()
		if n <= 0 {
			return nil
		}
		if n < last || last == 0 {
			last, giveUp = n, time.Now().Add(patience)
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("%s: %s still waiting, and none fewer for %v", what, play.Number(n), patience)
		}
		if err := play.Sleep(l.ctx, watchEvery/2); err != nil {
			return err
		}
	}
}

// quietLimit is how long the rush waits for silence.
const quietLimit = 60 * time.Second

// settle waits until everybody is connected, knows what they have, and nothing more comes; from then on each must have been
// told everything.
func (l *lobby) settle(what string) error {
	giveUp := time.Now().Add(quietLimit)
	for {
		quiet := l.crowd.now() - l.tally.last()
		if quiet >= l.way.quiet && int(l.tally.present.Load()) == l.tally.students && len(l.waiting) == 0 {
			break
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("%s: the server did not fall silent within %v; %s of %s are connected", what, quietLimit,
				play.Number(int(l.tally.present.Load())), play.Number(l.tally.students))
		}
		if err := play.Sleep(l.ctx, watchEvery); err != nil {
			return err
		}
	}
	head := uint64(0)
	l.crowd.records(func(r *record) { head = max(head, r.asOf()) })
	l.crowd.quiet = append(l.crowd.quiet, standstill{asOf: head, act: uint8(l.act.Load())})
	return nil
}

// standstill is a moment at which everything up to asOf must have been told to everybody.
type standstill struct {
	asOf uint64
	act  uint8
}

var errLeft = errors.New("the students have left")

// close hangs up, and waits for all that was started.
func (l *lobby) close() {
	l.held.Store(true)
	for _, s := range l.students {
		if s != nil {
			s.leave()
		}
	}
	l.cancel(errLeft)
	l.all.Wait()
}
