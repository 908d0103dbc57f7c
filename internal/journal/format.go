package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// All integers are little-endian. Every file begins with a preamble that is the
// same in every version, so that another version is told from damage:
//
//	0        8         12        16
//	├ magic ─┼ version ┼ crc32c ─┤   the checksum is of bytes 0 to 12
//
// A segment file is a header block, then frames, then zeros. Each begins on a
// multiple of the block size and is padded to the next one with zeros.
//
//	0          16       20      24       40     48      56      64          72     80     88        120     block
//	├ preamble ┼ crc32c ┼ block ┼ log id ┼ size ┼ index ┼ epoch ┼ lastEpoch ┼ salt ┼ first ┼ prevHash ┼ zeros ┤
//
// The second checksum is of byte 20 to the end of the block. size is that of
// the file: a file of another length was cut. index counts segments from 1
// without a gap. epoch is that of the writer who made the file, lastEpoch and
// prevHash belong to the last data frame before it.
//
//	0       4        8         10     11  12      16       32      40      48       52  56        88      88+length
//	├ magic ┼ crc32c ┼ version ┼ kind ┼ 0 ┼ count ┼ log id ┼ epoch ┼ first ┼ length ┼ 0 ┼ prevHash ┼ payload ┼ padding ┤
//
// The checksum starts from the salt of the segment mixed with the offset of the
// frame (frameChecksum), and covers byte 8 to the end of the padding: an image of a frame in somebody's
// payload, or a block that the disk put in the wrong place, never passes for a
// frame. The hash of a frame does not depend on where it stands: it is the SHA-256
// of bytes 8 to 88, then the SHA-256 of each 64 KiB of the payload (the last piece
// may be shorter), in order. prevHash is the hash of the data frame before; start
// and seal frames are not part of the chain.
const (
	version = 1

	segmentMagic  = "HFSEGMNT"
	snapshotMagic = "HFSNAPSH"
	frameMagic    = 0x4d524648 // "HFRM"

	preambleBytes      = 16
	segmentHeaderBytes = 120
	frameHeaderBytes   = 88
	hashFrom           = 8 // offset in a frame where checksum and hash begin

	// maxPayload bounds a frame in every configuration, so that a damaged length
	// cannot make a reader allocate without limit.
	maxPayload = 64 << 20
	minBlock   = 512
	maxBlock   = 64 << 10
)

// kind says what a frame is for.
type kind uint8

const (
	kindData  kind = 1
	kindStart kind = 2 // an epoch begins; no payload, count 0
	kindSeal  kind = 3 // a clean stop; no payload, count 0
)

// Neither is ever written to.
var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeroBlock  [4096]byte
)

func validBlock(n int64) bool { return n >= minBlock && n <= maxBlock && n&(n-1) == 0 }

// roundUp gives the least multiple of block that holds n.
func roundUp(n, block int64) int64 { return (n + block - 1) &^ (block - 1) }

// putPreamble writes magic, version and their checksum.
func putPreamble(b []byte, magic string) {
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
}

// checkPreamble tells damage (ok is false) from another version.
func checkPreamble(b []byte, magic string) (found uint32, ok bool) {
	if len(b) < preambleBytes || string(b[:8]) != magic ||
		binary.LittleEndian.Uint32(b[12:]) != crc32.Checksum(b[:12], castagnoli) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[8:]), true
}

// segmentHeader is the first block of a segment file.
type segmentHeader struct {
	block     int64
	logID     [16]byte
	size      int64
	index     uint64
	epoch     uint64
	lastEpoch uint64
	salt      uint64
	first     uint64
	prevHash  [32]byte
}

// encode gives the header as one block.
func (h *segmentHeader) encode() []byte {
	b := make([]byte, h.block)
	putPreamble(b, segmentMagic)
	le := binary.LittleEndian
	le.PutUint32(b[20:], uint32(h.block))
	copy(b[24:], h.logID[:])
	le.PutUint64(b[40:], uint64(h.size))
	le.PutUint64(b[48:], h.index)
	le.PutUint64(b[56:], h.epoch)
	le.PutUint64(b[64:], h.lastEpoch)
	le.PutUint64(b[72:], h.salt)
	le.PutUint64(b[80:], h.first)
	copy(b[88:], h.prevHash[:])
	le.PutUint32(b[16:], crc32.Checksum(b[20:], castagnoli))
	return b
}

// decodeSegmentHeader reads a header from the start of a file, b being at
// least one block if the file is that long. found is the version if it is not
// ours; reason is not empty if the bytes are damaged.
func decodeSegmentHeader(b []byte) (h segmentHeader, found uint32, reason string) {
	found, ok := checkPreamble(b, segmentMagic)
	switch {
	case !ok:
		return h, 0, "the segment header is damaged"
	case found != version:
		return h, found, ""
	case len(b) < segmentHeaderBytes:
		return h, found, "the segment header is cut"
	}
	le := binary.LittleEndian
	h.block = int64(le.Uint32(b[20:]))
	if !validBlock(h.block) || int64(len(b)) < h.block || le.Uint32(b[16:]) != crc32.Checksum(b[20:h.block], castagnoli) {
		return h, found, "the segment header does not match its checksum"
	}
	copy(h.logID[:], b[24:])
	h.size = int64(le.Uint64(b[40:]))
	h.index = le.Uint64(b[48:])
	h.epoch = le.Uint64(b[56:])
	h.lastEpoch = le.Uint64(b[64:])
	h.salt = le.Uint64(b[72:])
	h.first = le.Uint64(b[80:])
	copy(h.prevHash[:], b[88:])
	if h.size < h.block || h.size%h.block != 0 || h.index == 0 || h.first == 0 {
		return h, found, "the segment header makes no sense"
	}
	return h, found, ""
}

// frameHeader is what stands before a payload.
type frameHeader struct {
	version  uint16
	kind     kind
	count    uint32
	logID    [16]byte
	epoch    uint64
	first    uint64
	length   uint32
	prevHash [32]byte
}

// put writes all but the checksum into b.
func (h *frameHeader) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b, frameMagic)
	le.PutUint16(b[8:], h.version)
	b[10], b[11] = byte(h.kind), 0
	le.PutUint32(b[12:], h.count)
	copy(b[16:], h.logID[:])
	le.PutUint64(b[32:], h.epoch)
	le.PutUint64(b[40:], h.first)
	le.PutUint32(b[48:], h.length)
	le.PutUint32(b[52:], 0)
	copy(b[56:], h.prevHash[:])
}

// copyPayload puts the payload after the header, and zeros after it.
func copyPayload(frame, payload []byte) {
	n := copy(frame[frameHeaderBytes:], payload)
	clear(frame[frameHeaderBytes+n:])
}

// sealChecksum fills in the checksum of a padded frame.
func sealChecksum(frame []byte, salt uint64, off int64) {
	binary.LittleEndian.PutUint32(frame[4:], frameChecksum(frame, salt, off))
}

// frameChecksum is the checksum of a padded frame at an offset.
func frameChecksum(frame []byte, salt uint64, off int64) uint32 {
	place := salt ^ uint64(off)*0x9e3779b97f4a7c15 // spreads the offset over all bits
	return crc32.Update(uint32(place>>32)^uint32(place), castagnoli, frame[hashFrom:])
}

// peekLength gives the length of the padded frame that begins in b, if b begins
// like a frame at all. b holds at least a header.
func peekLength(b []byte, block int64) (padded int64, ok bool) {
	le := binary.LittleEndian
	length := le.Uint32(b[48:])
	if le.Uint32(b) != frameMagic || length > maxPayload {
		return 0, false
	}
	return roundUp(frameHeaderBytes+int64(length), block), true
}

// decodeFrame reads a padded frame that stands at off. ok is false if the bytes
// are not exactly what was written there. The payload is not copied.
func decodeFrame(b []byte, salt uint64, off int64) (h frameHeader, payload []byte, ok bool) {
	le := binary.LittleEndian
	if le.Uint32(b) != frameMagic || le.Uint32(b[4:]) != frameChecksum(b, salt, off) {
		return h, nil, false
	}
	h.version = le.Uint16(b[8:])
	h.kind = kind(b[10])
	h.count = le.Uint32(b[12:])
	copy(h.logID[:], b[16:])
	h.epoch = le.Uint64(b[32:])
	h.first = le.Uint64(b[40:])
	h.length = le.Uint32(b[48:])
	copy(h.prevHash[:], b[56:])
	end := frameHeaderBytes + int64(h.length)
	if end > int64(len(b)) {
		return h, nil, false
	}
	return h, b[frameHeaderBytes:end], true
}

// isZero tells whether b holds only zeros.
func isZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeroBlock))
		if !bytes.Equal(b[:n], zeroBlock[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}
