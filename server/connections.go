package server

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/internal/wire"
)

// connections counts those that are open, up to a limit. What comes beyond it is told to come back, and closed: without that it would wait in
// the kernel until somebody leaves, and not know. It is safe for concurrent use.
type connections struct {
	most    int64
	open    atomic.Int64
	turned  prometheus.Counter
	after   func() time.Duration // when somebody who is turned away shall come again
	secret  bool                 // TLS: a plain answer could not be read
	parting chan struct{}        // one for each goodbye that is being said
	said    sync.WaitGroup
}

// maxParting bounds the goodbyes said at once; beyond it connections are closed without a word.
const maxParting = 64

// partingTime bounds one goodbye.
const partingTime = 500 * time.Millisecond

// over limits what l accepts.
func (c *connections) over(l net.Listener) net.Listener { return &limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	*connections
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &openConn{Conn: conn, of: l.connections}, nil
		}
		l.open.Add(-1)
		l.turned.Inc()
		l.part(conn)
	}
}

// openConn is one of those that count, until it is closed.
type openConn struct {
	net.Conn
	of     *connections
	closed atomic.Bool
}

func (c *openConn) Close() error {
	if !c.closed.Swap(true) {
		c.of.open.Add(-1)
	}
	return c.Conn.Close()
}

// CloseWrite lets net/http and the WebSocket end their half first, so that the last answer arrives although bytes were left unread.
func (c *openConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// part says goodbye to a connection that is too many.
func (c *connections) part(conn net.Conn) {
	if c.secret {
		conn.Close()
		return
	}
	select {
	case c.parting <- struct{}{}:
	default:
		conn.Close()
		return
	}
	c.said.Go(func() {
		defer func() { <-c.parting }()
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(partingTime))
		c.goodbye(conn)
	})
}

func (c *connections) goodbye(conn net.Conn) {
	p := wire.New(wire.Busy, "More connections are open than the server takes at once. Nothing was recorded: ask again.")
	p.RetryAfterMS = c.after().Milliseconds()
	body := append(p.Append(nil), '\n')
	fmt.Fprintf(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nRetry-After: %d\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		wire.ProblemJSON, (p.RetryAfterMS+999)/1000, len(body), body)
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	// What was sent meanwhile is read: a close over unread bytes resets the connection, and the answer may be lost.
	var rest [1024]byte
	for range 16 {
		if _, err := conn.Read(rest[:]); err != nil {
			return
		}
	}
}
