package seat

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The structures under the rules, each against the slow and obvious one, at sizes that the worlds of TestOracle never
// reach: lines that close up, heaps that are made anew, tables that grow.

func TestLineAgainstSlice(t *testing.T) {
	t.Parallel()
	type place struct {
		ticket, claim uint32
		eligible      bool
	}
	closedUp := 0
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var l line
		var plain []place
		for step := range 3_000 {
			before := len(l.places)
			switch what := rng.IntN(100); {
			case what < 40 && step%1_000 < 500 || what < 10 || len(plain) == 0: // waves: full, then empty
				p := place{l.last + 1 + rng.Uint32N(3), uint32(step) + 1, rng.IntN(3) > 0}
				l.join(p.ticket, p.claim, p.eligible)
				plain = append(plain, p)
			case what < 70:
				i := rng.IntN(len(plain))
				l.leave(plain[i].ticket, plain[i].eligible)
				plain = slices.Delete(plain, i, i+1)
			default:
				p := &plain[rng.IntN(len(plain))]
				p.eligible = !p.eligible
				l.allow(p.ticket, p.eligible)
			}
			if len(l.places) < before {
				closedUp++
			}
			eligible, first := uint32(0), uint32(0)
			for _, p := range plain {
				if p.eligible {
					if eligible++; eligible == 1 {
						first = p.claim
					}
				}
			}
			if l.waiting() != uint32(len(plain)) || l.eligible() != eligible || l.first() != first {
				t.Fatalf("seed %d, step %d: %d waiting, %d eligible, first %d; wanted %d, %d, %d", seed, step,
					l.waiting(), l.eligible(), l.first(), len(plain), eligible, first)
			}
			for i, p := range plain {
				if step%50 == 0 && l.position(p.ticket) != uint32(i)+1 {
					t.Fatalf("seed %d, step %d: ticket %d is number %d, wanted %d", seed, step, p.ticket, l.position(p.ticket), i+1)
				}
			}
			if n := len(l.places); n > 2*len(plain)+64 {
				t.Fatalf("seed %d: %d places for %d people", seed, n, len(plain))
			}
		}
	}
	if closedUp < 30 {
		t.Errorf("the line closed up %d times only", closedUp)
	}
}

func TestSeatsAgainstSet(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var s seats
		taken := map[uint32]bool{}
		for step := range 2_000 {
			lowest := uint32(1)
			for taken[lowest] {
				lowest++
			}
			if s.lowest() != lowest {
				t.Fatalf("seed %d, step %d: lowest %d, wanted %d", seed, step, s.lowest(), lowest)
			}
			switch n := rng.Uint32N(150); {
			case rng.IntN(2) == 0:
				s.take(lowest)
				taken[lowest] = true
			case n < 50 && taken[n]:
				s.free(n)
				delete(taken, n)
			case rng.IntN(10) == 0: // another number than the lowest, as a log of other rules may have
				if free := n > 0 && !taken[n]; s.take(n) != free {
					t.Fatalf("seed %d, step %d: seat %d is free: %t", seed, step, n, free)
				}
				if n > 0 {
					taken[n] = true
				}
			}
		}
		if s.take(0) || s.take(1<<32-1) {
			t.Error("a seat that no pool can have was taken")
		}
	}
}

func TestDeadlinesAgainstSort(t *testing.T) {
	t.Parallel()
	type offer struct {
		claim uint32
		seq   uint64
		at    Time
	}
	longest := 0
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := deadlines{of: map[uint32]Time{}}
		seqs := map[uint32]uint64{}
		seqOf := func(claim uint32) uint64 { return seqs[claim] }
		var live []offer
		for step := range 3_000 {
			claim := rng.Uint32N(200) + 1
			i := slices.IndexFunc(live, func(o offer) bool { return o.claim == claim })
			switch what := rng.IntN(10); {
			case i < 0:
				o := offer{claim, uint64(step) + 1, Time(rng.IntN(50)) + 1}
				seqs[claim] = o.seq
				d.set(claim, o.at, seqOf)
				live = append(live, o)
			case what < 5:
				d.drop(claim)
				live = slices.Delete(live, i, i+1)
			default: // another deadline for the same offer
				live[i].at = Time(rng.IntN(50)) + 1
				d.set(claim, live[i].at, seqOf)
			}
			if len(d.heap) > 2*len(live)+64 {
				t.Fatalf("seed %d, step %d: %d entries for %d offers", seed, step, len(d.heap), len(live))
			}
			longest = max(longest, len(d.heap))
			if step%3 != 0 {
				continue // entries that are never asked for must not pile up either
			}
			want := slices.MinFunc(append([]offer{{at: 1 << 62}}, live...), func(a, b offer) int {
				if a.at != b.at {
					return int(a.at - b.at)
				}
				return int(a.seq) - int(b.seq)
			})
			if got, ok := d.next(seqOf); ok != (len(live) > 0) || got.claim != want.claim {
				t.Fatalf("seed %d, step %d: next %+v, wanted %+v", seed, step, got, want)
			}
		}
	}
	if longest < 64 {
		t.Errorf("the heap never had more than %d entries", longest)
	}
}

func TestTableAgainstMap(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 4))
	for name, hash := range map[string]func(uint64) uint64{
		"mix":        mix,
		"one shard":  func(k uint64) uint64 { return mix(k) >> 8 },
		"equal tags": func(k uint64) uint64 { return k << 40 },
		"all equal":  func(uint64) uint64 { return 7 },
	} {
		most := 20_000
		if name == "all equal" {
			most = 300
		}
		var tab table
		keys, numbers := []uint64{0}, map[uint64]uint32{}
		same := func(key uint64) func(uint32) bool { return func(n uint32) bool { return keys[n] == key } }
		for range most {
			key := rng.Uint64N(uint64(most))
			if got := tab.find(hash(key), same(key)); got != numbers[key] {
				t.Fatalf("%s: key %d is number %d, wanted %d", name, key, got, numbers[key])
			}
			if numbers[key] == 0 {
				keys = append(keys, key)
				numbers[key] = uint32(len(keys) - 1)
				tab.add(hash(key), numbers[key])
			}
		}
	}
}

func TestPeopleKeepTheirNames(t *testing.T) {
	t.Parallel()
	s := NewState()
	name := []byte("person-00000")
	for i := range 30_000 { // several blocks of names, and chunks of people
		for at, n := len(name)-1, i; at > 6; at, n = at-1, n/10 {
			name[at] = byte('0' + n%10)
		}
		_, hash := s.people.find(string(name))
		got := s.people.add(string(name), hash)
		if found, _ := s.people.find(string(name)); found != got || got != uint32(i)+1 {
			t.Fatalf("%s is number %d, found as %d", name, got, found)
		}
	}
	for n := uint32(1); n <= s.people.list.count; n++ {
		who := s.people.at(n).name
		if found, _ := s.people.find(who); found != n || len(who) != len(name) {
			t.Fatalf("number %d is %q, found as %d", n, who, found)
		}
	}
}
