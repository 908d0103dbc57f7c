package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/client"
)

// TestWhatIsAskedAgain: each answer that decides nothing, and what the client makes of it.
func TestWhatIsAskedAgain(t *testing.T) {
	html := func(status int) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("<html>"))}
	}
	for _, c := range []struct {
		name    string
		answer  func() *http.Response // nil = cut before it is sent
		again   bool
		is      error
		inDoubt bool
	}{
		{"busy", func() *http.Response { return problem(503, "busy", "Retry-After", "2") }, true, client.ErrBusy, false},
		{"unknown", func() *http.Response { return problem(503, "unknown") }, true, client.ErrUnknown, true},
		{"limited", func() *http.Response { return problem(429, "limited", "Retry-After", "2") }, true, client.ErrLimited, false},
		{"cut", nil, true, client.ErrBroken, false},
		{"a proxy's 502", func() *http.Response { return html(502) }, true, client.ErrBroken, true},
		{"a proxy's 429", func() *http.Response { return html(429) }, true, client.ErrLimited, false},
		{"a proxy's 404", func() *http.Response { return html(404) }, false, client.ErrMalformed, false},
		{"a redirection", func() *http.Response {
			res := html(302)
			res.Header.Set("Location", "http://localhost/elsewhere")
			return res
		}, false, client.ErrMalformed, false},
		{"malformed", func() *http.Response { return problem(400, "malformed") }, false, client.ErrMalformed, false},
		{"forbidden", func() *http.Response { return problem(403, "forbidden") }, false, client.ErrForbidden, false},
		{"unauthenticated", func() *http.Response { return problem(401, "unauthenticated") }, false, client.ErrUnauthenticated, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			cl := w.client()
			bad := 2
			w.faults(func(n int, r *http.Request, pass func() *http.Response) (*http.Response, error) {
				switch {
				case n > bad:
					return pass(), nil
				case c.answer == nil:
					return nil, errDial
				}
				return c.answer(), nil
			})
			began := time.Now()
			a, err := cl.Claim(t.Context(), "c1", "ann", client.About{})
			if c.again {
				if err != nil || !a.Seated() || w.asked() != 3 {
					t.Errorf("%s: %+v %v after %d", c.name, a, err, w.asked())
				}
				if waited := time.Since(began); c.answer != nil && c.answer().Header.Get("Retry-After") != "" && waited < 4*time.Second {
					t.Errorf("%s: asked again after %v, before it should", c.name, waited)
				}
			} else if !errors.Is(err, c.is) || w.asked() != 1 {
				t.Errorf("%s: %+v %v after %d", c.name, a, err, w.asked())
			}
			// And where it never ends: as often as Attempts says, and what is told.
			bad = 1 << 30
			before := w.asked()
			_, err = cl.Release(t.Context(), "c1", "ann", client.About{})
			fault, ok := errors.AsType[*client.Error](err)
			want := 1
			if c.again {
				want = client.DefaultConfig().Attempts
			}
			if !ok || !errors.Is(err, c.is) || fault.InDoubt != c.inDoubt || fault.Attempts != want || w.asked()-before != want {
				t.Errorf("%s: %v after %d", c.name, err, w.asked()-before)
			}
			// What may not be repeated in doubt is not.
			before = w.asked()
			_, err = cl.Override(t.Context(), "c1", "ann", client.SeatPerson, "why", "")
			if once := w.asked()-before == 1; once != (c.inDoubt || !c.again) {
				t.Errorf("%s: an override was asked %d times: %v", c.name, w.asked()-before, err)
			}
		})
	}
}

// TestRetriesStayWithinBudget: many callers, a server that is always busy.
func TestRetriesStayWithinBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(func(_ int, r *http.Request, _ func() *http.Response) (*http.Response, error) {
			return problem(503, "busy"), nil
		})
		c := w.client()
		const calls = 1000
		for i := range calls {
			c.Claim(t.Context(), "c1", fmt.Sprintf("p%d", i), client.About{})
		}
		if n := w.asked(); n > calls+calls/10+10 || n < calls+calls/10 {
			t.Fatalf("%d calls made %d requests", calls, n)
		}
	})
}

// TestDeadlineIsKept: a wait that would outlast the context is not begun.
func TestDeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(func(_ int, r *http.Request, _ func() *http.Response) (*http.Response, error) {
			return problem(503, "busy", "Retry-After", "5"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := w.client().Claim(ctx, "c1", "ann", client.About{}); !errors.Is(err, client.ErrBusy) || time.Since(began) != 0 || w.asked() != 1 {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		w.faults(func(_ int, r *http.Request, _ func() *http.Response) (*http.Response, error) {
			<-r.Context().Done() // never answers
			return nil, r.Context().Err()
		})
		_, err := w.client().Claim(ctx, "c1", "ann", client.About{})
		fault, ok := errors.AsType[*client.Error](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) || !fault.InDoubt || time.Since(began) != 3*time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		// A server that answers nothing costs one AttemptTimeout an attempt.
		began = time.Now()
		if _, err = w.client(func(c *client.Config) { c.Attempts = 2 }).Standing(t.Context(), "c1", "ann"); !errors.Is(err, client.ErrBroken) {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 20*time.Second || d > 21*time.Second {
			t.Fatal(d)
		}
	})
}

// TestTokenIsRefreshed: a token that is refused is asked for again, once.
func TestTokenIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(func(_ int, r *http.Request, pass func() *http.Response) (*http.Response, error) {
			if r.Header.Get("Authorization") != "Bearer new" {
				return problem(401, "unauthenticated"), nil
			}
			r.Header.Del("Authorization")
			return pass(), nil
		})
		tokens := []string{"old", "new", "new", "old", "old"}
		c := w.client(func(cfg *client.Config) {
			cfg.Token = func(context.Context) (string, error) {
				if len(tokens) == 0 {
					return "", errCut
				}
				token := tokens[0]
				tokens = tokens[1:]
				return token, nil
			}
		})
		if a, err := c.Claim(t.Context(), "c1", "ann", client.About{}); err != nil || !a.Seated() || len(tokens) != 3 {
			t.Fatalf("%+v %v", a, err)
		}
		if a, err := c.Claim(t.Context(), "c1", "ann", client.About{}); err != nil || !a.Seated() {
			t.Fatalf("%+v %v", a, err)
		}
		if _, err := c.Claim(t.Context(), "c1", "ann", client.About{}); !errors.Is(err, client.ErrUnauthenticated) || len(tokens) != 0 || w.asked() != 4 {
			t.Fatalf("%v after %d", err, w.asked())
		}
		if _, err := c.Claim(t.Context(), "c1", "ann", client.About{}); !errors.Is(err, client.ErrUnauthenticated) || !errors.Is(err, errCut) {
			t.Fatal(err)
		}
	})
}
