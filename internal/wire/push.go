package wire

import (
	"strconv"
	"time"

	"holdfast/seat"
)

// AppendClaims appends the push of what changed of a person's claims up to asOf, all of it confirmed. all: it is everything
// there is.
func AppendClaims(b []byte, person string, asOf uint64, all bool, rows []seat.Standing) []byte {
	b = appendPlain(b, `{"push":"claims","person":"`, person)
	b = appendNumber(b, `,"as_of":`, asOf)
	if all {
		b = append(b, `,"all":true`...)
	}
	b = append(b, `,"claims":[`...)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendRow(b, "", &rows[i], true)
	}
	return append(b, `]}`...)
}

// AppendCounts appends the push of a pool's counts; open: it takes claims now.
func AppendCounts(b []byte, v *seat.PoolView, open bool, asOf uint64) []byte {
	b = appendPlain(b, `{"push":"pool","pool":"`, v.Name)
	b = appendNumber(b, `,"capacity":`, uint64(v.Config.Capacity))
	b = appendNumber(b, `,"seated":`, uint64(v.Seated))
	b = appendNumber(b, `,"offered":`, uint64(v.Offered))
	b = appendNumber(b, `,"waiting":`, uint64(v.Waiting))
	b = appendNumber(b, `,"entered":`, uint64(v.Entered))
	b = appendNumber(b, `,"free":`, uint64(v.Free))
	b = appendNumber(b, `,"over":`, uint64(v.Over))
	b = strconv.AppendBool(append(b, `,"open":`...), open)
	b = appendNumber(b, `,"as_of":`, asOf)
	return append(b, '}')
}

// AppendOpening appends the push of when a pool opens; in_ms is 0 once it is time, and at least 1 before.
func AppendOpening(b []byte, pool string, open bool, opens, now seat.Time) []byte {
	b = appendPlain(b, `{"push":"opening","pool":"`, pool)
	b = strconv.AppendBool(append(b, `,"open":`...), open)
	if opens != 0 {
		b = AppendTime(b, `,"opens_at":"`, opens)
	}
	b = AppendTime(b, `,"time":"`, now)
	const ms = seat.Time(time.Millisecond / time.Microsecond)
	b = appendNumber(b, `,"in_ms":`, uint64(max(0, opens-now+ms-1)/ms))
	return append(b, '}')
}
