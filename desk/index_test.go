package desk

import (
	"math/rand/v2"
	"testing"
)

// TestIndex puts and drops numbers in any order, close together and far apart, beside a plain map.
func TestIndex(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		x, plain := index{leaves: map[uint64]*leaf{}}, map[uint64]*request{}
		for range 2_000 {
			id := rnd.Uint64N(100)
			if rnd.IntN(3) == 0 {
				id += 1 << 60
			}
			switch r := plain[id]; {
			case r != nil:
				x.drop(id)
				delete(plain, id)
			default:
				r = &request{id: id}
				x.put(id, r)
				plain[id] = r
			}
			probe := rnd.Uint64N(100)
			if x.count != len(plain) || x.find(id) != plain[id] || x.find(probe) != plain[probe] {
				t.Fatalf("seed %d: %d numbers of %d, at %d %v of %v", seed, x.count, len(plain), probe, x.find(probe), plain[probe])
			}
		}
		for id := range plain {
			x.drop(id)
		}
		if x.count != 0 || len(x.leaves) != 0 {
			t.Fatalf("seed %d: %d numbers and %d leaves are left", seed, x.count, len(x.leaves))
		}
	}
}
