package server_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

// heapNow is what is in use.
func heapNow() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestSocketMemory: what one connection can make the server keep is bounded: with frames and pushes of which nothing is read, and
// with the most that may wait for a log that is stuck. (The clients' own memory counts here too.)
func TestSocketMemory(t *testing.T) {
	const crowd = 40
	items := `{"pool":"b0"}`
	for i := range 31 {
		items += fmt.Sprintf(`,{"pool":"b%d"}`, i+1)
	}
	for _, c := range []struct {
		name, frame string
		reads       bool
		most        int // bytes for each
	}{
		{"unread", strings.Repeat(`{"id":7,"do":"x"}`, 900), false, 320 << 10},
		{"stuck", strings.Repeat(`{"id":7,"do":"basket","mode":"each","items":[`+items+`]}`, 25), true, 192 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &held{}
				s := serve(t, nil, hold(h))
				s.term()
				for i := range 32 {
					s.must(200, "PUT", fmt.Sprintf("/v1/realms/spring/pools/b%d", i), `{"capacity":1}`)
				}
				var phones []*phone
				for i := range crowd {
					phones = append(phones, s.hello(fmt.Sprintf("s%d", i)))
				}
				before := heapNow()
				if c.reads {
					synctest.Wait()
					h.close()
					defer h.open(nil)
				}
				for i, p := range phones {
					for n := 0; n < 350 && !c.reads; n++ {
						s.raw([]string{"PUT", "DELETE"}[n%2], fmt.Sprintf("/v1/realms/spring/pools/c1/claims/s%d", i), "")
						synctest.Wait()
					}
					go func() {
						for n := 0; n < 4 || !c.reads; n++ {
							if p.conn.Write(context.Background(), websocket.MessageText, []byte(c.frame)) != nil {
								return
							}
						}
					}()
					for c.reads && p.skipTo("reply=7")["code"] != "busy" {
					}
					if c.reads {
						go func() {
							for {
								if _, _, err := p.conn.Read(context.Background()); err != nil {
									return
								}
							}
						}()
					}
				}
				synctest.Wait()
				each := (heapNow() - before) / crowd
				t.Logf("%d KiB each", each>>10)
				if n := s.metric("holdfast_sockets", ""); n != crowd {
					t.Errorf("%v connections are left", n)
				}
				if each > c.most {
					t.Errorf("%d bytes", each)
				}
			})
		})
	}
}
