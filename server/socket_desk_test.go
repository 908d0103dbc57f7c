package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/memlog"
	"holdfast/server"
)

const acme = "/v1/realms/spring/desks/acme"

// staffed serves a realm with the desk acme and its agents. config: the desk's, without braces.
func staffed(t *testing.T, config string, agents []string, change ...func(*memlog.Log, *server.Config)) *served {
	t.Helper()
	s := serve(t, nil, change...)
	s.must(200, "PUT", "/v1/realms/spring", "")
	s.must(200, "PUT", acme, "{"+config+"}")
	for _, agent := range agents {
		s.must(200, "PUT", acme+"/agents/"+agent, "")
	}
	time.Sleep(2 * time.Second) // the warm-up is over
	return s
}

// agent connects a device of an agent at acme.
func (s *served) agent(name string) *phone {
	s.t.Helper()
	p := s.connect("spring")
	p.say(`{"id":1,"do":"hello","agent":%q,"desk":"acme"}`, name)
	p.hear("reply=1 do=hello realm=spring desk=acme agent=" + name)
	p.hear("push=agent agent=" + name)
	return p
}

// online connects a device of an agent who takes requests.
func (s *served) online(name string) *phone {
	s.t.Helper()
	p := s.agent(name)
	p.say(`{"id":2,"do":"online"}`)
	p.skipTo("reply=2 state=idle ready=true durability=confirmed")
	return p
}

// client connects a client.
func (s *served) client(name string) *phone {
	s.t.Helper()
	p := s.connect("spring")
	p.say(`{"id":1,"do":"hello","client":%q}`, name)
	p.hear("reply=1 do=hello realm=spring client=" + name)
	return p
}

// rest gives what has come by now. The answer to one ping may come before what was told before it; that to the next does not.
func (p *phone) rest() (list []map[string]any) {
	p.t.Helper()
	synctest.Wait()
	for reply := 9998; reply < 10_000; reply++ {
		p.say(`{"id":%d,"do":"ping"}`, reply)
		for {
			m, err := p.next()
			if err != nil {
				p.t.Fatal(err)
			}
			if differs(m, fmt.Sprintf("reply=%d", reply)) == "" {
				break
			}
			list = append(list, m)
		}
	}
	return list
}

// quiet: nothing has come.
func (p *phone) quiet() {
	p.t.Helper()
	if list := p.rest(); len(list) > 0 {
		p.t.Errorf("heard %v", list)
	}
}

// first gives the first row of a list.
func (r reply) first(of string) map[string]any { return r.body[of].([]any)[0].(map[string]any) }

func id(m map[string]any, of string) string {
	n, _ := m[of].(json.Number)
	return n.String()
}

// TestDeskStory: a client asks, an agent is offered, accepts, and finishes; everybody hears it confirmed, once.
func TestDeskStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve"})
		eve, zoe := s.agent("eve"), s.client("zoe")
		zoe.say(`{"id":2,"do":"subscribe","desk":"acme"}`)
		zoe.hear("reply=2 do=subscribe")
		zoe.hear("push=availability desk=acme open=false idle=0 waiting=0")
		zoe.say(`{"id":3,"do":"request","desk":"acme"}`)
		zoe.hear("reply=3 code=no_agent status=409 desk=acme durability=confirmed")

		eve.say(`{"id":2,"do":"online"}`)
		eve.hear("reply=2 state=idle accepting=true ready=true durability=confirmed")
		zoe.hear("push=availability open=true idle=1")

		zoe.say(`{"id":4,"do":"request","desk":"acme","data":"a","key":"k1"}`)
		asked := zoe.hear("reply=4 state=offering client=zoe durability=confirmed")
		zoe.hear("push=availability open=false idle=0")
		eve.hear("push=agent state=init ready=false")
		offer := eve.hear("push=offer state=pending client=zoe data=a attempt=1 received=false")
		if id(offer, "request") != id(asked, "request") || id(offer, "remaining_ms") < "19" {
			t.Errorf("%v %v", offer, asked)
		}
		eve.say(`{"id":3,"do":"receipt","offer":%s}`, id(offer, "offer"))
		eve.hear("reply=3 received=true state=pending offer=" + id(offer, "offer"))
		eve.say(`{"id":4,"do":"accept","offer":%s}`, id(offer, "offer"))
		session := id(eve.hear("reply=4 client=zoe agent=eve joined=true accepted_elsewhere= durability=confirmed"), "session")
		eve.hear("push=agent state=busy")
		zoe.hear("push=request state=assigned agent=eve session=" + session)
		zoe.say(`{"id":5,"do":"finish","desk":"acme","session":%s,"reason":"thanks"}`, session)
		zoe.skipTo("reply=5 cause=client reason=thanks session=" + session)
		zoe.skipTo("push=request state=done")
		eve.hear("push=agent state=idle ready=true session=")
		zoe.say(`{"id":6,"do":"request","desk":"acme","data":"b","key":"k1"}`) // the key's
		zoe.skipTo("reply=6 state=done data=a request=" + id(asked, "request"))
		eve.quiet()
		zoe.quiet()

		eve.say(`{"id":5,"do":"pause"}` + `{"id":6,"do":"online"}` + `{"id":7,"do":"offline","reason":"home"}`)
		eve.skipTo("reply=5 state=idle accepting=false")
		eve.skipTo("reply=6 ready=true")
		eve.skipTo("reply=7 state=offline accepting=false")
		eve.quiet()
	})
}

// TestDeskReject: the next one is asked; the client hears of each turn, and who refused hears no more of it.
func TestDeskReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve", "dan"})
		eve, dan, zoe := s.online("eve"), s.online("dan"), s.client("zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		zoe.hear("reply=2 state=offering agent=eve")
		offer := id(eve.skipTo("push=offer"), "offer")
		eve.say(`{"id":3,"do":"reject","offer":%s,"reason":"lunch"}`, offer)
		eve.hear("reply=3 state=rejected cause=agent reason=lunch offer=" + offer)
		eve.hear("push=agent state=idle ready=false")
		zoe.hear("push=request state=offering agent=dan attempts=2")
		dan.skipTo("push=offer attempt=2")
		eve.say(`{"id":4,"do":"accept","offer":%s}`, offer)
		eve.hear("reply=4 code=offer_closed offer=rejected agent_state=idle durability=confirmed")
		time.Sleep(3 * time.Second) // nobody says that they have it (T8): it goes on to nobody
		synctest.Wait()
		dan.skipTo("push=offer_closed state=revoked cause=undelivered")
		dan.skipTo("push=agent state=idle silent=true ready=false")
		zoe.skipTo("push=request state=all_declined")
		dan.say(`{"id":5,"do":"ping"}`) // a sign of life
		dan.skipTo("push=agent silent=false ready=true")
	})
}

// TestDeskSilence: a pong is a sign of life too, and one that needs nobody's script.
func TestDeskSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve"})
		eve, zoe := s.online("eve"), s.client("zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		heard := make(chan map[string]any, 100)
		go func() { // reads, and so answers pings, and does nothing else
			defer close(heard)
			for {
				m, err := eve.next()
				if err != nil {
					return
				}
				heard <- m
			}
		}()
		for silent := false; ; {
			m := <-heard
			if differs(m, "push=agent silent=true") == "" {
				silent = true
			}
			if silent && differs(m, "push=agent silent=false ready=true") == "" {
				break
			}
		}
		zoe.conn.CloseNow()
		eve.conn.CloseNow()
		for range heard {
		}
	})
}

// TestDeskDevices: offers go to all devices, the first accept wins, and the others hear so.
func TestDeskDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve"})
		one := s.online("eve")
		two := s.agent("eve")
		one.skipTo("push=agent connections=2")
		zoe := s.client("zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		offer := id(one.skipTo("push=offer"), "offer")
		two.skipTo("push=offer offer=" + offer)
		two.say(`{"id":3,"do":"receipt","offer":%s}{"id":4,"do":"accept","offer":%s}`, offer, offer)
		two.skipTo("reply=4 agent=eve accepted_elsewhere=")
		two.hear("push=agent state=busy")
		two.quiet()
		one.hear("push=offer_closed state=accepted accepted_elsewhere=true desk=acme offer=" + offer)
		one.hear("push=agent state=busy")
		one.say(`{"id":5,"do":"accept","offer":%s}`, offer)
		session := id(one.hear("reply=5 accepted_elsewhere=true"), "session")
		two.say(`{"id":6,"do":"accept","offer":%s}`, offer) // twice is once
		two.hear("reply=6 accepted_elsewhere= session=" + session)
		one.say(`{"id":7,"do":"finish","session":%s}`, session)
		one.skipTo("reply=7 cause=agent")
		two.skipTo("push=agent state=idle")

		// A phone that accepts over HTTP is elsewhere too.
		zoe.say(`{"id":3,"do":"request","desk":"acme"}`)
		offer = id(one.skipTo("push=offer"), "offer")
		s.must(200, "POST", acme+"/offers/"+offer+"/accept", `{"agent":"eve"}`)
		for _, p := range []*phone{one, two} {
			p.skipTo("push=offer_closed accepted_elsewhere=true offer=" + offer)
		}
	})
}

// TestDeskSuperseded: where an agent has one device, the old connection is closed for good, and decides nothing.
func TestDeskSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, `"single_device":true`, []string{"eve"})
		one, zoe := s.online("eve"), s.client("zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		offer := one.skipTo("push=offer")
		time.Sleep(time.Second)
		two := s.agent("eve")
		again := two.skipTo("push=offer offer=" + id(offer, "offer"))
		if id(again, "remaining_ms") >= id(offer, "remaining_ms") {
			t.Errorf("%v after %v", again, offer)
		}
		if c := one.closed(4409); c.Reason == "" {
			t.Error("without a reason")
		}
		synctest.Wait()
		if a := s.must(200, "GET", acme+"/agents/eve", ""); a.text("state") != "init" || a.number("connections") != "1" {
			t.Errorf("%s", a.Body)
		}
		two.say(`{"id":2,"do":"accept","offer":%s}`, id(offer, "offer"))
		two.skipTo("reply=2 agent=eve")
	})
	synctest.Test(t, func(t *testing.T) { // of too many, the oldest
		s := staffed(t, "", []string{"eve"})
		first := s.agent("eve")
		for range 8 {
			s.agent("eve")
		}
		first.closed(4409)
	})
}

// TestDeskRemoved: who is not an agent any more is told so.
func TestDeskRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve"})
		eve := s.online("eve")
		s.must(200, "DELETE", acme+"/agents/eve", `{"reason":"left"}`)
		eve.closed(4404)
		p := s.connect("spring")
		p.say(`{"id":1,"do":"hello","agent":"eve","desk":"acme"}`)
		p.hear("reply=1 code=unknown_agent status=404")
		p.closed(4404)
	})
}

// TestDeskLoss: a connection that ends is noted at once, and one that dies silently within 32 s; who comes back in time is where they were.
func TestDeskLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve", "dan"})
		eve, zoe := s.online("eve"), s.client("zoe")
		s.online("dan")
		eve.conn.CloseNow()
		synctest.Wait()
		if a := s.must(200, "GET", acme+"/agents/eve", ""); a.body["away"] != true || a.text("state") != "idle" {
			t.Errorf("%s", a.Body)
		}
		eve = s.agent("eve")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		offer := eve.skipTo("push=offer")
		eve.conn.CloseNow() // T9
		time.Sleep(time.Second)
		eve = s.agent("eve")
		if again := eve.hear("push=offer offer=" + id(offer, "offer")); again["remaining_ms"] == offer["remaining_ms"] {
			t.Errorf("%v", again)
		}
		eve.say(`{"id":2,"do":"accept","offer":%s}`, id(offer, "offer"))
		eve.skipTo("reply=2 client=zoe")
		zoe.skipTo("push=request state=assigned")
		went := time.Now()
		time.Sleep(36 * time.Second) // nobody reads of dan: no pong comes
		synctest.Wait()
		if a := s.must(200, "GET", acme+"/agents/dan", ""); a.body["away"] == false || a.text("state") != "offline" && a.body["away"] != true {
			t.Errorf("after %s: %s", time.Since(went), a.Body)
		}
	})
}

// TestDeskClients: what a client is told on coming, on coming back, and of positions.
func TestDeskClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, `"policy":"queue"`, []string{"eve"})
		s.must(200, "PUT", "/v1/realms/spring/desks/other", `{"policy":"queue"}`)
		var line []*phone
		for i := range 5 {
			p := s.client(fmt.Sprintf("c%d", i))
			p.say(`{"id":2,"do":"request","desk":"acme"}`)
			p.hear(fmt.Sprintf("reply=2 state=queued position=%d", i+1))
			line = append(line, p)
		}
		line[4].say(`{"id":3,"do":"request","desk":"other"}`)
		line[4].hear("reply=3 desk=other position=1")
		time.Sleep(2 * time.Second)
		for _, p := range line {
			p.quiet()
		}
		hello := line[4]
		for i := range 3 { // three leave within a moment
			line[i].say(`{"id":3,"do":"cancel","desk":"acme","request":%s,"reason":"no"}`, id(s.must(200, "GET", acme+"/requests?state=queued", "").first("requests"), "request"))
			line[i].skipTo("reply=3 state=cancelled cause=client")
		}
		time.Sleep(2 * time.Second)
		if list := hello.rest(); len(list) == 0 || len(list) > 2 || differs(list[len(list)-1], "push=request position=2") != "" {
			t.Errorf("%v", list)
		}
		line[3].skipTo("push=request position=1")

		// Come back with the cursor: what lives, and what has ended since.
		back := s.connect("spring")
		back.say(`{"id":1,"do":"hello","client":"c4"}`)
		cursor := back.hear("reply=1")
		for _, desk := range []string{"acme", "other"} {
			back.hear("push=request state=queued away=false desk=" + desk)
		}
		time.Sleep(time.Second)
		back.rest()
		back.conn.CloseNow()
		hello.conn.CloseNow()
		time.Sleep(61 * time.Second) // C5: their grace is over
		again := s.connect("spring")
		again.say(`{"id":1,"do":"hello","client":"c4","log":%q,"seq":%s}`, cursor["log"], id(cursor, "as_of"))
		again.hear("reply=1")
		for range 2 {
			again.hear("push=request state=cancelled cause=grace")
		}
		again.quiet()
		fresh := s.client("c4")
		fresh.quiet()
	})
}

// TestDeskClientDevices: a request belongs to all connections of the client: it is not lost with the one that made it.
func TestDeskClientDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, `"policy":"queue"`, []string{"eve"})
		one, two := s.client("zoe"), s.client("zoe")
		one.say(`{"id":2,"do":"request","desk":"acme"}`)
		one.hear("reply=2 state=queued")
		two.hear("push=request state=queued")
		synctest.Wait()
		one.conn.CloseNow()
		synctest.Wait()
		r := s.must(200, "GET", acme+"/requests", "").first("requests")
		if r["away"] != false {
			t.Errorf("%v", r)
		}
		two.conn.CloseNow()
		synctest.Wait()
		if r := s.must(200, "GET", acme+"/requests", "").first("requests"); r["away"] != true {
			t.Errorf("%v", r)
		}
		// Over HTTP nobody waits for a connection; one that is there is one of the request's all the same.
		ann := s.client("ann")
		s.must(200, "POST", acme+"/requests", `{"client":"ann"}`)
		ann.hear("push=request state=queued reach=push")
		eve := s.agent("eve")
		eve.say(`{"id":2,"do":"online"}`)
		eve.say(`{"id":3,"do":"accept","offer":%s}`, id(eve.skipTo("push=offer client=ann"), "offer"))
		eve.skipTo("reply=3 joined=true")
	})
}

// TestDeskJoining: a client who was away at the accept comes: the agent hears it.
func TestDeskJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, "", []string{"eve"})
		eve, zoe := s.online("eve"), s.client("zoe")
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		offer := id(eve.skipTo("push=offer"), "offer")
		zoe.conn.CloseNow()
		synctest.Wait()
		eve.say(`{"id":3,"do":"accept","offer":%s}`, offer)
		eve.skipTo("reply=3 joined=false")
		eve.skipTo("push=agent state=busy")
		s.client("zoe").hear("push=request state=assigned")
		if session := eve.hear("push=agent state=busy")["session"].(map[string]any); session["joined"] != true {
			t.Errorf("%v", session)
		}
	})
}

// TestDeskHostile: what agents, clients and others may not say, and that nothing comes of it.
func TestDeskHostile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := staffed(t, `"policy":"queue"`, []string{"eve", "dan"})
		s.must(200, "PUT", "/v1/realms/spring/pools/c1", `{"capacity":1}`)
		eve, zoe, ann, many := s.agent("eve"), s.client("zoe"), s.hello("ann"), s.many()
		zoe.say(`{"id":2,"do":"request","desk":"acme"}`)
		request := id(zoe.hear("reply=2"), "request")
		synctest.Wait()
		eve.rest()
		head := s.head()
		long := strings.Repeat("x", 1100)
		for message, want := range map[*phone][]string{
			eve: {
				`"do":"claim","pool":"c1","as":"bob"|malformed do`, `"do":"standing"|malformed do`, `"do":"basket","mode":"each","items":[{"pool":"c1"}],"as":"bob"|malformed do`, `"do":"subscribe","as":"bob"|malformed desk`, `"do":"subscribe","pool":"c1"|malformed desk`,
				`"do":"request","desk":"acme"|malformed do`, `"do":"cancel","desk":"acme","request":` + request + `|malformed do`, `"do":"accept"|malformed offer`, `"do":"accept","offer":0|malformed offer`, `"do":"accept","offer":99|offer_closed `,
				`"do":"accept","offer":1,"pool":"c1"|malformed offer`, `"do":"accept","offer":` + request + `|offer_closed `, `"do":"receipt","offer":` + request + `|offer_closed `, `"do":"reject","offer":77|offer_closed `, `"do":"finish","session":` + request + `|session_ended `,
				`"do":"finish","session":5,"desk":"other"|malformed desk`, `"do":"online","reason":"x"|malformed reason`, `"do":"pause","reason":"` + long + `"|malformed reason`, `"do":"pause","by":"bob"|malformed by`, `"do":"accept","offer":"7"|malformed offer`, `"do":"accept","offer":1e3|malformed offer`,
				`"do":"subscribe","desk":"nowhere"|unknown_desk `, `"do":"subscribe","desk":"acme","topic":"tax"|unknown_topic `, `"do":"subscribe","topic":"tax"|malformed desk`, `"do":"subscribe","desk":"a/b"|malformed desk`, `"do":"offline","desk":"other"|malformed desk`, `"do":"accept","offer":5,"as":"dan"|malformed offer`,
			},
			zoe: {
				`"do":"online"|malformed do`, `"do":"accept","offer":1|malformed do`, `"do":"request"|malformed desk`, `"do":"request","desk":"nowhere"|unknown_desk `, `"do":"request","desk":"acme","client":"ann"|malformed client`, `"do":"request","desk":"acme","as":"ann"|malformed as`,
				`"do":"request","desk":"acme","data":"` + long + `"|malformed data`, `"do":"request","desk":"acme","priority":10|malformed priority`, `"do":"request","desk":"acme","priority":300|malformed priority`, `"do":"request","desk":"acme","key":"` + long + `"|malformed key`, `"do":"cancel","desk":"acme"|malformed request`,
				`"do":"cancel","desk":"acme","request":999999|unknown_request `, `"do":"finish","desk":"acme","session":` + request + `|session_ended `, `"do":"request","desk":"acme","reach":"push"|malformed reach`, `"do":"claim","pool":"c1","as":"zoe"|malformed do`, `"do":"request","desk":"acme","data":7|malformed data`,
				`"do":"finish","session":5|malformed desk`, `"do":"cancel","desk":"acme","request":` + request + `,"by":"x"|malformed by`,
			},
			ann:  {`"do":"online"|malformed do`, `"do":"request","desk":"acme"|malformed do`, `"do":"accept","offer":5|malformed pool`, `"do":"finish","session":5|malformed do`},
			many: {`"do":"online"|malformed do`, `"do":"request","desk":"acme"|malformed do`, `"do":"request","desk":"acme","as":"zoe"|malformed as`, `"do":"accept","offer":5,"as":"eve"|malformed pool`},
		} {
			for _, w := range want {
				body, expect, _ := strings.Cut(w, "|")
				code, field, _ := strings.Cut(expect, " ")
				message.say(`{"id":50,%s}`, body)
				if m := message.hear("reply=50"); m["code"] != code {
					t.Errorf("%s: %v", body, m)
				} else if field != "" && m["field"] != field {
					t.Errorf("%s: %v", body, m)
				}
			}
		}
		if s.head() != head {
			t.Error("something was changed")
		}
		for body, field := range map[string]string{
			`"agent":"eve"`: "desk", `"desk":"acme"`: "desk", `"agent":"eve","client":"zoe","desk":"acme"`: "client", `"agent":"eve","person":"zoe","desk":"acme"`: "agent",
			`"client":"zoe","desk":"acme"`: "desk", `"agent":"","desk":"acme"`: "agent", `"agent":"a/b","desk":"acme"`: "agent", `"client":"..":`: "body", `"client":".."`: "client", `"agent":["eve"],"desk":"acme"`: "agent",
		} {
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello",%s}`, body)
			if m := p.hear("code=malformed"); m["field"] != field {
				t.Errorf("%s: %v", body, m)
			}
			p.closed(4400)
		}
		// A second hello is of the same somebody.
		for _, body := range []string{`"agent":"dan","desk":"acme"`, `"client":"zoe"`, `"person":"eve"`} {
			p := s.agent("eve")
			p.say(`{"id":2,"do":"hello",%s}`, body)
			p.hear("reply=2 code=forbidden")
			p.closed(4403)
		}
		p := s.agent("eve")
		p.say(`{"id":2,"do":"hello"}`)
		p.skipTo("reply=2 do=hello agent=eve")
		// Whoever is at another's desk, or is another client, is told nothing of it.
		bob := s.client("bob")
		bob.say(`{"id":2,"do":"cancel","desk":"acme","request":%s}`, request)
		bob.hear("reply=2 code=unknown_request")
	})
}
