package auth

import "sync"

// verified remembers who JWTs speak for, by the hash of the token: verifying a signature takes tens of microseconds, and a
// campus asks with the same token again and again. Only what was verified comes in, so nobody can fill it with forgeries.
//
// It holds two generations of half the bound each. What is found in the older one moves to the younger; when the younger is full
// it becomes the older, and what was in that and has not been asked for since is forgotten.
type verified struct {
	half int

	mu     sync.RWMutex // guards what follows
	young  map[[32]byte]Identity
	former map[[32]byte]Identity
}

func newVerified(most int) *verified {
	return &verified{half: most / 2, young: map[[32]byte]Identity{}}
}

func (v *verified) get(hash [32]byte) (Identity, bool) {
	v.mu.RLock()
	id, ok := v.young[hash]
	if ok {
		v.mu.RUnlock()
		return id, true
	}
	id, ok = v.former[hash]
	v.mu.RUnlock()
	if ok {
		v.put(hash, id)
	}
	return id, ok
}

func (v *verified) put(hash [32]byte, id Identity) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, there := v.young[hash]; !there && len(v.young) >= v.half {
		v.former, v.young = v.young, make(map[[32]byte]Identity, v.half)
	}
	v.young[hash] = id
}

func (v *verified) drop(hash [32]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.young, hash)
	delete(v.former, hash)
}

func (v *verified) len() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.young) + len(v.former)
}
