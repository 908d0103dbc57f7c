package mirror

import (
	"bytes"
	"context"
	"encoding/binary"

	"holdfast/seat"
)

// copyBuffer makes the binary stream of COPY: a header, for each row the number of its fields, for each field its length
// (-1: null) and its value in network order. Source: PostgreSQL 15, sql-copy, "Binary Format".
type copyBuffer struct{ b []byte }

const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// postgresEpoch is 2000-01-01 in microseconds since 1970: where its timestamps begin.
const postgresEpoch = 946_684_800_000_000

func (c *copyBuffer) reset()         { c.b = append(c.b[:0], copyHeader...) }
func (c *copyBuffer) row(fields int) { c.b = binary.BigEndian.AppendUint16(c.b, uint16(fields)) }
func (c *copyBuffer) null()          { c.b = append(c.b, 0xff, 0xff, 0xff, 0xff) }

func (c *copyBuffer) text(s string) {
	c.b = binary.BigEndian.AppendUint32(c.b, uint32(len(s)))
	c.b = append(c.b, s...)
}

func (c *copyBuffer) textOrNull(s string) {
	if s == "" {
		c.null()
		return
	}
	c.text(s)
}

func (c *copyBuffer) int64(n int64) {
	c.b = append(c.b, 0, 0, 0, 8)
	c.b = binary.BigEndian.AppendUint64(c.b, uint64(n))
}

func (c *copyBuffer) uintOrNull(n uint32) {
	if n == 0 {
		c.null()
		return
	}
	c.int64(int64(n))
}

func (c *copyBuffer) timeOrNull(at seat.Time) {
	if at == 0 {
		c.null()
		return
	}
	c.int64(int64(at) - postgresEpoch)
}

// send runs COPY with what was made.
func (c *copyBuffer) send(ctx context.Context, s *postgresStore, target string) error {
	c.b = append(c.b, 0xff, 0xff) // the end
	_, err := s.conn.PgConn().CopyFrom(ctx, bytes.NewReader(c.b), "COPY "+target+" FROM STDIN BINARY")
	return s.name(err)
}

func (c *copyBuffer) event(e *eventRow) {
	c.row(5)
	c.int64(int64(e.seq))
	c.int64(int64(e.at) - postgresEpoch)
	c.text(e.realm)
	c.text(e.kind)
	c.text(e.body)
}

const claimColumns = "(realm, pool, person, status, seat, ticket, deadline, swap, cause, seq, at)"

// claim appends the columns of claimColumns, after row.
func (c *copyBuffer) claim(r *claimRow) {
	c.text(r.realm)
	c.text(r.pool)
	c.text(r.person)
	c.text(r.status.String())
	c.uintOrNull(r.seat)
	c.uintOrNull(r.ticket)
	c.timeOrNull(r.deadline)
	c.textOrNull(r.swap)
	c.textOrNull(causeName(r.cause))
	c.int64(int64(r.seq))
	c.int64(int64(r.at) - postgresEpoch)
}
