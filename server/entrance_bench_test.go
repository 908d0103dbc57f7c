//go:build unix

package server_test

import (
	"net"
	"path/filepath"
	"testing"

	"holdfast/auth"
	"holdfast/server"
)

// BenchmarkClaimAuth reports claims a second over HTTP, confirmed, of a back end whose key is checked with each, against a server without
// authentication that gets the same bytes; in turns in one run.
func BenchmarkClaimAuth(b *testing.B) {
	acfg := auth.DefaultConfig()
	acfg.Keys = filepath.Join(b.TempDir(), "keys.json")
	_, token, err := auth.KeyFile{Path: acfg.Keys}.Create(auth.Key{Role: auth.Backend, Realm: "spring"})
	if err != nil {
		b.Fatal(err)
	}
	authority, err := auth.Open(acfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(authority.Close)
	var log batches
	sides := []*side{
		{name: "open", addr: listenOurs(b, false, &log)},
		{name: "keyed", addr: listenOurs(b, false, &log, func(cfg *server.Config) { cfg.Auth = authority })},
	}
	for _, s := range sides {
		s.head = "Authorization: Bearer " + token + "\r\n"
		for range benchConns {
			conn, err := net.Dial("tcp", s.addr)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { conn.Close() })
			s.conns = append(s.conns, conn)
		}
		s.round(b, -1, benchRound/8) // warms up
		s.took, s.cpu, s.each = 0, 0, nil
	}
	for i := range b.N {
		sides[i%2].round(b, i, benchRound)
		sides[1-i%2].round(b, i, benchRound)
	}
	rate := func(s *side) float64 { return float64(len(s.each)) / s.took.Seconds() }
	for _, s := range sides {
		b.ReportMetric(rate(s), s.name+"-claims/s")
		b.ReportMetric(float64(s.cpu.Microseconds())/float64(len(s.each)), s.name+"-cpu-us")
	}
	b.ReportMetric(rate(sides[1])/rate(sides[0]), "ratio")
	b.ReportMetric(0, "ns/op")
}
