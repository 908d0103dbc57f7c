package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"holdfast/seat"
)

// one reads a frame that has one message.
func one(t *testing.T, frame string) (m Message, err error) {
	t.Helper()
	n := 0
	if fatal := ParseMessages([]byte(frame), func(got *Message, e error) { m, err, n = *got, e, n+1 }); fatal != nil || n != 1 {
		t.Fatalf("%q: %d messages, %v", frame, n, fatal)
	}
	return m, err
}

// TestMessages: each command has its members and no other, and what is wrong is named.
func TestMessages(t *testing.T) {
	for _, good := range []string{
		`{"id":1,"do":"hello"}`, `{"id":1,"do":"hello","token":"t","person":"x","log":"9f","seq":4711}`, `{"id":1,"do":"hello","ticket":"t"}`,
		`{"id":9007199254740991,"do":"claim","pool":"p","as":"x","if_seq":0,"quiet":true,"recorded":false}`, `{"id":1,"do":"release","pool":"p"}`,
		`{"id":1,"do":"accept","pool":"p","offer":7}`, `{"id":1,"do":"basket","mode":"all","items":[{"pool":"p","swap":"q","if_seq":3}]}`,
		`{"id":1,"do":"swap","pool":"p","swap":"q","if_seq":3}`, `{"id":1,"do":"standing"}`, `{"id":1,"do":"standing","pool":"p","as":"x"}`,
		`{"id":1,"do":"subscribe","pool":"p"}`, `{"id":1,"do":"subscribe","pools":["p","q"]}`, `{"id":1,"do":"subscribe","as":"x","log":"9f","seq":1}`,
		`{"id":1,"do":"unsubscribe","as":"x"}`, `{"id":1,"do":"ping"}`, "\r\n\t {\"do\":\"ping\" , \"id\" : 1}\n",
	} {
		if _, err := one(t, good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, field := range map[string]string{
		`{"id":1}`: "do", `{"id":1,"do":"clam"}`: "do", `{"id":1,"do":7}`: "do", `{"id":1,"do":"ping","pool":"p"}`: "pool", `{"id":1,"do":"claim"}`: "pool",
		`{"id":1,"do":"claim","pool":""}`: "pool", `{"id":1,"do":"claim","pool":"p","offer":1}`: "offer", `{"id":1,"do":"claim","pool":"p","as":""}`: "as",
		`{"id":1,"do":"claim","pool":"p","if_seq":-1}`: "if_seq", `{"id":1,"do":"claim","pool":"p","quiet":"yes"}`: "quiet", `{"id":1,"do":"claim","pool":"p","quiet":null}`: "quiet",
		`{"id":1,"do":"accept","pool":"p"}`: "offer", `{"id":1,"do":"swap","pool":"p"}`: "swap", `{"id":1,"do":"basket","mode":"some","items":[{"pool":"p"}]}`: "mode",
		`{"id":1,"do":"basket","mode":"all","items":[{"pol":"p"}]}`: "items[0].pol", `{"id":1,"do":"hello","seq":3}`: "log", `{"id":1,"do":"hello","token":""}`: "token",
		`{"id":1,"do":"subscribe"}`: "pool", `{"id":1,"do":"subscribe","pools":[]}`: "pools", `{"id":1,"do":"subscribe","pools":[1]}`: "pools[0]",
		`{"id":1,"do":"subscribe","pools":["a b"]}`: "pool", `{"id":1,"do":"subscribe","as":"x","pool":"p"}`: "as", `{"id":1,"do":"unsubscribe","as":"x","seq":1}`: "seq",
		`{"id":1,"do":"subscribe","pools":[` + strings.Repeat(`"p",`, 64) + `"p"]}`: "pools",
	} {
		m, err := one(t, bad)
		var invalid *seat.Invalid
		if !errors.As(err, &invalid) || invalid.Field != field || m.ID != 1 {
			t.Errorf("%s: id %d, %v, want the field %s", bad, m.ID, err, field)
		}
	}
	// From what cannot be read or answered on, nothing is; what stood before it counts.
	for frame, before := range map[string]int{
		``: 0, ` `: 0, `x`: 0, `[]`: 0, `{"do":"ping"}`: 0, `{"id":0,"do":"ping"}`: 0, `{"id":9007199254740992,"do":"ping"}`: 0, `{"id":"1","do":"ping"}`: 0,
		`{"id":1,"id":1,"do":"ping"}`: 0, "{\"id\":1,\"do\":\"\xff\"}": 0, `{"id":1,"do":"ping"}{`: 1, `{"id":1,"do":"ping"} {"id":2,"do":"ping"},`: 2, `{"id":1.5,"do":"ping"}`: 0,
	} {
		n := 0
		if err := ParseMessages([]byte(frame), func(*Message, error) { n++ }); err == nil || n != before {
			t.Errorf("%q: %d messages and %v", frame, n, err)
		}
	}
}

// TestReplies: what is appended is JSON with the reply first.
func TestReplies(t *testing.T) {
	p := New(Malformed, "x")
	h := Hello{Reply: 7, Realm: "r", Role: "person", Person: "x", Log: "9f", AsOf: 3, Time: 4, PingMS: 20_000}
	for _, b := range [][]byte{AppendReply(nil, 7, p.Append), AppendDone(nil, 7, DoSubscribe), AppendPing(nil, 7, 1), AppendRecorded(nil, 7, 4), h.Append(nil)} {
		var m struct{ Reply uint64 }
		if err := json.Unmarshal(b, &m); err != nil || m.Reply != 7 || !strings.HasPrefix(string(b), `{"reply":7,`) {
			t.Errorf("%s: %v", b, err)
		}
	}
	var back Hello
	if err := json.Unmarshal(h.Append(nil), &back); err != nil || back.Do != DoHello || back.Person != "x" || back.PingMS != 20_000 || back.Time != 4 {
		t.Errorf("%+v %v", back, err)
	}
	if b := AppendReply(nil, 0, p.Append); !strings.HasPrefix(string(b), `{"reply":null,"type":`) {
		t.Errorf("%s", b)
	}
}

// TestClosings: each close code once, with a code that the other table has; those that are for good are in 4400 to 4499 or the library's own.
func TestClosings(t *testing.T) {
	seen := map[int]bool{}
	for _, c := range Closings() {
		if seen[c.Close] || c.Close < 1000 || c.Close > 4999 {
			t.Errorf("%+v", c)
		}
		seen[c.Close] = true
		if c.Code != "" && Mean(c.Code).Status != c.Status {
			t.Errorf("%d is %s, which is %d over HTTP, not %d", c.Close, c.Code, Mean(c.Code).Status, c.Status)
		}
		if Returns(c.Close) != c.Again {
			t.Errorf("%d: Returns says %v", c.Close, !c.Again)
		}
	}
	for code, again := range map[int]bool{1006: true, 1011: true, 4499: false, 4402: false, 4599: true, 3000: true, CloseStranger: true, CloseUnauthorized: false} {
		if Returns(code) != again {
			t.Errorf("%d: %v", code, !again)
		}
	}
}

// FuzzMessages: nothing panics; each message that is told has an id; one that is right makes a command that is checked; and what was read is read
// the same from its own frame.
func FuzzMessages(f *testing.F) {
	for _, seed := range []string{`{"id":1,"do":"hello","token":"t"}`, `{"id":1,"do":"claim","pool":"p"} {"id":2,"do":"swap","pool":"p","swap":"q"}`,
		`{"id":1,"do":"basket","mode":"all","items":[{"pool":"p"}]}`, `{"id":1,"do":"subscribe","pools":["p"]}`, `{"id":1,"do":"accept","pool":"p","offer":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, frame string) {
		n := 0
		err := ParseMessages([]byte(frame), func(m *Message, err error) {
			n++
			if m.ID < 1 || m.ID > MaxMessageID {
				t.Fatalf("%q: id %d", frame, m.ID)
			}
			var invalid *seat.Invalid
			if err != nil && (!errors.As(err, &invalid) || invalid.Field == "") {
				t.Fatalf("%q: %v", frame, err)
			}
			if err != nil {
				return
			}
			if body, err := m.Command("x"); err == nil && body.Valid() != nil {
				t.Fatalf("%q: %+v is not valid", frame, body)
			}
			if len(m.Pools) > MaxPools+1 || len(m.Items) > seat.MaxBasket {
				t.Fatalf("%q: more than may be", frame)
			}
		})
		if err == nil && n == 0 {
			t.Fatalf("%q: nothing, and no error", frame)
		}
	})
}

func BenchmarkParseMessages(b *testing.B) {
	frame := []byte(`{"id":17,"do":"claim","pool":"c0101","if_seq":0,"quiet":true}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseMessages(frame, func(m *Message, err error) {}); err != nil {
			b.Fatal(err)
		}
	}
}
