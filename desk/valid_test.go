package desk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/desk"
)

// TestInvalid: what is malformed is refused before any lock, and the field is named as the wire calls it.
func TestInvalid(t *testing.T) {
	t.Parallel()
	config := func(change func(*desk.Config)) desk.PutDesk {
		c := desk.PutDesk{Desk: "acme", Config: desk.DefaultConfig()}
		change(&c.Config)
		return c
	}
	ask := func(change func(*desk.Ask)) desk.Request {
		c := desk.Request{Desk: "acme", Client: "zoe", Conn: 1}
		change(&c.Ask)
		return c
	}
	profile := func(p desk.Profile) desk.PutAgent { return desk.PutAgent{Desk: "acme", Agent: "eve", Profile: p} }
	long, text := strings.Repeat("x", desk.MaxID+1), strings.Repeat("r", desk.MaxReason+1)
	var topics []string
	for n := range desk.MaxTopics + 1 {
		topics = append(topics, fmt.Sprint("t", n))
	}
	bad := desk.Staff{Reason: "\xff"}
	for _, c := range []struct {
		field string // empty: valid
		cmd   desk.Command
	}{
		{"", config(func(*desk.Config) {})},
		{"desk", desk.PutDesk{Config: desk.DefaultConfig()}},
		{"max_wait_ms", desk.PutDesk{Desk: "acme"}},
		{"", config(func(c *desk.Config) { c.Topics = topics[1:] })},
		{"topics", config(func(c *desk.Config) { c.Topics = topics })},
		{"topics[1]", config(func(c *desk.Config) { c.Topics = []string{"a", "a"} })},
		{"topics[0]", config(func(c *desk.Config) { c.Topics = []string{""} })},
		{"policy", config(func(c *desk.Config) { c.Policy = 2 })},
		{"queue_limit", config(func(c *desk.Config) { c.QueueLimit = 1 })},
		{"queue_limit", config(func(c *desk.Config) { c.Policy = desk.Queue })},
		{"queue_limit", config(func(c *desk.Config) { c.Policy, c.QueueLimit = desk.Queue, desk.MaxQueue+1 })},
		{"", config(func(c *desk.Config) { c.Policy, c.QueueLimit = desk.Queue, desk.MaxQueue })},
		{"max_wait_ms", config(func(c *desk.Config) { c.MaxWait = time.Second - time.Millisecond })},
		{"max_wait_ms", config(func(c *desk.Config) { c.MaxWait = 24*time.Hour + time.Millisecond })},
		{"max_wait_ms", config(func(c *desk.Config) { c.MaxWait += time.Microsecond })},
		{"", config(func(c *desk.Config) { c.MaxWait = 24 * time.Hour })},
		{"offer_ms", config(func(c *desk.Config) { c.OfferTime = 0 })},
		{"offer_ms", config(func(c *desk.Config) { c.OfferTime = 15*time.Minute + time.Millisecond })},
		{"receipt_ms", config(func(c *desk.Config) { c.Receipt = c.OfferTime + time.Millisecond })},
		{"receipt_ms", config(func(c *desk.Config) { c.Receipt = 99 * time.Millisecond })},
		{"", config(func(c *desk.Config) { c.Receipt = 0 })},
		{"", config(func(c *desk.Config) { c.Receipt = c.OfferTime })},
		{"push_receipt_ms", config(func(c *desk.Config) { c.PushReceipt = time.Millisecond })},
		{"push_receipt_ms", config(func(c *desk.Config) { c.PushReceipt = -time.Second })},
		{"idle_grace_ms", config(func(c *desk.Config) { c.IdleGrace = -time.Millisecond })},
		{"init_grace_ms", config(func(c *desk.Config) { c.InitGrace = time.Hour + time.Millisecond })},
		{"busy_grace_ms", config(func(c *desk.Config) { c.BusyGrace = time.Microsecond })},
		{"client_grace_ms", config(func(c *desk.Config) { c.ClientGrace = -1 })},
		{"join_ms", config(func(c *desk.Config) { c.JoinWithin = 2 * time.Hour })},
		{"reject_pause_ms", config(func(c *desk.Config) { c.RejectPause = 2 * time.Hour })},
		{"miss_pause_ms", config(func(c *desk.Config) { c.MissPause = 2 * time.Hour })},
		{"wrap_up_ms", config(func(c *desk.Config) { c.WrapUp = 2 * time.Hour })},
		{"restart_grace_ms", config(func(c *desk.Config) { c.RestartGrace = 2 * time.Hour })},
		{"warm_up_ms", config(func(c *desk.Config) { c.WarmUp = time.Minute + time.Millisecond })},
		{"", config(func(c *desk.Config) { c.WarmUp, c.IdleGrace, c.WrapUp = time.Minute, 0, time.Hour })},
		{"misses", config(func(c *desk.Config) { c.Misses = 101 })},
		{"", config(func(c *desk.Config) { c.Misses = 0 })},
		{"max_attempts", config(func(c *desk.Config) { c.MaxAttempts = 0 })},
		{"max_attempts", config(func(c *desk.Config) { c.MaxAttempts = desk.MaxAttempts + 1 })},
		{"on_lost", config(func(c *desk.Config) { c.OnLost = 2 })},

		{"", profile(desk.Profile{Topics: []string{"a", "b"}, Reach: desk.Push})},
		{"topics[1]", profile(desk.Profile{Topics: []string{"a", "a"}})},
		{"reach", profile(desk.Profile{Reach: 2})},
		{"agent", desk.PutAgent{Desk: "acme", Agent: long}},
		{"desk", desk.PutAgent{Desk: "a/b", Agent: "eve"}},
		{"", desk.RemoveAgent{Desk: "acme", Agent: "eve"}},
		{"agent", desk.RemoveAgent{Desk: "acme"}},
		{"reason", desk.RemoveAgent{Desk: "acme", Agent: "eve", Staff: bad}},
		{"by", desk.RemoveAgent{Desk: "acme", Agent: "eve", Staff: desk.Staff{By: text}}},
		{"", desk.Force{Desk: "acme", Agent: "eve", To: desk.Idle, Staff: desk.Staff{Reason: "r"}}},
		{"reason", desk.Force{Desk: "acme", Agent: "eve", To: desk.Offline}},
		{"reason", desk.Force{Desk: "acme", Agent: "eve", Staff: desk.Staff{Reason: text}}},
		{"state", desk.Force{Desk: "acme", Agent: "eve", To: desk.Busy, Staff: desk.Staff{Reason: "r"}}},
		{"agent", desk.Force{Desk: "acme", Staff: desk.Staff{Reason: "r"}}},

		{"", desk.Attach{Desk: "acme", Agent: "eve", Conn: 1}},
		{"connection", desk.Attach{Desk: "acme", Agent: "eve"}},
		{"connection", desk.Detach{Desk: "acme", Agent: "eve"}},
		{"agent", desk.Detach{Desk: "acme", Conn: 1}},
		{"", desk.Online{Desk: "acme", Agent: "eve"}},
		{"agent", desk.Online{Desk: "acme"}},
		{"", desk.Pause{Desk: "acme", Agent: "eve"}},
		{"reason", desk.Pause{Desk: "acme", Agent: "eve", Staff: bad}},
		{"agent", desk.Pause{Desk: "acme"}},
		{"reason", desk.GoOffline{Desk: "acme", Agent: "eve", Staff: bad}},
		{"desk", desk.GoOffline{Agent: "eve"}},
		{"", desk.Hear{Desk: "acme", Agent: "eve"}},
		{"agent", desk.Hear{Desk: "acme"}},
		{"", desk.Receive{Desk: "acme", Agent: "eve", Offer: 1}},
		{"offer", desk.Receive{Desk: "acme", Agent: "eve"}},
		{"offer", desk.AcceptOffer{Desk: "acme", Agent: "eve"}},
		{"agent", desk.AcceptOffer{Desk: "acme", Offer: 1}},
		{"offer", desk.RejectOffer{Desk: "acme", Agent: "eve"}},
		{"reason", desk.RejectOffer{Desk: "acme", Agent: "eve", Offer: 1, Reason: text}},

		{"", ask(func(*desk.Ask) {})},
		{"client", desk.Request{Desk: "acme", Conn: 1}},
		{"reach", desk.Request{Desk: "acme", Client: "zoe"}},
		{"", desk.Request{Desk: "acme", Client: "zoe", Ask: desk.Ask{Reach: desk.Push}}},
		{"reach", ask(func(a *desk.Ask) { a.Reach = 2 })},
		{"topic", ask(func(a *desk.Ask) { a.Topic = "a b" })},
		{"priority", ask(func(a *desk.Ask) { a.Priority = desk.MaxPriority + 1 })},
		{"data", ask(func(a *desk.Ask) { a.Data = strings.Repeat("d", desk.MaxData+1) })},
		{"data", ask(func(a *desk.Ask) { a.Data = "\xff" })},
		{"", ask(func(a *desk.Ask) { a.Data = strings.Repeat("d", desk.MaxData) })},
		{"key", ask(func(a *desk.Ask) { a.Key = long })},
		{"key", ask(func(a *desk.Ask) { a.Key = "\xff" })},
		{"", ask(func(a *desk.Ask) { a.Key = "any key / at all" })},
		{"connection", desk.AttachClient{Desk: "acme", Client: "zoe"}},
		{"client", desk.DetachClient{Desk: "acme", Conn: 1}},
		{"", desk.DetachClient{Desk: "acme", Client: "zoe", Conn: 1}},
		{"", desk.Cancel{Desk: "acme", Request: 1}},
		{"request", desk.Cancel{Desk: "acme"}},
		{"client", desk.Cancel{Desk: "acme", Client: "a b", Request: 1}},
		{"reason", desk.Cancel{Desk: "acme", Request: 1, Staff: bad}},
		{"desk", desk.Cancel{Request: 1}},
		{"", desk.Finish{Desk: "acme", Session: 1}},
		{"session", desk.Finish{Desk: "acme", Agent: "eve"}},
		{"client", desk.Finish{Desk: "acme", Agent: "eve", Client: "zoe", Session: 1}},
		{"agent", desk.Finish{Desk: "acme", Agent: "a b", Session: 1}},
		{"client", desk.Finish{Desk: "acme", Client: "a b", Session: 1}},
		{"reason", desk.Finish{Desk: "acme", Session: 1, Staff: bad}},
		{"desk", desk.Finish{Session: 1}},
		{"agent", desk.LookAgent{Desk: "acme"}},
		{"request", desk.LookRequest{Desk: "acme"}},
		{"desk", desk.LookRequest{Request: 1}},
	} {
		err := c.cmd.Valid()
		var invalid *desk.Invalid
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%T %.200v: %v, but it is valid", c.cmd, c.cmd, err)
		case c.field == "":
		case !errors.As(err, &invalid) || invalid.Field != c.field || invalid.Problem == "":
			t.Errorf("%T %.200v: %v, wanted field %q", c.cmd, c.cmd, err, c.field)
		case len(err.Error()) > 250:
			t.Errorf("the answer repeats too much of the question: %s", err)
		}
	}
}

// TestConfigJSON: a configuration is shown as docs/DESKS.md has it.
func TestConfigJSON(t *testing.T) {
	t.Parallel()
	c := desk.DefaultConfig()
	c.Topics, c.Policy, c.QueueLimit = []string{"tax"}, desk.Queue, 100
	got, err := json.Marshal(&c)
	want := `{"topics":["tax"],"policy":"queue","queue_limit":100,"max_wait_ms":240000,"offer_ms":20000,"receipt_ms":2000,"push_receipt_ms":0,` +
		`"idle_grace_ms":10000,"init_grace_ms":5000,"busy_grace_ms":60000,"client_grace_ms":60000,"join_ms":30000,"misses":2,` +
		`"reject_pause_ms":2000,"miss_pause_ms":10000,"wrap_up_ms":0,"max_attempts":10,"single_device":false,"on_lost":"requeue",` +
		`"restart_grace_ms":15000,"warm_up_ms":1500}`
	if err != nil || string(got) != want {
		t.Errorf("%s %v\nwanted\n%s", got, err, want)
	}
}
