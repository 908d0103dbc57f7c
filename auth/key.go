package auth

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	josejson "github.com/go-jose/go-jose/v4/json"
)

// An API key reads hf_ID_SECRET: the id is no secret and names the key everywhere; the secret is 256 random bits and is nowhere
// but with whom it was given to. hf_[a-z2-7]{8}_[0-9A-Za-z]{43} finds one in a place where it should not be.
const keyPrefix = "hf_"

const keyLen = len(keyPrefix) + idLen + 1 + secretLen

// The bounds of a file of keys.
const (
	maxKeys      = 10_000
	maxKeysBytes = 16 << 20
	maxNote      = 200 // bytes
	lastYear     = 2200
)

// Key is one API key, as the file has it. Zero times are never.
type Key struct {
	ID       string    `json:"id"`
	Hash     string    `json:"sha256,omitempty"` // of the whole token, in hex
	Role     Role      `json:"role"`
	Realm    string    `json:"realm,omitempty"`  // empty = all
	Desk     string    `json:"desk,omitempty"`   // empty = all; else with a realm
	Person   string    `json:"person,omitempty"` // who a person's, agent's or client's key speaks for; of staff optional
	Note     string    `json:"note,omitempty"`   // for those who list the keys, at most 200 bytes
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
	Replaces string    `json:"replaces,omitempty"` // the id of the key it was made from by a rotation
}

// Live says whether the key is valid at a moment.
func (k *Key) Live(now time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || now.Before(k.Expires))
}

// identity is who the key speaks for. A key of staff without a person acts in its own name.
func (k *Key) identity() Identity {
	person := k.Person
	if person == "" && k.Role == Staff {
		person = "key:" + k.ID
	}
	return Identity{Role: k.Role, Realm: k.Realm, Desk: k.Desk, Person: person, Name: k.ID, Expires: k.Expires}
}

// Valid says what is wrong with the scope and the note of a key, naming the member.
func (k *Key) Valid() error {
	for _, f := range []struct{ name, id string }{{"realm", k.Realm}, {"desk", k.Desk}, {"person", k.Person}} {
		if f.id != "" && !validID(f.id) {
			return fmt.Errorf("%s %.140q: 1 to %d of [A-Za-z0-9._~:@+|-], not \".\" or \"..\"", f.name, f.id, maxID)
		}
	}
	switch {
	case !slices.Contains(Roles(), k.Role):
		return fmt.Errorf("role %.40q: it is person, agent, client, staff, backend or admin", k.Role)
	case k.Desk != "" && k.Realm == "":
		return errors.New("desk: a desk is in a realm; name it too")
	case k.Desk != "" && (k.Role == Admin || k.Role == Person):
		return fmt.Errorf("desk: a key of role %s is not for one desk", k.Role)
	case k.Person != "" && (k.Role == Backend || k.Role == Admin):
		return fmt.Errorf("person: a key of role %s acts for everybody", k.Role)
	case k.Person == "" && (k.Role == Person || k.Role == Agent || k.Role == Client):
		return fmt.Errorf("person: a key of role %s speaks for one; name them", k.Role)
	case k.Realm == "" && (k.Role == Person || k.Role == Agent || k.Role == Client):
		return fmt.Errorf("realm: a key of role %s is for one; name it", k.Role)
	case len(k.Note) > maxNote || !utf8.ValidString(k.Note) || strings.ContainsFunc(k.Note, unicode.IsControl):
		return fmt.Errorf("note: at most %d bytes of text in one line", maxNote)
	}
	return nil
}

// validStored also checks what the file must have beside.
func (k *Key) validStored() error {
	if !isID(k.ID) {
		return fmt.Errorf("id %.40q: it is %d of [a-z2-7]", k.ID, idLen)
	}
	if hash, err := hex.DecodeString(k.Hash); err != nil || len(hash) != 32 || strings.ToLower(k.Hash) != k.Hash {
		return errors.New("sha256: it is 64 hex digits, in small letters") // without the text: somebody may have put a secret there
	}
	switch {
	case k.Created.IsZero():
		return errors.New("created is missing")
	case k.Created.Year() > lastYear || k.Expires.Year() > lastYear || k.Revoked.Year() > lastYear:
		return fmt.Errorf("a time is after the year %d", lastYear)
	case k.Replaces != "" && !isID(k.Replaces):
		return fmt.Errorf("replaces %.40q: it is %d of [a-z2-7]", k.Replaces, idLen)
	}
	return k.Valid()
}

func isID(id string) bool {
	return len(id) == idLen && strings.Trim(id, base32) == ""
}

// ErrFile: a file that says whom to trust is damaged, or open to others. The message names the place.
var ErrFile = errors.New("it cannot be trusted")

// keysFile is the file's JSON.
type keysFile struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
}

const keysVersion = 1

// decodeKeys reads the file strictly: a typing mistake in a scope must not widen it. Errors wrap ErrFile and name the place.
func decodeKeys(b []byte) ([]Key, error) {
	bad := func(place string, err error) error { return fmt.Errorf("%s%w: %w", place, ErrFile, err) }
	if !utf8.Valid(b) {
		return nil, bad("", errors.New("it is not UTF-8"))
	}
	var file struct {
		Version int               `json:"version"`
		Keys    []json.RawMessage `json:"keys"`
	}
	if _, err := decodeStrict(b, &file); err != nil {
		return nil, bad("", err)
	}
	switch {
	case file.Version != keysVersion:
		return nil, bad("", fmt.Errorf("version is %d; this program knows %d", file.Version, keysVersion))
	case file.Keys == nil:
		return nil, bad("", errors.New("keys is missing"))
	case len(file.Keys) > maxKeys:
		return nil, bad("", fmt.Errorf("it has %d keys, more than %d", len(file.Keys), maxKeys))
	}
	keys := make([]Key, len(file.Keys))
	seen := make(map[string]int, len(keys))
	for i, raw := range file.Keys {
		place := fmt.Sprintf("keys[%d]: ", i)
		members, err := decodeStrict(raw, &keys[i])
		if err == nil {
			err = keys[i].validStored()
		}
		if err != nil {
			return nil, bad(place, err)
		}
		if members["expires"] != nil && keys[i].Expires.IsZero() || members["revoked"] != nil && keys[i].Revoked.IsZero() {
			return nil, bad(place, errors.New("the year 1 means never to this program; leave the member out"))
		}
		if before, twice := seen[keys[i].ID]; twice {
			return nil, bad(place, fmt.Errorf("id %s stands at keys[%d] too", keys[i].ID, before))
		}
		seen[keys[i].ID] = i
	}
	return keys, nil
}

// decodeStrict decodes one JSON object without unknown, repeated, empty or differently spelled members, and nothing behind it.
func decodeStrict(b []byte, into any) (map[string]josejson.RawMessage, error) {
	members, err := object(b)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return nil, hideValue(err)
	}
	for name, value := range members {
		switch {
		case name != strings.ToLower(name): // encoding/json takes any case
			return nil, fmt.Errorf("unknown field %.40q", name)
		case string(value) == "null": // and this for a member that is not there
			return nil, fmt.Errorf("%s is null; leave it out", name)
		}
	}
	return members, nil
}

// object is one JSON object with nothing behind it, by its members. A repeated one is an error.
func object(b []byte) (map[string]josejson.RawMessage, error) {
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	var members map[string]josejson.RawMessage
	if err := josejson.Unmarshal(b, &members); err != nil {
		return nil, errors.New("it is not JSON, or a member stands in it twice") // without err: it may repeat a value
	}
	return members, nil
}

// hideValue keeps a value of the file out of an error: somebody may have put a secret in the wrong place.
func hideValue(err error) error {
	if t := new(json.UnmarshalTypeError); errors.As(err, &t) {
		return fmt.Errorf("%s is not as it must be (at byte %d)", t.Field, t.Offset)
	}
	if t := new(time.ParseError); errors.As(err, &t) {
		return errors.New("a time is not as it must be: 2026-09-01T08:00:00Z")
	}
	return err
}

// encodeKeys is the file's content.
func encodeKeys(keys []Key) ([]byte, error) {
	b, err := json.MarshalIndent(keysFile{keysVersion, keys}, "", "  ")
	return append(b, '\n'), err
}
