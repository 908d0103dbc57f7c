package wire

import (
	"math"
	"strings"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// AtDesk is what messages about desks have.
type AtDesk struct {
	Desk    string // request, cancel and finish of a client; hello of an agent; subscribe, unsubscribe: of which availability
	Agent   string // hello
	Client  string // hello
	Topic   string // request, subscribe, unsubscribe
	Request uint64 // cancel
	Session uint64 // finish
	Reason  string

	Priority  uint8 // request
	Data, Key string
}

// event reads the number of an event, which must be there.
func (f *fields) event(name string) uint64 {
	n, ok := f.uint(name, math.MaxInt64)
	if !ok {
		f.lacks(name, "is missing: its number")
	}
	return n
}

// party reads who comes to a desk.
func (m *Message) party(f *fields) {
	m.Agent, m.Client, m.Desk = strings.Clone(f.filled("agent")), strings.Clone(f.filled("client")), strings.Clone(f.filled("desk"))
	said := 0
	for _, who := range [...]struct{ field, id string }{{"person", m.Person}, {"agent", m.Agent}, {"client", m.Client}} {
		if who.id == "" {
			continue
		}
		if said++; said > 1 {
			f.wrong(who.field, "is one too many: a connection is one person's, agent's or client's")
		}
	}
	if m.Agent != "" && m.Desk == "" {
		f.lacks("desk", "is missing: an agent is one of a desk's")
	}
	for _, id := range [...]struct{ field, id string }{{"agent", m.Agent}, {"client", m.Client}, {"desk", m.Desk}} {
		if err := seat.ValidID(id.field, id.id); id.id != "" && err != nil && f.err == nil {
			f.err = err
		}
	}
}

// atDesk reads a command of an agent or a client. What the state keeps is a copy: it must not keep the frame.
func (m *Message) atDesk(f *fields) {
	m.Recorded = f.boolean("recorded")
	m.Desk = strings.Clone(f.filled("desk")) // whose commands have one, only the connection knows
	switch m.Do {
	case DoPause, DoOffline:
		m.Reason = strings.Clone(f.string("reason"))
	case DoReceipt:
		m.Offer = f.event("offer")
	case DoReject:
		m.Offer, m.Reason = f.event("offer"), strings.Clone(f.string("reason"))
	case DoFinish:
		m.Session, m.Reason = f.event("session"), strings.Clone(f.string("reason"))
	case DoCancel:
		m.Request, m.Reason = f.event("request"), strings.Clone(f.string("reason"))
	case DoRequest:
		m.Topic = strings.Clone(f.filled("topic"))
		priority, _ := f.uint("priority", math.MaxUint8)
		m.Priority = uint8(priority)
		m.Data, m.Key = strings.Clone(f.string("data")), strings.Clone(f.filled("key"))
	}
}

// availability reads which desk and topic a subscribe or unsubscribe is about.
func (m *Message) availability(f *fields) {
	switch {
	case m.Desk == "":
		f.lacks("desk", "is missing: a topic is one of a desk's")
	case m.As != "" || len(m.Pools) > 0:
		f.wrong("desk", "cannot go with pools or as: it is another subscription")
	default:
		for _, id := range [...]struct{ field, id string }{{"desk", m.Desk}, {"topic", m.Topic}} {
			if err := seat.ValidID(id.field, id.id); id.id != "" && err != nil && f.err == nil {
				f.err = err
			}
		}
	}
}

// ofAgents and ofClients are the commands of each.
var (
	ofAgents  = map[string]bool{DoOnline: true, DoPause: true, DoOffline: true, DoReceipt: true, DoAccept: true, DoReject: true, DoFinish: true}
	ofClients = map[string]bool{DoRequest: true, DoCancel: true, DoFinish: true}
)

// OfDesks says whether only agents and clients have such a command.
func (m *Message) OfDesks() bool { return m.Do != DoAccept && (ofAgents[m.Do] || ofClients[m.Do]) }

// AgentCommand makes the message the command of an agent on the connection conn. The error names the field that is wrong.
func (m *Message) AgentCommand(name, agent string, conn uint64) (body holdfast.Body, err error) {
	staff := desk.Staff{Reason: m.Reason}
	switch {
	case !ofAgents[m.Do]:
		return nil, &seat.Invalid{Field: "do", Problem: "is no command of an agent"}
	case m.Desk != "" && m.Desk != name:
		return nil, &seat.Invalid{Field: "desk", Problem: "is not the one of this connection: it may be left out"}
	case m.Pool != "" || m.As != "" || m.Quiet:
		return nil, &seat.Invalid{Field: "offer", Problem: "is all that an agent's accept has"}
	}
	switch m.Do {
	case DoOnline:
		body = desk.Online{Desk: name, Agent: agent, Conn: conn}
	case DoPause:
		body = desk.Pause{Desk: name, Agent: agent, Conn: conn, Staff: staff}
	case DoOffline:
		body = desk.GoOffline{Desk: name, Agent: agent, Conn: conn, Staff: staff}
	case DoReceipt:
		body = desk.Receive{Desk: name, Agent: agent, Conn: conn, Offer: m.Offer}
	case DoAccept:
		body = desk.AcceptOffer{Desk: name, Agent: agent, Conn: conn, Offer: m.Offer}
	case DoReject:
		body = desk.RejectOffer{Desk: name, Agent: agent, Conn: conn, Offer: m.Offer, Reason: m.Reason}
	case DoFinish:
		body = desk.Finish{Desk: name, Agent: agent, Conn: conn, Session: m.Session, Staff: staff}
	}
	return body, body.Valid()
}

// ClientCommand makes the message the command of a client on the connection conn. The error names the field that is wrong.
func (m *Message) ClientCommand(client string, conn uint64) (body holdfast.Body, err error) {
	staff := desk.Staff{Reason: m.Reason}
	switch {
	case !ofClients[m.Do]:
		return nil, &seat.Invalid{Field: "do", Problem: "is no command of a client"}
	case m.Desk == "":
		return nil, &seat.Invalid{Field: "desk", Problem: "is missing: a client may ask several"}
	}
	switch m.Do {
	case DoRequest:
		body = desk.Request{Desk: m.Desk, Client: client, Conn: conn,
			Ask: desk.Ask{Topic: m.Topic, Priority: m.Priority, Data: m.Data, Key: m.Key, Reach: desk.Socket}}
	case DoCancel:
		body = desk.Cancel{Desk: m.Desk, Client: client, Request: m.Request, Staff: staff}
	case DoFinish:
		body = desk.Finish{Desk: m.Desk, Client: client, Session: m.Session, Staff: staff}
	}
	return body, body.Valid()
}
