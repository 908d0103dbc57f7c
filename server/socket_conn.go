package server

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"holdfast/auth"
	"holdfast/internal/live"
	"holdfast/internal/wire"
)

// socket is one WebSocket. Two goroutines work for it, the second only while there is something to do:
//
//	reader: reads frames and leaves them in the mailbox; nothing else, so that its stack stays small
//	pump:   takes what is in the mailbox, decides, answers, and writes; the guest is its own
//
// Everybody else (the hub, the confirmer, the sweeper) leaves something in the mailbox, and never waits.
type socket struct {
	house  *sockets
	ws     *gws.Conn
	line   line
	realm  string
	origin string         // as the request had it
	header *auth.Identity // what the request's Authorization proved; nil: it had none
	slot   int            // where the sweeper has it
	ended  atomic.Bool    // the metric has its end

	mailbox
	guest
}

// begin runs the socket. full: only to say that there is no room.
func (s *socket) begin(full bool) {
	s.inside = !full
	s.limit, s.most = s.house.cfg.SocketQueue, s.house.cfg.SocketPending
	s.house.sweeper.add(s)
	switch {
	case full:
		s.end(wire.CloseCrowded, s.house.delay())
	case s.house.inside.closing(): // close may not have seen it
		s.end(wire.CloseRestart, s.house.delay())
	}
	go s.read()
}

// read is the reader.
func (s *socket) read() {
	s.ws.ReadLoop()
	s.line.discard()
	s.nudge(func(n *nudges) { n.gone = true })
}

// line is the network connection below a socket. It notices signs of life, and bounds what may come.
type line struct {
	net.Conn
	socket *socket
	silent atomic.Int32 // visits of the sweeper since something came
	budget atomic.Int64 // bytes that may still come; the sweeper fills it up
	broken bool         // the budget was used up once; the reader's own
	failed bool         // a read failed; the reader's own
	lost   atomic.Bool  // a write failed
}

// Bounds of what a line may bring, in bytes. The rate is for who has few frames and many bytes; frames are counted besides.
const (
	strangerBytes = wire.MaxHello + 14 + readBuffer // hello, its frame's head, and what the buffer has read ahead
	personBurst   = 256 << 10
	personRate    = 32 << 10 // a second
	lingerBytes   = 256 << 10
)

// linger is how long a closed connection is still read: bytes unread at its end would make the kernel throw away the close
// frame on its way, and the answers before it.
const linger = time.Second

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.failed = err != nil
	l.silent.Store(0)
	if l.budget.Add(-int64(n)) >= 0 {
		return n, err
	}
	if l.broken { // the library would answer an error with a close frame of its own, before ours
		l.Conn.SetReadDeadline(time.Now().Add(linger))
		io.Copy(io.Discard, l.Conn)
		l.failed = true
		return 0, io.EOF
	}
	l.broken = true
	l.budget.Store(lingerBytes)
	if l.socket.known.Load() {
		l.socket.end(wire.CloseFlood, "more than a person sends")
	} else {
		l.socket.end(wire.CloseStranger, "hello first")
	}
	return n, err
}

// Write gives the other side its time to take it. The library writes from the reader's goroutine too: what it closes with.
// After a failed write it has had its time: a close frame would not get through either.
func (l *line) Write(p []byte) (int, error) {
	if l.lost.Load() {
		return 0, net.ErrClosed
	}
	l.Conn.SetWriteDeadline(time.Now().Add(l.socket.house.cfg.FeedWrite)) // an error shows at the write
	n, err := l.Conn.Write(p)
	if err != nil {
		l.lost.Store(true)
	}
	return n, err
}

// Close is what the library calls right behind the close frame: the other side may still answer it.
func (l *line) Close() error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() // an error means that it is closed already
	}
	return l.Conn.SetReadDeadline(time.Now().Add(linger))
}

// cut closes at once. It does not wait: TLS would, to say good-bye.
func (l *line) cut() {
	conn := l.Conn
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = outer.NetConn()
	}
	conn.Close()
}

// discard reads what is left until the other side closes too, or linger ends, and closes.
func (l *line) discard() {
	io.CopyN(io.Discard, l.Conn, lingerBytes)
	l.Conn.Close()
}

// mailbox is what is left for the pump.
type mailbox struct {
	known atomic.Bool // it has said who it is

	mu      sync.Mutex // guards what follows
	frames  []*gws.Message
	waiting int           // bytes in frames
	room    chan struct{} // closed once the frames are handled; nil: nobody waits
	pushes  pushes
	limit   int // bytes that may wait to be written
	flood   flood
	nudges  nudges
	closing closing
	running bool // there is a pump
	over    bool // nothing is taken any more
}

// nudges are reasons to run the pump.
type nudges struct {
	ping    bool
	pong    []byte // what a ping had; nil: none came
	settled bool   // something may be confirmed, or recorded
	recheck bool   // who it is may not be any more
	heard   bool   // a silent agent has given a sign of life
	join    bool   // a request of the client's was made elsewhere
	gone    bool   // the reader has ended
}

// closing is why the socket is being closed; the first reason counts.
type closing struct {
	code   int // 0: it is not
	reason string
}

// pushes are what the hub tells, each with a line break behind it.
type pushes struct {
	buf    *[]byte // nil: none
	marks  []mark
	unsent int // bytes that the pump has taken and not yet written
}

// mark: what stands before end tells everything up to asOf.
type mark struct {
	end  int
	asOf uint64
}

// maxFrames bounds what waits to be handled, in bytes, a frame more or less; then the reader waits.
const maxFrames = 32 << 10

func (s *socket) startLocked() {
	if !s.running {
		s.running = true
		go s.pump()
	}
}

func (s *socket) nudge(set func(*nudges)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	set(&s.nudges)
	s.startLocked()
}

// end closes the socket once all that is decided is told (CloseRestart), or at once.
func (s *socket) end(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(code, reason)
}

func (s *socket) endLocked(code int, reason string) {
	if s.over || s.closing.code != 0 && s.closing.code != wire.CloseRestart || s.closing.code == code {
		return
	}
	s.closing = closing{code, reason}
	s.startLocked()
}

// deliver leaves a frame. It waits while there are too many; a stranger's is handled before the next is read.
func (s *socket) deliver(m *gws.Message) {
	s.mu.Lock()
	size := m.Data.Len()
	switch {
	case s.over || s.closing.code != 0 && s.closing.code != wire.CloseRestart:
	case m.Opcode != gws.OpcodeText:
		s.endLocked(wire.CloseUnsupported, "text only")
	case !s.known.Load() && size > wire.MaxHello:
		s.endLocked(wire.CloseStranger, "hello first")
	default:
		s.frames = append(s.frames, m)
		s.waiting += size
		s.startLocked()
		if s.waiting > maxFrames || !s.known.Load() {
			s.waitLocked()
		}
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	m.Close()
}

func (s *socket) waitLocked() {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	room := s.room
	s.mu.Unlock()
	<-room
	s.mu.Lock()
}

// Push implements live.Sink.
func (s *socket) Push(kind string, asOf uint64, message []byte) {
	s.house.gauges.pushed(kind)
	s.push(kind == live.Claims, asOf, message)
}

func (s *socket) push(cursor bool, asOf uint64, message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.closing.code != 0 && s.closing.code != wire.CloseRestart {
		return
	}
	p := &s.pushes
	if p.buf == nil {
		p.buf = buffers.Get().(*[]byte)
		*p.buf = (*p.buf)[:0]
	}
	if p.unsent+len(*p.buf) > s.limit {
		s.endLocked(wire.CloseSlow, "read too slowly")
		return
	}
	*p.buf = append(append(*p.buf, message...), '\n')
	if cursor {
		p.marks = append(p.marks, mark{len(*p.buf), asOf})
	}
	s.startLocked()
}

// flood measures how many frames and messages come: at most floodRate a second after floodBurst at once.
type flood struct {
	watched bool
	full    int64 // when the allowance will be whole again, in Unix nanoseconds
}

const (
	floodRate  = 20
	floodBurst = 40
)

// count takes one frame or message from the allowance, where there is one; false: it must not be handled any more.
func (s *socket) count() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.closing.code; c != 0 && c != wire.CloseRestart { // whoever is sent away is not decided for
		return false
	}
	if !s.flood.watched {
		return true
	}
	now := time.Now().UnixNano()
	s.flood.full = max(s.flood.full, now) + int64(time.Second/floodRate)
	if s.flood.full-now > floodBurst*int64(time.Second/floodRate) {
		s.endLocked(wire.CloseFlood, "more than a person sends")
		return false
	}
	return true
}

// reader is what the library tells of frames, on the reader's goroutine.
type reader struct{}

func socketOf(c *gws.Conn) *socket { return c.NetConn().(*line).socket }

func (reader) OnOpen(*gws.Conn) {}

// OnClose counts what was not closed by us: the other side's close frame, and what the library closes for. A connection that only
// breaks off has no code, and is not counted.
func (reader) OnClose(c *gws.Conn, err error) {
	s := socketOf(c)
	switch why := err.(type) {
	case *gws.CloseError:
		if why.Code == wire.CloseGone {
			s.cut(wire.CloseGone)
		} else {
			s.cut(wire.CloseNormal) // whatever code it chose: it left
		}
	case interface{ Uint16() uint16 }: // the library's close codes
		s.cut(int(why.Uint16()))
	default: // a network's error, or an opcode that there is not
		if !s.line.failed && !s.line.lost.Load() {
			s.cut(wire.CloseProtocol)
		}
	}
}

// cut counts the end, once.
func (s *socket) cut(code int) {
	if !s.ended.Swap(true) {
		s.house.gauges.cut(code)
	}
}

func (reader) OnPing(c *gws.Conn, payload []byte) {
	s := socketOf(c)
	if payload == nil {
		payload = []byte{}
	}
	s.nudge(func(n *nudges) { n.pong = payload })
	s.count()
}

func (reader) OnPong(c *gws.Conn, payload []byte) {
	s := socketOf(c)
	if w := s.device.Load(); w != nil && w.Silent() {
		s.nudge(func(n *nudges) { n.heard = true })
	}
	s.count()
}

func (reader) OnMessage(c *gws.Conn, m *gws.Message) { socketOf(c).deliver(m) }
