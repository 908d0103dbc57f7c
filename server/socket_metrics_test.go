package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// TestSocketMetrics: what waits, who is there, and how far the pushes are behind can be seen.
func TestSocketMetrics(t *testing.T) {
	k := newLock(t)
	ann := k.key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
	backend := k.key(auth.Key{Role: auth.Backend, Realm: "spring"})
	synctest.Test(t, func(t *testing.T) {
		h := &held{}
		s := lockedTerm(t, k, func(l *memlog.Log, _ *server.Config) { l.Gate = h.gate })
		is := func(name, label string, want float64) {
			t.Helper()
			synctest.Wait()
			if n := s.metric(name, label); n != want {
				t.Errorf("%s %s is %v, want %v", name, label, n, want)
			}
		}
		p, b := s.as(ann), s.as(backend)
		is("holdfast_sockets_known", "person", 1)
		is("holdfast_sockets_known", "backend", 1)
		is("holdfast_sockets_queued_bytes", "", 0)
		b.say(`{"id":2,"do":"subscribe","as":"ann"}{"id":3,"do":"subscribe","as":"bob"}`)
		synctest.Wait()
		// Not by either connection: whether who claims is also pushed what it is answered is a matter of moments.
		s.must(200, "PUT", "/v1/realms/spring/pools/c1/claims/ann", "", bearerOf(backend)...)
		synctest.Wait()
		if n := s.metric("holdfast_sockets_queued_bytes", ""); n < 50 || n > 1000 { // the backend does not read
			t.Errorf("%v bytes wait", n)
		}
		p.hear("push=claims")
		for synctest.Wait(); s.metric("holdfast_sockets_queued_bytes", "") > 0; synctest.Wait() {
			b.skipTo("push=claims")
		}
		is("holdfast_sockets_queued_bytes", "", 0)
		// The log is held: whom its last event concerns is looked at, and nobody told before it is confirmed.
		h.close()
		p.say(`{"id":3,"do":"release","pool":"c1"}`)
		p.skipTo("reply=3 durability=preapproved")
		b.say(`{"id":4,"do":"subscribe","as":"cid"}{"id":5,"do":"subscribe","as":"dan"}`)
		b.skipTo("reply=5")
		synctest.Wait() // these are looked at, and eve is not before that is done
		b.say(`{"id":6,"do":"subscribe","as":"eve"}`)
		b.skipTo("reply=6")
		synctest.Wait()
		if n := s.metric("holdfast_pushes_due", ""); n < 1 {
			t.Errorf("%v are due", n)
		}
		h.open(nil)
		p.skipTo("reply=3 durability=confirmed")
		for range 4 {
			b.skipTo("push=claims")
		}
		is("holdfast_pushes_due", "", 0)
		is("holdfast_pushes_behind_events", "", 0)
		p.conn.CloseNow()
		b.conn.CloseNow()
		time.Sleep(5 * time.Second)
		is("holdfast_sockets_known", "person", 0)
		is("holdfast_sockets_known", "backend", 0)
	})
}
