package auth

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTicketsAreBounded(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	cfg, _ := hsConfig(t, c.now)
	cfg.MaxTickets, cfg.MaxTicketsEach = 10, 3
	a := open(t, cfg)
	id := func(n int) Identity {
		t.Helper()
		id, err := a.Check(signHS(testSecret, hsHeader, claims(morning, map[string]any{"sub": fmt.Sprint("s", n)})))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	open, last := 0, ""
	for n := range 5 {
		for range 5 {
			ticket, _, err := a.Ticket(id(n), "spring", "")
			switch {
			case err == nil:
				open++
				last = ticket
			case !errors.Is(err, ErrCrowded):
				t.Fatal(err)
			}
		}
		if most := min(3*(n+1), 10); open != most {
			t.Fatalf("%d are open after %d persons, want %d", open, n+1, most)
		}
	}
	if _, err := a.Redeem(last, "spring", ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Ticket(id(9), "spring", ""); err != nil {
		t.Errorf("one was used, and there is no room: %v", err)
	}
	c.move(30 * time.Second)
	a.tickets.sweep(c.now())
	if len(a.tickets.open)+len(a.tickets.each)+len(a.tickets.given) != 0 {
		t.Errorf("ended tickets are kept: %d, %d, %d", len(a.tickets.open), len(a.tickets.each), len(a.tickets.given))
	}
	// Tickets that are used at once: no number of them crowds, and nothing piles up.
	for range 1000 {
		ticket, _, err := a.Ticket(id(0), "spring", "")
		if err == nil {
			_, err = a.Redeem(ticket, "spring", "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.tickets.given); n > 2*10+1 {
		t.Errorf("%d spent tickets are kept", n)
	}
	if _, _, err := a.Ticket(id(0), "autumn", ""); !errors.Is(err, ErrToken) {
		t.Errorf("a ticket for another realm: %v", err)
	}
	if _, _, err := a.Ticket(Identity{Role: Admin, Name: "made up"}, "spring", ""); !errors.Is(err, ErrToken) {
		t.Errorf("a ticket for nobody: %v", err)
	}
	if a.Holds(Identity{Role: Admin}) {
		t.Error("an identity that nobody proved holds")
	}
}

// TestTicketIsTakenOnce by however many at once.
func TestTicketIsTakenOnce(t *testing.T) {
	t.Parallel()
	cfg, _ := hsConfig(t, time.Now)
	a := open(t, cfg)
	id, err := a.Check(signHS(testSecret, hsHeader, claims(time.Now(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ticket, _, err := a.Ticket(id, "spring", "o")
		if err != nil {
			t.Fatal(err)
		}
		var taken atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := a.Redeem(ticket, "spring", "o"); err == nil {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 {
			t.Fatalf("taken %d times", taken.Load())
		}
	}
}
