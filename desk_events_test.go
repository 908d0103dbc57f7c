package holdfast_test

import (
	"fmt"
	"math"
	"strings"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// deskEvents is what came with the desks: each kind with every field set that it has, and with the empty and extreme values.
func deskEvents(seq uint64) []holdfast.Event {
	long := strings.Repeat("x", desk.MaxID)
	queue := desk.Config{
		Topics: []string{"tax", "law"}, Policy: desk.Queue, QueueLimit: 100, MaxWait: 4 * time.Minute, OfferTime: 21 * time.Second,
		Receipt: 2 * time.Second, PushReceipt: 3 * time.Second, IdleGrace: 11 * time.Second, InitGrace: 5 * time.Second, BusyGrace: 61 * time.Second,
		ClientGrace: 62 * time.Second, JoinWithin: 30 * time.Second, Misses: 3, RejectPause: 2500 * time.Millisecond,
		MissPause: 12 * time.Second, WrapUp: 7 * time.Second, MaxAttempts: 9, SingleDevice: true, OnLost: desk.Close,
		RestartGrace: 15 * time.Second, WarmUp: 1500 * time.Millisecond,
	}
	plain := desk.DefaultConfig()
	eve, zoe, both := desk.Who{Desk: "acme", Agent: "eve"}, desk.Who{Desk: "acme", Client: "zoe"}, desk.Who{Desk: "acme", Agent: "eve", Client: "zoe"}
	dean := desk.Staff{By: "dean", Reason: "ill \"at\" <home>\n"}
	idle := func(p desk.Place) desk.Turned { return desk.Turned{State: desk.Idle, Place: p} }
	all := []desk.Event{
		{Kind: desk.DeskPut, Who: desk.Who{Desk: "acme"}, Content: desk.Content{Config: &queue}},
		{Kind: desk.DeskPut, Who: desk.Who{Desk: "b"}, Content: desk.Content{Config: &plain}},
		{Kind: desk.AgentPut, Who: eve, Content: desk.Content{Profile: &desk.Profile{Topics: []string{"tax"}, Reach: desk.Push}}},
		{Kind: desk.AgentPut, Who: eve, Content: desk.Content{Profile: &desk.Profile{}}},
		{Kind: desk.AgentRemoved, Who: eve, Staff: dean},
		{Kind: desk.AgentRemoved, Who: desk.Who{Desk: long, Agent: long}},
		{Kind: desk.AgentConnected, Who: eve, About: desk.About{Conn: 71}, Receipt: someTime + 2},
		{Kind: desk.AgentDisconnected, Who: eve, About: desk.About{Conn: 71}, Cause: desk.ByLostLink, Until: someTime + 3},
		{Kind: desk.AgentDisconnected, Who: eve, About: desk.About{Conn: math.MaxUint64}, Cause: desk.BySuperseded},
		{Kind: desk.AgentOnline, Who: eve, Turned: desk.Turned{State: desk.Busy}},
		{Kind: desk.AgentPaused, Who: eve, Cause: desk.ByStaff, Staff: dean},
		{Kind: desk.AgentOffline, Who: eve, Cause: desk.ByGrace, Staff: desk.Staff{Reason: "lunch"}},
		{Kind: desk.AgentReady, Who: eve}, {Kind: desk.AgentHeard, Who: eve},
		{Kind: desk.RequestMade, Who: zoe, About: desk.About{Conn: 72}, Until: someTime + 4,
			Content: desk.Content{Ask: &desk.Ask{Topic: "tax", Priority: 9, Data: "{\"ä\":\"<1>\"}\x00", Key: "k 1", Reach: desk.Push}}},
		{Kind: desk.RequestMade, Who: zoe, Content: desk.Content{Ask: &desk.Ask{}}},
		{Kind: desk.ClientConnected, Who: zoe, About: desk.About{Request: 4711, Conn: 72}},
		{Kind: desk.ClientDisconnected, Who: zoe, About: desk.About{Request: 4711, Conn: 72}, Cause: desk.ByLostLink, Until: someTime + 5},
		{Kind: desk.OfferMade, Who: both, About: desk.About{Request: 4711}, Until: someTime + 20_500_000, Receipt: someTime + 2_000_000},
		{Kind: desk.OfferReceived, Who: eve, About: desk.About{Request: 4711, Offer: 4712}},
		{Kind: desk.OfferAccepted, Who: both, About: desk.About{Request: 4711, Offer: 4712, Conn: 7}, Until: someTime + 6},
		{Kind: desk.OfferEnded, Who: eve, About: desk.About{Request: 4711, Offer: 4712}, Outcome: desk.Rejected, Cause: desk.ByAgent,
			Staff: desk.Staff{Reason: "no time"}, Turned: idle(desk.Back), Until: someTime + 7},
		{Kind: desk.OfferEnded, Who: eve, About: desk.About{Request: 4711, Offer: 4712}, Outcome: desk.TimedOut, Cause: desk.ByDeadline, Turned: idle(desk.BackMiss)},
		{Kind: desk.OfferEnded, Who: eve, About: desk.About{Request: 4711, Offer: 4712}, Outcome: desk.Revoked, Cause: desk.ByUndelivered, Turned: idle(desk.KeptMute)},
		{Kind: desk.OfferEnded, Who: eve, About: desk.About{Request: 4711, Offer: 4712}, Outcome: desk.Rescinded, Cause: desk.ByClient},
		{Kind: desk.SessionFinished, Who: both, About: desk.About{Request: 4711, Session: 4713}, Then: desk.Done, Cause: desk.ByStaff,
			Staff: dean, Turned: idle(desk.Back), Until: someTime + 8},
		{Kind: desk.SessionFinished, Who: both, About: desk.About{Request: 4711, Session: 4713}, Cause: desk.ByAgentLost},
		{Kind: desk.RequestEnded, Who: zoe, About: desk.About{Request: 4711}, Then: desk.Cancelled, Cause: desk.ByStaff, Staff: dean},
	}
	for cause := desk.ByAgent; cause <= desk.ByNoShow; cause++ {
		all = append(all, desk.Event{Kind: desk.RequestEnded, Who: zoe, About: desk.About{Request: 1}, Then: desk.RequestState(3 + cause%5), Cause: cause})
	}
	return inEnvelopes(seq, all)
}

func inEnvelopes(seq uint64, all []desk.Event) (events []holdfast.Event) {
	for i := range all {
		events = append(events, holdfast.Event{Seq: seq + uint64(i), At: someTime, Realm: "spring",
			Seat: seat.Event{Kind: seat.Kind(all[i].Kind)}, Desk: &all[i]})
	}
	return events
}

// largestDeskEvents are those that may take the most bytes.
func largestDeskEvents() []desk.Event {
	id, text := strings.Repeat("x", desk.MaxID), strings.Repeat("r", desk.MaxReason)
	var topics []string
	for n := range desk.MaxTopics {
		topics = append(topics, fmt.Sprintf("%02d%s", n, id[2:]))
	}
	config := desk.DefaultConfig()
	config.Topics = topics
	who, staff := desk.Who{Desk: id, Agent: id, Client: id}, desk.Staff{By: text, Reason: text}
	about := desk.About{Request: math.MaxUint64, Offer: math.MaxUint64, Session: math.MaxUint64, Conn: math.MaxUint64}
	return []desk.Event{
		{Kind: desk.DeskPut, Who: desk.Who{Desk: id}, Content: desk.Content{Config: &config}},
		{Kind: desk.AgentPut, Who: desk.Who{Desk: id, Agent: id}, Content: desk.Content{Profile: &desk.Profile{Topics: topics}}},
		{Kind: desk.RequestMade, Who: desk.Who{Desk: id, Client: id}, About: desk.About{Conn: about.Conn}, Until: 1 << 62,
			Content: desk.Content{Ask: &desk.Ask{Topic: id, Key: id, Data: strings.Repeat("d", desk.MaxData)}}},
		{Kind: desk.SessionFinished, Who: who, About: about, Staff: staff, Until: 1 << 62},
		{Kind: desk.OfferEnded, Who: who, About: about, Staff: staff, Until: 1 << 62},
	}
}
