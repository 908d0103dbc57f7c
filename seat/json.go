package seat

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"holdfast/internal/rule"
)

// AppendJSON appends the members of e's JSON form, without braces and without a leading comma: the envelope is around it.
// The mirror's events table, the feed, `holdfast log` and the pushes share this form.
func (e *Event) AppendJSON(b []byte) []byte {
	b = rule.AppendMember(b, "pool", e.Pool)
	if e.Kind == PoolPut {
		b = append(b, `,"config":`...)
		cfg, _ := json.Marshal(e.Config) // cannot fail: Config.Data was checked to be JSON
		return append(b, cfg...)
	}
	if e.Kind == Drawn {
		b = append(b, `,"seed":"`...)
		return append(hex.AppendEncode(b, e.Seed[:]), '"')
	}
	b = append(b, ',')
	b = rule.AppendMember(b, "person", e.Person)
	b = append(b, `,"was":"`...)
	b = append(b, e.Was.String()...)
	b = append(b, `","cause":"`...)
	b = append(b, e.Cause.String()...)
	b = append(b, '"')
	switch e.Kind {
	case SeatTaken, SeatOffered:
		b = append(b, `,"seat":`...)
		b = strconv.AppendUint(b, uint64(e.Seat), 10)
	case LineJoined:
		b = append(b, `,"ticket":`...)
		b = strconv.AppendUint(b, uint64(e.Ticket), 10)
	}
	if e.Swap != "" {
		b = append(b, ',')
		b = rule.AppendMember(b, "swap", e.Swap)
	}
	if e.Kind == SeatOffered {
		b = append(b, `,"deadline":"`...)
		b, _ = e.Deadline.AppendText(b)
		b = append(b, '"')
	}
	if e.Cause == ByStaff {
		b = append(b, ',')
		b = rule.AppendMember(b, "by", e.By)
		b = append(b, ',')
		b = rule.AppendMember(b, "reason", e.Reason)
	}
	return b
}

// configJSON is Config on the wire; the pool's PUT body and its event have the same form.
type configJSON struct {
	Capacity     *uint32         `json:"capacity"`
	Waitlist     *uint32         `json:"waitlist,omitempty"`
	OpensAt      Time            `json:"opens_at,omitempty"`
	ClosesAt     Time            `json:"closes_at,omitempty"`
	PromoteUntil Time            `json:"promote_until,omitempty"`
	Promotion    string          `json:"promotion,omitempty"`
	AnswerSecs   int64           `json:"answer_seconds,omitempty"`
	Group        string          `json:"group,omitempty"`
	Order        string          `json:"order,omitempty"`
	SeedHash     string          `json:"seed_hash,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`
}

// MarshalJSON gives the form of the wire.
func (c *Config) MarshalJSON() ([]byte, error) {
	seedHash := ""
	if c.SeedHash != [32]byte{} { // without one it is a wish: who puts the pool gives it a seed
		seedHash = hex.EncodeToString(c.SeedHash[:])
	}
	return json.Marshal(configJSON{
		Capacity: &c.Capacity, Waitlist: c.Waitlist,
		OpensAt: c.OpensAt, ClosesAt: c.ClosesAt, PromoteUntil: c.PromoteUntil,
		Promotion: c.Promotion.String(), AnswerSecs: int64(c.AnswerWithin / time.Second),
		Group: c.Group, Order: c.Order.String(), SeedHash: seedHash, Data: json.RawMessage(c.Data),
	})
}
