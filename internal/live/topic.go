package live

import (
	"container/heap"
	"context"
	"math"
	"sync/atomic"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/engine"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// Subscription is one subscriber of one pool, or of one topic of a desk. It must be closed.
type Subscription struct {
	topic  *topic
	hub    *Hub
	to     Sink
	place  int // in topic.all; guarded by Hub.mu
	closed atomic.Bool
}

// topic is a pool with subscribers, or a desk's topic with some. What they are told is made once for all of them.
type topic struct {
	realm *realm
	desk  *deskEntry // nil: it is a pool
	name  string

	subscribers // guarded by Hub.mu

	said  said      // owned by the teller, and so is what follows
	due   seat.Time // by the shard's clock: when to look at it again
	place int       // in the teller's queue; -1: not there
}

type subscribers struct {
	all    []*Subscription
	fresh  []*Subscription // of all, those who have been told nothing yet
	queued bool            // in index.topics
}

// said is what all subscribers of a topic have been told.
type said struct {
	counts counts
	any    bool
	mixed  bool      // some have been told other counts since
	next   seat.Time // no counts before
	opens  seat.Time // the opening that was told of; 0: none is to come
	remind seat.Time

	availability desk.Availability
}

// counts are what a push of a pool tells.
type counts struct {
	capacity, seated, offered, waiting, entered uint32
	open                                        bool
}

// Subscribe tells to the counts of a pool and its opening; false: there is no such pool, or the engine has ended.
func (h *Hub) Subscribe(realm, pool string, to Sink) (*Subscription, bool) {
	s := &Subscription{hub: h, to: to}
	if !h.join(s, realm, pool, false) {
		known := false
		_, err := h.engine.Read(func(state *holdfast.State) {
			if r := state.Realm(realm); r != nil {
				_, known = r.Seats.Pool(pool)
			}
		})
		if err != nil || !known {
			return nil, false
		}
		h.join(s, realm, pool, true)
	}
	return s, true
}

// SubscribeDesk tells to the availability of a topic of a desk, "" where it has none. The code says that it is not there, and
// is empty otherwise. Errors: the engine has ended.
func (h *Hub) SubscribeDesk(realm, name, about string, to Sink) (*Subscription, holdfast.Code, error) {
	code := holdfast.UnknownRealm
	_, err := h.engine.Read(func(state *holdfast.State) {
		r := state.Realm(realm)
		if r == nil {
			return
		}
		code = ""
		if _, known := r.Desks.Availability(name, about); !known {
			code = desk.UnknownTopic
			if _, known := r.Desks.Desk(name); !known {
				code = desk.UnknownDesk
			}
		}
	})
	if err != nil || code != "" {
		return nil, code, err
	}
	s := &Subscription{hub: h, to: to}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		s.closed.Store(true)
		return s, "", nil
	}
	r := h.realmLocked(realm)
	d := r.deskLocked(name)
	t := d.topics[about]
	if t == nil {
		if d.topics == nil {
			d.topics = map[string]*topic{}
		}
		t = &topic{realm: r, desk: d, name: about, place: -1}
		d.topics[about] = t
	}
	h.enterLocked(t, s)
	return s, "", nil
}

// join adds s to the topic; false: there is none yet, and it may not be made.
func (h *Hub) join(s *Subscription, realm, pool string, create bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		s.closed.Store(true)
		return create
	}
	r := h.realms[realm]
	if create {
		r = h.realmLocked(realm)
	}
	if r == nil {
		return false
	}
	t := r.topics[pool]
	if t == nil {
		if !create {
			return false
		}
		t = &topic{realm: r, name: pool, place: -1}
		r.topics[pool] = t
	}
	h.enterLocked(t, s)
	return true
}

func (h *Hub) enterLocked(t *topic, s *Subscription) {
	s.topic, s.place = t, len(t.all)
	t.all, t.fresh = append(t.all, s), append(t.fresh, s)
	h.subscriptions++
	h.queueLocked(t)
	h.signal()
}

// Close ends the subscription. A push that is on its way may still come, at most one of each kind.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.closed.Swap(true) {
		return
	}
	t := s.topic
	last := len(t.all) - 1
	t.all[s.place] = t.all[last]
	t.all[s.place].place = s.place
	t.all[last] = nil
	t.all = t.all[:last]
	s.hub.subscriptions--
	if last == 0 { // a later subscriber makes a new topic; the teller lets this one go
		t.fresh = nil
		if t.desk == nil {
			delete(t.realm.topics, t.name)
		} else {
			delete(t.desk.topics, t.name)
			t.realm.leaveDeskLocked(t.desk)
		}
		s.hub.leaveLocked(t.realm)
		s.hub.queueLocked(t)
		s.hub.signal()
	}
}

// topicQueue is what the teller has of topics.
type topicQueue struct {
	timed   byDue
	due     []*topic
	views   []seat.PoolView     // read: of the pools
	desks   []desk.Availability // of the desks
	listing []*Subscription
}

// byDue is a heap of topics, the first due on top.
type byDue []*topic

func (q byDue) Len() int           { return len(q) }
func (q byDue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q byDue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *byDue) Push(x any) {
	t := x.(*topic)
	t.place = len(*q)
	*q = append(*q, t)
}
func (q *byDue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	t.place = -1
	return t
}

// set puts a topic in its place; due never: out of it.
func (q *byDue) set(t *topic, due seat.Time) {
	t.due = due
	switch {
	case due == never && t.place >= 0:
		heap.Remove(q, t.place)
	case due == never:
	case t.place >= 0:
		heap.Fix(q, t.place)
	default:
		heap.Push(q, t)
	}
}

const never seat.Time = math.MaxInt64

// tellTopics tells of the pools that changed or are due, and says how long no other is.
func (t *teller) tellTopics(ctx context.Context) (idle time.Duration, err error) {
	q, h := &t.topics, t.hub
	h.mu.Lock()
	q.due = append(q.due[:0], h.topics...)
	clear(h.topics)
	h.topics = h.topics[:0]
	for _, topic := range q.due {
		topic.queued = false
	}
	h.mu.Unlock()
	if len(q.due) == 0 && len(q.timed) == 0 {
		return math.MaxInt64, nil
	}
	now := h.engine.Now()
	for len(q.timed) > 0 && q.timed[0].due <= now {
		topic := q.timed[0]
		q.timed.set(topic, never)
		q.due = append(q.due, topic)
	}
	for list := q.due; len(list) > 0; {
		some := list[:min(len(list), h.cfg.Hold)]
		if err := t.tellSome(ctx, some); err != nil {
			return 0, err
		}
		list = list[len(some):]
	}
	clear(q.due)
	if len(q.timed) == 0 {
		return math.MaxInt64, nil
	}
	left := min(q.timed[0].due-h.engine.Now(), seat.Time(time.Hour/time.Microsecond)) // the year 9999 is no time.Duration
	return max(1, time.Duration(left)*time.Microsecond), nil
}

// tellSome reads some topics and tells of them once that is confirmed.
func (t *teller) tellSome(ctx context.Context, list []*topic) error {
	q := &t.topics
	q.views, q.desks = q.views[:0], q.desks[:0]
	newest := uint64(0) // event that what was read rests on, where that is known
	stamp, err := t.hub.engine.Read(func(s *holdfast.State) {
		for _, topic := range list {
			var v seat.PoolView
			var a desk.Availability
			r := s.Realm(topic.realm.name)
			switch {
			case topic.desk == nil && r != nil:
				v, _ = r.Seats.Pool(topic.name)
				newest = s.Seq()
			case r != nil:
				a, _ = r.Desks.Availability(topic.desk.name, topic.name)
				if newest = max(newest, a.Version); a.Topic != "" { // one queue's limit for all topics
					newest = s.Seq()
				}
			}
			q.views, q.desks = append(q.views, v), append(q.desks, a)
		}
	})
	if err != nil {
		return err
	}
	upTo, err := t.settled(ctx, stamp, newest)
	if err != nil {
		return err
	}
	// What was read is confirmed.
	asOf := min(upTo, stamp.AsOf)
	now := t.hub.engine.Now()
	for i, topic := range list {
		if topic.desk != nil {
			t.tellAvailability(topic, q.desks[i], asOf, now)
		} else {
			t.tellTopic(topic, &q.views[i], asOf, now)
		}
	}
	clear(q.listing[:cap(q.listing)]) // a topic before may have been larger
	return nil
}

// settled waits until what was read is confirmed, which rests on nothing behind the event newest, and says up to which event
// at most it is how things stand.
func (t *teller) settled(ctx context.Context, stamp engine.Stamp, newest uint64) (upTo uint64, err error) {
	if end := t.hub.engine.Durable().Seq; newest <= end {
		return end, nil
	}
	return stamp.AsOf, stamp.Wait(ctx)
}

// listen gives all subscribers of a topic, in the teller's listing, and those of them who are new.
func (t *teller) listen(topic *topic) (fresh []*Subscription) {
	t.hub.mu.Lock()
	defer t.hub.mu.Unlock()
	fresh, topic.fresh = topic.fresh, nil
	t.topics.listing = append(t.topics.listing[:0], topic.all...)
	return fresh
}

// tellAvailability tells all subscribers what changed, and those who are new how it stands.
func (t *teller) tellAvailability(topic *topic, is desk.Availability, asOf uint64, now seat.Time) {
	h, q, said := t.hub, &t.topics, &topic.said
	to := t.listen(topic)
	if len(q.listing) == 0 {
		q.timed.set(topic, never)
		return
	}
	due := never
	is.Desk, is.Topic = topic.desk.name, topic.name // where the topic is not there any more
	was := said.availability
	same := is.Open == was.Open && is.Idle == was.Idle && is.Waiting == was.Waiting
	if !said.any || !same || said.mixed {
		edge := is.Open != was.Open || is.Idle == 0 != (was.Idle == 0)
		if !said.any || now >= said.next || edge {
			said.availability, said.any, said.mixed = is, true, false
			said.next = now.Add(h.cfg.Availability)
			to = q.listing
		} else {
			said.mixed = said.mixed || len(to) > 0
			due = said.next
		}
	}
	t.buf = wire.AppendPush(t.buf[:0], Availability, 0, func(b []byte) []byte { return wire.AppendAvailabilityRow(b, &is, true) })
	h.availabilities.Add(push(to, Availability, asOf, t.buf))
	q.timed.set(topic, due)
}

// tellTopic tells all subscribers what changed, and those who are new how it stands.
func (t *teller) tellTopic(topic *topic, v *seat.PoolView, asOf uint64, now seat.Time) {
	h, q := t.hub, &t.topics
	fresh := t.listen(topic)
	if len(q.listing) == 0 {
		q.timed.set(topic, never)
		return
	}
	said := &topic.said
	opens, closes := v.Config.OpensAt, v.Config.ClosesAt
	due := never
	opened := opened(v, now)
	is := counts{v.Config.Capacity, v.Seated, v.Offered, v.Waiting, v.Entered, opened && (closes == 0 || now < closes)}
	if is.open && closes != 0 {
		due = closes
	}
	to := fresh
	if !said.any || is != said.counts || said.mixed {
		if !said.any || now >= said.next || is.open != said.counts.open {
			said.counts, said.any, said.mixed = is, true, false
			said.next = now.Add(h.cfg.Counts)
			to = q.listing
		} else {
			said.mixed = said.mixed || len(fresh) > 0
			due = min(due, said.next)
		}
	}
	t.buf = wire.AppendCounts(t.buf[:0], v, is.open, asOf)
	h.pools.Add(push(to, Pool, asOf, t.buf))

	to = fresh
	switch {
	case now < opens:
		if opens != said.opens || now >= said.remind {
			said.opens, said.remind = opens, now.Add(h.cfg.Reminder)
			to = q.listing
		}
		due = min(due, opens, said.remind)
	case !opened: // its draw is an event, which is told
		said.opens = opens
	case said.opens != 0: // it was told to open later
		said.opens = 0
		to = q.listing
	default:
		to = nil
	}
	t.buf = wire.AppendOpening(t.buf[:0], v.Name, opened, opens, now)
	h.openings.Add(push(to, Opening, asOf, t.buf))
	q.timed.set(topic, due)
}

// opened: claims would be taken, closing apart. A lottery is shut until it is drawn, which is never where its seed was lost.
func opened(v *seat.PoolView, now seat.Time) bool {
	return now >= v.Config.OpensAt && (v.Config.Order != seat.Lottery || v.Drawn)
}

// push gives one message to many, and says to how many.
func push(list []*Subscription, kind string, asOf uint64, message []byte) (n uint64) {
	for _, s := range list {
		if !s.closed.Load() {
			s.to.Push(kind, asOf, message)
			n++
		}
	}
	return n
}
