package rush

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// smallLive is a rush on connections that takes some seconds: it waits for silence four times.
func smallLive(target string) Config {
	cfg := small(target)
	cfg.WS, cfg.Storm, cfg.Students, cfg.Leave = true, true, 120, 0.3
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
			if s.Violations != 0 || v.Gaps != 0 || v.Connected != 120 || s.Checks["L1"] < 4*120 {
				t.Fatalf("%d violations, %d gaps, %d connected, L1 %d", s.Violations, v.Gaps, v.Connected, s.Checks["L1"])
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
		})
	}
}

func TestLiveRushFindsEveryBrokenPromise(t *testing.T) {
	t.Parallel()
	for trick, name := range map[string]string{
		trickLostPush: "L1",
		trickPushed:   "J1",
		trickReleased: "L1",
		trickPromoted: "L1",
		trickStale:    "L1",
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
			if name == "L1" && s.Live.Gaps == 0 {
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
