package sim

import (
	"slices"
	"testing"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// of makes an event of a desk at the time of another.
func of(like *holdfast.Event, e desk.Event) holdfast.Event {
	e.Desk = like.Desk.Desk
	return holdfast.Event{At: like.At, Realm: like.Realm, Seat: seat.Event{Kind: seat.Kind(e.Kind)}, Desk: &e}
}

// cut ends the log before event i with others, and with an event a minute later, so that what is left undone shows.
func (h *deskHistory) cut(i int, with ...holdfast.Event) {
	last := h.events[i]
	h.events = append(slices.Clone(h.events[:i]), with...)
	h.events = append(h.events, holdfast.Event{At: last.At + 60_000_000, Realm: "r", Limits: &seat.Limits{}, Seat: seat.Event{Kind: holdfast.RealmPut}})
	for n := range h.events {
		h.events[n].Seq = uint64(n) + 1
	}
	h.heard = nil
}

// change gives event i its own copy of what it says, to be damaged.
func (h *deskHistory) change(i int) *desk.Event {
	e := *h.events[i].Desk
	h.events[i].Desk = &e
	return &e
}

// before is the model as it stands before event i.
func (h *deskHistory) before(i int) *deskModel {
	c := NewDeskChecker()
	for n := range h.events[:i] {
		c.Event(&h.events[n])
	}
	return c.desks[[2]string{"r", h.events[i].Desk.Desk}]
}

// findOffer is the first offer made where the desk stands as wanted.
func (h *deskHistory) findOffer(want func(d *deskModel, e *desk.Event) bool) int {
	c := NewDeskChecker()
	for i := range h.events {
		if e := h.events[i].Desk; e != nil && made(e) && want(c.desks[[2]string{"r", e.Desk}], e) {
			return i
		}
		c.Event(&h.events[i])
	}
	return -1
}

func rejected(e *desk.Event) bool { return e.Kind == desk.OfferEnded && e.Cause == desk.ByAgent }

// deskBugs are what a bug of the rules, or of what tells of them, would do to a log or to what is heard.
var deskBugs = []struct {
	name, want string
	plant      func(h *deskHistory) bool
}{
	// the four of the issue
	{"re-offer to the refuser", "D4", func(h *deskHistory) bool {
		i := h.find(0, rejected)
		if i < 0 {
			return false
		}
		e := h.events[i].Desk
		client := h.before(i).requests[e.Request].client
		h.cut(i+1, of(&h.events[i], desk.Event{Kind: desk.OfferMade, Who: desk.Who{Agent: e.Agent, Client: client}, About: desk.About{Request: e.Request},
			Until: h.events[i].At + 5_500_000}))
		return true
	}},
	{"leak of init on cancel", "D1", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.OfferEnded && e.Outcome == desk.Rescinded })
		if i < 0 {
			return false
		}
		h.cut(i, h.events[i+1])
		return true
	}},
	{"accept without id: another offer's", "D2", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.OfferEnded })
		i = h.find(i, func(e *desk.Event) bool { return e.Kind == desk.OfferAccepted })
		if i < 0 {
			return false
		}
		j := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.OfferEnded })
		h.change(i).Offer = h.events[j].Desk.Offer
		return true
	}},
	{"head of the line blocks", "D4", func(h *deskHistory) bool {
		i := h.findOffer(func(d *deskModel, e *desk.Event) bool { return d.line[0].id != e.Request && d.at(e) != nil })
		if i < 0 {
			return false
		}
		h.cut(i)
		return true
	}},

	{"two agents for one request", "D2", func(h *deskHistory) bool {
		var other string
		i := h.findOffer(func(d *deskModel, e *desk.Event) bool {
			other = d.another(e)
			return other != ""
		})
		if i < 0 {
			return false
		}
		again := *h.events[i].Desk
		again.Agent = other
		h.cut(i+1, of(&h.events[i], again))
		return true
	}},
	{"one agent for two requests", "D1", func(h *deskHistory) bool {
		i := h.findOffer(func(d *deskModel, e *desk.Event) bool { return len(d.line) > 1 && d.line[1].id != e.Request })
		if i < 0 {
			return false
		}
		second := h.before(i).line[1]
		again := *h.events[i].Desk
		again.Request, again.Client = second.id, second.client
		h.cut(i+1, of(&h.events[i], again))
		return true
	}},
	{"a younger one overtakes", "D4", func(h *deskHistory) bool {
		var later *requestModel
		i := h.findOffer(func(d *deskModel, e *desk.Event) bool {
			a := d.agents[e.Agent]
			for _, r := range d.line {
				if r.id > e.Request && a.could(r) {
					later = r
					return true
				}
			}
			return false
		})
		if i < 0 {
			return false
		}
		e := h.change(i)
		e.Request, e.Client = later.id, later.client
		return true
	}},
	{"the second of the ring is asked", "D4", func(h *deskHistory) bool {
		var other string
		i := h.findOffer(func(d *deskModel, e *desk.Event) bool {
			other = d.another(e)
			return other != ""
		})
		if i < 0 {
			return false
		}
		h.change(i).Agent = other
		return true
	}},
	{"offered to who has paused", "D7", func(h *deskHistory) bool {
		i := h.find(0, made)
		e := *h.events[i].Desk
		h.cut(i, of(&h.events[i], desk.Event{Kind: desk.AgentPaused, Who: desk.Who{Agent: e.Agent}, Cause: desk.ByAgent}), of(&h.events[i], e))
		return true
	}},
	{"offered in the warm-up", "D4", func(h *deskHistory) bool {
		i := h.findOffer(func(d *deskModel, e *desk.Event) bool { return d.requests[e.Request].ask.Reach == desk.Push })
		if i < 0 {
			return false
		}
		e := *h.events[i].Desk
		h.cut(i, holdfast.Event{At: h.events[i].At, Epoch: 98, Seat: seat.Event{Kind: holdfast.Started}}, of(&h.events[i], desk.Event{Kind: desk.AgentConnected,
			Who: desk.Who{Agent: e.Agent}, About: desk.About{Conn: 1 << 40}}), of(&h.events[i], e))
		return true
	}},
	{"timed out too early", "D3", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.OfferEnded && e.Outcome == desk.TimedOut })
		if i < 0 {
			return false
		}
		h.change(h.find(0, func(e *desk.Event) bool {
			return made(e) && e.Request == h.events[i].Desk.Request && e.Agent == h.events[i].Desk.Agent
		})).Until += 60_000_000
		return true
	}},
	{"accepted too late", "D3", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.OfferAccepted })
		if i < 0 {
			return false
		}
		h.change(int(h.events[i].Desk.Offer) - 1).Until = h.events[i].At
		return true
	}},
	{"a session ends twice", "D2", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.SessionFinished })
		if i < 0 {
			return false
		}
		h.cut(i+1, h.events[i])
		return true
	}},
	{"offline with an offer pending", "D1", func(h *deskHistory) bool {
		i := h.find(0, made)
		h.cut(i+1, of(&h.events[i], desk.Event{Kind: desk.AgentOffline, Who: desk.Who{Agent: h.events[i].Desk.Agent}, Cause: desk.ByAgent}))
		return true
	}},
	{"given up before the grace is over", "D3", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.AgentOffline && e.Cause == desk.ByGrace })
		if i < 0 {
			return false
		}
		for j := i; j >= 0; j-- {
			if e := h.events[j].Desk; e != nil && e.Kind == desk.AgentDisconnected && e.Agent == h.events[i].Desk.Agent && e.Desk == h.events[i].Desk.Desk {
				h.change(j).Until += 60_000_000
				return true
			}
		}
		return false
	}},
	{"a request is forgotten", "D4", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.AgentOnline })
		j := h.findOffer(func(d *deskModel, e *desk.Event) bool { return true })
		if i < 0 || j < 0 {
			return false
		}
		h.cut(j)
		return true
	}},

	{"a connection that ended wins", "D6", func(h *deskHistory) bool {
		i := h.find(0, func(e *desk.Event) bool { return e.Kind == desk.OfferAccepted && e.Conn != 0 })
		if i < 0 {
			return false
		}
		h.events[i].Desk.Conn += 1_000_000
		return true
	}},

	// what is heard
	{"a dead connection wins", "D6", hear(func(h *DeskHeard) bool { return h.Answer != nil && h.Answer.Session != 0 }, func(h *DeskHeard) { h.Dead = true })},
	{"two are told of one session", "D2", hear(func(h *DeskHeard) bool { return h.Answer != nil && h.Answer.Session != 0 }, func(h *DeskHeard) { h.To = "somebody" })},
	{"told that it is closed as something else", "D3", hear(func(h *DeskHeard) bool {
		return h.Answer != nil && h.Answer.Code == desk.OfferClosed && h.Answer.Outcome == desk.Rejected
	}, func(h *DeskHeard) { h.Answer.Outcome = desk.TimedOut })},
	{"an offer is heard by another", "J1", hear(func(h *DeskHeard) bool { return h.Offer != nil }, func(h *DeskHeard) { h.To = "somebody" })},
	{"a deadline that never was", "D3", hear(func(h *DeskHeard) bool { return h.Offer != nil }, func(h *DeskHeard) { h.Offer.Deadline++ })},
	{"one idle too many is told", "D7", hear(func(h *DeskHeard) bool { return h.Availability != nil }, func(h *DeskHeard) { h.Availability.Idle++ })},
	{"a version goes back", "D5", hear(func(h *DeskHeard) bool { return h.Availability != nil && h.AsOf > 60 }, func(h *DeskHeard) { h.Availability.Version = 1 })},
	{"an agent hears of another state", "D1", hear(func(h *DeskHeard) bool { return h.Agent != nil && h.Agent.State == desk.Init }, func(h *DeskHeard) { h.Agent.State = desk.Idle })},
	{"refused though somebody is ready", "D7", hear(func(h *DeskHeard) bool {
		return h.Availability != nil && h.Availability.Idle > 0 && h.AsOf > 60 && h.Desk == "d2"
	},
		func(h *DeskHeard) {
			h.Availability, h.Refused = nil, &RefusalHeard{Code: desk.NoAgent}
		})},
	{"a wrong position", "D4", hear(func(h *DeskHeard) bool { return h.Request != nil && h.Request.Position > 0 }, func(h *DeskHeard) { h.Request.Position++ })},
	{"what was heard is not in the log", "J1", func(h *deskHistory) bool {
		h.events = h.events[:len(h.events)/2]
		return true
	}},
}

// hear damages the last message that is wanted.
func hear(want func(*DeskHeard) bool, damage func(*DeskHeard)) func(*deskHistory) bool {
	return func(h *deskHistory) bool {
		for i := len(h.heard) - 1; i >= 0; i-- {
			if want(&h.heard[i]) {
				damage(&h.heard[i])
				return true
			}
		}
		return false
	}
}

// another is a further agent who could be offered the request of an offer, and has been idle less long.
func (d *deskModel) another(e *desk.Event) string {
	for _, a := range d.agents {
		if a.name != e.Agent && a.could(d.requests[e.Request]) {
			return a.name
		}
	}
	return ""
}

// at is the agent of an offer where they could be offered it still.
func (d *deskModel) at(e *desk.Event) *agentModel {
	if a := d.agents[e.Agent]; a.could(d.requests[e.Request]) {
		return a
	}
	return nil
}

// counted is what a bug must be counted as, beside the violation.
var counted = map[string]func(*DeskReport) uint64{
	"leak of init on cancel":          func(r *DeskReport) uint64 { return r.StuckInInit },
	"head of the line blocks":         func(r *DeskReport) uint64 { return r.Overtaken },
	"a younger one overtakes":         func(r *DeskReport) uint64 { return r.Overtaken },
	"the second of the ring is asked": func(r *DeskReport) uint64 { return r.Overtaken },
	"two agents for one request":      func(r *DeskReport) uint64 { return r.DoubleAssignments },
	"one agent for two requests":      func(r *DeskReport) uint64 { return r.DoubleAssignments },
	"two are told of one session":     func(r *DeskReport) uint64 { return r.DoubleAssignments },
}

// TestPlantedDeskBugs damages a valid history in one way each, as a bug would, and wants the named invariant.
func TestPlantedDeskBugs(t *testing.T) {
	t.Parallel()
	for _, bug := range deskBugs {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			planted, caught := 0, 0
			for seed := range uint64(6) {
				h := newDeskHistory(seed).run(300)
				if !bug.plant(h) {
					continue
				}
				planted++
				report := checkDesks(h.events, h.heard)
				if slices.ContainsFunc(report.Violations, func(v Violation) bool { return v.Name == bug.want }) {
					caught++
				}
				if count := counted[bug.name]; count != nil && count(&report) == 0 {
					t.Errorf("seed %d: it is not counted", seed)
				}
			}
			if planted == 0 || caught < planted {
				t.Errorf("planted %d times, %s caught it %d times", planted, bug.want, caught)
			}
		})
	}
}
