package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/client"
)

func TestPathOfAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, ctx := w.client(), t.Context()
		a, err := c.Claim(ctx, "c1", "ann", client.About{})
		if err != nil || !a.Seated() || a.Seat != 1 || !a.Certain() || a.Seq == 0 || a.AsOf != a.Seq || a.At.IsZero() || a.Refused() {
			t.Fatalf("%+v %v", a, err)
		}
		for _, p := range []string{"bob", "cid", "dan"} {
			if a, err = c.Claim(ctx, "c1", p, client.About{}); err != nil {
				t.Fatal(err)
			}
		}
		if !a.Waiting() || a.Position != 2 || a.Person != "dan" || a.Pool != "c1" || a.Realm != "spring" {
			t.Fatalf("%+v", a)
		}
		full, err := c.Claim(ctx, "c1", "eve", client.About{})
		if err != nil || !full.RefusedAs(client.Full) || full.Seated() || full.Waiting() || !full.Certain() || full.Refusal.Detail == "" {
			t.Fatalf("%+v %v", full, err)
		}
		if a, err = c.Release(ctx, "c1", "ann", client.About{}); err != nil || a.Status != client.Released {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err = c.Standing(ctx, "c1", "cid"); err != nil || !a.Seated() {
			t.Fatalf("cid was not promoted: %+v %v", a, err)
		}
		all, err := c.Standings(ctx, "dan")
		if err != nil || len(all.Claims) != 1 || all.Claims[0].Position != 1 || all.Claims[0].Person != "dan" || all.AsOf == 0 {
			t.Fatalf("%+v %v", all, err)
		}
		p, err := c.Pool(ctx, "c1")
		if err != nil || p.Capacity != 2 || p.Waitlist == nil || *p.Waitlist != 2 || p.Seated != 2 || p.Waiting != 1 || p.Promotion != "auto" {
			t.Fatalf("%+v %v", p, err)
		}
		if _, err = c.Pool(ctx, "nope"); err == nil || !strings.Contains(err.Error(), "unknown_pool") {
			t.Fatal(err)
		}
		if a, err = c.Override(ctx, "c1", "eve", client.SeatPerson, "the dean asked", "staff-7"); err != nil || !a.Seated() || !a.Certain() {
			t.Fatalf("%+v %v", a, err)
		}
		if _, err = c.Override(ctx, "c1", "eve", client.SeatPerson, "", ""); !errors.Is(err, client.ErrMalformed) {
			t.Fatal(err)
		}
	})
}

// TestRefusalsHaveTheirFacts: what explains a refusal comes through.
func TestRefusalsHaveTheirFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("/v1/realms/spring", `{"max_seats_per_person":1}`)
		w.put("/v1/realms/spring/pools/later", `{"capacity":1,"opens_at":"2099-01-01T00:00:00Z"}`)
		w.put("/v1/realms/spring/pools/past", `{"capacity":1,"closes_at":"1999-01-01T00:00:00Z"}`)
		w.put("/v1/realms/spring/pools/g1", `{"capacity":1,"group":"g"}`)
		w.put("/v1/realms/spring/pools/g2", `{"capacity":1,"group":"g"}`)
		c, ctx := w.client(), t.Context()
		claim := func(pool, person string) *client.Refusal {
			t.Helper()
			a, err := c.Claim(ctx, pool, person, client.About{})
			if err != nil {
				t.Fatal(err)
			}
			if a.Refusal == nil {
				return &client.Refusal{}
			}
			return a.Refusal
		}
		if r := claim("later", "ann"); r.Code != client.NotOpen || !r.OpensAt.Equal(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v", r)
		}
		if r := claim("past", "ann"); r.Code != client.Closed || r.ClosedAt.Year() != 1999 {
			t.Errorf("%+v", r)
		}
		claim("g1", "ann")
		if r := claim("g2", "ann"); r.Code != client.Group && r.Code != client.Limit {
			t.Errorf("%+v", r)
		}
		if r := claim("c1", "ann"); r.Code != client.Limit || r.Limit != 1 {
			t.Errorf("%+v", r)
		}
		if r := claim("nope", "ann"); r.Code != client.UnknownPool {
			t.Errorf("%+v", r)
		}
		if a, err := c.Accept(ctx, "c1", "ann", 99); err != nil || !a.RefusedAs(client.NoOffer) {
			t.Errorf("%+v %v", a, err)
		}
	})
}

// TestLateDuplicates: each request that a client sends is delivered again after what came later, and changes nothing.
func TestLateDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, ctx := w.client(), t.Context()
		var again []func() *http.Response
		w.faults(func(_ int, r *http.Request, pass func() *http.Response) (*http.Response, error) {
			again = append(again, pass)
			return pass(), nil
		})
		must := func(a client.Answer, err error) client.Answer {
			t.Helper()
			if err != nil || a.Refused() {
				t.Fatalf("%+v %v", a, err)
			}
			return a
		}
		checked := 0
		late := func() {
			t.Helper()
			before, _ := w.client().Standings(ctx, "ann")
			again := again[:len(again)-1] // not the last act, nor the look
			for _, f := range again[:max(len(again)-1, 0)] {
				f().Body.Close()
				checked++
			}
			after, _ := w.client().Standings(ctx, "ann")
			if len(before.Claims) != len(after.Claims) || before.Claims[0] != withAsOf(after.Claims[0], before.Claims[0].AsOf) {
				t.Fatalf("a late duplicate changed\n%+v to\n%+v", before, after)
			}
		}
		for range 3 {
			must(c.Claim(ctx, "c1", "ann", client.About{}))
			late()
			must(c.Release(ctx, "c1", "ann", client.About{}))
			late()
		}
		must(c.Claim(ctx, "c1", "ann", client.About{}))
		if checked < 30 {
			t.Fatalf("only %d duplicates", checked)
		}
	})
}

func withAsOf(s client.Standing, asOf uint64) client.Standing {
	s.AsOf = asOf
	return s
}

// TestUnknownSeqIsLearnt: a client that knows nothing of a person acts as after a look, and never where its own call is in
// doubt.
func TestUnknownSeqIsLearnt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx := t.Context()
		old := w.client()
		old.Claim(ctx, "c1", "ann", client.About{})
		// A second device releases, and claims after a release.
		if a, err := w.client().Release(ctx, "c1", "ann", client.About{}); err != nil || a.Status != client.Released {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err := w.client().Claim(ctx, "c1", "ann", client.About{}); err != nil || !a.Seated() {
			t.Fatalf("%+v %v", a, err)
		}
		// The first one acts on what it has seen, which is no longer so; then it knows.
		a, err := old.Release(ctx, "c1", "ann", client.About{})
		if err != nil || !a.RefusedAs(client.Precondition) || a.Refusal.Seq == 0 {
			t.Fatalf("%+v %v", a, err)
		}
		if b, err := old.Release(ctx, "c1", "ann", client.At(a.Refusal.Seq)); err != nil || b.Status != client.Released {
			t.Fatalf("%+v %v", b, err)
		}
		if a, err = w.client().Claim(ctx, "c1", "ann", client.At(0)); err != nil || !a.RefusedAs(client.Precondition) {
			t.Fatalf("a named seq was not kept to: %+v %v", a, err)
		}
	})
}

// TestOwnDoubtIsNotUndone: the claim took effect but its answer was lost; the person released on another device; the claim
// asked again must not undo that.
func TestOwnDoubtIsNotUndone(t *testing.T) {
	t.Run("claim", func(t *testing.T) {
		ownDoubt(t, func(c *client.Client, ctx context.Context) (client.Answer, error) {
			return c.Claim(ctx, "c1", "ann", client.About{})
		})
	})
	t.Run("basket", func(t *testing.T) {
		ownDoubt(t, func(c *client.Client, ctx context.Context) (client.Answer, error) {
			b, err := c.Basket(ctx, "ann", client.All, client.Item{Pool: "c1"})
			if len(b.Items) != 1 {
				return client.Answer{}, err
			}
			return b.Items[0], err
		})
	})
}

func ownDoubt(t *testing.T, act func(*client.Client, context.Context) (client.Answer, error)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, other, ctx := w.client(), w.client(), t.Context()
		w.faults(func(n int, r *http.Request, pass func() *http.Response) (*http.Response, error) {
			if n > 1 {
				return pass(), nil
			}
			pass().Body.Close()
			w.mu.Lock()
			fault := w.fault
			w.fault = nil
			w.mu.Unlock()
			if a, err := other.Release(ctx, "c1", "ann", client.About{}); err != nil || a.Status != client.Released {
				t.Errorf("%+v %v", a, err)
			}
			w.mu.Lock()
			w.fault = fault
			w.mu.Unlock()
			return nil, errCut
		})
		a, err := act(c, ctx)
		if err != nil || !a.RefusedAs(client.Precondition) {
			t.Fatalf("%+v %v", a, err)
		}
		if a, _ = c.Standing(ctx, "c1", "ann"); a.Status != client.Released {
			t.Fatalf("the release was undone: %+v", a)
		}
	})
}

// TestCutAnywhere: each act, with its n-th request lost on the way or its answer lost, ends as without the fault.
func TestCutAnywhere(t *testing.T) {
	for _, lost := range []string{"request", "answer", "half the answer"} {
		for cut := 1; cut <= 8; cut++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.put("/v1/realms/spring/pools/c2", `{"capacity":1}`)
				c, ctx, fired := w.client(), t.Context(), false
				w.faults(func(n int, r *http.Request, pass func() *http.Response) (*http.Response, error) {
					if n == cut && lost == "request" {
						fired = true
						return nil, errDial
					}
					res := pass()
					if n == cut {
						fired = true
						res.Body.Close()
						if lost == "answer" {
							return nil, errCut
						}
						res.Body = &half{}
					}
					return res, nil
				})
				steps := []func() (client.Answer, error){
					func() (client.Answer, error) { return c.Claim(ctx, "c1", "ann", client.About{}) },
					func() (client.Answer, error) { return c.Swap(ctx, "c2", "c1", "ann", client.About{}) },
					func() (client.Answer, error) { return c.Standing(ctx, "c2", "ann") },
					func() (client.Answer, error) { return c.Release(ctx, "c2", "ann", client.About{}) },
				}
				want := []client.Status{client.Seated, client.Seated, client.Seated, client.Released}
				for i, step := range steps {
					if a, err := step(); err != nil || a.Refused() || a.Status != want[i] || !a.Certain() {
						t.Fatalf("%s of attempt %d lost, step %d: %+v %v", lost, cut, i, a, err)
					}
				}
				if fired != (cut <= len(steps)) {
					t.Fatalf("%s of attempt %d: fired %v", lost, cut, fired)
				}
				if a, _ := c.Standing(ctx, "c1", "ann"); a.Status != client.Released {
					t.Fatalf("%+v", a)
				}
			})
		}
	}
}

type half struct{ done bool }

func (h *half) Read(p []byte) (int, error) {
	if !h.done {
		h.done = true
		return copy(p, `{"realm":"spr`), nil
	}
	return 0, errCut
}
func (h *half) Close() error { return nil }

// TestPreapprovedIsAskedAgain: the log is held, the answer is preapproved; it is asked again until it is confirmed. With a
// crash in between, the same claim is made anew.
func TestPreapprovedIsAskedAgain(t *testing.T) {
	for _, crash := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.stop()
			hold := make(chan error)
			holding := true
			w.log.Gate = func(uint64, int) error {
				if holding {
					return <-hold
				}
				return nil
			}
			w.log.Reopen()
			holding = false
			w.start()
			holding = true
			c := w.client()
			type result struct {
				a   client.Answer
				err error
			}
			done := make(chan result)
			go func() {
				a, err := c.Claim(t.Context(), "c1", "ann", client.About{})
				done <- result{a, err}
			}()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if w.asked() != 2 {
				t.Fatalf("asked %d times", w.asked())
			}
			if crash {
				w.faults(func(int, *http.Request, func() *http.Response) (*http.Response, error) { return nil, errCut })
				hold <- errCut
				time.Sleep(time.Minute) // nobody answers for longer than an ordinary request is tried
				holding = false
				w.restart()
				w.faults(nil)
			} else {
				holding = false
				hold <- nil
			}
			r := <-done
			if r.err != nil || !r.a.Seated() || !r.a.Certain() {
				t.Fatalf("%+v %v", r.a, r.err)
			}
			if a, err := w.client().Standing(t.Context(), "c1", "ann"); err != nil || !a.Seated() || a.Seq != r.a.Seq {
				t.Fatalf("%+v %v", a, err)
			}
		})
	}
}

// TestPreapprovedWhenTimeIsUp: the context ends first, so the answer is what is there.
func TestPreapprovedWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.client()
		w.faults(func(n int, r *http.Request, pass func() *http.Response) (*http.Response, error) {
			if n == 1 {
				return &http.Response{StatusCode: 202, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(
					`{"realm":"spring","pool":"c1","person":"ann","status":"seated","seat":1,"durability":"preapproved","as_of":4}`))}, nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, err := c.Claim(ctx, "c1", "ann", client.About{})
		if err != nil || !a.Seated() || a.Certain() || a.Seq != 0 {
			t.Fatalf("%+v %v", a, err)
		}
	})
}

// TestSwapGivesUp: after a swap the seat given up may be claimed again, though nothing has told what became of it.
func TestSwapGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("/v1/realms/spring/pools/c2", `{"capacity":1}`)
		c, ctx := w.client(), t.Context()
		c.Claim(ctx, "c1", "ann", client.About{})
		if a, err := c.Swap(ctx, "c2", "c1", "ann", client.About{}); err != nil || !a.Seated() {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err := c.Claim(ctx, "c1", "ann", client.About{}); err != nil || !a.Seated() {
			t.Fatalf("%+v %v", a, err)
		}
	})
}

func TestBasket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("/v1/realms/spring/pools/c2", `{"capacity":1}`)
		w.put("/v1/realms/spring/pools/c3", `{"capacity":0,"waitlist":0}`)
		c, ctx := w.client(), t.Context()
		other := w.client()
		other.Claim(ctx, "c2", "ann", client.About{})
		other.Release(ctx, "c2", "ann", client.About{})
		// c does not know of the released claim in c2, and learns of it.
		b, err := c.Basket(ctx, "ann", client.All, client.Item{Pool: "c1"}, client.Item{Pool: "c2"})
		if err != nil || b.Refused() || len(b.Items) != 2 || !b.Items[0].Seated() || !b.Items[1].Seated() || !b.Certain() || b.Items[1].Seq == 0 {
			t.Fatalf("%+v %v", b, err)
		}
		b, err = c.Basket(ctx, "bob", client.All, client.Item{Pool: "c1"}, client.Item{Pool: "c3"})
		if err != nil || !b.Refused() || b.Refusal.Code != client.Full || !b.Items[0].RefusedAs(client.NotAll) || b.Items[0].Refusal.Title == "" {
			t.Fatalf("%+v %v", b, err)
		}
		b, err = c.Basket(ctx, "bob", client.Each, client.Item{Pool: "c1"}, client.Item{Pool: "c3"})
		if err != nil || b.Refused() || !b.Items[0].Seated() || !b.Items[1].RefusedAs(client.Full) {
			t.Fatalf("%+v %v", b, err)
		}
		if a, err := c.Swap(ctx, "nope", "c1", "bob", client.About{}); err != nil || !a.RefusedAs(client.UnknownPool) || a.Pool != "nope" {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err := c.Release(ctx, "c2", "ann", client.About{}); err != nil || a.Status != client.Released {
			t.Fatalf("%+v %v", a, err)
		}
	})
}
