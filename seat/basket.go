package seat

// basket decides several claims and swaps of one person in one place of the order.
func (s *State) basket(t *Turn, c *Basket) (Result, []Result) {
	items := make([]Result, len(c.Items))
	order, ok := s.checkItems(c, items)
	if ok && c.Mode == All {
		order, ok = s.checkAll(t.Now, c, items)
	}
	if !ok {
		notAll(items)
		return Result{Refusal: firstRefusal(items)}, items
	}
	for _, i := range order {
		items[i].Refusal = s.basketItem(t, c, c.Items[i])
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
// The order is that of the caller.
func (s *State) checkItems(c *Basket, items []Result) (order []int, ok bool) {
	ok = true
	for i, it := range c.Items {
		items[i], _ = s.look(it.Pool, c.Person)
		if it.Swap != "" && s.pools[it.Swap] == nil && !items[i].Refused() {
			items[i].Refusal = Refusal{Code: UnknownPool, Pool: it.Swap}
		}
		ok = ok && !items[i].Refused()
		order = append(order, i)
	}
	return order, ok
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

// checkAll decides an all-or-nothing basket without changing anything: each item for itself, then their order and the
// groups, then the limit of seats. Seats that the basket itself gives up are not taken by its other items.
func (s *State) checkAll(now Time, c *Basket, items []Result) (order []int, ok bool) {
	person, _ := s.people.find(c.Person)
	taken, ok := 0, true
	after := int(s.seatsOf(person))
	for i, it := range c.Items {
		r, old := s.resolve(it.Pool, c.Person), refs{}
		if it.Swap != "" {
			old = s.resolve(it.Swap, c.Person)
		}
		if s.held(items[i].Status, it, old) {
			continue
		}
		if s.seatedAt(old) {
			after--
		}
		if items[i].Status != Seated {
			after++
			taken++
		}
		items[i].Refusal = s.checkSeat(now, items[i].Standing, it, r, old)
		if !items[i].Refused() && it.If.mismatch(items[i].Seq) {
			items[i].Refusal = Refusal{Code: Mismatch, Seq: items[i].Seq}
		}
		ok = ok && !items[i].Refused()
	}
	if ok {
		order, ok = s.plan(c, person, items)
	}
	if most := s.limits.MaxSeats; ok && most != nil && taken > 0 && after > int(*most) {
		for i := range items {
			if items[i].Status != Seated {
				items[i].Refusal, ok = Refusal{Code: LimitSeats, Limit: *most}, false
			}
		}
	}
	return order, ok
}

// plan orders the items of an all-or-nothing basket so that the limit and the groups hold after every event: first those
// that only give up a seat, then the swaps, then the rest, and within a rank as they stand, except that an item waits for
// the one that gives up a seat of its group. Those that would wait for ever are refused: rings of swaps are not resolved.
func (s *State) plan(c *Basket, person uint32, items []Result) (order []int, ok bool) {
	held := map[uint32]string{} // group → the pool where the person has its seat, so far
	for _, it := range c.Items {
		if p := s.pools[it.Pool]; p.group != 0 && person != 0 {
			if n := s.groupSeat[pair(p.group, person)]; n != 0 {
				held[p.group] = s.poolAt(s.claims.at(n).pool).name
			}
		}
	}
	planned := make([]bool, len(c.Items))
	for len(order) < len(c.Items) {
		next := -1
		for i, it := range c.Items {
			in := held[s.pools[it.Pool].group]
			fits := items[i].Status == Seated || in == "" || in == it.Swap
			if !planned[i] && fits && (next < 0 || it.rank(items[i].Status) < c.Items[next].rank(items[next].Status)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		it, p := c.Items[next], s.pools[c.Items[next].Pool]
		if it.Swap != "" && held[s.pools[it.Swap].group] == it.Swap {
			delete(held, s.pools[it.Swap].group)
		}
		if p.group != 0 {
			held[p.group] = p.name
		}
		order, planned[next] = append(order, next), true
	}
	for i, it := range c.Items {
		if !planned[i] {
			items[i].Refusal = Refusal{Code: HeldInGroup, Pool: held[s.pools[it.Pool].group]}
		}
	}
	return order, len(order) == len(c.Items)
}

// rank is an item's place in the order of plan.
func (it *Item) rank(st Status) int {
	switch {
	case st == Seated:
		return 0
	case it.Swap != "":
		return 1
	}
	return 2
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
	switch st.Status {
	case Seated:
		return Refusal{}
	case Waiting, Offered:
		return Refusal{Code: Full} // only a promotion or an accept seats who already waits
	}
	if ref := r.pool.shut(now); ref.Code != "" {
		return ref
	}
	if !r.pool.hasSeatFor() {
		return Refusal{Code: Full}
	}
	return Refusal{}
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
	if s.held(st.Status, it, old) || st.Status == Offered || st.Status == Entered && it.Swap == "" ||
		st.Status == Waiting && (it.Swap == "" || st.Swap == it.Swap) {
		return Refusal{} // done, or as far as it goes for now
	}
	if c.Mode == Each && st.Status == Waiting {
		return Refusal{Code: Full}
	}
	if ref := s.checkSwap(it, r, old); ref.Code != "" {
		return ref
	}
	if st.Status == Waiting || st.Status == Entered { // to make it a swap is a claim too, and before a draw there are none
		if ref := r.pool.shut(t.Now); ref.Code != "" {
			return ref
		}
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
