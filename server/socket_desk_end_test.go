package server_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"holdfast/auth"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// reborn is a new process on the same log.
func (s *served) reborn() *served {
	s.t.Helper()
	s.shutdown()
	if err := s.engine.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.log.Reopen()
	cfg, ecfg := server.DefaultConfig(), engine.DefaultConfig()
	ecfg.SnapshotEvery = 0
	n := &served{pipes: newPipes(), ended: make(chan error, 1), gatherer: cfg.Gatherer}
	n.world = &world{t: s.t, log: s.log, doc: s.doc, seen: map[string]bool{}}
	var err error
	if n.engine, err = engine.Open(s.log, ecfg); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { n.engine.Close() })
	if n.server, err = server.New(n.engine, nil, cfg); err != nil {
		s.t.Fatal(err)
	}
	go func() { n.ended <- n.server.Serve(n.pipes) }()
	s.t.Cleanup(func() { n.shutdown() })
	return n
}

// TestDeskRestart: the server stops with an offer pending and starts again. Both sides are told to come back, and come back to the same offer.
func TestDeskRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, `"init_grace_ms":100,"client_grace_ms":100,"idle_grace_ms":100`, []string{"eve", "dan"})
		eve, dan, zoe := s.online("eve"), s.agent("dan"), s.client("zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		request := id(zoe.hear("reply=2 state=offering"), "request")
		offer := id(eve.skipTo("push=offer"), "offer")
		time.Sleep(time.Second)
		stopped, head := make(chan error), s.head()
		go func() { stopped <- s.shutdown() }()
		for _, p := range []*phone{eve, dan, zoe} {
			if c := p.closed(1012); !strings.Contains(c.Reason, "delay_ms") {
				t.Errorf("%q", c.Reason)
			}
		}
		if err := <-stopped; err != nil || s.head() != head {
			t.Errorf("%v; %d events came of the stop", err, s.head()-head)
		}
		s = s.reborn()
		time.Sleep(5 * time.Second) // longer than every grace of the desk
		eve, zoe = s.agent("eve"), s.client("zoe")
		eve.hear("push=offer state=pending offer=" + offer)
		zoe.hear("push=request state=offering offer=" + offer + " request=" + request)
		eve.say(`{"id":2,"do":"accept","offer":%s}`, offer)
		eve.skipTo("reply=2 client=zoe joined=true")
		zoe.hear("push=request state=assigned agent=eve")
	})
}

// TestDeskDetachWhileBusy: the end of a connection is decided, however long the engine is busy.
func TestDeskDetachWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := atomic.Bool{}
		s := staffed(t, `"policy":"queue"`, []string{"eve"}, func(l *memlog.Log, _ *server.Config) {
			l.Full = func() error {
				if full.Load() {
					return errors.New("no room")
				}
				return nil
			}
		})
		eve, zoe := s.online("eve"), s.client("zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		zoe.hear("reply=2")
		full.Store(true)
		for _, hello := range []string{`"agent":"eve","desk":"acme"`} { // nobody comes meanwhile
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello",%s}`, hello)
			p.hear("reply=1 code=busy")
			p.closed(1013)
		}
		eve.conn.CloseNow()
		zoe.conn.CloseNow()
		time.Sleep(time.Minute)
		if a := s.must(200, "GET", acme+"/agents/eve", ""); a.number("connections") != "1" {
			t.Fatalf("%s", a.Body)
		}
		full.Store(false)
		time.Sleep(2 * time.Second)
		if a := s.must(200, "GET", acme+"/agents/eve", ""); a.number("connections") != "0" {
			t.Errorf("%s", a.Body)
		}
		if r := s.must(200, "GET", acme+"/requests", "").first("requests"); r["away"] != true {
			t.Errorf("%v", r)
		}
		// And when the server stops meanwhile, it stops.
		full.Store(true)
	})
}

// TestDeskConfirmed: nothing is told before it is confirmed: no answer, no offer, no availability.
func TestDeskConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		s := staffed(t, "", []string{"eve"}, hold(h))
		eve, dan, zoe := s.online("eve"), s.client("dan"), s.client("zoe")
		dan.say(`{"id":2,"do":"subscribe","desk":"acme"}`)
		dan.skipTo("push=availability open=true")
		synctest.Wait()
		h.close()
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		time.Sleep(time.Second)
		for _, p := range []*phone{eve, dan, zoe} {
			p.quiet()
		}
		h.open(nil)
		zoe.hear("reply=2 state=offering durability=confirmed")
		offer := id(eve.skipTo("push=offer"), "offer")
		dan.hear("push=availability open=false")
		synctest.Wait()
		h.close()
		eve.say(`{"id":3,"do":"accept","offer":%s}`, offer)
		time.Sleep(time.Second)
		for _, p := range []*phone{eve, dan, zoe} {
			p.quiet()
		}
		// The log fails: whatever was not confirmed is unknown, and nobody hears of it.
		h.open(errors.New("the disk is gone"))
		eve.hear("reply=3 code=unknown")
		eve.closed(4503)
		zoe.closed(4503)
	})
}

// TestDeskSlow: who does not read is cut, and comes back to how things stand.
func TestDeskSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, `"topics":["t"]`, []string{"eve"}, func(_ *memlog.Log, c *server.Config) { c.SocketQueue = 4 << 10 })
		eve := s.online("eve")
		other := s.agent("eve")
		go func() {
			for {
				if _, err := other.next(); err != nil {
					return
				}
			}
		}()
		for range 20 {
			for _, do := range []string{"pause", "online"} {
				other.say(`{"id":2,"do":%q}`, do)
				synctest.Wait()
			}
		}
		eve.closed(4500)
		synctest.Wait()
		s.agent("eve").quiet()
	})
}

// TestDeskWatchers: a thousand watch one desk; when an agent comes all hear it at once, and one of them wins.
func TestDeskWatchers(t *testing.T) {
	const watchers = 1000
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve"})
		var crowd []*phone
		for i := range watchers {
			p := s.client(fmt.Sprintf("c%d", i))
			p.say(`{"id":2,"do":"subscribe","desk":"acme"}`)
			p.skipTo("push=availability open=false")
			crowd = append(crowd, p)
		}
		eve := s.online("eve")
		for i, p := range crowd {
			p.hear("push=availability open=true idle=1 waiting=0")
			crowd[i].say(`{"id":3,"do":"request","desk":"acme"}`)
		}
		won := 0
		for _, p := range crowd {
			m := p.skipTo("reply=3 durability=confirmed")
			if m["state"] == "offering" {
				won++
			} else if m["code"] != "no_agent" {
				t.Errorf("%v", m)
			}
		}
		if won != 1 {
			t.Errorf("%d have won", won)
		}
		eve.skipTo("push=offer attempt=1")
		for _, p := range crowd {
			p.conn.CloseNow()
		}
	})
}

// deskCommands are all of agents and clients, without the id.
var deskCommands = []string{
	`"do":"online"`, `"do":"pause"`, `"do":"offline"`, `"do":"receipt","offer":OFFER`, `"do":"accept","offer":OFFER`, `"do":"reject","offer":OFFER`, `"do":"finish","session":OFFER`,
	`"do":"request","desk":"DESK"`, `"do":"cancel","desk":"DESK","request":REQUEST`, `"do":"finish","desk":"DESK","session":OFFER`,
	`"do":"subscribe","desk":"DESK"`, `"do":"unsubscribe","desk":"DESK"`,
}

// TestDeskMatrix: each command × who may not: nothing is changed, and nothing of another's is told; and who may is served.
func TestDeskMatrix(t *testing.T) {
	k := newLock(t)
	key := func(role auth.Role, realm, person, desk string) string {
		return k.key(auth.Key{Role: role, Realm: realm, Person: person, Desk: desk})
	}
	top := key(auth.Admin, "", "", "")
	hello := func(token, more string) string { return fmt.Sprintf(`{"id":1,"do":"hello","token":%q%s}`, token, more) }
	agent := `,"agent":"eve","desk":"acme"`
	out := map[string][]string{ // hello, code, close
		"person":           {hello(key(auth.Person, "spring", "eve", ""), agent), "forbidden", "4403"},
		"client":           {hello(key(auth.Client, "spring", "eve", "acme"), agent), "forbidden", "4403"},
		"other agent":      {hello(key(auth.Agent, "spring", "dan", "acme"), agent), "forbidden", "4403"},
		"agent of another": {hello(key(auth.Agent, "spring", "eve", "other"), agent), "unknown_desk", "4404"},
		"staff of another": {hello(key(auth.Staff, "spring", "tom", "other"), agent), "unknown_desk", "4404"},
		"another realm":    {hello(key(auth.Agent, "autumn", "eve", "acme"), agent), "unknown_realm", "4404"},
		"agent as client":  {hello(key(auth.Agent, "spring", "zoe", "acme"), `,"client":"zoe"`), "forbidden", "4403"},
		"staff as client":  {hello(key(auth.Staff, "spring", "tom", ""), `,"client":"zoe"`), "forbidden", "4403"},
		"other client":     {hello(key(auth.Client, "spring", "ann", ""), `,"client":"zoe"`), "forbidden", "4403"},
		"not an agent":     {hello(key(auth.Agent, "spring", "tim", "acme"), ""), "unknown_agent", "4404"},
		"no such desk":     {hello(key(auth.Backend, "spring", "", ""), `,"agent":"eve","desk":"nowhere"`), "unknown_desk", "4404"},
	}
	zoes, eves := hello(key(auth.Client, "spring", "zoe", ""), ""), hello(key(auth.Agent, "spring", "eve", "acme"), "")
	strangers := map[string][]string{ // hello, and what they hear
		"eve of the other": {hello(key(auth.Agent, "spring", "eve", "other"), ""), "offer_closed", "session_ended"},
		"ann":              {hello(key(auth.Client, "spring", "ann", ""), ""), "unknown_request", "session_ended"},
		"zoe of the other": {hello(key(auth.Client, "spring", "zoe", "other"), ""), "unknown_desk", "unknown_desk"},
	}
	backend := key(auth.Backend, "spring", "", "")
	wide := []string{key(auth.Staff, "spring", "tom", "acme"), key(auth.Staff, "spring", "tom", ""), backend, top}
	made, token, err := k.file.Create(auth.Key{Role: auth.Agent, Realm: "spring", Desk: "other", Person: "eve"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := lockedTerm(t, k)
		for _, d := range []string{"acme", "other"} {
			s.must(200, "PUT", "/v1/realms/spring/desks/"+d, `{"policy":"queue","warm_up_ms":0}`, bearerOf(top)...)
			s.must(200, "PUT", "/v1/realms/spring/desks/"+d+"/agents/eve", "", bearerOf(top)...)
		}
		eve, zoe := s.connect("spring"), s.connect("spring")
		eve.say("%s", eves)
		eve.hear("reply=1 role=agent agent=eve desk=acme")
		eve.say(`{"id":2,"do":"online"}`)
		eve.skipTo("reply=2 ready=true")
		zoe.say("%s", zoes)
		zoe.hear("reply=1 role=client client=zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		request := id(zoe.hear("reply=2 state=offering"), "request")
		offer := id(eve.skipTo("push=offer"), "offer")
		eve.say(`{"id":3,"do":"receipt","offer":%s}`, offer)
		eve.skipTo("reply=3 received=true")
		fill := func(command, at string) string {
			return strings.NewReplacer("OFFER", offer, "REQUEST", request, "DESK", at).Replace(command)
		}
		asked := 0
		for name, c := range out {
			for _, command := range deskCommands {
				asked++
				head := s.head()
				p := s.connect("spring")
				p.say("%s", c[0]+"\n"+`{"id":2,`+fill(command, "acme")+`}`)
				p.hear("reply=1 code=" + c[1])
				if m, err := p.next(); err == nil {
					t.Errorf("%s, %s: it goes on: %v", name, command, m)
				} else if code := fmt.Sprint(int(websocket.CloseStatus(err))); code != c[2] {
					t.Errorf("%s, %s: closed with %s", name, command, code)
				}
				if s.head() != head {
					t.Fatalf("%s, %s changed something", name, command)
				}
			}
		}
		// Who is in, but at another desk, or another client, or another agent: as if it were not there.
		for name, c := range strangers {
			p := s.connect("spring")
			p.say("%s", c[0])
			p.hear("reply=1 do=hello")
			synctest.Wait()
			if list := p.rest(); len(list) > 0 && (list[0]["desk"] == "acme" || len(list) > 1) {
				t.Errorf("%s hears %v", name, list)
			}
			for _, command := range deskCommands[3:] {
				if strings.Contains(command, "unsubscribe") || strings.Contains(command, "subscribe") && name == "ann" || name == "ann" && strings.Contains(command, "request\"") && !strings.Contains(command, "cancel") {
					continue // these they may
				}
				asked++
				head := s.head()
				p.say("%s", `{"id":2,`+fill(command, "acme")+`}`)
				if m := p.skipTo("reply=2"); m["code"] != c[1] && m["code"] != c[2] && m["code"] != "malformed" && m["code"] != "unknown_desk" {
					t.Errorf("%s, %s: %v", name, command, m)
				}
				if s.head() != head {
					t.Fatalf("%s, %s changed something", name, command)
				}
			}
			p.conn.CloseNow()
		}
		if asked < 150 {
			t.Errorf("only %d were asked", asked)
		}
		// Who may is served: staff of the desk and programs as the agent, programs as the client.
		for _, token := range wide {
			p := s.connect("spring")
			p.say("%s", hello(token, agent))
			p.hear("reply=1 agent=eve desk=acme person=")
			p.skipTo("push=offer offer=" + offer)
			p.conn.CloseNow()
		}
		for _, token := range []string{backend, top} {
			p := s.connect("spring")
			p.say("%s", hello(token, `,"client":"zoe"`))
			p.hear("reply=1 client=zoe")
			p.hear("push=request state=offering request=" + request)
			p.conn.CloseNow()
		}
		// An agent whose token is revoked is gone, from the log too.
		p := s.connect("spring")
		p.say("%s", hello(token, ""))
		p.hear("reply=1 desk=other")
		if _, err := k.file.Revoke(made.ID); err != nil {
			t.Fatal(err)
		}
		p.closed(4401)
		time.Sleep(time.Second)
		if a := s.must(200, "GET", "/v1/realms/spring/desks/other/agents/eve", "", bearerOf(top)...); a.number("connections") != "0" {
			t.Errorf("%s", a.Body)
		}
	})
}
