package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast/desk"
)

// TestDeskConfigComesBack: what a desk is shown with can be put again as it is, no member apart.
func TestDeskConfigComesBack(t *testing.T) {
	t.Parallel()
	c := desk.Config{Topics: []string{"tax", "law"}, Policy: desk.Queue, QueueLimit: 7, MaxWait: 2 * time.Second, OfferTime: 3 * time.Second,
		Receipt: 101 * time.Millisecond, PushReceipt: 102 * time.Millisecond, IdleGrace: time.Millisecond, InitGrace: 2 * time.Millisecond,
		BusyGrace: 3 * time.Millisecond, ClientGrace: 4 * time.Millisecond, JoinWithin: 5 * time.Millisecond, Misses: 6, RejectPause: 7 * time.Millisecond,
		MissPause: 8 * time.Millisecond, WrapUp: 9 * time.Millisecond, MaxAttempts: 10, SingleDevice: true, OnLost: desk.Close,
		RestartGrace: 11 * time.Millisecond, WarmUp: 12 * time.Millisecond}
	for v, i := reflect.ValueOf(c), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is zero: it would come back whatever happens", v.Type().Field(i).Name)
		}
	}
	for _, is := range []desk.Config{c, desk.DefaultConfig()} {
		b, err := is.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if put, err := ParseDesk("acme", b); err != nil || !reflect.DeepEqual(put.Config, is) {
			t.Errorf("%s\nis %+v, %v\nwant %+v", b, put.Config, err, is)
		}
	}
	if put, err := ParseDesk("acme", nil); err != nil || !reflect.DeepEqual(put.Config, desk.DefaultConfig()) {
		t.Errorf("nothing said: %+v, %v", put.Config, err)
	}
	if put, err := ParseDesk("acme", []byte(`{"policy":"queue"}`)); err != nil || put.Config.QueueLimit != 100 {
		t.Errorf("a queue of %d, %v", put.Config.QueueLimit, err)
	}
	if put, err := ParseDesk("acme", []byte(`{"offer_ms":1500}`)); err != nil || put.Config.Receipt != 1500*time.Millisecond || put.Config.Valid() != nil {
		t.Errorf("short offers: a receipt within %v, %v", put.Config.Receipt, err)
	}
}

// things is one of each thing with nothing left out.
func things() (desk.DeskView, desk.AgentView, desk.RequestView, desk.OfferView, desk.SessionView) {
	o := desk.OfferView{ID: 12, Desk: "acme", Agent: "eve", Request: 11, Client: "zoe", Topic: "tax", Priority: 3, Data: `a "b"`, Attempt: 1,
		Made: 1e6, Deadline: 21e6, Received: true, Cause: desk.ByAgent, Reason: "n<o", Session: 13}
	s := desk.SessionView{ID: 13, Desk: "acme", Agent: "eve", Client: "zoe", Request: 11, Offer: 12, Topic: "tax", Data: "d", Began: 2e6,
		Joined: true, JoinBy: 3e6, Ended: 4e6, Cause: desk.ByClient, Reason: "r"}
	a := desk.AgentView{Desk: "acme", Agent: "eve", Profile: desk.Profile{Topics: []string{"tax"}, Reach: desk.Push}, State: desk.Init, Accepting: true, Ready: true,
		Away: true, Silent: true, Misses: 1, Connections: []uint64{4, 5}, IdleSince: 1e6, NotBefore: 2e6, Until: 3e6, Offer: &o, Session: &s, Seq: 14, At: 4e6}
	r := desk.RequestView{ID: 11, Desk: "acme", Client: "zoe", Ask: desk.Ask{Topic: "tax", Priority: 3, Data: "d", Key: `k"`, Reach: desk.Push}, State: desk.Assigned,
		Position: 2, Attempts: 3, Made: 1e6, Expires: 2e6, Away: true, Until: 3e6, Offer: 12, Session: 13, Agent: "eve", Cause: desk.ByNoShow, Reason: "r", Seq: 15, At: 4e6}
	d := desk.DeskView{Name: "acme", Config: desk.DefaultConfig(), Agents: 10, States: [desk.AgentStates]uint32{1, 2, 3, 4}, Ready: 5, Waiting: 6, Offering: 7, Sessions: 8,
		Oldest: 1e6, Seq: 16, At: 2e6}
	return d, a, r, o, s
}

// TestDeskForms: an answer, a row and a push of each thing are JSON with the same members, and what is not confirmed has no number of an event.
func TestDeskForms(t *testing.T) {
	t.Parallel()
	d, a, r, o, s := things()
	av := desk.Availability{Desk: "acme", Topic: "tax", Open: true, Idle: 1, Waiting: 2, Version: 17}
	members := func(b []byte) map[string]any {
		t.Helper()
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		return m
	}
	for _, c := range []struct {
		name   string
		fields int // of the struct, what it embeds counted apart
		answer func([]byte, Stamp) []byte
		row    func([]byte, bool) []byte
		events []string
	}{
		{"desk", 14, func(b []byte, st Stamp) []byte { return AppendDesk(b, "r", &d, st) }, func(b []byte, ok bool) []byte { return AppendDeskRow(b, &d, ok) }, []string{"seq"}},
		{"agent", 18, func(b []byte, st Stamp) []byte { return AppendAgent(b, "r", &a, 5e6, st) }, func(b []byte, ok bool) []byte { return AppendAgentRow(b, &a, 5e6, ok) }, []string{"seq", "offer", "session"}},
		{"request", 22, func(b []byte, st Stamp) []byte { return AppendRequest(b, "r", &r, st) }, func(b []byte, ok bool) []byte { return AppendRequestRow(b, &r, ok) }, []string{"request", "offer", "session", "seq"}},
		{"offer", 17, func(b []byte, st Stamp) []byte { return AppendOffer(b, "r", &o, 5e6, st) }, func(b []byte, ok bool) []byte { return AppendOfferRow(b, &o, 5e6, ok) }, []string{"offer", "request", "session"}},
		{"session", 14, func(b []byte, st Stamp) []byte { return AppendSession(b, "r", &s, st) }, func(b []byte, ok bool) []byte { return AppendSessionRow(b, &s, ok) }, []string{"session", "request", "offer"}},
		{"availability", 6, func(b []byte, st Stamp) []byte { return AppendAvailability(b, "r", &av, st) }, func(b []byte, ok bool) []byte { return AppendAvailabilityRow(b, &av, ok) }, []string{"version"}},
	} {
		st := Stamp{Durability: Confirmed, AsOf: 20, At: 9e6}
		answer, row := members(c.answer(nil, st)), members(c.row(nil, true))
		push := members(AppendPush(nil, "x", 20, func(b []byte) []byte { return c.row(b, true) }))
		st.Durability = Preapproved
		early, earlyRow := members(c.answer(nil, st)), members(c.row(nil, false))
		if len(row) != c.fields {
			t.Errorf("%s: %d members, want %d: %v", c.name, len(row), c.fields, row)
		}
		for name, value := range row {
			if !reflect.DeepEqual(answer[name], value) || !reflect.DeepEqual(push[name], value) {
				t.Errorf("%s: %s is %v in a row, %v in an answer, %v in a push", c.name, name, value, answer[name], push[name])
			}
			event := false
			for _, e := range c.events {
				event = event || e == name
			}
			if _, there := early[name]; there == event {
				t.Errorf("%s: %s is told before it is confirmed: %v", c.name, name, there)
			}
			if _, there := earlyRow[name]; there == event {
				t.Errorf("%s: %s is in a row before it is confirmed: %v", c.name, name, there)
			}
		}
		if answer["realm"] != "r" || answer["as_of"] != 20.0 || answer["durability"] != "confirmed" || push["push"] != "x" || push["as_of"] != 20.0 {
			t.Errorf("%s: %v\n%v", c.name, answer, push)
		}
	}
	late := AppendOfferRow(nil, &o, 30e6, true)
	if !strings.Contains(string(late), `"remaining_ms":0,`) {
		t.Errorf("past its deadline: %s", late)
	}
	if o.State = desk.TimedOut; strings.Contains(string(AppendOfferRow(nil, &o, 5e6, true)), "remaining_ms") {
		t.Error("time is left of an offer that has ended")
	}
}

// TestRefusedAtDesk: each refusal is a problem with its facts, which a client reads back.
func TestRefusedAtDesk(t *testing.T) {
	t.Parallel()
	agent := desk.AgentView{State: desk.Busy}
	for want, r := range map[string]desk.Result{
		`no_agent 409 version=9`: {Refusal: desk.Refusal{Code: desk.NoAgent, Version: 9}},
		`queue_full 409 limit=3`: {Refusal: desk.Refusal{Code: desk.QueueFull, Limit: 3}},
		`offer_closed 409 offer=timed_out cause=deadline agent_state=busy`: {Refusal: desk.Refusal{Code: desk.OfferClosed, Offer: desk.TimedOut, Cause: desk.ByDeadline}, Agent: &agent},
		`offer_closed 409`:                   {Refusal: desk.Refusal{Code: desk.OfferClosed}},
		`session_ended 409 cause=agent_lost`: {Refusal: desk.Refusal{Code: desk.SessionEnded, Cause: desk.ByAgentLost}, Agent: &agent},
		`not_connected 409`:                  {Refusal: desk.Refusal{Code: desk.NotConnected}, Agent: &agent},
		`desk_live 409 topic=tax`:            {Refusal: desk.Refusal{Code: desk.DeskLive, Topic: "tax"}},
		`unknown_topic 404 topic=tax`:        {Refusal: desk.Refusal{Code: desk.UnknownTopic, Topic: "tax"}},
		`unknown_desk 404`:                   {Refusal: desk.Refusal{Code: desk.UnknownDesk}},
		`unknown_agent 404`:                  {Refusal: desk.Refusal{Code: desk.UnknownAgent}},
		`unknown_request 404`:                {Refusal: desk.Refusal{Code: desk.UnknownRequest}},
	} {
		p := RefusedAtDesk("acme", &r)
		p.Durability, p.AsOf, p.At = Confirmed, 20, 1e6
		b := p.Append(nil)
		got, err := DecodeProblem(p.Status, b)
		if err != nil || got.Type != ProblemType+string(p.Code) || got.Title == "" || got.Detail == "" || got.Desk != "acme" || got.AsOf != 20 {
			t.Fatalf("%s: %v", b, err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		text := string(got.Code) + " " + map[int]string{404: "404", 409: "409"}[got.Status]
		for _, name := range []string{"version", "limit", "topic", "offer", "cause", "agent_state"} {
			if v, there := m[name]; there {
				value, _ := json.Marshal(v)
				text += " " + name + "=" + strings.Trim(string(value), `"`)
			}
		}
		if text != want {
			t.Errorf("%s: %q, want %q", b, text, want)
		}
		got.Type = ""
		if got.Status, p.Type = p.Status, ""; !reflect.DeepEqual(*got, p) {
			t.Errorf("%+v came back as %+v", p, *got)
		}
	}
}
