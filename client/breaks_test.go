package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"holdfast/client"
)

// TestCloseCodes: on which the client comes back, when, and on which it ends.
func TestCloseCodes(t *testing.T) {
	for _, c := range []struct {
		code        websocket.StatusCode
		reason      string
		back        bool
		least, most time.Duration
		is          error
	}{
		{1000, "", true, 0, 2 * time.Second, nil},
		{1001, "", true, 0, 2 * time.Second, nil},
		{1009, "", false, 0, 0, client.ErrMalformed},
		{1011, "", true, 0, 2 * time.Second, nil},
		{1012, `{"delay_ms":7000}`, true, 7 * time.Second, 9 * time.Second, nil},
		{1012, `rubbish`, true, 0, 2 * time.Second, nil},
		{1013, `{"delay_ms":3000}`, true, 3 * time.Second, 5 * time.Second, nil},
		{4400, "", false, 0, 0, client.ErrMalformed},
		{4401, "", false, 0, 0, client.ErrUnauthenticated},
		{4403, "", false, 0, 0, client.ErrForbidden},
		{4404, "", false, 0, 0, nil},
		{4408, "", true, 0, 2 * time.Second, nil},
		{4429, "", true, time.Minute, 62 * time.Second, nil},
		{4444, "", false, 0, 0, client.ErrMalformed},
		{4500, "", true, 0, 2 * time.Second, nil},
		{4503, "", true, 0, 2 * time.Second, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var closed, back time.Time
			var cursor map[string]any
			f := newFake(t, func(k *talk) {
				hello := k.greet()
				if k.n == 1 {
					time.Sleep(time.Second)
					closed = time.Now()
					k.conn.Close(c.code, c.reason)
					return
				}
				if back.IsZero() {
					back, cursor = time.Now(), hello
				}
				for k.hear() != nil {
				}
			})
			w := f.client().Watch(t.Context(), "ann", client.Cursor{})
			defer w.Close()
			until(t, w.Next, online)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			var err error
			for u := (client.Update{Online: true}); err == nil && (u.Online || back.IsZero()); {
				u, err = w.Next(ctx)
			}
			switch {
			case !c.back:
				if fault, ok := errors.AsType[*client.Error](err); !ok || fault.Status != int(c.code) || c.is != nil && !errors.Is(err, c.is) || f.dialled() != 1 {
					t.Errorf("%d: %v after %d dials", c.code, err, f.dialled())
				}
				select {
				case <-w.Done():
				default:
					t.Errorf("%d: not done", c.code)
				}
			case back.IsZero() || back.Sub(closed) < c.least || back.Sub(closed) > c.most:
				t.Errorf("%d: back after %v, want %v to %v; %v", c.code, back.Sub(closed), c.least, c.most, err)
			case cursor["log"] != "aa" || fmt.Sprint(cursor["seq"]) != "10" || cursor["person"] != "ann":
				t.Errorf("%d: came back with %v", c.code, cursor)
			}
		})
	}
}

// TestSocketToken: the token is in the head; one that ends is replaced, before its end where it says when, and where there is
// no other the connection ends.
func TestSocketToken(t *testing.T) {
	jwt := func(name string, ends time.Time) string {
		body := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":%q,"exp":%d}`, name, ends.Unix()))
		return "e30." + body + "." + strings.Repeat("s", 2000) // longer than a hello may be
	}
	synctest.Test(t, func(t *testing.T) {
		ends := time.Now().Add(10 * time.Minute)
		first, second := jwt("a", ends), jwt("b", ends.Add(time.Hour))
		var prolonged time.Time
		f := newFake(t, func(k *talk) {
			if k.n == 1 {
				k.greet()
				k.conn.Close(4401, "")
				return
			}
			k.greet()
			for m := k.hear(); m != nil; m = k.hear() {
				if m["do"] == "hello" && m["token"] == second {
					prolonged = time.Now()
				}
			}
		})
		asked := 0
		c := f.client(func(cfg *client.Config) {
			cfg.Token = func(context.Context) (string, error) {
				asked++
				switch asked {
				case 1:
					return "old", nil
				case 2:
					return "", errCut // the one who gives them is away for a moment
				case 3:
					return first, nil
				}
				return second, nil
			}
		})
		w := c.Watch(t.Context(), "ann", client.Cursor{})
		defer w.Close()
		until(t, w.Next, online)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if len(f.tokens) != 2 || f.tokens[0] != "Bearer old" || f.tokens[1] != "Bearer "+first {
			t.Fatalf("%.40q", f.tokens)
		}
		if left := ends.Sub(prolonged); prolonged.IsZero() || left < 30*time.Second || left > 3*time.Minute {
			t.Fatalf("prolonged %v before its end", left)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		f.turn = func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(401)
			io.WriteString(w, `{"type":"x","status":401,"title":"x","code":"unauthenticated","detail":"no"}`)
			return true
		}
		c := f.client(func(cfg *client.Config) { cfg.Token = func(context.Context) (string, error) { return "bad", nil } })
		l := c.Dial(t.Context(), "", client.Cursor{})
		defer l.Close()
		if _, err := l.Claim(t.Context(), "c1", "ann", client.About{}); !errors.Is(err, client.ErrUnauthenticated) || len(f.tokens) != 1 {
			t.Fatalf("%v after %d", err, len(f.tokens))
		}
	})
}

// TestSocketFaults: busy, limited and unknown on a connection, and a refusal, which is not asked again.
func TestSocketFaults(t *testing.T) {
	for _, c := range []struct {
		first string // the answer to the first command; the second is granted
		again bool
		least time.Duration
		is    error
	}{
		{`"code":"busy","status":503,"title":"x","retry_after_ms":1500`, true, 1500 * time.Millisecond, nil},
		{`"code":"limited","status":429,"title":"x","retry_after_ms":900`, true, 900 * time.Millisecond, nil},
		{`"code":"unknown","status":503,"title":"x","retry_after_ms":100`, true, 100 * time.Millisecond, nil},
		{`"code":"forbidden","status":403,"title":"x"`, false, 0, client.ErrForbidden},
		{`"code":"malformed","status":400,"title":"x","field":"pool"`, false, 0, client.ErrMalformed},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			f := newFake(t, func(k *talk) {
				k.greet()
				for m := k.hear(); m != nil; m = k.hear() {
					if asked++; asked == 1 {
						k.say(fmt.Sprintf(`{"reply":%v,%s}`, m["id"], c.first))
						continue
					}
					if m["if_seq"] != 0.0 {
						t.Errorf("asked again about %v", m["if_seq"])
					}
					k.say(fmt.Sprintf(`{"reply":%v,"pool":"c1","person":"ann","status":"seated","seat":1,"seq":11,"durability":"confirmed","as_of":11}`, m["id"]))
				}
			})
			l := f.client().Dial(t.Context(), "ann", client.Cursor{})
			defer l.Close()
			until(t, l.Next, online)
			began := time.Now()
			a, err := l.Claim(t.Context(), "c1", "ann", client.About{})
			if c.again && (err != nil || !a.Seated() || time.Since(began) < c.least || asked != 2) {
				t.Errorf("%s: %+v %v after %v", c.first, a, err, time.Since(began))
			}
			if !c.again && (!errors.Is(err, c.is) || asked != 1) {
				t.Errorf("%s: %+v %v", c.first, a, err)
			}
		})
	}
}

// TestDeadConnection: the other side has vanished without a word. It is noticed sooner where somebody waits.
func TestDeadConnection(t *testing.T) {
	for _, waiting := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t)
			l := s.client().Dial(t.Context(), "ann", client.Cursor{})
			defer l.Close()
			until(t, l.Next, online)
			time.Sleep(5 * time.Minute) // idle and alive
			synctest.Wait()
			if s.dialled() != 1 {
				t.Fatalf("an idle connection was opened %d times", s.dialled())
			}
			l.Standing(t.Context(), "c1", "ann") // so that something was heard just now
			s.network.set(func(n *network) { n.dead = true })
			died := time.Now()
			most := time.Minute
			answered := make(chan error, 1)
			if waiting {
				most = 25 * time.Second
				go func() { _, err := l.Claim(t.Context(), "c1", "ann", client.About{}); answered <- err }()
			}
			until(t, l.Next, func(u client.Update) bool { return !u.Online })
			if d := time.Since(died); d > most {
				t.Errorf("waiting %v: noticed after %v", waiting, d)
			}
			s.network.set(func(n *network) { n.dead = false })
			if waiting {
				if err := <-answered; err != nil {
					t.Error(err)
				}
			}
			until(t, l.Next, online)
		})
	}
}

// TestServerRestarts: a restart in good order, in the middle of commands.
func TestServerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		s.put("/v1/realms/spring/pools/big", `{"capacity":1000}`)
		l := s.client().Dial(t.Context(), "", client.Cursor{})
		defer l.Close()
		done := make(chan error)
		go func() {
			for i := range 100 {
				if a, err := l.Claim(t.Context(), "big", fmt.Sprintf("p%d", i), client.About{}); err != nil || !a.Seated() || a.Seat != i+1 {
					done <- fmt.Errorf("%d: %+v %v", i, a, err)
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			done <- nil
		}()
		for range 2 {
			time.Sleep(2 * time.Second)
			s.quit()
			s.log.Reopen()
			s.world.start()
			s.listen()
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestOtherLog: the server has another log than before. What was known cannot be compared with what is told.
func TestOtherLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(k *talk) {
			log, push := "aa", `{"push":"claims","person":"ann","as_of":1000,"all":true,"claims":[{"pool":"c1","status":"seated","seat":1,"seq":900},{"pool":"c2","status":"seated","seat":1,"seq":901}]}`
			if k.n > 1 {
				log, push = "bb", `{"push":"claims","person":"ann","as_of":5,"all":true,"claims":[{"pool":"c1","status":"waiting","position":3,"seq":4}]}`
			}
			k.hear()
			k.say(fmt.Sprintf(`{"reply":1,"do":"hello","realm":"spring","role":"person","person":"ann","log":%q,"as_of":1,"ping_ms":20000}`, log))
			k.say(push)
			for k.hear() != nil {
			}
		})
		w := f.client().Watch(t.Context(), "ann", client.Cursor{})
		defer w.Close()
		until(t, w.Next, online)
		if len(w.View()) != 2 {
			t.Fatalf("%+v", w.View())
		}
		f.cut()
		var gone bool
		until(t, w.Next, func(u client.Update) bool {
			for _, s := range u.Claims {
				gone = gone || s.Pool == "c2" && s.Status == client.None
			}
			return u.Online
		})
		if v := w.View(); !gone || len(v) != 1 || v[0].Position != 3 || w.Cursor() != (client.Cursor{Log: "bb", Seq: 5}) {
			t.Fatalf("%v %+v %+v", gone, v, w.Cursor())
		}
	})
}

// TestLaterWins: of an answer and a push about one pool, the one with the higher as_of counts, whichever comes first; and a
// slow reader gets the outcome, once.
func TestLaterWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(k *talk) {
			k.greet()
			m := k.hear()
			k.say(`{"push":"claims","person":"ann","as_of":30,"claims":[{"pool":"c1","status":"released","seq":30}]}` + "\n" +
				fmt.Sprintf(`{"reply":%v,"pool":"c1","person":"ann","status":"seated","seat":1,"seq":20,"durability":"confirmed","as_of":20}`, m["id"]))
			for i := range 50 {
				k.say(fmt.Sprintf(`{"push":"claims","person":"ann","as_of":%d,"claims":[{"pool":"c2","status":"waiting","position":%d,"seq":31}]}`, 31+i, 60-i))
			}
			for k.hear() != nil {
			}
		})
		l := f.client().Dial(t.Context(), "ann", client.Cursor{})
		defer l.Close()
		until(t, l.Next, online)
		if a, err := l.Claim(t.Context(), "c1", "ann", client.About{}); err != nil || !a.Seated() {
			t.Fatalf("%+v %v", a, err)
		}
		synctest.Wait()
		u, err := l.Next(t.Context())
		if err != nil || len(u.Claims) != 2 || u.Claims[0].Status != client.Released || u.Claims[1].Position != 11 {
			t.Fatalf("%+v %v", u, err)
		}
		if v := l.View("ann"); v[0].Status != client.Released {
			t.Fatalf("%+v", v)
		}
	})
}

// TestRecorded: the last stage is waited for, over a break too, and the command is not done again for it.
func TestRecorded(t *testing.T) {
	for _, cut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var heard []string
			f := newFake(t, func(k *talk) {
				k.greet()
				for m := k.hear(); m != nil; m = k.hear() {
					heard = append(heard, m["do"].(string))
					if m["recorded"] != true {
						t.Errorf("%v", m)
					}
					k.say(fmt.Sprintf(`{"reply":%v,"pool":"c1","person":"ann","status":"seated","seat":1,"seq":20,"durability":"confirmed","as_of":20}`, m["id"]))
					if cut && k.n == 1 {
						return
					}
					k.say(fmt.Sprintf(`{"reply":%v,"durability":"recorded","as_of":20}`, m["id"]))
				}
			})
			l, ctx := f.client().Dial(t.Context(), "ann", client.Cursor{}), t.Context()
			defer l.Close()
			call, err := l.Start(ctx, client.Command{Kind: client.ToClaim, Pool: "c1", Recorded: true, Quiet: true})
			if err != nil {
				t.Fatal(err)
			}
			var stages []client.Durability
			for {
				a, err := call.Next(ctx)
				if err == io.EOF {
					break
				}
				if err != nil || !a.Seated() {
					t.Fatalf("%+v %v", a, err)
				}
				stages = append(stages, a.Durability)
			}
			if stages[len(stages)-1] != client.Recorded || cut && strings.Join(heard, " ") != "claim standing" || !cut && len(heard) != 1 {
				t.Fatalf("%v %v", stages, heard)
			}
		})
	}
}
