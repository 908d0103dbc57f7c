//go:build unix

package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fanReaders are the subscribers of BenchmarkFanOutSockets, and fanOut names the variable that makes the test binary their process.
const (
	fanReaders = 10_000
	fanOut     = "HOLDFAST_FAN_OUT_SERVER"
)

// TestFanOutReaders is the other process of BenchmarkFanOutSockets; without it, nothing. It says when all its readers follow the pool, and each
// time when all of them have heard of a change.
func TestFanOutReaders(t *testing.T) {
	addr := os.Getenv(fanOut)
	if addr == "" {
		t.Skip("BenchmarkFanOutSockets starts it")
	}
	var heard atomic.Int64
	for i := range fanReaders {
		c, r := dialSocket(t, addr, fmt.Sprintf(`{"id":1,"do":"hello","person":"s%d"}`, i))
		defer c.Close()
		c.Write(textFrame(nil, `{"id":2,"do":"subscribe","pool":"c0"}`))
		for first := []byte(nil); !bytes.Contains(first, []byte(`"pool"`)); {
			var err error
			if first, err = readText(r, nil); err != nil {
				t.Fatal(err)
			}
		}
		go func() {
			for buf := []byte(nil); ; {
				var err error
				if buf, err = readText(r, buf); err != nil {
					return
				}
				if bytes.Contains(buf, []byte(`"push":"pool"`)) && heard.Add(1)%fanReaders == 0 {
					fmt.Println("fan-out: all")
				}
			}
		}()
	}
	fmt.Println("fan-out: all")
	os.Stdin.Read(make([]byte, 1)) // ends with who started it
}

// BenchmarkFanOutSockets reports how long a change of a pool takes to reach 10,000 subscribers, the readers in a process of their own on the same
// machine: from the claim that makes it, sent, to the last of them.
func BenchmarkFanOutSockets(b *testing.B) {
	var log batches
	addr := listenOurs(b, false, &log)
	cmd := exec.Command(os.Args[0], "-test.run=^TestFanOutReaders$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), fanOut+"="+addr)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	all := func() time.Time {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "fan-out: all") {
				return time.Now()
			}
		}
		b.Fatal("the readers have ended")
		return time.Time{}
	}
	all()
	c, r := dialSocket(b, addr, `{"id":1,"do":"hello"}`)
	b.Cleanup(func() { c.Close() })
	took := []time.Duration{}
	b.ResetTimer()
	for i := range b.N {
		time.Sleep(300 * time.Millisecond) // counts are told at most four times a second
		began := time.Now()
		c.Write(textFrame(nil, fmt.Sprintf(`{"id":%d,"do":"claim","as":"n%d","pool":"c0","quiet":true}`, i+2, i)))
		if text, err := readText(r, nil); err != nil || !bytes.Contains(text, []byte("confirmed")) {
			b.Fatalf("%s %v", text, err)
		}
		took = append(took, all().Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[len(took)-1])/1e6, "max-ms")
	b.ReportMetric(0, "ns/op")
}
