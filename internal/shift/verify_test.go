package shift

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"holdfast"
	"holdfast/internal/play"
)

// played is a shift that was played and not judged yet, with its log.
func played(t *testing.T) (*performance, source) {
	t.Helper()
	cfg := small(serve(t))
	s := &performance{cfg: &cfg, plan: makePlan(&cfg), progress: play.NewProgress(cfg.Stderr, false), died: func(error) {}}
	if err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.act(t.Context()); err != nil {
		t.Fatal(err)
	}
	log, err := s.readLog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

// raise adds to the first number that the pattern finds.
func raise(pattern string, by int) func([]byte) []byte {
	re := regexp.MustCompile(pattern)
	return func(b []byte) []byte {
		i := re.FindSubmatchIndex(b)
		if i == nil {
			return nil
		}
		n, err := strconv.Atoi(string(b[i[2]:i[3]]))
		if err != nil || n+by < 0 {
			return nil
		}
		return fmt.Appendf(bytes.Clone(b[:i[2]]), "%d%s", n+by, b[i[3]:])
	}
}

// change puts one text in the place of another.
func change(from, to string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(from)) {
			return nil
		}
		return bytes.Replace(b, []byte(from), []byte(to), 1)
	}
}

// TestEveryDoctoredMessageIsFound: what people really heard is true; changed in one place, it is not.
func TestEveryDoctoredMessageIsFound(t *testing.T) {
	t.Parallel()
	s, log := played(t)
	v, err := s.judge(log)
	if err != nil || v.Found+v.found != 0 {
		t.Fatalf("%v: %v %v", err, v.list, v.DeskReport.Violations)
	}
	for name, c := range map[string]struct {
		is     func(*record) bool
		doctor func([]byte) []byte // nil: it does not fit, take the next
		want   string              // one of these is violated
	}{
		"another session":         {answers(doAccept, 200), raise(`"session":(\d+)`, 1_000_000), "D2 J1"},
		"a session of another":    {answers(doAccept, 200), change(`"client":"c`, `"client":"x`), "D2"},
		"a session that is over":  {answers(doFinish, 200), change(`"ended":`, `"begun":`), "J1"},
		"an offer of nothing":     {pushes("offer"), raise(`"offer":(\d+)`, 1), "J1"},
		"another request":         {pushes("offer"), raise(`"request":(\d+)`, 1), "J1"},
		"another deadline":        {pushes("offer"), change(`"deadline":"2`, `"deadline":"3`), "D3"},
		"an offer closed, or not": {pushes("offer_closed"), change(`"state":"rescinded"`, `"state":"timed_out"`), "J1"},
		"another state":           {pushes("agent"), change(`"state":"idle"`, `"state":"busy"`), "D1"},
		"paused, or not":          {pushes("agent"), change(`"accepting":true`, `"accepting":false`), "D1"},
		"ready, or not":           {pushes("agent"), change(`"ready":true`, `"ready":false`), "D7"},
		"a request's state":       {pushes("request"), change(`"state":"queued"`, `"state":"offering"`), "D1"},
		"a request's end":         {pushes("request"), change(`"state":"done"`, `"state":"expired"`), "D5"},
		"ended before its time":   {pushes("request"), change(`"state":"queued"`, `"state":"done"`), "J1"},
		"another place in line":   {pushes("request"), raise(`"position":(\d+)`, 1), "D4"},
		"another agent":           {pushes("request"), changeAll(`"state":"assigned"`, `-a`, `-b`), "D2"},
		"more are idle":           {pushes("availability"), raise(`"idle":(\d+)`, 1), "D7"},
		"more wait":               {pushes("availability"), raise(`"waiting":(\d+)`, 1), "D7"},
		"what is not in the log":  {pushes("agent"), raise(`"as_of":(\d+)`, 1_000_000), "J1"},
		"nobody, where somebody":  {answers(doRequest, 200), refuse, "D7"},
		seldom:                    {answers(doAccept, 409), change(`"offer":"timed_out"`, `"offer":"rescinded"`), "D3"},
	} {
		if got := s.doctored(t, log, c.is, c.doctor); !anyOf(got, c.want) && (got != noSuch || name != seldom) {
			t.Errorf("%s: found %q, want %s", name, got, c.want)
		}
	}
}

const (
	noSuch = "no such message"
	seldom = "an accept that came too late" // not in every shift
)

func answers(d do, status uint16) func(*record) bool {
	return func(r *record) bool { return r.do == d && r.status == status }
}

func pushes(kind string) func(*record) bool {
	begin := []byte(`{"push":"` + kind + `",`)
	return func(r *record) bool { return r.do == 0 && bytes.HasPrefix(r.body, begin) }
}

// changeAll is change where the message has a text too.
func changeAll(has, from, to string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(has)) {
			return nil
		}
		return bytes.ReplaceAll(b, []byte(from), []byte(to))
	}
}

// refuse turns the answer to a request that was offered at once into a refusal, as of the moment before.
func refuse(b []byte) []byte {
	if !bytes.Contains(b, []byte(`"state":"offering"`)) {
		return nil
	}
	return fmt.Appendf(nil, `{"status":409,"code":"no_agent","desk":%q,"topic":%q,"as_of":%d}`, word(b, []byte(`"desk":"`)),
		word(b, []byte(`"topic":"`)), number(b, memberRequest)-1)
}

// doctored judges once more with the first message changed that fits, and gives the names of what is violated.
func (s *performance) doctored(t *testing.T, log source, is func(*record) bool, doctor func([]byte) []byte) string {
	t.Helper()
	for i := range s.floor.hands.shelves {
		for k := range s.floor.hands.shelves[i].records {
			r := &s.floor.hands.shelves[i].records[k]
			if !is(r) {
				continue
			}
			was, status := r.body, r.status
			if r.body = doctor(was); r.body == nil {
				r.body = was
				continue
			}
			if bytes.HasPrefix(r.body, []byte(`{"status":409`)) {
				r.status = 409
			}
			v, err := s.judge(log)
			r.body, r.status = was, status
			if err != nil {
				return err.Error()
			}
			var names []string
			for _, x := range append(v.list, v.DeskReport.Violations...) {
				names = append(names, x.Name)
			}
			return strings.Join(names, " ")
		}
	}
	return noSuch
}

func anyOf(got, want string) bool {
	for _, name := range strings.Fields(want) {
		if strings.Contains(got, name) {
			return true
		}
	}
	return false
}

// TestWhatIsMissingIsFound: a message that nobody got, an event that is not there, and what is left at the end.
func TestWhatIsMissingIsFound(t *testing.T) {
	t.Parallel()
	s, log := played(t)
	final := func(r *record) bool { return bytes.Contains(r.body, []byte(`"state":"done"`)) && r.do == 0 }
	for i := range s.floor.hands.shelves {
		records := s.floor.hands.shelves[i].records
		for k := range records {
			if final(&records[k]) {
				s.floor.hands.shelves[i].records = append(records[:k:k], records[k+1:]...)
				v, err := s.judge(log)
				s.floor.hands.shelves[i].records = records
				if err != nil || v.found != 1 || v.list[0].Name != "D5" {
					t.Errorf("a client never heard the end: %v, %v", err, v.list)
				}
				i = shelves
				break
			}
		}
		if i == shelves {
			break
		}
	}
	for _, name := range []string{"offer_accepted", "offer_made", "request_made", "session_finished", "agent_online"} {
		gone := false
		v, err := s.judge(func(each func(*holdfast.Event) error) error {
			return log(func(e *holdfast.Event) error {
				if !gone && e.Desk != nil && e.Desk.Kind.String() == name {
					gone = true
					return nil
				}
				return each(e)
			})
		})
		if err != nil || v.Found == 0 || !gone {
			t.Errorf("without one %s: %v, found %d", name, err, v.Found)
		}
	}
	s.floor.hands.agents[3].offer = 7
	if v, err := s.judge(log); err != nil || v.found != 1 || v.list[0].Name != "D5" {
		t.Errorf("an agent who was not told that an offer is over: %v, %v", err, v.list)
	}
	s.floor.hands.agents[3].offer = 0
	s.left.Init, s.left.asked = 1, true
	if v, err := s.judge(log); err != nil || v.found != 2 {
		t.Errorf("an agent left in init: %v, %v", err, v.list)
	}
}

// TestMessagesThatCannotBe end the shift as a failure of the server.
func TestMessagesThatCannotBe(t *testing.T) {
	t.Parallel()
	cfg := small("http://127.0.0.1:1")
	f := newFloor(t.Context(), &cfg, makePlan(&cfg), "shift", play.NewDoor(play.Address{}))
	defer f.close()
	for _, line := range []string{
		`{"push":"agent","desk":"d00001","agent":"d00001-a002","state":"idle"}`, `{"push":"agent","desk":"d00001","agent":"d00001-a001","state":"bored"}`,
		`{"push":"offer","offer":7,"agent":"d00001-a002","state":"pending"}`, `{"push":"news"}`, `{"push":"request","request":7,"client":"c00009","state":"queued"}`, `nothing`,
	} {
		if got, err := f.read(&record{who: 0, status: 200, body: []byte(line)}, nil); err == nil {
			t.Errorf("%s was taken for %+v", line, got)
		}
	}
	a := f.hands.agents[0]
	for _, line := range []string{`{"push":"claims"}`, `{"push":"request"}`, `{"reply":99}`, `{"reply":1,"status":403}`, `hello`} {
		a.mu.Lock()
		if err := a.takeLocked([]byte(line), 0); err == nil {
			t.Errorf("an agent takes %s", line)
		}
		a.mu.Unlock()
	}
}
