package holdfast_test

import (
	"bytes"
	"runtime"
	"testing"

	"holdfast"
	"holdfast/seat"
)

// FuzzDecode: no bytes make Decode panic, and what it accepts it would write itself.
func FuzzDecode(f *testing.F) {
	events := everyEvent()
	all := encode(events)
	f.Add(uint8(all.Count), all.Bytes)
	for i := range events {
		f.Add(uint8(1), encode(events[i:i+1]).Bytes)
	}
	f.Fuzz(func(t *testing.T, count uint8, in []byte) {
		var again holdfast.Batch
		if holdfast.Decode(9, int(count), in, func(e *holdfast.Event) error {
			again.Append(e)
			e.AppendJSON(nil)
			return nil
		}) != nil || count == 0 {
			return
		}
		if !bytes.Equal(again.Bytes, in) || again.Count != int(count) {
			t.Fatalf("accepted\n%x, written again as\n%x", in, again.Bytes)
		}
	})
}

// FuzzReadSnapshot: no bytes make ReadSnapshot panic or take much memory, and what it accepts it would write itself.
func FuzzReadSnapshot(f *testing.F) {
	f.Add(snapshotOf(f, holdfast.NewState()))
	f.Add(snapshotOf(f, smallWorld(f)))
	f.Add(snapshotOf(f, lotteryWorld(f)))
	f.Add(snapshotOf(f, deskWorld(f)))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 16<<10 {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := holdfast.ReadSnapshot(bytes.NewReader(in))
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Fatalf("%d bytes of input took %d of memory", len(in), grown)
		}
		if err != nil {
			return
		}
		if again := snapshotOf(t, s); !bytes.Equal(again, in) {
			t.Fatalf("accepted\n%x, written again as\n%x", in, again)
		}
	})
}

func snapshotOf(t testing.TB, s *holdfast.State) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.WriteSnapshot(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// smallWorld has somebody in every standing, swaps that wait and that are offered, and two realms.
func smallWorld(t testing.TB) *holdfast.State {
	t.Helper()
	stepper := holdfast.Stepper{State: holdfast.NewState()}
	var batch holdfast.Batch
	do := func(realm string, body holdfast.Body) {
		if err := body.Valid(); err != nil {
			t.Fatal(err)
		}
		res := stepper.Step(&holdfast.Command{Realm: realm, At: someTime, Body: body}, &batch)
		if res.Refused() {
			t.Fatalf("%+v: %+v", body, res.Refusal)
		}
	}
	do("", holdfast.Start{Epoch: 1, Grace: 1})
	do("autumn", holdfast.PutRealm{Limits: seat.DefaultLimits()})
	do("spring", holdfast.PutRealm{Limits: seat.Limits{MaxSeats: number(2), MaxWaits: 3}})
	do("spring", seat.PutPool{Pool: "a", Config: seat.Config{Capacity: 2, Waitlist: number(9), Group: "g"}})
	do("spring", seat.PutPool{Pool: "b", Config: seat.Config{Capacity: 1, Group: "g", Promotion: seat.Offer, AnswerWithin: 1e9}})
	do("spring", seat.PutPool{Pool: "c", Config: seat.Config{Capacity: 1, Data: "[1]", OpensAt: 1, ClosesAt: someTime + 9}})
	for _, c := range [][2]string{{"a", "ann"}, {"a", "bob"}, {"b", "cem"}, {"c", "dee"}, {"c", "cem"}, {"a", "eve"}} {
		do("spring", seat.Claim{Pool: c[0], Person: c[1]})
	}
	do("spring", seat.Basket{Person: "ann", Mode: seat.EachOrWait, Items: []seat.Item{{Pool: "b", Swap: "a"}}})
	do("spring", seat.Basket{Person: "bob", Mode: seat.EachOrWait, Items: []seat.Item{{Pool: "c", Swap: "a"}}})
	do("spring", seat.Release{Pool: "b", Person: "cem"})
	return stepper.State
}
