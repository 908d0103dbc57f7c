package wire

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"holdfast"
	"holdfast/seat"
)

// What a message over a WebSocket may ask (docs/PROTOCOL.md).
const (
	DoHello       = "hello"
	DoClaim       = "claim"
	DoRelease     = "release"
	DoAccept      = "accept"
	DoBasket      = "basket"
	DoSwap        = "swap"
	DoStanding    = "standing"
	DoSubscribe   = "subscribe"
	DoUnsubscribe = "unsubscribe"
	DoPing        = "ping"

	DoOnline  = "online" // of agents, and so are those up to finish, which clients have too
	DoPause   = "pause"
	DoOffline = "offline"
	DoReceipt = "receipt"
	DoReject  = "reject"
	DoFinish  = "finish"
	DoRequest = "request" // of clients
	DoCancel  = "cancel"
)

// Bounds of what a client sends over a WebSocket.
const (
	MaxFrame     = 16 << 10  // bytes of one frame
	MaxHello     = 1 << 10   // bytes before it is known who sends them
	MaxPools     = 64        // pools that one subscribe names
	MaxMessageID = 1<<53 - 1 // what every JSON library keeps exactly
)

// Message is one message of a client over a WebSocket. What its Do does not take is zero.
type Message struct {
	ID uint64 // 1 to MaxMessageID; the answer has it as reply
	Do string
	As string // whose command it is, where the connection acts for many

	Pool     string
	If       seat.Precondition
	Offer    uint64 // accept; receipt, accept and reject of an agent
	Swap     string // swap: the pool to give up
	Mode     string // basket
	Items    []seat.Item
	Pools    []string // subscribe, unsubscribe: pool and pools
	Quiet    bool     // leave the preapproved answer out
	Recorded bool     // tell when it is recorded

	AtDesk

	Token, Ticket, Person string // hello
	Log                   string // hello, subscribe: the cursor; empty = none
	Seq                   uint64
}

// Command makes the message the command of a person: a claim, release, accept, basket, swap, or a look at a pool. The error
// names the field that is wrong.
func (m *Message) Command(person string) (body holdfast.Body, err error) {
	switch m.Do {
	case DoClaim:
		body = seat.Claim{Pool: m.Pool, Person: person, If: m.If}
	case DoRelease:
		body = seat.Release{Pool: m.Pool, Person: person, If: m.If}
	case DoAccept:
		body = seat.Accept{Pool: m.Pool, Person: person, Offer: m.Offer}
	case DoBasket, DoSwap:
		body = m.Basket(person)
	case DoStanding:
		body = seat.Look{Pool: m.Pool, Person: person}
	default:
		return nil, &seat.Invalid{Field: "do", Problem: fmt.Sprintf("%.64q is no command", m.Do)}
	}
	return body, body.Valid()
}

// Basket is the command of a basket, and of a swap: a basket of one item.
func (m *Message) Basket(person string) seat.Basket {
	if m.Do == DoSwap {
		return seat.Basket{Person: person, Mode: seat.EachOrWait, Items: []seat.Item{{Pool: m.Pool, Swap: m.Swap, If: m.If}}}
	}
	return seat.Basket{Person: person, Mode: modes[m.Mode], Items: m.Items}
}

// ParseMessages reads a frame: one or more messages, one after another. each gets them in order; its error, where there is one,
// names the field of that message that is wrong, and its ID and Do are what they are. The error of ParseMessages itself means
// that from there on nothing in the frame can be read or answered: it is not JSON, or has no id.
func ParseMessages(frame []byte, each func(m *Message, err error)) error {
	if !utf8.Valid(frame) {
		return ErrNotUTF8
	}
	p := parser{in: string(frame)}
	for n := 0; ; n++ {
		if p.space(); p.pos == len(p.in) {
			if n == 0 {
				return p.syntax("the frame is empty")
			}
			return nil
		}
		v, err := p.value()
		if err != nil {
			return err
		}
		m, err := v.message()
		if m.ID == 0 {
			return err
		}
		each(&m, err)
	}
}

// ErrNotUTF8: a text frame that is no text.
var ErrNotUTF8 error = &seat.Invalid{Field: "body", Problem: "is not UTF-8"}

func (v *value) message() (m Message, err error) {
	f := v.fields("body")
	if n, ok := f.uint("id", MaxMessageID); ok && n > 0 {
		m.ID = n
	} else if f.err == nil {
		f.wrong("id", "must be a whole number from 1 to "+strconv.FormatUint(MaxMessageID, 10))
	}
	m.Do = f.required("do")
	switch m.Do {
	case DoHello:
		m.Token, m.Ticket, m.Person = f.filled("token"), f.filled("ticket"), strings.Clone(f.filled("person"))
		m.party(f)
		m.cursor(f)
	case DoClaim, DoRelease:
		m.about(f)
		m.If = f.ifSeq()
	case DoAccept:
		m.wishes(f)
		m.Pool = f.filled("pool") // an agent's has none
		m.Offer = f.event("offer")
	case DoBasket:
		m.wishes(f)
		m.basket(f)
	case DoSwap:
		m.about(f)
		m.If = f.ifSeq()
		m.Swap = f.required("swap")
	case DoStanding:
		m.wishes(f)
		m.Pool = f.filled("pool")
	case DoSubscribe, DoUnsubscribe:
		m.subscription(f)
	case DoPing, "":
	case DoOnline, DoPause, DoOffline, DoReceipt, DoReject, DoFinish, DoRequest, DoCancel:
		m.atDesk(f)
	default:
		f.wrong("do", fmt.Sprintf("%.64q is no command", m.Do))
	}
	return m, f.end()
}

// about reads what every command about one pool has.
func (m *Message) about(f *fields) {
	m.wishes(f)
	m.Pool = f.required("pool")
}

// wishes reads what every command has. As is a copy: the state keeps names, and must not keep the frame with them.
func (m *Message) wishes(f *fields) {
	m.As = strings.Clone(f.filled("as"))
	m.Quiet, m.Recorded = f.boolean("quiet"), f.boolean("recorded")
}

func (m *Message) cursor(f *fields) {
	m.Log = f.filled("log")
	m.Seq, _ = f.uint("seq", math.MaxInt64)
	if m.Log == "" && m.Seq != 0 {
		f.lacks("log", "is missing: seq is a place in one log")
	}
}

func (m *Message) basket(f *fields) {
	m.Mode = f.required("mode")
	if modes[m.Mode] == 0 && m.Mode != "" {
		f.wrong("mode", fmt.Sprintf(`is %.64q: it must be "all", "each" or "each_or_wait"`, m.Mode))
	}
	m.Items = f.items()
}

func (m *Message) subscription(f *fields) {
	m.As = strings.Clone(f.filled("as"))
	if pool := f.filled("pool"); pool != "" {
		m.Pools = append(m.Pools, strings.Clone(pool))
	}
	for _, pool := range f.texts("pools", MaxPools) {
		m.Pools = append(m.Pools, strings.Clone(pool))
	}
	m.Desk, m.Topic = strings.Clone(f.filled("desk")), strings.Clone(f.filled("topic"))
	switch {
	case m.Desk != "" || m.Topic != "":
		m.availability(f)
	case m.As == "" && len(m.Pools) == 0:
		f.lacks("pool", "is missing: name pool or pools, or, with as, a person")
	case m.As != "" && len(m.Pools) > 0:
		f.wrong("as", "cannot go with pools: their counts are for everybody")
	case m.As != "" && m.Do == DoSubscribe:
		m.cursor(f)
	}
	for _, pool := range m.Pools {
		if err := seat.ValidID("pool", pool); err != nil && f.err == nil {
			f.err = err
		}
	}
}

// Ticket is the body of a request for a ticket.
type Ticket struct {
	Person string // whom it is for; all empty: who asks
	Agent  string // or this one, of the desk
	Desk   string
	Client string // or this one
	Origin string // the origin of the page that will use it, where another asks for it; empty: none, or that of the request
}

// ParseTicket reads the body of a request for a ticket.
func ParseTicket(body []byte) (t Ticket, err error) {
	f := fieldsOf(body)
	m := Message{Person: f.filled("person")}
	m.party(f)
	t.Person, t.Agent, t.Desk, t.Client, t.Origin = m.Person, m.Agent, m.Desk, m.Client, f.filled("origin")
	if err = f.end(); err == nil && t.Person != "" {
		err = seat.ValidID("person", t.Person)
	}
	if err == nil && len(t.Origin) > MaxOrigin {
		err = &seat.Invalid{Field: "origin", Problem: "is too long"}
	}
	return t, err
}

// MaxOrigin bounds an origin: a scheme, a host name and a port.
const MaxOrigin = 300

// items reads the items of a basket.
func (f *fields) items() (items []seat.Item) {
	f.array("items", seat.MaxBasket, func(f *fields) {
		items = append(items, seat.Item{Pool: f.required("pool"), Swap: f.filled("swap"), If: f.ifSeq()})
	})
	return items
}

// boolean reads true or false; false when it is not there.
func (f *fields) boolean(name string) bool {
	v := f.take(name, boolean)
	return v != nil && v.text == "true"
}

// texts reads an array of strings; nil when it is not there.
func (f *fields) texts(name string, most int) (list []string) {
	v := f.take(name, array)
	if v == nil {
		return nil
	}
	if len(v.members) > most || len(v.members) == 0 {
		f.wrong(name, fmt.Sprintf("must have 1 to %d", most))
		return nil
	}
	for i := range v.members {
		if m := &v.members[i]; m.kind != text {
			f.err = wrongKind(name+"["+strconv.Itoa(i)+"]", m, "a string")
			return nil
		}
		list = append(list, v.members[i].text)
	}
	return list
}

// AppendReply appends what fill appends, a JSON object, with reply before its members. id 0 is null: what cannot be read has none.
func AppendReply(b []byte, id uint64, fill func([]byte) []byte) []byte {
	b = append(b, `{"reply":`...)
	if id == 0 {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendUint(b, id, 10)
	}
	open := len(b)
	b = fill(b)
	b[open] = ',' // in place of the brace
	return b
}

// AppendDone appends the reply to what has nothing more to tell than that it is done.
func AppendDone(b []byte, id uint64, do string) []byte {
	b = strconv.AppendUint(append(b, `{"reply":`...), id, 10)
	return append(appendPlain(b, `,"do":"`, do), '}')
}

// AppendPing appends the reply to a ping.
func AppendPing(b []byte, id uint64, now seat.Time) []byte {
	b = strconv.AppendUint(append(b, `{"reply":`...), id, 10)
	return append(AppendTime(b, `,"do":"ping","time":"`, now), '}')
}

// AppendRecorded appends that an answer, told before, is recorded.
func AppendRecorded(b []byte, id, asOf uint64) []byte {
	b = strconv.AppendUint(append(b, `{"reply":`...), id, 10)
	b = append(b, `,"durability":"recorded","as_of":`...)
	return append(strconv.AppendUint(b, asOf, 10), '}')
}

// Hello is the reply to a hello.
type Hello struct {
	Reply  uint64    `json:"reply"`
	Do     string    `json:"do"`
	Realm  string    `json:"realm"`
	Role   string    `json:"role"`
	Person string    `json:"person,omitempty"` // none of them: the connection acts for many
	Desk   string    `json:"desk,omitempty"`   // of the agent
	Agent  string    `json:"agent,omitempty"`
	Client string    `json:"client,omitempty"`
	Log    string    `json:"log"`
	AsOf   uint64    `json:"as_of"`
	Time   seat.Time `json:"time"`
	PingMS int64     `json:"ping_ms"`
}

// Append appends h as a JSON object.
func (h *Hello) Append(b []byte) []byte {
	b = strconv.AppendUint(append(b, `{"reply":`...), h.Reply, 10)
	b = appendPlain(b, `,"do":"`, DoHello)
	b = appendPlain(b, `,"realm":"`, h.Realm)
	b = appendPlain(b, `,"role":"`, h.Role)
	for _, m := range [...]struct{ name, id string }{{`,"person":"`, h.Person}, {`,"desk":"`, h.Desk}, {`,"agent":"`, h.Agent}, {`,"client":"`, h.Client}} {
		if m.id != "" {
			b = appendPlain(b, m.name, m.id)
		}
	}
	b = appendPlain(b, `,"log":"`, h.Log)
	b = appendNumber(b, `,"as_of":`, h.AsOf)
	b = AppendTime(b, `,"time":"`, h.Time)
	return append(appendNumber(b, `,"ping_ms":`, uint64(h.PingMS)), '}')
}
