package mirror

import (
	"context"
	"strconv"
	"strings"

	"holdfast/seat"
)

func (c *copyBuffer) time(at seat.Time) { c.int64(int64(at) - postgresEpoch) }

func (c *copyBuffer) idOrNull(id uint64) {
	if id == 0 {
		c.null()
		return
	}
	c.int64(int64(id))
}

func (c *copyBuffer) bool(b bool) {
	c.b = append(c.b, 0, 0, 0, 1, 0)
	if b {
		c.b[len(c.b)-1] = 1
	}
}

// postgresTypes are the words for the types of columns.
var postgresTypes = [...]string{textCell: "text", jsonCell: "json", numberCell: "bigint", timeCell: "timestamptz", boolCell: "boolean"}

// changed makes the table to which rows of a layout that change are copied first, at their first use. Should this transaction
// fail, so does the connection.
func (t *postgresTx) changed(ctx context.Context, l *layout) error {
	if t.temp[l.table] {
		return nil
	}
	list := make([]string, len(l.columns))
	for i, c := range l.columns {
		list[i] = c.name + " " + postgresTypes[c.kind]
	}
	_, err := t.exec(ctx, "CREATE TEMP TABLE changed_"+l.table+" ("+strings.Join(list, ", ")+") ON COMMIT DELETE ROWS")
	t.temp[l.table] = err == nil
	return err
}

func (t *postgresTx) find(ctx context.Context, l *layout, keys *rowKeys, each func(func(...any) error) error) error {
	from := " FROM holdfast." + l.table + " t"
	if l.keys == 1 {
		return t.query(ctx, "SELECT "+l.selected(t)+from+" WHERE t."+l.columns[0].name+" = ANY($1)", []any{keys.ids}, each)
	}
	var args []any
	var lists, names, on []string
	for i := range l.keys {
		name, list := l.columns[i].name, make([]string, len(keys.texts))
		for j, texts := range keys.texts {
			list[j] = texts[i]
		}
		args = append(args, list)
		lists, names = append(lists, "$"+strconv.Itoa(i+1)+"::text[]"), append(names, name)
		on = append(on, "t."+name+" = k."+name)
	}
	sql := "SELECT " + l.selected(t) + from + " JOIN unnest(" + strings.Join(lists, ", ") + ") k (" + strings.Join(names, ", ") + ") ON " +
		strings.Join(on, " AND ")
	return t.query(ctx, sql, args, each)
}

func (t *postgresTx) insert(ctx context.Context, l *layout, rows []deskRecord) error {
	return t.copyRows(ctx, "holdfast."+l.table, l, rows)
}

func (t *postgresTx) copyRows(ctx context.Context, into string, l *layout, rows []deskRecord) error {
	t.copy.reset()
	for _, row := range rows {
		t.copy.row(len(l.columns))
		row.cells(&t.copy)
	}
	return t.copy.send(ctx, t.postgresStore, into+" ("+l.names()+")")
}

func (t *postgresTx) update(ctx context.Context, l *layout, rows []deskRecord) error {
	if err := t.changed(ctx, l); err != nil {
		return err
	}
	if err := t.copyRows(ctx, "changed_"+l.table, l, rows); err != nil {
		return err
	}
	var set, where []string
	for i, c := range l.columns {
		if i < l.keys {
			where = append(where, "t."+c.name+" = n."+c.name)
		} else {
			set = append(set, c.name+" = n."+c.name)
		}
	}
	n, err := t.exec(ctx, "UPDATE holdfast."+l.table+" t SET "+strings.Join(set, ", ")+" FROM changed_"+l.table+" n WHERE "+
		strings.Join(where, " AND "))
	if err != nil {
		return err
	}
	if n != int64(len(rows)) {
		return violated("table %s: not every row that an event changes was there; %s", l.table, nextCommand)
	}
	_, err = t.exec(ctx, "DELETE FROM changed_"+l.table) // a batch may have several segments
	return err
}

func (t *postgresTx) forget(ctx context.Context, l *layout, ids []int64) error {
	_, err := t.exec(ctx, "DELETE FROM holdfast."+l.table+" WHERE "+l.keyNames()+" = ANY($1)", ids)
	return err
}
