package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"holdfast/internal/memlog"
	"holdfast/internal/wire"
	"holdfast/seat"
	"holdfast/server"
)

// The connection is cut after a byte that the server sends, each in turn with HOLDFAST_LONG=1, else every 41st. Whoever comes back with the cursor they had must know
// all, from what they had heard and what they are told then.

// frayed is the server's end of a connection that breaks after so many bytes.
type frayed struct {
	net.Conn
	left, wrote *int
}

func (f *frayed) Write(p []byte) (int, error) {
	some := p[:min(len(p), *f.left)]
	n, err := f.Conn.Write(some)
	*f.left -= n
	*f.wrote += n
	if err == nil && n < len(p) {
		f.Conn.Close()
		err = errors.New("cut")
	}
	return n, err
}

// memory is what a client keeps of a person: how everything stands, and the cursor.
type memory struct {
	mu     sync.Mutex // guards what follows
	rows   map[string]map[string]any
	asOf   map[string]int64
	log    string
	cursor int64
	heard  int
	lost   bool // the connection has ended
}

func countOf(v any) int64 {
	n, _ := v.(json.Number)
	i, _ := n.Int64()
	return i
}

func (m *memory) row(asOf int64, row map[string]any) {
	pool, _ := row["pool"].(string)
	if pool == "" || asOf < m.asOf[pool] {
		return
	}
	if m.rows[pool], m.asOf[pool] = row, asOf; row["status"] == "none" {
		delete(m.rows, pool)
	}
}

// hear keeps what a message says of the person, as docs/PROTOCOL.md has it.
func (m *memory) hear(msg map[string]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard++
	asOf := countOf(msg["as_of"])
	switch {
	case msg["do"] == "hello":
		m.log, _ = msg["log"].(string)
	case msg["push"] == "claims":
		told := map[string]bool{}
		for _, row := range msg["claims"].([]any) {
			row := row.(map[string]any)
			told[row["pool"].(string)] = true
			m.row(asOf, row)
		}
		for pool, at := range m.asOf {
			if msg["all"] == true && !told[pool] && at <= asOf {
				delete(m.rows, pool)
				delete(m.asOf, pool)
			}
		}
		m.cursor = asOf
	case msg["durability"] != "confirmed":
	case msg["items"] != nil:
		for _, item := range msg["items"].([]any) {
			if item := item.(map[string]any); item["refused"] == nil {
				m.row(asOf, item)
			}
		}
	case msg["code"] == nil:
		m.row(asOf, msg)
	}
}

// lacks says how the memory differs from how the person stands.
func (m *memory) lacks(s *served, person string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var standings []seat.Standing
	if _, err := s.engine.Read(func(st *holdfast.State) { standings = st.Realm("spring").Seats.Since(nil, person, 0) }); err != nil {
		return err.Error()
	}
	for i := range standings {
		var is map[string]any
		d := json.NewDecoder(bytes.NewReader(wire.AppendRow(nil, "", &standings[i], true)))
		d.UseNumber()
		if err := d.Decode(&is); err != nil {
			return err.Error()
		}
		had := m.rows[standings[i].Pool]
		for _, name := range []string{"status", "seat", "position", "ticket", "offer", "seq", "swap", "blocked"} {
			if is[name] != had[name] {
				return fmt.Sprintf("%s is %v, but %v is known", name, is, had)
			}
		}
	}
	if len(standings) != len(m.rows) {
		return fmt.Sprintf("known are %v, there are %v", m.rows, standings)
	}
	return ""
}

// listen connects, says hello with the cursor, and hears until the connection ends. left: the bytes that come before it is cut.
func (m *memory) listen(s *served, left, wrote *int) *websocket.Conn {
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		s.pipes.conns <- &frayed{there, left, wrote}
		return here, nil
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	conn, _, err := websocket.Dial(context.Background(), "ws://localhost/v1/realms/spring/ws", &websocket.DialOptions{HTTPClient: client})
	if m.lost = err != nil; m.lost {
		return nil
	}
	s.t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(-1)
	hello := `{"id":1,"do":"hello","person":"ann"}`
	if m.cursor > 0 {
		hello = fmt.Sprintf(`{"id":1,"do":"hello","person":"ann","log":%q,"seq":%d}`, m.log, m.cursor)
	}
	conn.Write(context.Background(), websocket.MessageText, []byte(hello))
	go func() {
		for {
			_, frame, err := conn.Read(context.Background())
			if err != nil {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.lost = true
				return
			}
			d := json.NewDecoder(bytes.NewReader(frame))
			d.UseNumber()
			for {
				var msg map[string]any
				if d.Decode(&msg) != nil {
					break
				}
				m.hear(msg)
			}
		}
	}()
	return conn
}

// cutStory is what happens: a line is a frame of Ann's, or a request over HTTP ("PUT POOL PERSON"), or one of wait, second, hold, go.
const cutStory = `
{"id":2,"do":"subscribe","pools":["a","c"]}
{"id":2,"do":"claim","pool":"h"}{"id":2,"do":"claim","pool":"i"}
{"id":2,"do":"claim","pool":"a"}{"id":3,"do":"claim","pool":"d"}{"id":4,"do":"standing","pool":"d"}
DELETE a zoe
{"id":5,"do":"basket","mode":"each_or_wait","items":[{"pool":"b"},{"pool":"c"}],"quiet":true}
PUT d yan
wait
hold
{"id":6,"do":"release","pool":"d"}
{"id":7,"do":"claim","pool":"d","quiet":true}{"id":8,"do":"claim","pool":"shut"}
DELETE b zoe
DELETE c zoe
{"id":9,"do":"standing","pool":"a"}{"id":10,"do":"release","pool":"a"}{"id":11,"do":"claim","pool":"e"}{"id":12,"do":"claim","pool":"f"}
go
wait
{"id":13,"do":"claim","pool":"g1"}
DELETE e zoe
{"id":14,"do":"swap","pool":"g2","swap":"g1"}
PUT g2 yan
wait
DELETE g2 zoe
{"id":15,"do":"standing","pool":"g1"}{"id":16,"do":"claim","pool":"d","if_seq":1}
hold
DELETE d yan
{"id":17,"do":"release","pool":"d"}
DELETE d ann
PUT d ann
go
{"id":18,"do":"claim","pool":"line"}
PUT line xia
wait
DELETE line zoe
DELETE line yan
{"id":19,"do":"release","pool":"g2"}
second
{"id":20,"do":"standing"}
{"id":21,"do":"basket","mode":"all","items":[{"pool":"e"},{"pool":"full"}]}{"id":22,"do":"claim","pool":"a"}
PUT a xia
{"id":23,"do":"release","pool":"a"}{"id":24,"do":"claim","pool":"a"}
DELETE a xia
wait
hold
DELETE h zoe
DELETE i zoe
PUT x p1
step
wait
PUT x p2
{"id":25,"do":"standing","pool":"h"}
step
wait
{"id":26,"do":"claim","pool":"x"}
step
go
`

// cutAfter plays the story on a connection that breaks after some bytes, and gives how many there were. soon: Ann comes back at
// once, else when all is over.
func cutAfter(t *testing.T, bytes int, soon bool) (wrote int) {
	h := &held{}
	s := serve(t, nil, hold(h), func(_ *memlog.Log, c *server.Config) { c.SocketPending = 5 })
	s.must(200, "PUT", "/v1/realms/spring", "")
	for _, pool := range []string{"a", "b", "e", "g1", "g2", "line", "d", "c", "f", "full", "h", "i", "x"} {
		body := map[string]string{"c": `{"capacity":1,"promotion":"offer","answer_seconds":600}`, "d": `{"capacity":2}`, "f": `{"capacity":2}`,
			"g1": `{"capacity":1,"group":"g"}`, "g2": `{"capacity":1,"group":"g"}`, "full": `{"capacity":0,"waitlist":0}`}[pool]
		if body == "" {
			body = `{"capacity":1}`
		}
		s.raw("PUT", "/v1/realms/spring/pools/"+pool, body)
		if pool != "g1" && pool != "full" && pool != "x" {
			s.raw("PUT", "/v1/realms/spring/pools/"+pool+"/claims/zoe", "")
		}
	}
	s.raw("PUT", "/v1/realms/spring/pools/shut", `{"capacity":1,"closes_at":"1999-01-01T00:00:00Z"}`)
	s.raw("PUT", "/v1/realms/spring/pools/line/claims/yan", "")
	m := &memory{rows: map[string]map[string]any{}, asOf: map[string]int64{}}
	left, enough, had := bytes, 1<<30, "no cut"
	phone := m.listen(s, &left, &wrote)
	back := func() {
		synctest.Wait()
		if m.mu.Lock(); !m.lost {
			m.mu.Unlock()
			return
		}
		had = fmt.Sprintf("%d messages and the cursor %d", m.heard, m.cursor)
		m.mu.Unlock()
		phone = m.listen(s, &enough, new(int))
	}
	for line := range strings.Lines(strings.TrimSpace(cutStory)) {
		if soon {
			back()
		}
		switch line = strings.TrimSpace(line); {
		case line == "wait":
			synctest.Wait()
		case line == "second":
			time.Sleep(1100 * time.Millisecond)
		case line == "hold":
			synctest.Wait()
			h.close()
		case line == "go":
			synctest.Wait()
			h.open(nil)
		case line == "step":
			synctest.Wait()
			h.step()
		case line[0] == '{':
			if phone != nil {
				phone.Write(context.Background(), websocket.MessageText, []byte(line))
			}
		default:
			f := strings.Fields(line)
			s.raw(f[0], "/v1/realms/spring/pools/"+f[1]+"/claims/"+f[2]+"?wait=none", "")
		}
	}
	back()
	time.Sleep(3 * time.Second) // positions too
	synctest.Wait()
	if lacks := m.lacks(s, "ann"); lacks != "" {
		t.Errorf("cut after %d bytes, with %s: %s", bytes, had, lacks)
	}
	return wrote
}

func TestSocketCutAnywhere(t *testing.T) {
	whole := 0
	synctest.Test(t, func(t *testing.T) { whole = cutAfter(t, 1<<30, false) })
	if whole < 5000 {
		t.Fatalf("the story is short: %d bytes", whole)
	}
	stride := 41
	if os.Getenv("HOLDFAST_LONG") != "" {
		stride = 1
	}
	for k := 0; k < whole && !t.Failed(); k += stride {
		synctest.Test(t, func(t *testing.T) { cutAfter(t, k, k%2 == 0) })
	}
}
