// Package rule is what all rules are written with, those of the seats and those of the desks: time, ids, refusals, and the
// binary and JSON forms of small things. It is pure, as they are.
package rule

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// Time is an instant in microseconds since the Unix epoch, UTC. Zero means absent.
// Microseconds, because that is what both databases keep.
type Time int64

// MaxTime is the last microsecond of the year 9999, the last that RFC 3339 can write.
const MaxTime Time = 253_402_300_799_999_999

// TimeOf converts t, truncated to the microsecond.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Std converts to the standard library's time, in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns t+d, truncated to the microsecond.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Microsecond) }

// timeLayout is RFC 3339 with exactly six decimals, so that times of one log sort as text too.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// AppendText appends t in RFC 3339 with microseconds.
func (t Time) AppendText(b []byte) ([]byte, error) {
	return t.Std().AppendFormat(b, timeLayout), nil
}

// MarshalText is AppendText for encoding/json.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// UnmarshalText reads RFC 3339, from year 1970 to 9999; what is finer than a microsecond is cut off.
func (t *Time) UnmarshalText(b []byte) error {
	std, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return fmt.Errorf("%q is not an RFC 3339 time such as 2026-09-01T08:00:00Z", b)
	}
	if std.Year() < 1970 || std.Year() > 9999 || std.UnixMicro() == 0 {
		return fmt.Errorf("%q is outside the years 1970 to 9999", b)
	}
	*t = TimeOf(std)
	return nil
}

// Code names why something was refused. The names are on the wire: never change one.
type Code string

// Invalid is a malformed command: nothing was decided and nothing changed.
type Invalid struct {
	Field   string // as it is called on the wire
	Problem string
}

func (e *Invalid) Error() string { return e.Field + ": " + e.Problem }

// MaxID is the most bytes an id has.
const MaxID = 128

// idBytes marks the bytes an id may have: [A-Za-z0-9._~:@+|-].
var idBytes = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@+|-") {
		t[c] = true
	}
	return t
}()

// ValidID checks an id: 1 to MaxID of [A-Za-z0-9._~:@+|-], not "." or "..". The error is an *Invalid.
func ValidID(field, id string) error {
	if id == "" {
		return &Invalid{field, "is missing"}
	}
	if len(id) > MaxID {
		return &Invalid{field, fmt.Sprintf("is longer than %d bytes", MaxID)}
	}
	for i := 0; i < len(id); i++ {
		if !idBytes[id[i]] {
			return &Invalid{field, fmt.Sprintf("%.140q has a byte outside [A-Za-z0-9._~:@+|-]", id)}
		}
	}
	if id == "." || id == ".." {
		return &Invalid{field, fmt.Sprintf("%q is not an id", id)}
	}
	return nil
}

// ValidText checks what somebody wrote: UTF-8, at most most bytes. The error is an *Invalid.
func ValidText(field, text string, most int) error {
	if len(text) > most {
		return &Invalid{field, fmt.Sprintf("is longer than %d bytes", most)}
	}
	if !utf8.ValidString(text) {
		return &Invalid{field, "is not UTF-8"} // no database would take it
	}
	return nil
}
