package shift

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

// floor is everybody who takes part, and their way to the server. It must be closed.
type floor struct {
	cfg   *Config
	plan  *plan
	realm string
	door  *play.Door
	began time.Time // the zero of all durations
	peers []*peer   // the agents, desk by desk, and then the clients
	hands hands
	way   way
	tally tally
	log   atomic.Pointer[string] // the log's id, as the server tells it

	crew
}

// hands are the agents and clients of a floor.
type hands struct {
	agents  []*agent
	clients []*client
	free    chan *client // who wait for somebody to come
	rings   chan *caller // who ask over HTTP
	shelves [shelves]shelf
	next    atomic.Int64 // number of the next arrival where they come as fast as they can

	mu   sync.Mutex // guards rung
	rung []*caller  // who know their end
}

// way is how peers get to the server.
type way struct {
	option  gws.ClientOption
	sources []net.IP // local addresses that the peers come from; none = the system's choice
}

// crew is what runs on a floor.
type crew struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	waiting chan *peer  // to be connected
	closing atomic.Bool // nobody new comes; who waits cancels, who talks ends
	left    atomic.Bool // nobody comes back
	readers sync.WaitGroup
	timers  timers
}

// tally counts while the shift runs.
type tally struct {
	present  atomic.Int64 // peers that the server knows
	online   atomic.Int64 // agents who have been online
	came     atomic.Int64 // clients who began to ask
	live     atomic.Int64 // of them, those who do not know their end yet
	late     atomic.Int64 // came later than planned: all connections of clients were in use
	putOff   atomic.Int64 // answers busy or unknown
	cut      atomic.Int64 // connections broken on purpose
	doubled  atomic.Int64 // second connections that superseded the first
	told4409 atomic.Int64 // of them, those of which the first was closed with 4409
	broken   atomic.Int64 // connections that ended otherwise
	dialled  atomic.Int64
}

// handshakes is how many peers connect at the same time.
const handshakes = 128

func newFloor(ctx context.Context, cfg *Config, p *plan, realm string, d *play.Door) *floor {
	f := &floor{cfg: cfg, plan: p, realm: realm, door: d, began: time.Now()}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	for i := range p.desks {
		for k := range p.desks[i].agents {
			f.hands.agents = append(f.hands.agents, newAgent(f, int32(len(f.peers)), int32(i), int32(k)))
			f.peers = append(f.peers, &f.hands.agents[len(f.hands.agents)-1].peer)
		}
	}
	for i := range cfg.Clients {
		f.hands.clients = append(f.hands.clients, newClient(f, int32(len(f.peers)), i))
		f.peers = append(f.peers, &f.hands.clients[i].peer)
	}
	f.hands.free = make(chan *client, cfg.Clients)
	f.hands.rings = make(chan *caller, len(p.arrivals)+1)
	f.way = way{d.Address.WebSocket(realm), play.Sources(d.Address.Host, len(f.peers))}
	f.waiting = make(chan *peer, 2*len(f.peers))
	for range min(handshakes, len(f.peers)) {
		f.readers.Go(f.dialler)
	}
	return f
}

// nextFor is who comes to a client at once, where they come as fast as they can.
func (f *floor) nextFor(c *client) arrival {
	n := int(f.hands.next.Add(1)) - 1
	return arrival{number: n, desk: (c.number - int32(len(f.hands.agents))) % int32(len(f.plan.desks)), topic: -1}
}

// now is the time since the shift began.
func (f *floor) now() time.Duration { return time.Since(f.began) }

// source is the local address of a peer.
func (f *floor) source(number int32) net.Addr {
	if len(f.way.sources) == 0 {
		return nil
	}
	return &net.TCPAddr{IP: f.way.sources[int(number)%len(f.way.sources)]}
}

// dialler connects one peer after another.
func (f *floor) dialler() {
	for {
		select {
		case p := <-f.waiting:
			f.tally.dialled.Add(1)
			if err := p.connect(f.ctx); err != nil {
				f.lost(p, err, 0)
			}
		case <-f.ctx.Done():
			return
		}
	}
}

// dial sends a peer to the diallers.
func (f *floor) dial(p *peer) {
	select {
	case f.waiting <- p:
	case <-f.ctx.Done():
	}
}

// lost brings a peer back later, whose connection ended or did not come about.
func (f *floor) lost(p *peer, err error, away time.Duration) {
	if f.ctx.Err() != nil || f.left.Load() {
		return
	}
	if away > 0 {
		f.after(away, func() { f.dial(p) })
		return
	}
	f.tally.broken.Add(1)
	p.mu.Lock()
	tries := p.tries
	p.tries++
	p.mu.Unlock()
	delay, err := play.ComeBack(err, jitter, tries)
	if err != nil {
		f.cancel(err)
		return
	}
	f.after(delay, func() { f.dial(p) })
}

// superseded counts how connections end that are not the peer's any more.
func (f *floor) superseded(err error) {
	var closed *gws.CloseError
	if errors.As(err, &closed) && closed.Code == 4409 {
		f.tally.told4409.Add(1)
	}
}

// jitter is full jitter over a span.
func jitter(span time.Duration) time.Duration { return rand.N(max(span, 1)) + 1 }

// greeted notes what the answer to a hello says of the log.
func (f *floor) greeted(line []byte) {
	f.tally.present.Add(1)
	if f.log.Load() == nil {
		if id := word(line, memberLog); id != nil {
			text := string(bytes.Clone(id))
			f.log.Store(&text)
		}
	}
}

// put keeps what somebody heard.
func (f *floor) put(r record) {
	f.hands.shelves[uint32(r.who)%shelves].put(r)
}

// after calls do later, unless the floor is closed before.
func (f *floor) after(wait time.Duration, do func()) { f.timers.after(wait, do) }

// patience is how long the shift waits for something that should come, while nothing of it comes.
const patience = 60 * time.Second

// awaitEvery is the pause between two looks.
const awaitEvery = 5 * time.Millisecond

// await waits until nobody is missing any more, as long as they become fewer.
func (f *floor) await(what string, missing func() int) error {
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
			return fmt.Errorf("%w: %s: %s still missing, and none fewer for %v", errStuck, what, play.Number(n), patience)
		}
		if err := play.Sleep(f.ctx, awaitEvery); err != nil {
			return err
		}
	}
}

var (
	errStuck = errors.New("it does not go on")
	errLeft  = errors.New("everybody has left")
)

// close hangs up, and waits for all that was started.
func (f *floor) close() {
	f.left.Store(true)
	f.timers.stop()
	for _, p := range f.peers {
		p.leave()
	}
	f.cancel(errLeft)
	f.readers.Wait()
}

// timers are the calls that are still to come, so that all of them can be ended.
type timers struct {
	mu      sync.Mutex // guards what follows
	stopped bool
	running sync.WaitGroup
}

func (t *timers) after(wait time.Duration, do func()) {
	time.AfterFunc(wait, func() {
		t.mu.Lock()
		if t.stopped {
			t.mu.Unlock()
			return
		}
		t.running.Add(1)
		t.mu.Unlock()
		defer t.running.Done()
		do()
	})
}

// stop ends all that are to come, and waits for those that run. It must not be called by one of them.
func (t *timers) stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.running.Wait()
}
