package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asCommand makes the test binary the command itself, so that the processes of the tests are checked for races too.
const asCommand = "HOLDFAST_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// deadline bounds every wait: a test that is stuck fails.
const deadline = 60 * time.Second

// cli runs one command line in this process.
func cli(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return out.String(), errs.String(), code
}

// child is a server as a process of its own.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	stdout *bytes.Buffer // complete once the process has ended
	stderr *syncBuffer
	ended  chan struct{}
}

// syncBuffer is written by a process while a test reads it.
type syncBuffer struct {
	mu sync.Mutex // guards what follows
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startServer runs serve on a free port and returns once it has said where it listens.
func startServer(t *testing.T, dir string, more ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, stdout: &bytes.Buffer{}, stderr: &syncBuffer{}, ended: make(chan struct{})}
	c.cmd = exec.Command(self, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, more...)...)
	c.cmd.Env = append(os.Environ(), asCommand+"=1")
	c.cmd.Stderr = c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.cmd.Process.Kill() // it may have ended
		<-c.ended
	})
	told := make(chan string, 1)
	go func() {
		defer close(c.ended)
		scan := bufio.NewScanner(io.TeeReader(out, c.stdout))
		for scan.Scan() {
			if _, url, ok := strings.Cut(scan.Text(), "listens on "); ok {
				told <- url
			}
		}
		c.cmd.Wait() // its code is in ProcessState
	}()
	select {
	case c.url = <-told:
	case <-c.ended:
		t.Fatalf("the server ended with %v: %s", c.cmd.ProcessState, c.stderr)
	case <-time.After(deadline):
		t.Fatalf("the server does not listen: %s", c.stderr)
	}
	return c
}

// end sends a signal and gives the exit code.
func (c *child) end(sig syscall.Signal) int {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Fatal(err)
	}
	select {
	case <-c.ended:
	case <-time.After(deadline):
		c.t.Fatalf("the server does not end: %s", c.stderr)
	}
	return c.cmd.ProcessState.ExitCode()
}

// call asks the server and gives the status and the answer.
func (c *child) call(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	return call(c.t, c.url, method, path, body)
}

func call(t *testing.T, url, method, path, body string) (int, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %d: %v", method, path, resp.StatusCode, err)
	}
	return resp.StatusCode, answer
}

// must is call for what has to be decided and confirmed.
func (c *child) must(method, path, body string) map[string]any {
	c.t.Helper()
	status, answer := c.call(method, path, body)
	if status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	return answer
}

// expect fails unless text has every part.
func expect(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, text)
		}
	}
}
