package server

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/wire"
	"holdfast/seat"
)

var (
	ndjsonType = []string{wire.NDJSON}
	streamType = []string{wire.EventStream}
)

// feed is one reader of a realm's confirmed events. Nothing is kept for it but one buffer: it reads the log.
type feed struct {
	*call
	stream bool   // server-sent events, else one JSON object a line
	follow bool   // go on at the end of the log
	left   uint64 // events still to give
	seen   uint64 // the log is read up to here, other realms' events included

	buf []byte
	sub *engine.Subscription
}

// maxPiece is how much a feed writes at once, about.
const maxPiece = 32 << 10

func getEvents(c *call) int {
	f := &feed{call: c, stream: strings.Contains(c.r.Header.Get("Accept"), wire.EventStream)}
	f.follow = f.stream
	if err := f.options(); err != nil {
		return c.fail(err)
	}
	known := false
	head, err := c.engine.Read(func(s *holdfast.State) { known = c.world(s) != nil })
	if err != nil {
		return c.fail(err)
	}
	if !known {
		return c.refuse(&seat.Refusal{Code: holdfast.UnknownRealm}, wire.Stamp{})
	}
	durable := c.engine.Durable()
	if id := hex.EncodeToString(durable.LogID[:]); c.query.Has("log") && c.query.Get("log") != id {
		return c.otherLog(durable.Seq, "This server's log is "+id+". Read it from its start.")
	}
	if f.seen > head.AsOf {
		return c.otherLog(durable.Seq, "The log of this server does not reach as far as the number you know. Read it from its start.")
	}
	if f.seen > durable.Seq { // decided, not confirmed yet: the number of a preapproved answer
		if err := head.Wait(c.r.Context()); err != nil {
			return c.fail(err)
		}
		durable = c.engine.Durable()
	}
	if f.sub, err = c.engine.Subscribe(f.seen); errors.Is(err, engine.ErrTrimmed) {
		return c.trimmed()
	} else if err != nil {
		return c.fail(err)
	}
	defer f.sub.Close()
	f.begin(durable)
	f.run(durable.Seq)
	return http.StatusOK
}

func (c *call) otherLog(last uint64, detail string) int {
	p := wire.New(wire.OtherLog, detail)
	p.Last = last
	return c.problem(p)
}

func (c *call) trimmed() int {
	p := wire.New(wire.Trimmed, "Events before first are gone from the log. The mirror's events table has them; or take the standings as they are and go on from there.")
	p.First = c.engine.First()
	return c.problem(p)
}

func (f *feed) options() (err error) {
	if f.left, err = f.count("limit", 1, math.MaxInt64, math.MaxInt64); err != nil {
		return err
	}
	switch f.query.Get("follow") {
	case "true":
		f.follow = true
	case "false":
		f.follow = false
	default:
		if f.query.Has("follow") {
			return invalid("follow", "must be true or false")
		}
	}
	if f.seen, err = f.count("after", 0, math.MaxInt64, 0); err != nil {
		return err
	}
	// A reconnecting EventSource asks the same address again: what it has seen since counts.
	if last := f.r.Header.Get("Last-Event-ID"); last != "" {
		n, err := strconv.ParseUint(last, 10, 63)
		if err != nil {
			return invalid("Last-Event-ID", "must be the number of an event")
		}
		f.seen = max(f.seen, n)
	}
	return nil
}

func (f *feed) begin(durable engine.Position) {
	h := f.w.Header()
	h["Content-Type"] = ndjsonType
	if f.stream {
		h["Content-Type"] = streamType
	}
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	h.Set("X-Accel-Buffering", "no") // asks a proxy in between not to keep pieces back
	h.Set("Holdfast-Log", hex.EncodeToString(durable.LogID[:]))
	h.Set("Holdfast-Last", strconv.FormatUint(durable.Seq, 10))
	f.w.WriteHeader(http.StatusOK)
}

// run gives events until the durable end at the start (or, following, for ever), the limit, the reader's end, or ours. A
// feed that breaks off is resumed by its last number, so errors end it without a word.
func (f *feed) run(end uint64) {
	if f.flush() != nil { // the header goes out before the first event
		return
	}
	ctx, cancel := context.WithCancel(f.r.Context())
	defer cancel()
	go func() { // ends with this feed or with all of them
		select {
		case <-f.feeds.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	var nobody atomic.Bool // who reads is nobody any more
	if f.auth != nil {
		go func() { // ends with this feed or with their token
			if f.ended(ctx, f.id) {
				nobody.Store(true)
				cancel()
			}
		}()
	}
	for f.left > 0 && (f.follow || f.seen < end) && !nobody.Load() {
		events, ok, err := f.sub.TryNext()
		if err == nil && !ok {
			if f.flush() != nil {
				return
			}
			events, err = f.next(ctx)
		}
		switch {
		case err == nil:
			err = f.give(&events)
		case f.r.Context().Err() != nil, nobody.Load():
		case f.feeds.closing(): // give what is confirmed by now, and end
			f.follow, end, err = false, f.engine.Durable().Seq, nil
			ctx = f.r.Context()
		case errors.Is(err, context.DeadlineExceeded):
			err = f.beat()
		}
		if err != nil {
			return
		}
	}
	f.flush()
}

// next waits for more events, until it is time to show that the feed lives.
func (f *feed) next(ctx context.Context) (engine.Events, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Heartbeat)
	defer cancel()
	return f.sub.Next(ctx)
}

// beat shows that the feed lives. The number without an event moves the reader's Last-Event-ID past what other realms did.
// A line that is no event has no place among NDJSON: there the connection's own keep-alive must do.
func (f *feed) beat() error {
	if f.stream {
		f.buf = append(f.buf, ":\nid: "...)
		f.buf = strconv.AppendUint(f.buf, f.seen, 10)
		f.buf = append(f.buf, "\n\n"...)
	}
	return f.flush()
}

// give appends the events of this realm (who is of one desk gets only that desk's), and those of the shard itself, and sends what is
// enough for a piece.
func (f *feed) give(events *engine.Events) error {
	for i := range events.List {
		e := &events.List[i]
		if e.Seq <= f.seen {
			continue // the first frame may begin before what was asked for
		}
		f.seen = e.Seq
		if e.Realm != "" && (e.Realm != f.realm || f.id.Desk != "" && (e.Desk == nil || e.Desk.Desk != f.id.Desk)) {
			continue
		}
		f.append(e)
		if f.left--; f.left == 0 {
			return nil
		}
		if len(f.buf) >= maxPiece {
			if err := f.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *feed) append(e *holdfast.Event) {
	if !f.stream {
		f.buf = append(e.AppendJSON(f.buf), '\n')
		return
	}
	f.buf = append(f.buf, "id: "...)
	f.buf = strconv.AppendUint(f.buf, e.Seq, 10)
	f.buf = append(f.buf, "\nevent: "...)
	f.buf = append(f.buf, e.KindName()...)
	f.buf = append(f.buf, "\ndata: "...)
	f.buf = append(e.AppendJSON(f.buf), "\n\n"...)
}

// flush sends what is there. A reader that leaves a piece unread for FeedWrite is cut.
func (f *feed) flush() error {
	if err := f.pieceDeadline(); err != nil {
		return err
	}
	if _, err := f.w.Write(f.buf); err != nil {
		return err
	}
	f.buf = f.buf[:0]
	return http.NewResponseController(f.w).Flush()
}
