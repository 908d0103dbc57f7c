package shift

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"holdfast"
	"holdfast/desk"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// eventJSON is the form of an event of desks in the feed: holdfast.Event.AppendJSON writes it.
type eventJSON struct {
	Seq   uint64    `json:"seq"`
	At    desk.Time `json:"at"`
	Realm string    `json:"realm"`
	Kind  string    `json:"kind"`

	Desk       string          `json:"desk"`
	Agent      string          `json:"agent"`
	Client     string          `json:"client"`
	Request    uint64          `json:"request"`
	Offer      uint64          `json:"offer"`
	Session    uint64          `json:"session"`
	Connection uint64          `json:"connection"`
	Outcome    string          `json:"outcome"`
	Cause      string          `json:"cause"`
	Then       string          `json:"request_state"`
	State      string          `json:"state"`
	Place      string          `json:"place"`
	Deadline   desk.Time       `json:"deadline"`
	Until      desk.Time       `json:"until"`
	Receipt    desk.Time       `json:"receipt"`
	By         string          `json:"by"`
	Reason     string          `json:"reason"`
	Config     json.RawMessage `json:"config"`
	Topics     []string        `json:"topics"`
	Reach      string          `json:"reach"`
	Topic      string          `json:"topic"`
	Priority   uint8           `json:"priority"`
	Data       string          `json:"data"`
	Key        string          `json:"key"`
}

// parseEvent reads the JSON form of an event back. Events of other kinds than the desks' keep their number and time alone.
func parseEvent(line []byte, e *holdfast.Event) error {
	var j eventJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("a line of the feed is not an event: %w: %.200q", err, line)
	}
	*e = holdfast.Event{Seq: j.Seq, At: j.At, Realm: j.Realm}
	if j.Kind == "started" {
		e.Seat.Kind = holdfast.Started
		return nil
	}
	d := &desk.Event{Kind: desk.DeskPut}
	for d.Kind.String() != j.Kind {
		if d.Kind++; !desk.Owns(d.Kind) {
			return nil // not of a desk
		}
	}
	d.Who = desk.Who{Desk: j.Desk, Agent: j.Agent, Client: j.Client}
	d.About = desk.About{Request: j.Request, Offer: j.Offer, Session: j.Session, Conn: j.Connection}
	d.Until, d.Receipt, d.Staff = j.Until, j.Receipt, desk.Staff{By: j.By, Reason: j.Reason}
	if j.Deadline != 0 { // as it is shown
		d.Until = j.Deadline.Add(desk.Slack)
	}
	if err := j.words(d); err != nil {
		return fmt.Errorf("event %d: %w", j.Seq, err)
	}
	e.Desk, e.Seat.Kind = d, seat.Kind(d.Kind)
	return nil
}

// words reads what is told in words.
func (j *eventJSON) words(d *desk.Event) error {
	reach, isReach := desk.ParseReach(j.Reach)
	ok := true
	parse := func(word string, is func(string) bool) { ok = ok && (word == "" || is(word)) }
	parse(j.Outcome, func(s string) (is bool) { d.Outcome, is = desk.ParseOfferState(s); return is })
	parse(j.Then, func(s string) (is bool) { d.Then, is = desk.ParseRequestState(s); return is })
	parse(j.State, func(s string) (is bool) { d.State, is = desk.ParseAgentState(s); return is })
	parse(j.Cause, func(s string) bool { return find(s, desk.ByAgent, desk.ByNoShow, &d.Cause) })
	parse(j.Place, func(s string) bool { return find(s, desk.Kept, desk.KeptMute, &d.Place) })
	switch d.Kind {
	case desk.DeskPut:
		put, err := wire.ParseDesk(j.Desk, j.Config)
		if err != nil {
			return err
		}
		d.Config = &put.Config
	case desk.AgentPut:
		ok = ok && isReach
		d.Profile = &desk.Profile{Topics: j.Topics, Reach: reach}
	case desk.RequestMade:
		ok = ok && isReach
		d.Ask = &desk.Ask{Topic: j.Topic, Priority: j.Priority, Data: j.Data, Key: j.Key, Reach: reach}
	}
	if !ok {
		return fmt.Errorf("a word of it is unknown: %+v", *j)
	}
	return nil
}

// find is the inverse of String over a range.
func find[T interface {
	~uint8
	String() string
}](word string, first, last T, to *T) bool {
	for v := first; v <= last; v++ {
		if v.String() == word {
			*to = v
			return true
		}
	}
	return false
}

// feedSource reads the whole feed of the realm and keeps it. Everything that anybody was told is confirmed by now, or it
// never was.
func (s *performance) feedSource(ctx context.Context) (source, error) {
	var lines [][]byte
	keep := func(line []byte) (uint64, error) {
		lines = append(lines, bytes.Clone(line))
		var head struct {
			Seq uint64 `json:"seq"`
		}
		err := said(line, &head)
		return head.Seq, err
	}
	// A feed that breaks off does so without a word: its end is believed once nothing more comes behind it.
	for last := s.before; ; {
		seq, err := s.floor.door.Address.ReadFeed(ctx, s.floor.realm, last, false, keep)
		if err != nil {
			return nil, fmt.Errorf("reading the feed: %w", err)
		}
		if seq == last {
			break
		}
		last = seq
	}
	return func(each func(*holdfast.Event) error) error {
		for _, line := range lines {
			var e holdfast.Event
			if err := parseEvent(line, &e); err != nil {
				return err
			}
			if err := each(&e); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
