package shift

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"holdfast/internal/play"
)

// do is a command.
type do uint8

const (
	doHello do = iota + 1
	doOnline
	doPause
	doOffline
	doReceipt
	doAccept
	doReject
	doFinish
	doRequest
	doCancel
	doSubscribe
	doUnsubscribe
	doLook // a GET of a phone
)

var doNames = [...]string{doHello: "hello", doOnline: "online", doPause: "pause", doOffline: "offline", doReceipt: "receipt", doAccept: "accept",
	doReject: "reject", doFinish: "finish", doRequest: "request", doCancel: "cancel", doSubscribe: "subscribe", doUnsubscribe: "unsubscribe", doLook: "look"}

func (d do) String() string { return doNames[d] }

// ask is one command that was not answered yet. It goes out again when the connection broke: every one of them may come twice.
type ask struct {
	id   uint64
	do   do
	what uint64 // the offer, the request or the session
	sent time.Duration
}

// party is who sits on a connection: an agent or a client. All methods are called with the peer's lock held.
type party interface {
	// hello appends the members of the hello that say who comes.
	hello(b []byte) []byte
	// command appends the members of a command behind "do".
	command(b []byte, a *ask) []byte
	// welcomed: the server knows who is there.
	welcomed()
	// told takes a push.
	told(line []byte, now time.Duration) error
	// answered takes the answer to a command that is decided: 200, or a refusal.
	answered(a *ask, status int, line []byte, now time.Duration) error
	// absence is how long they mean to stay away now that the connection broke.
	absence() time.Duration
}

// peer is one connection, and who sits on it: says hello, keeps what is not answered and asks again after a break. gws calls
// the On… methods of a connection one after another; all others may be called by any goroutine.
type peer struct {
	floor  *floor
	number int32 // among all peers
	party  party

	mu sync.Mutex // guards what follows, and the party
	link
	lastID uint64
	asks   []ask
	out    []byte // goes out next
}

// link is how a peer is connected.
type link struct {
	conn    *gws.Conn // nil: not connected
	old     *gws.Conn // was superseded by conn
	run     uint16    // of the server that conn leads to
	greeted bool      // the server has answered the hello on conn
	coming  bool      // a new connection is on its way
	tries   int       // to come back, since the last hello was answered
}

// helloID is the number of the hello on every connection.
const (
	helloID = 1
	firstID = 2
)

var errMeanwhile = errors.New("the server was killed while somebody was dialling")

// connect dials and says hello. The answer starts what is waiting. A peer that is connected gets a second connection, which
// supersedes the first.
func (p *peer) connect(ctx context.Context) error {
	f := p.floor
	run, err := f.door.Pass(ctx)
	if err != nil {
		return err
	}
	nc, err := play.DialRaw(ctx, f.door.Address, f.source(p.number))
	if err != nil {
		return err
	}
	option := f.way.option
	conn, resp, err := gws.NewClientFromConn(p, &option, nc)
	if err != nil {
		return play.HandshakeError(resp, err)
	}
	if f.door.Now() != run {
		_ = conn.NetConn().Close()
		return errMeanwhile
	}
	p.mu.Lock()
	if f.ctx.Err() != nil {
		p.mu.Unlock()
		return conn.NetConn().Close()
	}
	if p.conn != nil {
		p.old = p.conn
		f.tally.doubled.Add(1)
		if p.greeted {
			f.tally.present.Add(-1)
		}
	}
	p.conn, p.run, p.greeted, p.coming = conn, uint16(run), false, false
	hello := append(p.party.hello([]byte(`{"id":1,"do":"hello",`)), '}')
	p.mu.Unlock()
	f.readers.Go(conn.ReadLoop)
	_ = conn.WriteMessage(gws.OpcodeText, hello) // what fails here closes the connection, and OnClose is told
	return nil
}

// OnOpen is called by gws when the connection stands.
func (p *peer) OnOpen(socket *gws.Conn) { p.alive(socket) }

// OnPong is called by gws.
func (p *peer) OnPong(*gws.Conn, []byte) {}

// OnPing answers the server's ping.
func (p *peer) OnPing(socket *gws.Conn, payload []byte) {
	p.alive(socket)
	_ = socket.WritePong(payload) // what fails closes the connection
}

// silence is how long a server may say nothing, not even ping, before it is taken for dead.
const silence = 60 * time.Second

func (p *peer) alive(socket *gws.Conn) {
	_ = socket.SetReadDeadline(time.Now().Add(silence)) // what fails closes the connection
}

// OnClose brings the peer back, unless the server forbids it.
func (p *peer) OnClose(socket *gws.Conn, err error) {
	p.mu.Lock()
	if p.conn != socket {
		p.mu.Unlock()
		p.floor.superseded(err)
		return
	}
	p.conn = nil
	if p.greeted {
		p.floor.tally.present.Add(-1)
	}
	p.greeted = false
	away, coming := p.party.absence(), p.coming
	p.coming = true
	p.mu.Unlock()
	if !coming {
		p.floor.lost(p, err, away)
	}
}

// OnMessage takes one frame: messages, one to a line.
func (p *peer) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	now := p.floor.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != socket {
		return
	}
	for line := range bytes.SplitSeq(message.Bytes(), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		if err := p.takeLocked(line, now); err != nil {
			p.floor.cancel(err)
			return
		}
	}
	p.flushLocked()
}

func (p *peer) takeLocked(line []byte, now time.Duration) error {
	switch {
	case bytes.HasPrefix(line, beginsReply):
		return p.answeredLocked(play.LeadingNumber(line[len(beginsReply):]), line, now)
	case bytes.HasPrefix(line, []byte(`{"push":"`)):
		p.floor.put(record{who: p.number, status: http.StatusOK, run: p.run, received: now, sent: now, body: line})
		return p.party.told(line, now)
	}
	return fmt.Errorf("a message of the server is neither an answer nor a push: %.300q", line)
}

// come connects the peer.
func (p *peer) come() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.comeLocked()
}

// comeLocked connects the peer, unless that is under way.
func (p *peer) comeLocked() {
	if !p.coming {
		p.coming = true
		p.floor.dial(p)
	}
}

// askLocked keeps a command until it is answered, and sends it with what else there is to send.
func (p *peer) askLocked(d do, what uint64) {
	p.lastID = max(p.lastID+1, firstID)
	p.asks = append(p.asks, ask{p.lastID, d, what, p.floor.now()})
	if p.greeted {
		p.addLocked(&p.asks[len(p.asks)-1])
	}
}

// addLocked appends the message of a command to what goes out next.
func (p *peer) addLocked(a *ask) {
	if len(p.out) > 0 {
		p.out = append(p.out, '\n')
	}
	p.out = strconv.AppendUint(append(p.out, `{"id":`...), a.id, 10)
	p.out = append(append(append(p.out, `,"do":"`...), a.do.String()...), '"')
	p.out = append(p.party.command(p.out, a), '}')
}

// flushLocked sends what was asked. Whoever asks outside of OnMessage calls it before unlocking.
func (p *peer) flushLocked() {
	if len(p.out) == 0 || p.conn == nil {
		return
	}
	_ = p.conn.WriteMessage(gws.OpcodeText, p.out) // what fails closes the connection, and everything goes out again
	p.out = p.out[:0]
}

// answeredLocked takes the answer to one of the peer's commands.
func (p *peer) answeredLocked(id uint64, line []byte, now time.Duration) error {
	status := play.MessageStatus(line)
	putOff := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
	switch {
	case id == helloID && status == http.StatusOK:
		p.greetedLocked(line)
		return nil
	case id == helloID && putOff:
		p.tries++
		_ = p.conn.NetConn().Close() // its reader is told, and brings the peer back
		return nil
	case id == helloID || id == 0:
		return fmt.Errorf("the server refused a hello or did not understand: %.300s", line)
	}
	for i := range p.asks {
		if p.asks[i].id != id {
			continue
		}
		a := p.asks[i]
		p.floor.put(record{p.number, a.do, uint16(status), a.what, p.run, a.sent, now, line})
		switch {
		case putOff:
			p.floor.tally.putOff.Add(1)
			conn := p.conn
			p.floor.after(play.RetryAfter(line), func() { p.again(id, conn) })
			return nil
		case status != http.StatusOK && status != http.StatusConflict && status != http.StatusNotFound:
			return fmt.Errorf("a %s was answered: %.400s", a.do, line)
		}
		p.asks = append(p.asks[:i], p.asks[i+1:]...)
		return p.party.answered(&a, status, line, now)
	}
	return fmt.Errorf("an answer to nothing that was asked: %.300s", line)
}

// again repeats what was put off, unless the connection broke meanwhile: then it goes out when the peer is back.
func (p *peer) again(id uint64, conn *gws.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.asks {
		if p.asks[i].id == id && p.conn == conn && p.greeted {
			p.addLocked(&p.asks[i])
		}
	}
	p.flushLocked()
}

// greetedLocked: the server knows who is there. What is not answered is asked again.
func (p *peer) greetedLocked(line []byte) {
	p.greeted, p.tries = true, 0
	p.out = p.out[:0]
	p.floor.greeted(line)
	for i := range p.asks {
		p.addLocked(&p.asks[i])
	}
	p.party.welcomed()
}

// cut breaks the connection without a word, as a dead network does.
func (p *peer) cut() {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return
	}
	p.floor.tally.cut.Add(1)
	if t, ok := conn.NetConn().(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(0) // no goodbye, and the port is free at once; an error shows in the reading
	}
	_ = conn.NetConn().Close() // its reader is told
}

// hangUpLocked says goodbye, and does not come back by itself.
func (p *peer) hangUpLocked() {
	conn := p.conn
	if conn == nil {
		return
	}
	p.conn = nil
	if p.greeted {
		p.floor.tally.present.Add(-1)
	}
	p.greeted = false
	_ = conn.WriteClose(1000, nil) // its reader is told
}

// leave ends all connections of the peer.
func (p *peer) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangUpLocked()
	if p.old != nil {
		_ = p.old.NetConn().Close() // its reader is told
	}
}

// asked says whether such a command is not answered yet.
func (p *peer) asked(d do) bool {
	for i := range p.asks {
		if p.asks[i].do == d {
			return true
		}
	}
	return false
}

// later calls do with the lock held, and sends what it asks.
func (p *peer) later(wait time.Duration, do func()) {
	p.floor.after(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		do()
		p.flushLocked()
	})
}

// atRest says whether the peer is connected and nothing that it asked is open.
func (p *peer) atRest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn != nil && p.greeted && len(p.asks) == 0
}

// said reads a whole message into something; for what is seldom.
func said(line []byte, into any) error {
	if err := json.Unmarshal(line, into); err != nil {
		return fmt.Errorf("a message of the server is not JSON: %w: %.200q", err, line)
	}
	return nil
}
