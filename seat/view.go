package seat

// Row is one line of a roster.
type Row struct {
	Person string
	Standing
}

// maxScan bounds how many claims one page looks at, so that a rare status does not hold the shard's lock for long.
const maxScan = 4096

// Limits gives the realm's limits.
func (s *State) Limits() Limits { return s.limits }

// HasLimits says whether the realm's limits are these.
func (s *State) HasLimits(l Limits) bool {
	return s.limits.MaxWaits == l.MaxWaits && equalOptional(s.limits.MaxSeats, l.MaxSeats)
}

// PoolCount is the number of pools.
func (s *State) PoolCount() int { return len(s.poolList) }

// Pool shows one pool; false: there is none of that name.
func (s *State) Pool(name string) (PoolView, bool) {
	p := s.pools[name]
	if p == nil {
		return PoolView{}, false
	}
	return p.view(), true
}

func (p *pool) view() PoolView {
	v := PoolView{
		Name: p.name, Config: p.config.clone(),
		Seated: p.seated, Offered: p.offered, Waiting: p.line.waiting(), Entered: p.entered, Free: p.free(), Over: p.over(),
		Seq: p.put.seq, At: p.put.at,
	}
	if p.lottery != nil && p.lottery.drawn {
		v.Drawn, v.Seed = true, p.lottery.seed
	}
	return v
}

// Pools shows at most most pools in the order they were made, behind the one named after ("" = from the first).
// An unknown after gives none.
func (s *State) Pools(after string, most int) []PoolView {
	from := uint32(0)
	if after != "" {
		p := s.pools[after]
		if p == nil {
			return nil
		}
		from = p.number
	}
	var views []PoolView
	for _, p := range s.poolList[from:] {
		if len(views) == most {
			break
		}
		views = append(views, p.view())
	}
	return views
}

// Standing shows where a person stands; false: there is no such pool.
func (s *State) Standing(pool, person string) (Standing, bool) {
	res, _ := s.look(pool, person)
	return res.Standing, !res.Refused()
}

// Roster shows a pool's claims in the order in which they were first made, from the cursor on (0 = the first). next is
// the cursor of the following page, 0 at the end; a page may have fewer than most rows, even none, and still a next.
func (s *State) Roster(name string, cursor uint32, want func(Status) bool, most int) (rows []Row, next uint32) {
	p := s.pools[name]
	if p == nil {
		return nil, 0
	}
	n := p.first
	if cursor != 0 {
		if cursor > s.claims.count || s.claims.at(cursor).pool != p.number {
			return nil, 0
		}
		n = cursor
	}
	for seen := 0; n != 0 && len(rows) < most && seen < maxScan; seen++ {
		c := s.claims.at(n)
		if want(c.status) {
			rows = append(rows, Row{s.people.at(c.person).name, s.standing(refs{pool: p, person: c.person, claim: n})})
		}
		n = c.nextOfPool
	}
	return rows, n
}

// Person shows all standings of a person, released ones too, the newest first; cursor and next as in Roster.
func (s *State) Person(name string, cursor uint32, most int) (rows []Standing, next uint32) {
	who, _ := s.people.find(name)
	if who == 0 {
		return nil, 0
	}
	n := s.people.at(who).claims
	if cursor != 0 {
		if cursor > s.claims.count || s.claims.at(cursor).person != who {
			return nil, 0
		}
		n = cursor
	}
	for n != 0 && len(rows) < most {
		c := s.claims.at(n)
		rows = append(rows, s.standing(refs{pool: s.poolAt(c.pool), person: who, claim: n}))
		n = c.nextOfPerson
	}
	return rows, n
}

// Counts says how much the state holds: pools, people, claims (released ones too).
func (s *State) Counts() (pools, people, claims int) {
	return len(s.poolList), int(s.people.list.count), int(s.claims.count)
}
