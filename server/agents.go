package server

import (
	"holdfast"
	"holdfast/auth"
	"holdfast/desk"
	"holdfast/internal/wire"
)

// showAgent answers with the agent.
func (c *call) showAgent(b []byte, r *desk.Result, st wire.Stamp) []byte {
	return wire.AppendAgent(b, c.realm, r.Agent, c.now(r.Agent.Offer != nil), st)
}

func putAgent(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	cmd, err := wire.ParseAgent(c.desk, c.agent, body)
	if err != nil {
		return c.fail(err)
	}
	return c.atDesk(cmd, c.showAgent)
}

func getAgent(c *call) int {
	var view desk.AgentView
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		found := false
		if view, found = s.Agent(c.desk, c.agent); !found {
			return desk.UnknownAgent
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		return wire.AppendAgent(b, c.realm, &view, c.now(view.Offer != nil), st)
	})
}

func deleteAgent(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	by, err := wire.ParseStaff(body)
	if err != nil {
		return c.fail(err)
	}
	may := false
	if by.By, may = c.author(by.By); !may {
		return c.problem(notInTheirName)
	}
	return c.atDesk(desk.RemoveAgent{Desk: c.desk, Agent: c.agent, Staff: by}, func(b []byte, _ *desk.Result, st wire.Stamp) []byte {
		return wire.AppendRemoved(b, c.realm, c.desk, c.agent, st)
	})
}

func listAgents(c *call) int {
	limit, after, err := c.after()
	if err != nil {
		return c.fail(err)
	}
	topic, err := c.topic()
	if err != nil {
		return c.fail(err)
	}
	ready, _, err := c.yes("ready")
	switch {
	case err != nil:
		return c.fail(err)
	case ready && after != "":
		return c.fail(invalid("after", "cannot go with ready: the ring turns, and is shown from its front"))
	case !ready && topic != "":
		return c.fail(invalid("topic", "goes with ready=true"))
	}
	var views []desk.AgentView
	next := ""
	return c.read(c.atDesks(func(s *desk.State) holdfast.Code {
		if ready {
			if _, found := s.Availability(c.desk, topic); topic != "" && !found {
				return desk.UnknownTopic
			}
			views = s.Ring(c.desk, topic, limit)
			return ""
		}
		if _, found := s.Agent(c.desk, after); after != "" && !found {
			return desk.UnknownAgent
		}
		if views = s.Agents(c.desk, after, limit+1); len(views) > limit {
			views = views[:limit]
			next = views[limit-1].Agent
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		now := c.now(true)
		b = c.beginList(b, "agents")
		b = rows(b, len(views), func(b []byte, i int) []byte {
			return wire.AppendAgentRow(b, &views[i], now, st.Durability != wire.Preapproved)
		})
		b = appendNext(append(b, ']'), next)
		return append(st.Append(b), '}')
	})
}

// beginList appends the beginning of a list of a desk's.
func (c *call) beginList(b []byte, of string) []byte {
	return append(b, `{"realm":"`+c.realm+`","desk":"`+c.desk+`","`+of+`":[`...)
}

// postState puts an agent into a state: as they themselves say, which whoever says so in their name does too, or as staff.
func postState(c *call) int {
	body, err := c.body()
	if err != nil {
		return c.fail(err)
	}
	to, by, err := wire.ParseState(body)
	if err != nil {
		return c.fail(err)
	}
	may := false
	if by.By, may = c.author(by.By); !may {
		return c.problem(notInTheirName)
	}
	self := c.id.Role == auth.Agent || by.By == c.agent || by.By == "" // the last: nobody knows who asks a server without authentication
	switch {
	case to == wire.ToIdle && c.id.Role == auth.Agent:
		return c.problem(notForYou)
	case !self && by.Reason == "":
		return c.fail(invalid("reason", "is missing: why another than the agent does it"))
	case to == wire.ToOnline:
		return c.atDesk(desk.Online{Desk: c.desk, Agent: c.agent}, c.showAgent)
	case to == wire.ToIdle:
		return c.atDesk(desk.Force{Desk: c.desk, Agent: c.agent, To: desk.Idle, Staff: by}, c.showAgent)
	case to == wire.ToOffline && !self:
		return c.atDesk(desk.Force{Desk: c.desk, Agent: c.agent, To: desk.Offline, Staff: by}, c.showAgent)
	}
	if self {
		by.By = "" // it is the agent
	}
	if to == wire.ToPaused {
		return c.atDesk(desk.Pause{Desk: c.desk, Agent: c.agent, Staff: by}, c.showAgent)
	}
	return c.atDesk(desk.GoOffline{Desk: c.desk, Agent: c.agent, Staff: by}, c.showAgent)
}
