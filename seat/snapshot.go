package seat

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"

	"holdfast/internal/rule"
)

// The snapshot of a State: what cannot be derived, in the order of the numbers, so that equal states have equal bytes.
//
//	str limits · uv pools, each: str name · str config · uv seq · uv at · uv last ticket · of a lottery: u8 drawn
//	  drawn 1: 32 bytes seed
//	uv people, each: str name
//	uv claims, each: uv pool · uv person · u8 status · uv seq · uv at · and by status
//	  Entered, Released: nothing    Seated: uv seat    Offered: uv seat · uv deadline · uv swap    Waiting: uv ticket · uv swap
//
// swap is the number of the claim whose seat is to be given up, 0 = none.

// WriteSnapshot writes the whole state. It only reads s.
func (s *State) WriteSnapshot(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	b := rule.AppendString(nil, string(s.limits.AppendLimits(nil)))
	b = binary.AppendUvarint(b, uint64(len(s.poolList)))
	for _, p := range s.poolList {
		b = rule.AppendString(b, p.name)
		b = rule.AppendString(b, string(p.config.append(nil)))
		b = binary.AppendUvarint(b, p.put.seq)
		b = binary.AppendUvarint(b, uint64(p.put.at))
		b = binary.AppendUvarint(b, uint64(p.line.last))
		b = p.lottery.append(b)
		b = flush(out, b)
	}
	b = binary.AppendUvarint(b, uint64(s.people.list.count))
	for n := uint32(1); n <= s.people.list.count; n++ {
		b = flush(out, rule.AppendString(b, s.people.at(n).name))
	}
	b = binary.AppendUvarint(b, uint64(s.claims.count))
	for n := uint32(1); n <= s.claims.count; n++ {
		b = flush(out, s.appendClaim(b, n))
	}
	out.Write(b) // bufio keeps the first error; Flush gives it
	return out.Flush()
}

func flush(out *bufio.Writer, b []byte) []byte {
	out.Write(b)
	return b[:0]
}

func (s *State) appendClaim(b []byte, n uint32) []byte {
	c := s.claims.at(n)
	b = binary.AppendUvarint(b, uint64(c.pool))
	b = binary.AppendUvarint(b, uint64(c.person))
	b = append(b, byte(c.status))
	b = binary.AppendUvarint(b, c.seq)
	b = binary.AppendUvarint(b, uint64(c.at))
	switch c.status {
	case Seated:
		b = binary.AppendUvarint(b, uint64(c.seat))
	case Offered:
		b = binary.AppendUvarint(b, uint64(c.seat))
		b = binary.AppendUvarint(b, uint64(s.offers.of[n]))
		b = binary.AppendUvarint(b, uint64(s.swaps[n]))
	case Waiting:
		b = binary.AppendUvarint(b, uint64(c.ticket))
		b = binary.AppendUvarint(b, uint64(s.swaps[n]))
	}
	return b
}

// ReadSnapshot reads what WriteSnapshot wrote, and not a byte more from a reader that is an io.ByteReader.
func ReadSnapshot(r *bufio.Reader) (*State, error) {
	in := &snapshotReader{r: r}
	s := NewState()
	limits, err := DecodeLimits(in.string(64))
	if err != nil {
		in.fail()
		return nil, in.err
	}
	s.limits = *limits
	for range in.count(1 << 24) {
		if s.readPool(in); in.err != nil {
			return nil, in.err
		}
	}
	for range in.count(1<<32 - 1) {
		name := in.id()
		known, hash := s.people.find(name)
		if in.err == nil && known != 0 {
			in.fail()
		}
		if in.err != nil {
			return nil, in.err
		}
		s.people.add(name, hash)
	}
	for range in.count(1<<32 - 1) {
		if s.readClaim(in); in.err != nil {
			return nil, in.err
		}
	}
	if in.err != nil {
		return nil, in.err
	}
	if err := s.derive(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *State) readPool(in *snapshotReader) {
	p := &pool{number: uint32(len(s.poolList)) + 1, name: in.id()}
	config := rule.Decoder{Rest: in.string(MaxData + 2*MaxID + 32)}
	p.config = *decodeConfig(&config)
	p.put = stamp{in.uvarint(), in.time()}
	p.line.last = in.uint32()
	if p.config.Order == Lottery {
		p.lottery = in.lottery(p.config.SeedHash)
	}
	if in.err != nil {
		return
	}
	if config.Bad || config.Rest != "" || s.pools[p.name] != nil {
		in.fail()
		return
	}
	p.group = s.groupNumber(p.config.Group)
	s.pools[p.name] = p
	s.poolList = append(s.poolList, p)
}

func (s *State) readClaim(in *snapshotReader) {
	c := claim{pool: in.uint32(), person: in.uint32(), status: Status(in.byte())}
	c.stamp = stamp{in.uvarint(), in.time()}
	n := s.claims.count + 1
	swap := uint32(0)
	switch c.status {
	case Seated:
		c.seat = in.uint32()
	case Offered:
		c.seat = in.uint32()
		s.offers.of[n] = in.time()
		swap = in.uint32()
	case Waiting:
		c.ticket = in.uint32()
		swap = in.uint32()
	case Released, Entered:
	default:
		in.fail()
	}
	if in.err != nil || c.pool == 0 || int(c.pool) > len(s.poolList) || c.person == 0 || c.person > s.people.list.count ||
		s.claimOf(c.pool, c.person) != 0 || s.swappedBy[swap] != 0 {
		in.fail()
		return
	}
	p, who := s.poolAt(c.pool), s.people.at(c.person)
	c.nextOfPerson = who.claims
	s.claims.add(c)
	who.claims = n
	if p.final == 0 {
		p.first = n
	} else {
		s.claims.at(p.final).nextOfPool = n
	}
	p.final = n
	s.index.add(mix(pair(c.pool, c.person)), n)
	if swap != 0 {
		s.link(n, swap)
	}
}

// derive rebuilds what follows from pools, people and claims: seats, lines, counts, groups, deadlines.
func (s *State) derive() error {
	holding := make([][]uint32, len(s.poolList))
	waiting := make([][]uint32, len(s.poolList))
	made := make([]uint32, len(s.poolList))
	for n := uint32(1); n <= s.claims.count; n++ {
		c := s.claims.at(n)
		made[c.pool-1]++
		switch c.status {
		case Seated, Offered:
			holding[c.pool-1] = append(holding[c.pool-1], n)
		case Waiting:
			waiting[c.pool-1] = append(waiting[c.pool-1], n)
		case Entered:
			s.poolAt(c.pool).entered++
			s.people.at(c.person).waiting++
		}
	}
	for n, old := range s.swaps {
		if old > s.claims.count || s.claims.at(old).status != Seated || s.claims.at(old).person != s.claims.at(n).person {
			return errors.New("snapshot: a swap gives up a seat that is not held")
		}
	}
	if err := s.deriveDraws(); err != nil {
		return err
	}
	for i, claims := range holding {
		if err := s.deriveSeats(s.poolList[i], claims, made[i]); err != nil {
			return err
		}
	}
	for i, claims := range waiting {
		if err := s.deriveLine(s.poolList[i], claims); err != nil {
			return err
		}
	}
	return nil
}

// deriveSeats: the lowest free seat is given, so no seat has a higher number than the pool has claims.
func (s *State) deriveSeats(p *pool, holding []uint32, highest uint32) error {
	sort.Slice(holding, func(i, j int) bool { return s.claims.at(holding[i]).seat < s.claims.at(holding[j]).seat })
	for _, n := range holding {
		c := s.claims.at(n)
		if c.seat == 0 || c.seat > highest || !p.seats.take(c.seat) {
			return fmt.Errorf("snapshot: seat %d of pool %q is held twice or is no seat", c.seat, p.name)
		}
		s.people.at(c.person).seats++
		if key := pair(p.group, c.person); p.group != 0 && (s.groupSeat[key] == 0 || c.status == Offered) {
			s.groupSeat[key] = n
		}
		if c.status == Seated {
			p.seated++
		} else {
			p.offered++
			s.offers.set(n, s.offers.of[n], s.seqOf)
		}
	}
	return nil
}

func (s *State) deriveLine(p *pool, waiting []uint32) error {
	sort.Slice(waiting, func(i, j int) bool { return s.claims.at(waiting[i]).ticket < s.claims.at(waiting[j]).ticket })
	last, before := p.line.last, uint32(0)
	for _, n := range waiting {
		c := s.claims.at(n)
		if c.ticket <= before || c.ticket > last {
			return fmt.Errorf("snapshot: ticket %d of pool %q is there twice or was never given", c.ticket, p.name)
		}
		before = c.ticket
		why, _ := s.bars(p, c.person, s.swaps[n])
		c.eligible = why == ""
		p.line.join(c.ticket, n, c.eligible)
		who := s.people.at(c.person)
		c.nextWait, who.waits = who.waits, n
		who.waiting++
	}
	p.line.last = last
	s.touch(p)
	return nil
}

// snapshotReader reads the pieces; after the first fault err is set and all it gives is zero.
type snapshotReader struct {
	r   *bufio.Reader
	err error
	buf []byte
}

func (in *snapshotReader) fail() {
	if in.err == nil {
		in.err = errors.New("snapshot: malformed")
	}
}

func (in *snapshotReader) byte() byte {
	if in.err != nil {
		return 0
	}
	c, err := in.r.ReadByte()
	if err != nil {
		in.err = fmt.Errorf("snapshot: cut short: %w", err)
	}
	return c
}

// uvarint takes only the shortest form, so that equal states have equal bytes.
func (in *snapshotReader) uvarint() uint64 {
	var v uint64
	for i := range binary.MaxVarintLen64 {
		c := in.byte()
		if c < 0x80 {
			if i == 9 && c > 1 || i > 0 && c == 0 {
				break
			}
			return v | uint64(c)<<(7*i)
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	in.fail()
	return 0
}

func (in *snapshotReader) time() Time { return Time(in.count(1 << 62)) }

// id takes only what a command could name.
func (in *snapshotReader) id() string {
	id := in.string(MaxID)
	if in.err == nil && ValidID("id", id) != nil {
		in.fail()
	}
	return id
}

func (in *snapshotReader) uint32() uint32 {
	v := in.uvarint()
	if v > 1<<32-1 {
		in.fail()
		return 0
	}
	return uint32(v)
}

func (in *snapshotReader) count(most uint64) uint64 {
	v := in.uvarint()
	if v > most {
		in.fail()
		return 0
	}
	return v
}

func (in *snapshotReader) string(most uint64) string {
	n := in.count(most)
	if in.err != nil {
		return ""
	}
	if uint64(cap(in.buf)) < n {
		in.buf = make([]byte, n)
	}
	b := in.buf[:n]
	if _, err := io.ReadFull(in.r, b); err != nil {
		in.err = fmt.Errorf("snapshot: cut short: %w", err)
		return ""
	}
	return string(b)
}
