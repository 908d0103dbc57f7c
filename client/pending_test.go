package client_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"holdfast/client"
)

// TestReconnectsBackOff: a server that ends every connection is not hammered, and clients do not come back in step.
func TestReconnectsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		first := map[time.Duration]bool{}
		began := time.Now()
		f := newFake(t, func(k *talk) {
			mu.Lock()
			first[time.Since(began)] = true
			mu.Unlock()
			k.greet()
		})
		for range 20 {
			w := f.client().Watch(t.Context(), "ann", client.Cursor{})
			defer w.Close()
		}
		time.Sleep(2 * time.Minute)
		if n := f.dialled() / 20; n < 10 || n > 60 {
			t.Errorf("each came %d times in two minutes", n)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(first) < f.dialled()*9/10 {
			t.Errorf("they came at %d different times, %d times in all", len(first), f.dialled())
		}
	})
}

// TestFramesAreBounded: what was asked while no connection was up goes in frames that the server takes, each message whole.
func TestFramesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames, heard := 0, 0
		f := newFake(t, func(k *talk) {
			k.greet()
			for {
				_, frame, err := k.conn.Read(context.Background())
				if err != nil {
					return
				}
				frames++
				if len(frame) > 16<<10 {
					t.Errorf("a frame of %d bytes", len(frame))
				}
				for line := range strings.Lines(string(frame)) {
					heard++
					if line = strings.TrimSpace(line); !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}") {
						t.Errorf("%q", line)
					}
					var id int
					fmt.Sscanf(line, `{"id":%d`, &id)
					k.conn.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, `{"reply":%d,"pool":"c1","person":"ann","status":"none","durability":"confirmed","as_of":1}`, id))
				}
			}
		})
		f.set(func(n *network) { n.listener.Close() })
		c := f.client(func(cfg *client.Config) { cfg.InFlight = 1000 })
		l := c.Dial(t.Context(), "", client.Cursor{})
		defer l.Close()
		var all sync.WaitGroup
		person := strings.Repeat("p", 100)
		for range 500 {
			all.Go(func() {
				if _, err := l.Standing(t.Context(), "c1", person); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		listener := f.listen()
		gone := make(chan struct{})
		go func() { defer close(gone); f.server.Serve(listener) }()
		all.Wait()
		if frames < 4 || frames > 50 || heard != 500 {
			t.Errorf("%d messages in %d frames", heard, frames)
		}
		l.Close()
		listener.Close()
		<-gone
	})
}

// TestPreapprovedIsKept: on a connection too. It is asked again for as long as it takes, and is the answer where time is up.
func TestPreapprovedIsKept(t *testing.T) {
	for _, enough := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			f := newFake(t, func(k *talk) {
				k.greet()
				for m := k.hear(); m != nil; m = k.hear() {
					const standing = `"pool":"c1","person":"ann","status":"seated","seat":1`
					if asked++; asked == 1 {
						k.say(fmt.Sprintf(`{"reply":%v,%s,"durability":"preapproved","as_of":11}`, m["id"], standing))
					}
					if asked <= 20 {
						k.say(fmt.Sprintf(`{"reply":%v,"code":"unknown","status":503,"title":"x","retry_after_ms":1000}`, m["id"]))
						continue
					}
					k.say(fmt.Sprintf(`{"reply":%v,%s,"seq":11,"durability":"confirmed","as_of":11}`, m["id"], standing))
				}
			})
			l := f.client().Dial(t.Context(), "ann", client.Cursor{})
			defer l.Close()
			limit := time.Hour
			if !enough {
				limit = 10 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			a, err := l.Claim(ctx, "c1", "ann", client.About{})
			if err != nil || !a.Seated() || a.Certain() != enough {
				t.Fatalf("%+v %v after %d", a, err, asked)
			}
		})
	}
}
