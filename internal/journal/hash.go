package journal

import (
	"crypto/sha256"
	"sync"
)

// hashPiece is how much of a payload, in bytes, goes into one hash below the
// hash of a frame. Part of the format.
const hashPiece = 64 << 10

// hashHelpers is how many goroutines hash beside the disk. A SHA-256 of 512 KiB
// takes as long as a fast disk takes to sync it; two share it well.
const hashHelpers = 2

// hashFrame is the link of the chain, see format.go.
func hashFrame(frame, payload []byte) [32]byte {
	b := append(make([]byte, 0, 1<<10), frame[hashFrom:frameHeaderBytes]...)
	for len(payload) > 0 {
		n := min(hashPiece, len(payload))
		sum := sha256.Sum256(payload[:n])
		b, payload = append(b, sum[:]...), payload[n:]
	}
	return sha256.Sum256(b)
}

// hashAlone is the payload, in bytes, up to which waking a helper costs more
// than it saves: the caller hashes it when it comes back from the disk.
const hashAlone = 48 << 10

// hasher computes the hash of a frame beside the copy, the checksum and the
// write of it. Whoever is free takes the next piece: its helpers, and the caller
// when it comes back from the disk. begin and end are for one goroutine.
type hasher struct {
	wake chan struct{}

	mu      sync.Mutex // guards what follows
	settled *sync.Cond
	payload []byte
	next    int // the piece that nobody has taken yet
	open    int // pieces that are not done
	sums    []byte
}

func newHasher() *hasher {
	h := &hasher{wake: make(chan struct{}, hashHelpers)}
	h.settled = sync.NewCond(&h.mu)
	for range hashHelpers {
		go func() {
			for range h.wake {
				h.help()
			}
		}()
	}
	return h
}

// begin starts on a payload, which must not change until end.
func (h *hasher) begin(payload []byte) {
	pieces := (len(payload) + hashPiece - 1) / hashPiece
	h.mu.Lock()
	h.payload, h.next, h.open = payload, 0, pieces
	h.sums = grown(h.sums, frameHeaderBytes-hashFrom+pieces*sha256.Size)
	h.mu.Unlock()
	if len(payload) <= hashAlone {
		return
	}
	for range min(pieces, hashHelpers) {
		select {
		case h.wake <- struct{}{}:
		default: // all of them are awake
		}
	}
}

// end gives the hash of the frame with the payload that begin was given.
func (h *hasher) end(frame []byte) [32]byte {
	h.help()
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.open > 0 {
		h.settled.Wait()
	}
	h.payload = nil
	copy(h.sums, frame[hashFrom:frameHeaderBytes])
	return sha256.Sum256(h.sums)
}

// help hashes pieces until all are taken.
func (h *hasher) help() {
	for {
		h.mu.Lock()
		from := h.next * hashPiece
		if from >= len(h.payload) {
			h.mu.Unlock()
			return
		}
		piece := h.payload[from:min(from+hashPiece, len(h.payload))]
		to := h.sums[frameHeaderBytes-hashFrom+h.next*sha256.Size:]
		h.next++
		h.mu.Unlock()

		sum := sha256.Sum256(piece)

		h.mu.Lock()
		copy(to, sum[:])
		if h.open--; h.open == 0 {
			h.settled.Signal()
		}
		h.mu.Unlock()
	}
}

// stop ends the helpers.
func (h *hasher) stop() { close(h.wake) }

// grown gives a slice of n bytes, b if it is large enough.
func grown(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
