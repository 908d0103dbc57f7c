//go:build linux

package server_test

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"holdfast/internal/memlog"
	"holdfast/server"
)

// TestIdleServer is the process that BenchmarkIdleSockets measures; without it, it does nothing.
func TestIdleServer(t *testing.T) {
	if os.Getenv("HOLDFAST_IDLE_SERVER") == "" {
		t.Skip("only for BenchmarkIdleSockets")
	}
	s := listen(t, func(_ *memlog.Log, c *server.Config) { c.MaxStrangers = 10_000 })
	s.term()
	fmt.Println("idle: " + s.addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		time.Sleep(2 * time.Second) // stacks shrink in the collector's own time
		for range 3 {
			debug.FreeOSMemory()
		}
		fmt.Println("idle:", resident(t))
	}
}

// resident is this process's resident memory in bytes.
func resident(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb := 0
	fmt.Sscan(rest, &kb)
	return kb << 10
}
