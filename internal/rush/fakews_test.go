package rush

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/lxzan/gws"

	"holdfast/seat"
)

// fakeSocket is one student's connection to the fake.
type fakeSocket struct {
	gws.BuiltinEventHandler
	fake   *fake
	realm  string
	person string
	pools  map[string]bool // subscribed
}

type claimName struct{ pool, person string }

func (f *fake) upgrade(w http.ResponseWriter, r *http.Request, realm string) {
	s := &fakeSocket{fake: f, realm: realm, pools: map[string]bool{}}
	socket, err := gws.NewUpgrader(s, nil).Upgrade(w, r)
	if err == nil {
		socket.ReadLoop()
	}
}

func (s *fakeSocket) OnClose(socket *gws.Conn, _ error) {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	delete(s.fake.sockets, socket)
}

func (s *fakeSocket) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	for line := range strings.SplitSeq(message.Data.String(), "\n") {
		var m struct {
			ID           int
			Do           string
			Person, Pool string
			Seq          uint64
			Log          string
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.ID == 0 {
			_ = socket.WriteClose(4400, []byte("what was that?"))
			return
		}
		say := func(format string, args ...any) { _ = socket.WriteString(fmt.Sprintf(format, args...)) }
		switch m.Do {
		case "hello":
			s.person = m.Person
			f.sockets[socket] = s
			say(`{"reply":%d,"do":"hello","log":"fake","as_of":%d}`, m.ID, f.seq)
			s.resume(say, m.Log != "", m.Seq)
			continue
		case "subscribe":
			s.pools[m.Pool] = true
			p := f.pools[m.Pool]
			open, seated := p.config.OpensAt <= seat.TimeOf(time.Now()), len(p.seats)
			free := int(p.config.Capacity) - seated
			if f.trick == trickCounts {
				free++
			}
			say("{\"reply\":%d,\"do\":\"subscribe\"}\n"+`{"open":%v,"push":"pool","pool":%q,"capacity":%d,"seated":%d,"waiting":%d,"free":%d,"as_of":%d}`,
				m.ID, open, m.Pool, p.config.Capacity, seated, len(p.line), free, f.seq)
			continue
		case "unsubscribe":
			delete(s.pools, m.Pool)
			say(`{"reply":%d,"do":"unsubscribe"}`, m.ID)
			continue
		}
		f.asks++
		if f.trick == trickRough && f.asks%7 == 0 {
			say(`{"reply":%d,"status":503,"code":"busy","retry_after_ms":1}`, m.ID)
			continue
		}
		w := httptest.NewRecorder()
		switch m.Do {
		case "claim":
			f.claim(w, httptest.NewRequest(http.MethodPut, "/", nil), s.realm, m.Pool, s.person)
		case "release":
			f.claim(w, httptest.NewRequest(http.MethodDelete, "/", nil), s.realm, m.Pool, s.person)
		case "basket":
			body := fmt.Sprintf(`{"person":%q,%s`, s.person, line[1:])
			f.basket(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), s.realm)
		}
		if f.trick == trickRough && f.asks%11 == 0 { // decided, and the answer is lost
			_ = socket.WriteClose(1012, []byte(`{"delay_ms":3}`))
			return
		}
		say(`{"reply":%d,%s`, m.ID, w.Body.String()[1:])
		f.push()
	}
}

// resume tells what changed since a cursor.
func (s *fakeSocket) resume(say func(string, ...any), cursor bool, since uint64) {
	f := s.fake
	var rows []string
	for name, p := range f.pools {
		c := p.claims[s.person]
		switch {
		case c == nil || cursor && c.seq <= since && (c.status != seat.Waiting || f.trick == trickStale):
		case cursor && f.trick == trickReleased && c.status == seat.Released:
		case cursor && f.trick == trickPromoted && c.status == seat.Seated:
		default:
			rows = append(rows, fmt.Sprintf(`{"pool":%q%s,"at":"2026-09-01T08:00:00.000000Z"}`, name, f.standing(name, s.person, false)))
		}
	}
	all := ""
	if !cursor {
		all = `,"all":true`
	}
	say(`{"push":"claims","person":%q,"as_of":%d%s,"claims":[%s]}`, s.person, f.seq, all, strings.Join(rows, ","))
}

// push tells everybody connected what changed of theirs.
func (f *fake) push() {
	touched := map[string][]string{}
	for _, t := range f.touched {
		if !slices.Contains(touched[t.person], t.pool) {
			touched[t.person] = append(touched[t.person], t.pool)
		}
	}
	f.touched = nil
	for socket, s := range f.sockets {
		pools := touched[s.person]
		if len(pools) == 0 {
			continue
		}
		var rows []string
		for _, pool := range pools {
			row := fmt.Sprintf(`{"pool":%q%s,"at":"2026-09-01T08:00:00.000000Z"}`, pool, f.standing(pool, s.person, false))
			if f.trick == trickPushed && strings.Contains(row, `"position":4`) && f.once() {
				row = strings.Replace(row, `"position":4`, `"position":3`, 1)
			}
			rows = append(rows, row)
		}
		person := s.person
		if f.trick == trickEverybody {
			person = "s00001"
		}
		_ = socket.WriteString(fmt.Sprintf(`{"push":"claims","person":%q,"as_of":%d,"claims":[%s]}`, person, f.seq, strings.Join(rows, ",")))
	}
}

// opensAt tells who waits for it when a pool opens.
func (f *fake) opensAt(pool string, at seat.Time) {
	if wait := time.Until(at.Std()); at != 0 && wait < time.Hour {
		time.AfterFunc(wait, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			for socket, s := range f.sockets {
				if s.pools[pool] {
					_ = socket.WriteString(fmt.Sprintf(`{"push":"opening","pool":%q,"open":true}`, pool))
				}
			}
		})
	}
}
