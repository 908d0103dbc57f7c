package rush

import (
	"fmt"
	"strings"
	"testing"

	"holdfast"
	"holdfast/internal/sim"
	"holdfast/seat"
)

// history is a log of two runs: before the second one, event 5 of the first was lost. s1 sits, s2 waits.
func history(each func(*holdfast.Event) error) error {
	for i, e := range []holdfast.Event{
		{Seat: seat.Event{Kind: holdfast.Started}, Epoch: 1},
		{Realm: "rush", Seat: seat.Event{Kind: holdfast.RealmPut}, Limits: &seat.Limits{MaxWaits: 20}},
		{Realm: "rush", Seat: seat.Event{Kind: seat.PoolPut, Pool: "p", Config: &seat.Config{Capacity: 1}}},
		{Realm: "rush", Seat: seat.Event{Kind: seat.SeatTaken, Cause: seat.ByClaim, Pool: "p", Person: "s1", Seat: 1}},
		{Seat: seat.Event{Kind: holdfast.Started}, Epoch: 2},
		{Realm: "rush", Seat: seat.Event{Kind: seat.LineJoined, Cause: seat.ByClaim, Pool: "p", Person: "s2", Ticket: 1}},
	} {
		e.Seq, e.At = uint64(i+1), seat.Time(i+1)
		if err := each(&e); err != nil {
			return err
		}
	}
	return nil
}

// crowdOf has the pool and the people of history.
func crowdOf() *crowd {
	return &crowd{realm: "rush", plan: &plan{courses: []course{{"p", 1}}, people: []string{"s1", "s2"}}}
}

func heard(person int32, run uint16, asOf uint64, durability, status string, number uint32) answer {
	a := answer{person: person, run: run, errand: errandClaim}
	a.Realm, a.Pool, a.Person = "rush", "p", fmt.Sprintf("s%d", person+1)
	a.AsOf, a.Durability, a.Status = asOf, durability, status
	switch status {
	case "seated":
		a.Seat = number
	case "waiting":
		a.Position = number
	}
	return a
}

func namesOf(vs []sim.Violation) string {
	var names []string
	for _, v := range vs {
		names = append(names, v.Name)
	}
	return strings.Join(names, " ")
}

func TestWhatACrashMayErase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer     answer
		erased     int
		violations string
		orderly    bool // the first run was stopped, not killed
	}{
		"confirmed and there":           {heard(0, 0, 4, "confirmed", "seated", 1), 0, "", false},
		"recorded and there":            {heard(0, 0, 4, "recorded", "seated", 1), 0, "", false},
		"preapproved and survived":      {heard(0, 0, 4, "preapproved", "seated", 1), 0, "", false},
		"preapproved, survived, false":  {heard(0, 0, 4, "preapproved", "seated", 2), 0, "J1", false},
		"preapproved and erased":        {heard(1, 0, 5, "preapproved", "waiting", 1), 1, "", false},
		"confirmed and erased":          {heard(1, 0, 5, "confirmed", "waiting", 1), 0, "J1", false},
		"confirmed in the second run":   {heard(1, 1, 6, "confirmed", "waiting", 1), 0, "", false},
		"preapproved in the second run": {heard(1, 1, 6, "preapproved", "waiting", 1), 0, "", false},
		"another position":              {heard(1, 1, 6, "confirmed", "waiting", 2), 0, "J1", false},
		"beyond the log's end":          {heard(1, 1, 9, "confirmed", "waiting", 1), 0, "J1", false},
		"busy promises nothing":         {heard(1, 0, 0, "", "busy", 0), 0, "", false},
		"preapproved, lost by a stop":   {heard(1, 0, 5, "preapproved", "waiting", 1), 0, "J1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, _, err := verify(crowdOf(), []bool{c.orderly, true}, []answer{c.answer}, history)
			if err != nil {
				t.Fatal(err)
			}
			if v.erased != c.erased || namesOf(v.violations) != c.violations {
				t.Errorf("%d erased, violations %v", v.erased, v.violations)
			}
		})
	}
}

func TestRowsAreCompared(t *testing.T) {
	t.Parallel()
	first := row{"p", "s1", "seated", entry{seat: 1, seq: 4}}
	second := row{"p", "s2", "waiting", entry{ticket: 1, seq: 6}}
	answers := []answer{heard(0, 0, 4, "confirmed", "seated", 1)}
	answers[0].Seq = 4
	for name, c := range map[string]struct {
		rows []row
		want string
	}{
		"as the log":      {[]row{first, second}, ""},
		"another seat":    {[]row{{"p", "s1", "seated", entry{seat: 2, seq: 4}}, second}, "J7 J7"}, // the log and the answer
		"another ticket":  {[]row{first, {"p", "s2", "waiting", entry{ticket: 2, seq: 6}}}, "J7"},
		"an older event":  {[]row{{"p", "s1", "seated", entry{seat: 1, seq: 3}}, second}, "J7 J7"},
		"a missing row":   {[]row{first}, "J7"},
		"a row too many":  {[]row{first, second, {"p", "s3", "waiting", entry{ticket: 2, seq: 7}}}, "J7"},
		"no such status":  {[]row{first, {"p", "s2", "queued", entry{ticket: 1, seq: 6}}}, "J7"},
		"nothing at all":  {nil, "J7 J7 J7"},
		"somebody else's": {[]row{first, {"q", "s2", "waiting", entry{ticket: 1, seq: 6}}}, "J7 J7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, l, err := verify(crowdOf(), []bool{false, true}, answers, history)
			if err != nil {
				t.Fatal(err)
			}
			err = v.compareRows(l, answers, func(each func(*row)) error {
				for _, r := range c.rows {
					each(&r)
				}
				return nil
			})
			if err != nil || namesOf(v.violations) != c.want || v.rows != len(c.rows) {
				t.Errorf("%v, %d rows, violations %v", err, v.rows, v.violations)
			}
		})
	}
}

func TestAnswersOfOneStudentAgree(t *testing.T) {
	t.Parallel()
	released := heard(0, 0, 3, "confirmed", "released", 0)
	released.errand = errandRelease
	for name, c := range map[string]struct {
		answers []answer
		want    string
	}{
		"same seat":          {[]answer{heard(0, 0, 1, "confirmed", "seated", 1), heard(0, 0, 2, "confirmed", "seated", 1)}, ""},
		"another seat":       {[]answer{heard(0, 0, 1, "confirmed", "seated", 1), heard(0, 0, 2, "confirmed", "seated", 2)}, "J1"},
		"better place":       {[]answer{heard(0, 0, 1, "confirmed", "waiting", 7), heard(0, 0, 2, "confirmed", "waiting", 6)}, ""},
		"worse place":        {[]answer{heard(0, 0, 1, "confirmed", "waiting", 7), heard(0, 0, 2, "confirmed", "waiting", 8)}, "J1"},
		"moved up":           {[]answer{heard(0, 0, 1, "confirmed", "waiting", 1), heard(0, 0, 2, "confirmed", "seated", 1)}, ""},
		"gone":               {[]answer{heard(0, 0, 1, "confirmed", "waiting", 1), heard(0, 0, 2, "confirmed", "none", 0)}, "J1"},
		"out of a seat":      {[]answer{heard(0, 0, 1, "confirmed", "seated", 1), heard(0, 0, 2, "confirmed", "waiting", 1)}, "J1"},
		"erased in between":  {[]answer{heard(0, 0, 1, "preapproved", "seated", 1), heard(0, 0, 2, "confirmed", "waiting", 1)}, ""},
		"two in one seat":    {[]answer{heard(0, 0, 1, "confirmed", "seated", 1), heard(1, 0, 2, "confirmed", "seated", 1)}, "S1"},
		"after a release":    {[]answer{heard(0, 0, 1, "confirmed", "seated", 1), released, heard(1, 0, 4, "confirmed", "seated", 1)}, ""},
		"in the same moment": {[]answer{heard(0, 0, 1, "confirmed", "seated", 1), heard(1, 0, 3, "confirmed", "seated", 1), released}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v verdict
			v.compareAnswers(c.answers)
			if namesOf(v.violations) != c.want {
				t.Errorf("violations %v, want %q", v.violations, c.want)
			}
		})
	}
}
