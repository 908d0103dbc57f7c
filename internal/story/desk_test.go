package story_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/internal/story"
)

// whyDesk tells the story of a request, or of an agent where request is 0, from the events.
func (w *world) whyDesk(at string, request uint64, agent string) string {
	w.t.Helper()
	teller, name := story.OfAgent(holdfast.NewState(), "spring", at, agent), agent
	if request != 0 {
		teller, name = story.OfRequest(holdfast.NewState(), "spring", at, request), fmt.Sprintf("request %d", request)
	}
	if err := holdfast.Decode(1, w.batch.Count, w.batch.Bytes, teller.Event); err != nil {
		w.t.Fatal(err)
	}
	text := fmt.Sprintf("# %s at %s\n", name, at)
	for _, line := range teller.Lines() {
		text += line.String() + "\n"
	}
	return text + teller.End() + "\n\n"
}

// at goes to a second of the story, and does what is due by then.
func (w *world) at(seconds float64) {
	w.now = w.began.Add(time.Duration(seconds * float64(time.Second)))
	w.do("spring", desk.LookAgent{Desk: "acme", Agent: "eve"})
}

func (w *world) agent(name string) desk.AgentView {
	v, _ := w.stepper.State.Realm("spring").Desks.Agent("acme", name)
	return v
}

func (w *world) asks(client string, a desk.Ask, conn uint64) uint64 {
	res := w.do("spring", desk.Request{Desk: "acme", Client: client, Conn: conn, Ask: a})
	if res.Desk.Request == nil {
		w.t.Fatal(res.Desk.Refusal)
	}
	return res.Desk.Request.ID
}

// acme is a day at a desk: everything that can become of a request and of an agent.
func acme(w *world) (ids []uint64) {
	c := desk.DefaultConfig()
	c.Policy, c.QueueLimit, c.Topics, c.WrapUp = desk.Queue, 5, []string{"tax", "visa"}, 3*time.Second
	w.do("spring", desk.PutDesk{Desk: "acme", Config: c})
	w.do("spring", desk.PutAgent{Desk: "acme", Agent: "eve", Profile: desk.Profile{Reach: desk.Push}})
	w.do("spring", desk.PutAgent{Desk: "acme", Agent: "bob", Profile: desk.Profile{Topics: []string{"tax"}}})
	w.do("spring", desk.Attach{Desk: "acme", Agent: "bob", Conn: 7})
	w.do("spring", desk.Online{Desk: "acme", Agent: "bob", Conn: 7})
	w.do("spring", desk.Online{Desk: "acme", Agent: "eve"})
	tax, visa := desk.Ask{Topic: "tax", Reach: desk.Push}, desk.Ask{Topic: "visa", Priority: 3}
	w.at(10)
	one := w.asks("zoe", tax, 0)
	w.do("spring", desk.Receive{Desk: "acme", Agent: "bob", Conn: 7, Offer: w.agent("bob").Offer.ID})
	w.at(15)
	w.do("spring", desk.RejectOffer{Desk: "acme", Agent: "bob", Conn: 7, Offer: w.agent("bob").Offer.ID, Reason: "lunch"})
	w.at(20)
	w.do("spring", desk.AcceptOffer{Desk: "acme", Agent: "eve", Offer: w.agent("eve").Offer.ID})
	two := w.asks("yan", visa, 8)
	w.at(30)
	w.do("spring", desk.DetachClient{Desk: "acme", Client: "yan", Conn: 8})
	w.at(60)
	w.do("spring", desk.Finish{Desk: "acme", Agent: "eve", Session: w.agent("eve").Session.ID, Staff: desk.Staff{Reason: "answered"}})
	w.at(63)
	w.do("spring", desk.AttachClient{Desk: "acme", Client: "yan", Conn: 9})
	w.at(70)
	w.do("", holdfast.Start{Epoch: 2, Grace: 15_000_000})
	w.at(72)
	w.do("spring", desk.AttachClient{Desk: "acme", Client: "yan", Conn: 10})
	w.at(110)
	three := w.asks("xia", tax, 0)
	w.at(115)
	w.do("spring", desk.Force{Desk: "acme", Agent: "eve", To: desk.Offline, Staff: desk.Staff{By: "boss", Reason: "meeting"}})
	w.do("spring", desk.Cancel{Desk: "acme", Request: three, Staff: desk.Staff{By: "boss", Reason: "was a test"}})
	w.do("spring", desk.Attach{Desk: "acme", Agent: "bob", Conn: 11})
	w.do("spring", desk.Online{Desk: "acme", Agent: "bob", Conn: 11})
	w.at(120)
	four := w.asks("wes", tax, 0)
	w.at(122.1)
	w.do("spring", desk.Hear{Desk: "acme", Agent: "bob", Conn: 11})
	w.do("spring", desk.Pause{Desk: "acme", Agent: "bob", Conn: 11})
	w.at(400)
	w.do("spring", desk.RemoveAgent{Desk: "acme", Agent: "bob", Staff: desk.Staff{Reason: "left"}})
	return []uint64{one, two, three, four, 1}
}

func requests(w *world) (text string) {
	for _, id := range acme(w) {
		text += w.whyDesk("acme", id, "")
	}
	return text + w.whyDesk("nowhere", 4711, "")
}

func agents(w *world) string {
	acme(w)
	return w.whyDesk("acme", 0, "eve") + w.whyDesk("acme", 0, "bob") + w.whyDesk("acme", 0, "nobody")
}

// TestDeskFromSnapshot: a log whose beginning is gone.
func TestDeskFromSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := desk.DefaultConfig()
	c.Policy, c.QueueLimit = desk.Queue, 5
	w.do("spring", desk.PutDesk{Desk: "acme", Config: c})
	id := w.asks("zoe", desk.Ask{Reach: desk.Push}, 0)
	var kept strings.Builder
	if err := w.stepper.State.WriteSnapshot(&kept); err != nil {
		t.Fatal(err)
	}
	state, err := holdfast.ReadSnapshot(strings.NewReader(kept.String()))
	if err != nil {
		t.Fatal(err)
	}
	teller := story.OfRequest(state, "spring", "acme", id)
	w.batch.Reset()
	w.at(1000)
	if err := holdfast.Decode(w.batch.First, w.batch.Count, w.batch.Bytes, teller.Event); err != nil {
		t.Fatal(err)
	}
	if lines := teller.Lines(); len(lines) != 2 || lines[0].Text != "the log begins after this: it waits as number 1, after 0 offers, until 2026-11-21 08:04:00" ||
		lines[1].Text != "the request ended: expired (it waited too long)" {
		t.Errorf("%v", lines)
	}
	if want := "Now: it has ended: expired (it waited too long)."; teller.End() != want {
		t.Error(teller.End())
	}
}
