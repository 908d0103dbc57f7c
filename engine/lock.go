package engine

import (
	"runtime"
	"sync"
)

// shardLock is a mutex for very many who hold it for less than a microsecond.
//
// A plain one makes whoever finds it taken sleep, and once a sleeper has waited for a millisecond it hands itself from
// sleeper to sleeper: with 10,000 callers each decision then waits for a wake-up. Here a caller lets others run and tries
// again, and only sleeps after many tries.
type shardLock struct{ mu sync.Mutex }

// lockTries is how often a caller tries before it sleeps.
const lockTries = 10

func (l *shardLock) Lock() {
	for range lockTries {
		if l.mu.TryLock() {
			return
		}
		runtime.Gosched()
	}
	l.mu.Lock()
}

func (l *shardLock) Unlock() { l.mu.Unlock() }
