package mirror

import (
	"testing"
	"time"

	"holdfast"
	"holdfast/seat"
)

// scenario is a history in parts. want is what a query gives after the last.
type scenario struct {
	name  string
	parts []func(w *world)
	query string
	want  string
}

const second = time.Second

func (w *world) claim(pool string, people ...string) {
	w.tb.Helper()
	for _, p := range people {
		if res := w.do("spring", seat.Claim{Pool: pool, Person: p}); res.Refused() {
			w.tb.Fatalf("claim of %s in %s: %+v", p, pool, res.Refusal)
		}
	}
}

func (w *world) release(pool string, people ...string) {
	w.tb.Helper()
	for _, p := range people {
		if res := w.do("spring", seat.Release{Pool: pool, Person: p}); res.Refused() {
			w.tb.Fatalf("release of %s in %s: %+v", p, pool, res.Refusal)
		}
	}
}

func (w *world) put(pool string, c seat.Config) {
	w.tb.Helper()
	if res := w.do("spring", seat.PutPool{Pool: pool, Config: c}); res.Refused() {
		w.tb.Fatalf("put of %s: %+v", pool, res.Refusal)
	}
}

// offering is a pool of one seat that is offered for ten minutes, until promote_until.
func offering(until seat.Time) seat.Config {
	return seat.Config{Capacity: 1, Promotion: seat.Offer, AnswerWithin: 600 * second, PromoteUntil: until}
}

func begin(w *world) {
	w.start(0)
	w.do("spring", holdfast.PutRealm{Limits: seat.DefaultLimits()})
}

// offered: a is seated in c1 and leaves, so that b has an offer until 08:10:00.
func offered(until seat.Time) func(w *world) {
	return func(w *world) {
		begin(w)
		w.put("c1", offering(until))
		w.claim("c1", "a", "b", "c")
		w.release("c1", "a")
	}
}

func at(clock string) seat.Time {
	std, err := time.Parse(time.RFC3339, "2026-09-01T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return seat.TimeOf(std)
}

func scenarios() []scenario {
	const deadline = "SELECT substr(cast(deadline AS text), 12, 8) FROM claims WHERE person = 'b'"
	pass := func(d time.Duration) func(*world) { return func(w *world) { w.pass(d) } }
	start := func(grace time.Duration) func(*world) { return func(w *world) { w.start(grace) } }
	put := func(until seat.Time) func(*world) { return func(w *world) { w.put("c1", offering(until)) } }
	return []scenario{
		{"an offer", []func(*world){offered(0)}, deadline, "08:10:00"},
		{"an earlier end caps it, a later one gives nothing back",
			[]func(*world){offered(0), put(at("08:05:00")), put(at("08:09:00"))}, deadline, "08:05:00"},
		{"of two ends the earlier caps it", []func(*world){offered(0), func(w *world) {
			w.put("c1", offering(at("08:05:00")))
			w.put("c1", offering(at("08:09:00")))
		}}, deadline, "08:05:00"},
		{"closes_at caps it where promote_until is absent", []func(*world){offered(0), func(w *world) {
			c := offering(0)
			c.ClosesAt = at("08:04:00")
			w.put("c1", c)
		}}, deadline, "08:04:00"},
		{"an end that is later changes nothing", []func(*world){offered(at("08:20:00")), put(at("08:15:00"))}, deadline, "08:10:00"},
		{"a start extends it", []func(*world){offered(0), pass(500 * second), start(300 * second)}, deadline, "08:13:20"},
		{"a start shortens nothing", []func(*world){offered(0), pass(5 * second), start(300 * second)}, deadline, "08:10:00"},
		{"a start extends it up to the end", []func(*world){offered(at("08:12:00")), pass(500 * second), start(300 * second)}, deadline, "08:12:00"},
		{"a start, then an offer", []func(*world){begin, start(3000 * second), func(w *world) {
			w.put("c1", offering(0))
			w.claim("c1", "a", "b")
			w.release("c1", "a")
		}}, deadline, "08:10:00"},
		{"an end, a start, a later end", []func(*world){offered(0), put(at("08:05:00")), pass(60 * second), start(600 * second),
			put(at("08:20:00")), pass(60 * second), start(600 * second)}, deadline, "08:12:00"},
		{"seats are exchanged", []func(*world){func(w *world) {
			begin(w)
			w.put("c1", seat.Config{Capacity: 2})
			w.claim("c1", "a", "b")
		}, func(w *world) {
			w.release("c1", "a", "b")
			w.claim("c1", "b", "a")
		}}, "SELECT seat FROM claims WHERE person = 'b' AND status = 'seated'", "1"},
		{"swaps exchange the seats of two pools", []func(*world){func(w *world) {
			begin(w)
			w.put("c1", seat.Config{Capacity: 1})
			w.put("c2", seat.Config{Capacity: 1})
			w.put("c3", seat.Config{Capacity: 1})
			w.claim("c1", "a")
			w.claim("c2", "b")
		}, func(w *world) {
			for _, s := range [][3]string{{"a", "c1", "c3"}, {"b", "c2", "c1"}, {"a", "c3", "c2"}} {
				res := w.do("spring", seat.Basket{Person: s[0], Mode: seat.All, Items: []seat.Item{{Pool: s[2], Swap: s[1]}}})
				if res.Items[0].Refused() {
					w.tb.Fatal(res.Items[0].Refusal)
				}
			}
		}}, "SELECT cast(sum(seated) AS integer) FROM pools", "2"},
		{"a swap that waits loses its seat and is a plain wait", []func(*world){func(w *world) {
			begin(w)
			w.put("c1", seat.Config{Capacity: 1})
			w.put("c2", seat.Config{Capacity: 1})
			w.claim("c1", "a")
			w.claim("c2", "b")
			w.claim("c1", "b")
		}, func(w *world) {
			w.do("spring", seat.Basket{Person: "b", Mode: seat.EachOrWait, Items: []seat.Item{{Pool: "c1", Swap: "c2"}}})
		}, func(w *world) {
			w.release("c2", "b")
		}}, "SELECT count(*) FROM claims WHERE person = 'b' AND pool = 'c1' AND ticket = 1 AND swap IS NULL", "1"},
		{"a lottery before its draw", []func(*world){lottery}, lotteryPool, "lottery|true|false|3|0|0"},
		{"a lottery that is drawn", []func(*world){lottery, pass(time.Minute), func(w *world) { w.do("spring", seat.Claim{Pool: "c1", Person: "late"}) }},
			lotteryPool, "lottery|true|true|0|1|2"},
		{"a lottery whose claims are gone is none any more", []func(*world){lottery, func(w *world) {
			w.pass(time.Minute)
			w.release("c1", "a", "b", "c")
		}, func(w *world) { w.put("c1", seat.Config{Capacity: 1}) }}, lotteryPool, "arrival|false|false|0|0|0"},
		{"a lottery is drawn, is none, and is one again", []func(*world){lottery, func(w *world) {
			w.pass(time.Minute)
			w.release("c1", "a", "b", "c")
			w.put("c1", seat.Config{Capacity: 1})
			w.put("c1", lots(seat.Config{Capacity: 1}, w.now.Add(time.Minute), 2))
			w.claim("c1", "a")
		}}, lotteryPool, "lottery|true|false|1|0|0"},
	}
}

const lotteryPool = "SELECT pool_order, CASE WHEN seed_hash IS NULL THEN 'false' ELSE 'true' END, CASE WHEN seed IS NULL THEN 'false' ELSE 'true' END, " +
	"entered, seated, waiting FROM pools WHERE pool = 'c1'"

// lottery: a, b and c are entered in c1, which has a seat and a line of two, and opens in a minute.
func lottery(w *world) {
	begin(w)
	w.put("c1", lots(seat.Config{Capacity: 1, Waitlist: number(2)}, w.now.Add(time.Minute), 1))
	w.claim("c1", "a", "b", "c")
}

// TestScenarios runs each history three ways: a mirror for each part, all in one transaction, and each frame in its own.
func TestScenarios(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		for _, sc := range scenarios() {
			t.Run(sc.name, func(t *testing.T) {
				for _, way := range []string{"mirror for each part", "one transaction", "one for each frame", "one frame"} {
					db := db.fresh(t)
					if way == "one for each frame" {
						db.cfg.BatchRows = 1
					}
					log := newFakeLog("scenario")
					w := newWorld(t, log, 1)
					w.now = at("08:00:00")
					for _, part := range sc.parts {
						part(w)
						if way == "one frame" {
							continue
						}
						w.frame()
						if way == "mirror for each part" {
							log.close()
							db.mirrorAll(t, log)
							db.same(t, log)
							log.closed = false
						}
					}
					w.frame()
					log.close()
					db.mirrorAll(t, log)
					db.same(t, log)
					query := sc.query
					if got := db.do(t, query); got != sc.want {
						t.Errorf("%s: %s\n is %q, should be %q", way, query, got, sc.want)
					}
				}
			})
		}
	})
}

func seatConfig(capacity uint32) seat.Config { return seat.Config{Capacity: capacity} }

// swap1 asks for one pool against the seat in another.
func (w *world) swap1(person, from, to string) {
	w.tb.Helper()
	res := w.do("spring", seat.Basket{Person: person, Mode: seat.EachOrWait, Items: []seat.Item{{Pool: to, Swap: from}}})
	if res.Items[0].Refused() {
		w.tb.Fatal(res.Items[0].Refusal)
	}
}
