package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/client"
)

// TestAbandonedAnswerIsKept: the answer of a command that nobody waits for any more is in View all the same.
func TestAbandonedAnswerIsKept(t *testing.T) {
	for _, cmd := range []client.Command{
		{Kind: client.ToClaim, Pool: "c1", Quiet: true},
		{Kind: client.ToBasket, Mode: client.Each, Items: []client.Item{{Pool: "c1"}}, Quiet: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t)
			l := s.client().Dial(t.Context(), "ann", client.Cursor{})
			defer l.Close()
			until(t, l.Next, online)
			ctx, cancel := context.WithCancel(t.Context())
			s.network.set(func(n *network) {
				n.tap = func(from string, _ int, p []byte) bool {
					if from == "server" && strings.Contains(string(p), `"reply":2`) {
						cancel()
						time.Sleep(time.Second) // until the call is gone
					}
					return true
				}
			})
			if _, err := l.Do(ctx, cmd); err == nil {
				t.Fatal("the call was not abandoned")
			}
			until(t, l.Next, func(u client.Update) bool { return len(u.Claims) == 1 })
			if v := l.View("ann"); len(v) != 1 || v[0].Status != client.Seated || v[0].Seq == 0 {
				t.Fatalf("%+v", v)
			}
			// Its seq is known, so nothing has to be learnt.
			if a, err := l.Release(t.Context(), "c1", "", client.About{}); err != nil || a.Status != client.Released {
				t.Fatalf("%+v %v", a, err)
			}
		})
	}
}

// TestUnknownPoolIsLeftOut: the counts of the others come, and after a break too.
func TestUnknownPoolIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		s.put("/v1/realms/spring/pools/c2", `{"capacity":1}`)
		w, ctx := s.watch("ann", client.Cursor{}), t.Context()
		w.Subscribe("nope", "c1", "none", "c2")
		both := func(seated int) {
			t.Helper()
			have := map[string]int{}
			until(t, w.Next, func(u client.Update) bool {
				for _, c := range u.Pools {
					have[c.Pool] = c.Seated
				}
				return have["c1"] == seated && have["c2"] == 1
			})
		}
		s.world.client().Claim(ctx, "c2", "bob", client.About{})
		s.world.client().Claim(ctx, "c1", "bob", client.About{})
		both(1)
		s.network.cut()
		s.world.client().Claim(ctx, "c1", "cid", client.About{})
		until(t, w.Next, func(u client.Update) bool {
			for _, c := range u.Pools {
				if c.Pool == "c1" && c.Seated == 2 {
					return true
				}
			}
			return false
		})
	})
}

// TestLatePush: a push of the subscription before does not move the cursor of the new one.
func TestLatePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(k *talk) {
			k.greet()
			for m := k.hear(); m != nil; m = k.hear() {
				if m["do"] != "subscribe" {
					continue
				}
				k.say(`{"push":"claims","person":"bob","as_of":99,"claims":[]}`)
				time.Sleep(time.Second)
				k.say(fmt.Sprintf(`{"reply":%v,"do":"subscribe"}`, m["id"]))
				time.Sleep(time.Second)
				k.say(`{"push":"claims","person":"bob","as_of":12,"claims":[]}`)
			}
		})
		l := f.client().Dial(t.Context(), "", client.Cursor{})
		defer l.Close()
		until(t, l.Next, online)
		l.Follow("bob", client.Cursor{Log: "aa", Seq: 7})
		time.Sleep(500 * time.Millisecond)
		if c := l.Cursor("bob"); c.Seq != 7 {
			t.Fatalf("%+v", c)
		}
		time.Sleep(2 * time.Second)
		if c := l.Cursor("bob"); c.Seq != 12 {
			t.Fatalf("%+v", c)
		}
	})
}

// TestCutMayHaveArrived: only a connection that never was proves that nothing was sent.
func TestCutMayHaveArrived(t *testing.T) {
	for _, cut := range []error{errCut, errDial} {
		w := newWorld(t)
		w.faults(func(int, *http.Request, func() *http.Response) (*http.Response, error) { return nil, cut })
		c := w.client(func(cfg *client.Config) { cfg.Attempts = 1 })
		_, err := c.Claim(t.Context(), "c1", "ann", client.About{})
		if fault, ok := errors.AsType[*client.Error](err); !ok || fault.InDoubt != (cut == errCut) {
			t.Errorf("%v: %v", cut, err)
		}
	}
}
