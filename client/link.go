package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"holdfast/internal/wire"
)

// link is one connection, from its dial to its end. The goroutine of Live.run reads it; another writes.
type link struct {
	live  *Live
	conn  *websocket.Conn
	token string       // what it was opened with
	heard atomic.Int64 // when something came last, in nanoseconds since born
	born  time.Time
	quiet atomic.Int64            // how long silence is in order, in nanoseconds
	asked map[uint64]subscription // not answered yet; guarded by the Live's mu

	mu   sync.Mutex // guards what follows
	out  []byte     // what is to be written; each message ends in a line break
	wake chan struct{}
}

// dial opens a connection. refused is a token that the server did not take.
func (l *Live) dial(ctx context.Context, refused string) (*link, string, *Error) {
	token, fault := l.client.token(ctx, refused)
	if fault != nil {
		return nil, token, fault
	}
	k := &link{live: l, token: token, born: time.Now(), wake: make(chan struct{}, 1), asked: map[uint64]subscription{}}
	options := &websocket.DialOptions{
		HTTPClient:     l.client.http,
		HTTPHeader:     http.Header{},
		OnPingReceived: func(context.Context, []byte) bool { k.hear(); return true },
	}
	if token != "" {
		// In the head, where a token may be long, and where the server knows who comes before it keeps a connection.
		options.HTTPHeader.Set("Authorization", "Bearer "+token)
	}
	ctx, cancel := context.WithTimeout(ctx, l.client.cfg.AttemptTimeout)
	defer cancel()
	conn, answer, err := websocket.Dial(ctx, l.client.url("/ws", nil), options)
	if err != nil {
		if answer == nil || answer.Body == nil || answer.StatusCode == http.StatusSwitchingProtocols {
			return nil, token, broken("no connection", err, false)
		}
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		if fault = judge(answer, body); fault == nil { // a refusal: there is no such realm
			fault = refusedRead(response{status: answer.StatusCode, body: body})
		}
		fault.InDoubt = false
		return nil, token, fault
	}
	conn.SetReadLimit(int64(l.client.cfg.MaxMessage))
	k.conn = conn
	k.quiet.Store(int64(l.client.cfg.AttemptTimeout))
	k.hear()
	return k, token, nil
}

func (k *link) hear() { k.heard.Store(int64(time.Since(k.born))) }

func (k *link) silence() time.Duration { return time.Since(k.born) - time.Duration(k.heard.Load()) }

// send leaves a message for the writer.
func (k *link) send(message any) {
	text, err := json.Marshal(message)
	if err != nil {
		panic("client: a message cannot be marshalled: " + err.Error()) // they are made of strings and numbers
	}
	k.mu.Lock()
	k.out = append(append(k.out, text...), '\n')
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// write is the writer. It sends what is left for it, several messages to a frame, and tests a connection that is silent too
// long. It ends with ctx, or with the connection.
func (k *link) write(ctx context.Context) {
	defer k.conn.CloseNow() // the reader notices
	tick := time.NewTicker(k.live.client.cfg.AttemptTimeout / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
			if k.flush(ctx) != nil {
				return
			}
		case <-tick.C:
			if k.silence() > k.patience() && k.test(ctx) != nil {
				return
			}
		}
	}
}

// patience is how long the connection may be silent: the server pings, and who waits for an answer is in a hurry.
func (k *link) patience() time.Duration {
	quiet := time.Duration(k.quiet.Load())
	if k.live.waits() {
		return min(quiet, k.live.client.cfg.AttemptTimeout)
	}
	return quiet
}

func (k *link) test(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.live.client.cfg.AttemptTimeout)
	defer cancel()
	err := k.conn.Ping(ctx)
	k.hear()
	return err
}

func (k *link) flush(ctx context.Context) error {
	k.mu.Lock()
	rest := k.out
	k.out = nil
	k.mu.Unlock()
	for len(rest) > 0 {
		end := len(rest)
		if end > wire.MaxFrame {
			if end = bytes.LastIndexByte(rest[:wire.MaxFrame], '\n') + 1; end == 0 {
				end = bytes.IndexByte(rest, '\n') + 1 // too long for the server: it says so
			}
		}
		one, cancel := context.WithTimeout(ctx, k.live.client.cfg.AttemptTimeout)
		err := k.conn.Write(one, websocket.MessageText, rest[:end-1])
		cancel()
		if err != nil {
			return err
		}
		rest = rest[end:]
	}
	return nil
}

// head is what every message of the server may have.
type head struct {
	Reply      uint64          `json:"reply"`
	Push       string          `json:"push"`
	Do         string          `json:"do"`
	Code       Code            `json:"code"`
	Pool       string          `json:"pool"`
	Durability Durability      `json:"durability"`
	Items      json.RawMessage `json:"items"`
	Status     json.RawMessage `json:"status"`
}

// read gives each message of each frame, until the connection ends; the error says how.
func (k *link) read(ctx context.Context, each func(*head, []byte) *Error) *Error {
	for {
		kind, frame, err := k.conn.Read(ctx)
		if err != nil {
			return closing(err)
		}
		k.hear()
		if kind != websocket.MessageText {
			return broken("a frame is not text", nil, false)
		}
		for line := range bytes.Lines(frame) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			var h head
			if err := json.Unmarshal(line, &h); err != nil {
				return broken("a message cannot be read", err, false)
			}
			if fault := each(&h, line); fault != nil {
				return fault
			}
		}
	}
}

// closing says how a connection ended. Its Status is the close code; 0 = it broke off.
func closing(err error) *Error {
	ended, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		if errors.Is(err, websocket.ErrMessageTooBig) {
			return &Error{Code: malformedCode, Detail: "a frame is longer than MaxMessage", cause: err}
		}
		return broken("the connection broke off", err, false)
	}
	e := &Error{Code: brokenCode, Status: int(ended.Code), Detail: ended.Reason}
	switch e.Status {
	case wire.CloseUnauthorized:
		e.Code = unauthenticatedCode
	case wire.CloseForbidden:
		e.Code = forbiddenCode
	case wire.CloseNotFound:
		e.Code = UnknownRealm
	case wire.CloseRestart, wire.CloseCrowded:
		var hint struct {
			DelayMS int64 `json:"delay_ms"`
		}
		if json.Unmarshal([]byte(ended.Reason), &hint) == nil && hint.DelayMS > 0 {
			e.RetryAfter = min(time.Duration(hint.DelayMS)*time.Millisecond, maxDelay)
		}
	case wire.CloseFlood:
		e.Code, e.RetryAfter = limitedCode, time.Minute
	default:
		if !wire.Returns(e.Status) {
			e.Code = malformedCode
		}
	}
	return e
}

// maxDelay bounds how long the server may tell a connection to stay away.
const maxDelay = 5 * time.Minute
