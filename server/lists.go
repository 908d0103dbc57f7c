package server

import (
	"strconv"
	"strings"

	"holdfast"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// maxPage is the most rows of one page, and with it the most that one read copies under the shard's lock.
const (
	maxPage     = 1000
	defaultPage = 100
)

// page reads ?limit= and, where it is a number, ?after=.
func (c *call) page() (limit int, after uint32, err error) {
	n, err := c.count("limit", 1, maxPage, defaultPage)
	if err != nil {
		return 0, 0, err
	}
	cursor, err := c.count("after", 0, 1<<32-1, 0)
	return int(n), uint32(cursor), err
}

// appendNext appends the cursor of the next page; empty = this was the last.
func appendNext(b []byte, next string) []byte {
	if next == "" {
		return b
	}
	b = append(b, `,"next":"`...)
	b = append(b, next...)
	return append(b, '"')
}

func cursorText(next uint32) string {
	if next == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(next), 10)
}

// rows appends n rows with commas between.
func rows(b []byte, n int, row func([]byte, int) []byte) []byte {
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = row(b, i)
	}
	return b
}

// after names where a page begins that is counted by names.
func (c *call) after() (limit int, name string, err error) {
	n, err := c.count("limit", 1, maxPage, defaultPage)
	if err != nil {
		return 0, "", err
	}
	if name = c.query.Get("after"); c.query.Has("after") {
		err = seat.ValidID("after", name)
	}
	return int(n), name, err
}

func listRealms(c *call) int {
	limit, after, err := c.after()
	if err != nil {
		return c.fail(err)
	}
	var views []realmView
	next := ""
	return c.read(func(s *holdfast.State) holdfast.Code {
		seen := after == ""
		for _, r := range s.Realms() {
			if c.id.Realm != "" && r.Name != c.id.Realm {
				continue
			}
			if !seen {
				seen = r.Name == after
				continue
			}
			if len(views) == limit {
				next = views[limit-1].name
				break
			}
			views = append(views, viewRealm(r))
		}
		if !seen {
			return holdfast.UnknownRealm
		}
		return ""
	}, func(b []byte, st wire.Stamp) []byte {
		b = append(b, `{"realms":[`...)
		b = rows(b, len(views), func(b []byte, i int) []byte { return views[i].append(b, st) })
		b = appendNext(append(b, ']'), next)
		return append(st.Append(b), '}')
	})
}

func listPools(c *call) int {
	limit, after, err := c.after()
	if err != nil {
		return c.fail(err)
	}
	var views []seat.PoolView
	next := ""
	return c.read(c.seats(func(s *seat.State) holdfast.Code {
		if _, found := s.Pool(after); after != "" && !found {
			return seat.UnknownPool
		}
		if views = s.Pools(after, limit+1); len(views) > limit {
			views = views[:limit]
			next = views[limit-1].Name
		}
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		b = append(b, `{"realm":"`+c.realm+`","pools":[`...)
		b = rows(b, len(views), func(b []byte, i int) []byte {
			return wire.AppendPoolRow(b, &views[i], st.Durability != wire.Preapproved)
		})
		b = appendNext(append(b, ']'), next)
		return append(st.Append(b), '}')
	})
}

func getPerson(c *call) int {
	limit, after, err := c.page()
	if err != nil {
		return c.fail(err)
	}
	var list []seat.Standing
	var next uint32
	return c.read(c.seats(func(s *seat.State) holdfast.Code {
		list, next = s.Person(c.person, after, limit)
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		b = append(b, `{"realm":"`+c.realm+`","person":"`+c.person+`","claims":[`...)
		b = rows(b, len(list), func(b []byte, i int) []byte {
			return wire.AppendRow(b, "", &list[i], st.Durability != wire.Preapproved)
		})
		b = appendNext(append(b, ']'), cursorText(next))
		return append(st.Append(b), '}')
	})
}

// statuses reads ?status=: which standings a roster shows; all but none and released by default.
func (c *call) statuses() (func(seat.Status) bool, error) {
	if !c.query.Has("status") {
		return seat.Status.Live, nil
	}
	var wanted [seat.Statuses]bool
	for name := range strings.SplitSeq(c.query.Get("status"), ",") {
		st, known := seat.ParseStatus(name)
		if !known || st == seat.None {
			return nil, invalid("status", `must be one or more of seated, waiting, offered, entered, released, with commas between`)
		}
		wanted[st] = true
	}
	return func(st seat.Status) bool { return int(st) < len(wanted) && wanted[st] }, nil
}

// wantsCSV decides the form of a roster: ?format= first, then Accept; JSON where neither says.
func (c *call) wantsCSV() (bool, error) {
	switch c.query.Get("format") {
	case "json":
		return false, nil
	case "csv":
		return true, nil
	case "":
		if c.query.Has("format") {
			break
		}
		accept := c.r.Header.Get("Accept")
		asksJSON := accept == "" || strings.Contains(accept, wire.JSON) || strings.Contains(accept, "*/*") || strings.Contains(accept, "application/*")
		if strings.Contains(accept, "text/csv") {
			return true, nil
		}
		if !asksJSON {
			return false, &refusedError{wire.New(wire.NotAcceptable, "A roster is application/json or text/csv.")}
		}
		return false, nil
	}
	return false, invalid("format", `must be "json" or "csv"`)
}

func getRoster(c *call) int {
	want, err := c.statuses()
	if err != nil {
		return c.fail(err)
	}
	inCSV, err := c.wantsCSV()
	if err != nil {
		return c.fail(err)
	}
	limit, after, err := c.page()
	if err != nil {
		return c.fail(err)
	}
	if inCSV {
		return c.exportRoster(want, limit, after)
	}
	var list []seat.Row
	var next uint32
	return c.read(c.seats(func(s *seat.State) holdfast.Code {
		if _, found := s.Pool(c.pool); !found {
			return seat.UnknownPool
		}
		list, next = s.Roster(c.pool, after, want, limit)
		return ""
	}), func(b []byte, st wire.Stamp) []byte {
		b = append(b, `{"realm":"`+c.realm+`","pool":"`+c.pool+`","claims":[`...)
		b = rows(b, len(list), func(b []byte, i int) []byte {
			return wire.AppendRow(b, list[i].Person, &list[i].Standing, st.Durability != wire.Preapproved)
		})
		b = appendNext(append(b, ']'), cursorText(next))
		return append(st.Append(b), '}')
	})
}
