package wire

import (
	"encoding/hex"
	"time"

	"holdfast/seat"
)

// AppendRealm appends a realm as it stands.
func AppendRealm(b []byte, name string, l seat.Limits, pools int, seq uint64, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, name)
	if l.MaxSeats != nil {
		b = appendNumber(b, `,"max_seats_per_person":`, uint64(*l.MaxSeats))
	}
	b = appendNumber(b, `,"max_waits_per_person":`, uint64(l.MaxWaits))
	b = appendNumber(b, `,"pools":`, uint64(pools))
	if s.Durability != Preapproved {
		b = appendNumber(b, `,"seq":`, seq)
	}
	return append(s.Append(b), '}')
}

// AppendPool appends a pool as it stands: its configuration in the form of its PUT, and the counts.
func AppendPool(b []byte, realm string, v *seat.PoolView, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = append(b, ',')
	b = appendPoolMembers(b, v, s.Durability != Preapproved)
	return append(s.Append(b), '}')
}

// AppendPoolRow appends a pool as one row of a list.
func AppendPoolRow(b []byte, v *seat.PoolView, confirmed bool) []byte {
	b = appendPoolMembers(append(b, '{'), v, confirmed)
	return append(AppendTime(b, `,"at":"`, v.At), '}')
}

func appendHex(b []byte, name string, digest *[32]byte) []byte {
	return append(hex.AppendEncode(append(b, name...), digest[:]), '"')
}

func appendPoolMembers(b []byte, v *seat.PoolView, confirmed bool) []byte {
	c := &v.Config
	b = appendPlain(b, `"pool":"`, v.Name)
	b = appendNumber(b, `,"capacity":`, uint64(c.Capacity))
	if c.Waitlist != nil {
		b = appendNumber(b, `,"waitlist":`, uint64(*c.Waitlist))
	}
	for _, m := range [...]struct {
		name string
		at   seat.Time
	}{{`,"opens_at":"`, c.OpensAt}, {`,"closes_at":"`, c.ClosesAt}, {`,"promote_until":"`, c.PromoteUntil}} {
		if m.at != 0 {
			b = AppendTime(b, m.name, m.at)
		}
	}
	b = appendPlain(b, `,"promotion":"`, c.Promotion.String())
	if c.AnswerWithin != 0 {
		b = appendNumber(b, `,"answer_seconds":`, uint64(c.AnswerWithin/time.Second))
	}
	if c.Group != "" {
		b = appendPlain(b, `,"group":"`, c.Group)
	}
	b = appendPlain(b, `,"order":"`, c.Order.String())
	if c.Order == seat.Lottery {
		b = appendHex(b, `,"seed_hash":"`, &c.SeedHash)
	}
	if v.Drawn {
		b = appendHex(b, `,"seed":"`, &v.Seed)
	}
	if c.Data != "" {
		b = append(b, `,"data":`...)
		b = append(b, c.Data...) // checked to be JSON when it was put
	}
	b = appendNumber(b, `,"seated":`, uint64(v.Seated))
	b = appendNumber(b, `,"offered":`, uint64(v.Offered))
	b = appendNumber(b, `,"waiting":`, uint64(v.Waiting))
	b = appendNumber(b, `,"entered":`, uint64(v.Entered))
	b = appendNumber(b, `,"free":`, uint64(v.Free))
	b = appendNumber(b, `,"over":`, uint64(v.Over))
	if confirmed {
		b = appendNumber(b, `,"seq":`, v.Seq)
	}
	return b
}
