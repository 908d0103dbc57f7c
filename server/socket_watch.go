package server

import (
	"fmt"

	"holdfast/internal/live"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// Bounds of what one connection may follow.
const (
	personPools = 64
	manyPools   = 10_000
	manyPeople  = 10_000
)

// watchOf is the watch of a person; nil: there is none.
func (s *socket) watchOf(person string) *live.Watch {
	if s.person != "" {
		return s.watch
	}
	return s.others[person]
}

// again has everything of a person told once more.
func (s *socket) again(m *wire.Message, person string) {
	watch := s.watchOf(person)
	if watch == nil {
		s.fail(m.ID, invalid("pool", "is missing: to hear of all, subscribe to the person first"))
		return
	}
	s.done(m)
	watch.Again()
}

func (s *socket) done(m *wire.Message) {
	s.message(func(b []byte) []byte { return wire.AppendDone(b, m.ID, m.Do) })
}

// subscription begins or ends to follow pools, or a person.
func (s *socket) subscription(m *wire.Message) {
	switch {
	case m.Desk != "":
		s.availability(m)
	case s.atDesk():
		s.fail(m.ID, invalid("desk", "is missing: an agent or a client follows the availability of a desk"))
	case m.As != "":
		s.follow(m)
	case m.Do == wire.DoUnsubscribe:
		for _, pool := range m.Pools {
			if sub := s.pools[pool]; sub != nil {
				sub.Close()
				delete(s.pools, pool)
			}
		}
		s.done(m)
	default:
		s.subscribe(m)
	}
}

// mostFollowed is how many pools and desks' topics the connection may follow.
func (s *socket) mostFollowed() int {
	if s.person != "" || s.atDesk() {
		return personPools
	}
	return manyPools
}

// subscribe follows pools: all that are named, or none.
func (s *socket) subscribe(m *wire.Message) {
	most := s.mostFollowed()
	hub, err := s.house.live()
	if err != nil {
		s.fail(m.ID, err)
		return
	}
	if s.pools == nil {
		s.pools = map[string]*live.Subscription{}
	}
	added := []string{}
	undo := func() {
		for _, pool := range added {
			s.pools[pool].Close()
			delete(s.pools, pool)
		}
	}
	for _, pool := range m.Pools {
		if s.pools[pool] != nil {
			continue
		}
		if len(s.pools)+len(s.topics) >= most {
			undo()
			s.fail(m.ID, invalid("pools", fmt.Sprintf("are more than one connection may follow: %d", most)))
			return
		}
		sub, ok := hub.Subscribe(s.realm, pool, s)
		if !ok {
			undo()
			p := wire.Refused(&seat.Refusal{Code: seat.UnknownPool}, pool)
			s.problem(m.ID, &p, pool, "")
			return
		}
		s.pools[pool] = sub
		added = append(added, pool)
	}
	s.done(m)
}

// follow begins or ends to follow a person's claims.
func (s *socket) follow(m *wire.Message) {
	person, err := s.speaker(m.As)
	if err != nil {
		s.fail(m.ID, err)
		return
	}
	old := s.watchOf(person)
	switch {
	case s.person != "" && m.Do == wire.DoUnsubscribe:
		s.fail(m.ID, invalid("as", "is who this connection is for: its claims are always told"))
		return
	case s.person != "":
		old.Again()
	case m.Do == wire.DoUnsubscribe:
		if old != nil {
			old.Close()
			delete(s.others, person)
		}
	case old == nil && len(s.others) >= manyPeople:
		s.fail(m.ID, invalid("as", fmt.Sprintf("is one more than one connection may follow: %d", manyPeople)))
		return
	default:
		hub, err := s.house.live()
		if err != nil {
			s.fail(m.ID, err)
			return
		}
		if old != nil {
			old.Close()
		}
		if s.others == nil {
			s.others = map[string]*live.Watch{}
		}
		s.others[person] = hub.Watch(s.realm, person, live.Cursor{Log: m.Log, Seq: m.Seq}, s)
	}
	s.done(m)
}

// unwatch ends all that the connection follows.
func (s *socket) unwatch() {
	if s.watch != nil {
		s.watch.Close()
		s.watch = nil
	}
	for _, w := range s.others {
		w.Close()
	}
	for _, sub := range s.pools {
		sub.Close()
	}
	for _, sub := range s.topics {
		sub.Close()
	}
	s.others, s.pools, s.topics = nil, nil, nil
	s.part()
}
