package client

import (
	"testing"
	"time"
)

// TestBackoffBounds: full jitter, anything from 0 to a bound that doubles up to MaxBackoff.
func TestBackoffBounds(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.URL, cfg.Realm, cfg.Backoff, cfg.MaxBackoff = "http://localhost", "spring", 100*time.Millisecond, time.Second
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 6: 1000, 40: 1000, 1000: 1000} {
		want *= time.Millisecond
		var least, most time.Duration = time.Hour, 0
		for range 2000 {
			d := c.backoff(n)
			least, most = min(least, d), max(most, d)
		}
		if least < 0 || least > want/20 || most > want || most < want*19/20 {
			t.Errorf("attempt %d: waits from %v to %v, want from 0 to %v", n, least, most, want)
		}
	}
	if d := c.pause(1, &Error{RetryAfter: 5 * time.Second}); d < 5*time.Second || d > 5100*time.Millisecond {
		t.Errorf("with Retry-After: %v", d)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	var b budget
	b.init(0.1, 3)
	spent := func() (n int) {
		for b.spend() {
			n++
		}
		return n
	}
	if n := spent(); n != 3 {
		t.Errorf("a new one has %d, want its burst of 3", n)
	}
	for range 20 {
		b.earn()
	}
	if n := spent(); n != 2 {
		t.Errorf("20 requests earn %d retries, want 2", n)
	}
	for range 1000 {
		b.earn()
	}
	if n := spent(); n != 3 {
		t.Errorf("it saves up %d, want at most 3", n)
	}
}

func TestMemoryForgets(t *testing.T) {
	t.Parallel()
	var m memory
	m.init(10)
	at := func(i int) place { return place{"p", string(rune('a' + i))} }
	for i := range 26 {
		m.learn(at(i), version{uint64(i), uint64(i)})
		m.seq(at(0)) // used all the time
		if len(m.young)+len(m.old) > 10 {
			t.Fatalf("%d are kept", len(m.young)+len(m.old))
		}
	}
	if _, known := m.seq(at(1)); known {
		t.Error("the oldest is kept")
	}
	if seq, known := m.seq(at(25)); !known || seq != 25 {
		t.Error("the youngest is forgotten")
	}
	if _, known := m.seq(at(0)); !known {
		t.Error("what was used all the time is forgotten")
	}
	m.learn(at(25), version{99, 3})
	if seq, _ := m.seq(at(25)); seq != 25 {
		t.Error("what is older was learnt")
	}
	m.correct(at(25), version{99, 3})
	if seq, _ := m.seq(at(25)); seq != 99 {
		t.Error("the server's correction was not")
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	// {"sub":"ann","exp":1788249600}
	ends, ok := expiry("e30.eyJzdWIiOiJhbm4iLCJleHAiOjE3ODgyNDk2MDB9.c2ln")
	if !ok || ends.Unix() != 1788249600 {
		t.Errorf("%v %v", ends, ok)
	}
	for _, token := range []string{"", "a.b", "hf_key", "e30.e30.c2ln", "e30.!!.c2ln", "e30.bm90IGpzb24.c2ln"} {
		if _, ok := expiry(token); ok {
			t.Errorf("%q has an end", token)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := DefaultConfig()
	good.URL, good.Realm = "https://seats.example.edu/base", "spring"
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for i, wrong := range []func(*Config){
		func(c *Config) { c.URL = "seats.example.edu" },
		func(c *Config) { c.URL = "ws://seats.example.edu" },
		func(c *Config) { c.URL = "http://h/?q=1" },
		func(c *Config) { c.Realm = "a/b" },
		func(c *Config) { c.Realm = "" },
		func(c *Config) { c.HTTP = nil },
		func(c *Config) { h := *c.HTTP; h.Timeout = 1; c.HTTP = &h },
		func(c *Config) { c.Attempts = 0 },
		func(c *Config) { c.Backoff = 0 },
		func(c *Config) { c.MaxBackoff = c.Backoff - 1 },
		func(c *Config) { c.BudgetRatio = 1.5 },
		func(c *Config) { c.BudgetBurst = -1 },
		func(c *Config) { c.HoldAnswer = 0 },
		func(c *Config) { c.AttemptTimeout = c.HoldAnswer },
		func(c *Config) { c.Remembered = 0 },
		func(c *Config) { c.InFlight = 0 },
		func(c *Config) { c.MaxMessage = 1 },
	} {
		cfg := good
		wrong(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("configuration %d is taken", i)
		}
	}
	c, _ := New(good)
	if u := c.url(claimPath("c1", "a@b+c"), nil); u != "https://seats.example.edu/base/v1/realms/spring/pools/c1/claims/a@b+c" {
		t.Error(u)
	}
}
