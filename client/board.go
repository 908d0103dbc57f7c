package client

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"holdfast/internal/wire"
)

// Cursor is a place in a log up to which everything of a person is known. Keep it with what you show, and name it when you
// come back. The zero Cursor knows nothing.
type Cursor struct {
	Log string `json:"log"`
	Seq uint64 `json:"seq"`
}

// Counts are a pool's.
type Counts struct {
	Pool     string `json:"pool"`
	Capacity int    `json:"capacity"`
	Seated   int    `json:"seated"`
	Offered  int    `json:"offered"`
	Waiting  int    `json:"waiting"`
	Entered  int    `json:"entered"` // in a lottery before its draw
	Free     int    `json:"free"`
	Over     int    `json:"over"`
	Open     bool   `json:"open"` // it takes claims
	AsOf     uint64 `json:"as_of"`
}

// Opening is when a pool opens, by the server's clock.
type Opening struct {
	Pool    string
	Open    bool          // it does so now
	OpensAt time.Time     // by the server's clock
	In      time.Duration // from when it came; 0 = it is open
	Here    time.Time     // the same instant by this machine's clock: what a countdown goes by, whatever that clock says
}

// Update is what changed since the update before: the latest of each thing, so that a slow reader misses steps but never an
// outcome.
type Update struct {
	// Online says whether the connection is up and everything that was missed meanwhile has been told. What is known while it
	// is false may be out of date.
	Online bool
	// Claims are the standings that changed, in the order of their AsOf; None = the server knows of no such claim.
	Claims   []Standing
	Pools    []Counts
	Openings []Opening
}

// board is what a connection was told. It outlives the connection. Its methods may be called by several goroutines.
type board struct {
	mu       sync.Mutex // guards what follows
	log      string     // of the connection before
	people   map[string]*followed
	counts   map[string]Counts
	openings map[string]Opening
	linked   bool // a connection is up
	online   bool // and everybody has been told what they missed

	// What nobody has taken yet.
	claims map[place]Standing
	pools  map[string]bool // counts
	opens  map[string]bool
	change bool // of online

	ready chan struct{} // has one where there is something to take
}

// followed is one person whose claims are told.
type followed struct {
	cursor Cursor
	rows   map[string]Standing // by pool; confirmed
	told   bool                // since the connection is up
	asked  uint64              // the subscribe that is not answered yet: what comes before is of another; 0 = none
}

func (b *board) init() {
	b.people, b.counts, b.openings = map[string]*followed{}, map[string]Counts{}, map[string]Opening{}
	b.claims, b.pools, b.opens = map[place]Standing{}, map[string]bool{}, map[string]bool{}
	b.ready = make(chan struct{}, 1)
}

func (b *board) signalLocked() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// follow begins to keep a person's claims; false: they are kept already.
func (b *board) follow(person string, from Cursor) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.people[person] != nil {
		return false
	}
	b.people[person] = &followed{cursor: from, rows: map[string]Standing{}}
	return true
}

func (b *board) unfollow(person string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.people, person)
	for p := range b.claims {
		if p.person == person {
			delete(b.claims, p)
		}
	}
	b.settleLocked()
}

// followedNow gives everybody who is followed, in order.
func (b *board) followedNow() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for name := range b.people {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (b *board) cursor(person string) Cursor {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.people[person]; f != nil {
		return f.cursor
	}
	return Cursor{}
}

// expect notes which message subscribes to a person, and gives what to name in it.
func (b *board) expect(person string, id uint64) Cursor {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.people[person]; f != nil {
		f.asked = id
		return f.cursor
	}
	return Cursor{}
}

// expected: that message was answered, and what comes now belongs to it.
func (b *board) expected(person string, id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.people[person]; f != nil && f.asked == id {
		f.asked = 0
	}
}

// up: a connection is there, to a server with that log. other: it is not the log of before, so nothing that is known can be
// compared with what will be told.
func (b *board) up(log string) (other bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	other = b.log != "" && b.log != log
	b.log, b.linked = log, true
	for _, f := range b.people {
		f.told, f.asked = false, 0
		if other {
			for pool, s := range f.rows {
				s.AsOf = 0
				f.rows[pool] = s
			}
		}
	}
	if other {
		for pool, c := range b.counts {
			c.AsOf = 0
			b.counts[pool] = c
		}
	}
	b.settleLocked()
	return other
}

// down: the connection is gone.
func (b *board) down() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.linked = false
	b.setLocked(false)
}

// settleLocked says online once everybody has been told what they missed.
func (b *board) settleLocked() {
	for _, f := range b.people {
		if !f.told {
			return
		}
	}
	b.setLocked(b.linked)
}

func (b *board) setLocked(online bool) {
	if b.online != online {
		b.online, b.change = online, !b.change
		b.signalLocked()
	}
}

// claimsPush is a push of claims.
type claimsPush struct {
	Person string        `json:"person"`
	AsOf   uint64        `json:"as_of"`
	All    bool          `json:"all"`
	Claims []wire.Answer `json:"claims"`
}

// tell takes a push of claims, and gives its standings.
func (b *board) tell(realm string, p *claimsPush) []Standing {
	rows := make([]Standing, len(p.Claims))
	there := map[string]bool{}
	for i := range p.Claims {
		rows[i] = answerOf(&p.Claims[i]).Standing
		rows[i].Realm, rows[i].Person, rows[i].AsOf = realm, p.Person, p.AsOf
		there[rows[i].Pool] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.people[p.Person]
	if f == nil || f.asked != 0 {
		return rows
	}
	for _, s := range rows {
		b.mergeLocked(f, s)
	}
	for pool, s := range f.rows {
		if p.All && !there[pool] && s.AsOf <= p.AsOf && s.Status != None {
			b.mergeLocked(f, Standing{Realm: realm, Pool: pool, Person: p.Person, Status: None, AsOf: p.AsOf})
		}
	}
	f.cursor, f.told = Cursor{b.log, p.AsOf}, true
	b.settleLocked()
	return rows
}

// answered takes what an answer told: the server does not push it too.
func (b *board) answered(s Standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.people[s.Person]; f != nil {
		b.mergeLocked(f, s)
	}
}

func (b *board) mergeLocked(f *followed, s Standing) {
	known, there := f.rows[s.Pool]
	if there && known.AsOf > s.AsOf {
		return
	}
	f.rows[s.Pool] = s
	known.AsOf = s.AsOf
	if known == s || s.Status == None && (!there || known.Status == None) {
		return // nothing new, but that it is still so
	}
	b.claims[place{s.Person, s.Pool}] = s
	b.signalLocked()
}

func (b *board) count(c Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, there := b.counts[c.Pool]
	if there && known.AsOf > c.AsOf {
		return
	}
	b.counts[c.Pool] = c
	if known.AsOf = c.AsOf; !there || known != c {
		b.pools[c.Pool] = true
		b.signalLocked()
	}
}

func (b *board) opening(o Opening) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.openings[o.Pool], b.opens[o.Pool] = o, true
	b.signalLocked()
}

// drop forgets a pool that is not subscribed any more.
func (b *board) drop(pool string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.counts, pool)
	delete(b.openings, pool)
	delete(b.pools, pool)
	delete(b.opens, pool)
}

// take gives what changed since the last take; false: nothing.
func (b *board) take() (u Update, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.Online = b.online
	ok = b.change || len(b.claims)+len(b.pools)+len(b.opens) > 0
	for _, s := range b.claims {
		u.Claims = append(u.Claims, s)
	}
	slices.SortFunc(u.Claims, func(x, y Standing) int {
		return cmp.Or(cmp.Compare(x.AsOf, y.AsOf), cmp.Compare(x.Seq, y.Seq), cmp.Compare(x.Person, y.Person), cmp.Compare(x.Pool, y.Pool))
	})
	for pool := range b.pools {
		u.Pools = append(u.Pools, b.counts[pool])
	}
	for pool := range b.opens {
		u.Openings = append(u.Openings, b.openings[pool])
	}
	slices.SortFunc(u.Pools, func(x, y Counts) int { return cmp.Compare(x.Pool, y.Pool) })
	slices.SortFunc(u.Openings, func(x, y Opening) int { return cmp.Compare(x.Pool, y.Pool) })
	clear(b.claims)
	clear(b.pools)
	clear(b.opens)
	b.change = false
	return u, ok
}

// view gives a person's standings, by pool.
func (b *board) view(person string) []Standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rows []Standing
	if f := b.people[person]; f != nil {
		for _, s := range f.rows {
			if s.Status != None {
				rows = append(rows, s)
			}
		}
	}
	slices.SortFunc(rows, func(x, y Standing) int { return cmp.Compare(x.Pool, y.Pool) })
	return rows
}

// push takes any push.
func (l *Live) push(kind string, line []byte) error {
	switch kind {
	case "claims":
		var p claimsPush
		if err := json.Unmarshal(line, &p); err != nil {
			return err
		}
		for _, s := range l.board.tell(l.client.cfg.Realm, &p) {
			l.client.keep(&s)
		}
	case "pool":
		var c Counts
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		l.board.count(c)
	case "opening":
		var p struct {
			Pool    string    `json:"pool"`
			Open    bool      `json:"open"`
			OpensAt time.Time `json:"opens_at"`
			InMS    int64     `json:"in_ms"`
		}
		if err := json.Unmarshal(line, &p); err != nil {
			return err
		}
		in := time.Duration(p.InMS) * time.Millisecond
		l.board.opening(Opening{Pool: p.Pool, Open: p.Open, OpensAt: p.OpensAt, In: in, Here: time.Now().Add(in)})
	}
	return nil // a push of a later server is none of ours
}
