package desk

import "holdfast/internal/rule"

// Command is something a caller asks for; the time is given to Step beside it.
type Command interface {
	// Valid says which field is wrong, as an *Invalid. It needs no state, so the border calls it before any lock.
	Valid() error
	command()
}

// Commands of staff and back ends.
type (
	// PutDesk makes a desk or replaces its configuration. An identical one makes no event. A topic that a live request has
	// cannot be taken away (DeskLive).
	PutDesk struct {
		Desk   string
		Config Config
	}
	// PutAgent makes an agent or replaces their profile. An identical one makes no event.
	PutAgent struct {
		Desk, Agent string
		Profile     Profile
	}
	// RemoveAgent takes an agent away, whatever they do: an offer is revoked (T12), a session ends as if they were lost.
	// Who is not there is removed already.
	RemoveAgent struct {
		Desk, Agent string
		Staff
	}
	// Force puts an agent offline, or idle out of a session, as staff: an offer is revoked (T12), a session is finished.
	Force struct {
		Desk, Agent string
		To          AgentState // Offline, or Idle: then only a session is finished, or an offer revoked
		Staff
	}
)

// Commands of agents. Conn is the connection that asks; 0 = none (HTTP, a back end). A connection that is not the agent's
// any more decides nothing (NotConnected).
type (
	// Attach is a new connection of an agent. It changes no intent: who was offline stays so.
	Attach struct {
		Desk, Agent string
		Conn        uint64
	}
	// Detach is the end of a connection. One that is not there is gone already.
	Detach struct {
		Desk, Agent string
		Conn        uint64
	}
	// Online: the agent takes requests from now on. It needs a connection unless they are reached by push (NotConnected).
	Online struct {
		Desk, Agent string
		Conn        uint64
	}
	// Pause: the agent takes no requests from now on. Idle, they stay idle; with an offer pending it is rejected and they go
	// offline (T11); busy, they go offline after the session (T16).
	Pause struct {
		Desk, Agent string
		Conn        uint64
		Staff
	}
	// GoOffline is Pause, and offline at once unless busy.
	GoOffline struct {
		Desk, Agent string
		Conn        uint64
		Staff
	}
	// Hear is a sign of life: who was silent is ready again (T8). It makes an event only then.
	Hear struct {
		Desk, Agent string
		Conn        uint64
	}
	// Receive says that a device has the offer. Twice is once.
	Receive struct {
		Desk, Agent string
		Conn        uint64
		Offer       uint64
	}
	// AcceptOffer takes an offer: a session begins (T5). Twice gives the same session.
	AcceptOffer struct {
		Desk, Agent string
		Conn        uint64
		Offer       uint64
	}
	// RejectOffer declines an offer (T6). Twice is once.
	RejectOffer struct {
		Desk, Agent string
		Conn        uint64
		Offer       uint64
		Reason      string
	}
)

// Commands of clients, and of both.
type (
	// Request asks for an agent (C1, C2). The same key, or a second request while one lives, shows the one that is there (C3).
	Request struct {
		Desk, Client string
		Conn         uint64 // 0 needs Reach Push
		Ask
	}
	// AttachClient is a new connection of a client with a live request; without one it changes nothing.
	AttachClient struct {
		Desk, Client string
		Conn         uint64
	}
	// DetachClient is the end of one.
	DetachClient struct {
		Desk, Client string
		Conn         uint64
	}
	// Cancel ends a request that waits (C4), or finishes its session as the client. One that has ended is shown as it is.
	Cancel struct {
		Desk, Client string // an empty Client is staff
		Request      uint64
		Staff
	}
	// Finish ends a session (T13, T15). One of Agent and Client is whoever says so; none: staff. Twice is once.
	Finish struct {
		Desk          string
		Agent, Client string
		Conn          uint64 // of Agent
		Session       uint64
		Staff
	}
)

// Commands that only look.
type (
	// LookAgent shows an agent.
	LookAgent struct{ Desk, Agent string }
	// LookRequest shows a request.
	LookRequest struct {
		Desk    string
		Request uint64
	}
)

func (PutDesk) command()      {}
func (PutAgent) command()     {}
func (RemoveAgent) command()  {}
func (Force) command()        {}
func (Attach) command()       {}
func (Detach) command()       {}
func (Online) command()       {}
func (Pause) command()        {}
func (GoOffline) command()    {}
func (Hear) command()         {}
func (Receive) command()      {}
func (AcceptOffer) command()  {}
func (RejectOffer) command()  {}
func (Request) command()      {}
func (AttachClient) command() {}
func (DetachClient) command() {}
func (Cancel) command()       {}
func (Finish) command()       {}
func (LookAgent) command()    {}
func (LookRequest) command()  {}

// Valid implements Command.
func (c PutDesk) Valid() error {
	if err := rule.ValidID("desk", c.Desk); err != nil {
		return err
	}
	return c.Config.Valid()
}

// Valid implements Command.
func (c PutAgent) Valid() error {
	if err := validAgent(c.Desk, c.Agent); err != nil {
		return err
	}
	return c.Profile.Valid()
}

// Valid implements Command.
func (c RemoveAgent) Valid() error {
	if err := validAgent(c.Desk, c.Agent); err != nil {
		return err
	}
	return c.Staff.valid()
}

// Valid implements Command.
func (c Force) Valid() error {
	if c.To != Offline && c.To != Idle {
		return invalid("state", `must be "offline" or "idle"`)
	}
	if c.Reason == "" {
		return invalid("reason", "is missing: it is kept with the event")
	}
	if err := validAgent(c.Desk, c.Agent); err != nil {
		return err
	}
	return c.Staff.valid()
}

// Valid implements Command.
func (c Attach) Valid() error { return validConnection(c.Desk, "agent", c.Agent, c.Conn) }

// Valid implements Command.
func (c Detach) Valid() error { return validConnection(c.Desk, "agent", c.Agent, c.Conn) }

// Valid implements Command.
func (c Online) Valid() error { return validAgent(c.Desk, c.Agent) }

// Valid implements Command.
func (c Pause) Valid() error {
	if err := validAgent(c.Desk, c.Agent); err != nil {
		return err
	}
	return c.Staff.valid()
}

// Valid implements Command.
func (c GoOffline) Valid() error {
	if err := validAgent(c.Desk, c.Agent); err != nil {
		return err
	}
	return c.Staff.valid()
}

// Valid implements Command.
func (c Hear) Valid() error { return validAgent(c.Desk, c.Agent) }

// Valid implements Command.
func (c Receive) Valid() error { return validOffer(c.Desk, c.Agent, c.Offer) }

// Valid implements Command.
func (c AcceptOffer) Valid() error { return validOffer(c.Desk, c.Agent, c.Offer) }

// Valid implements Command.
func (c RejectOffer) Valid() error {
	if err := validOffer(c.Desk, c.Agent, c.Offer); err != nil {
		return err
	}
	return rule.ValidText("reason", c.Reason, MaxReason)
}

// Valid implements Command.
func (c Request) Valid() error {
	if err := validPair(c.Desk, "client", c.Client); err != nil {
		return err
	}
	if err := c.Ask.Valid(); err != nil {
		return err
	}
	if c.Conn == 0 && c.Reach != Push {
		return invalid("reach", `must be "push" where no connection asks`)
	}
	return nil
}

// Valid implements Command.
func (c AttachClient) Valid() error { return validConnection(c.Desk, "client", c.Client, c.Conn) }

// Valid implements Command.
func (c DetachClient) Valid() error { return validConnection(c.Desk, "client", c.Client, c.Conn) }

// Valid implements Command.
func (c Cancel) Valid() error {
	if err := rule.ValidID("desk", c.Desk); err != nil {
		return err
	}
	if err := validOptional("client", c.Client); err != nil {
		return err
	}
	if err := validNumber("request", c.Request); err != nil {
		return err
	}
	return c.Staff.valid()
}

// Valid implements Command.
func (c Finish) Valid() error {
	if err := rule.ValidID("desk", c.Desk); err != nil {
		return err
	}
	if c.Agent != "" && c.Client != "" {
		return invalid("client", "is there beside an agent: one of them finishes")
	}
	if err := validOptional("agent", c.Agent); err != nil {
		return err
	}
	if err := validOptional("client", c.Client); err != nil {
		return err
	}
	if err := validNumber("session", c.Session); err != nil {
		return err
	}
	return c.Staff.valid()
}

// Valid implements Command.
func (c LookAgent) Valid() error { return validAgent(c.Desk, c.Agent) }

// Valid implements Command.
func (c LookRequest) Valid() error {
	if err := rule.ValidID("desk", c.Desk); err != nil {
		return err
	}
	return validNumber("request", c.Request)
}
