package shift

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// serve runs a server in this process.
func serve(t *testing.T) (url string) {
	t.Helper()
	cfg := engine.DefaultConfig()
	cfg.SnapshotEvery = 0
	e, err := engine.Open(memlog.New(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(e, nil, server.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-gone; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// small is a shift in which much goes wrong for the people, and nothing may for the server.
func small(target string) Config {
	cfg := DefaultConfig()
	cfg.Target, cfg.Desks, cfg.Agents, cfg.Clients = target, 10, 4, 60
	cfg.Rate, cfg.Duration, cfg.Accept, cfg.Lose, cfg.Phone, cfg.Compress = 40, 3*time.Second, 0.6, 0.15, 0.2, 200
	return cfg
}

func TestShift(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cfg := small(serve(t))
	cfg.Stdout, cfg.JSON, cfg.Report = &out, true, filepath.Join(t.TempDir(), "shift.html")
	s, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v: %+v", err, s)
	}
	if s.Violations != 0 || s.Came < 80 || s.Sessions < 30 || s.Compared < 1_000 || s.Phoned == 0 || s.Cut == 0 {
		t.Errorf("%+v", s)
	}
	sum := 0
	for _, n := range s.Outcomes {
		sum += n
	}
	if sum != s.Came || s.Outcomes["unknown"] != 0 {
		t.Errorf("%d came, and heard %v", s.Came, s.Outcomes)
	}
	if s.Offers["accepted"] != s.Sessions || s.Offers["rejected"] == 0 || s.Offers["pending"] != 0 {
		t.Errorf("%v", s.Offers)
	}
	if s.ToOfferMS.Count == 0 || s.ToOfferReadyMS.Count == 0 || s.ToAcceptMS.P50 <= s.ToOfferMS.P50 && s.ToAcceptMS.Max <= s.ToOfferMS.Max {
		t.Errorf("%+v, %+v, %+v", s.ToOfferMS, s.ToOfferReadyMS, s.ToAcceptMS)
	}
	for _, name := range []string{"D1", "D2", "D3", "D4", "D5", "D6", "D7", "J1"} {
		if s.Checks[name] == 0 {
			t.Errorf("%s was never looked at", name)
		}
	}
	var told map[string]any
	if err := json.Unmarshal(out.Bytes(), &told); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/SHIFT.md")
	if err != nil {
		t.Fatal(err)
	}
	for key := range told {
		if !bytes.Contains(doc, []byte("`"+key+"`")) {
			t.Errorf("docs/SHIFT.md does not say what `%s` is", key)
		}
	}
	for _, key := range []string{"sessions", "compared", "violations", "kills", "offers", "to_offer_ms", "to_accept_ms", "double_assignments", "stuck", "overtaken", "seconds"} {
		if _, there := told[key]; !there {
			t.Errorf("--json has no %q", key)
		}
	}
	page, err := os.ReadFile(cfg.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "What the agents did", "area busy", "prefers-color-scheme"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, never := range []string{"<script", "https://", "@import", "src=", "ZgotmplZ", "NaN", "Inf"} {
		if bytes.Contains(page, []byte(never)) {
			t.Errorf("the page has %q", never)
		}
	}
	for _, want := range []string{"violations 0", "double assignments", "stuck in init", "overtaken", "messages compared"} {
		if !strings.Contains(string(s.table()), want) {
			t.Errorf("the table has no %q:\n%s", want, s.table())
		}
	}
}

// TestAsFastAsItGoes is the load that the server is measured with.
func TestAsFastAsItGoes(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Target, cfg.Desks, cfg.Agents, cfg.Clients, cfg.Duration = serve(t), 4, 3, 8, time.Second
	cfg.Calm, cfg.Rate, cfg.Talk, cfg.Think, cfg.Accept, cfg.Phone = true, 0, 0, 0, 1, 0
	s, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v: %+v", err, s)
	}
	if s.Sessions < 10 || s.Cycles <= 0 || s.Cut != 0 || s.Offers["rejected"]+s.Offers["timed_out"]+s.Offers["revoked"] != 0 {
		t.Errorf("%+v", s)
	}
}

func TestShiftWithoutAServer(t *testing.T) {
	t.Parallel()
	cfg := small("http://127.0.0.1:1")
	if s, err := Run(t.Context(), cfg); err == nil || s != nil {
		t.Errorf("%+v, %v", s, err)
	}
	cfg = small(serve(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTooFewOpenFiles(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Desks, cfg.Agents, cfg.Clients = 10_000, 1_000, 20_000
	var files *FilesError
	if _, err := Run(t.Context(), cfg); !errors.As(err, &files) || !strings.Contains(err.Error(), "ulimit -Hn") {
		t.Skip("ten million files may be open here")
	}
	fit := DefaultConfig()
	fit.Desks, fit.Agents, fit.Clients, fit.Fit = 100, int(files.Limit), 100, true
	if err := fitFiles(&fit); err != nil || fit.Desks*fit.Agents+fit.Clients+spareFiles > int(files.Limit) || fit.Agents < 1 {
		t.Errorf("%d agents fit into %d: %v", fit.Agents, files.Limit, err)
	}
}
