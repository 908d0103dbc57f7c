package desk

import (
	"encoding/json"
	"strconv"
	"time"

	"holdfast/internal/rule"
)

var placeNames = [...]string{Kept: "kept", Back: "back", BackMiss: "back_miss", KeptMute: "kept_mute"}

func (p Place) String() string { return name(placeNames[:], uint8(p), "place") }

// AppendJSON appends the members of e's JSON form, without braces and without a leading comma: the envelope is around it.
// The mirror's events table, the feed, `holdfast log` and the pushes share this form. A member without a value is left out.
func (e *Event) AppendJSON(b []byte) []byte {
	has := carries[e.Kind]
	b = rule.AppendMember(b, "desk", e.Desk)
	b = appendText(b, "agent", e.Agent)
	b = appendText(b, "client", e.Client)
	b = appendID(b, "request", e.Request)
	b = appendID(b, "offer", e.Offer)
	b = appendID(b, "session", e.Session)
	b = appendID(b, "connection", e.Conn)
	if has&hasOutcome != 0 {
		b = appendText(b, "outcome", e.Outcome.String())
	}
	b = appendText(b, "cause", e.Cause.String())
	if has&hasThen != 0 {
		b = appendText(b, "request_state", e.Then.String())
	}
	if has&hasState != 0 {
		b = appendText(b, "state", e.State.String())
	}
	if has&hasPlace != 0 && e.State == Idle {
		b = appendText(b, "place", e.Place.String())
	}
	if e.Kind == OfferMade { // as it is shown to the agent
		b = appendTime(b, "deadline", e.Until.Add(-Slack))
	} else {
		b = appendTime(b, "until", e.Until)
	}
	b = appendTime(b, "receipt", e.Receipt)
	b = appendText(b, "by", e.By)
	b = appendText(b, "reason", e.Reason)
	switch {
	case has&hasConfig != 0:
		b = append(b, `,"config":`...)
		cfg, _ := json.Marshal(e.Config) // strings and numbers always marshal
		b = append(b, cfg...)
	case has&hasProfile != 0:
		topics, _ := json.Marshal(e.Profile.Topics)
		if len(e.Profile.Topics) > 0 {
			b = append(append(b, `,"topics":`...), topics...)
		}
		b = appendText(b, "reach", e.Profile.Reach.String())
	case has&hasAsk != 0:
		b = e.Ask.appendJSON(b)
	}
	return b
}

func (a *Ask) appendJSON(b []byte) []byte {
	b = appendText(b, "topic", a.Topic)
	b = append(b, `,"priority":`...)
	b = strconv.AppendUint(b, uint64(a.Priority), 10)
	b = appendText(b, "data", a.Data)
	b = appendText(b, "key", a.Key)
	return appendText(b, "reach", a.Reach.String())
}

func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return rule.AppendMember(append(b, ','), name, value)
}

func appendID(b []byte, name string, id uint64) []byte {
	if id == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendUint(b, id, 10)
}

func appendTime(b []byte, name string, at Time) []byte {
	if at == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	b, _ = at.AppendText(b)
	return append(b, '"')
}

// configJSON is Config on the wire; the desk's PUT body and its event have the same form.
type configJSON struct {
	Topics         []string `json:"topics,omitempty"`
	Policy         string   `json:"policy"`
	QueueLimit     uint32   `json:"queue_limit,omitempty"`
	MaxWaitMS      int64    `json:"max_wait_ms"`
	OfferMS        int64    `json:"offer_ms"`
	ReceiptMS      int64    `json:"receipt_ms"`
	PushReceiptMS  int64    `json:"push_receipt_ms"`
	IdleGraceMS    int64    `json:"idle_grace_ms"`
	InitGraceMS    int64    `json:"init_grace_ms"`
	BusyGraceMS    int64    `json:"busy_grace_ms"`
	ClientGraceMS  int64    `json:"client_grace_ms"`
	JoinMS         int64    `json:"join_ms"`
	Misses         uint32   `json:"misses"`
	RejectPauseMS  int64    `json:"reject_pause_ms"`
	MissPauseMS    int64    `json:"miss_pause_ms"`
	WrapUpMS       int64    `json:"wrap_up_ms"`
	MaxAttempts    uint32   `json:"max_attempts"`
	SingleDevice   bool     `json:"single_device"`
	OnLost         string   `json:"on_lost"`
	RestartGraceMS int64    `json:"restart_grace_ms"`
	WarmUpMS       int64    `json:"warm_up_ms"`
}

// MarshalJSON gives the form of the wire.
func (c *Config) MarshalJSON() ([]byte, error) {
	ms := func(d time.Duration) int64 { return int64(d / time.Millisecond) }
	return json.Marshal(configJSON{
		Topics: c.Topics, Policy: c.Policy.String(), QueueLimit: c.QueueLimit, MaxWaitMS: ms(c.MaxWait),
		OfferMS: ms(c.OfferTime), ReceiptMS: ms(c.Receipt), PushReceiptMS: ms(c.PushReceipt),
		IdleGraceMS: ms(c.IdleGrace), InitGraceMS: ms(c.InitGrace), BusyGraceMS: ms(c.BusyGrace),
		ClientGraceMS: ms(c.ClientGrace), JoinMS: ms(c.JoinWithin), Misses: c.Misses,
		RejectPauseMS: ms(c.RejectPause), MissPauseMS: ms(c.MissPause), WrapUpMS: ms(c.WrapUp),
		MaxAttempts: c.MaxAttempts, SingleDevice: c.SingleDevice, OnLost: c.OnLost.String(),
		RestartGraceMS: ms(c.RestartGrace), WarmUpMS: ms(c.WarmUp),
	})
}
