// Package pgtest runs a real Postgres for tests: initdb in a temporary directory, a Unix socket, no TCP, no fsync.
//
// It needs the server's binaries (initdb, postgres) in PATH or below /usr/lib/postgresql. Without them a test is skipped,
// unless the environment variable CI is set: then it fails, so that nobody believes in tests that never ran.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Server is a Postgres of a test binary. Several tests may use it at once, each with a database of its own; a test that
// kills or restarts it needs a Server of its own. It ends with the test that started it.
type Server struct {
	bin   string // directory of the binaries
	dir   string // socket, data and log
	user  *account
	dbs   atomic.Int64
	ended chan struct{} // closed when the running process has ended; nil while none runs
	cmd   *exec.Cmd
}

// ErrNoBinaries says that there is no Postgres on this machine.
var ErrNoBinaries = errors.New("no initdb and postgres in PATH or below /usr/lib/postgresql")

// Start makes and starts a server for tb; it is ended, and its files are removed, when tb ends.
// Without binaries tb is skipped, or fails where CI is set.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := New()
	if errors.Is(err, ErrNoBinaries) && os.Getenv("CI") == "" {
		tb.Skip("skipped: ", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// New is Start for TestMain: the caller closes the server.
func New() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgt") // short: a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if err := s.make(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) make() error {
	user, err := unprivileged()
	if err != nil {
		return err
	}
	s.user = user
	if err := user.own(s.dir); err != nil {
		return err
	}
	cmd := s.command("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := s.Restart(); err != nil {
		s.Close()
		return err
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	s.user.run(cmd)
	return cmd
}

// Restart starts the server again after Kill, and returns once it takes connections. Settings ("fsync=on") stand above those
// of package pgtest.
func (s *Server) Restart(settings ...string) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "full_page_writes=off", "-c", "max_connections=50", "-c", "shared_buffers=64MB", "-c", "max_wal_size=4GB"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := s.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // its status does not matter: tests kill it
		close(ended)
	}()
	s.cmd, s.ended = cmd, ended
	return s.await()
}

// await returns once psql is answered. A server that recovers refuses for a while, so it asks again.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("unix", filepath.Join(s.dir, ".s.PGSQL.5432")); err == nil {
			conn.Close()
			if s.psql("SELECT 1") == nil {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("postgres ended at its start:\n%s", s.log())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer after 60 s:\n%s", s.log())
		case <-tick.C:
		}
	}
}

func (s *Server) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log")) // only for a message
	return string(text)
}

func (s *Server) psql(sql string) error {
	out, err := s.command("psql", "-X", "-q", "-h", s.dir, "-U", "postgres", "-d", "postgres", "-c", sql).CombinedOutput()
	if err != nil {
		return fmt.Errorf("psql: %w\n%s", err, out)
	}
	return nil
}

// Kill ends the server at once, as a crash does (SIGQUIT: its children end too), and waits until it is gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.user.quit(s.cmd)
	<-s.ended
	s.cmd = nil
}

// Database makes an empty database for tb and gives its URL.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := "t" + strconv.FormatInt(s.dbs.Add(1), 10)
	if err := s.psql("CREATE DATABASE " + name); err != nil {
		tb.Fatal(err)
	}
	return "postgres:///" + name + "?user=postgres&host=" + s.dir
}

// Close ends the server and removes its files.
func (s *Server) Close() {
	s.Kill()
	os.RemoveAll(s.dir)
}

// binaries finds the newest directory that has what is needed.
func binaries() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	for _, dir := range append(dirs, found...) {
		_, errInit := os.Stat(filepath.Join(dir, "initdb"))
		_, errServer := os.Stat(filepath.Join(dir, "postgres"))
		if errInit == nil && errServer == nil {
			return dir, nil
		}
	}
	return "", ErrNoBinaries
}

func version(bin string) int {
	n, _ := strconv.Atoi(strings.Split(filepath.Base(filepath.Dir(bin)), ".")[0]) // 0: sorts last
	return n
}

// Shared is one server for all tests of a binary, started by the first that asks. TestMain closes it.
type Shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Server gives the server; without binaries tb is skipped, or fails where CI is set.
func (s *Shared) Server(tb testing.TB) *Server {
	tb.Helper()
	s.once.Do(func() { s.server, s.err = New() })
	if errors.Is(s.err, ErrNoBinaries) && os.Getenv("CI") == "" {
		tb.Skip("skipped: ", s.err)
	}
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server
}

// Close ends the server, if one was started.
func (s *Shared) Close() {
	if s.server != nil {
		s.server.Close()
	}
}
