package rush

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/internal/play"
	"holdfast/seat"
)

// smallLive is a rush on connections that takes some seconds. The fake tells at once, so that silence is soon believed.
func smallLive(target string) Config {
	cfg := small(target)
	cfg.WS, cfg.Storm, cfg.Students, cfg.Leave = true, true, 120, 0.3
	cfg.quiet = 300 * time.Millisecond
	return cfg
}

func TestLiveRushAgainstAnHonestServer(t *testing.T) {
	t.Parallel()
	for _, trick := range []string{"", trickRough} {
		t.Run("trick "+trick, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			cfg := smallLive(newFake(t, trick).URL)
			cfg.Stdout = &out
			dir := t.TempDir()
			cfg.Answers, cfg.Report = filepath.Join(dir, "answers.ndjson"), filepath.Join(dir, "rush.html")
			s, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatalf("%v\n%.3000s", err, out.Bytes())
			}
			v := s.Live
			if s.Violations != 0 || v.Gaps != 0 || v.Connected != 120 || s.Checks["P1"] < 4*120 || s.Checks["P2"] == 0 {
				t.Fatalf("%d violations, %d gaps, %d connected, P1 %d", s.Violations, v.Gaps, v.Connected, s.Checks["P1"])
			}
			if v.HeardMS.Count != 120 || v.KnewMS["confirmed"].Count != 120 || v.Storm.CaughtMS.Count != 120 {
				t.Errorf("%+v, storm %+v", v, v.Storm)
			}
			if s.Acts[0].Outcome["seated"] != 5 || s.Acts[0].Outcome["waiting"] != 25 || s.Acts[1].Outcome["seated"] != 60 {
				t.Errorf("the acts ended with %v and %v", s.Acts[0].Outcome, s.Acts[1].Outcome)
			}
			if s.Leaving.SeatsGivenBack != 18 || s.Leaving.MovedUp == 0 || v.MovedUpTold != s.Leaving.MovedUp {
				t.Errorf("leaving: %+v, %d told", s.Leaving, v.MovedUpTold)
			}
			if v.Storm.GivenBack != 18 || v.Storm.MovedUp == 0 || v.Storm.Told != v.Storm.MovedUp {
				t.Errorf("storm: %+v", v.Storm)
			}
			if s.Answers["precondition"] != s.Leaving.LateDuplicates || s.Leaving.LateDuplicates == 0 {
				t.Errorf("%d late duplicates, %d refused", s.Leaving.LateDuplicates, s.Answers["precondition"])
			}
			if trick == trickRough && (s.Answers["busy"] == 0 || v.Closes["1012"] == 0) {
				t.Errorf("the rough server was not rough: %v, %v", s.Answers, v.Closes)
			}
			checkAnswersFile(t, cfg.Answers, s.AnswersTotal)
			checkPage(t, cfg.Report)
			if page, err := os.ReadFile(cfg.Report); err != nil || !bytes.Contains(page, []byte("What came over the connections")) {
				t.Errorf("the page does not show the traffic: %v", err)
			}
		})
	}
}

func TestLiveRushFindsEveryBrokenPromise(t *testing.T) {
	t.Parallel()
	for trick, name := range map[string]string{
		trickLostPush: "P1",
		trickPushed:   "J1",
		trickReleased: "P1",
		trickPromoted: "P1",
		trickStale:    "P1",
		trickCounts:   "P2",
		trickOversell: "S1",
		trickOvertake: "S5",
	} {
		t.Run(trick, func(t *testing.T) {
			t.Parallel()
			s, err := Run(t.Context(), smallLive(newFake(t, trick).URL))
			if !errors.Is(err, ErrViolations) {
				t.Fatalf("the rush found nothing: %v", err)
			}
			found := false
			for _, v := range s.ViolationList {
				found = found || v.Name == name
			}
			if !found {
				t.Errorf("no %s among %d: %v …", name, s.Violations, s.ViolationList[:min(3, len(s.ViolationList))])
			}
			if name == "P1" && s.Live.Gaps == 0 {
				t.Error("nobody is counted as having missed something")
			}
		})
	}
	t.Run(trickEverybody, func(t *testing.T) {
		t.Parallel()
		_, err := Run(t.Context(), smallLive(newFake(t, trickEverybody).URL))
		if err == nil || !strings.Contains(err.Error(), "was told the claims of") {
			t.Fatalf("a push to somebody else was not found: %v", err)
		}
	})
}

func TestTooFewOpenFiles(t *testing.T) {
	t.Parallel()
	limit := play.OpenFiles()
	if limit == 0 || limit > 900_000 {
		t.Skip("there is no limit of open files here that a rush could reach")
	}
	cfg := DefaultConfig()
	cfg.WS, cfg.Students = true, int(limit)
	_, err := Run(t.Context(), cfg)
	var files *FilesError
	if !errors.As(err, &files) || files.Fit != int(limit)-spareFiles || files.Needed() != int(limit)+spareFiles {
		t.Fatalf("%v", err)
	}
	if !strings.Contains(err.Error(), "ulimit -Hn") || !strings.Contains(err.Error(), play.Number(files.Fit)) {
		t.Errorf("the message does not say how many fit: %v", err)
	}
	cfg.Fit = true
	if err := fitFiles(&cfg); err != nil || cfg.Students != int(limit)-spareFiles {
		t.Errorf("%d students were taken: %v", cfg.Students, err)
	}
}

func TestMessagesAreReadAtAGlance(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{
		`{"reply":7,"pool":"p","status":"seated","durability":"confirmed"}`:                               200,
		`{"reply":7,"pool":"p","status":"seated","durability":"preapproved"}`:                             202,
		`{"reply":7,"type":"urn:x","title":"Full","status":409,"code":"full","durability":"preapproved"}`: 409,
		`{"reply":7,"items":[{"pool":"p","status":"waiting"},{"pool":"q","refused":{"code":"full"}}]}`:    200,
		`{"reply":7,"status":503,"code":"busy","retry_after_ms":250}`:                                     503,
		`{"reply":7,"do":"ping"}`: 200,
	} {
		if got := play.MessageStatus([]byte(line)); got != want {
			t.Errorf("%s: %d", line, got)
		}
	}
	if got := play.RetryAfter([]byte(`{"status":503,"retry_after_ms":250}`)); got != 250*time.Millisecond {
		t.Error(got)
	}
	if got := pushedAsOf([]byte(`{"push":"claims","as_of":4720,"claims":[{"as_of":1}]}`)); got != 4720 {
		t.Error(got)
	}
}

func TestWhatAStudentMissed(t *testing.T) {
	t.Parallel()
	seated, waiting := seat.Standing{Status: seat.Seated, Seat: 3, Seq: 9}, seat.Standing{Status: seat.Waiting, Position: 5, Seq: 8}
	for name, c := range map[string]struct {
		knows  view
		log    seat.Standing
		final  bool
		missed bool
	}{
		"nothing":               {view{}, seat.Standing{}, true, false},
		"knows none":            {view{status: "none"}, seat.Standing{}, true, false},
		"all":                   {view{status: "seated", seat: 3, seq: 9}, seated, true, false},
		"the claim":             {view{}, seated, false, true},
		"the promotion":         {view{status: "waiting", position: 1, seq: 8}, seated, false, true},
		"another seat":          {view{status: "seated", seat: 4, seq: 9}, seated, false, true},
		"that it changed":       {view{status: "seated", seat: 3, seq: 7}, seated, false, true},
		"a position, meanwhile": {view{status: "waiting", position: 6, seq: 8}, waiting, false, false},
		"a position, at last":   {view{status: "waiting", position: 6, seq: 8}, waiting, true, true},
		"that it is gone":       {view{status: "waiting", position: 6, seq: 8}, seat.Standing{}, false, true},
	} {
		if got := c.knows.missed(&c.log, c.final); (got != "") != c.missed {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPulse(t *testing.T) {
	t.Parallel()
	var p pulse
	for _, at := range []time.Duration{0, 50 * time.Millisecond, 950 * time.Millisecond, 1020 * time.Millisecond, 1030 * time.Millisecond, math.MaxInt64} {
		p.add(at)
	}
	if p.total() != 6 || p.peak() != 3 {
		t.Errorf("%d in all, %d in the busiest second", p.total(), p.peak())
	}
}
