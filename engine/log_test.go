package engine_test

import (
	"path/filepath"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/engine/logtest"
	"holdfast/internal/journal"
	"holdfast/internal/memlog"
	"holdfast/internal/vfs"
)

// smallSegments is a journal whose segments hold some tens of frames.
func smallSegments() journal.Config {
	c := journal.DefaultConfig()
	c.SegmentBytes, c.MaxFrameBytes, c.PendingBytes, c.BlockBytes = 16<<10, 2000, 4<<10, 512
	c.RetryPause = time.Millisecond
	return c
}

func TestMemlogIsALog(t *testing.T) {
	t.Parallel()
	logtest.Run(t, func(*testing.T) logtest.Factory {
		var log *memlog.Log
		return func() (engine.Log, error) {
			if log == nil {
				log = memlog.New()
				return log, nil
			}
			return log.Reopen(), nil
		}
	})
}

func TestJournalIsALog(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(t *testing.T) (vfs.FS, string){
		"mem": func(*testing.T) (vfs.FS, string) { return vfs.NewMem(), "log" },
		"os":  func(t *testing.T) (vfs.FS, string) { return vfs.OS{}, filepath.Join(t.TempDir(), "log") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logtest.Run(t, func(t *testing.T) logtest.Factory {
				fs, dir := fresh(t)
				return func() (engine.Log, error) {
					j, err := journal.Open(fs, dir, smallSegments())
					if err != nil {
						return nil, err
					}
					return engine.JournalLog(j), nil
				}
			})
		})
	}
}
