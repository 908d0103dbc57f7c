package shift

import (
	"reflect"
	"testing"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// TestEventsComeBackFromJSON: what the feed says of a target is what its log has.
func TestEventsComeBackFromJSON(t *testing.T) {
	t.Parallel()
	cfg := desk.DefaultConfig()
	cfg.Topics, cfg.Policy, cfg.QueueLimit, cfg.SingleDevice, cfg.OnLost = []string{"tax"}, desk.Queue, 7, true, desk.Close
	who := desk.Who{Desk: "d", Agent: "a", Client: "c"}
	about := desk.About{Request: 3, Offer: 4, Session: 5, Conn: 6}
	staff := desk.Staff{By: "boss", Reason: `a "reason"`}
	const at = desk.Time(1_700_000_000_123_456)
	kinds := map[desk.Kind]bool{}
	for i, e := range []desk.Event{
		{Kind: desk.DeskPut, Who: desk.Who{Desk: "d"}, Content: desk.Content{Config: &cfg}},
		{Kind: desk.AgentPut, Who: desk.Who{Desk: "d", Agent: "a"}, Content: desk.Content{Profile: &desk.Profile{Topics: []string{"tax"}, Reach: desk.Push}}},
		{Kind: desk.AgentRemoved, Who: who, Staff: staff},
		{Kind: desk.AgentConnected, Who: who, About: about, Receipt: at},
		{Kind: desk.AgentDisconnected, Who: who, About: about, Cause: desk.BySuperseded, Until: at},
		{Kind: desk.AgentOnline, Who: who, Turned: desk.Turned{State: desk.Idle}},
		{Kind: desk.AgentPaused, Who: who, Cause: desk.ByMisses, Staff: staff},
		{Kind: desk.AgentOffline, Who: who, Cause: desk.ByGrace},
		{Kind: desk.AgentReady, Who: who},
		{Kind: desk.AgentHeard, Who: who},
		{Kind: desk.RequestMade, Who: who, About: about, Until: at, Content: desk.Content{Ask: &desk.Ask{Topic: "tax", Priority: 3, Data: "x", Key: "k", Reach: desk.Push}}},
		{Kind: desk.ClientConnected, Who: who, About: about},
		{Kind: desk.ClientDisconnected, Who: who, About: about, Cause: desk.ByLostLink, Until: at},
		{Kind: desk.OfferMade, Who: who, About: about, Until: at, Receipt: at},
		{Kind: desk.OfferReceived, Who: who, About: about},
		{Kind: desk.OfferAccepted, Who: who, About: about, Until: at},
		{Kind: desk.OfferEnded, Who: who, About: about, Outcome: desk.TimedOut, Cause: desk.ByDeadline, Turned: desk.Turned{State: desk.Idle, Place: desk.BackMiss}, Until: at, Staff: staff},
		{Kind: desk.SessionFinished, Who: who, About: about, Cause: desk.ByNoShow, Then: desk.Aborted, Turned: desk.Turned{State: desk.Idle, Place: desk.Kept}, Until: at},
		{Kind: desk.RequestEnded, Who: who, About: about, Cause: desk.ByMaxWait, Then: desk.Expired, Staff: staff},
	} {
		kinds[e.Kind] = true
		var kept desk.Event // what the log keeps of it: each kind has members of its own
		if err := kept.DecodeBody(e.Kind, string(e.AppendBody(nil))); err != nil {
			t.Fatal(err)
		}
		want := holdfast.Event{Seq: uint64(i + 1), At: at, Realm: "r", Seat: seat.Event{Kind: seat.Kind(e.Kind)}, Desk: &kept}
		var got holdfast.Event
		if err := parseEvent(want.AppendJSON(nil), &got); err != nil {
			t.Errorf("%s: %v", e.Kind, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s came back as\n%+v\nand is\n%+v", e.Kind, *got.Desk, kept)
		}
	}
	for k := desk.DeskPut; desk.Owns(k); k++ {
		if !kinds[k] {
			t.Errorf("%s was not tried", k)
		}
	}
	for _, other := range []string{`{"seq":1,"kind":"started"}`, `{"seq":2,"kind":"realm_put"}`, `{"seq":3,"kind":"seated"}`} {
		var e holdfast.Event
		if err := parseEvent([]byte(other), &e); err != nil || e.Desk != nil || e.Seq == 0 {
			t.Errorf("%s: %v, %+v", other, err, e)
		}
	}
	for _, bad := range []string{`{`, `{"seq":1,"kind":"offer_ended","outcome":"lost"}`, `{"seq":1,"kind":"agent_put","reach":"pigeon"}`,
		`{"seq":1,"kind":"offer_ended","cause":"whim"}`, `{"seq":1,"kind":"desk_put"}`} {
		if err := parseEvent([]byte(bad), new(holdfast.Event)); err == nil {
			t.Errorf("%s was taken for an event", bad)
		}
	}
}
