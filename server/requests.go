package server

import (
	"math"
	"strconv"
	"strings"

	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/internal/wire"
)

func (c *call) showRequest(b []byte, r *desk.Result, st wire.Stamp) []byte {
	return wire.AppendRequest(b, c.realm, r.Request, st)
}

func postRequest(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParseAsk(c.desk, body)
	if err != nil {
		return c.fail(err)
	}
	own := false
	if cmd.Client, own = c.speaks(auth.Client, cmd.Client); !own {
		return c.problem(notForYou)
	}
	return c.atDesk(cmd, c.showRequest)
}

func getRequest(c *call) int {
	var view desk.RequestView
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		found := false
		if view, found = s.Request(c.desk, c.number); !found || !c.party("", view.Client) {
			return desk.UnknownRequest
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		return wire.AppendRequest(b, c.realm, &view, st)
	})
}

func deleteRequest(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	p, err := wire.ParseCancel(body)
	if err != nil {
		return c.fail(err)
	}
	if problem := c.sign(&p); problem != nil {
		return c.problem(*problem)
	}
	return c.atDesk(desk.Cancel{Desk: c.desk, Client: p.Client, Request: c.number, Staff: p.Staff}, c.showRequest)
}

// sign puts in who says so: the agent or client who asks, whom a program asks for, or staff.
func (c *call) sign(p *wire.Parties) *wire.Problem {
	agent, ownAgent := c.speaks(auth.Agent, p.Agent)
	client, ownClient := c.speaks(auth.Client, p.Client)
	party := c.id.Role == auth.Agent || c.id.Role == auth.Client
	if !ownAgent || !ownClient || party && agent != "" && client != "" {
		return &notForYou
	}
	p.Agent, p.Client = agent, client
	by, may := c.author(p.By)
	switch {
	case !may:
		return &notInTheirName
	case party:
		p.By = ""
	case agent == "" && client == "":
		p.By = by
	}
	return nil
}

// states reads ?state=: which requests a list shows; those that have not ended by default.
func (c *call) states() (func(desk.RequestState) bool, error) {
	if !c.query.Has("state") {
		return desk.RequestState.Live, nil
	}
	var wanted [desk.RequestStates]bool
	for name := range strings.SplitSeq(c.query.Get("state"), ",") {
		st, known := desk.ParseRequestState(name)
		if !known {
			return nil, invalid("state", "must be one or more of queued, offering, assigned, done, cancelled, expired, all_declined, aborted, with commas between")
		}
		wanted[st] = true
	}
	return func(st desk.RequestState) bool { return wanted[st] }, nil
}

// from reads ?limit= and, where it is the number of an event, ?after=.
func (c *call) from() (limit int, after uint64, err error) {
	n, err := c.count("limit", 1, maxPage, defaultPage)
	if err != nil {
		return 0, 0, err
	}
	after, err = c.count("after", 0, math.MaxInt64, 0)
	return int(n), after, err
}

// eventText is the cursor of a next page; empty = there is none.
func eventText(next uint64) string {
	if next == 0 {
		return ""
	}
	return strconv.FormatUint(next, 10)
}

func listRequests(c *call) int {
	want, err := c.states()
	if err != nil {
		return c.fail(err)
	}
	limit, after, err := c.from()
	if err != nil {
		return c.fail(err)
	}
	var views []desk.RequestView
	var next uint64
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		views, next = s.Requests(c.desk, after, want, limit)
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		b = c.beginList(b, "requests")
		b = rows(b, len(views), func(b []byte, i int) []byte {
			return wire.AppendRequestRow(b, &views[i], st.Durability != wire.Preapproved)
		})
		b = appendNext(append(b, ']'), eventText(next))
		return append(st.Append(b), '}')
	})
}
