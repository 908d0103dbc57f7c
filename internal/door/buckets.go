package door

import (
	"hash/maphash"
	"sync"
	"time"
)

// Buckets limit how often each key may pass: rate a second, after burst at once. Safe for concurrent use.
//
// It is the generic cell rate algorithm (ITU-T I.371): of each key one number is kept, the instant at which its bucket is full again.
// A passage moves it on by 1/rate; who would move it further than burst/rate beyond now has to wait for exactly the difference.
type Buckets struct {
	step  int64 // nanoseconds of one passage
	depth int64 // how far beyond now a bucket may be full again after a passage
	most  int   // keys of one shard

	seed   maphash.Seed
	began  time.Time
	shards [64]bucketShard
}

type bucketShard struct {
	mu   sync.Mutex // guards what follows; held for one key
	full map[uint64]int64
	_    [48]byte // no two shards in one line of the cache
}

// NewBuckets keeps at most most keys, by a hash of theirs. A key that had to be forgotten begins again with a full bucket; those that
// are full again go first. rate and burst are above 0.
func NewBuckets(rate float64, burst, most int) *Buckets {
	b := &Buckets{step: max(1, int64(float64(time.Second)/rate)), seed: maphash.MakeSeed(), began: time.Now()}
	b.depth = b.step * int64(burst)
	b.most = max(1, most/len(b.shards))
	for i := range b.shards {
		b.shards[i].full = map[uint64]int64{}
	}
	return b
}

// Take lets key pass (0), or says how long until it may; only a passage counts.
func (b *Buckets) Take(key string, now time.Time) (wait time.Duration) {
	hash := maphash.String(b.seed, key)
	at := int64(now.Sub(b.began))
	s := &b.shards[hash%uint64(len(b.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.full[hash]
	full := max(was, at) + b.step
	if over := full - at - b.depth; over > 0 {
		return time.Duration(over)
	}
	if !known && len(s.full) >= b.most {
		s.forgetLocked(at)
	}
	s.full[hash] = full
	return 0
}

// looks is how many keys are looked at to find what to forget: the most that a newcomer costs.
const looks = 16

// forgetLocked forgets, of some keys, those whose buckets are full again, or else the one that is so first.
func (s *bucketShard) forgetLocked(now int64) {
	looked, forgot := 0, false
	var first uint64
	for hash, full := range s.full {
		if full <= now {
			delete(s.full, hash)
			forgot = true
		} else if looked == 0 || full < s.full[first] {
			first = hash
		}
		if looked++; looked == looks {
			break
		}
	}
	if !forgot {
		delete(s.full, first)
	}
}
