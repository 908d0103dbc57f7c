package rush

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"holdfast/internal/play"
)

// student is one person on a connection of their own. What a phone would do: say hello, wait for the opening, press, keep
// what is not confirmed and ask again after a break, and come back with the cursor. Its methods may be called by several
// goroutines; gws calls the On… ones of a connection one after another.
type student struct {
	lobby  *lobby
	person int32

	mu      sync.Mutex // guards what follows
	conn    *gws.Conn  // nil: not connected
	run     uint16     // of the server that conn leads to
	greeted bool       // the server has answered the hello on conn
	fresh   bool       // the first push of claims on conn is still to come
	pressed bool       // the opening was heard
	tries   int        // to come back, since the last hello was answered
	cursor  uint64     // as_of of the last push of claims
	lastID  uint64
	asks    []ask // not confirmed yet
}

// ask is one command that is not confirmed yet. Its record is the template of the answers; sent is the first time.
type ask struct {
	record
	id       uint64
	seq      uint64        // the precondition
	intended time.Duration // when the student meant to press
	seen     bool          // there was an answer, preapproved
}

// helloID is the number of the hello on every connection; quietID of what needs no answer.
const (
	helloID = 1
	quietID = 2
	firstID = 3
)

// connect dials, and says hello with the cursor. The answer starts what is waiting.
func (s *student) connect(ctx context.Context) error {
	l := s.lobby
	run, err := l.crowd.door.Pass(ctx)
	if err != nil {
		return err
	}
	nc, err := play.DialRaw(ctx, l.crowd.door.Address, l.source(s.person))
	if err != nil {
		return err
	}
	option := l.way.option
	conn, resp, err := gws.NewClientFromConn(s, &option, nc)
	if err != nil {
		return play.HandshakeError(resp, err)
	}
	if l.crowd.door.Now() != run {
		_ = conn.NetConn().Close()
		return errMeanwhile
	}
	s.mu.Lock()
	if l.ctx.Err() != nil || s.conn != nil {
		s.mu.Unlock()
		return conn.NetConn().Close()
	}
	s.conn, s.run, s.greeted, s.fresh = conn, uint16(run), false, true
	hello := s.helloLocked()
	s.mu.Unlock()
	l.all.Go(conn.ReadLoop)
	_ = conn.WriteMessage(gws.OpcodeText, hello) // what fails here closes the connection, and OnClose is told
	return nil
}

// helloLocked is the first frame: who comes, what they know, and, before the opening, what they wait for.
func (s *student) helloLocked() []byte {
	l := s.lobby
	b := append([]byte(`{"id":1,"do":"hello","person":"`), l.crowd.plan.people[s.person]...)
	b = append(b, '"')
	if log := l.log.Load(); log != nil && s.cursor > 0 {
		b = append(append(append(b, `,"log":"`...), *log...), `","seq":`...)
		b = strconv.AppendUint(b, s.cursor, 10)
	}
	b = append(b, '}')
	if !s.pressed {
		b = s.subscription(b, "subscribe")
	}
	return b
}

// subscription asks for the opening of the one course that the student wants most, or no longer.
func (s *student) subscription(b []byte, do string) []byte {
	b = append(append(b, "\n{\"id\":2,\"do\":\""...), do...)
	b = append(append(b, `","pool":"`...), s.lobby.crowd.plan.courses[s.lobby.watched(s.person)].name...)
	return append(b, `"}`...)
}

// OnOpen is called by gws when the connection stands.
func (s *student) OnOpen(socket *gws.Conn) { s.alive(socket) }

// OnPong is called by gws.
func (s *student) OnPong(*gws.Conn, []byte) {}

// OnPing answers the server's ping.
func (s *student) OnPing(socket *gws.Conn, payload []byte) {
	s.alive(socket)
	_ = socket.WritePong(payload) // what fails closes the connection
}

// silence is how long a server may say nothing, not even ping, before it is taken for dead.
const silence = 60 * time.Second

func (s *student) alive(socket *gws.Conn) {
	_ = socket.SetReadDeadline(time.Now().Add(silence)) // what fails closes the connection
}

// OnClose brings the student back, unless the server forbids it.
func (s *student) OnClose(socket *gws.Conn, err error) {
	s.mu.Lock()
	if s.conn != socket {
		s.mu.Unlock()
		return
	}
	s.conn = nil
	if s.greeted {
		s.lobby.tally.present.Add(-1)
	}
	s.mu.Unlock()
	s.lobby.lost(s, err)
}

// OnMessage takes one frame: messages, one to a line.
func (s *student) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	now := s.lobby.crowd.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != socket {
		return
	}
	for line := range bytes.SplitSeq(message.Bytes(), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		if err := s.takeLocked(line, now); err != nil {
			s.lobby.cancel(err)
			return
		}
	}
}

// The beginnings by which messages are told apart at a glance. Whatever begins otherwise is read as JSON.
var (
	beginsReply   = []byte(`{"reply":`)
	beginsClaims  = []byte(`{"push":"claims"`)
	beginsPool    = []byte(`{"push":"pool"`)
	beginsOpening = []byte(`{"push":"opening"`)
	saysOpen      = []byte(`"open":true`)
)

func (s *student) takeLocked(line []byte, now time.Duration) error {
	switch {
	case bytes.HasPrefix(line, beginsReply):
		return s.answeredLocked(play.LeadingNumber(line[len(beginsReply):]), line, now)
	case bytes.HasPrefix(line, beginsClaims):
		s.toldLocked(line, now)
	case bytes.HasPrefix(line, beginsPool), bytes.HasPrefix(line, beginsOpening):
		s.poolLocked(line, bytes.HasPrefix(line, beginsOpening), now)
		if !s.pressed && bytes.Contains(line, saysOpen) {
			s.openedLocked(now)
		}
	default:
		var m struct {
			Reply uint64
			Push  string
			Open  bool
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("a message of the server is not JSON: %w: %.200q", err, line)
		}
		switch {
		case m.Push == "claims":
			s.toldLocked(line, now)
		case m.Push != "":
			s.poolLocked(line, m.Push == "opening", now)
			if m.Open && !s.pressed {
				s.openedLocked(now)
			}
		case m.Reply != 0:
			return s.answeredLocked(m.Reply, line, now)
		default:
			return fmt.Errorf("a message of the server is neither an answer nor a push: %.200q", line)
		}
	}
	return nil
}

// pushedAsOf finds as_of in a push of claims: there it stands near the beginning.
func pushedAsOf(line []byte) uint64 {
	const name = `"as_of":`
	i := bytes.Index(line, []byte(name))
	if i < 0 {
		return 0
	}
	return play.LeadingNumber(line[i+len(name):])
}

// poolLocked takes a push about a pool.
func (s *student) poolLocked(line []byte, opening bool, now time.Duration) {
	s.lobby.tally.pool(opening, now)
	if !opening {
		s.lobby.crowd.counts.put(line, s.run)
	}
}

// toldLocked takes a push of the student's own claims.
func (s *student) toldLocked(line []byte, now time.Duration) {
	r := record{errand: errandPush, act: uint8(s.lobby.act.Load()), person: s.person, course: -1, status: http.StatusOK, run: s.run, received: now, sent: now, body: line}
	if s.fresh {
		s.fresh = false
		r.errand = errandFirst
		s.lobby.caughtUp(s.person, now)
	}
	s.cursor = max(s.cursor, pushedAsOf(line))
	s.lobby.put(r)
	s.lobby.tally.claims(now)
}

// openedLocked: the student has heard of the opening, and presses at a moment of their own; some press again.
func (s *student) openedLocked(now time.Duration) {
	s.pressed = true
	l := s.lobby
	l.board.heard[s.person] = now
	l.tally.heard.Add(1)
	moment := l.board.moments[s.person]
	time.AfterFunc(moment, func() { s.press(now + moment) })
	if again := l.board.again[s.person]; again > 0 {
		time.AfterFunc(moment+again, func() { s.pressAgain(now + moment + again) })
	}
}

func (s *student) press(intended time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lobby
	var b []byte
	if l.board.opening[s.person] {
		b = s.askLocked(b, ask{record: record{errand: errandClaim, act: 1, course: 0}, intended: intended})
	}
	if len(l.crowd.plan.wishes[s.person]) > 0 {
		b = s.askLocked(b, ask{record: record{errand: errandBasket, act: 2, course: -1}, intended: intended})
	}
	s.sendLocked(s.subscription(b, "unsubscribe"))
}

func (s *student) pressAgain(intended time.Duration) {
	s.ask(ask{record: record{errand: errandBasket, act: 2, course: -1, again: true}, intended: intended})
}

// ask sends a command, now or as soon as the student is back.
func (s *student) ask(a ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(s.askLocked(nil, a))
}

// askLocked keeps a command until it is confirmed, and appends its message.
func (s *student) askLocked(b []byte, a ask) []byte {
	s.lastID = max(s.lastID+1, firstID)
	a.id, a.person, a.sent = s.lastID, s.person, s.lobby.crowd.now()
	s.asks = append(s.asks, a)
	return a.append(b, s.lobby.crowd.plan)
}

// append appends the message of a command, and a line break before it where there is something.
func (a *ask) append(b []byte, p *plan) []byte {
	if len(b) > 0 {
		b = append(b, '\n')
	}
	b = strconv.AppendUint(append(b, `{"id":`...), a.id, 10)
	if a.errand == errandBasket {
		return append(appendItems(append(b, `,"do":"basket",`...), p, a.person), '}')
	}
	do := `,"do":"claim","pool":"`
	if a.errand == errandRelease {
		do = `,"do":"release","pool":"`
	}
	b = append(append(append(b, do...), p.courses[a.course].name...), `","if_seq":`...)
	return append(strconv.AppendUint(b, a.seq, 10), '}')
}

// sendLocked sends if the server knows the student; else what is not confirmed goes out when it does.
func (s *student) sendLocked(b []byte) {
	if s.conn == nil || !s.greeted || len(b) == 0 {
		return
	}
	b = bytes.TrimPrefix(b, []byte("\n"))
	_ = s.conn.WriteMessage(gws.OpcodeText, b) // what fails closes the connection, and everything goes out again
}

// answeredLocked takes the answer to one of the student's messages.
func (s *student) answeredLocked(id uint64, line []byte, now time.Duration) error {
	status := play.MessageStatus(line)
	switch {
	case id == helloID && status == http.StatusOK:
		s.greetedLocked(line)
		return nil
	case id == helloID && (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests):
		s.tries++
		_ = s.conn.NetConn().Close() // its reader is told, and brings the student back
		return nil
	case id < firstID:
		if status >= 300 && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
			return fmt.Errorf("the server refused hello or subscribe: %.300s", line)
		}
		return nil
	}
	for i := range s.asks {
		if s.asks[i].id == id {
			return s.settleLocked(i, status, line, now)
		}
	}
	return nil // confirmed before: somebody was told twice
}

func (s *student) settleLocked(i, status int, line []byte, now time.Duration) error {
	a := &s.asks[i]
	r := a.record
	r.status, r.run, r.received, r.body = uint16(status), s.run, now, line
	s.lobby.put(r)
	switch {
	case r.putOff():
		id, conn := a.id, s.conn
		wait := play.RetryAfter(line)
		time.AfterFunc(wait+s.lobby.jitter(wait/4), func() { s.askAgain(id, conn) })
	case status != http.StatusOK && status != http.StatusAccepted && status != http.StatusConflict && status != http.StatusPreconditionFailed:
		return fmt.Errorf("a %s was answered: %.300s", a.errand, line)
	case confirmed(status, line):
		s.lobby.answered(a, now, true)
		s.asks = append(s.asks[:i], s.asks[i+1:]...)
	case !a.seen:
		s.lobby.answered(a, now, false)
		a.seen = true
	}
	return nil
}

// askAgain repeats what was put off, unless the connection broke meanwhile: then it goes out when the student is back.
func (s *student) askAgain(id uint64, conn *gws.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.asks {
		if s.asks[i].id == id && s.conn == conn {
			s.sendLocked(s.asks[i].append(nil, s.lobby.crowd.plan))
		}
	}
}

// greetedLocked: the server knows who is there. What is not confirmed is asked again.
func (s *student) greetedLocked(line []byte) {
	s.greeted, s.tries = true, 0
	s.lobby.greeted(line)
	const bunch = 8 << 10 // well below what a frame may have
	var b []byte
	for i := range s.asks {
		b = s.asks[i].append(b, s.lobby.crowd.plan)
		if len(b) > bunch {
			s.sendLocked(b)
			b = b[:0]
		}
	}
	s.sendLocked(b)
}

// cut breaks the connection without a word, as a dead network does.
func (s *student) cut() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		return
	}
	if t, ok := conn.NetConn().(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(0) // no goodbye, and the port is free at once; an error shows in the reading
	}
	_ = conn.NetConn().Close() // its reader is told
}

// leave says goodbye.
func (s *student) leave() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		_ = conn.WriteClose(1000, nil) // its reader is told
	}
}
