package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/client"
)

func TestLivePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		s.put("/v1/realms/spring/pools/c2", `{"capacity":1,"promotion":"offer","answer_seconds":60}`)
		l, ctx := s.client().Dial(t.Context(), "", client.Cursor{}), t.Context()
		defer l.Close()
		call, err := l.Start(ctx, client.Command{Kind: client.ToClaim, Pool: "c1", Person: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		a, err := call.Next(ctx)
		if err == nil && a.Durability == client.Preapproved {
			if a.Seq != 0 || !a.Seated() {
				t.Fatalf("%+v", a)
			}
			a, err = call.Next(ctx)
		}
		if err != nil || !a.Certain() || !a.Seated() || a.Seq == 0 {
			t.Fatalf("%+v %v", a, err)
		}
		if _, err = call.Next(ctx); err != io.EOF {
			t.Fatal(err)
		}
		l.Claim(ctx, "c2", "bob", client.About{})
		if a, err = l.Swap(ctx, "c2", "c1", "ann", client.About{}); err != nil || !a.Waiting() || a.Swap != "c1" || a.Pool != "c2" {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err = l.Release(ctx, "c2", "bob", client.About{}); err != nil || a.Status != client.Released {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err = l.Standing(ctx, "c2", "ann"); err != nil || a.Status != client.Offered || a.Offer == 0 || a.Deadline.IsZero() {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err = l.Accept(ctx, "c2", "ann", a.Offer); err != nil || !a.Seated() {
			t.Fatalf("%+v %v", a, err)
		}
		b, err := l.Basket(ctx, "cid", client.All, client.Item{Pool: "c1"}, client.Item{Pool: "c2"})
		if err != nil || !b.Refused() || len(b.Items) != 2 || !b.Items[0].RefusedAs(client.NotAll) {
			t.Fatalf("%+v %v", b, err)
		}
		b, err = l.Basket(ctx, "cid", client.EachOrWait, client.Item{Pool: "c1"}, client.Item{Pool: "c2"})
		if err != nil || b.Refused() || !b.Items[0].Seated() || !b.Items[1].Waiting() || b.Items[1].Seq == 0 {
			t.Fatalf("%+v %v", b, err)
		}
		if a, err = l.Claim(ctx, "nope", "ann", client.About{}); err != nil || !a.RefusedAs(client.UnknownPool) || !a.Certain() {
			t.Fatalf("%+v %v", a, err)
		}
		if _, err = l.Claim(ctx, "", "ann", client.About{}); !errors.Is(err, client.ErrMalformed) {
			t.Fatal(err)
		}
		if _, err = l.Claim(ctx, "a b", "ann", client.About{}); !errors.Is(err, client.ErrMalformed) {
			t.Fatal(err)
		}
		// Another client's knowledge: it is learnt, as over HTTP.
		m := s.client().Dial(ctx, "ann", client.Cursor{})
		defer m.Close()
		if a, err = m.Release(ctx, "c2", "", client.About{}); err != nil || a.Status != client.Released {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err = l.Claim(ctx, "c2", "ann", client.About{}); err != nil || !a.RefusedAs(client.Precondition) {
			t.Fatalf("%+v %v", a, err)
		}
	})
}

func TestWatchResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		h, ctx := s.world.client(), t.Context()
		for _, p := range []string{"ann", "bob", "cid"} {
			h.Claim(ctx, "c1", p, client.About{})
		}
		s.put("/v1/realms/spring/pools/c9", `{"capacity":1}`)
		h.Claim(ctx, "c9", "cid", client.About{})
		w := s.watch("cid", client.Cursor{})
		until(t, w.Next, online)
		if v := w.View(); len(v) != 2 || v[0].Pool != "c1" || v[0].Position != 1 || v[1].Status != client.Seated || v[0].Person != "cid" {
			t.Fatalf("%+v", v)
		}
		before := w.Cursor()
		if before.Log == "" || before.Seq == 0 {
			t.Fatalf("%+v", before)
		}
		// Promoted, and another released by staff, while nobody can be reached.
		s.network.set(func(n *network) { n.listener.Close() })
		s.cut()
		until(t, w.Next, func(u client.Update) bool { return !u.Online })
		h.Release(ctx, "c1", "ann", client.About{})
		h.Override(ctx, "c9", "cid", client.RemovePerson, "no fee", "staff-7")
		s.crash()
		var told []client.Standing
		until(t, w.Next, func(u client.Update) bool { told = append(told, u.Claims...); return u.Online })
		if len(told) != 2 || told[0].Pool == told[1].Pool {
			t.Fatalf("%+v", told)
		}
		if v := w.View(); v[0].Status != client.Seated || v[0].Seq == 0 || v[1].Status != client.Released {
			t.Fatalf("%+v", v)
		}
		// A new watcher with the old cursor hears the same, one with the new cursor nothing.
		old := s.watch("cid", before)
		if u := until(t, old.Next, online); len(u.Claims) != 2 {
			t.Fatalf("%+v", u)
		}
		fresh := s.watch("cid", w.Cursor())
		if u := until(t, fresh.Next, online); len(u.Claims) != 0 {
			t.Fatalf("%+v", u)
		}
		// A promotion while the connection is up comes by itself.
		h.Claim(ctx, "c9", "cid", client.At(w.View()[1].Seq))
		until(t, w.Next, func(u client.Update) bool { return len(u.Claims) == 1 && u.Claims[0].Status == client.Seated })
	})
}

func TestPoolsAndOpenings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		opens := time.Now().Add(90 * time.Second).UTC()
		s.put("/v1/realms/spring/pools/c2", fmt.Sprintf(`{"capacity":5,"opens_at":%q}`, opens.Format(time.RFC3339)))
		w := s.watch("ann", client.Cursor{})
		w.Subscribe("c1", "c2")
		var o client.Opening
		until(t, w.Next, func(u client.Update) bool {
			for _, x := range u.Openings {
				o = x
			}
			return o.Pool != ""
		})
		if o.Pool != "c2" || o.Open || o.In > 90*time.Second || o.In < 80*time.Second || !o.Here.Equal(time.Now().Add(o.In)) {
			t.Fatalf("%+v", o)
		}
		until(t, w.Next, func(u client.Update) bool {
			for _, x := range u.Openings {
				o = x
			}
			return o.Open
		})
		if late := time.Since(opens); late < 0 || late > 2*time.Second {
			t.Fatalf("told %v after the opening", late)
		}
		var c client.Counts
		s.network.cut() // the subscription survives the connection
		s.world.client().Claim(t.Context(), "c1", "bob", client.About{})
		until(t, w.Next, func(u client.Update) bool {
			for _, x := range u.Pools {
				if x.Pool == "c1" {
					c = x
				}
			}
			return c.Seated == 1
		})
		if c.Capacity != 2 || c.Free != 1 || !c.Open || c.AsOf == 0 {
			t.Fatalf("%+v", c)
		}
		w.Unsubscribe("c1")
	})
}

// TestFollowMany: one connection, the claims of many.
func TestFollowMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		l, ctx := s.client().Dial(t.Context(), "", client.Cursor{}), t.Context()
		defer l.Close()
		l.Follow("ann", client.Cursor{})
		until(t, l.Next, online)
		l.Follow("bob", client.Cursor{})
		l.Claim(ctx, "c1", "ann", client.About{})
		s.world.client().Claim(ctx, "c1", "bob", client.About{})
		until(t, l.Next, func(client.Update) bool { return len(l.View("ann")) == 1 && len(l.View("bob")) == 1 })
		s.network.cut()
		s.world.client().Release(ctx, "c1", "bob", client.About{})
		until(t, l.Next, func(client.Update) bool { return l.View("bob")[0].Status == client.Released })
		l.Unfollow("bob")
		if v := l.View("bob"); v != nil || l.Cursor("bob") != (client.Cursor{}) {
			t.Fatalf("%+v", v)
		}
		s.world.client().Claim(ctx, "c1", "bob", client.About{})
		s.world.client().Release(ctx, "c1", "ann", client.About{})
		until(t, l.Next, func(u client.Update) bool {
			for _, x := range u.Claims {
				if x.Person == "bob" {
					t.Errorf("bob is told: %+v", x)
				}
			}
			return l.View("ann")[0].Status == client.Released
		})
	})
}

// TestLiveCutAnywhere: commands end as without a fault, wherever the connection is cut; each write of each side, until none is
// left, and the write lost or arrived.
func TestLiveCutAnywhere(t *testing.T) {
	total := 0
	for _, side := range []string{"client", "server"} {
		for cut := 1; ; cut++ {
			var fired atomic.Bool
			synctest.Test(t, func(t *testing.T) {
				s := serve(t)
				s.put("/v1/realms/spring/pools/c2", `{"capacity":1}`)
				s.put("/v1/realms/spring/pools/c3", `{"capacity":1}`)
				s.network.set(func(n *network) {
					n.tap = func(from string, count int, _ []byte) bool {
						return from != side || count != cut || !fired.CompareAndSwap(false, true)
					}
				})
				l, ctx := s.client().Dial(t.Context(), "ann", client.Cursor{}), t.Context()
				defer l.Close()
				steps := []client.Command{
					{Kind: client.ToClaim, Pool: "c1"},
					{Kind: client.ToSwap, Pool: "c2", Swap: "c1"},
					{Kind: client.ToLook, Pool: "c2"},
					{Kind: client.ToRelease, Pool: "c2"},
					{Kind: client.ToClaim, Pool: "c3"},
					{Kind: client.ToRelease, Pool: "c3"},
				}
				want := []client.Status{client.Seated, client.Seated, client.Seated, client.Released, client.Seated, client.Released}
				for i, step := range steps {
					a, err := l.Do(ctx, step)
					if err != nil || a.Refused() || a.Status != want[i] || !a.Certain() {
						t.Fatalf("write %d of the %s lost, step %d: %+v %v %v", cut, side, i, a, a.Refusal, err)
					}
				}
				for _, pool := range []string{"c1", "c2", "c3"} {
					if a, _ := s.world.client().Standing(ctx, pool, "ann"); a.Status != client.Released {
						t.Fatalf("%+v", a)
					}
				}
			})
			if !fired.Load() {
				break
			}
			total++
		}
	}
	if total < 16 {
		t.Fatalf("only %d places to cut", total)
	}
}

// TestLiveCrash: the server dies with a claim decided and not durable; the claim is made anew.
func TestLiveCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		s.quit()
		var mu sync.Mutex
		var hold chan error
		s.log.Gate = func(uint64, int) error {
			mu.Lock()
			h := hold
			mu.Unlock()
			if h != nil {
				return <-h
			}
			return nil
		}
		s.log.Reopen()
		s.world.start()
		s.listen()
		l, ctx := s.client().Dial(t.Context(), "ann", client.Cursor{}), t.Context()
		defer l.Close()
		until(t, l.Next, online)
		mu.Lock()
		hold = make(chan error)
		mu.Unlock()
		call, err := l.Start(ctx, client.Command{Kind: client.ToClaim, Pool: "c1"})
		if err != nil {
			t.Fatal(err)
		}
		a, err := call.Next(ctx)
		if err != nil || a.Durability != client.Preapproved || !a.Seated() {
			t.Fatalf("%+v %v", a, err)
		}
		synctest.Wait() // until the log is asked
		mu.Lock()
		h := hold
		hold = nil
		mu.Unlock()
		s.network.cut()
		h <- errCut
		s.crash()
		a, err = call.Next(ctx)
		if err != nil || a.Durability != client.Confirmed || !a.Seated() || a.Seq == 0 {
			t.Fatalf("%+v %v", a, err)
		}
		if b, _ := s.world.client().Standing(ctx, "c1", "ann"); b.Seq != a.Seq {
			t.Fatalf("%+v, told %+v", b, a)
		}
	})
}

// TestLiveOwnDoubt is TestOwnDoubtIsNotUndone on a connection.
func TestLiveOwnDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		l, ctx := s.client().Dial(t.Context(), "ann", client.Cursor{}), t.Context()
		defer l.Close()
		until(t, l.Next, online)
		fired := make(chan struct{})
		s.network.set(func(n *network) {
			n.tap = func(from string, _ int, p []byte) bool {
				if from == "server" && strings.Contains(string(p), `"reply":2`) {
					n.set(func(n *network) { n.tap = nil; n.listener.Close() })
					close(fired)
					return false
				}
				return true
			}
		})
		call, err := l.Start(ctx, client.Command{Kind: client.ToClaim, Pool: "c1", Quiet: true})
		if err != nil {
			t.Fatal(err)
		}
		<-fired
		if a, err := s.world.client().Release(ctx, "c1", "ann", client.About{}); err != nil || a.Status != client.Released {
			t.Fatalf("%+v %v", a, err)
		}
		s.crash()
		a, err := call.Next(ctx)
		if err != nil || !a.RefusedAs(client.Precondition) {
			t.Fatalf("%+v %v", a, err)
		}
	})
}

// TestManyAtOnce: commands side by side, from many goroutines, with the connection cut again and again.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		s.put("/v1/realms/spring/pools/big", `{"capacity":1000}`)
		l, ctx := s.client().Dial(t.Context(), "", client.Cursor{}), t.Context()
		defer l.Close()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				for j := range 10 {
					person := fmt.Sprintf("p%d-%d", i, j)
					if a, err := l.Claim(ctx, "big", person, client.About{}); err != nil || !a.Seated() {
						t.Errorf("%s: %+v %v", person, a, err)
					}
					if a, err := l.Release(ctx, "big", person, client.About{}); err != nil || a.Status != client.Released {
						t.Errorf("%s: %+v %v", person, a, err)
					}
				}
			})
		}
		for range 5 {
			time.Sleep(100 * time.Millisecond)
			s.network.cut()
		}
		all.Wait()
		if p, err := s.world.client().Pool(ctx, "big"); err != nil || p.Seated != 0 {
			t.Fatalf("%+v %v", p, err)
		}
	})
}

// TestCloseEndsAll: whatever waits is told, and nothing is left running.
func TestCloseEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(k *talk) {
			k.greet()
			for k.hear() != nil { // never answers
			}
		})
		c := f.client(func(cfg *client.Config) { cfg.InFlight = 2 })
		l := c.Dial(t.Context(), "ann", client.Cursor{})
		errs := make(chan error, 4)
		for range 3 {
			go func() { _, err := l.Claim(t.Context(), "c1", "ann", client.About{}); errs <- err }()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Standing(ctx, "c1", "ann")
		if fault, ok := errors.AsType[*client.Error](err); !ok || !errors.Is(err, context.DeadlineExceeded) || fault.InDoubt {
			t.Fatalf("%v: a command that had no place among InFlight was never sent", err)
		}
		go func() {
			for {
				if _, err := l.Next(t.Context()); err != nil {
					errs <- err
					return
				}
			}
		}()
		synctest.Wait()
		l.Close()
		doubts := 0
		for range 4 {
			err := <-errs
			if !errors.Is(err, client.ErrClosed) {
				t.Error(err)
			}
			if fault, ok := errors.AsType[*client.Error](err); ok && fault.InDoubt {
				doubts++
			}
		}
		if doubts != 2 {
			t.Errorf("%d in doubt, want the two that were sent", doubts)
		}
		if _, err := l.Claim(t.Context(), "c1", "ann", client.About{}); !errors.Is(err, client.ErrClosed) || !errors.Is(l.Err(), client.ErrClosed) {
			t.Error(err)
		}
	})
}
