package seat

import (
	"encoding/binary"
	"fmt"
	"time"
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
	b = appendString(b, e.Pool)
	if e.Kind == PoolPut {
		return e.Config.append(b)
	}
	if e.Kind == Drawn {
		return append(b, e.Seed[:]...)
	}
	b = appendString(b, e.Person)
	b = append(b, byte(e.Was), byte(e.Cause))
	switch e.Kind {
	case SeatTaken, SeatOffered:
		b = binary.AppendUvarint(b, uint64(e.Seat))
	case LineJoined:
		b = binary.AppendUvarint(b, uint64(e.Ticket))
	}
	b = appendString(b, e.Swap)
	if e.Kind == SeatOffered {
		b = binary.AppendUvarint(b, uint64(e.Deadline))
	}
	if e.Cause == ByStaff {
		b = appendString(b, e.By)
		b = appendString(b, e.Reason)
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
	d := decoder{rest: body}
	*e = Event{Kind: kind, Pool: d.string(MaxID)}
	switch kind {
	case PoolPut:
		e.Config = d.config()
	case Drawn:
		e.Seed = new([32]byte)
		d.bytes(e.Seed[:])
	case SeatTaken, LineJoined, SeatOffered, SeatFreed:
		e.claim(&d)
	case LotteryEntered:
		e.claim(&d)
		d.bad = d.bad || e.Swap != ""
	default:
		return fmt.Errorf("unknown event kind %d", uint8(kind))
	}
	if d.bad || d.rest != "" {
		return fmt.Errorf("malformed %s event", kind)
	}
	return nil
}

func (e *Event) claim(d *decoder) {
	e.Person = d.string(MaxID)
	e.Was, e.Cause = Status(d.byte()), Cause(d.byte())
	if int(e.Was) >= Statuses || e.Cause < ByClaim || e.Cause > ByDraw {
		d.bad = true
	}
	switch e.Kind {
	case SeatTaken, SeatOffered:
		e.Seat = d.uint32()
	case LineJoined:
		e.Ticket = d.uint32()
	}
	e.Swap = d.string(MaxID)
	if e.Kind == SeatOffered {
		e.Deadline = d.time()
	}
	if e.Cause == ByStaff {
		e.By, e.Reason = d.string(MaxReason), d.string(MaxReason)
	}
}

func (c *Config) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(c.Capacity))
	b = appendOptional(b, c.Waitlist)
	b = binary.AppendUvarint(b, uint64(c.OpensAt))
	b = binary.AppendUvarint(b, uint64(c.ClosesAt))
	b = binary.AppendUvarint(b, uint64(c.PromoteUntil))
	promotion := byte(c.Promotion)
	if c.Order == Lottery {
		promotion |= lotteryFlag
	}
	b = append(b, promotion)
	b = binary.AppendUvarint(b, uint64(c.AnswerWithin/time.Second))
	b = appendString(b, c.Group)
	b = appendString(b, c.Data)
	if c.Order == Lottery {
		b = append(b, c.SeedHash[:]...)
	}
	return b
}

// lotteryFlag is in the byte of the promotion, so that the bytes of other pools are as they were before there were lotteries.
const lotteryFlag = 2

func (d *decoder) config() *Config {
	c := &Config{
		Capacity: d.uint32(), Waitlist: d.optional(),
		OpensAt: d.time(), ClosesAt: d.time(), PromoteUntil: d.time(),
	}
	promotion := d.byte()
	if promotion&lotteryFlag != 0 {
		c.Order = Lottery
	}
	c.Promotion = Promotion(promotion &^ lotteryFlag)
	c.AnswerWithin = time.Duration(d.uint32()) * time.Second
	c.Group, c.Data = d.string(MaxID), d.string(MaxData)
	if c.Order == Lottery {
		d.bytes(c.SeedHash[:])
	}
	if !d.bad && c.Valid() != nil {
		d.bad = true
	}
	return c
}

// AppendLimits appends the binary form of l: uv max seats+1, 0 = no limit · uv max waits.
func (l *Limits) AppendLimits(b []byte) []byte {
	b = appendOptional(b, l.MaxSeats)
	return binary.AppendUvarint(b, uint64(l.MaxWaits))
}

// DecodeLimits reads what AppendLimits wrote.
func DecodeLimits(body string) (*Limits, error) {
	d := decoder{rest: body}
	l := &Limits{MaxSeats: d.optional(), MaxWaits: d.uint32()}
	if d.bad || d.rest != "" || l.Valid() != nil {
		return nil, fmt.Errorf("malformed limits")
	}
	return l, nil
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendOptional(b []byte, n *uint32) []byte {
	if n == nil {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(*n)+1)
}

// decoder reads from the front of rest. After the first fault bad is set and all it gives is zero.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, ""
}

func (d *decoder) byte() byte {
	if d.rest == "" {
		d.fail()
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

// uvarint takes only the shortest form, so that equal events have equal bytes.
func (d *decoder) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen64; i++ {
		c := d.rest[i]
		if c < 0x80 {
			if (i == 9 && c > 1) || (i > 0 && c == 0) {
				break
			}
			d.rest = d.rest[i+1:]
			return v | uint64(c)<<(7*i)
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	d.fail()
	return 0
}

func (d *decoder) uint32() uint32 {
	v := d.uvarint()
	if v > 1<<32-1 {
		d.fail()
		return 0
	}
	return uint32(v)
}

func (d *decoder) time() Time {
	v := d.uvarint()
	if v > 1<<62 {
		d.fail()
		return 0
	}
	return Time(v)
}

func (d *decoder) optional() *uint32 {
	v := d.uvarint()
	if v == 0 {
		return nil
	}
	if v > 1<<32 {
		d.fail()
		return nil
	}
	n := uint32(v - 1)
	return &n
}

func (d *decoder) bytes(into []byte) {
	if len(d.rest) < len(into) {
		d.fail()
		return
	}
	d.rest = d.rest[copy(into, d.rest):]
}

func (d *decoder) string(most int) string {
	n := d.uvarint()
	if n > uint64(most) || n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}
