package server

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"holdfast"
	"holdfast/internal/wire"
	"holdfast/seat"
)

var csvType = []string{wire.CSV}

// export is a roster on its way out as CSV.
type export struct {
	*call
	want  func(seat.Status) bool
	limit int
	after uint32

	csv *csv.Writer // nil until the first page is confirmed: until then the answer can still be a problem
}

// exportRoster writes a roster as CSV: one page where ?limit= asks for one, else the whole of it, page by page. Each page
// is one instant; a claim that changes meanwhile shows either of its standings, and none is there twice.
func (c *call) exportRoster(want func(seat.Status) bool, limit int, after uint32) int {
	whole := !c.query.Has("limit")
	if whole {
		limit = maxPage
	}
	e := &export{call: c, want: want, limit: limit, after: after}
	for {
		status, more := e.page(whole)
		if !more {
			return status
		}
	}
}

// page reads one page, waits until it is confirmed, and writes it.
func (e *export) page(whole bool) (status int, more bool) {
	var list []seat.Row
	var next uint32
	var missing holdfast.Code
	look := e.seats(func(s *seat.State) holdfast.Code {
		if _, found := s.Pool(e.pool); !found {
			return seat.UnknownPool
		}
		list, next = s.Roster(e.pool, e.after, e.want, e.limit)
		return ""
	})
	start := time.Now()
	st, err := e.engine.Read(func(s *holdfast.State) { missing = look(s) })
	if err != nil {
		return e.cut(err), false
	}
	d, err := e.settle(e.r.Context(), e.wait, st, st.AsOf, start)
	if err != nil {
		return e.cut(err), false
	}
	if missing != "" {
		return e.refuse(&seat.Refusal{Code: missing}, stamp(d, st)), false
	}
	if e.csv == nil {
		status := http.StatusOK
		if d == wire.Preapproved {
			status = http.StatusAccepted
		}
		e.begin(status, d, st.AsOf, next, whole)
	}
	for i := range list {
		e.row(&list[i], d != wire.Preapproved)
	}
	if e.pieceDeadline() != nil {
		return http.StatusOK, false
	}
	if e.csv.Flush(); e.csv.Error() != nil {
		return http.StatusOK, false // the reader is gone
	}
	e.after = next
	return http.StatusOK, whole && next != 0
}

// cut ends an export on an error: with a problem while that can still be said, else by breaking the connection off, so
// that half a roster does not look like a whole one.
func (e *export) cut(err error) int {
	if e.csv == nil {
		return e.fail(err)
	}
	panic(http.ErrAbortHandler)
}

func (e *export) begin(status int, d wire.Durability, asOf uint64, next uint32, whole bool) {
	h := e.w.Header()
	h["Content-Type"], h["X-Content-Type-Options"], h["Cache-Control"] = csvType, noSniff, noStore
	h.Set("Holdfast-As-Of", strconv.FormatUint(asOf, 10))
	h.Set("Holdfast-Durability", string(d))
	if !whole && next != 0 {
		h.Set("Holdfast-Next", cursorText(next))
	}
	e.w.WriteHeader(status)
	e.csv = csv.NewWriter(e.w)
	e.csv.Write([]string{"realm", "pool", "person", "status", "seat", "position", "ticket", "seq", "at"})
}

func (e *export) row(r *seat.Row, confirmed bool) {
	number := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	seq := ""
	if confirmed {
		seq = number(r.Seq)
	}
	at, _ := r.At.AppendText(nil)
	e.csv.Write([]string{e.realm, e.pool, cell(r.Person), r.Status.String(), number(uint64(r.Seat)),
		number(uint64(r.Position)), number(uint64(r.Ticket)), seq, string(at)})
}

// cell keeps a spreadsheet from taking an id that begins with one of its signs for a formula.
func cell(id string) string {
	switch id[0] {
	case '-', '+', '@':
		return "'" + id
	}
	return id
}
