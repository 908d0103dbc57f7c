package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is a TLS certificate in two files. They are looked at again while it is used, so that a renewed one is in use without a restart;
// one that cannot be read leaves the old one in use. Safe for concurrent use.
type certificate struct {
	cert, key string
	logger    *slog.Logger

	mu     sync.Mutex // guards what follows
	looked time.Time
	mark   [2]fileMark
	now    *tls.Certificate
}

// fileMark tells one content of a file from the next.
type fileMark struct {
	size int64
	at   time.Time
}

// lookEvery bounds how often the files are looked at.
const lookEvery = time.Second

// newTLS gives what the server needs to speak TLS with the certificate in two files.
func newTLS(cert, key string, logger *slog.Logger) (*tls.Config, error) {
	c := &certificate{cert: cert, key: key, logger: logger}
	mark, err := c.marks()
	if err != nil {
		return nil, err
	}
	if err := c.loadLocked(mark); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.get(time.Now()), nil
	}}, nil
}

func (c *certificate) get(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) < lookEvery {
		return c.now
	}
	c.looked = now
	mark, err := c.marks()
	if err == nil && mark != c.mark {
		if err = c.loadLocked(mark); err == nil {
			c.logger.Info("the TLS certificate was renewed", "file", c.cert)
		}
	}
	if err != nil {
		c.logger.Error("the TLS certificate cannot be read again; the old one stays in use", "error", err)
	}
	return c.now
}

func (c *certificate) marks() (mark [2]fileMark, err error) {
	for i, name := range [...]string{c.cert, c.key} {
		st, err := os.Stat(name)
		if err != nil {
			return mark, err
		}
		mark[i] = fileMark{st.Size(), st.ModTime()}
	}
	return mark, nil
}

func (c *certificate) loadLocked(mark [2]fileMark) error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("the certificate in %s with the key in %s: %w", c.cert, c.key, err)
	}
	c.now, c.mark = &pair, mark
	return nil
}
