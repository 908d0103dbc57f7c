package wire_test

import (
	"testing"
	"time"

	"holdfast/internal/wire"
	"holdfast/seat"
)

// TestPushes: the pushes as docs/PROTOCOL.md shows them.
func TestPushes(t *testing.T) {
	t.Parallel()
	at := seat.TimeOf(time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC))
	seated := seat.Standing{Status: seat.Seated, Pool: "c0101", Seat: 12, Seq: 4718, At: at}
	waits := seat.Standing{Status: seat.Waiting, Pool: "c2", Position: 5, Ticket: 7, Swap: "c0101", Blocked: seat.LimitSeats, Seq: 3, At: at}
	view := seat.PoolView{Name: "c0101", Config: seat.Config{Capacity: 30}, Seated: 31, Offered: 2, Waiting: 57, Entered: 4, Free: 5, Over: 3}
	for want, got := range map[string][]byte{
		`{"push":"claims","person":"s00017","as_of":4720,"claims":[{"pool":"c0101","status":"seated","seat":12,"seq":4718,"at":"2026-09-01T08:00:00.000000Z"}]}`: wire.AppendClaims(nil, "s00017", 4720, false, []seat.Standing{seated}),
		`{"push":"claims","person":"ann","as_of":9,"all":true,"claims":[{"pool":"c0101","status":"seated","seat":12,"seq":4718,"at":"2026-09-01T08:00:00.000000Z"},` +
			`{"pool":"c2","status":"waiting","position":5,"ticket":7,"swap":"c0101","blocked":"limit","seq":3,"at":"2026-09-01T08:00:00.000000Z"}]}`: wire.AppendClaims(nil, "ann", 9, true, []seat.Standing{seated, waits}),
		`{"push":"claims","person":"ann","as_of":9,"claims":[]}`:                                                                                   wire.AppendClaims(nil, "ann", 9, false, nil),
		`{"push":"pool","pool":"c0101","capacity":30,"seated":31,"offered":2,"waiting":57,"entered":4,"free":5,"over":3,"open":true,"as_of":4720}`: wire.AppendCounts(nil, &view, true, 4720),
		`{"push":"opening","pool":"c1","open":false,"opens_at":"2026-09-01T08:00:00.000000Z","time":"2026-09-01T07:59:59.999999Z","in_ms":1}`:      wire.AppendOpening(nil, "c1", false, at, at-1),
		`{"push":"opening","pool":"c1","open":true,"opens_at":"2026-09-01T08:00:00.000000Z","time":"2026-09-01T08:00:00.000000Z","in_ms":0}`:       wire.AppendOpening(nil, "c1", true, at, at),
		`{"push":"opening","pool":"c1","open":true,"time":"2026-09-01T08:00:00.000000Z","in_ms":0}`:                                                wire.AppendOpening(nil, "c1", true, 0, at),
	} {
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
