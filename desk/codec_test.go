package desk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/desk"
)

// documented is what each kind has beside Desk, as its comment in event.go says.
var documented = map[desk.Kind]string{
	desk.DeskPut:            "Config",
	desk.AgentPut:           "Agent Profile",
	desk.AgentRemoved:       "Agent By Reason",
	desk.AgentConnected:     "Agent Conn Receipt",
	desk.AgentDisconnected:  "Agent Conn Cause Until",
	desk.AgentOnline:        "Agent State",
	desk.AgentPaused:        "Agent Cause By Reason",
	desk.AgentOffline:       "Agent Cause By Reason",
	desk.AgentReady:         "Agent",
	desk.AgentHeard:         "Agent",
	desk.RequestMade:        "Client Ask Conn Until",
	desk.ClientConnected:    "Client Request Conn",
	desk.ClientDisconnected: "Client Request Conn Cause Until",
	desk.OfferMade:          "Request Agent Client Until Receipt",
	desk.OfferReceived:      "Offer Request Agent",
	desk.OfferAccepted:      "Offer Request Agent Client Conn Until",
	desk.OfferEnded:         "Offer Request Agent Outcome Cause Reason By State Place Until",
	desk.SessionFinished:    "Session Request Agent Client Then Cause Reason By State Place Until",
	desk.RequestEnded:       "Request Client Then Cause Reason By",
}

// some draws an event of a kind with every field that it has.
func some(rng *rand.Rand, kind desk.Kind) desk.Event {
	e := desk.Event{Kind: kind, Who: desk.Who{Desk: someID(rng)}}
	for _, field := range strings.Fields(documented[kind]) {
		v := reflect.ValueOf(&e).Elem().FieldByName(field)
		switch field {
		case "Agent", "Client":
			v.SetString(someID(rng))
		case "By", "Reason":
			v.SetString(strings.Repeat("<\"ö>\n", rng.IntN(150)))
		case "Request", "Offer", "Session", "Conn":
			v.SetUint(rng.Uint64() >> rng.IntN(64))
		case "Until", "Receipt":
			v.SetInt(rng.Int64N(1<<62+1) >> rng.IntN(62))
		case "Cause":
			e.Cause = desk.Cause(rng.IntN(int(desk.ByNoShow) + 1))
		case "Outcome":
			e.Outcome = desk.OfferState(rng.IntN(desk.OfferStates))
		case "Then":
			e.Then = desk.RequestState(rng.IntN(desk.RequestStates))
		case "State":
			e.State = desk.AgentState(rng.IntN(desk.AgentStates))
		case "Place":
			if e.State == desk.Idle {
				e.Place = desk.Place(rng.IntN(int(desk.KeptMute) + 1))
			}
		case "Config":
			e.Config = someConfig(rng)
		case "Profile":
			e.Profile = &desk.Profile{Topics: someTopics(rng), Reach: desk.Reach(rng.IntN(2))}
		case "Ask":
			e.Ask = &desk.Ask{Topic: someID(rng)[rng.IntN(2):], Priority: uint8(rng.IntN(desk.MaxPriority + 1)),
				Data: strings.Repeat("{ä}", rng.IntN(250)), Key: someID(rng)[rng.IntN(2):], Reach: desk.Reach(rng.IntN(2))}
		default:
			panic(field)
		}
	}
	return e
}

func someID(rng *rand.Rand) string { return strings.Repeat("a", rng.IntN(desk.MaxID)+1) }

func someTopics(rng *rand.Rand) (topics []string) {
	for n := range rng.IntN(desk.MaxTopics + 1) {
		topics = append(topics, fmt.Sprint("t", n))
	}
	return topics
}

func someConfig(rng *rand.Rand) *desk.Config {
	c := desk.DefaultConfig()
	c.Topics = someTopics(rng)
	c.Policy = desk.Policy(rng.IntN(2))
	if c.Policy == desk.Queue {
		c.QueueLimit = 1 + rng.Uint32N(desk.MaxQueue)
	}
	for _, span := range []*time.Duration{&c.IdleGrace, &c.InitGrace, &c.BusyGrace, &c.ClientGrace, &c.JoinWithin, &c.RejectPause,
		&c.MissPause, &c.WrapUp, &c.RestartGrace} {
		*span = time.Duration(rng.IntN(3_600_001)) * time.Millisecond
	}
	c.MaxWait = time.Duration(1000+rng.IntN(86_399_001)) * time.Millisecond
	c.OfferTime = time.Duration(1000+rng.IntN(899_001)) * time.Millisecond
	c.Receipt = time.Duration(100+rng.IntN(900)) * time.Millisecond
	c.PushReceipt = c.OfferTime * time.Duration(rng.IntN(2))
	c.WarmUp = time.Duration(rng.IntN(60_001)) * time.Millisecond
	c.Misses, c.MaxAttempts = rng.Uint32N(101), 1+rng.Uint32N(desk.MaxAttempts)
	c.SingleDevice, c.OnLost = rng.IntN(2) == 1, desk.Lost(rng.IntN(2))
	return &c
}

// TestCodec: what is encoded comes back; nothing shorter or longer does.
func TestCodec(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	kinds := 0
	for kind := desk.Kind(0); kind < 255; kind++ {
		_, known := documented[kind]
		if known != desk.Owns(kind) {
			t.Errorf("%d is a kind: %v", kind, !known)
		}
		if !known {
			if (&desk.Event{}).DecodeBody(kind, "\x01a\x01a") == nil {
				t.Errorf("the unknown kind %d is decoded", kind)
			}
			continue
		}
		kinds++
		for range 200 {
			e := some(rng, kind)
			body := string(e.AppendBody(nil))
			var back desk.Event
			if err := back.DecodeBody(kind, body); err != nil || !reflect.DeepEqual(back, e) {
				t.Fatalf("%s: %v\n%+v came back as\n%+v", kind, err, e, back)
			}
			for _, damaged := range []string{body[:rng.IntN(len(body))], body[:len(body)-1], body + "\x00"} {
				if back.DecodeBody(kind, damaged) == nil {
					t.Fatalf("%s: %d bytes are accepted as %d", kind, len(body), len(damaged))
				}
			}
			text := append(e.AppendJSON([]byte("{")), '}')
			var members map[string]any
			if err := json.Unmarshal(text, &members); err != nil || members["desk"] != e.Desk {
				t.Fatalf("%s: %v: %s", kind, err, text)
			}
		}
	}
	if kinds != len(documented) || kinds != 19 {
		t.Errorf("%d kinds", kinds)
	}
}

// TestDecodeRange: a number without a name is refused, as is a place of somebody who is not idle.
func TestDecodeRange(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]desk.Event{
		"cause":        {Kind: desk.AgentPaused, Cause: desk.ByNoShow + 1},
		"outcome":      {Kind: desk.OfferEnded, Outcome: desk.Revoked + 1},
		"then":         {Kind: desk.RequestEnded, Then: desk.Aborted + 1},
		"state":        {Kind: desk.AgentOnline, Turned: desk.Turned{State: desk.Busy + 1}},
		"place":        {Kind: desk.OfferEnded, Turned: desk.Turned{State: desk.Idle, Place: desk.KeptMute + 1}},
		"place, busy":  {Kind: desk.OfferEnded, Turned: desk.Turned{State: desk.Busy, Place: desk.Back}},
		"until":        {Kind: desk.OfferMade, Until: -1},
		"reason":       {Kind: desk.AgentOffline, Staff: desk.Staff{Reason: strings.Repeat("r", desk.MaxReason+1)}},
		"by":           {Kind: desk.AgentRemoved, Staff: desk.Staff{By: strings.Repeat("r", desk.MaxReason+1)}},
		"agent":        {Kind: desk.AgentReady, Who: desk.Who{Agent: strings.Repeat("a", desk.MaxID+1)}},
		"config":       {Kind: desk.DeskPut, Content: desk.Content{Config: &desk.Config{}}},
		"profile":      {Kind: desk.AgentPut, Content: desk.Content{Profile: &desk.Profile{Reach: 2}}},
		"topics":       {Kind: desk.AgentPut, Content: desk.Content{Profile: &desk.Profile{Topics: []string{"a", "a"}}}},
		"many topics":  {Kind: desk.AgentPut, Content: desk.Content{Profile: &desk.Profile{Topics: make([]string, desk.MaxTopics+1)}}},
		"ask priority": {Kind: desk.RequestMade, Content: desk.Content{Ask: &desk.Ask{Priority: 10}}},
		"ask data":     {Kind: desk.RequestMade, Content: desk.Content{Ask: &desk.Ask{Data: "\xff"}}},
	} {
		if (&desk.Event{}).DecodeBody(e.Kind, string(e.AppendBody(nil))) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	config := desk.DefaultConfig()
	e := desk.Event{Kind: desk.DeskPut, Content: desk.Content{Config: &config}}
	body := e.AppendBody(nil)
	for i, is := range body { // a flag is 0 or 1, and the rest is in its range
		for _, to := range []byte{2, 0xff} {
			body[i] = to
			var back desk.Event
			if back.DecodeBody(desk.DeskPut, string(body)) == nil && !bytes.Equal(back.AppendBody(nil), body) {
				t.Errorf("byte %d as %d is accepted, and written otherwise", i, to)
			}
		}
		body[i] = is
	}
}

// TestMembers: each kind has its members in the JSON form, by the names that the wire has.
func TestMembers(t *testing.T) {
	t.Parallel()
	names := map[string]string{"Conn": "connection", "Then": "request_state", "Ask": "topic priority data key reach", "Profile": "topics reach"}
	rng := rand.New(rand.NewPCG(3, 4))
	for kind, fields := range documented {
		for range 50 {
			e := some(rng, kind)
			var members map[string]json.RawMessage
			if err := json.Unmarshal(append(e.AppendJSON([]byte("{")), '}'), &members); err != nil {
				t.Fatal(err)
			}
			may := []string{"desk"}
			for _, field := range strings.Fields(fields) {
				name := strings.ToLower(field)
				if names[field] != "" {
					name = names[field]
				}
				if kind == desk.OfferMade && field == "Until" {
					name = "deadline"
				}
				may = append(may, strings.Fields(name)...)
			}
			for name := range members {
				if !slices.Contains(may, name) {
					t.Fatalf("%s has the member %s", kind, name)
				}
			}
			for _, name := range may {
				if _, ok := members[name]; !ok && !slices.Contains([]string{"by", "reason", "place", "cause", "topics", "topic", "data", "key",
					"until", "receipt", "deadline", "request", "offer", "session", "connection"}, name) {
					t.Fatalf("%s lacks the member %s: %+v", kind, name, e)
				}
			}
		}
	}
}

// FuzzDecodeBody: no bytes make DecodeBody panic, and what it accepts it would write itself.
func FuzzDecodeBody(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for kind := range documented {
		for range 3 {
			e := some(rng, kind)
			f.Add(uint8(kind), string(e.AppendBody(nil)))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body string) {
		var e, again desk.Event
		if e.DecodeBody(desk.Kind(kind), body) != nil {
			return
		}
		if got := string(e.AppendBody(nil)); got != body {
			t.Fatalf("accepted\n%x, written again as\n%x", body, got)
		}
		if err := again.DecodeBody(desk.Kind(kind), string(e.AppendBody(nil))); err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%v: %+v came back as %+v", err, e, again)
		}
		if text := append(e.AppendJSON([]byte("{")), '}'); !json.Valid(text) {
			t.Fatalf("not JSON: %s", text)
		}
	})
}
