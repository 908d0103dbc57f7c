package client

import "sync"

// memory keeps the last confirmed seq of each person and pool, the most lately used ones. Two maps: what is asked for moves
// to the young one, and when that is full the old one is forgotten. Safe for concurrent use.
type memory struct {
	most int // of each map

	mu         sync.Mutex // guards what follows
	young, old map[place]version
}

// place is one person in one pool.
type place struct{ person, pool string }

// version is a standing's seq, and where in the log it was true.
type version struct{ seq, asOf uint64 }

func (m *memory) init(most int) {
	m.most = max(most/2, 1)
	m.young = map[place]version{}
}

// seq is what is known of p; false: nothing.
func (m *memory) seq(p place) (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.young[p]
	if !ok {
		if v, ok = m.old[p]; ok {
			m.putLocked(p, v)
		}
	}
	return v.seq, ok
}

// learn keeps what a confirmed answer or push told, unless something later is known.
func (m *memory) learn(p place, v version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.young[p]
	if !ok {
		known, ok = m.old[p]
	}
	if !ok || v.asOf >= known.asOf {
		m.putLocked(p, v)
	}
}

// correct keeps what the server said against what was known, whatever was: the log may be another one.
func (m *memory) correct(p place, v version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.putLocked(p, v)
}

// lose drops what was known of p: it has changed, and nobody said to what.
func (m *memory) lose(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, p)
	delete(m.old, p)
}

// forget drops everything: it was of another log.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young, m.old = map[place]version{}, nil
}

func (m *memory) putLocked(p place, v version) {
	if _, there := m.young[p]; !there && len(m.young) >= m.most {
		m.old, m.young = m.young, map[place]version{}
	}
	m.young[p] = v
}

// keep learns from a standing.
func (c *Client) keep(s *Standing) {
	if s.Person != "" && s.Pool != "" && s.Status != "" {
		c.known.learn(place{s.Person, s.Pool}, version{s.Seq, s.AsOf})
	}
}
