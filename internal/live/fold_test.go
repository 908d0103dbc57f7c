package live_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/live"
	"holdfast/seat"
)

// replica is the state as of a place in the durable log, made apart from the engine.
type replica struct {
	log    engine.Log
	state  *holdfast.State
	events []holdfast.Event // read, not applied yet
	read   uint64
}

// at gives the state after event seq; an error means that the log has none of that number: it is not confirmed.
func (r *replica) at(seq uint64) (*holdfast.State, error) {
	if seq < r.state.Seq() {
		return nil, fmt.Errorf("as_of went back to %d from %d", seq, r.state.Seq())
	}
	for r.read < seq {
		reader, err := r.log.Read(r.read)
		if err != nil {
			return nil, err
		}
		f, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("pushed as of %d, but the log ends at %d", seq, r.read)
		} else if err != nil {
			return nil, err
		}
		if err := holdfast.Decode(f.First, f.Count, f.Payload, func(e *holdfast.Event) error {
			r.events = append(r.events, *e)
			return nil
		}); err != nil {
			return nil, err
		}
		r.read = f.Last()
	}
	for r.state.Seq() < seq {
		if err := r.state.Apply(&r.events[0]); err != nil {
			return nil, err
		}
		r.events = r.events[1:]
	}
	return r.state, nil
}

// device is one watcher of the story.
type device struct {
	*ear
	person string
	watch  *live.Watch // nil: not connected
	ahead  sync.Map    // pool → seq of the last answer, read or lost
}

// story is one run of random commands with watchers that come and go.
type story struct {
	*world
	dice     []uint16 // what happens
	replica  replica
	devices  []*device
	counts   map[string]*ear
	shut     bool
	compared int
}

// hear checks a push against the replica: every row is true as of its number, and everything else that the view has is too,
// apart from positions, which come later, and from what answers told since.
func (s *story) hear(d *device, p *push) {
	if p.Push != live.Claims {
		return
	}
	state, err := s.replica.at(p.AsOf)
	if err != nil {
		s.Errorf("%v", err)
		return
	}
	truth := truthOf(state, d.person)
	view := map[string]row{}
	if !p.All {
		for pool, r := range d.view {
			view[pool] = r
		}
	}
	for _, r := range p.Claims {
		if r != truth[r.Pool] {
			s.Errorf("as of %d %s was told %+v, the truth was %+v", p.AsOf, d.person, r, truth[r.Pool])
		}
		view[r.Pool] = r
	}
	for pool, r := range truth {
		seen := view[pool]
		if seq, ok := d.ahead.Load(pool); ok && seq.(uint64) > p.AsOf {
			continue
		}
		seen.Position = r.Position
		if seen.Seq != r.Seq || seen.Status != r.Status {
			s.Errorf("as of %d %s believes %+v of %s, the truth was %+v", p.AsOf, d.person, seen, pool, r)
		}
		s.compared++
	}
}

func (s *story) person() string {
	return []string{"ann", "bob", "cyd", "dan"}[s.roll(4)]
}

func (s *story) poolName() string {
	return []string{"a1", "a2", "b", "c", "offer"}[s.roll(5)]
}

func (s *story) putPool(name string) {
	cfg := seat.Config{Capacity: uint32(s.roll(4))}
	switch name {
	case "a1", "a2":
		cfg.Group = "a"
	case "offer":
		offers(5 * time.Second)(&cfg)
		if s.roll(2) == 1 {
			cfg.PromoteUntil = seat.TimeOf(time.Now().Add(3 * time.Second))
		}
	}
	if _, err := s.engine.Do(term, seat.PutPool{Pool: name, Config: cfg}); err != nil {
		s.Fatal(err)
	}
}

// command is one command, whose answer a device may be told by its connection.
func (s *story) command() {
	who, pool := s.person(), s.poolName()
	var body holdfast.Body
	switch s.roll(7) {
	case 0, 1:
		body = seat.Claim{Pool: pool, Person: who}
	case 2:
		body = seat.Release{Pool: pool, Person: who}
	case 3:
		st := s.ok(seat.Look{Pool: pool, Person: who})
		body = seat.Accept{Pool: pool, Person: who, Offer: max(1, st.Seq)}
	case 4:
		old := s.poolName()
		if old == pool {
			return
		}
		body = seat.Basket{Person: who, Mode: seat.EachOrWait, Items: []seat.Item{{Pool: pool, Swap: old}}}
	case 5:
		action := []seat.Action{seat.SeatPerson, seat.RemovePerson}[s.roll(2)]
		body = seat.Override{Pool: pool, Person: who, Action: action, Reason: "x"}
	case 6:
		var list []seat.Item
		for _, name := range []string{"a1", "b", "c"} {
			list = append(list, seat.Item{Pool: name})
		}
		body = seat.Basket{Person: who, Mode: seat.Each, Items: list}
	}
	a := s.do(body)
	var list []seat.Standing
	for _, it := range a.Items {
		if !it.Refused() {
			list = append(list, it.Standing)
		}
	}
	if len(a.Items) == 0 && !a.Refused() {
		list = append(list, a.Standing)
	}
	s.answer(who, list)
}

// answer: the command came on a connection of its person, or on none; it breaks before the answer is read, or it does not;
// the answer may be late.
func (s *story) answer(who string, list []seat.Standing) {
	d := s.devices[s.roll(len(s.devices))]
	if d.person != who || d.watch == nil {
		return
	}
	if s.roll(2) == 1 {
		synctest.Wait()
	}
	for i := range list {
		d.ahead.Store(list[i].Pool, list[i].Seq)
		d.watch.Told(&list[i])
	}
	if s.roll(4) == 0 {
		if s.roll(2) == 1 {
			synctest.Wait()
		}
		d.watch.Close()
		d.watch = nil
		return
	}
	for i := range list {
		d.answered(&list[i])
	}
}

func (s *story) comeOrGo() {
	d := s.devices[s.roll(len(s.devices))]
	if d.watch != nil {
		d.watch.Close()
		d.watch = nil
		return
	}
	s.come(d, s.roll(6))
}

func (s *story) come(d *device, kind int) {
	since := d.since(memID)
	switch kind {
	case 0:
		since = live.Cursor{}
	case 1:
		since = live.Cursor{Log: "other", Seq: since.Seq}
	case 2:
		since.Seq += 1000
	case 3:
		if since.Seq > 0 {
			since.Seq = uint64(s.roll(int(since.Seq))) + 1
		}
	}
	d.mu.Lock()
	d.cursor = 0 // what comes is in order from here on
	d.mu.Unlock()
	d.watch = s.hub.Watch(term, d.person, since, d)
}

func (s *story) step() {
	switch s.roll(20) {
	default:
		s.command()
	case 10, 11, 12:
		s.comeOrGo()
	case 13:
		if s.shut = !s.shut; s.shut {
			s.gate.close()
		} else {
			s.gate.open()
		}
	case 14, 15:
		time.Sleep(time.Duration(s.roll(3000)+1) * time.Millisecond)
	case 16:
		s.putPool(s.poolName())
	case 17:
		limits := seat.Limits{MaxWaits: 20}
		if most := uint32(s.roll(3)); most > 0 {
			limits.MaxSeats = &most
		}
		s.ok(holdfast.PutRealm{Limits: limits})
	case 18:
		if d := s.devices[s.roll(len(s.devices))]; d.watch != nil {
			d.watch.Again()
		}
	case 19:
		synctest.Wait()
	}
}

// TestFold: at rest every watcher's view is the truth, whatever happened on the way, and on the way nothing was told that was
// not true and confirmed.
func TestFold(t *testing.T) {
	t.Parallel()
	compared := 0
	rapid.Check(t, func(rt *rapid.T) { // it cannot run inside a bubble, nor draw there
		dice := rapid.SliceOfN(rapid.Uint16(), 200, 600).Draw(rt, "dice")
		var said verdicts
		synctest.Test(t, func(*testing.T) { compared += tellStory(&said, dice) })
		if len(said.list) > 0 {
			rt.Fatal(said.list[0])
		}
	})
	if compared < 1000 {
		t.Errorf("only %d standings were compared", compared)
	}
}

// verdicts takes what goes wrong in a bubble.
type verdicts struct {
	mu   sync.Mutex
	list []string
}

func (v *verdicts) Helper() {}

func (v *verdicts) Error(args ...any) { v.Errorf("%s", fmt.Sprint(args...)) }

func (v *verdicts) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list = append(v.list, fmt.Sprintf(format, args...))
}

func (v *verdicts) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (v *verdicts) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// roll gives 0 to n-1.
func (s *story) roll(n int) int {
	if len(s.dice) == 0 {
		return 0
	}
	first := s.dice[0]
	s.dice = s.dice[1:]
	return int(first) % n
}

func tellStory(said *verdicts, dice []uint16) int {
	w := newWorld(said, func(c *live.Config) { c.Hold, c.Round = 2, 2 })
	s := &story{world: w, dice: dice, counts: map[string]*ear{}}
	s.replica = replica{log: w.log, state: holdfast.NewState()}
	defer func() {
		if s.shut {
			s.gate.open()
		}
		w.stop()
	}()
	for _, name := range []string{"a1", "a2", "b", "c", "offer"} {
		s.putPool(name)
	}
	for _, person := range []string{"ann", "ann", "bob", "bob", "cyd"} {
		d := &device{ear: newEar(said), person: person}
		d.check = func(p *push) { s.hear(d, p) }
		s.devices = append(s.devices, d)
	}
	s.subscribeAll()
	for len(s.dice) > 0 {
		s.step()
	}
	if s.shut {
		s.gate.open()
		s.shut = false
	}
	if s.roll(2) == 1 {
		synctest.Wait()
		w.restart(func(c *live.Config) { c.Hold, c.Round = 2, 2 })
		for _, d := range s.devices {
			d.watch = nil
		}
		s.subscribeAll()
	}
	for _, d := range s.devices {
		if d.watch == nil {
			s.come(d, 4)
		}
	}
	time.Sleep(5 * time.Minute) // offers end, the grace of a restart too
	synctest.Wait()
	for _, d := range s.devices {
		w.true(d.ear, d.person)
	}
	for name, e := range s.counts {
		s.lastCounts(name, e)
	}
	return s.compared
}

func (s *story) subscribeAll() {
	for _, name := range []string{"a1", "offer", "b"} {
		s.counts[name] = newEar(s)
		if _, ok := s.hub.Subscribe(term, name, s.counts[name]); !ok {
			s.Fatal(name)
		}
	}
}

func (s *story) lastCounts(name string, e *ear) {
	var v seat.PoolView
	if _, err := s.engine.Read(func(state *holdfast.State) { v, _ = state.Realm(term).Seats.Pool(name) }); err != nil {
		s.Fatal(err)
	}
	list := e.take()
	p := list[len(list)-1]
	if p.Capacity != int(v.Config.Capacity) || p.Seated != int(v.Seated) || p.Offered != int(v.Offered) ||
		p.Waiting != int(v.Waiting) || p.Free != int(v.Free) || p.Over != int(v.Over) {
		s.Errorf("%s: the last counts are %+v, the truth %+v", name, p, v)
	}
}
