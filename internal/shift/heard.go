package shift

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"holdfast/desk"
	"holdfast/internal/sim"
)

// heard is one thing that somebody was told, as it is given to the checker.
type heard struct {
	sim.DeskHeard
	received time.Duration
	session  *sessionHeard
}

// sessionHeard is a session that was shown.
type sessionHeard struct {
	id, request   uint64
	agent, client string
	ended         bool
}

// reading is the form of every message of the server. It is written down here once more, not shared with the server's own
// messages: who checks a message must read it for themselves. Offer and session are a number in one message, an object in
// another, and in a problem a word.
type reading struct {
	Push      string          `json:"push"`
	Desk      string          `json:"desk"`
	Agent     string          `json:"agent"`
	Client    string          `json:"client"`
	Topic     string          `json:"topic"`
	State     string          `json:"state"`
	Request   uint64          `json:"request"`
	Offer     json.RawMessage `json:"offer"`
	Session   json.RawMessage `json:"session"`
	Position  uint32          `json:"position"`
	Attempts  uint32          `json:"attempts"`
	Accepting bool            `json:"accepting"`
	Ready     bool            `json:"ready"`
	Away      bool            `json:"away"`
	Silent    bool            `json:"silent"`
	Deadline  desk.Time       `json:"deadline"`
	Ended     desk.Time       `json:"ended"`
	Idle      uint32          `json:"idle"`
	Waiting   uint32          `json:"waiting"`
	Open      bool            `json:"open"`
	Version   uint64          `json:"version"`
	Cause     string          `json:"cause"`
	Code      string          `json:"code"`
	AsOf      uint64          `json:"as_of"`
}

// Types of reading's members are told apart by their first byte.
func id(raw json.RawMessage) uint64 {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// readHeard reads all that was said, sorted by its place in the log and then by arrival.
func readHeard(f *floor) ([]heard, error) {
	var all []heard
	for i := range f.hands.shelves {
		s := &f.hands.shelves[i]
		s.mu.Lock()
		for k := range s.records {
			var err error
			if all, err = f.read(&s.records[k], all); err != nil {
				s.mu.Unlock()
				return nil, err
			}
		}
		s.mu.Unlock()
	}
	slices.SortStableFunc(all, func(a, b heard) int {
		return cmp.Or(cmp.Compare(a.AsOf, b.AsOf), cmp.Compare(a.received, b.received))
	})
	return all, nil
}

// name is who a peer is.
func (f *floor) name(who int32) string {
	if n := int32(len(f.hands.agents)); who >= n {
		return f.hands.clients[who-n].name
	}
	return f.hands.agents[who].name
}

// read appends what one record says. What was put off says nothing.
func (f *floor) read(r *record, all []heard) ([]heard, error) {
	if r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests || r.status == http.StatusAccepted {
		return all, nil
	}
	var m reading
	if err := json.Unmarshal(r.body, &m); err != nil {
		return nil, fmt.Errorf("a message is not JSON: %w: %.300q", err, r.body)
	}
	h := heard{received: r.received, DeskHeard: sim.DeskHeard{Realm: f.realm, Desk: m.Desk, To: m.Client, AsOf: m.AsOf}}
	if r.who >= 0 {
		h.To = f.name(r.who)
	}
	if r.do == 0 {
		return h.readPush(&m, all)
	}
	if r.status != http.StatusOK {
		return h.readRefusal(r, &m, all), nil
	}
	switch r.do {
	case doOnline, doPause, doOffline:
		return h.readAgent(&m, all)
	case doReceipt, doReject:
		return h.readOffer(&m, all)
	case doAccept:
		h.Answer = &sim.AnswerHeard{Offer: id(m.Offer), Session: id(m.Session)}
		h.session = m.asSession(id(m.Session))
	case doFinish:
		h.session = m.asSession(id(m.Session))
	case doRequest, doCancel, doLook:
		return h.readRequest(&m, all)
	default: // subscribe, unsubscribe
		return all, nil
	}
	return append(all, h), nil
}

func (m *reading) asSession(id uint64) *sessionHeard {
	return &sessionHeard{id: id, request: m.Request, agent: m.Agent, client: m.Client, ended: m.Ended != 0}
}

// readRefusal reads why something was refused. Of what is over there is nothing to compare beyond an offer's outcome.
func (h heard) readRefusal(r *record, m *reading, all []heard) []heard {
	switch r.do {
	case doRequest:
		h.Refused = &sim.RefusalHeard{Topic: m.Topic, Code: desk.Code(m.Code)}
	case doAccept, doReject:
		h.Answer = &sim.AnswerHeard{Offer: r.what, Code: desk.Code(m.Code)}
		if outcome, ok := desk.ParseOfferState(string(bytes.Trim(m.Offer, `"`))); ok {
			h.Answer.Outcome = outcome
		}
	default:
		return all
	}
	return append(all, h)
}

func (h heard) readPush(m *reading, all []heard) ([]heard, error) {
	switch m.Push {
	case "agent":
		return h.readAgent(m, all)
	case "offer":
		h.AsOf = max(h.AsOf, id(m.Offer)) // it was on disk before it was shown
		return h.readOffer(m, all)
	case "offer_closed":
		return h.readOffer(m, all)
	case "request":
		return h.readRequest(m, all)
	case "availability":
		h.AsOf = max(h.AsOf, m.Version)
		h.Availability = &desk.Availability{Desk: m.Desk, Topic: m.Topic, Open: m.Open, Idle: m.Idle, Waiting: m.Waiting, Version: m.Version}
		return append(all, h), nil
	}
	return nil, fmt.Errorf("%s was told %q, which nobody knows", h.To, m.Push)
}

// readAgent reads an agent, and the offer and the session inside.
func (h heard) readAgent(m *reading, all []heard) ([]heard, error) {
	state, ok := desk.ParseAgentState(m.State)
	if !ok || m.Agent != h.To {
		return nil, fmt.Errorf("%s was told of the agent %q, who is %q", h.To, m.Agent, m.State)
	}
	in := h
	h.Agent = &desk.AgentView{State: state, Accepting: m.Accepting, Ready: m.Ready, Away: m.Away, Silent: m.Silent}
	all = append(all, h)
	var inner reading
	switch {
	case len(m.Offer) > 0:
		if err := json.Unmarshal(m.Offer, &inner); err != nil {
			return nil, fmt.Errorf("the offer inside an agent: %w: %.300q", err, m.Offer)
		}
		return in.readOffer(&inner, all)
	case len(m.Session) > 0:
		if err := json.Unmarshal(m.Session, &inner); err != nil {
			return nil, fmt.Errorf("the session inside an agent: %w: %.300q", err, m.Session)
		}
		in.session = inner.asSession(id(inner.Session))
		return append(all, in), nil
	}
	return all, nil
}

func (h heard) readOffer(m *reading, all []heard) ([]heard, error) {
	state, ok := desk.ParseOfferState(m.State)
	if !ok || (m.Agent != "" && m.Agent != h.To) {
		return nil, fmt.Errorf("%s was told that an offer to %q is %q", h.To, m.Agent, m.State)
	}
	v := &desk.OfferView{ID: id(m.Offer), Agent: m.Agent, Request: m.Request, State: state, Deadline: m.Deadline}
	if state == desk.Pending {
		h.Offer = v
	} else {
		h.Closed = v
	}
	return append(all, h), nil
}

func (h heard) readRequest(m *reading, all []heard) ([]heard, error) {
	state, ok := desk.ParseRequestState(m.State)
	if !ok || m.Client != h.To {
		return nil, fmt.Errorf("%s was told that a request of %q is %q", h.To, m.Client, m.State)
	}
	h.Request = &desk.RequestView{ID: m.Request, State: state, Position: m.Position, Attempts: m.Attempts,
		Offer: id(m.Offer), Session: id(m.Session), Agent: m.Agent}
	return append(all, h), nil
}
