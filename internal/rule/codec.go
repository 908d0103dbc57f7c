package rule

import (
	"encoding/binary"
	"encoding/json"
)

// The binary form: uv is an unsigned varint in its shortest form, str is a uv length and the bytes, an optional number is
// a uv of the number plus one, 0 = absent.

// AppendString appends a str.
func AppendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// AppendOptional appends an optional number.
func AppendOptional(b []byte, n *uint32) []byte {
	if n == nil {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(*n)+1)
}

// Decoder reads from the front of Rest. After the first fault Bad is set and all it gives is zero.
type Decoder struct {
	Rest string
	Bad  bool
}

// Fail makes everything that follows zero.
func (d *Decoder) Fail() {
	d.Bad, d.Rest = true, ""
}

// Done says whether all was read, without a fault.
func (d *Decoder) Done() bool { return !d.Bad && d.Rest == "" }

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if d.Rest == "" {
		d.Fail()
		return 0
	}
	c := d.Rest[0]
	d.Rest = d.Rest[1:]
	return c
}

// Uvarint takes only the shortest form, so that equal events have equal bytes.
func (d *Decoder) Uvarint() uint64 {
	v, n := Uvarint(d.Rest)
	if n == 0 {
		d.Fail()
		return 0
	}
	d.Rest = d.Rest[n:]
	return v
}

// Uvarint reads the shortest form of a number at the front of s; n is 0 when there is none.
func Uvarint(s string) (v uint64, n int) {
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		c := s[i]
		if c < 0x80 {
			if (i == 9 && c > 1) || (i > 0 && c == 0) {
				return 0, 0
			}
			return v | uint64(c)<<(7*i), i + 1
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	return 0, 0
}

// Uint32 reads a number that fits 32 bits.
func (d *Decoder) Uint32() uint32 {
	v := d.Uvarint()
	if v > 1<<32-1 {
		d.Fail()
		return 0
	}
	return uint32(v)
}

// Time reads an instant.
func (d *Decoder) Time() Time {
	v := d.Uvarint()
	if v > 1<<62 {
		d.Fail()
		return 0
	}
	return Time(v)
}

// Optional reads an optional number.
func (d *Decoder) Optional() *uint32 {
	v := d.Uvarint()
	if v == 0 {
		return nil
	}
	if v > 1<<32 {
		d.Fail()
		return nil
	}
	n := uint32(v - 1)
	return &n
}

// Bytes fills into.
func (d *Decoder) Bytes(into []byte) {
	if len(d.Rest) < len(into) {
		d.Fail()
		return
	}
	d.Rest = d.Rest[copy(into, d.Rest):]
}

// String reads a str of at most most bytes; it shares the memory of Rest.
func (d *Decoder) String(most int) string {
	n := d.Uvarint()
	if n > uint64(most) || n > uint64(len(d.Rest)) {
		d.Fail()
		return ""
	}
	s := d.Rest[:n]
	d.Rest = d.Rest[n:]
	return s
}

// AppendMember appends "name":"value". Ids need no escaping; what somebody wrote may.
func AppendMember(b []byte, name, value string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `":`...)
	for i := 0; i < len(value); i++ {
		if !idBytes[value[i]] {
			quoted, _ := json.Marshal(value) // a string always marshals
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}
