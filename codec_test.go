package holdfast_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

var update = flag.Bool("update", false, "write the golden files anew")

const someTime = seat.Time(1_788_249_600_123_456) // 2026-09-01T08:00:00.123456Z

func number(n uint32) *uint32 { return &n }

// everyEvent has each kind with every field set that the kind has, and with the empty and extreme values.
func everyEvent() []holdfast.Event {
	events := firstEvents()
	events = append(events, lotteryEvents(events[len(events)-1].Seq+1)...)
	return append(events, deskEvents(events[len(events)-1].Seq+1)...)
}

// lotteryEvents is what came with the lottery.
func lotteryEvents(seq uint64) []holdfast.Event {
	seed := [32]byte{0: 1, 31: 0xff}
	lots := seat.Config{Capacity: 30, OpensAt: someTime, Order: seat.Lottery, SeedHash: sha256.Sum256(seed[:])}
	offers := lots
	offers.Promotion, offers.AnswerWithin, offers.Data = seat.Offer, time.Minute, `"x"`
	of := func(kind seat.Kind, was seat.Status, cause seat.Cause) seat.Event {
		return seat.Event{Kind: kind, Was: was, Cause: cause, Pool: "l1", Person: "s00017"}
	}
	taken, joined := of(seat.SeatTaken, seat.Entered, seat.ByDraw), of(seat.LineJoined, seat.Entered, seat.ByDraw)
	taken.Seat, joined.Ticket = 1, 1
	var events []holdfast.Event
	for _, e := range []seat.Event{
		{Kind: seat.PoolPut, Pool: "l1", Config: &lots}, {Kind: seat.PoolPut, Pool: "l2", Config: &offers},
		of(seat.LotteryEntered, seat.None, seat.ByClaim), of(seat.LotteryEntered, seat.Released, seat.ByClaim),
		{Kind: seat.Drawn, Pool: "l1", Seed: &seed},
		taken, joined, of(seat.SeatFreed, seat.Entered, seat.ByDraw), of(seat.SeatFreed, seat.Entered, seat.ByRelease),
	} {
		events = append(events, holdfast.Event{Seq: seq + uint64(len(events)), At: someTime, Realm: "spring", Seat: e})
	}
	return events
}

// firstEvents is what there was in the first version.
func firstEvents() []holdfast.Event {
	long := strings.Repeat("x", seat.MaxID)
	claim := func(kind seat.Kind, was seat.Status, cause seat.Cause) seat.Event {
		return seat.Event{Kind: kind, Was: was, Cause: cause, Pool: "c0101", Person: "s00017", Swap: "c0102"}
	}
	taken := claim(seat.SeatTaken, seat.Waiting, seat.ByStaff)
	taken.Seat, taken.By, taken.Reason = 12, "dean", "ill \"at\" <enrolment>\n"
	joined := claim(seat.LineJoined, seat.Released, seat.ByClaim)
	joined.Ticket = 300
	offered := claim(seat.SeatOffered, seat.Waiting, seat.ByPromotion)
	offered.Seat, offered.Deadline = 70_000, someTime+1
	freed := claim(seat.SeatFreed, seat.Offered, seat.ByStaff)
	freed.By, freed.Reason = "dean", "left"
	config := &seat.Config{
		Capacity: 30, Waitlist: number(200), OpensAt: someTime, ClosesAt: someTime + 1, PromoteUntil: someTime + 2,
		Promotion: seat.Offer, AnswerWithin: 24 * time.Hour, Group: "cs101", Data: `{"name":"Äpfel <1>","credits":[5]}`,
	}
	events := []holdfast.Event{
		{Epoch: 7, Grace: 5_000_000, Seat: seat.Event{Kind: holdfast.Started}},
		{Limits: &seat.Limits{MaxSeats: number(6), MaxWaits: 20}, Seat: seat.Event{Kind: holdfast.RealmPut}},
		{Limits: &seat.Limits{}, Seat: seat.Event{Kind: holdfast.RealmPut}},
		{Seat: seat.Event{Kind: seat.PoolPut, Pool: "c0101", Config: config}},
		{Seat: seat.Event{Kind: seat.PoolPut, Pool: "c0102", Config: &seat.Config{}}},
		{Seat: seat.Event{Kind: seat.PoolPut, Pool: "c0103", Config: &seat.Config{Capacity: seat.MaxCapacity, Waitlist: number(0)}}},
		{Seat: seat.Event{Kind: seat.PoolPut, Pool: "c0104", Config: &seat.Config{Waitlist: number(math.MaxUint32)}}},
		{Seat: taken}, {Seat: joined}, {Seat: offered}, {Seat: freed},
		{Seat: seat.Event{Kind: seat.SeatTaken, Cause: seat.ByClaim, Seat: 1, Pool: "p", Person: "q"}},
		{Seat: seat.Event{Kind: seat.SeatFreed, Was: seat.Seated, Cause: seat.ByRelease, Pool: "p", Person: "q"}},
		{Seat: seat.Event{Kind: seat.LineJoined, Was: seat.Waiting, Cause: seat.ByClaim, Ticket: math.MaxUint32,
			Pool: long, Person: long, Swap: long}},
		{Seat: seat.Event{Kind: seat.SeatTaken, Was: seat.Offered, Cause: seat.ByStaff, Seat: 3, Pool: "p", Person: "q",
			Staff: seat.Staff{By: strings.Repeat("b", seat.MaxReason), Reason: strings.Repeat("r", seat.MaxReason)}}},
	}
	for cause := seat.ByClaim; cause <= seat.ByStaff; cause++ {
		events = append(events, holdfast.Event{Seat: seat.Event{Kind: seat.SeatFreed, Was: seat.Seated, Cause: cause, Pool: "p", Person: "q"}})
	}
	for i := range events {
		events[i].Seq, events[i].At = uint64(i)+41, someTime+seat.Time(i)
		if events[i].Kind() != holdfast.Started {
			events[i].Realm = "spring"
		}
	}
	events[len(events)-1].At = 1 << 62
	return events
}

func encode(events []holdfast.Event) *holdfast.Batch {
	var b holdfast.Batch
	for i := range events {
		b.Append(&events[i])
	}
	return &b
}

func decode(t *testing.T, b *holdfast.Batch) (events []holdfast.Event) {
	t.Helper()
	err := holdfast.Decode(b.First, b.Count, b.Bytes, func(e *holdfast.Event) error {
		events = append(events, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestCodecRoundTrip(t *testing.T) {
	t.Parallel()
	events := everyEvent()
	batch := encode(events)
	if batch.First != 41 || batch.Count != len(events) {
		t.Fatalf("first %d, count %d", batch.First, batch.Count)
	}
	for i, got := range decode(t, batch) {
		if !reflect.DeepEqual(got, events[i]) {
			t.Errorf("event %d\n%+v came back as\n%+v", i, events[i], got)
		}
	}
}

// TestEveryFieldIsCoded takes care that a field added to an event is not forgotten by the codec: set alone, it must come back.
func TestEveryFieldIsCoded(t *testing.T) {
	t.Parallel()
	all := everyEvent()
	for _, what := range []any{holdfast.Event{}, seat.Event{}, seat.Config{}, seat.Limits{}, desk.Event{}, desk.Config{}, desk.Profile{}, desk.Ask{}} {
		typ := reflect.TypeOf(what)
		for i := range typ.NumField() {
			set := false
			for _, e := range all {
				v := part(&e, typ)
				set = set || v.IsValid() && !v.Field(i).IsZero()
			}
			if !set {
				t.Errorf("no example of %s.%s: the round trip does not test it", typ, typ.Field(i).Name)
			}
		}
	}
}

// part gives that part of e which is a typ; it is not valid where e has none.
func part(e *holdfast.Event, typ reflect.Type) reflect.Value {
	desks := e.Desk
	if desks == nil {
		desks = &desk.Event{}
	}
	switch typ {
	case reflect.TypeFor[seat.Event]():
		return reflect.ValueOf(e.Seat)
	case reflect.TypeFor[seat.Config]():
		return reflect.ValueOf(e.Seat.Config).Elem()
	case reflect.TypeFor[seat.Limits]():
		return reflect.ValueOf(e.Limits).Elem()
	case reflect.TypeFor[desk.Event]():
		return reflect.ValueOf(*desks)
	case reflect.TypeFor[desk.Config]():
		return reflect.ValueOf(desks.Config).Elem()
	case reflect.TypeFor[desk.Profile]():
		return reflect.ValueOf(desks.Profile).Elem()
	case reflect.TypeFor[desk.Ask]():
		return reflect.ValueOf(desks.Ask).Elem()
	}
	return reflect.ValueOf(*e)
}

// TestMaxEvent: the largest event of each kind is no larger than MaxEvent says.
func TestMaxEvent(t *testing.T) {
	t.Parallel()
	id, text := strings.Repeat("x", seat.MaxID), strings.Repeat("r", seat.MaxReason)
	config := &seat.Config{
		Capacity: seat.MaxCapacity, Waitlist: number(math.MaxUint32), OpensAt: 1, ClosesAt: 253_402_300_799_999_999,
		PromoteUntil: 253_402_300_799_999_999, Promotion: seat.Offer, AnswerWithin: 90 * 24 * time.Hour, Group: id,
		Order: seat.Lottery, SeedHash: [32]byte{1},
		Data: `"` + strings.Repeat("d", seat.MaxData-2) + `"`,
	}
	if err := config.Valid(); err != nil {
		t.Fatal(err)
	}
	for _, e := range []seat.Event{
		{Kind: seat.PoolPut, Pool: id, Config: config},
		{Kind: seat.SeatTaken, Cause: seat.ByStaff, Seat: math.MaxUint32, Pool: id, Person: id, Swap: id, Staff: seat.Staff{By: text, Reason: text}},
		{Kind: seat.SeatOffered, Cause: seat.ByStaff, Seat: math.MaxUint32, Deadline: 1 << 62, Pool: id, Person: id, Swap: id, Staff: seat.Staff{By: text, Reason: text}},
	} {
		b := encode([]holdfast.Event{{Seq: math.MaxUint64, At: 1 << 62, Realm: id, Seat: e}})
		if len(b.Bytes) > holdfast.MaxEvent {
			t.Errorf("%s takes %d bytes, MaxEvent is %d", e.Kind, len(b.Bytes), holdfast.MaxEvent)
		}
		decode(t, b)
	}
	for _, e := range largestDeskEvents() {
		b := encode([]holdfast.Event{{Seq: math.MaxUint64, At: 1 << 62, Realm: id, Seat: seat.Event{Kind: seat.Kind(e.Kind)}, Desk: &e}})
		if len(b.Bytes) > holdfast.MaxEvent {
			t.Errorf("%s takes %d bytes, MaxEvent is %d", e.Kind, len(b.Bytes), holdfast.MaxEvent)
		}
		decode(t, b)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	events := everyEvent()
	whole := encode(events)
	for count := 1; count < len(events); count++ {
		head := encode(events)
		size := len(encode(events[:count]).Bytes)
		tail := head.Split(count, size)
		got := append(decode(t, head), decode(t, &tail)...)
		if head.Count != count || tail.First != whole.First+uint64(count) || !reflect.DeepEqual(got, events) {
			t.Errorf("split behind %d: %d and %d events, the second begins at %d", count, head.Count, tail.Count, tail.First)
		}
	}
}

// TestBatchReset: a batch used again has nothing of what it was.
func TestBatchReset(t *testing.T) {
	t.Parallel()
	events := everyEvent()
	b := encode(events)
	b.Reset()
	b.Append(&events[2])
	if want := encode(events[2:3]); b.First != events[2].Seq || b.Count != 1 || !bytes.Equal(b.Bytes, want.Bytes) {
		t.Errorf("%+v, wanted %+v", b, want)
	}
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; -update writes it anew:\n%s", name, got)
	}
}

func TestJSONForm(t *testing.T) {
	t.Parallel()
	var lines []byte
	for _, e := range everyEvent() {
		if len(e.Seat.By) > 100 || len(e.Seat.Pool) > 100 {
			continue // long, and like the others
		}
		if e.Desk != nil && len(e.Desk.By)+len(e.Desk.Desk) > 100 {
			continue
		}
		line := e.AppendJSON(nil)
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
		if body := append(e.AppendBodyJSON([]byte("{")), '}'); !json.Valid(body) {
			t.Errorf("not JSON: %s", body)
		}
		lines = append(append(lines, line...), '\n')
	}
	golden(t, "events.json", lines)
}

// TestLogVersion1 keeps every log readable: the bytes in testdata were written by the first version and are never
// written anew. A new codec adds its own file.
func TestLogVersion1(t *testing.T) {
	t.Parallel()
	keepsBytes(t, "log-version-1.hex", firstEvents())
}

// TestLotteryLog does the same for what the lottery added: new kinds, and a flag, within version 1.
func TestLotteryLog(t *testing.T) {
	t.Parallel()
	keepsBytes(t, "log-lottery.hex", lotteryEvents(41))
}

// TestDeskLog does the same for what the desks added.
func TestDeskLog(t *testing.T) {
	t.Parallel()
	keepsBytes(t, "log-desk.hex", deskEvents(41))
}

func keepsBytes(t *testing.T, file string, events []holdfast.Event) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if _, err := os.Stat(path); os.IsNotExist(err) && *update {
		if err := os.WriteFile(path, []byte(dump(encode(events))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	got := decode(t, &holdfast.Batch{First: 41, Count: len(events), Bytes: stored})
	if !reflect.DeepEqual(got, events) {
		t.Errorf("the stored log is read as\n%+v", got)
	}
	if now := encode(events).Bytes; !bytes.Equal(now, stored) {
		t.Errorf("this version writes other bytes than those that are stored but calls itself version 1:\n%s", dump(encode(events)))
	}
}

// dump writes 32 bytes to a line.
func dump(b *holdfast.Batch) string {
	var out strings.Builder
	for i := 0; i < len(b.Bytes); i += 32 {
		fmt.Fprintf(&out, "%x\n", b.Bytes[i:min(i+32, len(b.Bytes))])
	}
	return out.String()
}

// TestDecodeRefuses what is damaged, and says where.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := encode(everyEvent())
	none := func(*holdfast.Event) error { return nil }
	for name, change := range map[string]func(b *holdfast.Batch){
		"empty":           func(b *holdfast.Batch) { b.Bytes = nil },
		"another version": func(b *holdfast.Batch) { b.Bytes[0] = 2 },
		"one event less":  func(b *holdfast.Batch) { b.Count-- },
		"one event more":  func(b *holdfast.Batch) { b.Count++ },
		"unknown kind":    func(b *holdfast.Batch) { b.Bytes[2] = 15 },
		"time before 1970": func(b *holdfast.Batch) {
			b.Bytes[10] = 0x80
		},
		"cut short":     func(b *holdfast.Batch) { b.Bytes = b.Bytes[:len(b.Bytes)-1] },
		"a byte behind": func(b *holdfast.Batch) { b.Bytes = append(b.Bytes, 0) },
	} {
		b := holdfast.Batch{First: good.First, Count: good.Count, Bytes: bytes.Clone(good.Bytes)}
		change(&b)
		if err := holdfast.Decode(b.First, b.Count, b.Bytes, none); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	stop := fmt.Errorf("enough")
	if err := holdfast.Decode(good.First, good.Count, good.Bytes, func(*holdfast.Event) error { return stop }); err != stop {
		t.Errorf("the caller's error came back as %v", err)
	}
}
