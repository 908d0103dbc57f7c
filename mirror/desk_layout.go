package mirror

import (
	"strings"

	"holdfast/seat"
)

// cellType is the type of a column, apart from the words that each database has for it.
type cellType uint8

const (
	textCell cellType = iota
	jsonCell
	numberCell
	timeCell
	boolCell
)

// column is a column of a layout.
type column struct {
	name string
	kind cellType
}

// layout is the shape of a table of desks. The first keys columns are its primary key.
type layout struct {
	table   string
	keys    int
	columns []column
}

func deskLayout() *layout {
	return &layout{"desks", 2, []column{{"realm", textCell}, {"desk", textCell}, {"config", jsonCell},
		{"seq", numberCell}, {"at", timeCell}}}
}

func agentLayout() *layout {
	return &layout{"agents", 3, []column{{"realm", textCell}, {"desk", textCell}, {"agent", textCell}, {"topics", jsonCell},
		{"reach", textCell}, {"state", textCell}, {"accepting", boolCell}, {"connections", numberCell}, {"state_since", timeCell},
		{"removed_at", timeCell}, {"seq", numberCell}, {"at", timeCell}}}
}

func requestLayout() *layout {
	return &layout{"requests", 1, []column{{"request", numberCell}, {"realm", textCell}, {"desk", textCell}, {"client", textCell},
		{"topic", textCell}, {"priority", numberCell}, {"data", textCell}, {"key", textCell}, {"reach", textCell}, {"state", textCell},
		{"made_at", timeCell}, {"expires_at", timeCell}, {"first_offer_at", timeCell}, {"assigned_at", timeCell}, {"ended_at", timeCell},
		{"attempts", numberCell}, {"agent", textCell}, {"session", numberCell}, {"cause", textCell}, {"reason", textCell},
		{"seq", numberCell}, {"at", timeCell}}}
}

func offerLayout() *layout {
	return &layout{"offers", 1, []column{{"offer", numberCell}, {"realm", textCell}, {"desk", textCell}, {"request", numberCell},
		{"agent", textCell}, {"attempt", numberCell}, {"state", textCell}, {"made_at", timeCell}, {"deadline_at", timeCell},
		{"received_at", timeCell}, {"ended_at", timeCell}, {"session", numberCell}, {"cause", textCell}, {"reason", textCell},
		{"seq", numberCell}, {"at", timeCell}}}
}

func sessionLayout() *layout {
	return &layout{"sessions", 1, []column{{"session", numberCell}, {"realm", textCell}, {"desk", textCell}, {"agent", textCell},
		{"client", textCell}, {"request", numberCell}, {"offer", numberCell}, {"began_at", timeCell}, {"ended_at", timeCell},
		{"wrap_until", timeCell}, {"cause", textCell}, {"reason", textCell}, {"seq", numberCell}, {"at", timeCell}}}
}

// deskLayouts are all of them.
func deskLayouts() []*layout {
	return []*layout{deskLayout(), agentLayout(), requestLayout(), offerLayout(), sessionLayout()}
}

// deskTables are the names of the tables of desks.
func deskTables() (names []string) {
	for _, l := range deskLayouts() {
		names = append(names, l.table)
	}
	return names
}

// keyNames lists the columns of the primary key.
func (l *layout) keyNames() string {
	return (&layout{columns: l.columns[:l.keys]}).names()
}

// names lists the columns.
func (l *layout) names() string {
	names := make([]string, len(l.columns))
	for i, c := range l.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// selected lists the columns of the row t as columnsOf reads them: nothing is null, times are text, truths are 0 and 1.
func (l *layout) selected(s tables) string {
	list := make([]string, len(l.columns))
	for i, c := range l.columns {
		switch name := "t." + c.name; c.kind {
		case textCell:
			list[i] = "coalesce(" + name + ", '')"
		case jsonCell:
			list[i] = "coalesce(cast(" + name + " AS text), '')"
		case numberCell:
			list[i] = "coalesce(" + name + ", 0)"
		case timeCell:
			list[i] = s.stamp(name)
		case boolCell:
			list[i] = "CASE WHEN " + name + " THEN 1 ELSE 0 END"
		}
	}
	return strings.Join(list, ", ")
}

// rowKeys are the primary keys of rows: ids, or the texts of the key columns, row by row.
type rowKeys struct {
	ids   []int64
	texts [][]string
}

func (k *rowKeys) len() int { return len(k.ids) + len(k.texts) }

func (k *rowKeys) add(key any) {
	switch key := key.(type) {
	case uint64:
		k.ids = append(k.ids, int64(key))
	case deskKey:
		k.texts = append(k.texts, []string{key.realm, key.desk})
	case agentKey:
		k.texts = append(k.texts, []string{key.realm, key.desk, key.agent})
	}
}

// scanned reads the columns of a layout, in their order, into Go's types.
type scanned struct {
	scan  func(...any) error
	dest  []any
	after []func() error
}

func columnsOf(scan func(...any) error) *scanned { return &scanned{scan: scan} }

func (s *scanned) text(into *string) { s.dest = append(s.dest, into) }

func (s *scanned) number(into *int64) { s.dest = append(s.dest, into) }

func (s *scanned) id(into *uint64) {
	n := new(int64)
	s.dest = append(s.dest, n)
	s.after = append(s.after, func() error { *into = uint64(*n); return nil })
}

func (s *scanned) bool(into *bool) {
	n := new(int64)
	s.dest = append(s.dest, n)
	s.after = append(s.after, func() error { *into = *n != 0; return nil })
}

func (s *scanned) time(into *seat.Time) {
	text := new(string)
	s.dest = append(s.dest, text)
	s.after = append(s.after, func() error {
		if *into = 0; *text == "" {
			return nil
		}
		return into.UnmarshalText([]byte(*text))
	})
}

func (s *stored) columns(c *scanned) {
	s.old = true
	c.id(&s.seq)
	c.time(&s.at)
}

// run reads the row.
func (s *scanned) run() error {
	if err := s.scan(s.dest...); err != nil {
		return err
	}
	for _, f := range s.after {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
