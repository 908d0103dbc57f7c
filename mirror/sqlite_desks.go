package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"holdfast/seat"
)

// sqliteCells binds the columns of a row.
type sqliteCells struct{ *sqliteStore }

func (c sqliteCells) text(s string)           { c.bind(s) }
func (c sqliteCells) textOrNull(s string)     { c.bind(orNull(s)) }
func (c sqliteCells) int64(n int64)           { c.bind(n) }
func (c sqliteCells) time(at seat.Time)       { c.bind(stampText(at)) }
func (c sqliteCells) timeOrNull(at seat.Time) { c.bind(text(at)) }

func (c sqliteCells) idOrNull(id uint64) {
	if id == 0 {
		c.bind(nil)
		return
	}
	c.bind(int64(id))
}

func (c sqliteCells) bool(b bool) {
	if b {
		c.bind(int64(1))
	} else {
		c.bind(int64(0))
	}
}

// find gives SQLite the keys as one JSON array.
func (t *sqliteTx) find(ctx context.Context, l *layout, keys *rowKeys, each func(func(...any) error) error) error {
	var list []byte
	var on []string
	if l.keys == 1 {
		on = append(on, "t."+l.columns[0].name+" = k.value")
		list, _ = json.Marshal(keys.ids) // numbers and strings always marshal
	} else {
		for i := range l.keys {
			on = append(on, "t."+l.columns[i].name+" = json_extract(k.value, '$["+strconv.Itoa(i)+"]')")
		}
		list, _ = json.Marshal(keys.texts)
	}
	sql := "SELECT " + l.selected(t) + " FROM json_each($1) k CROSS JOIN " + l.table + " t ON " + strings.Join(on, " AND ")
	return t.query(ctx, sql, []any{string(list)}, each)
}

func (t *sqliteTx) insert(ctx context.Context, l *layout, rows []deskRecord) error {
	to := sqliteCells{t.sqliteStore}
	return t.bulk(ctx, "INSERT INTO "+l.table+" ("+l.names()+") VALUES ", len(l.columns), len(rows),
		func(i int) { rows[i].cells(to) }, func(i int) string { return rows[i].name() })
}

func (t *sqliteTx) update(ctx context.Context, l *layout, rows []deskRecord) error {
	var set, where []string
	for i, c := range l.columns {
		if is := c.name + " = ?" + strconv.Itoa(i+1); i < l.keys {
			where = append(where, is)
		} else {
			set = append(set, is)
		}
	}
	stmt, err := t.prepare("UPDATE " + l.table + " SET " + strings.Join(set, ", ") + " WHERE " + strings.Join(where, " AND "))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.args = t.args[:0]
		row.cells(sqliteCells{t.sqliteStore})
		n, err := t.run(stmt)
		if v := new(violation); errors.As(err, &v) {
			return violated("%s: %v", row.name(), err)
		}
		if err == nil && n != 1 {
			err = violated("%s should have been there and was not; %s", row.name(), nextCommand)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *sqliteTx) forget(ctx context.Context, l *layout, ids []int64) error {
	list, _ := json.Marshal(ids) // numbers always marshal
	_, err := t.exec(ctx, "DELETE FROM "+l.table+" WHERE "+l.keyNames()+" IN (SELECT value FROM json_each(?))", string(list))
	return err
}
