package desk

import (
	"encoding/binary"
	"fmt"
	"time"

	"holdfast/internal/rule"
)

// The binary form of an event's body. The envelope (length, kind, time, realm) stands before it. uv is an unsigned
// varint, str is a uv length and the bytes. str desk, and then in this order what the kind carries:
//
//	str agent · str client · uv request · uv offer · uv session · uv connection · u8 cause · u8 outcome · u8 the request's state
//	u8 the agent's state · u8 place (0 unless the state is idle) · uv until · uv receipt · str by · str reason
//	Config: uv topics, each: str · u8 policy · uv queue limit · u8 single device · u8 on lost · uv misses · uv max attempts
//	  uv milliseconds of MaxWait, OfferTime, Receipt, PushReceipt, IdleGrace, InitGrace, BusyGrace, ClientGrace, JoinWithin,
//	  RejectPause, MissPause, WrapUp, RestartGrace, WarmUp
//	Profile: uv topics, each: str · u8 reach
//	Ask: str topic · u8 priority · str data · str key · u8 reach

// fields is a set of what an event carries beside its desk.
type fields uint32

const (
	hasAgent fields = 1 << iota
	hasClient
	hasRequest
	hasOffer
	hasSession
	hasConn
	hasCause
	hasOutcome
	hasThen
	hasState
	hasPlace
	hasUntil
	hasReceipt
	hasStaff
	hasConfig
	hasProfile
	hasAsk
)

// carries says what each kind carries. It is the binary form: never change what a kind has.
var carries = [...]fields{
	DeskPut:            hasConfig,
	AgentPut:           hasAgent | hasProfile,
	AgentRemoved:       hasAgent | hasStaff,
	AgentConnected:     hasAgent | hasConn | hasReceipt,
	AgentDisconnected:  hasAgent | hasConn | hasCause | hasUntil,
	AgentOnline:        hasAgent | hasState,
	AgentPaused:        hasAgent | hasCause | hasStaff,
	AgentOffline:       hasAgent | hasCause | hasStaff,
	AgentReady:         hasAgent,
	AgentHeard:         hasAgent,
	RequestMade:        hasClient | hasAsk | hasConn | hasUntil,
	ClientConnected:    hasClient | hasRequest | hasConn,
	ClientDisconnected: hasClient | hasRequest | hasConn | hasCause | hasUntil,
	OfferMade:          hasRequest | hasAgent | hasClient | hasUntil | hasReceipt,
	OfferReceived:      hasOffer | hasRequest | hasAgent,
	OfferAccepted:      hasOffer | hasRequest | hasAgent | hasClient | hasConn | hasUntil,
	OfferEnded:         hasOffer | hasRequest | hasAgent | hasOutcome | hasCause | hasStaff | hasState | hasPlace | hasUntil,
	SessionFinished: hasSession | hasRequest | hasAgent | hasClient | hasThen | hasCause | hasStaff | hasState | hasPlace |
		hasUntil,
	RequestEnded: hasRequest | hasClient | hasThen | hasCause | hasStaff,
}

// AppendBody appends the binary form of e without its kind.
func (e *Event) AppendBody(b []byte) []byte {
	has := carries[e.Kind]
	b = rule.AppendString(b, e.Desk)
	if has&hasAgent != 0 {
		b = rule.AppendString(b, e.Agent)
	}
	if has&hasClient != 0 {
		b = rule.AppendString(b, e.Client)
	}
	for _, id := range [...]struct {
		in fields
		is uint64
	}{{hasRequest, e.Request}, {hasOffer, e.Offer}, {hasSession, e.Session}, {hasConn, e.Conn}} {
		if has&id.in != 0 {
			b = binary.AppendUvarint(b, id.is)
		}
	}
	for _, number := range [...]struct {
		in fields
		is uint8
	}{{hasCause, uint8(e.Cause)}, {hasOutcome, uint8(e.Outcome)}, {hasThen, uint8(e.Then)}, {hasState, uint8(e.State)}, {hasPlace, uint8(e.Place)}} {
		if has&number.in != 0 {
			b = append(b, number.is)
		}
	}
	if has&hasUntil != 0 {
		b = binary.AppendUvarint(b, uint64(e.Until))
	}
	if has&hasReceipt != 0 {
		b = binary.AppendUvarint(b, uint64(e.Receipt))
	}
	if has&hasStaff != 0 {
		b = rule.AppendString(b, e.By)
		b = rule.AppendString(b, e.Reason)
	}
	switch {
	case has&hasConfig != 0:
		b = e.Config.append(b)
	case has&hasProfile != 0:
		b = append(appendTopics(b, e.Profile.Topics), byte(e.Profile.Reach))
	case has&hasAsk != 0:
		b = e.Ask.append(b)
	}
	return b
}

// DecodeBody reads what AppendBody wrote, for the given kind, into e. The strings of e share body's memory.
// An error means that body is not what this version writes; e is then undefined.
func (e *Event) DecodeBody(kind Kind, body string) error {
	if !Owns(kind) {
		return fmt.Errorf("unknown event kind %d", uint8(kind))
	}
	has := carries[kind]
	d := rule.Decoder{Rest: body}
	*e = Event{Kind: kind, Who: Who{Desk: d.String(MaxID)}}
	if has&hasAgent != 0 {
		e.Agent = d.String(MaxID)
	}
	if has&hasClient != 0 {
		e.Client = d.String(MaxID)
	}
	for _, id := range [...]struct {
		in fields
		is *uint64
	}{{hasRequest, &e.Request}, {hasOffer, &e.Offer}, {hasSession, &e.Session}, {hasConn, &e.Conn}} {
		if has&id.in != 0 {
			*id.is = d.Uvarint()
		}
	}
	e.decodeNumbers(&d, has)
	if has&hasUntil != 0 {
		e.Until = d.Time()
	}
	if has&hasReceipt != 0 {
		e.Receipt = d.Time()
	}
	if has&hasStaff != 0 {
		e.By, e.Reason = d.String(MaxReason), d.String(MaxReason)
	}
	switch {
	case has&hasConfig != 0:
		e.Config = decodeConfig(&d)
	case has&hasProfile != 0:
		e.Profile = &Profile{Topics: decodeTopics(&d), Reach: Reach(d.Byte())}
		d.Bad = d.Bad || e.Profile.Valid() != nil
	case has&hasAsk != 0:
		e.Ask = decodeAsk(&d)
	}
	if !d.Done() {
		return fmt.Errorf("malformed %s event", kind)
	}
	return nil
}

// decodeNumbers reads what is one byte each, and takes no number that has no name.
func (e *Event) decodeNumbers(d *rule.Decoder, has fields) {
	read := func(in fields, names int) uint8 {
		if has&in == 0 {
			return 0
		}
		n := d.Byte()
		if int(n) >= names {
			d.Fail()
		}
		return n
	}
	e.Cause = Cause(read(hasCause, len(causeNames)))
	e.Outcome = OfferState(read(hasOutcome, OfferStates))
	e.Then = RequestState(read(hasThen, RequestStates))
	e.State = AgentState(read(hasState, AgentStates))
	e.Place = Place(read(hasPlace, len(placeNames)))
	if e.Place != Kept && e.State != Idle {
		d.Fail()
	}
}

func appendTopics(b []byte, topics []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(topics)))
	for _, topic := range topics {
		b = rule.AppendString(b, topic)
	}
	return b
}

func decodeTopics(d *rule.Decoder) []string {
	n := d.Uvarint()
	if n > MaxTopics {
		d.Fail()
		return nil
	}
	var topics []string
	for range n {
		topics = append(topics, d.String(MaxID))
	}
	return topics
}

// spans gives the durations of c in the order of the binary form.
func (c *Config) spans() [14]*time.Duration {
	return [...]*time.Duration{&c.MaxWait, &c.OfferTime, &c.Receipt, &c.PushReceipt, &c.IdleGrace, &c.InitGrace, &c.BusyGrace, &c.ClientGrace,
		&c.JoinWithin, &c.RejectPause, &c.MissPause, &c.WrapUp, &c.RestartGrace, &c.WarmUp}
}

func (c *Config) append(b []byte) []byte {
	b = appendTopics(b, c.Topics)
	b = append(b, byte(c.Policy))
	b = binary.AppendUvarint(b, uint64(c.QueueLimit))
	single := byte(0)
	if c.SingleDevice {
		single = 1
	}
	b = append(b, single, byte(c.OnLost))
	b = binary.AppendUvarint(b, uint64(c.Misses))
	b = binary.AppendUvarint(b, uint64(c.MaxAttempts))
	for _, span := range c.spans() {
		b = binary.AppendUvarint(b, uint64(*span/time.Millisecond))
	}
	return b
}

func decodeConfig(d *rule.Decoder) *Config {
	c := &Config{Topics: decodeTopics(d), Policy: Policy(d.Byte()), QueueLimit: d.Uint32()}
	single := d.Byte()
	c.SingleDevice, c.OnLost = single == 1, Lost(d.Byte())
	c.Misses, c.MaxAttempts = d.Uint32(), d.Uint32()
	for _, span := range c.spans() {
		*span = time.Duration(d.Uint32()) * time.Millisecond
	}
	if single > 1 || c.Valid() != nil {
		d.Fail()
	}
	return c
}

func (a *Ask) append(b []byte) []byte {
	b = rule.AppendString(b, a.Topic)
	b = append(b, a.Priority)
	b = rule.AppendString(b, a.Data)
	b = rule.AppendString(b, a.Key)
	return append(b, byte(a.Reach))
}

func decodeAsk(d *rule.Decoder) *Ask {
	a := &Ask{Topic: d.String(MaxID), Priority: d.Byte(), Data: d.String(MaxData), Key: d.String(MaxID), Reach: Reach(d.Byte())}
	if a.Valid() != nil {
		d.Fail()
	}
	return a
}
