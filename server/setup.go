package server

import (
	"net/http"
	"time"

	"holdfast"
	"holdfast/internal/wire"
	"holdfast/seat"
)

func putRealm(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParseRealm(body)
	if err != nil {
		return c.fail(err)
	}
	return c.setUp(cmd, getRealm)
}

func putPool(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParsePool(c.pool, body)
	if err != nil {
		return c.fail(err)
	}
	return c.setUp(cmd, getPool)
}

// setUp decides something about a realm or pool, and answers with how it then stands. The answer rests on the read, which
// is later, so it is confirmed no earlier than what was decided.
func (c *call) setUp(cmd holdfast.Body, show func(*call) int) int {
	a, start, err := c.do(cmd)
	if err != nil {
		return c.fail(err)
	}
	if !a.Refused() {
		return show(c)
	}
	d, err := c.settle(c.r.Context(), c.wait, a.Stamp, a.AsOf, start)
	if err != nil {
		return c.fail(err)
	}
	return c.refuse(&a.Refusal, stamp(d, a.Stamp))
}

// read looks at the state, waits as the caller asked, and answers with what show appends, or with the refusal that look
// returns.
func (c *call) read(look func(*holdfast.State) holdfast.Code, show func([]byte, wire.Stamp) []byte) int {
	start := time.Now()
	var missing holdfast.Code
	st, err := c.engine.Read(func(s *holdfast.State) { missing = look(s) })
	if err != nil {
		return c.fail(err)
	}
	d, err := c.settle(c.r.Context(), c.wait, st, st.AsOf, start)
	if err != nil {
		return c.fail(err)
	}
	if missing != "" {
		return c.refuse(&seat.Refusal{Code: missing}, stamp(d, st))
	}
	status := http.StatusAccepted
	if d != wire.Preapproved {
		status = http.StatusOK
	}
	return c.write(status, jsonType, func(b []byte) []byte { return show(b, stamp(d, st)) })
}

// seats finds the seats of the path's realm; look is called only where it is there.
func (c *call) seats(look func(*seat.State) holdfast.Code) func(*holdfast.State) holdfast.Code {
	return func(s *holdfast.State) holdfast.Code {
		realm := c.world(s)
		if realm == nil {
			return holdfast.UnknownRealm
		}
		return look(realm.Seats)
	}
}

// realmView is a realm as it stands.
type realmView struct {
	name   string
	limits seat.Limits
	pools  int
	seq    uint64
	at     seat.Time
}

func viewRealm(r *holdfast.Realm) realmView {
	return realmView{r.Name, r.Seats.Limits(), r.Seats.PoolCount(), r.Seq, r.At}
}

func (v *realmView) append(b []byte, st wire.Stamp) []byte {
	st.At = v.at
	return wire.AppendRealm(b, v.name, v.limits, v.pools, v.seq, st)
}

func getRealm(c *call) int {
	var view realmView
	return c.read(func(s *holdfast.State) holdfast.Code {
		realm := c.world(s)
		if realm == nil {
			return holdfast.UnknownRealm
		}
		view = viewRealm(realm)
		return ""
	}, view.append)
}

func getPool(c *call) int {
	var view seat.PoolView
	return c.read(c.seats(func(s *seat.State) holdfast.Code {
		found := false
		if view, found = s.Pool(c.pool); !found {
			return seat.UnknownPool
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		st.At = view.At
		return wire.AppendPool(b, c.realm, &view, st)
	})
}
