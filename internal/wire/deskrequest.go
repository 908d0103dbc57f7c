package wire

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"holdfast/desk"
)

// defaultQueue is how many requests a desk lets wait that queues and does not say.
const defaultQueue = 100

// ParseDesk reads the body of a desk's PUT: the form that desk.Config has in events. What is left out is desk.DefaultConfig.
func ParseDesk(name string, body []byte) (desk.PutDesk, error) {
	f := fieldsOf(body)
	c := desk.DefaultConfig()
	c.Topics = f.ids("topics", desk.MaxTopics)
	choose(f, "policy", &c.Policy, desk.ParsePolicy, `"refuse" or "queue"`)
	if c.Policy == desk.Queue {
		c.QueueLimit = defaultQueue
	}
	f.number("queue_limit", &c.QueueLimit)
	for _, d := range [...]struct {
		name string
		to   *time.Duration
	}{{"max_wait_ms", &c.MaxWait}, {"offer_ms", &c.OfferTime}, {"receipt_ms", &c.Receipt}, {"push_receipt_ms", &c.PushReceipt},
		{"idle_grace_ms", &c.IdleGrace}, {"init_grace_ms", &c.InitGrace}, {"busy_grace_ms", &c.BusyGrace}, {"client_grace_ms", &c.ClientGrace},
		{"join_ms", &c.JoinWithin}, {"reject_pause_ms", &c.RejectPause}, {"miss_pause_ms", &c.MissPause}, {"wrap_up_ms", &c.WrapUp},
		{"restart_grace_ms", &c.RestartGrace}, {"warm_up_ms", &c.WarmUp}} {
		if ms, ok := f.uint(d.name, math.MaxUint32); ok {
			*d.to = time.Duration(ms) * time.Millisecond
		} else if d.to == &c.Receipt { // who makes offers short need not know of receipts
			c.Receipt = min(c.Receipt, c.OfferTime)
		}
	}
	f.number("misses", &c.Misses)
	f.number("max_attempts", &c.MaxAttempts)
	c.SingleDevice = f.boolean("single_device")
	choose(f, "on_lost", &c.OnLost, desk.ParseLost, `"requeue" or "close"`)
	return finish(f, desk.PutDesk{Desk: name, Config: c})
}

// ParseAgent reads the body of an agent's PUT.
func ParseAgent(name, agent string, body []byte) (desk.PutAgent, error) {
	f := fieldsOf(body)
	p := desk.Profile{Topics: f.ids("topics", desk.MaxTopics)}
	choose(f, "reach", &p.Reach, desk.ParseReach, `"socket" or "push"`)
	return finish(f, desk.PutAgent{Desk: name, Agent: agent, Profile: p})
}

// The states that an agent can be put in.
const (
	ToOnline  = "online"
	ToPaused  = "paused"
	ToOffline = "offline"
	ToIdle    = "idle"
)

// ParseState reads what state an agent shall be in, and who says so.
func ParseState(body []byte) (to string, by desk.Staff, err error) {
	f := fieldsOf(body)
	switch to = f.required("state"); to {
	case "", ToOnline, ToPaused, ToOffline, ToIdle:
	default:
		f.wrong("state", fmt.Sprintf(`is %.64q: it must be "online", "paused", "offline" or "idle"`, to))
	}
	by = f.staff()
	return to, by, f.end()
}

// ParseStaff reads a body that says who did something, and why.
func ParseStaff(body []byte) (desk.Staff, error) {
	f := fieldsOf(body)
	by := f.staff()
	return by, f.end()
}

// ParseAsk reads the body of a request for an agent. Nobody waits for a connection over HTTP, so its reach is push.
func ParseAsk(name string, body []byte) (desk.Request, error) {
	f := fieldsOf(body)
	c := desk.Request{Desk: name, Client: f.kept("client")}
	c.Topic, c.Data, c.Key = f.kept("topic"), strings.Clone(f.string("data")), f.kept("key")
	if n, ok := f.uint("priority", desk.MaxPriority); ok {
		c.Priority = uint8(n)
	}
	c.Reach = desk.Push
	choose(f, "reach", &c.Reach, desk.ParseReach, `"push"`)
	if c.Reach != desk.Push {
		f.wrong("reach", "must be \"push\" over HTTP: who waits on a connection asks on the WebSocket")
	}
	return c, f.end()
}

// Parties says for whom something is done, and who did it and why.
type Parties struct {
	Agent, Client string
	desk.Staff
}

// ParseParties reads a body that names an agent or a client, and who did it and why.
func ParseParties(body []byte) (p Parties, err error) {
	f := fieldsOf(body)
	p.Agent, p.Client = f.filled("agent"), f.filled("client")
	if p.Agent != "" && p.Client != "" {
		f.wrong("client", "cannot go with agent: one of them says so")
	}
	p.Staff = f.staff()
	return p, f.end()
}

// ParseCancel reads the body of a request's DELETE: ParseParties without an agent.
func ParseCancel(body []byte) (p Parties, err error) {
	f := fieldsOf(body)
	p.Client, p.Staff = f.filled("client"), f.staff()
	return p, f.end()
}

// ParseAct reads what an agent does with an offer, and, where it takes one, the reason.
func ParseAct(body []byte, reasoned bool) (agent, reason string, err error) {
	f := fieldsOf(body)
	if agent = f.filled("agent"); reasoned {
		reason = f.kept("reason")
	}
	return agent, reason, f.end()
}

// kept is filled for what the state may keep: it must not keep the body with it.
func (f *fields) kept(name string) string { return strings.Clone(f.filled(name)) }

func (f *fields) staff() desk.Staff {
	return desk.Staff{By: f.kept("by"), Reason: f.kept("reason")}
}

func (f *fields) number(name string, to *uint32) {
	if n, ok := f.uint(name, math.MaxUint32); ok {
		*to = uint32(n)
	}
}

// ids reads an array of strings; nil when it is not there or empty.
func (f *fields) ids(name string, most int) (list []string) {
	v := f.take(name, array)
	if v == nil {
		return nil
	}
	if len(v.members) > most {
		f.wrong(name, fmt.Sprintf("has more than %d", most))
		return nil
	}
	for i := range v.members {
		m := &v.members[i]
		if m.kind != text {
			f.err = wrongKind(name+"["+strconv.Itoa(i)+"]", m, "a string")
			return nil
		}
		list = append(list, strings.Clone(m.text))
	}
	return list
}

// choose reads one of a few words; what is not there leaves to as it is.
func choose[T any](f *fields, name string, to *T, read func(string) (T, bool), words string) {
	word := f.filled(name)
	if word == "" {
		return
	}
	is, ok := read(word)
	if !ok {
		f.wrong(name, fmt.Sprintf("is %.64q: it must be %s", word, words))
		return
	}
	*to = is
}
