package server_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkConnectSockets: upgrade, hello and first push, 128 at a time, as a crowd that comes back; each connection is then closed.
func BenchmarkConnectSockets(b *testing.B) {
	var log batches
	addr := listenOurs(b, false, &log)
	var next atomic.Int64
	var wait sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range 128 {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				c, r := dialSocket(b, addr, fmt.Sprintf(`{"id":1,"do":"hello","person":"s%d"}`, i))
				if text, err := readText(r, nil); err != nil || !bytes.Contains(text, []byte(`"claims"`)) {
					b.Errorf("%s %v", text, err)
				}
				c.Close()
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
}
