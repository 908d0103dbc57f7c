package seat

import (
	"encoding/binary"
	"fmt"
	"time"

	"holdfast/internal/rule"
)

// The binary form of an event's body. The envelope (length, kind, time, realm) stands before it. uv is an unsigned
// varint, str is a uv length and the bytes.
//
//	SeatTaken, LineJoined, SeatOffered, SeatFreed, LotteryEntered:
//	  str pool · str person · u8 was · u8 cause · uv number · str swap
//	  number: the seat (SeatTaken, SeatOffered), the ticket (LineJoined), absent (SeatFreed, LotteryEntered)
//	  SeatOffered: uv deadline
//	  cause ByStaff: str by · str reason
//	PoolPut:
//	  str pool · uv capacity · uv waitlist+1, 0 = no limit · uv opens · uv closes · uv promote until
//	  u8 promotion, +2 of a lottery · uv answer within, seconds · str group · str data · of a lottery: 32 bytes seed hash
//	Drawn:
//	  str pool · 32 bytes seed

// AppendBody appends the binary form of e without its kind.
func (e *Event) AppendBody(b []byte) []byte {
	b = rule.AppendString(b, e.Pool)
	if e.Kind == PoolPut {
		return e.Config.append(b)
	}
	if e.Kind == Drawn {
		return append(b, e.Seed[:]...)
	}
	b = rule.AppendString(b, e.Person)
	b = append(b, byte(e.Was), byte(e.Cause))
	switch e.Kind {
	case SeatTaken, SeatOffered:
		b = binary.AppendUvarint(b, uint64(e.Seat))
	case LineJoined:
		b = binary.AppendUvarint(b, uint64(e.Ticket))
	}
	b = rule.AppendString(b, e.Swap)
	if e.Kind == SeatOffered {
		b = binary.AppendUvarint(b, uint64(e.Deadline))
	}
	if e.Cause == ByStaff {
		b = rule.AppendString(b, e.By)
		b = rule.AppendString(b, e.Reason)
	}
	return b
}

// size is what e takes of the log in bytes with its envelope, no less: its strings, and the most that all else takes.
func (e *Event) size() int {
	n := MaxID + 64 + len(e.Pool) + len(e.Person) + len(e.Swap) + len(e.By) + len(e.Reason)
	if e.Config != nil {
		n += 64 + len(e.Config.Group) + len(e.Config.Data)
	}
	if e.Seed != nil {
		n += len(e.Seed)
	}
	return n
}

// DecodeBody reads what AppendBody wrote, for the given kind, into e. The strings of e share body's memory.
// An error means that body is not what this version writes; e is then undefined.
func (e *Event) DecodeBody(kind Kind, body string) error {
	d := rule.Decoder{Rest: body}
	*e = Event{Kind: kind, Pool: d.String(MaxID)}
	switch kind {
	case PoolPut:
		e.Config = decodeConfig(&d)
	case Drawn:
		e.Seed = new([32]byte)
		d.Bytes(e.Seed[:])
	case SeatTaken, LineJoined, SeatOffered, SeatFreed:
		e.claim(&d)
	case LotteryEntered:
		e.claim(&d)
		d.Bad = d.Bad || e.Swap != ""
	default:
		return fmt.Errorf("unknown event kind %d", uint8(kind))
	}
	if d.Bad || d.Rest != "" {
		return fmt.Errorf("malformed %s event", kind)
	}
	return nil
}

func (e *Event) claim(d *rule.Decoder) {
	e.Person = d.String(MaxID)
	e.Was, e.Cause = Status(d.Byte()), Cause(d.Byte())
	if int(e.Was) >= Statuses || e.Cause < ByClaim || e.Cause > ByDraw {
		d.Bad = true
	}
	switch e.Kind {
	case SeatTaken, SeatOffered:
		e.Seat = d.Uint32()
	case LineJoined:
		e.Ticket = d.Uint32()
	}
	e.Swap = d.String(MaxID)
	if e.Kind == SeatOffered {
		e.Deadline = d.Time()
	}
	if e.Cause == ByStaff {
		e.By, e.Reason = d.String(MaxReason), d.String(MaxReason)
	}
}

func (c *Config) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(c.Capacity))
	b = rule.AppendOptional(b, c.Waitlist)
	b = binary.AppendUvarint(b, uint64(c.OpensAt))
	b = binary.AppendUvarint(b, uint64(c.ClosesAt))
	b = binary.AppendUvarint(b, uint64(c.PromoteUntil))
	promotion := byte(c.Promotion)
	if c.Order == Lottery {
		promotion |= lotteryFlag
	}
	b = append(b, promotion)
	b = binary.AppendUvarint(b, uint64(c.AnswerWithin/time.Second))
	b = rule.AppendString(b, c.Group)
	b = rule.AppendString(b, c.Data)
	if c.Order == Lottery {
		b = append(b, c.SeedHash[:]...)
	}
	return b
}

// lotteryFlag is in the byte of the promotion, so that the bytes of other pools are as they were before there were lotteries.
const lotteryFlag = 2

func decodeConfig(d *rule.Decoder) *Config {
	c := &Config{
		Capacity: d.Uint32(), Waitlist: d.Optional(),
		OpensAt: d.Time(), ClosesAt: d.Time(), PromoteUntil: d.Time(),
	}
	promotion := d.Byte()
	if promotion&lotteryFlag != 0 {
		c.Order = Lottery
	}
	c.Promotion = Promotion(promotion &^ lotteryFlag)
	c.AnswerWithin = time.Duration(d.Uint32()) * time.Second
	c.Group, c.Data = d.String(MaxID), d.String(MaxData)
	if c.Order == Lottery {
		d.Bytes(c.SeedHash[:])
	}
	if !d.Bad && c.Valid() != nil {
		d.Bad = true
	}
	return c
}

// AppendLimits appends the binary form of l: uv max seats+1, 0 = no limit · uv max waits.
func (l *Limits) AppendLimits(b []byte) []byte {
	b = rule.AppendOptional(b, l.MaxSeats)
	return binary.AppendUvarint(b, uint64(l.MaxWaits))
}

// DecodeLimits reads what AppendLimits wrote.
func DecodeLimits(body string) (*Limits, error) {
	d := rule.Decoder{Rest: body}
	l := &Limits{MaxSeats: d.Optional(), MaxWaits: d.Uint32()}
	if d.Bad || d.Rest != "" || l.Valid() != nil {
		return nil, fmt.Errorf("malformed limits")
	}
	return l, nil
}
