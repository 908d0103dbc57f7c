package holdfast

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"holdfast/desk"
	"holdfast/seat"
)

// The snapshot of a State. The log that keeps it adds its position and a checksum.
//
//	"HFSN" · u8 version · uv seq · uv at · uv epoch · uv realms, each: str name · uv seq · uv at · the realm's seats
//	from version 3 on, behind each realm's seats: its desks
//
// Version 2 has a lottery in it, version 3 a desk. A state without them is still written as version 1, byte for byte, so
// that a program from before them can take a directory back as long as none was made.
const (
	snapshotMagic   = "HFSN"
	snapshotVersion = 3
	deskVersion     = 3 // the first with desks
)

// ErrSnapshotVersion means that a snapshot is of another version of Holdfast, not that it is damaged.
var ErrSnapshotVersion = errors.New("snapshot of another version")

// WriteSnapshot writes the whole state. Equal states give equal bytes. It only reads s.
func (s *State) WriteSnapshot(w io.Writer) error {
	b := append([]byte(snapshotMagic), s.snapshotVersion())
	b = binary.AppendUvarint(b, s.seq)
	b = binary.AppendUvarint(b, uint64(s.at))
	b = binary.AppendUvarint(b, s.epoch)
	b = binary.AppendUvarint(b, uint64(len(s.order)))
	version := s.snapshotVersion()
	for _, realm := range s.order {
		b = binary.AppendUvarint(b, uint64(len(realm.Name)))
		b = append(b, realm.Name...)
		b = binary.AppendUvarint(b, realm.Seq)
		b = binary.AppendUvarint(b, uint64(realm.At))
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := realm.Seats.WriteSnapshot(w); err != nil {
			return err
		}
		if version >= deskVersion {
			if err := realm.Desks.WriteSnapshot(w); err != nil {
				return err
			}
		}
		b = b[:0]
	}
	_, err := w.Write(b)
	return err
}

func (s *State) snapshotVersion() byte {
	version := byte(1)
	for _, realm := range s.order {
		if !realm.Desks.Empty() {
			return deskVersion
		}
		if realm.Seats.Lotteries() {
			version = 2
		}
	}
	return version
}

// ReadSnapshot reads what WriteSnapshot wrote, now or in an older version.
func ReadSnapshot(r io.Reader) (*State, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var head [len(snapshotMagic) + 1]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:len(snapshotMagic)]) != snapshotMagic {
		return nil, errors.New("snapshot: it does not begin as one")
	}
	version := head[len(snapshotMagic)]
	if version == 0 || version > snapshotVersion {
		return nil, fmt.Errorf("%w: version %d, this program reads up to %d", ErrSnapshotVersion, version, snapshotVersion)
	}
	s := NewState()
	var at, realms uint64
	if err := readUvarints(in, &s.seq, &at, &s.epoch, &realms); err != nil {
		return nil, err
	}
	if at > 1<<62 {
		return nil, errors.New("snapshot: its time is out of range")
	}
	s.at = seat.Time(at)
	for range realms {
		realm, err := readRealm(in, version)
		if err != nil {
			return nil, err
		}
		if s.realms[realm.Name] != nil {
			return nil, fmt.Errorf("snapshot: realm %q is there twice", realm.Name)
		}
		s.realms[realm.Name] = realm
		s.order = append(s.order, realm)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return nil, errors.New("snapshot: bytes after its end")
	}
	if s.snapshotVersion() != version { // equal states have equal bytes
		return nil, fmt.Errorf("snapshot: its content is not of version %d", version)
	}
	return s, nil
}

func readRealm(in *bufio.Reader, version byte) (*Realm, error) {
	var length, at uint64
	if err := readUvarints(in, &length); err != nil {
		return nil, err
	}
	if length == 0 || length > seat.MaxID {
		return nil, errors.New("snapshot: malformed realm")
	}
	name := make([]byte, length)
	if _, err := io.ReadFull(in, name); err != nil {
		return nil, fmt.Errorf("snapshot: cut short: %w", err)
	}
	realm := &Realm{Name: string(name)}
	if seat.ValidID("realm", realm.Name) != nil {
		return nil, errors.New("snapshot: malformed realm")
	}
	if err := readUvarints(in, &realm.Seq, &at); err != nil {
		return nil, err
	}
	if at > 1<<62 {
		return nil, errors.New("snapshot: malformed realm")
	}
	realm.At = seat.Time(at)
	var err error
	if realm.Seats, err = seat.ReadSnapshot(in); err != nil {
		return nil, err
	}
	realm.Desks = desk.NewState()
	if version >= deskVersion {
		realm.Desks, err = desk.ReadSnapshot(in)
	}
	return realm, err
}

func readUvarints(in *bufio.Reader, into ...*uint64) error {
	for _, p := range into {
		v, err := readUvarint(in)
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}

// readUvarint takes only the shortest form, so that equal states have equal bytes.
func readUvarint(in *bufio.Reader) (v uint64, err error) {
	for i := range binary.MaxVarintLen64 {
		c, err := in.ReadByte()
		if err != nil {
			return 0, fmt.Errorf("snapshot: cut short: %w", err)
		}
		if c < 0x80 {
			if i == 9 && c > 1 || i > 0 && c == 0 {
				break
			}
			return v | uint64(c)<<(7*i), nil
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	return 0, errors.New("snapshot: malformed number")
}

// Hash is the SHA-256 of the snapshot: equal for equal states, whatever way they came about (J3).
func (s *State) Hash() [32]byte {
	h := sha256.New()
	_ = s.WriteSnapshot(h) // a hash takes everything
	return [32]byte(h.Sum(nil))
}

// Check runs every invariant that can be seen in one state.
func (s *State) Check() error {
	for _, realm := range s.order {
		if err := realm.Seats.Check(); err != nil {
			return fmt.Errorf("realm %q: %w", realm.Name, err)
		}
		if err := realm.Desks.Check(); err != nil {
			return fmt.Errorf("realm %q: %w", realm.Name, err)
		}
	}
	return nil
}
