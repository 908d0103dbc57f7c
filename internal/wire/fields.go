package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"holdfast/seat"
)

// fields reads the members of one object by name. The first thing wrong is kept and everything after it gives zero, so
// that a message is read in straight lines and asked once, at its end.
type fields struct {
	names   []string
	members []value
	taken   []bool
	err     error
	missing error // told last: a member of the wrong name explains it better
}

// fieldsOf reads an object; an empty body is one without members.
func fieldsOf(body []byte) *fields {
	if len(body) == 0 {
		return &fields{}
	}
	v, err := parse(string(body)) // the copy is the one that all strings of the message share
	if err != nil {
		return &fields{err: err}
	}
	return v.fields("body")
}

func (v *value) fields(place string) *fields {
	if v.kind != object {
		return &fields{err: wrongKind(place, v, "an object")}
	}
	return &fields{names: v.names, members: v.members, taken: make([]bool, len(v.names))}
}

func wrongKind(field string, v *value, want string) error {
	if v.kind == null {
		return &seat.Invalid{Field: field, Problem: "is null: it must be " + want + ", or left out"}
	}
	return &seat.Invalid{Field: field, Problem: "must be " + want + ", not " + kindNames[v.kind]}
}

// take gives the member of that name; nil when it is not there, is of another kind, or something was wrong before.
func (f *fields) take(name string, k kind) *value {
	v := f.any(name)
	if v != nil && v.kind != k {
		f.err = wrongKind(name, v, kindNames[k])
		return nil
	}
	return v
}

func (f *fields) any(name string) *value {
	if f.err != nil {
		return nil
	}
	for i, n := range f.names {
		if n == name {
			f.taken[i] = true
			return &f.members[i]
		}
	}
	return nil
}

// wrong keeps the first error.
func (f *fields) wrong(field, problem string) {
	if f.err == nil {
		f.err = &seat.Invalid{Field: field, Problem: problem}
	}
}

// uint reads a whole number of at most most; ok false: it is not there.
func (f *fields) uint(name string, most uint64) (n uint64, ok bool) {
	v := f.take(name, number)
	if v == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(v.text, 10, 64)
	if err != nil || n > most {
		f.wrong(name, fmt.Sprintf("must be a whole number from 0 to %d", most))
		return 0, false
	}
	return n, true
}

// optional is uint for what may be absent.
func (f *fields) optional(name string, most uint32) *uint32 {
	n, ok := f.uint(name, uint64(most))
	if !ok {
		return nil
	}
	short := uint32(n)
	return &short
}

// string reads a string; empty when it is not there.
func (f *fields) string(name string) string {
	v := f.take(name, text)
	if v == nil {
		return ""
	}
	return v.text
}

// filled is string for what may be absent but, when it is there, not empty.
func (f *fields) filled(name string) string {
	v := f.take(name, text)
	if v == nil {
		return ""
	}
	if v.text == "" {
		f.wrong(name, "is empty: leave it out instead")
	}
	return v.text
}

// required is string for what must be there.
func (f *fields) required(name string) string {
	s := f.string(name)
	if s == "" {
		f.lacks(name, "is missing")
	}
	return s
}

// lacks keeps the first thing that is missing.
func (f *fields) lacks(field, problem string) {
	if f.missing == nil {
		f.missing = &seat.Invalid{Field: field, Problem: problem}
	}
}

// time reads an RFC 3339 time; zero when it is not there.
func (f *fields) time(name string) (t seat.Time) {
	v := f.take(name, text)
	if v == nil {
		return 0
	}
	if err := t.UnmarshalText([]byte(v.text)); err != nil {
		f.wrong(name, err.Error())
	}
	return t
}

// json reads any value but null, without the space between its tokens; empty when it is not there.
func (f *fields) json(name string) string {
	v := f.any(name)
	if v == nil {
		return ""
	}
	if v.kind == null {
		f.wrong(name, "is null: leave it out instead")
		return ""
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(v.raw)); err != nil {
		f.wrong(name, "is not JSON")
	}
	return b.String()
}

// array reads the members of an array of objects.
func (f *fields) array(name string, most int, each func(*fields)) {
	v := f.take(name, array)
	if v == nil {
		return
	}
	if len(v.members) > most {
		f.wrong(name, fmt.Sprintf("has more than %d", most))
		return
	}
	for i := range v.members {
		place := name + "[" + strconv.Itoa(i) + "]"
		if m := &v.members[i]; m.kind != object {
			f.err = wrongKind(place, m, "an object")
			return
		}
		sub := v.members[i].fields(place)
		each(sub)
		if err := sub.end(); err != nil {
			f.err = within(place, err)
			return
		}
	}
}

// end gives the first thing wrong; a member that nobody took is one.
func (f *fields) end() error {
	if f.err != nil {
		return f.err
	}
	for i, name := range f.names {
		if !f.taken[i] {
			return &seat.Invalid{Field: join(name, ""), Problem: "is not a field of this message"}
		}
	}
	return f.missing
}
