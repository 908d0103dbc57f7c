// Package door decides who is let in when more ask than can be served.
package door

import "time"

// Buckets limit how often each key may pass: rate a second, after burst at once (GCRA). Safe for concurrent use.
type Buckets struct{}

// NewBuckets keeps at most most keys.
func NewBuckets(rate float64, burst, most int) *Buckets { return &Buckets{} }

// Take lets key pass (0), or says how long until it may.
func (b *Buckets) Take(key string, now time.Time) (wait time.Duration) { return 0 }

// Load measures how long work waits before it is begun, and sheds a share of the newcomers while that is too long.
// Safe for concurrent use.
type Load struct{}

// Admit says whether a newcomer is let in. The same key is let in or not for a while, so that nobody is shed at random.
func (l *Load) Admit(key string) bool { return true }
