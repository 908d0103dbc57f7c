package shift

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/internal/wire"
)

func TestPlanIsDeterminedByTheSeed(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Desks, cfg.Agents = 20, 3
	p := makePlan(&cfg)
	if got := fmt.Sprint(makePlan(&cfg)); got != fmt.Sprint(p) {
		t.Error("the same seed gave another plan")
	}
	cfg.Seed = 2
	if fmt.Sprint(makePlan(&cfg)) == fmt.Sprint(p) {
		t.Error("another seed gave the same plan")
	}
	if want := cfg.Rate * cfg.Duration.Seconds(); !near(float64(len(p.arrivals)), want, 0.1) {
		t.Errorf("%d come, want about %.0f", len(p.arrivals), want)
	}
	phoned, urgent, crowded := 0, 0, map[[2]int64]int{}
	for i, a := range p.arrivals {
		if a.number != i || i > 0 && a.at < p.arrivals[i-1].at || a.at > cfg.Duration {
			t.Fatalf("arrival %d: %+v after %+v", i, a, p.arrivals[max(0, i-1)])
		}
		if d := p.desks[a.desk]; (a.topic >= 0) != (len(d.kind.topics) > 0) {
			t.Fatalf("%+v at a desk with the topics %q", a, d.kind.topics)
		}
		if a.phone {
			phoned++
		}
		if a.priority > 0 {
			urgent++
		}
		crowded[[2]int64{int64(a.desk), int64(a.at / (100 * time.Millisecond))}]++
	}
	n := float64(len(p.arrivals))
	if !near(float64(phoned)/n, cfg.Phone, 0.2) || !near(float64(urgent)/n, 0.05, 0.2) {
		t.Errorf("of %.0f, %d phone and %d are urgent", n, phoned, urgent)
	}
	cfg.Calm, cfg.Seed = true, 1
	calm := makePlan(&cfg)
	for i, a := range calm.arrivals {
		if a.priority > 0 || a.topic >= 0 {
			t.Fatalf("calm, and number %d is %+v", i, a)
		}
	}
	half := 0
	for _, a := range calm.arrivals {
		if a.at < cfg.Duration/2 {
			half++
		}
	}
	if !near(float64(half), float64(len(calm.arrivals))/2, 0.05) {
		t.Errorf("calm, and %d of %d come in the first half", half, len(calm.arrivals))
	}
}

// TestDeskConfigs: the server takes what the desks are made with, whatever the flags.
func TestDeskConfigs(t *testing.T) {
	t.Parallel()
	for _, compress := range []float64{1, 60, 100_000} {
		for _, calm := range []bool{false, true} {
			cfg := DefaultConfig()
			cfg.Compress, cfg.Calm, cfg.Desks, cfg.Agents = compress, calm, 2*len(kinds), 1_000
			for _, d := range makePlan(&cfg).desks {
				put, err := wire.ParseDesk(d.name, []byte(d.config))
				if err == nil {
					err = put.Valid()
				}
				if err != nil {
					t.Errorf("%s: %v", d.config, err)
				}
			}
		}
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"":                          func(*Config) {},
		"--desks must be 1 to":      func(c *Config) { c.Desks = 0 },
		"--agents must be 1 to":     func(c *Config) { c.Agents = -1 },
		"--clients must be 1 to":    func(c *Config) { c.Clients = 100_000 },
		"--rate must be 0 to":       func(c *Config) { c.Rate = -1 },
		"--duration must be 1s":     func(c *Config) { c.Duration = 0 },
		"--compress must be 1":      func(c *Config) { c.Compress = 0.5 },
		"--talk must be":            func(c *Config) { c.Talk = -time.Second },
		"--think must be":           func(c *Config) { c.Think = time.Hour },
		"--accept must be 0 to 1":   func(c *Config) { c.Accept = 1.1 },
		"--lose must be 0 to 1":     func(c *Config) { c.Lose = -1 },
		"--phone must be 0 to 1":    func(c *Config) { c.Phone = 2 },
		"--kill must be":            func(c *Config) { c.Kill = -1 },
		"is the most":               func(c *Config) { c.Rate, c.Duration = 100_000, time.Hour },
		"needs --calm":              func(c *Config) { c.Rate = 0 },
		"never killed":              func(c *Config) { c.Target, c.Kill = "http://127.0.0.1:1", 1 },
		"a server of its own":       func(c *Config) { c.Target, c.Data = "http://127.0.0.1:1", "x" },
		"is not a URL such as http": func(c *Config) { c.Target = "desk.example.com" },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
