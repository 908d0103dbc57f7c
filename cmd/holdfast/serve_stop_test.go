package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/seat"
	"holdfast/server"
)

// TestFailedLogEndsTheServer: a disk that fails ends the process with a message that names the next command.
func TestFailedLogEndsTheServer(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	log := memlog.New()
	log.Gate = func(first uint64, _ int) error {
		if first > 2 {
			return broken
		}
		return nil
	}
	e, err := engine.Open(log, engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	s := &service{registry: prometheus.NewRegistry(), entrance: server.DefaultConfig(), engine: e, cfg: serveConfig{
		Data: "DIR", Listen: "127.0.0.1:0", Database: noDatabase, Drain: time.Second,
		Stdout: io.Discard, Logger: slog.New(slog.DiscardHandler)}}
	if err := s.openServer(); err != nil {
		t.Fatal(err)
	}
	for _, body := range []holdfast.Body{holdfast.PutRealm{Limits: seat.DefaultLimits()}, seat.PutPool{Pool: "p"}} {
		if a, err := e.Do("r", body); err == nil {
			_ = a.Wait(t.Context()) // the first one stands, the second is unknown
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	err = errors.Join(s.wait(ctx), s.stop())
	if !errors.Is(err, broken) || nextStep(err) != "look at the disk (dmesg), then: holdfast verify DIR" {
		t.Errorf("it ends with %v, next %q", err, nextStep(err))
	}
	var stderr strings.Builder
	if code := tell(&stderr, newRoot(), err); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	expect(t, "the message", stderr.String(), "the log failed", "next: ")
}

// TestStopThatHangs: a disk that does not answer any more keeps the log from closing. The stop ends all the same, says why, and fails; what
// failed before is told too.
func TestStopThatHangs(t *testing.T) {
	t.Parallel()
	broken := errors.New("the listener is broken")
	for _, c := range []struct {
		name  string
		fails error
	}{{"signal", nil}, {"failure", broken}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hang, asked := make(chan struct{}), make(chan struct{}, 8)
			log := memlog.New()
			log.Gate = func(first uint64, _ int) error {
				if first == 1 {
					return nil // the engine's own start
				}
				asked <- struct{}{}
				<-hang
				return nil
			}
			e, err := engine.Open(log, engine.DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			s := &service{registry: prometheus.NewRegistry(), entrance: server.DefaultConfig(), engine: e, cfg: serveConfig{
				Data: "DIR", Listen: "127.0.0.1:0", Database: noDatabase, Drain: 30 * time.Millisecond, Slack: 50 * time.Millisecond,
				Stdout: io.Discard, Logger: slog.New(slog.DiscardHandler)}}
			if err := s.openServer(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			lives := make(chan struct{})
			began := time.Now()
			err = s.watched(ctx, func(s *service, ctx context.Context) error {
				defer close(lives)
				if _, err := e.Do("r", holdfast.PutRealm{Limits: seat.DefaultLimits()}); err != nil {
					t.Error(err)
				}
				<-asked // it hangs now
				if c.fails == nil {
					cancel()
				}
				return s.end(c.fails)
			})
			cancel()
			if took := time.Since(began); took < 80*time.Millisecond || took > deadline/2 {
				t.Errorf("it ends after %s", took)
			}
			if c.fails != nil && !errors.Is(err, c.fails) {
				t.Errorf("it ends with %v, want %v too", err, c.fails)
			}
			var stderr strings.Builder
			if code := tell(&stderr, newRoot(), err); code != exitFailure {
				t.Errorf("exit code %d", code)
			}
			expect(t, "the message", stderr.String(), "the stop hangs: the log does not end within 80ms; what was confirmed stands", "next: ")
			close(hang) // what was left alone ends
			<-lives
		})
	}
}

// TestStartThatHangs: a signal ends a start that hangs.
func TestStartThatHangs(t *testing.T) {
	t.Parallel()
	s := &service{cfg: serveConfig{Data: "DIR", Drain: time.Millisecond, Slack: time.Millisecond}}
	ctx, cancel := context.WithCancel(t.Context())
	hang := make(chan struct{})
	defer close(hang)
	err := s.watched(ctx, func(*service, context.Context) error {
		cancel()
		<-hang
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "the start does not end within 2ms") {
		t.Errorf("it ends with %v", err)
	}
}

// TestSilentDatabase: a database that takes connections and says nothing does not keep the server from its end.
func TestSilentDatabase(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	c := startServer(t, t.TempDir(), "--drain", "100ms", "--database", "postgres://user@"+l.Addr().String()+"/db?sslmode=disable")
	fill(c, 3)
	began := time.Now()
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, c.stderr)
	}
	if took := time.Since(began); took > 10*time.Second { // 100 ms, and 2 s for the database, on a machine that has other things to do
		t.Errorf("it ends after %s", took)
	}
}

// TestSecondSignal: who does not want to wait for a stop sends the signal again.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	c := startServer(t, t.TempDir(), "--database", "none")
	fill(c, 1)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A body that does not arrive keeps a stop waiting, here for ten seconds. That it is being read is told by the 100.
	fmt.Fprintf(conn, "PUT /v1/realms/spring/pools/c1 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	if _, err := conn.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); !strings.Contains(c.stderr.String(), "a second signal ends it at once"); time.Sleep(time.Millisecond) {
		if time.Since(began) > deadline {
			t.Fatal("it does not stop")
		}
	}
	began := time.Now()
	if code := c.end(syscall.SIGTERM); code != -1 || time.Since(began) > 5*time.Second {
		t.Errorf("the second signal ends it after %s with %s", time.Since(began), c.cmd.ProcessState)
	}
}

// TestStopFitsThirtySeconds: without flags a stop ends, also one that hangs, before Kubernetes kills the process.
func TestStopFitsThirtySeconds(t *testing.T) {
	t.Parallel()
	drain, err := newServe().Flags().GetDuration("drain")
	if err != nil {
		t.Fatal(err)
	}
	cfg := defaultServe()
	if drain != cfg.Drain || drain < mirrorLeast {
		t.Errorf("--drain is %v, of which the database gets %v at least; the default is %v", drain, mirrorLeast, cfg.Drain)
	}
	if most := drain + cfg.Slack; cfg.Slack <= mirrorLeast || most > 25*time.Second {
		t.Errorf("a stop takes up to %v, %v of it beyond --drain", most, cfg.Slack)
	}
	expect(t, "the description", newServe().Long, "exit code 1 five seconds after --drain")
	if cfg.Slack != 5*time.Second {
		t.Errorf("the description says five seconds, not %v", cfg.Slack)
	}
}
