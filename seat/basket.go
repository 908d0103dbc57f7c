package seat

// basket decides several claims and swaps of one person in one place of the order.
func (s *State) basket(t *Turn, c *Basket) (Result, []Result) {
	items := make([]Result, len(c.Items))
	if !s.checkItems(c, items) {
		return Result{Refusal: firstRefusal(items)}, items
	}
	if c.Mode == All && !s.checkAll(t.Now, c, items) {
		return Result{Refusal: firstRefusal(items)}, items
	}
	for i, it := range c.Items {
		if !items[i].Refused() {
			items[i].Refusal = s.basketItem(t, c, it)
		}
	}
	s.settle(t)
	for i, it := range c.Items {
		refusal := items[i].Refusal
		if items[i], _ = s.look(it.Pool, c.Person); refusal.Code != "" {
			items[i].Refusal = refusal
		}
	}
	return Result{}, items
}

// firstRefusal is the reason for the whole: the first item that was refused for itself.
func firstRefusal(items []Result) Refusal {
	for _, it := range items {
		if it.Refused() && it.Refusal.Code != NotAll {
			return it.Refusal
		}
	}
	return Refusal{}
}

// checkItems finds what is wrong with the basket as a whole, before anything is decided: unknown pools. False: refused.
func (s *State) checkItems(c *Basket, items []Result) bool {
	ok := true
	for i, it := range c.Items {
		items[i], _ = s.look(it.Pool, c.Person)
		if it.Swap != "" && s.pools[it.Swap] == nil && !items[i].Refused() {
			items[i].Refusal = Refusal{Code: UnknownPool, Pool: it.Swap}
		}
		ok = ok && !items[i].Refused()
	}
	if !ok {
		notAll(items)
	}
	return ok
}

func notAll(items []Result) {
	for i := range items {
		if !items[i].Refused() {
			items[i].Refusal = Refusal{Code: NotAll}
		}
	}
}

// held says whether the item needs nothing more: the seat is there, and the seat to give up is gone.
func (s *State) held(st Status, it Item, old refs) bool {
	return st == Seated && (it.Swap == "" || !s.seatedAt(old))
}

func (s *State) seatedAt(r refs) bool { return r.claim != 0 && s.claims.at(r.claim).status == Seated }

// checkAll decides an all-or-nothing basket without changing anything. Seats that the basket itself gives up are counted
// for the person's limit and groups, and are not taken by its other items.
func (s *State) checkAll(now Time, c *Basket, items []Result) bool {
	person := s.people.find(c.Person)
	gained, groups, ok := 0, map[uint32]string{}, true
	given := map[uint32]bool{} // claims that the basket gives up
	for _, it := range c.Items {
		if old := s.resolve(it.Swap, c.Person); it.Swap != "" && s.seatedAt(old) {
			given[old.claim] = true
			gained--
		}
	}
	for i, it := range c.Items {
		r, old := s.resolve(it.Pool, c.Person), refs{}
		if it.Swap != "" {
			old = s.resolve(it.Swap, c.Person)
		}
		if s.held(items[i].Status, it, old) {
			continue
		}
		ref := s.checkSeat(now, items[i].Standing, it, r, old)
		if items[i].Status != Seated {
			gained++
		}
		if ref.Code == "" && r.pool.group != 0 {
			ref = s.checkGroup(r, person, given, groups)
		}
		if ref.Code == "" && it.If.mismatch(items[i].Seq) {
			ref = Refusal{Code: Mismatch, Seq: items[i].Seq}
		}
		items[i].Refusal = ref
		ok = ok && ref.Code == ""
	}
	if ok && gained > 0 && s.limits.MaxSeats != nil {
		if most := *s.limits.MaxSeats; int(s.seatsOf(person))+gained > int(most) {
			for i := range items {
				if items[i].Status != Seated {
					items[i].Refusal, ok = Refusal{Code: LimitSeats, Limit: most}, false
				}
			}
		}
	}
	if !ok {
		notAll(items)
	}
	return ok
}

func (s *State) seatsOf(person uint32) uint32 {
	if person == 0 {
		return 0
	}
	return s.people.at(person).seats
}

// checkSeat: is there a seat for this item, limits and groups apart?
func (s *State) checkSeat(now Time, st Standing, it Item, r, old refs) Refusal {
	if ref := s.checkSwap(it, r, old); ref.Code != "" {
		return ref
	}
	cfg := &r.pool.config
	switch {
	case st.Status == Seated:
		return Refusal{}
	case st.Status == Waiting || st.Status == Offered:
		return Refusal{Code: Full} // only a promotion or an accept seats who already waits
	case cfg.OpensAt != 0 && now < cfg.OpensAt:
		return Refusal{Code: NotOpen, Time: cfg.OpensAt}
	case cfg.ClosesAt != 0 && now >= cfg.ClosesAt:
		return Refusal{Code: Closed, Time: cfg.ClosesAt}
	case !r.pool.hasSeatFor():
		return Refusal{Code: Full}
	}
	return Refusal{}
}

// checkGroup: one seat per group, those given up apart, the basket's own items included.
func (s *State) checkGroup(r refs, person uint32, given map[uint32]bool, groups map[uint32]string) Refusal {
	if before, twice := groups[r.pool.group]; twice {
		return Refusal{Code: HeldInGroup, Pool: before}
	}
	groups[r.pool.group] = r.pool.name
	if person == 0 {
		return Refusal{}
	}
	held := s.groupSeat[pair(r.pool.group, person)]
	if held == 0 || given[held] || held == r.claim {
		return Refusal{}
	}
	return s.explain(HeldInGroup, held)
}

// checkSwap: the seat to give up must be there and not be part of another swap.
func (s *State) checkSwap(it Item, r, old refs) Refusal {
	if it.Swap == "" {
		return Refusal{}
	}
	if !s.seatedAt(old) {
		return Refusal{Code: NoSeat, Pool: it.Swap}
	}
	if by := s.swappedBy[old.claim]; by != 0 && by != r.claim {
		return Refusal{Code: SwapPending, Pool: s.poolAt(s.claims.at(by).pool).name}
	}
	return Refusal{}
}

// basketItem decides one item that stands on its own, or is known to succeed, and emits what it needs.
func (s *State) basketItem(t *Turn, c *Basket, it Item) Refusal {
	st, r := s.look(it.Pool, c.Person)
	old := refs{}
	if it.Swap != "" {
		old = s.resolve(it.Swap, c.Person)
	}
	if s.held(st.Status, it, old) || st.Status == Offered || st.Status == Waiting && (it.Swap == "" || st.Swap == it.Swap) {
		return Refusal{} // done, or as far as it goes for now
	}
	if c.Mode == Each && st.Status == Waiting {
		return Refusal{Code: Full}
	}
	if ref := s.checkSwap(it, r, old); ref.Code != "" {
		return ref
	}
	if !st.Status.Live() && c.Mode != All {
		if ref := s.barsNewcomer(t.Now, r, old.claim, c.Mode == EachOrWait); ref.Code != "" {
			return ref
		}
	}
	if c.Mode != All && it.If.mismatch(st.Seq) {
		return Refusal{Code: Mismatch, Seq: st.Seq}
	}
	switch st.Status {
	case Seated: // the new seat is certain already: only the old one is left to give up
		s.emitFreed(t, Event{Person: c.Person, Was: Seated, Cause: ByRelease}, old)
	case Waiting: // the same place in line, now as a swap
		s.emit(t, &Event{Kind: LineJoined, Pool: r.pool.name, Person: c.Person, Was: Waiting, Cause: ByClaim,
			Ticket: st.Ticket, Swap: it.Swap}, r)
	default:
		s.place(t, c.Person, st.Status, r, old)
	}
	return Refusal{}
}
