package holdfast

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"holdfast/desk"
	"holdfast/internal/rule"
	"holdfast/seat"
)

// The shard's own kinds of events; 16 and above are in package seat, 64 and above in package desk. Stored: never change one, add at the end.
const (
	Started  seat.Kind = 1 // Epoch, Grace: a process took the shard
	RealmPut seat.Kind = 2 // Limits
)

// Event is the envelope around a fact: its number, its time, its realm.
type Event struct {
	Seq   uint64
	At    seat.Time
	Realm string // empty for Started

	Seat   seat.Event   // Seat.Kind is the kind of the whole; the rest of Seat is set for kinds of package seat
	Desk   *desk.Event  // kinds of package desk; nil for all others
	Epoch  uint64       // Started
	Grace  seat.Time    // Started: everybody with an offer has at least this long from At
	Limits *seat.Limits // RealmPut
}

// Kind says what happened.
func (e *Event) Kind() seat.Kind { return e.Seat.Kind }

// KindName is the kind in words, as the wire, the mirror and the log tool show it.
func (e *Event) KindName() string {
	switch e.Seat.Kind {
	case Started:
		return "started"
	case RealmPut:
		return "realm_put"
	}
	if e.Desk != nil {
		return e.Desk.Kind.String()
	}
	return e.Seat.Kind.String()
}

// codecVersion is the first byte of every batch. A change of the meaning of existing bytes raises it; new kinds do not.
const codecVersion = 1

// MaxEvent bounds the encoded size of one event in bytes: its Data or its Reason and By, its ids, and the rest.
const MaxEvent = seat.MaxData + 2*seat.MaxReason + 4*seat.MaxID + 128

// Batch is a run of events in binary form: what becomes one frame of the log.
//
//	u8 version, then for each event:  uv length of the rest · u8 kind · u64 little-endian time · str realm · body
//
// The sequence is not stored: it is First plus the place in the batch.
type Batch struct {
	First uint64 // sequence of the first event; meaningful once Count > 0
	Count int
	Bytes []byte
}

// Reset empties b for reuse.
func (b *Batch) Reset() { b.First, b.Count, b.Bytes = 0, 0, b.Bytes[:0] }

// Append encodes e at the end of b. Events must come in the order of their sequence, without a gap.
func (b *Batch) Append(e *Event) {
	if b.Count == 0 {
		b.First = e.Seq
		b.Bytes = append(b.Bytes[:0], codecVersion)
	}
	b.Count++
	// Most events are shorter than 128 bytes, so one byte is set aside for the length; a longer one is moved.
	start := len(b.Bytes)
	b.Bytes = append(b.Bytes, 0, byte(e.Seat.Kind))
	b.Bytes = binary.LittleEndian.AppendUint64(b.Bytes, uint64(e.At))
	b.Bytes = append(binary.AppendUvarint(b.Bytes, uint64(len(e.Realm))), e.Realm...)
	switch e.Seat.Kind {
	case Started:
		b.Bytes = binary.AppendUvarint(b.Bytes, e.Epoch)
		b.Bytes = binary.AppendUvarint(b.Bytes, uint64(e.Grace))
	case RealmPut:
		b.Bytes = e.Limits.AppendLimits(b.Bytes)
	default:
		if e.Desk != nil {
			b.Bytes = e.Desk.AppendBody(b.Bytes)
		} else {
			b.Bytes = e.Seat.AppendBody(b.Bytes)
		}
	}
	length := len(b.Bytes) - start - 1
	if length < 0x80 {
		b.Bytes[start] = byte(length)
		return
	}
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(length))
	b.Bytes = append(b.Bytes, head[:n-1]...)
	copy(b.Bytes[start+n:], b.Bytes[start+1:start+1+length])
	copy(b.Bytes[start:], head[:n])
}

// Split moves the events behind the first count, which take the first size bytes, from b to a new batch.
func (b *Batch) Split(count, size int) Batch {
	tail := Batch{First: b.First + uint64(count), Count: b.Count - count}
	tail.Bytes = append(append(tail.Bytes, codecVersion), b.Bytes[size:]...)
	b.Count, b.Bytes = count, b.Bytes[:size]
	return tail
}

// Decode reads the events of a batch that begins with sequence first, and calls each with them, in order, until it
// returns an error. The Event is reused; its strings live on. A malformed batch is an error naming the sequence.
func Decode(first uint64, count int, batch []byte, each func(*Event) error) error {
	text := string(batch) // one copy, so that the events' strings share it and need none of their own
	if text == "" || text[0] != codecVersion {
		return fmt.Errorf("batch at %d: event codec version %d wanted, this is another", first, codecVersion)
	}
	text = text[1:]
	var e Event
	for i := range count {
		length, n := rule.Uvarint(text)
		if n == 0 || length > MaxEvent || length > uint64(len(text)-n) {
			return fmt.Errorf("event %d: its length is wrong", first+uint64(i))
		}
		if err := e.decode(text[n : n+int(length)]); err != nil {
			return fmt.Errorf("event %d: %w", first+uint64(i), err)
		}
		e.Seq = first + uint64(i)
		if err := each(&e); err != nil {
			return err
		}
		text = text[n+int(length):]
	}
	if text != "" {
		return fmt.Errorf("batch at %d: %d bytes after its %d events", first, len(text), count)
	}
	return nil
}

func (e *Event) decode(b string) error {
	const head = 1 + 8
	if len(b) < head+1 {
		return fmt.Errorf("it is cut short")
	}
	kind := seat.Kind(b[0])
	at := seat.Time(uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16 | uint64(b[4])<<24 |
		uint64(b[5])<<32 | uint64(b[6])<<40 | uint64(b[7])<<48 | uint64(b[8])<<56)
	if at < 0 {
		return fmt.Errorf("its time is out of range")
	}
	b = b[head:]
	length, n := rule.Uvarint(b)
	if n == 0 || length > seat.MaxID || length > uint64(len(b)-n) {
		return fmt.Errorf("its realm is malformed")
	}
	realm, body := b[n:n+int(length)], b[n+int(length):]
	switch kind {
	case Started:
		epoch, n := rule.Uvarint(body)
		grace, m := rule.Uvarint(body[n:])
		if n == 0 || m == 0 || n+m != len(body) || grace > 1<<62 {
			return fmt.Errorf("malformed started event")
		}
		*e = Event{Epoch: epoch, Grace: seat.Time(grace), Seat: seat.Event{Kind: kind}}
	case RealmPut:
		limits, err := seat.DecodeLimits(body)
		if err != nil {
			return err
		}
		*e = Event{Limits: limits, Seat: seat.Event{Kind: kind}}
	default:
		if desk.Owns(desk.Kind(kind)) {
			d := new(desk.Event)
			if err := d.DecodeBody(desk.Kind(kind), body); err != nil {
				return err
			}
			*e = Event{Desk: d, Seat: seat.Event{Kind: kind}}
			break
		}
		if err := e.Seat.DecodeBody(kind, body); err != nil {
			return err
		}
		e.Desk, e.Epoch, e.Grace, e.Limits = nil, 0, 0, nil
	}
	e.At, e.Realm = at, realm
	return nil
}

// AppendJSON appends e as one JSON object: seq, at, realm, kind, and what the kind has. The mirror's events table, the
// feed, `holdfast log` and the pushes share it.
func (e *Event) AppendJSON(b []byte) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(b, `,"at":"`...)
	b, _ = e.At.AppendText(b)
	b = append(b, `","realm":"`...)
	b = append(b, e.Realm...)
	b = append(b, `","kind":"`...)
	b = append(b, e.KindName()...)
	b = append(b, `",`...)
	return append(e.AppendBodyJSON(b), '}')
}

// AppendBodyJSON appends the members that belong to the kind alone, without braces: the mirror's column body.
func (e *Event) AppendBodyJSON(b []byte) []byte {
	switch e.Seat.Kind {
	case Started:
		b = append(b, `"epoch":`...)
		b = strconv.AppendUint(b, e.Epoch, 10)
		b = append(b, `,"grace_seconds":`...)
		return strconv.AppendFloat(b, float64(e.Grace)/1e6, 'g', -1, 64)
	case RealmPut:
		if e.Limits.MaxSeats != nil {
			b = append(b, `"max_seats_per_person":`...)
			b = strconv.AppendUint(b, uint64(*e.Limits.MaxSeats), 10)
			b = append(b, ',')
		}
		b = append(b, `"max_waits_per_person":`...)
		return strconv.AppendUint(b, uint64(e.Limits.MaxWaits), 10)
	}
	if e.Desk != nil {
		return e.Desk.AppendJSON(b)
	}
	return e.Seat.AppendJSON(b)
}
