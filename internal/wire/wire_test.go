package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/seat"
)

// FuzzDecode: what is accepted is JSON, means what encoding/json takes it for, and is accepted again from its own bytes;
// what is refused and yet JSON has one of the named faults. And nothing panics.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "a" : [1, -0.5e+3, true, null, "x\u00e9\ud83d\ude00\n"] } `, `{"a":1,"a":1}`, `{"a":"\ud800"}`, "\"\xff\"", `[[[[]]]]`,
		`{"person":"ann","mode":"all","items":[{"pool":"c1","swap":"c2","if_seq":3}]}`,
		`{"topics":["tax"],"policy":"queue","queue_limit":7,"max_wait_ms":2000,"single_device":true,"on_lost":"close","state":"online","reason":"r","by":"b"}`,
		`{"client":"zoe","topic":"tax","priority":9,"data":"x","key":"k","reach":"push"}`,
		`{"capacity":30,"waitlist":0,"opens_at":"2026-09-01T08:00:00Z","promotion":"offer","answer_seconds":60,"group":"g","data":{"x":[1]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		v, err := parse(in)
		if err != nil {
			var invalid *seat.Invalid
			if !errors.As(err, &invalid) || invalid.Field == "" || invalid.Problem == "" {
				t.Fatalf("%q: %v", in, err)
			}
			faults := []string{"twice", "deeper", "UTF-8", "surrogate", "NUL"}
			if json.Valid([]byte(in)) && !containsAny(invalid.Problem, faults) {
				t.Fatalf("%q is JSON, but: %v", in, err)
			}
		} else {
			checkMeaning(t, in, &v)
		}
		// The messages themselves: no panic, and what is accepted is valid.
		body := []byte(in)
		if c, err := ParsePool("p", body); err == nil && c.Valid() != nil {
			t.Errorf("ParsePool(%q) is not valid: %v", in, c.Valid())
		}
		if c, err := ParseBasket(body); err == nil && c.Valid() != nil {
			t.Errorf("ParseBasket(%q) is not valid: %v", in, c.Valid())
		}
		if c, err := ParseDesk("d", body); err == nil && c.Valid() != nil {
			t.Errorf("ParseDesk(%q) is not valid: %v", in, c.Valid())
		}
		ParseAgent("d", "a", body)
		ParseState(body)
		ParseAsk("d", body)
		ParseParties(body)
		ParseRealm(body)
		ParseIf(body)
		ParseAccept("p", "x", body)
		ParseOverride("p", "x", body)
		DecodeAnswer(200, body)
		DecodeAnswer(409, body)
		DecodeBasket(200, body)
	})
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func checkMeaning(t *testing.T, in string, v *value) {
	t.Helper()
	want := decodeAny(t, []byte(in))
	if got := v.any(); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q means %#v, encoding/json says %#v", in, got, want)
	}
	again, err := parse(v.raw)
	if err != nil || !reflect.DeepEqual(again.any(), want) {
		t.Fatalf("%q again: %v", v.raw, err)
	}
}

func decodeAny(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q was accepted and is not JSON: %v", b, err)
	}
	return v
}

// any is v as encoding/json would give it.
func (v *value) any() any {
	switch v.kind {
	case boolean:
		return v.text == "true"
	case number:
		return json.Number(v.text)
	case text:
		return v.text
	case array:
		list := make([]any, len(v.members))
		for i := range v.members {
			list[i] = v.members[i].any()
		}
		return list
	case object:
		m := map[string]any{}
		for i := range v.members {
			m[v.names[i]] = v.members[i].any()
		}
		return m
	}
	return nil
}

func full(n uint32) *uint32 { return &n }

// TestPoolRoundTrip: what a pool shows can be put again and means the same.
func TestPoolRoundTrip(t *testing.T) {
	for _, c := range []seat.Config{
		{},
		{Capacity: 1, Waitlist: full(0)},
		{Capacity: seat.MaxCapacity, Waitlist: full(7), OpensAt: 1_000_001, ClosesAt: 2_000_002, PromoteUntil: 3_000_003,
			Promotion: seat.Offer, AnswerWithin: time.Hour, Group: "g:1", Data: `{"a":[1,"<&>é"]}`},
	} {
		form, err := c.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParsePool("p", form)
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		var same, want any
		if c.Data != "" { // the event's form escapes what HTML would take for its own; the value is the same
			json.Unmarshal([]byte(back.Config.Data), &same)
			json.Unmarshal([]byte(c.Data), &want)
			back.Config.Data = c.Data
		}
		if !reflect.DeepEqual(back.Config, c) || !reflect.DeepEqual(same, want) {
			t.Errorf("%s came back as %+v", form, back.Config)
		}
		view := AppendPool(nil, "r", &seat.PoolView{Name: "p", Config: c, Seq: 3}, Stamp{Confirmed, 4, 5})
		if !json.Valid(view) {
			t.Errorf("not JSON: %s", view)
		}
	}
}

// TestAnswerRoundTrip: a client reads back every member of an answer.
func TestAnswerRoundTrip(t *testing.T) {
	st := seat.Standing{Status: seat.Offered, Pool: "p", Seat: 1, Position: 2, Ticket: 3, Deadline: 4_000_000, Swap: "q", Blocked: seat.HeldInGroup, Seq: 5, At: 6}
	for d, want := range map[Durability]Answer{
		Recorded: {Realm: "r", Pool: "p", Person: "x", Status: "offered", Seat: 1, Position: 2, Ticket: 3, Offer: 5, Deadline: 4_000_000,
			Swap: "q", Blocked: "group", Durability: Recorded, Seq: 5, AsOf: 7, At: 6},
		Preapproved: {Realm: "r", Pool: "p", Person: "x", Status: "offered", Seat: 1, Position: 2, Ticket: 3, Deadline: 4_000_000,
			Swap: "q", Blocked: "group", Durability: Preapproved, AsOf: 7, At: 6},
	} {
		got, err := DecodeAnswer(200, AppendAnswer(nil, "r", "x", &st, Stamp{d, 7, 8}))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", d, err, got, want)
		}
	}
	if _, err := DecodeAnswer(200, []byte(`{"ok":true}`)); err == nil {
		t.Error("anything is an answer")
	}
	if _, err := DecodeAnswer(502, []byte(`<html>`)); err == nil {
		t.Error("anything is a problem")
	}
}

// TestProblemRoundTrip: and of a refusal.
func TestProblemRoundTrip(t *testing.T) {
	for _, r := range []seat.Refusal{
		{Code: seat.NotOpen, Time: 9}, {Code: seat.Closed, Time: 9}, {Code: seat.HeldInGroup, Pool: "q"}, {Code: seat.LimitSeats, Limit: 3},
		{Code: seat.Mismatch, Seq: 4}, {Code: seat.UnknownPool, Pool: "p"}, {Code: "of a later version"},
	} {
		want := Refused(&r, "p")
		want.Realm, want.Person, want.Detail = "r", "x", "it's \"so\" <&> é\n"
		want.Durability, want.AsOf, want.At = Confirmed, 10, 11
		want.Type = ProblemType + string(r.Code)
		a, err := DecodeAnswer(want.Status, want.Append(nil))
		if err != nil || a.Refused == nil || !reflect.DeepEqual(*a.Refused, want) || a.Durability != Confirmed || a.Person != "x" {
			t.Errorf("%s: %v\n got %+v\nwant %+v", r.Code, err, a.Refused, want)
		}
	}
}

// TestBasketRoundTrip: and of a basket, taken and refused.
func TestBasketRoundTrip(t *testing.T) {
	c := seat.Basket{Person: "x", Mode: seat.All, Items: []seat.Item{{Pool: "p"}, {Pool: "q"}}}
	items := []seat.Result{{Standing: seat.Standing{Status: seat.Seated, Pool: "p", Seat: 1, Seq: 2, At: 3}}, {Refusal: seat.Refusal{Code: seat.HeldInGroup, Pool: "p"}}}
	want := []Answer{{Pool: "p", Status: "seated", Seat: 1, Seq: 2, At: 3}, {Pool: "q", Refused: &Problem{Code: "group", HeldPool: "p"}}}
	got, err := DecodeBasket(200, AppendBasket(nil, "r", &c, items, Stamp{Confirmed, 4, 5}))
	if err != nil || !reflect.DeepEqual(got, BasketAnswer{"r", "x", "all", want, Confirmed, 4, 5, nil}) {
		t.Errorf("%v %+v", err, got)
	}
	p := Refused(&items[1].Refusal, "q")
	p.Realm, p.Person, p.Durability, p.At = "r", "x", Confirmed, 5
	got, err = DecodeBasket(p.Status, p.AppendRefusedBasket(nil, &c, items))
	if err != nil || got.Refused == nil || got.Refused.Code != "group" || !reflect.DeepEqual(got.Items, want) {
		t.Errorf("%v %+v", err, got)
	}
}

// TestTime: AppendTime is seat.Time's own text.
func TestTime(t *testing.T) {
	for _, at := range []seat.Time{0, 1, 999_999, 1_700_000_000_123_456, seat.TimeOf(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), seat.TimeOf(time.Date(2024, 2, 29, 1, 2, 3, 4000, time.UTC))} {
		want, _ := at.AppendText(nil)
		if got := AppendTime(nil, "", at); string(got) != string(want)+`"` {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestCodes: the table has every code of the rules, each once, with what a client needs.
func TestCodes(t *testing.T) {
	seen := map[holdfast.Code]bool{}
	for _, m := range Codes() {
		if seen[m.Code] || m.Title == "" || http.StatusText(m.Status) == "" {
			t.Errorf("%+v", m)
		}
		seen[m.Code] = true
	}
	for _, c := range []holdfast.Code{seat.NotOpen, seat.Closed, seat.Full, seat.LimitSeats, seat.HeldInGroup, seat.Mismatch, seat.NoOffer,
		seat.NoSeat, seat.SwapPending, seat.Conflict, seat.UnknownPool, seat.NotAll, holdfast.UnknownRealm} {
		if !seen[c] || Mean(c).Detail == "" {
			t.Errorf("the table lacks %s", c)
		}
	}
}

func BenchmarkAppendAnswer(b *testing.B) {
	st := seat.Standing{Status: seat.Waiting, Pool: "c0101", Position: 57, Ticket: 57, Seq: 4711, At: 1_700_000_000_123_456}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendAnswer(buf[:0], "spring", "s00017", &st, Stamp{Confirmed, 4711, st.At})
	}
}
