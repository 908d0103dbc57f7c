package seat

// table finds numbers by a hash: the claim of a person in a pool, the person of a name. It never forgets.
//
// A built-in map would do the same; this takes a quarter of its memory, because the key is not kept twice, and one miss of
// the processor's cache less, which is most of what a claim costs (BenchmarkClaim). Its shards grow one by one, so
// that no decision waits for all of it to be copied. The zero table is empty.
type table struct {
	shards [256]shard // by the high bits of the hash
}

// shard is open addressing with linear probing; its length is a power of two.
type shard struct {
	slots []slot
	used  int
}

type slot struct {
	tag    uint32 // the low bits of the hash
	number uint32 // 0: empty
}

func (t *table) shard(hash uint64) *shard { return &t.shards[hash>>56] }

// find gives the number for which same says yes; 0 = none.
func (t *table) find(hash uint64, same func(number uint32) bool) uint32 {
	s := t.shard(hash)
	if s.used == 0 {
		return 0
	}
	tag, mask := uint32(hash), uint32(len(s.slots)-1)
	for i := tag & mask; ; i = (i + 1) & mask {
		at := s.slots[i]
		if at.number == 0 || at.tag == tag && same(at.number) {
			return at.number
		}
	}
}

// add puts in a number that is not there yet.
func (t *table) add(hash uint64, number uint32) {
	s := t.shard(hash)
	if 4*(s.used+1) > 3*len(s.slots) {
		old := s.slots
		factor := 4 // of a small shard: to move what is in it costs more than the room
		if len(old) >= 4096 {
			factor = 2
		}
		s.slots = make([]slot, max(8, factor*len(old)))
		for _, at := range old {
			if at.number != 0 {
				s.put(at)
			}
		}
	}
	s.put(slot{uint32(hash), number})
	s.used++
}

func (s *shard) put(at slot) {
	mask := uint32(len(s.slots) - 1)
	i := at.tag & mask
	for s.slots[i].number != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = at
}

// mix spreads a key's bits over a hash (the finaliser of MurmurHash3, which is a bijection).
func mix(key uint64) uint64 {
	key ^= key >> 33
	key *= 0xff51afd7ed558ccd
	key ^= key >> 33
	key *= 0xc4ceb9fe1a85ec53
	return key ^ key>>33
}
