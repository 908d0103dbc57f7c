package mirror

import (
	"encoding/hex"
	"strings"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

// batch is what one transaction writes: the events of one or more frames, and the state they lead to, each row once.
//
// It is made from the events alone: an event says what its claim was before, so counts need no state of their own, and a
// row of the table that is not as the event says it was is found out.
type batch struct {
	from, to engine.Position // the cursor before and after
	events   []eventRow
	segments []segment

	arena []byte // of one frame's bodies, and where each ends; reused
	ends  []int
}

// eventRow is a row of the table events.
type eventRow struct {
	seq         uint64
	at          seat.Time
	realm, kind string
	body        string
}

type poolKey struct{ realm, pool string }

type claimKey struct{ realm, pool, person string }

// segment is a part of a batch whose order within does not matter. A start of the shard changes every seat offer that
// stands at that instant, so it begins a new segment.
type segment struct {
	started bool
	at      seat.Time // started: when
	until   seat.Time // started: nobody's offer ends before

	realms  map[string]realmRow
	pools   []poolRow
	poolAt  map[poolKey]int
	claims  []claimRow
	claimAt map[claimKey]int
	unswaps []unswapRow
	offers  []int // rows of claims that are, or were, offered in this segment
	desks   []deskEvent
}

// realmRow is a row of the table realms.
type realmRow struct {
	limits seat.Limits
	seq    uint64
	at     seat.Time
}

// poolRow is what changes in a row of the table pools.
type poolRow struct {
	poolKey
	config *seat.Config // nil: only the counts change
	seq    uint64
	at     seat.Time
	cap    seat.Time // the seat offers made before this segment end here at the latest; 0 = no change
	seed   string    // in hex; "" = not drawn in this segment

	seated, offered, waiting, entered int64 // differences
}

// claimRow is a row of the table claims, and what it was before the segment.
type claimRow struct {
	claimKey
	was, status  seat.Status
	seat, ticket uint32    // 0 = null
	deadline     seat.Time // 0 = null
	swap         string    // "" = null
	cause        seat.Cause
	seq          uint64
	at           seat.Time
}

// unswapRow: the claim was to give up the seat in pool was, which is gone.
type unswapRow struct {
	claimKey
	was string
}

func (b *batch) reset() {
	b.from, b.to = engine.Position{}, engine.Position{}
	clear(b.events) // the strings hold whole frames
	b.events = b.events[:0]
	if len(b.segments) > 1 {
		b.segments = b.segments[:1]
	}
	for i := range b.segments {
		b.segments[i].reset()
	}
}

func (s *segment) reset() {
	s.started, s.at, s.until = false, 0, 0
	clear(s.realms)
	clear(s.pools)
	clear(s.poolAt)
	clear(s.claims)
	clear(s.claimAt)
	clear(s.unswaps)
	clear(s.desks)
	s.pools, s.claims, s.unswaps, s.offers = s.pools[:0], s.claims[:0], s.unswaps[:0], s.offers[:0]
	s.desks = s.desks[:0]
}

func newSegment() segment {
	return segment{realms: map[string]realmRow{}, poolAt: map[poolKey]int{}, claimAt: map[claimKey]int{}}
}

// addFrame appends a frame's events.
func (b *batch) addFrame(f *engine.Events) {
	arena, ends := b.arena[:0], b.ends[:0]
	for i := range f.List {
		arena = append(arena, '{')
		arena = f.List[i].AppendBodyJSON(arena)
		arena = append(arena, '}')
		ends = append(ends, len(arena))
	}
	text := string(arena) // one allocation for the bodies of a frame
	start := 0
	for i := range f.List {
		b.add(&f.List[i], text[start:ends[i]])
		start = ends[i]
	}
	b.arena, b.ends = arena, ends
	b.to = f.Position
}

// add appends one event, whose body is an object in JSON.
func (b *batch) add(e *holdfast.Event, body string) {
	if len(b.segments) == 0 {
		b.segments = append(b.segments, newSegment())
	}
	b.events = append(b.events, eventRow{seq: e.Seq, at: e.At, realm: e.Realm, kind: e.KindName(), body: storable(body)})
	s := &b.segments[len(b.segments)-1]
	switch e.Kind() {
	case holdfast.Started:
		if !s.empty() {
			b.segments = append(b.segments, newSegment())
			s = &b.segments[len(b.segments)-1]
		}
		s.started, s.at, s.until = true, e.At, e.At+e.Grace
	case holdfast.RealmPut:
		s.realms[e.Realm] = realmRow{limits: *e.Limits, seq: e.Seq, at: e.At}
	case seat.PoolPut:
		s.putPool(e)
	case seat.Drawn:
		s.pool(poolKey{e.Realm, e.Seat.Pool}).seed = hex.EncodeToString(e.Seat.Seed[:])
	default:
		if e.Desk != nil {
			s.desks = append(s.desks, deskEvent{e.Seq, e.At, e.Realm, e.Desk})
			return
		}
		s.putClaim(e)
	}
}

func (s *segment) empty() bool {
	return !s.started && len(s.realms) == 0 && len(s.pools) == 0 && len(s.claims) == 0 && len(s.unswaps) == 0 && len(s.desks) == 0
}

func (s *segment) pool(key poolKey) *poolRow {
	i, ok := s.poolAt[key]
	if !ok {
		i = len(s.pools)
		s.poolAt[key] = i
		s.pools = append(s.pools, poolRow{poolKey: key})
	}
	return &s.pools[i]
}

func (s *segment) putPool(e *holdfast.Event) {
	key := poolKey{e.Realm, e.Seat.Pool}
	p := s.pool(key)
	config := *e.Seat.Config // the event is valid only for now
	p.config, p.seq, p.at = &config, e.Seq, e.At
	if config.Order != seat.Lottery {
		p.seed = ""
	}
	until := promoteUntil(p.config)
	if until == 0 {
		return
	}
	if p.cap == 0 || until < p.cap {
		p.cap = until
	}
	for _, i := range s.offers {
		if c := &s.claims[i]; c.status == seat.Offered && c.realm == key.realm && c.pool == key.pool {
			c.deadline = min(c.deadline, until)
		}
	}
}

// promoteUntil is when promotion stops; 0 = never.
func promoteUntil(c *seat.Config) seat.Time {
	if c.PromoteUntil != 0 {
		return c.PromoteUntil
	}
	return c.ClosesAt
}

// putClaim: every event about a claim says the whole of its row.
func (s *segment) putClaim(e *holdfast.Event) {
	c := claimRow{
		claimKey: claimKey{e.Realm, e.Seat.Pool, e.Seat.Person},
		was:      e.Seat.Was, cause: e.Seat.Cause, seq: e.Seq, at: e.At,
	}
	old := claimKey{e.Realm, e.Seat.Swap, e.Seat.Person}
	switch e.Kind() {
	case seat.SeatTaken:
		c.status, c.seat = seat.Seated, e.Seat.Seat
		if e.Seat.Swap != "" {
			s.put(claimRow{claimKey: old, was: seat.Seated, status: seat.Released, cause: c.cause, seq: c.seq, at: c.at})
		}
	case seat.LineJoined:
		c.status, c.ticket, c.swap = seat.Waiting, e.Seat.Ticket, e.Seat.Swap
	case seat.SeatOffered:
		c.status, c.seat, c.deadline, c.swap = seat.Offered, e.Seat.Seat, e.Seat.Deadline, e.Seat.Swap
	case seat.SeatFreed:
		c.status = seat.Released
		if e.Seat.Swap != "" {
			s.unswap(old, c.pool)
		}
	case seat.LotteryEntered:
		c.status = seat.Entered
	}
	s.put(c)
}

func (s *segment) put(c claimRow) {
	p := s.pool(poolKey{c.realm, c.pool})
	p.count(c.was, -1)
	p.count(c.status, +1)
	i, ok := s.claimAt[c.claimKey]
	if ok {
		c.was = s.claims[i].was
		s.claims[i] = c
	} else {
		i = len(s.claims)
		s.claimAt[c.claimKey] = i
		s.claims = append(s.claims, c)
	}
	if c.status == seat.Offered {
		s.offers = append(s.offers, i)
	}
}

func (s *segment) unswap(key claimKey, was string) {
	if i, ok := s.claimAt[key]; ok {
		s.claims[i].swap = ""
		return
	}
	s.unswaps = append(s.unswaps, unswapRow{key, was})
}

func (p *poolRow) count(status seat.Status, n int64) {
	switch status {
	case seat.Seated:
		p.seated += n
	case seat.Offered:
		p.offered += n
	case seat.Waiting:
		p.waiting += n
	case seat.Entered:
		p.entered += n
	}
}

// storable replaces what Postgres cannot hold in a text, or cannot read out of JSON (the character NUL, halves of
// surrogate pairs, bytes that are not UTF-8), by U+FFFD. Both databases get the same. It is only ever somebody's own
// data or reason; almost every body comes back as it is.
func storable(body string) string {
	body = strings.ToValidUTF8(body, "\uFFFD")
	if !strings.Contains(body, `\u`) {
		return body
	}
	var b strings.Builder
	for i := 0; i < len(body); {
		switch {
		case body[i] != '\\':
			b.WriteByte(body[i])
			i++
		case body[i+1] != 'u':
			b.WriteString(body[i : i+2])
			i += 2
		case !surrogate(body[i:], 'c') && !surrogate(body[i:], 'd') && body[i+2:i+6] != "0000":
			b.WriteString(body[i : i+6])
			i += 6
		case surrogate(body[i:], 'c') && surrogate(body[i+6:], 'd'):
			b.WriteString(body[i : i+12])
			i += 12
		default:
			b.WriteString(`\ufffd`)
			i += 6
		}
	}
	return b.String()
}

// surrogate says whether s begins with the escape of a leading ('c') or a trailing ('d') half of a pair.
func surrogate(s string, half byte) bool {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' || s[2]|0x20 != 'd' {
		return false
	}
	third := s[3] | 0x20
	if half == 'c' {
		return third == '8' || third == '9' || third == 'a' || third == 'b'
	}
	return third >= 'c' && third <= 'f'
}
