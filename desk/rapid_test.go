package desk_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast"
	"holdfast/desk"
	"holdfast/internal/sim"
	"holdfast/seat"
)

// The machine runs the same commands on the core and on the oracle and compares everything after each: the refusal, the
// events, all views, what is due next, a replay of the events, and now and then a restored snapshot; and the checker of the
// log must find nothing. The worlds are small, so that agents, requests and times collide.

const second = desk.Time(1_000_000)

var (
	deskNames   = []string{"acme", "bank", "club"}
	agentNames  = []string{"eve", "bob", "cem", "dee"}
	clientNames = []string{"zoe", "yan", "xia", "wim", "val", "uma"}
	topicNames  = []string{"tax", "law"}
)

// act is one command as drawn: small numbers, to be read against the state at that point.
type act struct {
	Kind                string
	Desk, Agent, Client int
	X, Y, Time          int
}

// actKinds: what is common at a desk is common here.
var actKinds = []string{
	"request", "request", "request", "request", "request", "request", "request", "request", "accept", "accept", "accept", "accept", "accept",
	"reject", "reject", "reject", "receive", "receive", "finish", "finish", "finish", "finish", "cancel", "cancel", "online", "online", "online", "online",
	"attach", "attach", "attach", "attach", "detach", "detach", "detach", "come", "come", "go", "go", "go", "pause", "pause", "away", "hear", "hear",
	"force", "force", "remove", "agent", "agent", "desk", "start", "restore", "wait", "look",
}

// drawAct spreads what rapid draws: rapid prefers small numbers, but nobody is to be preferred here.
func drawAct(t *rapid.T) act {
	return spread(rapid.Uint64().Draw(t, "act"))
}

func spread(x uint64) act {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // splitmix64
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return act{
		Kind: actKinds[(x&0xff)%uint64(len(actKinds))], Desk: int(x>>8&0xff) % len(deskNames), Agent: int(x>>16&0xff) % len(agentNames),
		Client: int(x>>24&0xff) % len(clientNames), X: int(x >> 32 & 0xff), Y: int(x >> 40 & 0xff), Time: int(x >> 48 & 0xff),
	}
}

// TestOracle makes 150 worlds of about 250 commands; -rapid.checks and -rapid.steps make more.
func TestOracle(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "150", "rapid.steps": "250"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue {
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := map[string]int{}
	compared := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(rt, seen)
		rt.Repeat(map[string]func(*rapid.T){"act": func(rt *rapid.T) {
			a := drawAct(rt)
			m.at = fmt.Sprintf("%+v", a)
			m.run(a)
		}})
		if report := m.checker.Finish(m.now); report.Found > 0 {
			rt.Fatalf("the checker says %v", report.Violations)
		}
		compared += m.compared
	})
	if t.Failed() {
		return
	}
	t.Logf("%d views, events and refusals compared; %v", compared, seen)
	if compared < 800_000 {
		t.Errorf("only %d things compared: the test has lost its teeth", compared)
	}
	for _, what := range sometimes {
		if seen[what] == 0 {
			t.Errorf("never happened: %s", what)
		}
	}
}

type failer interface {
	Fatalf(format string, args ...any)
}

type machine struct {
	t        failer
	seen     map[string]int
	at       string // what is being done, for failures
	core     *desk.State
	replayed *desk.State // applied the events only, never stepped
	oracle   *oracle
	checker  *sim.DeskChecker
	versions map[string]desk.Availability
	now      desk.Time
	conn     uint64
	compared int
	log      []logged
}

// logged is an event as it stands in the log; a nil event is a start.
type logged struct {
	seq uint64
	at  desk.Time
	is  *desk.Event
}

func newMachine(t failer, seen map[string]int) *machine {
	m := &machine{t: t, seen: seen, at: "at first", now: 1_000 * second, oracle: &oracle{}, core: desk.NewState(), replayed: desk.NewState(),
		checker: sim.NewDeskChecker(), versions: map[string]desk.Availability{}}
	for i, name := range deskNames {
		m.do(desk.PutDesk{Desk: name, Config: config(i, i*3+1, i*5+2)})
		for n := range agentNames {
			m.do(desk.PutAgent{Desk: name, Agent: agentNames[n]})
			m.conn++
			m.do(desk.Attach{Desk: name, Agent: agentNames[n], Conn: m.conn})
			m.do(desk.Online{Desk: name, Agent: agentNames[n], Conn: m.conn})
		}
	}
	return m
}

// config draws a configuration from small numbers. acme has a queue and topics, bank refuses, club has one device and either.
func config(i, x, y int) desk.Config {
	c := desk.DefaultConfig()
	if i == 0 || i == 2 && x%2 == 0 {
		c.Policy, c.QueueLimit = desk.Queue, uint32([]int{100, 100, 1, 3}[y%4])
	}
	if i == 0 || i == 2 && y%3 == 0 {
		c.Topics = topicNames[:1+x%2]
	}
	c.SingleDevice = i == 2
	ms := func(choices ...int) time.Duration {
		return time.Duration(choices[(x+y)%len(choices)]) * time.Millisecond
	}
	c.MaxWait = ms(60_000, 12_000, 120_000)
	c.OfferTime, c.Receipt, c.PushReceipt = ms(5_000, 8_000), ms(2_000, 0, 0), ms(0, 0, 3_000)
	c.IdleGrace, c.InitGrace, c.BusyGrace = ms(10_000, 0, 5_000), ms(5_000, 2_000, 0, 20_000), ms(20_000, 7_000)
	c.ClientGrace, c.JoinWithin = ms(10_000, 2_000, 4_000), ms(8_000, 0)
	c.Misses, c.MaxAttempts = uint32(x%3), uint32([]int{10, 3, 2, 4, 1}[y%5])
	c.RejectPause, c.MissPause, c.WrapUp = ms(2_000, 0, 0, 500), ms(0, 3_000), ms(0, 2_000, 0)
	c.OnLost = desk.Lost(y % 2)
	c.RestartGrace, c.WarmUp = ms(15_000, 1_000), ms(1_500, 0, 4_000)
	return c
}

// advance moves the time: often not, else by a little, or exactly to (or just before) the next instant that matters.
func (m *machine) advance(n int) {
	switch n % 16 {
	case 0, 1:
		m.now += desk.Time(n%5) * second / 4
	case 2:
		if next := m.oracle.next(); next != nil && next.at > m.now+1 {
			m.now = next.at - desk.Time(n/16%2)
		}
	case 3, 4:
		m.now += desk.Time(n)
	}
}

func (m *machine) run(a act) {
	m.advance(a.Time)
	name, agent, client := deskNames[a.Desk], agentNames[a.Agent], clientNames[a.Client]
	if a.X == 255 {
		name = "none"
	}
	staff := desk.Staff{Reason: []string{"", "ill"}[a.X%2], By: []string{"", "", "dean"}[a.Y%3]}
	switch a.Kind {
	case "request":
		m.request(a, name, client)
	case "accept", "reject", "receive":
		m.answer(a, name, agent)
	case "finish":
		m.finish(a, name, staff)
	case "cancel":
		m.cancel(a, name, client, staff)
	case "online":
		m.do(desk.Online{Desk: name, Agent: agent, Conn: m.agentConn(name, agent, a.Y)})
	case "pause":
		m.do(desk.Pause{Desk: name, Agent: agent, Conn: m.agentConn(name, agent, a.X), Staff: staff})
	case "away":
		m.do(desk.GoOffline{Desk: name, Agent: agent, Conn: m.agentConn(name, agent, a.X), Staff: staff})
	case "hear":
		m.do(desk.Hear{Desk: name, Agent: agent, Conn: m.agentConn(name, agent, a.X)})
	case "attach":
		m.conn++
		m.do(desk.Attach{Desk: name, Agent: agent, Conn: m.conn})
	case "detach":
		if d := m.oracle.desk(name); d != nil && a.Y%4 == 0 {
			for _, is := range d.agents {
				if is.State == desk.Busy {
					agent = is.Agent
				}
			}
		}
		if conn := m.agentConn(name, agent, a.X|1); conn != 0 {
			m.do(desk.Detach{Desk: name, Agent: agent, Conn: conn})
		}
	case "come":
		m.conn++
		m.do(desk.AttachClient{Desk: name, Client: client, Conn: m.conn})
	case "go":
		m.leave(a, name, client)
	case "force":
		staff.Reason = "ill"
		if d := m.oracle.desk(name); d != nil && a.Y%3 > 0 {
			for _, is := range d.agents {
				if is.State == desk.Init || is.State == desk.Busy {
					agent = is.Agent
				}
			}
		}
		m.do(desk.Force{Desk: name, Agent: agent, To: desk.AgentState(a.X % 2), Staff: staff})
	case "remove":
		if a.X%2 == 0 && a.X < 250 {
			return
		}
		m.do(desk.RemoveAgent{Desk: name, Agent: agent, Staff: staff})
	case "agent":
		m.putAgent(a, name, agent)
	case "desk":
		if name != "none" {
			m.do(desk.PutDesk{Desk: name, Config: config(a.Desk, a.X, a.Y)})
		}
	case "look":
		m.do(desk.LookAgent{Desk: name, Agent: agent})
		m.do(desk.LookRequest{Desk: name, Request: uint64(a.Y) + 1})
	case "wait":
		m.now += desk.Time(a.X%20) * second / 4
		m.drain()
		m.same()
	case "start":
		if a.X%3 == 0 {
			m.start()
		}
	case "restore":
		m.restore()
	}
}

// leave takes a connection from a client, rather from one who is about to be served.
func (m *machine) leave(a act, name, client string) {
	d := m.oracle.desk(name)
	if d == nil {
		return
	}
	for _, r := range d.requests {
		if a.Y%4 > 0 && r.State == desk.Offering && len(r.conns) > 0 {
			client = r.Client
		}
	}
	if r := d.live(client); r != nil && len(r.conns) > 0 {
		m.do(desk.DetachClient{Desk: name, Client: client, Conn: r.conns[0]})
	}
}

func (m *machine) putAgent(a act, name, agent string) {
	p := desk.Profile{Reach: desk.Reach(a.Y % 3 / 2)}
	if d := m.oracle.desk(name); d != nil && a.X%3 > 0 {
		p.Topics = slices.Clone(d.cfg.Topics[:min(len(d.cfg.Topics), 1)])
		if a.X%16 == 5 {
			p.Topics = []string{"art"}
		}
	}
	if len(p.Topics) == 0 {
		p.Topics = nil
	}
	m.do(desk.PutAgent{Desk: name, Agent: agent, Profile: p})
}

func (m *machine) request(a act, name, client string) {
	c := desk.Request{Desk: name, Client: client, Ask: desk.Ask{Priority: uint8(a.X % 4 / 3 * 5), Data: fmt.Sprint(a.Y), Reach: desk.Reach(a.Y % 4 / 3)}}
	if d := m.oracle.desk(name); d != nil && len(d.cfg.Topics) > 0 {
		c.Topic = d.cfg.Topics[a.Y/4%len(d.cfg.Topics)]
	}
	if a.X%32 == 7 {
		c.Topic = "art"
	}
	if a.X%8 < 2 {
		c.Key = fmt.Sprint("k", a.X%3)
	}
	if c.Reach == desk.Socket || a.Y%8 == 1 {
		m.conn++
		c.Conn = m.conn
	}
	m.do(c)
}

// answer answers the offer that is there, mostly; or one that is over, or another's.
func (m *machine) answer(a act, name, agent string) {
	d := m.oracle.desk(name)
	if d == nil || len(d.offers) == 0 {
		return
	}
	of := d.offers[len(d.offers)-1-a.Y%min(len(d.offers), 4)]
	for _, is := range d.offers {
		if is.State == desk.Pending && a.X%5 > 0 {
			of, agent = is, is.Agent
		}
	}
	if a.X%5 > 1 {
		agent = of.Agent
	}
	conn := m.agentConn(name, agent, a.Y)
	switch a.Kind {
	case "accept":
		m.do(desk.AcceptOffer{Desk: name, Agent: agent, Conn: conn, Offer: of.ID})
	case "reject":
		m.do(desk.RejectOffer{Desk: name, Agent: agent, Conn: conn, Offer: of.ID, Reason: "busy"})
	default:
		m.do(desk.Receive{Desk: name, Agent: agent, Conn: conn, Offer: of.ID})
	}
}

// agentConn is one of the agent's connections; now and then none, or one that is dead.
func (m *machine) agentConn(name, agent string, x int) uint64 {
	d := m.oracle.desk(name)
	if d == nil {
		return 0
	}
	if x%16 == 15 {
		return 1 << 40
	}
	if a := d.agent(agent); a != nil && len(a.Connections) > 0 && x%4 > 0 {
		return a.Connections[x%len(a.Connections)]
	}
	return 0
}

func (m *machine) finish(a act, name string, staff desk.Staff) {
	d := m.oracle.desk(name)
	if d == nil || len(d.sessions) == 0 {
		return
	}
	s := d.sessions[len(d.sessions)-1-a.Y%min(len(d.sessions), 3)]
	c := desk.Finish{Desk: name, Session: s.ID, Staff: staff}
	switch a.X % 4 {
	case 0:
		c.Client = s.Client
	case 1, 2:
		c.Agent, c.Conn = s.Agent, m.agentConn(name, s.Agent, a.Y)
	}
	if a.X%16 == 4 {
		c.Client = clientNames[a.Client]
	}
	m.do(c)
}

func (m *machine) cancel(a act, name, client string, staff desk.Staff) {
	c := desk.Cancel{Desk: name, Client: client, Request: uint64(a.Y) + 1, Staff: staff}
	if d := m.oracle.desk(name); d != nil && d.live(client) != nil {
		c.Request = d.live(client).ID
	}
	if a.X%4 == 3 {
		c.Client = ""
	}
	m.do(c)
}

// do runs one command on both sides and compares.
func (m *machine) do(cmd desk.Command) {
	if err := cmd.Valid(); err != nil {
		m.t.Fatalf("%s: %T: %v", m.at, cmd, err)
	}
	m.drain()
	turn := desk.Turn{Now: m.now, Clock: m.now, Seq: m.oracle.seq}
	m.oracle.now, m.oracle.events = m.now, nil
	got := m.core.Step(&turn, cmd)
	want := m.oracle.step(cmd)
	m.note(turn.Events, got.Refusal.Code)
	if got.Refusal.Version != 0 && got.Refusal.Code == desk.NoAgent {
		got.Refusal.Version = 0 // compared with what is told
	}
	if got.Refusal != want {
		m.t.Fatalf("%s\n%T %+v at %d\nrefusal %+v\nwanted  %+v", m.at, cmd, cmd, m.now, got.Refusal, want)
	}
	m.shown(&got)
	m.follow(turn.Seq, turn.Events, cmd)
	m.same()
}

// shown compares what a result shows with the views.
func (m *machine) shown(res *desk.Result) {
	if is := res.Desk; is != nil {
		v, _ := m.core.Desk(is.Name)
		m.equal("the desk of the result", *is, v)
	}
	if is := res.Agent; is != nil {
		v, _ := m.core.Agent(is.Desk, is.Agent)
		m.equal("the agent of the result", *is, v)
	}
	if is := res.Request; is != nil {
		v, _ := m.core.Request(is.Desk, is.ID)
		m.equal("the request of the result", *is, v)
	}
	if is := res.Offer; is != nil {
		v, _ := m.core.Offer(is.Desk, is.ID)
		m.equal("the offer of the result", *is, v)
	}
	if is := res.Session; is != nil {
		v, _ := m.core.Session(is.Desk, is.ID)
		m.equal("the session of the result", *is, v)
	}
}

// drain runs what is due, on both sides.
func (m *machine) drain() {
	m.oracle.now, m.oracle.events = m.now, nil
	from := m.oracle.seq
	m.oracle.run()
	turn := desk.Turn{Now: m.now, Clock: m.now, Seq: from}
	if m.core.Due(&turn) {
		m.t.Fatalf("%s: more is due than one turn makes", m.at)
	}
	m.note(turn.Events, "")
	m.follow(from, turn.Events, "due")
}

// follow compares the events, and applies what their bytes say to the replayed state; the checker of the log sees them.
func (m *machine) follow(from uint64, events []desk.Event, what any) {
	if len(events)+len(m.oracle.events) > 0 && !reflect.DeepEqual(events, m.oracle.events) {
		m.t.Fatalf("%s\n%T %+v at %d: events\n%s\nwanted\n%s", m.at, what, what, m.now, lines(events), lines(m.oracle.events))
	}
	m.compared += len(events)
	for i := range events {
		var e desk.Event
		if err := e.DecodeBody(events[i].Kind, string(events[i].AppendBody(nil))); err != nil || !reflect.DeepEqual(e, events[i]) {
			m.t.Fatalf("%s: %v: %+v came back as %+v", m.at, err, events[i], e)
		}
		seq := from + uint64(i) + 1
		m.log = append(m.log, logged{seq, m.now, &e})
		if err := m.replayed.Apply(seq, m.now, &e); err != nil {
			m.t.Fatalf("%s: replay: %v", m.at, err)
		}
		m.checker.Event(&holdfast.Event{Seq: seq, At: m.now, Realm: "r", Seat: seat.Event{Kind: seat.Kind(e.Kind)}, Desk: &e})
	}
}

func (m *machine) start() {
	m.oracle.now = m.now
	m.oracle.start()
	m.core.ApplyStart(m.now)
	m.log = append(m.log, logged{m.oracle.seq, m.now, nil})
	m.replayed.ApplyStart(m.now)
	m.checker.Event(&holdfast.Event{Seq: m.oracle.seq, At: m.now, Seat: seat.Event{Kind: holdfast.Started}})
	m.drain()
	m.same()
}

// readBack writes a snapshot and reads it.
func (m *machine) readBack(s *desk.State) *desk.State {
	var first, second bytes.Buffer
	if err := s.WriteSnapshot(&first); err != nil {
		m.t.Fatalf("%s: %v", m.at, err)
	}
	again, err := desk.ReadSnapshot(bufio.NewReader(bytes.NewReader(first.Bytes())))
	if err != nil {
		m.t.Fatalf("%s: read a snapshot back: %v", m.at, err)
	}
	if err := again.WriteSnapshot(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		m.t.Fatalf("%s: a snapshot read and written again differs: %v", m.at, err)
	}
	return again
}

// restore goes on with the state that a snapshot gives: of the state itself, or of one that only applied the events.
func (m *machine) restore() {
	var one, two bytes.Buffer
	if m.core.WriteSnapshot(&one) != nil || m.replayed.WriteSnapshot(&two) != nil || !bytes.Equal(one.Bytes(), two.Bytes()) {
		m.t.Fatalf("%s: the replayed state differs:\n%x\n%x", m.at, one.Bytes(), two.Bytes())
	}
	m.core = m.readBack(m.replayed)
	m.drain() // a desk that was put or started is settled once more
	m.same()
}
