package auth

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// watched is a file that is read again when it changed. One goroutine owns it.
type watched struct {
	path    string
	most    int64       // bytes
	foreign fs.FileMode // the permission bits it must not have
	last    fs.FileInfo // as it was read last; nil = it was not there, or could not be read
	settled bool        // it was read long enough after its last change that no later one can look the same
}

// clockGrain is how close to each other two changes may be whose times look the same, with much to spare.
const clockGrain = 2 * time.Second

// read gives the content, or fresh = false if nothing changed since. Errors: fs.ErrNotExist, ErrFile, what the disk says;
// after one, the next read tries again.
func (w *watched) read() (content []byte, info fs.FileInfo, fresh bool, err error) {
	info, err = os.Stat(w.path)
	if err != nil {
		w.last = nil
		return nil, nil, false, err
	}
	if w.last != nil && w.settled && sameFile(w.last, info) {
		return nil, info, false, nil
	}
	w.last = nil
	content, info, err = readTrusted(w.path, w.most, w.foreign)
	if err != nil {
		return nil, info, false, err
	}
	w.last, w.settled = info, time.Since(info.ModTime()) > clockGrain
	return content, info, true, nil
}

func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// readTrusted reads a regular file that has none of the foreign permission bits and at most most bytes.
func readTrusted(path string, most int64, foreign fs.FileMode) ([]byte, fs.FileInfo, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // before opening: a pipe would not let go
		return nil, nil, fmt.Errorf("%s: %w: it is not a regular file", path, ErrFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case info.Mode()&foreign != 0:
		return nil, info, fmt.Errorf("%s: %w: its mode is %04o, so others may have a hand in it; chmod 600", path, ErrFile, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, info, err
	case int64(len(b)) > most:
		return nil, info, fmt.Errorf("%s: %w: it is longer than %d bytes", path, ErrFile, most)
	}
	return b, info, nil
}

// condition is how something stands that is looked at again and again: it is told when it changes. One goroutine owns it.
type condition struct {
	logger *slog.Logger
	told   string // what is wrong; "" = all is well
}

// is tells what is wrong, once until it is something else.
func (c *condition) is(level slog.Level, text string, args ...any) {
	if what := text + fmt.Sprint(args...); c.told != what {
		c.told = what
		c.logger.Log(context.Background(), level, text, args...)
	}
}

// well tells that nothing is wrong any more.
func (c *condition) well(text string, args ...any) {
	if c.told != "" {
		c.told = ""
		c.logger.Info(text, args...)
	}
}
