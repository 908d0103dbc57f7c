package server_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestSocketCommandsWithoutPause: commands that never pause hold up no push, neither of who sends them nor of others on the
// same connection, and no changed position: while they go on, all of that is told. In real time: a fake clock stands still while anything runs.
func TestSocketCommandsWithoutPause(t *testing.T) {
	for name, hello := range map[string]string{
		"one":  `{"id":1,"do":"hello","person":"ann"}`,
		"many": `{"id":1,"do":"hello"}{"id":2,"do":"subscribe","as":"ann"}{"id":3,"do":"subscribe","as":"bob"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t)
			s.must(200, "PUT", "/v1/realms/spring", "")
			s.must(200, "PUT", "/v1/realms/spring/pools/busy", `{"capacity":100}`)
			s.must(200, "PUT", "/v1/realms/spring/pools/line", `{"capacity":1}`)
			s.must(200, "PUT", "/v1/realms/spring/pools/c1", `{"capacity":1}`)
			for _, who := range []string{"x", "y", "ann"} {
				s.must(200, "PUT", "/v1/realms/spring/pools/line/claims/"+who, "")
			}
			w := s.openAs(hello)
			told := make(chan string, 1000)
			var stop atomic.Bool
			sent := make(chan int)
			go func() { // claims and gives back, 64 commands in each frame, as fast as the network takes them
				n := 0
				for ; !stop.Load(); n += 64 {
					w.frame(0x81, strings.Repeat(`{"id":9,"do":"claim","as":"ann","pool":"busy","quiet":true}{"id":9,"do":"release","as":"ann","pool":"busy","quiet":true}`, 32))
				}
				sent <- n
			}()
			go hearClaims(w, told)
			people := []string{"ann", "bob"}[:map[string]int{"one": 1, "many": 2}[name]]
			for i := range 40 {
				for _, who := range people {
					s.must(200, []string{"PUT", "DELETE"}[i%2], "/v1/realms/spring/pools/c1/claims/"+who+"?timeout=30s", "")
					hearOf(t, told, who, `"pool":"c1"`)
				}
			}
			s.must(200, "DELETE", "/v1/realms/spring/pools/line/claims/x?timeout=30s", "")
			hearOf(t, told, "ann", `"pool":"line","status":"waiting","position":1`)
			stop.Store(true)
			if n := <-sent; n < 1000 {
				t.Errorf("only %d commands", n)
			}
		})
	}
}

// hearClaims gives the pushes of claims that come.
func hearClaims(w *wireless, told chan<- string) {
	defer close(told)
	for {
		op, text := w.read()
		if op != 1 {
			return
		}
		for m := range strings.Lines(text) {
			if strings.HasPrefix(m, `{"push":"claims"`) {
				told <- m
			}
		}
	}
}

func hearOf(t *testing.T, told <-chan string, who, what string) {
	t.Helper()
	patience := time.After(time.Minute) // of a machine that is busy with other tests
	for {
		select {
		case m, open := <-told:
			if !open {
				t.Fatalf("the connection ended, and nobody told %s of %s", who, what)
			}
			if strings.Contains(m, fmt.Sprintf(`"person":%q`, who)) && strings.Contains(m, what) {
				return
			}
		case <-patience:
			t.Fatalf("the commands go on, and nobody told %s of %s", who, what)
		}
	}
}
