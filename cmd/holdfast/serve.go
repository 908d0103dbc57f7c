package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"holdfast/engine"
	"holdfast/mirror"
	"holdfast/server"
)

// serveConfig is what serve runs with.
type serveConfig struct {
	Data     string // the data directory; made if it is missing
	Listen   string // HOST:PORT; port 0 takes a free one
	Entrance entrance
	Database string        // sqlite:PATH, postgres://…, none; empty = holdfast.db in Data
	Drain    time.Duration // how long a stop takes at most, before what is left is cut: requests at work, and then the database
	Slack    time.Duration // what a stop that hangs gets beyond Drain; then the process ends as it is
	Stdout   io.Writer     // what the operator reads at the start
	Logger   *slog.Logger
}

// defaultServe is what serve runs with where no flag says otherwise. Drain and Slack are together at most 25 s:
// Kubernetes kills 30 s after its signal.
func defaultServe() serveConfig {
	return serveConfig{Data: defaultData, Listen: "127.0.0.1:7700", Drain: 20 * time.Second, Slack: 5 * time.Second}
}

func newServe() *cobra.Command {
	cfg := defaultServe()
	format, level := "text", slog.LevelInfo
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server; makes what is missing",
		Long: `Runs the server until SIGTERM or Ctrl-C, and then stops in good order; a second signal ends it at once.
A stop that hangs, on a disk that does not answer for example, ends with exit code 1 five seconds after --drain.

The data directory holds the log, which is the truth, and the database, unless --database names another.
The database is a copy for you to read and join; it may be down while the server runs.

Without API keys (holdfast key create) and without --jwt-… nobody is asked who they are: then it listens on loopback only, and
whoever reaches the port may do everything. docs/AUTH.md tells the rest.`,
		Example: `  holdfast serve
  holdfast serve --data /var/lib/holdfast --database postgres://holdfast@db.internal/enrolment
  holdfast serve --listen 127.0.0.1:0 --database none
  holdfast serve --listen :443 --tls-cert cert.pem --tls-key key.pem --origin https://portal.example.edu`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Stdout = cmd.OutOrStdout()
			from := &slog.HandlerOptions{Level: level}
			switch format {
			case "text":
				cfg.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), from))
			case "json":
				cfg.Logger = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), from))
			default:
				return &usageError{fmt.Errorf("--log-format %q: it is text or json", format)}
			}
			return serve(cmd.Context(), cfg)
		},
	}
	run := newGroup("What it runs with")
	f := run.flags
	f.StringVar(&cfg.Listen, "listen", cfg.Listen, "`HOST:PORT`; port 0 takes a free one and prints it. Beyond loopback only with authentication and TLS")
	f.StringVar(&cfg.Data, "data", cfg.Data, "data `DIR`")
	f.StringVar(&cfg.Database, "database", "", "`URL`: sqlite:FILE, postgres://…, or none (default holdfast.db in the data directory)")
	f.DurationVar(&cfg.Drain, "drain", cfg.Drain, "how long a stop takes at most: requests at work, then connections, then the database")
	f.StringVar(&format, "log-format", format, "of stderr: text or json")
	f.TextVar(&level, "log-level", level, "`LEVEL` from which on stderr is told: debug (also why tokens are refused), info, warn or error")
	groupFlags(cmd, append([]flagGroup{run}, cfg.Entrance.flags()...)...)
	return cmd
}

// noDatabase is the --database of a server without a mirror.
const noDatabase = "none"

// databaseOf is the URL of a data directory's database; empty = it has none.
func databaseOf(dir, flag string) string {
	switch flag {
	case noDatabase:
		return ""
	case "":
		return "sqlite:" + filepath.Join(dir, "holdfast.db")
	}
	return flag
}

// serve runs a server until ctx ends (nil, when everything stopped in good order) or something fails. It returns at the latest Drain and
// Slack after that, also while something hangs: then the process shall end, for what still runs is left alone.
func serve(ctx context.Context, cfg serveConfig) error {
	return (&service{cfg: cfg, registry: prometheus.NewRegistry()}).watched(ctx, (*service).live)
}

// live is a server's life.
func (s *service) live(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return s.end(err)
	}
	s.greet()
	return s.end(s.wait(ctx))
}

// watched runs a life, and does not wait for the end of one that hangs.
func (s *service) watched(ctx context.Context, life func(*service, context.Context) error) error {
	s.step.Store("the start")
	s.ends = make(chan error, 1)
	ended := make(chan error, 1)
	go func() { ended <- life(s, ctx) }()
	var cause error
	select {
	case err := <-ended:
		return err
	case cause = <-s.ends:
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(s.cfg.Drain + s.cfg.Slack):
		err := fmt.Errorf("the stop hangs: %s does not end within %s; what was confirmed stands", s.step.Load(), s.cfg.Drain+s.cfg.Slack)
		return errors.Join(cause, advise(err, "look at the disk (dmesg), then: holdfast verify %s", s.cfg.Data))
	}
}

// service is what serve has started, in this order. One goroutine owns it; step and ends are for who watches that one.
type service struct {
	cfg      serveConfig
	registry *prometheus.Registry
	step     atomic.Value // a string: what has to end before the next step
	ends     chan error   // why the stop begins; nil = not watched

	entrance  server.Config // Auth is nil: nobody is asked who they are
	engine    *engine.Engine
	mirror    *mirror.Mirror // nil: --database none
	mirroring chan struct{}  // closed when the mirror has ended
	server    *server.Server
	listener  net.Listener
	serving   chan error
}

// start begins innermost first: nobody may ask before the log is recovered and the database is known to belong to it.
// After an error, stop ends what was started.
func (s *service) start(ctx context.Context) error {
	s.entrance = server.DefaultConfig()
	if err := s.cfg.Entrance.open(s.cfg.Data, &s.entrance, s.cfg.Logger); err != nil {
		return err
	}
	// The port is tried before anything on the disk is touched; it is taken for good when there is an answer to give.
	probe, err := s.listen()
	if err != nil {
		return err
	}
	probe.Close()
	if err := s.rightDatabase(ctx); err != nil {
		return err
	}
	if err := s.openEngine(); err != nil {
		return err
	}
	if err := s.openMirror(ctx); err != nil {
		return err
	}
	return s.openServer()
}

func (s *service) listen() (net.Listener, error) {
	l, err := s.entrance.Listen(s.cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, advise(err, "stop who has that port, or take a free one: holdfast serve --listen 127.0.0.1:0")
	}
	return l, advise(err, "holdfast serve --listen 127.0.0.1:7700")
}

func (s *service) openEngine() error {
	cfg := engine.DefaultConfig()
	cfg.Logger = s.cfg.Logger
	batches, err := newBatchMetrics(s.registry)
	if err != nil {
		return err
	}
	cfg.OnBatch = batches.observe
	if databaseOf(s.cfg.Data, s.cfg.Database) != "" {
		cfg.Readers = []string{mirror.Reader} // nothing is trimmed before the mirror has said where it is
	}
	s.engine, err = engine.OpenDir(s.cfg.Data, cfg)
	if err != nil {
		return adviseOpen(err, s.cfg.Data)
	}
	if inMemory(s.cfg.Data) {
		s.cfg.Logger.Warn("the data directory is in memory (tmpfs): everything in it is lost when this machine stops; "+
			"name one on a disk with --data", "data", s.cfg.Data)
	}
	return registerEngine(s.registry, s.engine, s.cfg.Data)
}

func (s *service) openServer() (err error) {
	cfg := s.entrance
	cfg.Logger, cfg.Registerer, cfg.Gatherer = s.cfg.Logger, s.registry, s.registry
	var recorder server.Recorder
	if s.mirror != nil {
		recorder = mirrorRecorder{s.mirror}
	}
	if s.server, err = server.New(s.engine, recorder, cfg); err != nil {
		return err
	}
	if s.listener, err = s.listen(); err != nil {
		return err
	}
	s.serving = make(chan error, 1)
	go func() { s.serving <- s.server.Serve(s.listener) }()
	return nil
}

// greet tells the operator where everything is, and gives commands that work as they stand.
func (s *service) greet() {
	url := "http://" + s.listener.Addr().String()
	if s.entrance.TLS != nil {
		url = "https://" + s.listener.Addr().String()
	}
	out := s.cfg.Stdout
	fmt.Fprintf(out, "Holdfast listens on %s\n", url)
	fmt.Fprintf(out, "  data      %s\n", s.cfg.Data)
	fmt.Fprintf(out, "  database  %s\n", cmp.Or(hidePassword(databaseOf(s.cfg.Data, s.cfg.Database)), "none: nothing is recorded outside the log"))
	fmt.Fprintf(out, "  who asks  %s\n", s.cfg.Entrance.tells(s.cfg.Data))
	fmt.Fprintf(out, "  stop      Ctrl-C\n\n")
	if s.entrance.Auth != nil {
		fmt.Fprintf(out, "Who asks needs a token; with an API key in KEY (holdfast key create):\n\n")
		fmt.Fprintf(out, "  curl -H \"Authorization: Bearer $KEY\" %s/v1/realms\n\n", reachable(url, s.listener.Addr()))
		return
	}
	if s.engine.Stats().Realms > 0 {
		fmt.Fprintf(out, "What it holds:\n\n  curl %s/v1/realms\n\n", url)
		return
	}
	fmt.Fprintf(out, "Try it: make a realm, a pool of two seats, and claim one:\n\n")
	fmt.Fprintf(out, "  curl -X PUT %s/v1/realms/demo\n", url)
	fmt.Fprintf(out, "  curl -X PUT %s/v1/realms/demo/pools/tango -H 'Content-Type: application/json' -d '{\"capacity\":2}'\n", url)
	fmt.Fprintf(out, "  curl -X PUT %s/v1/realms/demo/pools/tango/claims/ada\n\n", url)
}

// reachable is url under a name that can be asked: nobody can ask "all addresses".
func reachable(url string, addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return strings.Replace(url, addr.String(), fmt.Sprintf("localhost:%d", tcp.Port), 1)
	}
	return url
}

// wait returns nil when ctx ends, or says what failed before.
func (s *service) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		s.cfg.Logger.Info("stopping; a second signal ends it at once")
		return nil
	case <-s.engine.Done():
		err := fmt.Errorf("the log failed; what was not confirmed is unknown, what was confirmed stands: %w", s.engine.Err())
		return advise(err, "look at the disk (dmesg), then: holdfast verify %s", s.cfg.Data)
	case err := <-s.serving:
		return fmt.Errorf("the listener failed: %w", err)
	}
}

// end stops, because of err.
func (s *service) end(err error) error {
	if s.ends != nil {
		s.ends <- err
	}
	return errors.Join(err, s.stop())
}

// stop ends what was started, outermost first.
func (s *service) stop() error {
	var failed error
	until := time.Now().Add(s.cfg.Drain)
	// 1. The server takes nothing new and answers what is at work, confirmed: so the engine still runs. Then the feeds end.
	if s.listener != nil {
		s.step.Store("the server")
		ctx, cancel := context.WithDeadline(context.Background(), until)
		if err := s.server.Shutdown(ctx); err != nil {
			s.cfg.Logger.Warn("not every request was answered in time", "error", err)
		}
		cancel()
	}
	// 2. The engine confirms what is decided and seals the log. From here on the directory is whole, whatever follows.
	if s.engine != nil {
		s.step.Store("the log")
		ended := s.engine.Err() // wait has told of it
		if err := s.engine.Close(); err != nil && ended == nil {
			failed = adviseOpen(fmt.Errorf("closing the log: %w", err), s.cfg.Data)
		}
	}
	// 3. The mirror reads the sealed log to its end, for a bounded time: what it does not reach is recorded after the next
	//    start. It comes after the engine, because only then is the end the end.
	if s.mirror != nil {
		s.step.Store("the database")
		s.drainMirror(later(until, time.Now().Add(mirrorLeast)))
	}
	// 4. Nobody asks any more who anybody is.
	if s.entrance.Auth != nil {
		s.step.Store("the check of keys")
		s.entrance.Auth.Close()
	}
	if s.engine != nil {
		s.cfg.Logger.Info("stopped", "seq", s.engine.Durable().Seq)
	}
	return failed
}

// mirrorLeast is what the mirror gets of a stop whose time is over.
const mirrorLeast = 2 * time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
