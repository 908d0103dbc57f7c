package client_test

import (
	"context"
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
