package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/internal/live"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// stream is one person's claims as server-sent events, for those behind proxies that cut WebSockets: what the hub tells a
// WebSocket, and nothing to say back.
type stream struct {
	*call
	log string

	mu    sync.Mutex // guards what follows
	buf   []byte     // events not yet taken
	slow  bool       // more waited than may: cut
	ready chan struct{}
}

func getPersonEvents(c *call) int {
	since, err := c.since()
	if err != nil {
		return c.fail(err)
	}
	known := false
	if _, err := c.engine.Read(func(s *holdfast.State) { known = c.world(s) != nil }); err != nil {
		return c.fail(err)
	}
	if !known {
		return c.refuse(&seat.Refusal{Code: holdfast.UnknownRealm}, wire.Stamp{})
	}
	hub, err := c.sockets.live()
	if err != nil {
		return c.fail(err)
	}
	if !c.sockets.inside.enter() {
		return c.turnAway(bySockets, crowded)
	}
	defer c.sockets.inside.leave()
	if !c.heads.enter(&c.id) {
		c.metrics.turned[byPerson].Inc()
		p := tooMany
		c.retry(&p, time.Minute)
		return c.problem(p)
	}
	defer c.heads.leave(&c.id)
	at := c.engine.Durable()
	f := &stream{call: c, log: hex.EncodeToString(at.LogID[:]), ready: make(chan struct{}, 1)}
	watch := hub.Watch(c.realm, c.person, since, f)
	defer watch.Close()
	f.run()
	return http.StatusOK
}

// since reads the cursor: Last-Event-ID, which an EventSource sends when it comes back to the same address, before ?since=.
func (c *call) since() (at live.Cursor, err error) {
	name, text := "since", c.query.Get("since")
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		name, text = "Last-Event-ID", last
	}
	if text == "" {
		return at, nil
	}
	log, seq, found := strings.Cut(text, "-")
	n, err := strconv.ParseUint(seq, 10, 63)
	if raw, bad := hex.DecodeString(log); bad != nil || len(raw) != 16 || !found || err != nil {
		return at, invalid(name, "must be the id of an event: the log's, a hyphen and a number")
	}
	return live.Cursor{Log: log, Seq: n}, nil
}

// Push implements live.Sink.
func (f *stream) Push(kind string, asOf uint64, message []byte) {
	f.sockets.gauges.pushed(kind)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.slow {
		return
	}
	if len(f.buf) > f.cfg.SocketQueue {
		f.slow, f.buf = true, nil
	} else {
		f.buf = append(f.buf, "id: "...)
		f.buf = strconv.AppendUint(append(append(f.buf, f.log...), '-'), asOf, 10)
		f.buf = append(append(append(f.buf, "\nevent: "...), kind...), "\ndata: "...)
		f.buf = append(append(f.buf, message...), "\n\n"...)
	}
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// take empties the buffer; false: the reader is too slow.
func (f *stream) take() ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	buf := f.buf
	f.buf = nil
	return buf, !f.slow
}

// run gives events until the reader's end, ours, or that of who they are. Errors end it without a word: it resumes.
func (f *stream) run() {
	ctx, cancel := context.WithCancel(f.r.Context())
	defer cancel()
	if f.auth != nil {
		go func() {
			if f.ended(ctx, f.id) {
				cancel()
			}
		}()
	}
	h := f.w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = streamType, noStore, noSniff
	h.Set("X-Accel-Buffering", "no") // asks a proxy in between not to keep pieces back
	f.w.WriteHeader(http.StatusOK)
	if f.send(nil) != nil {
		return
	}
	defer f.pieceDeadline() // the last piece's is over, and the end of the body is a piece too
	beat := time.NewTicker(f.cfg.Heartbeat)
	defer beat.Stop()
	for {
		var piece []byte
		select {
		case <-f.ready:
			buf, ok := f.take()
			if !ok {
				f.sockets.gauges.cut(wire.CloseSlow)
				return
			}
			piece = buf
		case <-beat.C:
			piece = []byte(":\n\n")
		case <-f.sockets.inside.closed:
			f.bye()
			return
		case <-f.engine.Done(): // nobody is told anything any more
			buf, _ := f.take()
			f.send(buf)
			f.sockets.gauges.cut(wire.CloseFailed)
			return
		case <-ctx.Done():
			return
		}
		if f.send(piece) != nil {
			return
		}
	}
}

// bye gives what is there, and tells when to come back: another time for everybody.
func (f *stream) bye() {
	piece, _ := f.take()
	f.send(fmt.Appendf(piece, "retry: %d\n\n", f.sockets.away()))
	f.sockets.gauges.cut(wire.CloseRestart)
}

// send writes and flushes. A reader that leaves a piece unread for FeedWrite is cut.
func (f *stream) send(piece []byte) error {
	if err := f.pieceDeadline(); err != nil {
		return err
	}
	if _, err := f.w.Write(piece); err != nil {
		return err
	}
	return http.NewResponseController(f.w).Flush()
}
