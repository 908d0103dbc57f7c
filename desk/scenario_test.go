package desk_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/desk"
)

var update = flag.Bool("update", false, "write what the scenarios say anew")

// TestScenarios runs testdata/*.txt: commands in, results and events out. A file is named after the transition or the case
// of docs/DESKS.md that it covers; each scenario in it begins with "## " and its sentence. What is said to a command stands
// behind it, indented. Run with -update and review the diff. Times are seconds; the world begins at second 0.
//
//	desk D queue=9 topics=a,b offer=20 …   agent D WHO topics=a push       remove D WHO REASON      force D WHO idle|offline REASON
//	attach|detach D WHO CONN   online|pause|leave|hear D WHO [CONN]       receive|accept|reject D WHO OFFER [CONN]
//	on D WHO CONN (attach and online)      ask D CLIENT CONN|push topic=a priority=1 key=k      come|go D CLIENT CONN
//	cancel D CLIENT|staff REQUEST          finish D WHO|CLIENT|staff SESSION [CONN]             show D [WHO|REQUEST]
//	at SECOND   start   restore
//
// The number of an offer, a request or a session may be o, r or s: the last of whom the command is about; o:eve that of eve.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		named[strings.SplitN(name, "-", 2)[0]] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScenarios(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s differs; run with -update and review:\n%s", file, firstDifference(string(want), got))
			}
		})
	}
	for n := 1; n <= 17; n++ {
		if !named[fmt.Sprintf("T%02d", n)] {
			t.Errorf("no scenario for T%d", n)
		}
	}
	for n := 1; n <= 9; n++ {
		if !named[fmt.Sprintf("C%d", n)] {
			t.Errorf("no scenario for C%d", n)
		}
	}
	if !named["6.3"] || len(files) < 17+9+12 {
		t.Errorf("only %d files of scenarios", len(files))
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, a[i], b[min(i, len(b)-1)])
		}
	}
	return "it is longer"
}

const dawn = 1_000 * second // second 0 of the scenarios

func runScenarios(t *testing.T, text string) string {
	var out strings.Builder
	var w *world
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "  "):
			continue // said by the run before
		case strings.HasPrefix(line, "## "):
			w = &world{t: t, out: &out, now: dawn, state: desk.NewState()}
		}
		out.WriteString(line + "\n")
		if fields := strings.Fields(line); len(fields) > 0 && fields[0][0] != '#' {
			w.at = line
			w.run(fields)
		}
	}
	return out.String()
}

// world runs the commands of one scenario.
type world struct {
	t     *testing.T
	out   *strings.Builder
	at    string
	now   desk.Time
	seq   uint64
	state *desk.State
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(w.out, "  "+format+"\n", args...) }

func (w *world) number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		w.t.Fatalf("%s: %v", w.at, err)
	}
	return n
}

// last is a number, or that of the last offer, request or session of somebody.
func (w *world) last(name, who, text string) (id uint64) {
	what, of, other := strings.Cut(text, ":")
	if other {
		who = of
	}
	if what != "o" && what != "r" && what != "s" {
		return w.number(text)
	}
	rows, _ := w.state.Requests(name, 0, func(desk.RequestState) bool { return true }, 100)
	for _, r := range rows {
		if what == "r" && r.Client == who {
			id = max(id, r.ID)
		}
		for _, o := range w.state.Offers(name, r.ID) {
			if what == "o" && o.Agent == who {
				id = max(id, o.ID)
			}
			if what == "s" && (o.Agent == who || o.Client == who) {
				id = max(id, o.Session)
			}
		}
	}
	if id == 0 {
		w.t.Fatalf("%s: there is none", w.at)
	}
	return id
}

// conn is the optional last number of a command.
func (w *world) conn(f []string, at int) uint64 {
	if len(f) <= at {
		return 0
	}
	return w.number(f[at])
}

func (w *world) run(f []string) {
	if len(f) > 2 && w.ofAgent(f, f[1], f[2]) || len(f) > 2 && w.ofClient(f, f[1], f[2]) {
		return
	}
	switch f[0] {
	case "at":
		at, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			w.t.Fatalf("%s: %v", w.at, err)
		}
		w.now = dawn + desk.Time(at*float64(second))
		w.due()
	case "desk":
		w.desk(f[1], f[2:])
	case "start":
		w.seq++
		w.state.ApplyStart(w.now)
		w.say("%d started", w.seq)
		w.due()
	case "restore":
		w.restore()
	case "show":
		w.show(f[1:])
	default:
		w.t.Fatalf("%s: unknown command", w.at)
	}
}

func (w *world) ofAgent(f []string, name, who string) bool {
	reason := desk.Staff{By: "dean", Reason: strings.Join(f[min(len(f), 3):], " ")}
	switch f[0] {
	case "agent":
		p := desk.Profile{}
		for _, setting := range f[3:] {
			if topics, ok := strings.CutPrefix(setting, "topics="); ok {
				p.Topics = strings.Split(topics, ",")
			} else {
				p.Reach = desk.Push
			}
		}
		w.do(desk.PutAgent{Desk: name, Agent: who, Profile: p})
	case "attach":
		w.do(desk.Attach{Desk: name, Agent: who, Conn: w.number(f[3])})
	case "on":
		w.do(desk.Attach{Desk: name, Agent: who, Conn: w.number(f[3])})
		w.do(desk.Online{Desk: name, Agent: who, Conn: w.number(f[3])})
	case "detach":
		w.do(desk.Detach{Desk: name, Agent: who, Conn: w.number(f[3])})
	case "online":
		w.do(desk.Online{Desk: name, Agent: who, Conn: w.conn(f, 3)})
	case "pause":
		w.do(desk.Pause{Desk: name, Agent: who, Conn: w.conn(f, 3)})
	case "leave":
		w.do(desk.GoOffline{Desk: name, Agent: who, Conn: w.conn(f, 3)})
	case "hear":
		w.do(desk.Hear{Desk: name, Agent: who, Conn: w.conn(f, 3)})
	case "receive":
		w.do(desk.Receive{Desk: name, Agent: who, Offer: w.last(name, who, f[3]), Conn: w.conn(f, 4)})
	case "accept":
		w.do(desk.AcceptOffer{Desk: name, Agent: who, Offer: w.last(name, who, f[3]), Conn: w.conn(f, 4)})
	case "reject":
		w.do(desk.RejectOffer{Desk: name, Agent: who, Offer: w.last(name, who, f[3]), Conn: w.conn(f, 4), Reason: "no time"})
	case "remove":
		w.do(desk.RemoveAgent{Desk: name, Agent: who, Staff: reason})
	case "force":
		to, _ := desk.ParseAgentState(f[3])
		reason.Reason = strings.Join(f[4:], " ")
		w.do(desk.Force{Desk: name, Agent: who, To: to, Staff: reason})
	default:
		return false
	}
	return true
}

func (w *world) ofClient(f []string, name, who string) bool {
	switch f[0] {
	case "ask":
		c := desk.Request{Desk: name, Client: who}
		if f[3] == "push" {
			c.Reach = desk.Push
		} else {
			c.Conn = w.number(f[3])
		}
		for _, setting := range f[4:] {
			key, value, _ := strings.Cut(setting, "=")
			switch key {
			case "topic":
				c.Topic = value
			case "priority":
				c.Priority = uint8(w.number(value))
			case "key":
				c.Key = value
			default:
				w.t.Fatalf("%s: %s", w.at, key)
			}
		}
		w.do(c)
	case "come":
		w.do(desk.AttachClient{Desk: name, Client: who, Conn: w.number(f[3])})
	case "go":
		w.do(desk.DetachClient{Desk: name, Client: who, Conn: w.number(f[3])})
	case "cancel":
		c := desk.Cancel{Desk: name, Client: who, Request: w.last(name, who, f[3])}
		if who == "staff" {
			c.Client, c.Staff = "", desk.Staff{By: "dean", Reason: "closed early"}
		}
		w.do(c)
	case "finish":
		c := desk.Finish{Desk: name, Session: w.last(name, who, f[3])}
		if _, agent := w.state.Agent(name, who); agent {
			c.Agent, c.Conn = who, w.conn(f, 4)
		} else if who == "staff" {
			c.Staff = desk.Staff{By: "dean", Reason: "closed early"}
		} else {
			c.Client = who
		}
		w.do(c)
	default:
		return false
	}
	return true
}

func (w *world) desk(name string, settings []string) {
	c := desk.DefaultConfig()
	spans := map[string]*time.Duration{"wait": &c.MaxWait, "offer": &c.OfferTime, "receipt": &c.Receipt, "push_receipt": &c.PushReceipt,
		"idle": &c.IdleGrace, "init": &c.InitGrace, "busy": &c.BusyGrace, "client": &c.ClientGrace, "join": &c.JoinWithin,
		"reject": &c.RejectPause, "miss": &c.MissPause, "wrap": &c.WrapUp, "restart": &c.RestartGrace, "warm": &c.WarmUp}
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		switch key {
		case "queue":
			c.Policy, c.QueueLimit = desk.Queue, uint32(w.number(value))
		case "topics":
			c.Topics = strings.Split(value, ",")
		case "misses":
			c.Misses = uint32(w.number(value))
		case "attempts":
			c.MaxAttempts = uint32(w.number(value))
		case "single":
			c.SingleDevice = true
		case "close":
			c.OnLost = desk.Close
		default:
			if spans[key] == nil {
				w.t.Fatalf("%s: %s", w.at, key)
			}
			*spans[key] = time.Duration(w.number(value)) * time.Second
		}
	}
	w.do(desk.PutDesk{Desk: name, Config: c})
}

func (w *world) do(cmd desk.Command) {
	if err := cmd.Valid(); err != nil {
		w.t.Fatalf("%s: %v", w.at, err)
	}
	w.due()
	turn := desk.Turn{Now: w.now, Clock: w.now, Seq: w.seq}
	res := w.state.Step(&turn, cmd)
	w.events("", turn.Events)
	w.result(cmd, &res)
	if err := w.state.Check(); err != nil {
		w.t.Errorf("%s: %v", w.at, err)
	}
}

// due runs what is due, each at its own time.
func (w *world) due() {
	until := w.now
	for {
		next, ok := w.state.NextDue()
		if !ok || next > until {
			w.now = until
			return
		}
		w.now = max(next, dawn)
		turn := desk.Turn{Now: w.now, Clock: w.now, Seq: w.seq}
		w.state.Due(&turn)
		w.events(fmt.Sprintf("at %s: ", seconds(w.now)), turn.Events)
	}
}

// restore goes on with what a snapshot gives.
func (w *world) restore() {
	var b bytes.Buffer
	if err := w.state.WriteSnapshot(&b); err != nil {
		w.t.Fatal(err)
	}
	again, err := desk.ReadSnapshot(bufio.NewReader(&b))
	if err != nil {
		w.t.Fatalf("%s: %v", w.at, err)
	}
	w.state = again
	w.due()
}
