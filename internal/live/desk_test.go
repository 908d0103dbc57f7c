package live_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/internal/live"
)

// party is a device or a client's connection, and what it makes of what it is told.
type party struct {
	tb
	mu       sync.Mutex // guards what follows
	kinds    []string
	agent    map[string]any
	offer    string
	requests map[string]map[string]any
	cursor   uint64
	over     int
	joins    int
	last     uint64
}

func newParty(t tb) *party { return &party{tb: t, requests: map[string]map[string]any{}} }

func object(b []byte) (m map[string]any) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		panic(err)
	}
	return m
}

func (p *party) Tell(kinds []string, asOf uint64, lines []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if asOf < p.last || p.over > 0 {
		p.Errorf("told %v of %d after %d, over %d", kinds, asOf, p.last, p.over)
	}
	p.last = asOf
	n := 0
	for line := range bytes.Lines(lines) {
		m := object(line)
		if n >= len(kinds) || m["push"] != kinds[n] {
			p.Errorf("%v: %s", kinds, line)
			return
		}
		n++
		p.kinds = append(p.kinds, m["push"].(string))
		switch m["push"] {
		case live.Agent:
			p.agent = m
		case live.Offer:
			if p.offer != "" {
				p.Errorf("offer %v while %s is pending", m, p.offer)
			}
			p.offer = fmt.Sprint(m["offer"])
		case live.OfferClosed:
			if fmt.Sprint(m["offer"]) != p.offer || m["state"] == "pending" {
				p.Errorf("%v while %q is pending", m, p.offer)
			}
			p.offer = ""
		case live.Request:
			p.requests[fmt.Sprint(m["request"])] = m
			at, _ := m["as_of"].(json.Number).Int64()
			if uint64(at) < p.cursor {
				p.Errorf("the cursor goes back from %d: %v", p.cursor, m)
			}
			p.cursor = uint64(at)
		}
	}
	if n != len(kinds) {
		p.Errorf("%d messages, %v", n, kinds)
	}
}

func (p *party) Over(bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over++
}

func (p *party) Join() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joins++
}

// take gives the kinds that were told since the last take.
func (p *party) take() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.kinds
	p.kinds = nil
	return list
}

func (p *party) expect(kinds ...string) {
	p.Helper()
	if got := p.take(); !slices.Equal(got, kinds) {
		p.Errorf("told %v, want %v", got, kinds)
	}
}

func (w *world) desk(name string, change ...func(*desk.Config)) {
	w.Helper()
	cfg := desk.DefaultConfig()
	cfg.WarmUp = 0
	for _, f := range change {
		f(&cfg)
	}
	w.do(desk.PutDesk{Desk: name, Config: cfg})
}

func queueing(c *desk.Config) { c.Policy, c.QueueLimit = desk.Queue, 100 }

// online puts an agent who takes requests on a connection.
func (w *world) online(name, agent string, conn uint64) {
	w.Helper()
	w.do(desk.PutAgent{Desk: name, Agent: agent})
	w.do(desk.Attach{Desk: name, Agent: agent, Conn: conn})
	w.do(desk.Online{Desk: name, Agent: agent, Conn: conn})
}

func (w *world) request(name, client string, conn uint64) *desk.RequestView {
	w.Helper()
	r := w.do(desk.Request{Desk: name, Client: client, Conn: conn}).Desk
	if r.Refused() {
		w.Fatalf("%+v", r.Refusal)
	}
	return r.Request
}

func agentOf(s *holdfast.State, name, agent string) desk.AgentView {
	v, _ := s.Realm(term).Desks.Agent(name, agent)
	return v
}

// TestAgentWatch: an agent hears how they stand and what is offered, confirmed; what their own answer tells is not told.
func TestAgentWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.desk("d")
		w.online("d", "eve", 1)
		w.do(desk.Attach{Desk: "d", Agent: "eve", Conn: 2})
		one, two := newParty(t), newParty(t)
		first := w.hub.WatchAgent(term, "d", "eve", 1, one)
		second := w.hub.WatchAgent(term, "d", "eve", 2, two)
		one.expect(live.Agent)
		two.expect(live.Agent)
		w.gate.close()
		w.request("d", "zoe", 9)
		one.expect()
		w.gate.open()
		one.expect(live.Agent, live.Offer)
		two.expect(live.Agent, live.Offer)
		var offer uint64
		w.engine.Read(func(s *holdfast.State) { offer = agentOf(s, "d", "eve").Offer.ID })
		w.do(desk.Receive{Desk: "d", Agent: "eve", Conn: 1, Offer: offer})
		one.expect() // a receipt is no news
		first.Answering(offer)
		a := w.do(desk.AcceptOffer{Desk: "d", Agent: "eve", Conn: 1, Offer: offer})
		one.expect(live.Agent)
		two.expect(live.OfferClosed, live.Agent)
		first.Answered(true)
		one.expect()
		one.offer = "" // as the answer says
		// An answer that was refused tells nothing: what became of the offer is told after all.
		w.do(desk.Finish{Desk: "d", Agent: "eve", Conn: 1, Session: a.Desk.Session.ID})
		one.expect(live.Agent)
		two.expect(live.Agent)
		w.request("d", "zoe", 9)
		one.expect(live.Agent, live.Offer)
		two.take()
		w.engine.Read(func(s *holdfast.State) { offer = agentOf(s, "d", "eve").Offer.ID })
		first.Answering(offer)
		w.do(desk.Cancel{Desk: "d", Client: "zoe", Request: offer - 1})
		one.expect(live.Agent)
		first.Answered(false)
		one.expect(live.OfferClosed)
		two.expect(live.OfferClosed, live.Agent)
		// What an answer told as the agent is not told again, and what came since is.
		v := w.do(desk.Pause{Desk: "d", Agent: "eve", Conn: 1}).Desk.Agent
		first.Told(v)
		one.expect()
		two.expect(live.Agent)
		first.Told(v)
		w.do(desk.Online{Desk: "d", Agent: "eve", Conn: 2})
		one.expect(live.Agent)
		// A connection that is not the agent's any more is told so, once, and nothing after that.
		w.do(desk.Detach{Desk: "d", Agent: "eve", Conn: 2})
		if two.take(); two.over != 1 {
			t.Errorf("over %d times", two.over)
		}
		w.do(desk.Pause{Desk: "d", Agent: "eve", Conn: 1})
		second.Close()
		first.Close()
		first.Close()
		w.do(desk.Online{Desk: "d", Agent: "eve", Conn: 1})
		two.take()
		if s := w.hub.Stats(); s.Parties != 0 || s.Due != 0 || w.hub.Empty() != "" {
			t.Errorf("%+v %s", s, w.hub.Empty())
		}
	})
}

// TestAgentUnconfirmed: what is confirmed marks the agent, and what is read then may be ahead of it: it is not told yet.
func TestAgentUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.desk("d")
		w.online("d", "eve", 1)
		p, b := newParty(t), &bell{tb: t}
		defer w.hub.WatchAgent(term, "d", "eve", 1, p).Close()
		sub, _, _ := w.hub.SubscribeDesk(term, "d", "", b)
		defer sub.Close()
		p.expect(live.Agent)
		b.take()
		w.gate.close()
		w.do(desk.Pause{Desk: "d", Agent: "eve"})
		synctest.Wait() // it is on its way
		time.Sleep(time.Second)
		w.do(desk.Online{Desk: "d", Agent: "eve"})
		w.request("d", "zoe", 9)
		w.gate.step() // the pause is confirmed, and no more
		p.expect()
		if list := b.take(); len(list) > 0 {
			t.Errorf("%+v", list)
		}
		w.gate.open()
		p.expect(live.Agent, live.Offer)
		if list := b.take(); len(list) != 1 || list[0].Open {
			t.Errorf("%+v", list)
		}
	})
}

// TestAgentAnswerAhead: what was read before an answer, and is confirmed only after it, is not told: the offer is not made again.
func TestAgentAnswerAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, told := range []bool{true, false} {
			w := newWorld(t)
			w.desk("d")
			w.online("d", "eve", 1)
			p := newParty(t)
			watch := w.hub.WatchAgent(term, "d", "eve", 1, p)
			w.request("d", "zoe", 9)
			p.expect(live.Agent, live.Offer)
			offer := w.do(desk.LookAgent{Desk: "d", Agent: "eve"}).Desk.Agent.Offer.ID
			w.gate.close()
			w.do(desk.Attach{Desk: "d", Agent: "eve", Conn: 2})
			synctest.Wait() // it is on its way
			w.do(desk.Receive{Desk: "d", Agent: "eve", Conn: 1, Offer: offer})
			w.gate.step() // the device is confirmed: the agent is read, with the receipt
			synctest.Wait()
			watch.Answering(offer)
			r := w.do(desk.AcceptOffer{Desk: "d", Agent: "eve", Conn: 1, Offer: offer}).Desk
			watch.Answered(true)
			p.offer = ""
			if told {
				watch.Told(r.Agent)
			}
			w.gate.open()
			if list := p.take(); slices.Contains(list, live.Offer) || told && len(list) > 0 {
				t.Errorf("told %v: %v", told, list)
			}
			watch.Close()
			w.stop()
		}
	})
}

// TestSilentAgent: the flag follows the state.
func TestSilentAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.desk("d")
		w.online("d", "eve", 1)
		p := newParty(t)
		watch := w.hub.WatchAgent(term, "d", "eve", 1, p)
		defer watch.Close()
		w.request("d", "zoe", 9)
		p.take()
		time.Sleep(3 * time.Second)
		p.expect(live.OfferClosed, live.Agent)
		if !watch.Silent() {
			t.Fatal("the flag lacks")
		}
		w.do(desk.Hear{Desk: "d", Agent: "eve", Conn: 1})
		p.expect(live.Agent)
		if watch.Silent() {
			t.Error("the flag stays")
		}
	})
}

// TestClientWatch: what lives, what ended behind the cursor, each change once, and positions once a second.
func TestClientWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.desk("d", queueing)
		w.desk("e", queueing)
		var asked []uint64
		for i := range 9 {
			asked = append(asked, w.request("d", fmt.Sprintf("c%d", i), 100).ID)
		}
		p := newParty(t)
		watch := w.hub.WatchClient(term, "zoe", "", 9, live.Cursor{}, p)
		p.expect()
		atD := w.request("d", "zoe", 9)
		watch.Told(atD)
		p.expect() // an answer told it
		atE := w.request("e", "zoe", 9)
		p.expect(live.Request)
		if p.joins != 0 {
			t.Error("it was told to join its own")
		}
		time.Sleep(2 * time.Second)
		p.expect()
		began := w.engine.Durable().Seq
		for i := range 8 {
			w.do(desk.Cancel{Desk: "d", Client: fmt.Sprintf("c%d", i), Request: asked[i]})
			time.Sleep(250 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := len(p.take()); n < 2 || n > 4 {
			t.Errorf("%d positions within three seconds", n)
		}
		if r := p.requests[fmt.Sprint(atD.ID)]; fmt.Sprint(r["position"]) != "2" {
			t.Errorf("%v", r)
		}
		// Another connection with a cursor hears what ended behind it, in the order that makes its cursor good.
		w.do(desk.Cancel{Desk: "e", Client: "zoe", Request: atE.ID})
		w.do(desk.Cancel{Desk: "d", Client: "zoe", Request: atD.ID})
		p.take()
		back := newParty(t)
		w.hub.WatchClient(term, "zoe", "", 10, live.Cursor{Log: memID, Seq: began}, back).Close()
		again := w.hub.WatchClient(term, "zoe", "", 10, live.Cursor{Log: memID, Seq: began}, back)
		back.expect(live.Request, live.Request)
		for _, c := range []struct {
			since live.Cursor
			only  string
			n     int
		}{{live.Cursor{}, "", 0}, {live.Cursor{Log: "00"}, "", 2}, {live.Cursor{Log: memID, Seq: 1 << 40}, "", 2}, {live.Cursor{Log: memID, Seq: began}, "e", 1}, {live.Cursor{Log: memID, Seq: back.cursor}, "", 0}} {
			ear := newParty(t)
			watch := w.hub.WatchClient(term, "zoe", c.only, 11, c.since, ear)
			if got := ear.take(); len(got) != c.n {
				t.Errorf("%+v is told %d", c, len(got))
			}
			watch.Close()
		}
		// A request that was made elsewhere is to be joined; a connection whose place was taken is over.
		w.do(desk.Request{Desk: "e", Client: "zoe", Ask: desk.Ask{Reach: desk.Push}})
		if back.take(); back.joins != 1 {
			t.Errorf("%d joins", back.joins)
		}
		for conn := uint64(10); conn < 20; conn++ {
			w.do(desk.AttachClient{Desk: "e", Client: "zoe", Conn: conn})
		}
		if back.take(); back.over != 1 {
			t.Errorf("over %d times", back.over)
		}
		again.Close()
		watch.Close()
		if s := w.hub.Stats(); s.Parties != 0 || w.hub.Empty() != "" {
			t.Errorf("%+v %s", s, w.hub.Empty())
		}
	})
}

// availability is what was told of one.
type availability struct {
	Open          bool
	Idle, Waiting int
	Version       uint64
	at            time.Time
}

// bell is a Sink for availability.
type bell struct {
	tb
	mu    sync.Mutex // guards what follows
	heard []availability
}

func (b *bell) Push(kind string, _ uint64, message []byte) {
	var a availability
	if err := json.Unmarshal(message, &a); err != nil || kind != live.Availability {
		b.Errorf("%s %v: %s", kind, err, message)
	}
	a.at = time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = append(b.heard, a)
}

func (b *bell) take() []availability {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.heard
	b.heard = nil
	return list
}

// TestAvailability: the edges at once, the rest at most ten times a second, and the last value always.
func TestAvailability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.desk("d", func(c *desk.Config) { c.Topics = []string{"a", "b"} })
		if _, code, err := w.hub.SubscribeDesk(term, "d", "", &bell{tb: t}); code != desk.UnknownTopic || err != nil {
			t.Errorf("%v %v", code, err)
		}
		if _, code, _ := w.hub.SubscribeDesk(term, "x", "", &bell{tb: t}); code != desk.UnknownDesk {
			t.Errorf("%v", code)
		}
		if _, code, _ := w.hub.SubscribeDesk("x", "d", "", &bell{tb: t}); code != holdfast.UnknownRealm {
			t.Errorf("%v", code)
		}
		b := &bell{tb: t}
		sub, _, _ := w.hub.SubscribeDesk(term, "d", "a", b)
		if list := b.take(); len(list) != 1 || list[0].Open || list[0].Idle != 0 {
			t.Errorf("%+v", list)
		}
		w.online("d", "eve", 1)
		w.do(desk.Pause{Desk: "d", Agent: "eve"})
		w.do(desk.Online{Desk: "d", Agent: "eve"})
		if list := b.take(); len(list) != 1 || !list[0].Open || list[0].Idle != 1 {
			t.Errorf("%+v", list)
		}
		for range 20 { // an edge each, at once
			w.do(desk.Pause{Desk: "d", Agent: "eve"})
			if list := b.take(); len(list) != 1 || list[0].Open {
				t.Fatalf("%+v", list)
			}
			w.do(desk.Online{Desk: "d", Agent: "eve"})
			if list := b.take(); len(list) != 1 || !list[0].Open {
				t.Fatalf("%+v", list)
			}
		}
		time.Sleep(time.Second)
		for i := range 100 { // 1 s: 1 → 101, no edge
			w.online("d", fmt.Sprintf("a%d", i), uint64(10+i))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		list := b.take()
		if len(list) < 9 || len(list) > 12 || list[len(list)-1].Idle != 101 {
			t.Errorf("%d times, at the end %+v", len(list), list[len(list)-1])
		}
		for i := 1; i < len(list); i++ {
			if list[i].Version <= list[i-1].Version || list[i].at.Sub(list[i-1].at) < 100*time.Millisecond {
				t.Errorf("%+v after %+v", list[i], list[i-1])
			}
		}
		// The other topic is another's; a topic that goes is closed.
		w.do(desk.PutDesk{Desk: "d", Config: func() desk.Config { c := desk.DefaultConfig(); c.Topics = []string{"b"}; return c }()})
		if list := b.take(); len(list) != 1 || list[0].Open || list[0].Idle != 0 {
			t.Errorf("%+v", list)
		}
		sub.Close()
		sub.Close()
		w.do(desk.Pause{Desk: "d", Agent: "eve"})
		if list := b.take(); len(list) != 0 || w.hub.Empty() != "" {
			t.Errorf("%+v %s", list, w.hub.Empty())
		}
	})
}
