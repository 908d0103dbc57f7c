package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"holdfast/seat"
)

// maxDepth bounds how deep arrays and objects nest, the customer's data included.
const maxDepth = 32

// kind of a JSON value.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

var kindNames = [...]string{null: "null", boolean: "a boolean", number: "a number", text: "a string", array: "an array", object: "an object"}

// value is one JSON value as it was sent.
type value struct {
	kind    kind
	text    string   // text: without quotes and escapes; number, boolean: as written
	names   []string // object: the members' names, in their order
	members []value  // object, array
	raw     string   // as written
}

// parser reads one JSON text (RFC 8259), stricter than most: UTF-8 only, no unpaired surrogates, no NUL character (no SQL
// database keeps it), no name twice in one object, at most maxDepth deep.
type parser struct {
	in    string
	pos   int
	depth int
}

// parse reads the whole of in. The error is a *seat.Invalid: its field is the path of the value that is wrong, or "body"
// where in is not JSON at all.
func parse(in string) (value, error) {
	p := parser{in: in}
	v, err := p.value()
	if err != nil {
		return value{}, err
	}
	if p.space(); p.pos < len(in) {
		return value{}, p.syntax("there is more behind the JSON value")
	}
	return v, nil
}

func (p *parser) syntax(problem string) error {
	return &seat.Invalid{Field: "body", Problem: fmt.Sprintf("is not strict JSON: %s (at byte %d)", problem, p.pos)}
}

// within puts the place of a value before the path of an error inside it.
func within(place string, err error) error {
	e, ok := err.(*seat.Invalid)
	if !ok || e.Field == "body" {
		return err
	}
	return &seat.Invalid{Field: join(place, e.Field), Problem: e.Problem}
}

// join gives the path of a field; names that callers made up are cut to a readable length.
func join(place, rest string) string {
	if place == "" {
		place = `""`
	}
	if len(place) > 64 {
		place = strings.ToValidUTF8(place[:64], "") + "…"
	}
	if rest == "" || rest[0] == '[' {
		return place + rest
	}
	return place + "." + rest
}

func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// peek is the next byte that is not space; 0 at the end.
func (p *parser) peek() byte {
	p.space()
	if p.pos == len(p.in) {
		return 0
	}
	return p.in[p.pos]
}

func (p *parser) value() (v value, err error) {
	c := p.peek()
	start := p.pos
	switch {
	case c == '{' || c == '[':
		if p.depth++; p.depth > maxDepth {
			return v, p.syntax(fmt.Sprintf("it nests deeper than %d", maxDepth))
		}
		if c == '{' {
			err = p.object(&v)
		} else {
			err = p.array(&v)
		}
		p.depth--
	case c == '"':
		v.kind = text
		v.text, err = p.string()
	case c == '-' || (c >= '0' && c <= '9'):
		v.kind = number
		err = p.number()
		v.text = p.in[start:p.pos]
	default:
		err = p.literal(&v)
	}
	v.raw = p.in[start:p.pos]
	return v, err
}

func (p *parser) literal(v *value) error {
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(p.in[p.pos:], word) {
			p.pos += len(word)
			v.text = word
			if word != "null" {
				v.kind = boolean
			}
			return nil
		}
	}
	return p.syntax("a value is expected")
}

// fewNames is up to where the names of an object are compared one by one.
const fewNames = 16

// usualNames is how many names most objects have at most.
const usualNames = 6

func (p *parser) object(v *value) error {
	v.kind = object
	p.pos++
	if p.peek() == '}' {
		p.pos++
		return nil
	}
	seen := map[string]bool(nil) // of long objects: a few names are looked through faster
	for {
		if p.peek() != '"' {
			return p.syntax("a name in quotes is expected")
		}
		name, err := p.string()
		if err != nil {
			return err
		}
		if len(v.names) == fewNames {
			seen = make(map[string]bool, 2*fewNames)
			for _, n := range v.names {
				seen[n] = true
			}
		}
		if seen[name] || seen == nil && slices.Contains(v.names, name) {
			return &seat.Invalid{Field: join(name, ""), Problem: "is there twice"}
		}
		if seen != nil {
			seen[name] = true
		}
		if p.peek() != ':' {
			return p.syntax("a colon is expected")
		}
		p.pos++
		member, err := p.value()
		if err != nil {
			return within(name, err)
		}
		if v.names == nil {
			v.names, v.members = make([]string, 0, usualNames), make([]value, 0, usualNames)
		}
		v.names, v.members = append(v.names, name), append(v.members, member)
		if done, err := p.next('}'); done || err != nil {
			return err
		}
	}
}

func (p *parser) array(v *value) error {
	v.kind = array
	p.pos++
	if p.peek() == ']' {
		p.pos++
		return nil
	}
	for {
		member, err := p.value()
		if err != nil {
			return within("["+strconv.Itoa(len(v.members))+"]", err)
		}
		v.members = append(v.members, member)
		if done, err := p.next(']'); done || err != nil {
			return err
		}
	}
}

// next reads a comma, or the end of an object or array.
func (p *parser) next(end byte) (done bool, err error) {
	switch p.peek() {
	case end:
		p.pos++
		return true, nil
	case ',':
		p.pos++
		return false, nil
	}
	return false, p.syntax(fmt.Sprintf("a comma or %q is expected", end))
}

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.in) && p.in[p.pos] >= '0' && p.in[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) accept(set string) bool {
	if p.pos < len(p.in) && strings.IndexByte(set, p.in[p.pos]) >= 0 {
		p.pos++
		return true
	}
	return false
}

func (p *parser) number() error {
	p.accept("-")
	if !p.accept("0") && !p.digits() {
		return p.syntax("a digit is expected")
	}
	if p.accept(".") && !p.digits() {
		return p.syntax("a digit is expected")
	}
	if p.accept("eE") {
		p.accept("+-")
		if !p.digits() {
			return p.syntax("a digit is expected")
		}
	}
	return nil
}

func (p *parser) string() (string, error) {
	p.pos++
	start := p.pos
	for ; p.pos < len(p.in); p.pos++ {
		switch c := p.in[p.pos]; {
		case c == '"':
			s := p.in[start:p.pos]
			if !utf8.ValidString(s) {
				return "", p.syntax("a string is not UTF-8")
			}
			p.pos++
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", p.syntax("a control character stands in a string")
		}
	}
	return "", p.syntax("a string does not end")
}

// escaped reads a string on from its first backslash.
func (p *parser) escaped(start int) (string, error) {
	b := []byte(p.in[start:p.pos])
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		p.pos++
		switch {
		case c == '"':
			if !utf8.Valid(b) {
				return "", p.syntax("a string is not UTF-8")
			}
			return string(b), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < ' ':
			return "", p.syntax("a control character stands in a string")
		default:
			b = append(b, c)
		}
	}
	return "", p.syntax("a string does not end")
}

func (p *parser) escape() (rune, error) {
	if p.pos == len(p.in) {
		return 0, p.syntax("a string does not end")
	}
	c := p.in[p.pos]
	p.pos++
	if c == 'u' {
		return p.unicode()
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	i := strings.IndexByte(from, c)
	if i < 0 {
		return 0, p.syntax("there is no such escape")
	}
	return rune(to[i]), nil
}

func (p *parser) unicode() (rune, error) {
	r, ok := p.hex4()
	if !ok {
		return 0, p.syntax(`\u wants four hexadecimal digits`)
	}
	if r == 0 {
		return 0, p.syntax("a string has a NUL character, which no SQL database keeps")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if strings.HasPrefix(p.in[p.pos:], `\u`) {
		p.pos += 2
		if low, ok := p.hex4(); ok {
			if whole := utf16.DecodeRune(r, low); whole != utf8.RuneError {
				return whole, nil
			}
		}
	}
	return 0, p.syntax("half a surrogate pair stands alone")
}

func (p *parser) hex4() (rune, bool) {
	if len(p.in)-p.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(p.in[p.pos:p.pos+4], 16, 16)
	if err != nil {
		return 0, false
	}
	p.pos += 4
	return rune(n), true
}
