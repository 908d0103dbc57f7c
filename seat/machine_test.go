package seat_test

import (
	"bytes"
	"flag"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/internal/sim"
	"holdfast/seat"
)

// The machine runs the same commands on the core and on the oracle and compares everything after each: the result, the
// events, all standings, rosters and counts, a replay of the events, and now and then a restored snapshot.
// The worlds are small, so that people, pools, limits and times collide.

const (
	realm  = "r"
	second = seat.Time(1_000_000)
)

var (
	poolNames   = []string{"a1", "a2", "a3", "b1", "b2", "c"} // the letter is the group; c has none
	personNames = []string{"ann", "bob", "cem", "dee", "eve"}
)

// op is one command as drawn: small numbers, to be read against the state at that point.
type op struct {
	Kind          string
	Pool, Person  int
	X, Y, Z, Time int
}

// opKinds: what is common in a rush is common here.
var opKinds = []string{
	"claim", "claim", "claim", "claim", "claim", "claim", "claim", "claim", "claim", "claim", "claim", "claim",
	"release", "release", "release", "release", "accept", "accept", "accept", "accept",
	"swap", "swap", "swap", "swap", "swap", "basket", "basket", "basket", "basket", "basket", "basket", "staff", "look",
	"pool", "pool", "lots", "limits", "start", "restore", "restore", "replay",
}

// drawOp spreads what rapid draws: rapid prefers small numbers, but no person and no pool is to be preferred here.
func drawOp(t *rapid.T) op {
	x := rapid.Uint64().Draw(t, "op")
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // splitmix64
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return op{
		Kind: opKinds[(x&0xff)%uint64(len(opKinds))],
		Pool: int(x>>8&0xff) % len(poolNames), Person: int(x>>16&0xff) % len(personNames),
		X: int(x >> 24 & 0xff), Y: int(x >> 32 & 0xff), Z: int(x >> 40 & 0xff), Time: int(x >> 48 & 0xff),
	}
}

// TestOracle makes 500 worlds of about 200 commands; -rapid.checks and -rapid.steps make more.
func TestOracle(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "500", "rapid.steps": "200"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue {
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := counters{}
	compared := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(rt, seen)
		rt.Repeat(map[string]func(*rapid.T){"op": func(rt *rapid.T) {
			o := drawOp(rt)
			m.at = fmt.Sprintf("%+v", o)
			m.run(o)
		}})
		if report := m.verifier.Finish(); report.Found > 0 {
			rt.Fatalf("the verifier says %v", report.Violations)
		}
		compared += m.compared
	})
	if t.Failed() {
		return
	}
	t.Logf("%d answers, standings and events compared\n%s", compared, seen)
	if compared < 500_000 {
		t.Errorf("only %d things compared: the test has lost its teeth", compared)
	}
	for _, what := range sometimes {
		if seen[what] == 0 {
			t.Errorf("never happened: %s", what)
		}
	}
}

type failer interface {
	Fatalf(format string, args ...any)
}

type machine struct {
	t        failer
	seen     counters
	at       string // what is being done, for failures
	stepper  holdfast.Stepper
	replayed *holdfast.State // applied the events only, never stepped
	oracle   *oracle
	verifier *sim.Checker // must find nothing in the log of a sound core
	now      seat.Time
	epoch    uint64
	compared int
}

func newMachine(t failer, seen counters) *machine {
	m := &machine{t: t, seen: seen, now: 1_000 * second, oracle: newOracle(), verifier: sim.NewChecker(holdfast.NewState()), at: "start"}
	m.stepper.State, m.replayed = holdfast.NewState(), holdfast.NewState()
	m.stepper.Seed, m.oracle.seed = seedOf, seedOf
	m.do(holdfast.PutRealm{Limits: seat.DefaultLimits()})
	for i, name := range poolNames {
		m.do(seat.PutPool{Pool: name, Config: m.config(i, i, 3, i)})
	}
	return m
}

// config draws a configuration from small numbers. Most have no times, for pools that are shut test little.
func (m *machine) config(pool, x, y, z int) seat.Config {
	c := seat.Config{Capacity: uint32([]int{1, 1, 2, 2, 3, 0}[x%6])}
	if name := poolNames[pool]; len(name) == 2 {
		c.Group = name[:1]
	}
	if x >= 250 {
		c.Group = "other"
	}
	switch y % 8 {
	case 0:
		c.Waitlist = new(uint32)
	case 1:
		n := uint32(x%3 + 1)
		c.Waitlist = &n
	}
	if y%5 == 4 {
		c.OpensAt = m.now + seat.Time(y%7-4)*second
	}
	if y%6 == 2 {
		c.ClosesAt = m.now + seat.Time(y%11+1)*second
	}
	if z%4 == 1 {
		c.PromoteUntil = m.now + seat.Time(z%19-1)*second
	}
	if c.ClosesAt != 0 && c.ClosesAt <= c.OpensAt {
		c.ClosesAt = c.OpensAt + second
	}
	if c.PromoteUntil != 0 && c.PromoteUntil <= c.OpensAt {
		c.PromoteUntil = c.OpensAt + second
	}
	if z%3 != 0 {
		c.Promotion, c.AnswerWithin = seat.Offer, time.Duration(z%20+1)*time.Second
	}
	if x%4 == 3 || pool == 5 && x%4 != 2 {
		c.Order, c.SeedHash = seat.Lottery, seedHash(x^y<<4^z)
		if c.Waitlist = nil; y%4 < 3 {
			n := uint32(z % 2)
			c.Waitlist = &n
		}
		c.OpensAt = m.now + seat.Time(y%16*20-10)*second
		if c.ClosesAt = 0; y%8 == 7 {
			c.ClosesAt = c.OpensAt + second*4
		}
		if c.PromoteUntil != 0 {
			c.PromoteUntil = c.OpensAt + seat.Time(z%7+1)*second
		}
	}
	return c
}

// advance moves the time: mostly not, else by a little, or exactly to (or just before) the next instant that matters.
func (m *machine) advance(n int) {
	switch n % 16 {
	case 0, 1:
		m.now += seat.Time(n%5) * second / 2
	case 2:
		var next seat.Time
		instants := []seat.Time{}
		for _, p := range m.oracle.pools {
			instants = append(instants, p.OpensAt, p.ClosesAt, p.until())
		}
		if c := m.oracle.nextDeadline(); c != nil {
			instants = append(instants, c.Deadline)
		}
		for _, at := range instants {
			if at > m.now+1 && (next == 0 || at < next) {
				next = at
			}
		}
		if next != 0 {
			m.now = next - seat.Time(n/16%2)
		}
	}
}

func (m *machine) run(o op) {
	m.advance(o.Time)
	pool, person := poolNames[o.Pool], personNames[o.Person]
	switch o.Kind {
	case "claim":
		m.do(seat.Claim{Pool: pool, Person: person, If: m.precondition(pool, person, o.X)})
	case "release":
		pool, person = m.halfOfSwap(o, pool, person)
		pool, person = m.someEntry(o, pool, person)
		m.do(seat.Release{Pool: pool, Person: person, If: m.precondition(pool, person, o.X)})
	case "accept":
		m.accept(o, pool, person)
	case "swap":
		m.swap(o)
	case "basket":
		b := seat.Basket{Person: person, Mode: []seat.Mode{seat.All, seat.All, seat.Each, seat.EachOrWait}[o.X%4]}
		for i := range o.Y%4 + 1 {
			b.Items = append(b.Items, m.item(o.Pool+i, person, o.Time>>(2*i)%4/3, o.Z>>i))
		}
		m.do(b)
	case "staff":
		pool, person = m.halfOfSwap(o, pool, person)
		pool, person = m.someEntry(o, pool, person)
		m.do(seat.Override{Pool: pool, Person: person, Action: seat.Action(o.X%2 + 1), Reason: "a \"reason\"", By: "dean"})
	case "look":
		m.do(seat.Look{Pool: pool, Person: person})
	case "pool":
		m.do(seat.PutPool{Pool: pool, Config: m.config(o.Pool, o.X, o.Y, o.Z)})
	case "lots":
		m.lots(o)
	case "limits":
		l := seat.Limits{MaxWaits: []uint32{20, 20, 20, 1, 2, 3, 0}[o.X%7]}
		if n := uint32(o.Y % 5); n > 0 {
			l.MaxSeats = &n
		}
		m.do(holdfast.PutRealm{Limits: l})
	case "start":
		m.epoch++
		m.do(holdfast.Start{Epoch: m.epoch, Grace: seat.Time(o.X%5) * second})
	case "restore":
		m.restore()
	case "replay":
		m.stepper.State = m.readBack(m.replayed) // a process that knows the log only
	}
}

func (m *machine) precondition(pool, person string, x int) seat.Precondition {
	st := m.oracle.standing(m.oracle.pool(pool), person)
	switch x % 8 {
	case 0:
		return seat.Precondition{Check: true}
	case 1:
		return seat.Precondition{Check: true, Seq: st.Seq}
	case 2:
		return seat.Precondition{Check: true, Seq: uint64(max(1, int(st.Seq)-1))}
	}
	return seat.Precondition{}
}

func (m *machine) item(pool int, person string, x, z int) seat.Item {
	it := seat.Item{Pool: poolNames[pool%len(poolNames)], If: m.precondition(poolNames[pool%len(poolNames)], person, z)}
	if x%2 == 1 { // a swap, if possible of something that the person has
		it.Swap = poolNames[(pool+1+z/8%4)%len(poolNames)]
		for i := range poolNames {
			other := poolNames[(pool+1+z/8+i)%len(poolNames)]
			if other != it.Pool && m.oracle.seated(other, person) {
				it.Swap = other
				break
			}
		}
	}
	if z%64 == 63 {
		it.Pool = "nowhere"
	}
	return it
}

// swap asks for another pool in place of one where somebody sits.
func (m *machine) swap(o op) {
	var seated []*oracleClaim
	for _, c := range m.oracle.claims {
		if c.Status == seat.Seated {
			seated = append(seated, c)
		}
	}
	if len(seated) == 0 {
		return
	}
	old := seated[(o.X/5+o.Y)%len(seated)]
	m.do(seat.Basket{
		Person: old.person, Mode: []seat.Mode{seat.EachOrWait, seat.EachOrWait, seat.EachOrWait, seat.Each, seat.All}[o.X%5],
		Items: []seat.Item{{Pool: poolNames[o.Pool], Swap: old.in.name, If: m.precondition(poolNames[o.Pool], old.person, o.Z)}},
	})
}

// halfOfSwap goes, every second time, for the old or the new half of a swap that is under way: few are.
func (m *machine) halfOfSwap(o op, pool, person string) (string, string) {
	for _, status := range []seat.Status{seat.Waiting, seat.Offered} {
		for _, c := range m.oracle.claims {
			if o.Z%2 == 0 && c.Swap != "" && c.Status == status {
				pool, person = []string{c.Swap, c.in.name}[o.Y%2], c.person
			}
		}
	}
	return pool, person
}

// accept takes the offer that is there, or one that is not.
func (m *machine) accept(o op, pool, person string) {
	if c := m.oracle.nextDeadline(); c != nil && o.Y%4 != 0 {
		pool, person = c.in.name, c.person
	}
	offer := m.oracle.standing(m.oracle.pool(pool), person).Seq
	if o.X%8 == 0 {
		offer++
	}
	m.do(seat.Accept{Pool: pool, Person: person, Offer: max(1, offer)})
}

// do runs one command on both sides and compares.
func (m *machine) do(body holdfast.Body) {
	if body.Valid() != nil {
		return // such as a basket that asks for what it gives up: see TestInvalidCommands
	}
	switch body.(type) {
	case seat.Look, holdfast.Start: // the one changes nothing, the other comes before all else
	default:
		m.drain()
	}
	m.oracle.now, m.oracle.events = m.now, nil
	before := m.snapshotStandings()
	var batch holdfast.Batch
	var want holdfast.Result
	got := m.stepper.Step(&holdfast.Command{Realm: realm, At: m.now, Body: body}, &batch)
	if c, ok := body.(holdfast.Start); ok {
		m.oracle.start(m.now + c.Grace)
	} else {
		want = m.oracle.step(body)
	}
	events := m.replay(&batch, false)
	if _, ok := body.(holdfast.PutRealm); ok {
		want.Seq, want.At = got.Seq, got.At
	} else if !reflect.DeepEqual(got, want) {
		m.t.Fatalf("%s\n%T %+v at %d\nresult %+v\nwanted %+v", m.at, body, body, m.now, got, want)
	}
	m.compared += 1 + len(got.Items)
	m.same(events)
	m.note(body, &got, before, events)
	m.looks()
}

// drain runs what is due, on both sides.
func (m *machine) drain() {
	for more := m.stepper.State.Realm(realm) != nil; more; {
		r := m.stepper.State.Realm(realm)
		if next, ok := r.Seats.NextDue(); !ok || next > m.now {
			break
		}
		before := m.snapshotStandings()
		var batch holdfast.Batch
		more = m.stepper.Due(r, m.now, m.now, &batch)
		m.oracle.now, m.oracle.events = m.now, nil
		m.oracle.due()
		events := m.replay(&batch, true)
		m.same(events)
		m.note(nil, &holdfast.Result{}, before, events)
	}
	m.oracle.now, m.oracle.events = m.now, nil
	if m.oracle.due(); len(m.oracle.events) > 0 {
		m.t.Fatalf("%s: due at %d, but not done: %+v", m.at, m.now, m.oracle.events)
	}
}

// replay decodes the batch, encodes it again, and applies it to the replayed state.
func (m *machine) replay(batch *holdfast.Batch, ofDue bool) (events []seat.Event) {
	if batch.Count == 0 {
		return nil
	}
	var again holdfast.Batch
	err := holdfast.Decode(batch.First, batch.Count, batch.Bytes, func(e *holdfast.Event) error {
		if e.At != m.now || e.Kind() != holdfast.Started && e.Realm != realm {
			m.t.Fatalf("%s: event %d at %d in %q", m.at, e.Seq, e.At, e.Realm)
		}
		again.Append(e)
		if e.Kind() >= seat.PoolPut {
			events = append(events, e.Seat)
		}
		m.verifier.Event(e)
		return m.replayed.Apply(e)
	})
	if err != nil {
		m.t.Fatalf("%s: replay: %v", m.at, err)
	}
	if !bytes.Equal(again.Bytes, batch.Bytes) {
		m.t.Fatalf("%s: decoded and encoded again, the events differ:\n%x\n%x", m.at, batch.Bytes, again.Bytes)
	}
	return events
}

func (m *machine) same(events []seat.Event) {
	if len(events) == 0 && len(m.oracle.events) == 0 {
		return
	}
	if !reflect.DeepEqual(events, m.oracle.events) {
		m.t.Fatalf("%s\nevents %+v\nwanted %+v", m.at, events, m.oracle.events)
	}
	m.compared += len(events)
}

// readBack writes a snapshot and reads it.
func (m *machine) readBack(s *holdfast.State) *holdfast.State {
	var first, second bytes.Buffer
	if err := s.WriteSnapshot(&first); err != nil {
		m.t.Fatalf("%s: %v", m.at, err)
	}
	again, err := holdfast.ReadSnapshot(bytes.NewReader(first.Bytes()))
	if err != nil {
		m.t.Fatalf("%s: read a snapshot back: %v", m.at, err)
	}
	if err := again.WriteSnapshot(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		m.t.Fatalf("%s: a snapshot read and written again differs: %v", m.at, err)
	}
	return again
}

// restore goes on with the state that a snapshot gives.
func (m *machine) restore() {
	for _, c := range m.oracle.claims {
		if c.Swap != "" {
			m.seen.count("restored with a swap that is " + c.Status.String())
		}
		m.seen.countIf(c.Status == seat.Entered, "restored with somebody entered")
	}
	m.stepper.State = m.readBack(m.stepper.State)
	m.seen.count("restored")
	m.looks()
}
