package sim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"holdfast"
	"holdfast/seat"
)

// history makes a random valid history with the real rules: the events, and what each command was answered.
type history struct {
	rng     *rand.Rand
	now     seat.Time
	stepper holdfast.Stepper
	batch   holdfast.Batch
	events  []holdfast.Event
	answers []Answer
}

func newHistory(seed uint64) *history {
	h := &history{rng: rand.New(rand.NewPCG(seed, 1)), now: 1_000_000}
	h.stepper.State, h.stepper.Seed = holdfast.NewState(), seedOf
	h.do("", holdfast.Start{Epoch: 1, Grace: 1000})
	limits := seat.DefaultLimits()
	if seed%2 == 0 {
		three := uint32(3)
		limits = seat.Limits{MaxSeats: &three, MaxWaits: 4}
	}
	h.do("r", holdfast.PutRealm{Limits: limits})
	for i := range 6 {
		h.do("r", seat.PutPool{Pool: fmt.Sprintf("p%d", i), Config: h.config(i)})
	}
	return h
}

func (h *history) config(i int) seat.Config {
	cfg := seat.Config{Capacity: uint32(1 + h.rng.IntN(4))}
	if i%3 == 1 {
		n := uint32(h.rng.IntN(5))
		cfg.Waitlist = &n
	}
	if i%2 == 1 {
		cfg.Promotion, cfg.AnswerWithin = seat.Offer, time.Second
	}
	if i >= 4 {
		cfg.Group = "g"
	}
	if i == 2 {
		cfg.OpensAt, cfg.ClosesAt = h.now+2_000_000, h.now+40_000_000
	}
	if i == 3 {
		cfg.Order, cfg.OpensAt, cfg.SeedHash = seat.Lottery, h.now+15_000_000, seedHash(byte(h.rng.IntN(256)))
	}
	return cfg
}

func seedHash(n byte) [32]byte {
	seed := [32]byte{n, 1}
	return sha256.Sum256(seed[:])
}

func seedOf(hash [32]byte) (seed [32]byte, ok bool) {
	for n := range 256 {
		if seed = [32]byte{byte(n), 1}; sha256.Sum256(seed[:]) == hash {
			return seed, true
		}
	}
	return seed, false
}

func (h *history) do(realm string, body holdfast.Body) {
	if r := h.stepper.State.Realm(realm); r != nil {
		for {
			h.batch.Reset()
			more := h.stepper.Due(r, h.now, h.now, &h.batch)
			h.keep()
			if !more {
				break
			}
		}
	}
	h.batch.Reset()
	res := h.stepper.Step(&holdfast.Command{Realm: realm, At: h.now, Body: body}, &h.batch)
	h.keep()
	switch b := body.(type) {
	case seat.Claim:
		h.answer(res.Result, b.Pool, b.Person)
	case seat.Release:
		h.answer(res.Result, b.Pool, b.Person)
	case seat.Look:
		h.answer(res.Result, b.Pool, b.Person)
	}
}

func (h *history) answer(res seat.Result, pool, person string) {
	a := Answer{Realm: "r", Pool: pool, Person: person, Status: res.Status.String(), Seat: res.Seat, Position: res.Position,
		Durability: "confirmed", Seq: res.Seq, AsOf: h.stepper.State.Seq(), At: h.now}
	if res.Refused() {
		a.Status, a.Code, a.Seat, a.Position, a.Seq = "refused", string(res.Refusal.Code), 0, 0, 0
	}
	h.answers = append(h.answers, a)
}

func (h *history) keep() {
	if h.batch.Count == 0 {
		return
	}
	err := holdfast.Decode(h.batch.First, h.batch.Count, h.batch.Bytes, func(e *holdfast.Event) error {
		h.events = append(h.events, *e)
		return nil
	})
	if err != nil {
		panic(err)
	}
}

func (h *history) run(n int) *history {
	for range n {
		h.now += seat.Time(h.rng.IntN(200_000))
		i := h.rng.IntN(6)
		pool, person := fmt.Sprintf("p%d", i), fmt.Sprintf("s%d", h.rng.IntN(12))
		switch h.rng.IntN(12) {
		case 0, 1, 2, 3, 4:
			h.do("r", seat.Claim{Pool: pool, Person: person})
		case 5, 6:
			h.do("r", seat.Release{Pool: pool, Person: person})
		case 7:
			st, _ := h.stepper.State.Realm("r").Seats.Standing(pool, person)
			h.do("r", seat.Accept{Pool: pool, Person: person, Offer: max(st.Seq, 1)})
		case 8:
			h.do("r", seat.Basket{Person: person, Mode: seat.Mode(1 + h.rng.IntN(3)), Items: []seat.Item{
				{Pool: pool, Swap: fmt.Sprintf("p%d", (i+1)%6)}, {Pool: fmt.Sprintf("p%d", (i+2)%6)}}})
		case 9:
			h.do("r", seat.Override{Pool: pool, Person: person, Action: seat.Action(1 + h.rng.IntN(2)), Reason: "test"})
		case 10:
			cfg := h.config(i)
			if v, ok := h.stepper.State.Realm("r").Seats.Pool(pool); ok && i == 3 && !v.Drawn {
				cfg.OpensAt = v.Config.OpensAt // else it would never come
			}
			h.do("r", seat.PutPool{Pool: pool, Config: cfg})
		case 11:
			h.do("r", seat.Look{Pool: pool, Person: person})
		}
	}
	return h
}

// check feeds events and answers to a new checker.
func check(events []holdfast.Event, answers []Answer) Report {
	c := NewChecker(holdfast.NewState())
	for i := range events {
		c.Event(&events[i])
		for len(answers) > 0 && answers[0].AsOf == events[i].Seq {
			c.Answer(&answers[0])
			answers = answers[1:]
		}
	}
	for i := range answers {
		c.Answer(&answers[i])
	}
	return c.Finish()
}

func TestValidHistoriesHaveNoViolation(t *testing.T) {
	t.Parallel()
	checks, compared := map[string]uint64{}, 0
	for seed := range uint64(60) {
		h := newHistory(seed).run(600)
		report := check(h.events, h.answers)
		for _, v := range report.Violations {
			t.Errorf("seed %d: %s", seed, v)
		}
		for name, n := range report.Checks {
			checks[name] += n
		}
		compared += report.Compared
	}
	for _, name := range []string{"S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "L1", "L2", "J1"} {
		if checks[name] < 100 {
			t.Errorf("%s was looked at only %d times", name, checks[name])
		}
	}
	if compared < 10_000 {
		t.Errorf("only %d answers were compared", compared)
	}
}

// TestPlantedBugs damages a valid history in one way each, as a bug of the rules would, and wants the named invariant.
func TestPlantedBugs(t *testing.T) {
	t.Parallel()
	find := func(h *history, from int, ok func(*seat.Event) bool) int {
		for i := from; i < len(h.events); i++ {
			if ok(&h.events[i].Seat) {
				return i
			}
		}
		return -1
	}
	bugs := []struct {
		name, want string
		plant      func(h *history) bool
	}{
		{"promote the second in line", "S5", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool {
				return e.Cause == seat.ByPromotion && e.Kind == seat.SeatTaken && e.Swap == ""
			})
			if i < 0 {
				return false
			}
			// whoever is promoted next in that pool takes this one's turn
			j := find(h, i+1, func(e *seat.Event) bool {
				return e.Cause == seat.ByPromotion && e.Kind == seat.SeatTaken && e.Pool == h.events[i].Seat.Pool && e.Person != h.events[i].Seat.Person
			})
			if j < 0 {
				return false
			}
			h.events[i].Seat.Person, h.events[j].Seat.Person = h.events[j].Seat.Person, h.events[i].Seat.Person
			return true
		}},
		{"release twice", "S7", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.SeatFreed })
			h.insert(i+1, h.events[i])
			return true
		}},
		{"one seat too many", "S1", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.LineJoined && e.Was == seat.None && e.Swap == "" })
			e := h.events[i].Seat
			h.events[i].Seat = seat.Event{Kind: seat.SeatTaken, Pool: e.Pool, Person: e.Person, Was: e.Was, Cause: seat.ByClaim, Seat: 99}
			return true
		}},
		{"one seat for two", "S1", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.SeatTaken && e.Seat == 2 && e.Was == seat.None })
			h.events[i].Seat.Seat = 1
			return true
		}},
		{"put in line though a seat is free", "S3", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool {
				return e.Kind == seat.SeatTaken && e.Was == seat.None && e.Cause == seat.ByClaim
			})
			e := h.events[i].Seat
			h.events[i].Seat = seat.Event{Kind: seat.LineJoined, Pool: e.Pool, Person: e.Person, Was: e.Was, Cause: seat.ByClaim, Ticket: 1}
			return true
		}},
		{"an offer expires too early", "S8", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.SeatOffered })
			j := find(h, i, func(e *seat.Event) bool { return e.Cause == seat.ByExpiry && e.Person == h.events[i].Seat.Person })
			if i < 0 || j < 0 {
				return false
			}
			h.events[i].Seat.Deadline += 3_600_000_000
			return true
		}},
		{"a swap forgets the old seat", "S6", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.SeatTaken && e.Swap != "" && e.Was == seat.Waiting })
			if i < 0 {
				return false
			}
			h.events[i].Seat.Swap = ""
			return true
		}},
		{"another seed is revealed", "L1", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.Drawn })
			h.events[i].Seat.Seed = &[32]byte{1, 2, 3}
			return true
		}},
		{"the seed is chosen after people have entered", "L1", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.LotteryEntered })
			j := find(h, i, func(e *seat.Event) bool { return e.Kind == seat.Drawn })
			if i < 0 || j < 0 {
				return false
			}
			put := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.PoolPut && e.Pool == h.events[i].Seat.Pool })
			again := h.events[put]
			cfg := *again.Seat.Config
			cfg.SeedHash = seedHash(200)
			again.Seat.Config, again.At = &cfg, h.events[j].At
			seed, _ := seedOf(cfg.SeedHash)
			h.events[j].Seat.Seed = &seed
			h.insert(j, again)
			return true
		}},
		{"drawn in another order", "L2", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Cause == seat.ByDraw })
			if i < 0 || i+1 == len(h.events) || h.events[i+1].Seat.Cause != seat.ByDraw {
				return false
			}
			h.events[i].Seat.Person, h.events[i+1].Seat.Person = h.events[i+1].Seat.Person, h.events[i].Seat.Person
			return true
		}},
		{"somebody is left out of the draw", "L2", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Cause == seat.ByDraw })
			if i < 0 {
				return false
			}
			h.events = slices.Delete(h.events, i, i+1)
			for ; i < len(h.events); i++ {
				h.events[i].Seq--
			}
			// the next of the draw, or the next claim, comes too early
			return find(h, 0, func(e *seat.Event) bool { return e.Cause == seat.ByDraw }) >= 0
		}},
		{"released by the draw though there is a place in line", "S3", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Cause == seat.ByDraw && e.Kind == seat.LineJoined })
			if i < 0 {
				return false
			}
			e := &h.events[i].Seat
			e.Kind, e.Ticket = seat.SeatFreed, 0
			return true
		}},
		{"in line by the draw though a seat is free", "S3", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Cause == seat.ByDraw && e.Kind == seat.SeatTaken })
			if i < 0 {
				return false
			}
			e := &h.events[i].Seat
			e.Kind, e.Ticket, e.Seat = seat.LineJoined, 1, 0
			return true
		}},
		{"seated before the draw", "S8", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.LotteryEntered })
			if i < 0 {
				return false
			}
			e := &h.events[i].Seat
			e.Kind, e.Seat = seat.SeatTaken, 1
			return true
		}},
		{"drawn before the opening", "S8", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.PoolPut && e.Config.Order == seat.Lottery })
			cfg := *h.events[i].Seat.Config
			cfg.OpensAt += 3_600_000_000
			h.events[i].Seat.Config = &cfg
			j := find(h, i+1, func(e *seat.Event) bool { return e.Kind == seat.Drawn })
			k := find(h, i+1, func(e *seat.Event) bool { return e.Kind == seat.PoolPut && e.Pool == "p3" })
			return j >= 0 && (k < 0 || k > j)
		}},
		{"entered after the draw", "S8", func(h *history) bool {
			i := find(h, 0, func(e *seat.Event) bool { return e.Kind == seat.Drawn })
			j := find(h, i+1, func(e *seat.Event) bool {
				return e.Pool == h.events[i].Seat.Pool && e.Cause == seat.ByClaim && e.Was != seat.Waiting && e.Swap == ""
			})
			if i < 0 || j < 0 {
				return false
			}
			e := &h.events[j].Seat
			e.Kind, e.Seat, e.Ticket = seat.LotteryEntered, 0, 0
			return true
		}},
		{"an event is lost", "J2", func(h *history) bool {
			h.events = slices.Delete(h.events, len(h.events)/2, len(h.events)/2+1)
			return true
		}},
		{"a confirmed answer is not in the log", "J1", func(h *history) bool {
			h.events = h.events[:len(h.events)/2]
			return true
		}},
	}
	for _, bug := range bugs {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			planted, caught := 0, 0
			for seed := range uint64(40) {
				h := newHistory(seed).run(500)
				if !bug.plant(h) {
					continue
				}
				planted++
				report := check(h.events, h.answers)
				if slices.ContainsFunc(report.Violations, func(v Violation) bool { return v.Name == bug.want }) {
					caught++
				}
			}
			if planted == 0 || caught < planted {
				t.Errorf("planted %d times, %s caught it %d times", planted, bug.want, caught)
			}
		})
	}
}

// insert puts a copy of an event at i and renumbers what follows.
func (h *history) insert(i int, e holdfast.Event) {
	h.events = slices.Insert(h.events, i, e)
	for ; i < len(h.events); i++ {
		h.events[i].Seq = uint64(i + 1)
	}
}

// TestSnapshotStartsTheChecker anywhere in a history, also in the middle of a draw.
func TestSnapshotStartsTheChecker(t *testing.T) {
	t.Parallel()
	inDraw := 0
	for seed := range uint64(8) {
		h := newHistory(seed).run(400)
		state := holdfast.NewState()
		for i := range h.events {
			drawing := h.events[i].Seat.Cause == seat.ByDraw
			if drawing {
				inDraw++
			}
			if drawing || i%10 == 0 {
				var snapshot bytes.Buffer
				if err := state.WriteSnapshot(&snapshot); err != nil {
					t.Fatal(err)
				}
				from, err := holdfast.ReadSnapshot(&snapshot)
				if err != nil {
					t.Fatal(err)
				}
				c := NewChecker(from)
				for j := range h.events[i:] {
					c.Event(&h.events[i+j])
				}
				if report := c.Finish(); report.Found > 0 {
					t.Fatalf("seed %d from event %d: %v", seed, i, report.Violations)
				}
			}
			if err := state.Apply(&h.events[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if inDraw < 20 {
		t.Errorf("only %d snapshots were in a draw", inDraw)
	}
}

// TestErasedIsNoViolation: a preapproved answer may be erased by a crash, a confirmed one may not.
func TestErasedIsNoViolation(t *testing.T) {
	t.Parallel()
	for durability, want := range map[string]Report{"preapproved": {Erased: 1}, "confirmed": {Compared: 1, Found: 1}} {
		c := NewChecker(holdfast.NewState())
		limits := seat.DefaultLimits()
		events := []holdfast.Event{
			{Seq: 1, At: 10, Epoch: 1, Seat: seat.Event{Kind: holdfast.Started}},
			{Seq: 2, At: 11, Realm: "r", Limits: &limits, Seat: seat.Event{Kind: holdfast.RealmPut}},
			{Seq: 3, At: 12, Realm: "r", Seat: seat.Event{Kind: seat.PoolPut, Pool: "p", Config: &seat.Config{Capacity: 1}}},
			{Seq: 4, At: 20, Epoch: 2, Seat: seat.Event{Kind: holdfast.Started}},
		}
		for i := range events {
			c.Event(&events[i])
		}
		c.Answer(&Answer{Realm: "r", Pool: "p", Person: "s", Status: "seated", Seat: 1, Durability: durability, AsOf: 4, At: 13})
		got := c.Finish()
		if got.Erased != want.Erased || got.Compared != want.Compared || got.Found != want.Found {
			t.Errorf("%s: erased %d, compared %d, found %d: %v", durability, got.Erased, got.Compared, got.Found, got.Violations)
		}
	}
}

// TestRecovered: a state of the same events is the fold of the log; one that lacks an event, or that the log does not
// reach, is not.
func TestRecovered(t *testing.T) {
	t.Parallel()
	h := newHistory(4).run(400)
	c, other := NewChecker(holdfast.NewState()), holdfast.NewState()
	for i := range h.events {
		c.Event(&h.events[i])
		if err := other.Apply(&h.events[i]); err != nil {
			t.Fatal(err)
		}
	}
	c.Recovered("the same", other.Seq(), other.Hash())
	if got := c.Finish(); got.Found != 0 || got.Checks["J2"] != 1 || got.Checks["J3"] != 1 {
		t.Errorf("%v %v", got.Violations, got.Checks)
	}
	c.Recovered("another", other.Seq(), holdfast.NewState().Hash())
	c.Recovered("one too far", other.Seq()+1, other.Hash())
	if got := c.Finish().Violations; len(got) != 2 || got[0].Name != "J3" || got[1].Name != "J2" {
		t.Errorf("%v", got)
	}
}

// TestLate: a late duplicate is refused, or promises nothing.
func TestLate(t *testing.T) {
	t.Parallel()
	c := NewChecker(holdfast.NewState())
	c.Late(&Answer{Status: "refused", Code: "precondition", Durability: "confirmed"})
	c.Late(&Answer{Status: "busy"})
	if got := c.Finish(); got.Found != 0 || got.Checks["S9"] != 1 {
		t.Errorf("%v %v", got.Violations, got.Checks)
	}
	c.Late(&Answer{Status: "seated", Durability: "confirmed"})
	if got := c.Finish().Violations; len(got) != 1 || got[0].Name != "S9" {
		t.Errorf("%v", got)
	}
}
