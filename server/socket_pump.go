package server

import (
	"bytes"
	"runtime/debug"

	"github.com/lxzan/gws"

	"holdfast/internal/wire"
)

// work is what one turn of the pump took out of the mailbox.
type work struct {
	frames  []*gws.Message
	nudges  nudges
	pushes  pushes
	closing closing
}

// take empties the mailbox; false: it was empty, and the pump ends.
func (s *socket) take() (w work, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w = work{s.frames, s.nudges, s.pushes, s.closing}
	n := &w.nudges
	idle := len(w.frames) == 0 && w.pushes.buf == nil && !n.ping && n.pong == nil && !n.settled && !n.recheck && !n.heard && !n.join && !n.gone
	if idle && (w.closing.code == 0 || s.closed || w.closing.code == wire.CloseRestart && len(s.pending) > 0) {
		s.running = false
		return w, false
	}
	s.frames, s.waiting, s.nudges = nil, 0, nudges{}
	s.pushes = pushes{}
	if w.pushes.buf != nil {
		s.pushes.unsent = len(*w.pushes.buf)
	}
	return w, true
}

// pump works until the mailbox is empty.
func (s *socket) pump() {
	defer s.survive()
	for {
		w, ok := s.take()
		if !ok {
			return
		}
		for _, m := range w.frames {
			s.frame(m.Data.Bytes())
			m.Close()
		}
		if len(w.frames) > 0 {
			s.handled()
		}
		if w.nudges.recheck {
			s.recheck()
		}
		if w.nudges.heard {
			s.hear()
		}
		if w.nudges.join && !s.closed {
			s.join()
		}
		s.settle(0)
		s.tell(&w.pushes)
		s.beat(&w.nudges)
		s.flush()
		s.await()
		if w.nudges.gone {
			s.leave()
			return
		}
		s.close(w.closing)
	}
}

// survive is what net/http does for a handler: what panicked for one must not end all.
func (s *socket) survive() {
	if p := recover(); p != nil {
		s.house.cfg.Logger.Error("a connection failed", "panic", p, "stack", string(debug.Stack()))
		s.cut(wire.CloseFailed)
		s.ws.WriteClose(wire.CloseFailed, nil)
		s.leave()
	}
}

// handled lets a reader go on that waits.
func (s *socket) handled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// message appends one message to what is to be written.
func (s *socket) message(fill func([]byte) []byte) {
	if s.reply == nil {
		s.reply = buffers.Get().(*[]byte)
		*s.reply = (*s.reply)[:0]
	}
	*s.reply = append(fill(*s.reply), '\n')
	if len(*s.reply) > maxPiece {
		s.write()
	}
}

// tell appends the pushes. Before one that tells everything up to asOf goes every answer that rests on no more: whoever keeps
// that cursor has heard it.
func (s *socket) tell(p *pushes) {
	if p.buf == nil {
		return
	}
	from := 0
	for _, m := range append(p.marks, mark{len(*p.buf), 0}) {
		s.settle(m.asOf)
		if m.end > from {
			piece := (*p.buf)[from : m.end-1]
			s.message(func(b []byte) []byte { return append(b, piece...) })
			from = m.end
		}
	}
	release(p.buf)
}

func release(buf *[]byte) {
	if cap(*buf) <= maxKept {
		buffers.Put(buf)
	}
}

// beat sends pings and pongs.
func (s *socket) beat(n *nudges) {
	if s.closed {
		return
	}
	if n.ping {
		s.ws.WritePing(nil)
	}
	if n.pong != nil {
		s.ws.WritePong(n.pong)
	}
}

// flush writes what there is.
func (s *socket) flush() {
	s.write()
	s.mu.Lock()
	s.pushes.unsent = 0
	s.mu.Unlock()
}

// write writes the answers, several to a frame. An error ends the reader, and that the socket.
func (s *socket) write() {
	if s.reply == nil {
		return
	}
	rest := *s.reply
	for len(rest) > 0 && !s.closed {
		end := len(rest)
		if end > maxPiece {
			if end = bytes.LastIndexByte(rest[:maxPiece], '\n') + 1; end == 0 {
				end = bytes.IndexByte(rest, '\n') + 1
			}
		}
		if s.ws.WriteMessage(gws.OpcodeText, rest[:end-1]) != nil {
			break
		}
		rest = rest[end:]
	}
	release(s.reply)
	s.reply = nil
}

// close sends the close frame, if it is time. Why is from the turn's begin: what was settled by then is told.
func (s *socket) close(c closing) {
	if c.code == 0 || s.closed || c.code == wire.CloseRestart && len(s.pending) > 0 {
		return
	}
	s.closed = true
	s.cut(c.code)
	s.unwatch()
	s.ws.WriteClose(uint16(c.code), []byte(c.reason))
}

// leave ends all that the socket had. It runs once, when the reader has ended.
func (s *socket) leave() {
	s.mu.Lock()
	s.over = true
	frames, buf := s.frames, s.pushes.buf
	s.frames, s.pushes.buf = nil, nil
	s.mu.Unlock()
	s.handled()
	for _, m := range frames {
		m.Close()
	}
	if buf != nil {
		release(buf)
	}
	s.unwatch()
	s.depart()
	s.house.recordings.forget(s)
	s.house.sweeper.remove(s)
	if s.known.Load() {
		s.house.gauges.came(s.id.Role, -1)
		s.house.heads.leave(&s.id)
	} else {
		s.house.strangers.leave()
	}
	if s.inside {
		s.house.inside.leave()
	}
}
