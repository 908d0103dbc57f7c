package door

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestBuckets: the burst at once, then exactly one for each step of time, and the wait that is told is exact.
func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuckets(5, 20, 1000)
		for i := range 20 {
			if wait := b.Take("a", time.Now()); wait != 0 {
				t.Fatalf("passage %d of the burst waits %s", i+1, wait)
			}
		}
		wait := b.Take("a", time.Now())
		if wait != 200*time.Millisecond {
			t.Fatalf("after the burst it waits %s, want 200ms", wait)
		}
		if b.Take("b", time.Now()) != 0 {
			t.Error("another key has to wait")
		}
		time.Sleep(wait - 1)
		if again := b.Take("a", time.Now()); again != 1 {
			t.Fatalf("a nanosecond too early it waits %d ns, want 1: a refused one must not count", again)
		}
		time.Sleep(time.Nanosecond)
		if b.Take("a", time.Now()) != 0 || b.Take("a", time.Now()) != 200*time.Millisecond {
			t.Error("after the wait exactly one may pass")
		}
		time.Sleep(time.Hour)
		passed := 0
		for b.Take("a", time.Now()) == 0 {
			passed++
		}
		if passed != 20 {
			t.Errorf("after an hour %d pass at once, want 20", passed)
		}
	})
}

// bucket is the obvious one: so many tokens, refilled with the time.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) take(now time.Time, rate, burst float64) bool {
	b.tokens = min(burst, b.tokens+now.Sub(b.at).Seconds()*rate)
	b.at = now
	if b.tokens < 1-1e-6 {
		return false
	}
	b.tokens--
	return true
}

// TestBucketsOracle: the one number decides like a bucket of tokens does.
func TestBucketsOracle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		passed, refused := 0, 0
		for range 50 {
			rate, burst := []float64{1, 2, 4, 5, 8, 10, 20}[r.IntN(7)], 1+r.IntN(30)
			b := NewBuckets(rate, burst, 100)
			slow := bucket{float64(burst), time.Now()}
			for range 400 {
				time.Sleep(time.Duration(r.Int64N(int64(1.2 * float64(time.Second) / rate))).Truncate(time.Millisecond))
				want, got := slow.take(time.Now(), rate, float64(burst)), b.Take("k", time.Now()) == 0
				if got != want {
					t.Fatalf("rate %v, burst %d: passes %t, want %t with %v left", rate, burst, got, want, slow.tokens)
				}
				if got {
					passed++
				} else {
					refused++
				}
			}
		}
		if passed < 1000 || refused < 1000 {
			t.Errorf("%d passed, %d refused: that compares too little", passed, refused)
		}
	})
}

// TestBucketsAreBounded: a million strangers do not take more room than said, and whoever is over their rate stays known while keys
// with full buckets are there to be forgotten.
func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 6400
		b := NewBuckets(1, 5, most)
		for i := range 100_000 {
			b.Take(fmt.Sprint("stranger", i), time.Now())
		}
		if n := keys(b); n > most || n < most/2 {
			t.Fatalf("%d keys are known, want at most %d", n, most)
		}
		time.Sleep(time.Minute) // all strangers are full again
		for b.Take("greedy", time.Now()) == 0 {
		}
		for i := range 2000 { // fewer than there are full ones to forget
			b.Take(fmt.Sprint("newcomer", i), time.Now())
		}
		if b.Take("greedy", time.Now()) == 0 {
			t.Error("who is over their rate was forgotten for newcomers, while full buckets were there")
		}
	})
}

// TestBucketsTogether: under contention the burst is given exactly once.
func TestBucketsTogether(t *testing.T) {
	b := NewBuckets(0.001, 100, 1000)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if b.Take("a", time.Now()) == 0 {
					passed.Add(1)
				}
			}
		})
	}
	if all.Wait(); passed.Load() != 100 {
		t.Errorf("%d passed, want 100", passed.Load())
	}
}

func BenchmarkBuckets(b *testing.B) {
	buckets := NewBuckets(5, 20, 1<<18)
	keys := make([]string, 40_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("spring/s%05d", i)
	}
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(len(keys)); pb.Next(); i++ {
			buckets.Take(keys[i%len(keys)], time.Now())
		}
	})
}

// keys is how many are known, full buckets that nobody has forgotten yet included.
func keys(b *Buckets) (n int) {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		n += len(s.full)
		s.mu.Unlock()
	}
	return n
}
