package desk

import (
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

// TestRing: in whatever order agents come and go, the ring has those who are there by their places.
func TestRing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var ring ring
	ring.init()
	links := make([]link, 60)
	var model []uint64
	for i := range links {
		links[i].place = uint64(i)
		links[i].lanes = make([]lane, i*i%5) // more of them than in a real ring
	}
	for range 20_000 {
		l := &links[r.IntN(len(links))]
		if l.next == nil {
			ring.insert(l)
			model = append(model, l.place)
			slices.Sort(model)
		} else {
			ring.remove(l)
			model = slices.DeleteFunc(model, func(place uint64) bool { return place == l.place })
		}
		if err := ring.checkLanes(); err != nil {
			t.Fatal(err)
		}
		var there []uint64
		for l := ring.first(); l != nil; l = ring.after(l) {
			there = append(there, l.place)
		}
		if !slices.Equal(there, model) || int(ring.count) != len(model) {
			t.Fatalf("%v, counted %d, want %v", there, ring.count, model)
		}
	}
}

// TestLine: the line is in the order of priority and id, whoever joins and leaves where.
func TestLine(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	var l line
	var model []*request
	all := make([]*request, 200)
	in := map[*request]bool{}
	for i := range all {
		all[i] = &request{id: uint64(i + 1), ask: Ask{Priority: uint8(r.IntN(3))}, made: Time(i + 1)}
	}
	for i := range 40_000 {
		q := all[(r.IntN(40)+i/200)%len(all)]
		if r.IntN(3) == 0 && len(model) > 0 {
			q = model[0]
		}
		if in[q] {
			l.leave(q)
			model = slices.DeleteFunc(model, func(is *request) bool { return is == q })
		} else {
			l.join(q)
			model = append(model, q)
			sort.Slice(model, func(i, j int) bool { return model[i].before(model[j]) })
		}
		in[q] = !in[q]
		if !slices.Equal(l.waiting(), model) {
			t.Fatalf("step %d: the line is out of order", i)
		}
		oldest := Time(0)
		for at, is := range model {
			if l.rank(is) != at {
				t.Fatalf("request %d has rank %d, want %d", is.id, l.rank(is), at)
			}
			oldest = earliest(oldest, is.made)
		}
		if l.oldest() != oldest {
			t.Fatalf("the oldest is of %d, want %d", l.oldest(), oldest)
		}
	}
}

// TestTimers: the first timer is always the one that goes off first, whichever are set, moved and taken out.
func TestTimers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	var h timers
	all := make([]*timer, 100)
	for i := range all {
		all[i] = &timer{id: uint64(i), kind: uint8(i % 3)}
	}
	for range 40_000 {
		h.set(all[r.IntN(len(all))], Time(max(0, r.IntN(60)-20)))
		var first *timer
		set := 0
		for _, is := range all {
			if is.at == 0 {
				continue
			}
			set++
			if first == nil || is.before(first) {
				first = is
			}
		}
		if h.first() != first || len(h.heap) != set {
			t.Fatalf("first is %v of %d, want %v of %d", h.first(), len(h.heap), first, set)
		}
	}
}

// TestRoll: what is there is listed in the order of its number, from any number on.
func TestRoll(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	var l roll[int]
	var model []uint64
	for number := uint64(1); number < 5_000; number++ {
		l.add(number, new(int))
		model = append(model, number)
		for r.IntN(20) > 8 && len(model) > 0 {
			at := r.IntN(min(len(model), 50))
			l.remove(model[at])
			model = slices.Delete(model, at, at+1)
		}
		from := uint64(r.IntN(int(number)))
		var there []uint64
		for _, row := range l.from(from) {
			if row.of != nil {
				there = append(there, row.number)
			}
		}
		if want := model[sort.Search(len(model), func(i int) bool { return model[i] >= from }):]; !slices.Equal(there, want) {
			t.Fatalf("from %d: %v, want %v", from, there, want)
		}
	}
}
