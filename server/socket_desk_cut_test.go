package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"holdfast"
	"holdfast/internal/wire"
)

// The connection of an agent, or of a client, is cut after a byte that the server sends, each in turn with HOLDFAST_LONG=1, else every
// 61st. Whoever comes back must know all that is true, from what they had heard and what they are told then (D5).

// recall is what an agent or a client keeps, as docs/PROTOCOL.md has it.
type recall struct {
	who string // the members of hello

	mu       sync.Mutex // guards what follows
	agent    map[string]any
	asOf     int64
	offer    string // pending, as far as they know
	requests map[string]map[string]any
	log      string
	cursor   int64
	first    int64 // the first cursor
	heard    int
	lost     bool
}

func (r *recall) hear(m map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard++
	asOf := countOf(m["as_of"])
	switch {
	case m["do"] == "hello":
		if r.log, _ = m["log"].(string); r.first == 0 {
			r.cursor, r.first = asOf, asOf
		}
		r.offer = ""
	case m["code"] != nil:
	case m["push"] == "offer":
		r.offer = id(m, "offer")
	case m["push"] == "offer_closed", m["reply"] != nil && m["offer"] != nil && (m["state"] == "rejected" || m["began"] != nil):
		if r.offer == id(m, "offer") {
			r.offer = ""
		}
	case m["accepting"] != nil:
		if asOf >= r.asOf {
			r.agent, r.asOf = m, asOf
		}
	case m["request"] != nil && m["made"] != nil && m["attempts"] != nil:
		if was := r.requests[id(m, "request")]; was == nil || countOf(was["as_of"]) <= asOf {
			r.requests[id(m, "request")] = m
		}
		if m["push"] != nil {
			if asOf < r.cursor {
				panic(fmt.Sprintf("the cursor goes back from %d: %v", r.cursor, m))
			}
			r.cursor = asOf
		}
	}
}

func decoded(b []byte) (m map[string]any) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		panic(err)
	}
	return m
}

// lacks says how what is known differs from what is true.
func (r *recall) lacks(s *served) (lacks string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	differ := func(of string, known, is map[string]any, names ...string) {
		for _, name := range names {
			if known[name] != is[name] {
				lacks += fmt.Sprintf("%s: %s is %v, known is %v; ", of, name, is[name], known[name])
			}
		}
	}
	_, err := s.engine.Read(func(st *holdfast.State) {
		if desks := st.Realm("spring").Desks; strings.Contains(r.who, "agent") {
			v, _ := desks.Agent("acme", "eve")
			is, pending := decoded(wire.AppendAgentRow(nil, &v, 0, true)), ""
			if v.Offer != nil {
				pending = fmt.Sprint(v.Offer.ID)
			}
			differ("eve", r.agent, is, "state", "accepting", "ready", "away", "silent", "misses", "connections", "idle_since", "not_before")
			if r.offer != pending {
				lacks += fmt.Sprintf("pending is %q, known is %q", pending, r.offer)
			}
		} else {
			list := desks.OfClient("zoe", uint64(r.first), 1000)
			for i := range list {
				is := decoded(wire.AppendRequestRow(nil, &list[i], true))
				differ(id(is, "request"), r.requests[id(is, "request")], is, "state", "position", "agent", "session", "offer", "seq", "cause", "away")
			}
		}
	})
	if err != nil {
		return err.Error()
	}
	return lacks
}

// listen connects, says hello with the cursor, and hears until the connection ends.
func (r *recall) listen(s *served, left, wrote *int) *websocket.Conn {
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		s.pipes.conns <- &frayed{there, left, wrote}
		return here, nil
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	conn, _, err := websocket.Dial(context.Background(), "ws://localhost/v1/realms/spring/ws", &websocket.DialOptions{HTTPClient: client})
	if r.lost = err != nil; r.lost {
		return nil
	}
	s.t.Cleanup(func() { conn.CloseNow() })
	hello := `{"id":1,"do":"hello",` + r.who
	if r.log != "" {
		hello += fmt.Sprintf(`,"log":%q,"seq":%d`, r.log, r.cursor)
	}
	conn.Write(context.Background(), websocket.MessageText, []byte(hello+"}"))
	go func() {
		for {
			_, frame, err := conn.Read(context.Background())
			if err != nil {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.lost = true
				return
			}
			d := json.NewDecoder(bytes.NewReader(frame))
			d.UseNumber()
			for {
				var m map[string]any
				if d.Decode(&m) != nil {
					break
				}
				r.hear(m)
			}
		}
	}()
	return conn
}

// deskStory is what happens: a line is who says what, or a request over HTTP, or one of wait, second, hold, go. OFFER, SESSION and
// REQUEST are those of Eve and Zoe as they are then.
const deskStory = `
eve {"id":2,"do":"online"}
zoe {"id":2,"do":"request","desk":"acme","data":"one"}
wait
eve {"id":3,"do":"receipt","offer":OFFER}{"id":4,"do":"reject","offer":OFFER,"reason":"no"}
wait
second
zoe {"id":3,"do":"cancel","desk":"acme","request":REQUEST}
second
eve {"id":5,"do":"online"}
second
hold
zoe {"id":4,"do":"request","desk":"acme"}
eve {"id":6,"do":"receipt","offer":OFFER}
go
wait
eve {"id":7,"do":"accept","offer":OFFER}
wait
hold
HTTP POST /requests {"client":"ann"}
eve {"id":8,"do":"finish","session":SESSION}
eve {"id":9,"do":"reject","offer":OFFER}
go
wait
second
HTTP POST /requests {"client":"bob"}
HTTP POST /requests {"client":"cid"}
zoe {"id":5,"do":"request","desk":"acme","topic":""}
zoe {"id":6,"do":"request","desk":"acme"}
second
eve {"id":10,"do":"ping"}
second
second
second
eve {"id":11,"do":"online"}
second
eve {"id":12,"do":"accept","offer":OFFER}
HTTP DELETE /requests/BOB {}
second
eve {"id":13,"do":"finish","session":SESSION}{"id":14,"do":"pause"}
wait
eve {"id":15,"do":"online"}
hold
eve {"id":16,"do":"accept","offer":OFFER}
zoe {"id":7,"do":"cancel","desk":"acme","request":REQUEST}
zoe {"id":8,"do":"request","desk":"acme"}
go
second
`

// deskCut plays the story on a connection of whom hello says that breaks after some bytes. soon: they come back at once, else when
// all is over.
func deskCut(t *testing.T, who string, bytes int, soon bool) (wrote int) {
	h := &held{}
	s := serve(t, nil, hold(h))
	s.must(200, "PUT", "/v1/realms/spring", "")
	s.raw("PUT", acme, `{"policy":"queue","client_grace_ms":600000,"idle_grace_ms":600000,"init_grace_ms":600000,"busy_grace_ms":600000,"warm_up_ms":0,"offer_ms":3000,"receipt_ms":1500}`)
	s.raw("PUT", acme+"/agents/eve", "")
	r := &recall{who: who, requests: map[string]map[string]any{}}
	left, enough, had := bytes, 1<<30, "no cut"
	phone := r.listen(s, &left, &wrote)
	other := s.connect("spring")
	other.say(`{"id":1,"do":"hello",%s}`, map[bool]string{true: `"client":"zoe"`, false: `"agent":"eve","desk":"acme"`}[strings.Contains(who, "eve")])
	go func() {
		for {
			if _, err := other.next(); err != nil {
				return
			}
		}
	}()
	back := func() {
		synctest.Wait()
		r.mu.Lock()
		lost := r.lost
		if lost {
			had = fmt.Sprintf("%d messages and the cursor %d", r.heard, r.cursor)
		}
		r.mu.Unlock()
		if lost {
			phone = r.listen(s, &enough, new(int))
		}
	}
	for line := range strings.Lines(strings.TrimSpace(deskStory)) {
		if soon {
			back()
		}
		line = s.filled(strings.TrimSpace(line))
		whose, said, _ := strings.Cut(line, " ")
		switch whose {
		case "wait":
			synctest.Wait()
		case "second":
			time.Sleep(1100 * time.Millisecond)
		case "hold":
			synctest.Wait()
			h.close()
		case "go":
			synctest.Wait()
			h.open(nil)
		case "HTTP":
			f := strings.SplitN(said, " ", 3)
			s.raw(f[0], acme+f[1]+"?wait=none", f[2])
		default:
			if conn := phone; strings.Contains(who, whose) && conn != nil {
				conn.Write(context.Background(), websocket.MessageText, []byte(said))
			} else if conn != nil || !strings.Contains(who, whose) {
				other.conn.Write(context.Background(), websocket.MessageText, []byte(said))
			}
			synctest.Wait()
		}
	}
	for range 3 { // it may be cut here too
		back()
		time.Sleep(1100 * time.Millisecond) // positions too
		synctest.Wait()
	}
	if lacks := r.lacks(s); lacks != "" {
		t.Errorf("%s cut after %d bytes, soon %v, with %s: %s", who, bytes, soon, had, lacks)
	}
	return wrote
}

// filled puts the numbers of the moment into a line.
func (s *served) filled(line string) string {
	offer, session, request, bob := "1", "1", "1", "1"
	s.engine.Read(func(st *holdfast.State) {
		desks := st.Realm("spring").Desks
		v, _ := desks.Agent("acme", "eve")
		if v.Offer != nil {
			offer = fmt.Sprint(v.Offer.ID)
		}
		if v.Session != nil {
			session = fmt.Sprint(v.Session.ID)
		}
		for _, r := range desks.OfClient("zoe", 1<<62, 9) {
			request = fmt.Sprint(r.ID)
		}
		for _, r := range desks.OfClient("bob", 1<<62, 9) {
			bob = fmt.Sprint(r.ID)
		}
	})
	return strings.NewReplacer("OFFER", offer, "SESSION", session, "REQUEST", request, "BOB", bob).Replace(line)
}

func TestDeskCutAnywhere(t *testing.T) {
	for _, who := range []string{`"agent":"eve","desk":"acme"`, `"client":"zoe"`} {
		whole := 0
		synctest.Test(t, func(t *testing.T) { whole = deskCut(t, who, 1<<30, false) })
		if whole < 3000 {
			t.Fatalf("the story is short: %d bytes", whole)
		}
		stride := 61
		if os.Getenv("HOLDFAST_LONG") != "" {
			stride = 1
		}
		for k := 0; k < whole && !t.Failed(); k += stride {
			synctest.Test(t, func(t *testing.T) { deskCut(t, who, k, k%2 == 0) })
		}
	}
}
