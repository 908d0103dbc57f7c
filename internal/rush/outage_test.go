package rush

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestOutagesTakeTurns(t *testing.T) {
	t.Parallel()
	for want, n := range map[string][2]int{
		"[]": {0, 0}, "[false false]": {2, 0}, "[true]": {0, 1}, "[false true]": {1, 1}, "[false true true true]": {1, 3},
	} {
		if got := fmt.Sprint(outagePlan(n[0], n[1])); got != want {
			t.Errorf("%d kills and %d restarts come as %s", n[0], n[1], got)
		}
	}
}

func TestTimeWithoutAnswers(t *testing.T) {
	t.Parallel()
	c := crowdOf()
	a := &asker{crowd: c}
	c.askers = []*asker{a}
	answer := func(ms int, r record) {
		r.received = time.Duration(ms) * time.Millisecond
		a.shelf.put(r)
	}
	for _, ms := range []int{0, 500, 1_050, 2_000, 2_010, 9_000} { // the long silence before 9 s has nothing to do with an outage
		answer(ms, record{act: 2, errand: errandBasket, status: http.StatusOK})
	}
	answer(1_500, record{act: 2, errand: errandBasket, status: http.StatusServiceUnavailable}) // busy is no answer
	answer(1_600, record{act: 2, errand: errandPush, status: http.StatusOK})                   // nor is a push
	answer(1_700, record{act: 1, errand: errandClaim, status: http.StatusOK})
	outages := []outage{{restart: true, began: time.Second, ended: 1_800 * time.Millisecond}, {began: 2_005 * time.Millisecond, ended: 2_006 * time.Millisecond}}
	findGaps(c, outages, 9_500*time.Millisecond)
	if outages[0].gap != 950*time.Millisecond || outages[0].away() != 800*time.Millisecond || outages[1].gap != 10*time.Millisecond {
		t.Errorf("%+v", outages)
	}
}

// TestTimeWithoutAnyAnswer: a server that answers nobody after an outage has a gap until the end, and not none.
func TestTimeWithoutAnyAnswer(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]time.Duration{"answers before": 7_200 * time.Millisecond, "none ever": 7 * time.Second} {
		c := crowdOf()
		a := &asker{crowd: c}
		c.askers = []*asker{a}
		if name != "none ever" {
			a.shelf.put(record{act: 2, errand: errandBasket, status: http.StatusOK, received: 800 * time.Millisecond})
		}
		a.shelf.put(record{act: 2, errand: errandBasket, status: http.StatusServiceUnavailable, received: 3 * time.Second})
		outages := []outage{{began: time.Second, ended: 2 * time.Second}}
		findGaps(c, outages, 8*time.Second)
		if outages[0].gap != want {
			t.Errorf("%s: a gap of %v, want %v", name, outages[0].gap, want)
		}
	}
}
