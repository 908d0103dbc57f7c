package shift

import (
	"testing"

	"holdfast/desk"
	"holdfast/internal/wire"
)

// TestScan: what the shift picks out at a glance is what the server's own messages say.
func TestScan(t *testing.T) {
	t.Parallel()
	offer := &desk.OfferView{ID: 11, Desk: "d", Agent: "a", Request: 10, Client: "c", Data: `"state":"odd","as_of":1`, State: desk.Pending, Attempt: 1}
	session := &desk.SessionView{ID: 12, Desk: "d", Agent: "a", Client: "c", Request: 10, Offer: 11, Data: `"session":5,"as_of":1`}
	stamp := wire.Stamp{Durability: wire.Confirmed, AsOf: 99}
	row := func(v *desk.AgentView) []byte {
		return wire.AppendPush(nil, "agent", 99, func(b []byte) []byte { return wire.AppendAgentRow(b, v, 0, true) })
	}
	for name, c := range map[string]struct {
		line                    []byte
		state                   string
		offer, request, session uint64
		asOf                    uint64
	}{
		"offer": {wire.AppendPush(nil, "offer", 0, func(b []byte) []byte { return wire.AppendOfferRow(b, offer, 0, true) }), "pending", 11, 10, 0, 1},
		"agent": {row(&desk.AgentView{Desk: "d", Agent: "a", State: desk.Idle}), "idle", 0, 0, 0, 99},
		"init":  {row(&desk.AgentView{Desk: "d", Agent: "a", State: desk.Init, Offer: offer}), "init", 11, 10, 0, 99},
		"busy":  {row(&desk.AgentView{Desk: "d", Agent: "a", State: desk.Busy, Session: session}), "busy", 11, 10, 12, 99},
		"request": {wire.AppendPush(nil, "request", 99, func(b []byte) []byte {
			return wire.AppendRequestRow(b, &desk.RequestView{ID: 10, Desk: "d", Client: "c", State: desk.Assigned, Offer: 11, Session: 12, Agent: "a"}, true)
		}), "assigned", 11, 10, 12, 99},
		"accepted": {wire.AppendSession(nil, "r", session, stamp), "", 11, 10, 12, 99},
	} {
		if got := string(word(c.line, memberState)); got != c.state && c.state != "" {
			t.Errorf("%s: state %q in %s", name, got, c.line)
		}
		if number(c.line, memberOffer) != c.offer || number(c.line, memberRequest) != c.request || number(c.line, memberSession) != c.session {
			t.Errorf("%s: offer %d, request %d, session %d in %s", name, number(c.line, memberOffer), number(c.line, memberRequest), number(c.line, memberSession), c.line)
		}
		if got := asOf(c.line); got != c.asOf && name != "offer" { // an offer has none; whoever reads one there does not use it
			t.Errorf("%s: as of %d in %s", name, got, c.line)
		}
	}
	for _, nothing := range []string{"", "{", `"state":"`, `{"state":"unfinished`, `{"as_of":`, `{"offer":"accepted"}`} {
		if b := []byte(nothing); word(b, memberState) != nil || number(b, memberOffer) != 0 || asOf(b) != 0 {
			t.Errorf("%q: %q, %d, %d", nothing, word(b, memberState), number(b, memberOffer), asOf(b))
		}
	}
}
