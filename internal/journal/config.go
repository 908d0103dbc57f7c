package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Config sets the sizes of a journal. DefaultConfig gives a filled one. Sizes
// may differ from one Open to the next: each segment carries its own.
type Config struct {
	// SegmentBytes is the size of each new segment file. At least four times
	// PendingBytes and eight times MaxFrameBytes. Default 64 MiB.
	SegmentBytes int64
	// MaxFrameBytes is the largest payload that Append takes. Default 512 KiB.
	MaxFrameBytes int
	// PendingBytes is the sum of payloads that the caller may have accepted and
	// not yet appended; Room answers nil only while these surely fit. Default 16 MiB.
	PendingBytes int64
	// BlockBytes is what frames of new segments are aligned to: a power of two
	// from 512 to 65536. An acknowledged block is never written again, so that a
	// torn write cannot reach it; it should not be less than a sector of the
	// disk. Default 4096.
	BlockBytes int
	// RetryPause is the time between two attempts to prepare the next segment,
	// after one that failed. Default 1 s.
	RetryPause time.Duration
	// Entropy gives the id of a new log and the salt of each segment. It is read
	// by one goroutine at a time. Default crypto/rand.
	Entropy io.Reader
	// Logger hears of what is repaired or retried without the caller seeing an
	// error. nil discards.
	Logger *slog.Logger
}

// DefaultConfig gives the configuration for production.
func DefaultConfig() Config {
	return Config{
		SegmentBytes:  64 << 20,
		MaxFrameBytes: 512 << 10,
		PendingBytes:  16 << 20,
		BlockBytes:    4096,
		RetryPause:    time.Second,
		Entropy:       rand.Reader,
		Logger:        slog.New(slog.DiscardHandler),
	}
}

// validate checks the limits and puts a logger where there is none.
func (c *Config) validate() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Entropy == nil:
		return errors.New("journal: Config.Entropy is nil; start from DefaultConfig")
	case !validBlock(int64(c.BlockBytes)):
		return fmt.Errorf("journal: Config.BlockBytes %d is not a power of two from 512 to 65536", c.BlockBytes)
	case c.MaxFrameBytes < 1 || c.MaxFrameBytes > maxPayload:
		return fmt.Errorf("journal: Config.MaxFrameBytes %d is not from 1 to %d", c.MaxFrameBytes, maxPayload)
	case c.PendingBytes < int64(c.MaxFrameBytes):
		return fmt.Errorf("journal: Config.PendingBytes %d is less than one frame of %d", c.PendingBytes, c.MaxFrameBytes)
	case c.RetryPause <= 0:
		return fmt.Errorf("journal: Config.RetryPause %v is not positive", c.RetryPause)
	case c.SegmentBytes%int64(c.BlockBytes) != 0:
		return fmt.Errorf("journal: Config.SegmentBytes %d is no multiple of BlockBytes %d", c.SegmentBytes, c.BlockBytes)
	case c.SegmentBytes < 4*c.PendingBytes || c.SegmentBytes < 8*int64(c.MaxFrameBytes) || c.SegmentBytes < 16*int64(c.BlockBytes):
		return fmt.Errorf("journal: Config.SegmentBytes %d is less than 4 PendingBytes, 8 MaxFrameBytes or 16 BlockBytes", c.SegmentBytes)
	}
	return nil
}

// reserve is what must be left in the current segment for PendingBytes of
// payload while there is no next one: frames of at least a quarter of the
// largest size on average, their headers and padding, and the seal.
func (c *Config) reserve() int64 {
	block := int64(c.BlockBytes)
	frames := 4*c.PendingBytes/int64(c.MaxFrameBytes) + 2
	return min(c.PendingBytes+frames*(frameHeaderBytes+block), c.SegmentBytes/2)
}
