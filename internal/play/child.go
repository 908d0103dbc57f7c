package play

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Child is the server as a process of its own, so that it can die like one. One goroutine at a time starts, kills and
// stops it. Whatever happens, Stop must be called.
type Child struct {
	program []string
	args    []string
	Address string // host:port, the same for every run
	log     tail
	Died    func(error) // called when the child ends although nobody asked it to

	cmd    *exec.Cmd
	asked  *atomic.Bool  // cmd was told to end
	exited chan struct{} // closed when cmd has ended
}

// NewChild prepares `serve` on a directory and a free port. program is the command up to "serve"; empty = this executable.
// database is its --database; empty = its default.
func NewChild(program []string, dir, database string) (*Child, error) {
	if len(program) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		program = []string{self}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--data", dir, "--listen", address}
	if database != "" {
		args = append(args, "--database", database)
	}
	return &Child{program: program, args: args, Address: address}, nil
}

// freeAddress finds a free port below the range from which the system gives ports to outgoing connections: while the
// child is dead, none of the crowd's sockets may take its place.
func freeAddress() (string, error) {
	var last error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("no free port: %w", last)
}

// Start runs the child and returns once it is ready.
func (c *Child) Start(ctx context.Context) error {
	args := append(c.program[1:len(c.program):len(c.program)], c.args...)
	c.cmd = exec.Command(c.program[0], args...)
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	c.cmd.SysProcAttr = processAttributes()
	// After the child's death its output pipe may be held open by nobody we know; do not wait for that.
	c.cmd.WaitDelay = time.Second
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	exited, asked, cmd := make(chan struct{}), new(atomic.Bool), c.cmd
	c.exited, c.asked = exited, asked
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(exited)
		if !asked.Load() {
			c.Died(fmt.Errorf("the server ended by itself (%v)%s", cmd.ProcessState, c.log.quote()))
		}
	}()
	return c.ready(ctx)
}

// ready waits until /readyz says 200.
func (c *Child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Address+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-c.exited:
			return fmt.Errorf("the server ended while starting (%v)%s", c.cmd.ProcessState, c.log.quote())
		case <-ctx.Done():
			return fmt.Errorf("the server was not ready within 60 s%s", c.log.quote())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// PID is the process that runs.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Kill is kill -9.
func (c *Child) Kill() error {
	c.asked.Store(true)
	if err := c.cmd.Process.Kill(); err != nil {
		return err
	}
	<-c.exited
	return nil
}

// stopLimit is how long a child may take to stop in good order.
const stopLimit = 60 * time.Second

// Stop ends the child in good order. It may be called at any time, and twice.
func (c *Child) Stop() error {
	if c.exited == nil {
		return nil
	}
	select {
	case <-c.exited:
		return nil
	default:
	}
	c.asked.Store(true)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.exited:
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("the server did not stop within %v; it was killed", stopLimit), c.Kill())
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server stopped with %v%s", c.cmd.ProcessState, c.log.quote())
	}
	return nil
}

// tail keeps the end of what the child wrote.
type tail struct {
	mu   sync.Mutex // guards what follows
	text []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(b), nil
}

// quote gives the last lines for an error message.
func (t *tail) quote() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(t.text)), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	return "; its last words:\n  " + strings.Join(lines[max(0, len(lines)-10):], "\n  ")
}
