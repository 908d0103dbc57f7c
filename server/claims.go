package server

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/engine"
	"holdfast/internal/wire"
	"holdfast/seat"
)

func putClaim(c *call) int {
	cond, err := c.condition()
	if err != nil {
		return c.fail(err)
	}
	return c.command(seat.Claim{Pool: c.pool, Person: c.person, If: cond})
}

func deleteClaim(c *call) int {
	cond, err := c.condition()
	if err != nil {
		return c.fail(err)
	}
	return c.command(seat.Release{Pool: c.pool, Person: c.person, If: cond})
}

func (c *call) condition() (seat.Precondition, error) {
	body, err := c.body()
	if err != nil {
		return seat.Precondition{}, err
	}
	var cond seat.Precondition
	if body != nil {
		if cond, err = wire.ParseIf(body); err != nil {
			return cond, err
		}
	}
	return c.precondition(cond)
}

func postAccept(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParseAccept(c.pool, c.person, body)
	if err != nil {
		return c.fail(err)
	}
	return c.command(cmd)
}

func postOverride(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParseOverride(c.pool, c.person, body)
	if err != nil {
		return c.fail(err)
	}
	if cmd.By == "" {
		cmd.By = cmp.Or(c.id.Person, c.id.Name)
	} else if c.id.Role == auth.Staff && cmd.By != c.id.Person && cmd.By != c.id.Name {
		return c.problem(notInTheirName)
	}
	return c.command(cmd)
}

// command decides something about one person and pool, and answers.
func (c *call) command(cmd holdfast.Body) int {
	a, start, err := c.do(cmd)
	if err != nil {
		return c.fail(err)
	}
	c.metrics.decided(&a.Result.Result)
	return c.standing(&a, start)
}

func getClaim(c *call) int {
	start := time.Now()
	a, err := c.decide(seat.Look{Pool: c.pool, Person: c.person})
	if err != nil {
		return c.fail(err)
	}
	return c.standing(&a, start)
}

// standing waits as the caller asked, and answers with a standing or a refusal.
func (c *call) standing(a *engine.Answer, start time.Time) int {
	refused := a.Refused()
	d, err := c.settle(c.r.Context(), c.wait, a.Stamp, markOf(&a.Standing, refused, a.AsOf), start)
	if err != nil {
		return c.fail(err)
	}
	if refused {
		return c.refuse(&a.Refusal, stamp(d, a.Stamp))
	}
	a.Standing.Pool = c.pool
	status := http.StatusAccepted
	if d != wire.Preapproved {
		status = http.StatusOK
		c.etag(a.Seq)
	}
	return c.write(status, jsonType, func(b []byte) []byte {
		return wire.AppendAnswer(b, c.realm, c.person, &a.Standing, stamp(d, a.Stamp))
	})
}

// etag names the standing; only a confirmed one has a number that stays.
func (c *call) etag(seq uint64) {
	if seq == 0 {
		return
	}
	tag := make([]byte, 0, 22)
	tag = strconv.AppendUint(append(tag, '"'), seq, 10)
	c.w.Header()["Etag"] = []string{string(append(tag, '"'))}
}

// refuse answers a refusal of one person and pool, or of a realm or pool.
func (c *call) refuse(r *seat.Refusal, st wire.Stamp) int {
	p := wire.Refused(r, c.pool)
	p.Realm, p.Person, p.Desk = c.realm, c.person, c.desk
	p.Durability, p.AsOf, p.At = st.Durability, st.AsOf, st.At
	return c.write(p.Status, problemType, p.Append)
}

func postBasket(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParseBasket(body)
	if err != nil {
		return c.fail(err)
	}
	if permit(&c.id, c.route.role, c.realm, cmd.Person) == forbidden {
		return c.problem(notForYou)
	}
	c.person = cmd.Person
	a, start, err := c.do(cmd)
	if err != nil {
		return c.fail(err)
	}
	for i := range a.Items {
		c.metrics.decided(&a.Items[i])
	}
	d, err := c.settle(c.r.Context(), c.wait, a.Stamp, a.AsOf, start)
	if err != nil {
		return c.fail(err)
	}
	st := stamp(d, a.Stamp)
	if r, pool := wholeRefusal(&cmd, &a); r != nil {
		p := wire.Refused(r, pool)
		p.Realm, p.Person = c.realm, c.person
		p.Durability, p.AsOf, p.At = st.Durability, st.AsOf, st.At
		return c.write(p.Status, problemType, func(b []byte) []byte { return p.AppendRefusedBasket(b, &cmd, a.Items) })
	}
	status := http.StatusAccepted
	if d != wire.Preapproved {
		status = http.StatusOK
	}
	return c.write(status, jsonType, func(b []byte) []byte { return wire.AppendBasket(b, c.realm, &cmd, a.Items, st) })
}

// wholeRefusal is why nothing of a basket was done, and the pool it is about: the realm, or the first item that was itself
// refused where the others were not tried for it. nil = the items speak for themselves.
func wholeRefusal(cmd *seat.Basket, a *engine.Answer) (why *seat.Refusal, pool string) {
	if len(a.Items) == 0 {
		return &a.Refusal, ""
	}
	whole := cmd.Mode == seat.All
	for i := range a.Items {
		r := &a.Items[i].Refusal
		if r.Code == seat.NotAll {
			whole = true
		}
		if r.Code != "" && (why == nil || why.Code == seat.NotAll) {
			why, pool = r, cmd.Items[i].Pool
		}
	}
	if !whole {
		return nil, ""
	}
	return why, pool
}
