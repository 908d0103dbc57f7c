package seat_test

import "holdfast/seat"

// The oracle's baskets.

func (o *oracle) basket(c seat.Basket) (seat.Result, []seat.Result) {
	refusals := make([]seat.Refusal, len(c.Items))
	ok := o.knownPools(c, refusals)
	if ok && c.Mode == seat.All {
		ok = o.allFit(c, refusals)
	}
	if !ok {
		whole := seat.Refusal{}
		for i := range refusals {
			if refusals[i].Code == "" {
				refusals[i] = seat.Refusal{Code: seat.NotAll}
			} else if whole.Code == "" {
				whole = refusals[i]
			}
		}
		return seat.Result{Refusal: whole}, o.shown(c, refusals)
	}
	order, _ := o.order(c)
	for _, i := range order {
		refusals[i] = o.item(c, c.Items[i])
	}
	o.settle()
	return seat.Result{}, o.shown(c, refusals)
}

func (o *oracle) knownPools(c seat.Basket, refusals []seat.Refusal) bool {
	ok := true
	for i, it := range c.Items {
		for _, name := range []string{it.Swap, it.Pool} { // the pool itself is named first
			if name != "" && o.pool(name) == nil {
				refusals[i], ok = seat.Refusal{Code: seat.UnknownPool, Pool: name}, false
			}
		}
	}
	return ok
}

func (o *oracle) shown(c seat.Basket, refusals []seat.Refusal) []seat.Result {
	items := make([]seat.Result, len(c.Items))
	for i, it := range c.Items {
		items[i].Standing.Pool, items[i].Refusal = it.Pool, refusals[i]
		if p := o.pool(it.Pool); p != nil {
			items[i].Standing = o.standing(p, c.Person)
		}
	}
	return items
}

func (o *oracle) seated(pool, person string) bool {
	p := o.pool(pool)
	return p != nil && o.standing(p, person).Status == seat.Seated
}

// done: the seat is there, and what was to be given up is gone.
func (o *oracle) done(person string, it seat.Item) bool {
	return o.seated(it.Pool, person) && !o.seated(it.Swap, person)
}

// swappable: the seat to give up is there, and no other swap waits for it.
func (o *oracle) swappable(person string, it seat.Item) seat.Refusal {
	if it.Swap == "" {
		return seat.Refusal{}
	}
	if !o.seated(it.Swap, person) {
		return seat.Refusal{Code: seat.NoSeat, Pool: it.Swap}
	}
	for _, c := range o.claims {
		if c.person == person && c.Status.Live() && c.Swap == it.Swap && c.in.name != it.Pool {
			return seat.Refusal{Code: seat.SwapPending, Pool: c.in.name}
		}
	}
	return seat.Refusal{}
}

// allFit: every item gets a seat now, and all of them together keep the limit and the groups.
func (o *oracle) allFit(c seat.Basket, refusals []seat.Refusal) bool {
	ok := true
	after, taken := int(o.seats(c.Person)), 0
	for i, it := range c.Items {
		if o.done(c.Person, it) {
			continue
		}
		if o.seated(it.Swap, c.Person) {
			after--
		}
		if !o.seated(it.Pool, c.Person) {
			after++
			taken++
		}
		refusals[i] = o.fits(c.Person, it)
		ok = ok && refusals[i].Code == ""
	}
	if !ok {
		return false
	}
	order, blocked := o.order(c)
	if len(order) < len(c.Items) {
		for i, it := range c.Items {
			if held := blocked[it.Pool]; held != "" {
				refusals[i] = seat.Refusal{Code: seat.HeldInGroup, Pool: held}
			}
		}
		return false
	}
	if o.limits.MaxSeats == nil || taken == 0 || after <= int(*o.limits.MaxSeats) {
		return true
	}
	for i, it := range c.Items {
		if !o.seated(it.Pool, c.Person) {
			refusals[i] = seat.Refusal{Code: seat.LimitSeats, Limit: *o.limits.MaxSeats}
		}
	}
	return false
}

// fits judges one item of an all-or-nothing basket, limit and groups apart.
func (o *oracle) fits(person string, it seat.Item) seat.Refusal {
	p := o.pool(it.Pool)
	if r := o.swappable(person, it); r.Code != "" {
		return r
	}
	switch o.standing(p, person).Status {
	case seat.Waiting, seat.Offered:
		return seat.Refusal{Code: seat.Full}
	case seat.None, seat.Released, seat.Entered:
		if r := o.clock(p); r.Code != "" {
			return r
		}
		if !o.room(p) {
			return seat.Refusal{Code: seat.Full}
		}
	}
	return o.stale(p, person, it.If)
}

// order is the caller's order; all or nothing, first those that only give up a seat, then swaps, then the rest, so that
// nobody ever holds two seats of a group, not even between two events. Blocked are the items' pools that cannot be
// placed so, and the pool that is in the way.
func (o *oracle) order(c seat.Basket) (order []int, blocked map[string]string) {
	if c.Mode != seat.All {
		for i := range c.Items {
			order = append(order, i)
		}
		return order, nil
	}
	has := []string{} // where the person holds a seat; of a swap inside a group that is offered the new one
	for _, claim := range o.claims {
		if claim.person == c.Person && holds(claim.Status) {
			has = append(has, claim.in.name)
			if claim.Status == seat.Offered && claim.Swap != "" && o.pool(claim.Swap).Group == claim.in.Group {
				has = without(has, claim.Swap)
			}
		}
	}
	left := map[int]bool{}
	for i := range c.Items {
		left[i] = true
	}
	for again := true; again; {
		again, blocked = false, map[string]string{}
		for turn := range 3 * len(c.Items) {
			rank, i := turn/len(c.Items), turn%len(c.Items)
			it := c.Items[i]
			if !left[i] || rank != o.rank(c.Person, it) {
				continue
			}
			if rank > 0 {
				if held := o.inTheWay(has, it); held != "" {
					blocked[it.Pool] = held
					continue
				}
			}
			has = append(without(without(has, it.Swap), it.Pool), it.Pool)
			order, again = append(order, i), true
			delete(left, i)
			break
		}
	}
	return order, blocked
}

func (o *oracle) rank(person string, it seat.Item) int {
	switch {
	case o.seated(it.Pool, person):
		return 0
	case it.Swap != "":
		return 1
	}
	return 2
}

func (o *oracle) inTheWay(has []string, it seat.Item) string {
	group := o.pool(it.Pool).Group
	for _, name := range has {
		if group != "" && name != it.Swap && o.pool(name).Group == group {
			return name
		}
	}
	return ""
}

func without(names []string, name string) (left []string) {
	for _, n := range names {
		if n != name {
			left = append(left, n)
		}
	}
	return left
}

// item decides one item on its own. Those of an all-or-nothing basket are known to fit.
func (o *oracle) item(c seat.Basket, it seat.Item) seat.Refusal {
	p := o.pool(it.Pool)
	st := o.standing(p, c.Person)
	waits := st.Status == seat.Waiting
	switch {
	case o.done(c.Person, it), st.Status == seat.Offered, st.Status == seat.Entered && it.Swap == "", waits && (it.Swap == "" || it.Swap == st.Swap):
		return seat.Refusal{}
	case c.Mode == seat.Each && waits:
		return seat.Refusal{Code: seat.Full}
	}
	if r := o.swappable(c.Person, it); r.Code != "" {
		return r
	}
	if c.Mode != seat.All {
		if waits || st.Status == seat.Entered {
			if r := o.clock(p); r.Code != "" { // a wait that becomes a swap is a claim too
				return r
			}
		} else if st.Status != seat.Seated {
			if r := o.newcomer(p, c.Person, it.Swap, c.Mode == seat.EachOrWait); r.Code != "" {
				return r
			}
		}
		if r := o.stale(p, c.Person, it.If); r.Code != "" {
			return r
		}
	}
	switch st.Status {
	case seat.Seated:
		o.freeSeat(o.find(o.pool(it.Swap), c.Person), seat.Event{Cause: seat.ByRelease})
	case seat.Waiting:
		o.wait(p, c.Person, st.Ticket, it.Swap)
	default:
		o.place(p, c.Person, it.Swap)
	}
	return seat.Refusal{}
}
