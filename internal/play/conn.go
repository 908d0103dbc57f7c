package play

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Conn is one keep-alive connection that carries one request at a time. The load generator runs beside the server on
// the same cores, so it spends as little as it can: no goroutine, no header map, no allocation for a request.
// It is owned by one goroutine; after an error it must be closed.
type Conn struct {
	net.Conn
	r    *bufio.Reader
	head []byte // the headers of every request, from "Host" on
	out  []byte
	body []byte
}

// requestLimit is the longest that one request may take.
const requestLimit = 30 * time.Second

// Dial opens one.
func Dial(ctx context.Context, a Address) (*Conn, error) {
	nc, err := DialRaw(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	head := "Host: " + a.Name + "\r\nUser-Agent: holdfast-play\r\n"
	if a.Token != "" {
		head += "Authorization: Bearer " + a.Token + "\r\n"
	}
	return &Conn{Conn: nc, r: bufio.NewReaderSize(nc, 8<<10), head: []byte(head)}, nil
}

// Request is what is sent.
type Request struct {
	Method string
	Path   []byte // with the query
	Extra  string // further header lines, each ending in \r\n
	Body   []byte
}

// Reply is what came back. Its body is valid until the next request on the connection.
type Reply struct {
	Status     int
	RetryAfter time.Duration
	Body       []byte
	Last       bool // the server closes the connection after it
}

// Do sends one request and reads the whole reply. An error means that nobody knows whether the request took effect.
func (c *Conn) Do(q *Request) (Reply, error) {
	if err := c.send(q); err != nil {
		return Reply{}, err
	}
	return c.read()
}

func (c *Conn) send(q *Request) error {
	b := append(c.out[:0], q.Method...)
	b = append(b, ' ')
	b = append(b, q.Path...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = append(b, c.head...)
	b = append(b, q.Extra...)
	if len(q.Body) > 0 {
		b = append(b, "Content-Type: application/json\r\n"...)
	}
	if len(q.Body) > 0 || q.Method == "PUT" || q.Method == "POST" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(q.Body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	b = append(b, q.Body...)
	c.out = b
	if err := c.SetDeadline(time.Now().Add(requestLimit)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

var errHTTP = errors.New("this is not an HTTP/1.1 answer")

// maxBody bounds one answer.
const maxBody = 4 << 20

// read reads one reply: a status line, headers, and a body with a length or in chunks.
func (c *Conn) read() (Reply, error) {
	rep, length, chunked, err := c.readHead()
	if err != nil {
		return rep, err
	}
	c.body = c.body[:0]
	switch {
	case chunked:
		for {
			n, err := c.chunk()
			if err != nil {
				return rep, err
			}
			if n == 0 {
				break
			}
			if err := c.take(n); err != nil {
				return rep, err
			}
			if line, err := c.line(); err != nil || len(line) != 0 {
				return rep, errors.Join(errHTTP, err)
			}
		}
	case length > 0:
		if err := c.take(length); err != nil {
			return rep, err
		}
	}
	rep.Body = c.body
	return rep, nil
}

// readHead reads a status line and its headers.
func (c *Conn) readHead() (rep Reply, length int, chunked bool, err error) {
	line, err := c.line()
	if err != nil {
		return rep, 0, false, err
	}
	if len(line) < 12 || string(line[:7]) != "HTTP/1." {
		return rep, 0, false, errHTTP
	}
	if rep.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return rep, 0, false, errHTTP
	}
	rep.Last = line[7] == '0'
	for {
		line, err := c.line()
		if err != nil {
			return rep, 0, false, err
		}
		if len(line) == 0 {
			return rep, length, chunked, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return rep, 0, false, errHTTP
		}
		value = bytes.TrimSpace(value)
		// The first byte of the name decides cheaply whether it is worth a closer look.
		switch name[0] | 0x20 {
		case 'c':
			if bytes.EqualFold(name, []byte("Content-Length")) {
				if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > maxBody {
					return rep, 0, false, fmt.Errorf("%w: Content-Length %q", errHTTP, value)
				}
			} else if bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")) {
				rep.Last = true
			}
		case 't':
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				chunked = bytes.EqualFold(value, []byte("chunked"))
			}
		case 'r':
			if bytes.EqualFold(name, []byte("Retry-After")) {
				if s, err := strconv.ParseFloat(string(value), 64); err == nil && s >= 0 && s < 3600 {
					rep.RetryAfter = time.Duration(s * float64(time.Second))
				}
			}
		}
	}
}

// line reads up to \n and gives it without the line end; valid until the next read.
func (c *Conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w: a line is too long", errHTTP)
		}
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) > 0 && line[0] == ':' {
		return nil, errHTTP
	}
	return line, nil
}

// chunk reads the size of the next chunk; 0 = the body ends, and its trailer is read.
func (c *Conn) chunk() (int, error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
	if err != nil {
		return 0, fmt.Errorf("%w: chunk size %q", errHTTP, size)
	}
	for n == 0 {
		line, err := c.line()
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			return 0, nil
		}
	}
	return int(n), nil
}

// take appends the next n bytes to the body.
func (c *Conn) take(n int) error {
	had := len(c.body)
	if had+n > maxBody {
		return fmt.Errorf("%w: the body is larger than %d bytes", errHTTP, maxBody)
	}
	if cap(c.body) < had+n {
		c.body = append(make([]byte, 0, max(had+n, 2*cap(c.body), 1<<10)), c.body...)
	}
	c.body = c.body[:had+n]
	_, err := io.ReadFull(c.r, c.body[had:])
	return err
}
