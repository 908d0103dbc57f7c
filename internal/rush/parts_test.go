package rush

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/seat"
)

func TestEventsComeBackFromJSON(t *testing.T) {
	t.Parallel()
	waitlist, most := uint32(7), uint32(3)
	at := seat.TimeOf(time.Date(2026, 9, 1, 8, 0, 0, 123456000, time.UTC))
	for _, e := range []holdfast.Event{
		{Seq: 1, At: at, Seat: seat.Event{Kind: holdfast.Started}, Epoch: 4, Grace: 30_500_000},
		{Seq: 2, At: at, Realm: "r", Seat: seat.Event{Kind: holdfast.RealmPut}, Limits: &seat.Limits{MaxSeats: &most, MaxWaits: 20}},
		{Seq: 3, At: at, Realm: "r", Seat: seat.Event{Kind: holdfast.RealmPut}, Limits: &seat.Limits{MaxWaits: 0}},
		{Seq: 4, At: at, Realm: "r", Seat: seat.Event{Kind: seat.PoolPut, Pool: "p", Config: &seat.Config{
			Capacity: 30, Waitlist: &waitlist, OpensAt: at, ClosesAt: at + 1, PromoteUntil: at + 2,
			Promotion: seat.Offer, AnswerWithin: time.Minute, Group: "g", Data: `{"room":"A1"}`,
		}}},
		{Seq: 5, At: at, Realm: "r", Seat: seat.Event{Kind: seat.PoolPut, Pool: "p", Config: &seat.Config{}}},
		{Seq: 6, At: at, Realm: "r", Seat: seat.Event{Kind: seat.SeatTaken, Pool: "p", Person: "x", Was: seat.Waiting, Cause: seat.ByPromotion, Seat: 12, Swap: "q"}},
		{Seq: 7, At: at, Realm: "r", Seat: seat.Event{Kind: seat.SeatTaken, Pool: "p", Person: "x", Cause: seat.ByStaff, Seat: 12, Staff: seat.Staff{By: "Ada \"L\"", Reason: "äöü"}}},
		{Seq: 8, At: at, Realm: "r", Seat: seat.Event{Kind: seat.LineJoined, Pool: "p", Person: "x", Was: seat.Released, Cause: seat.ByClaim, Ticket: 99, Swap: "q"}},
		{Seq: 9, At: at, Realm: "r", Seat: seat.Event{Kind: seat.SeatOffered, Pool: "p", Person: "x", Was: seat.Waiting, Cause: seat.ByPromotion, Seat: 3, Deadline: at + 5, Swap: "q"}},
		{Seq: 10, At: at, Realm: "r", Seat: seat.Event{Kind: seat.SeatFreed, Pool: "p", Person: "x", Was: seat.Offered, Cause: seat.ByExpiry}},
		{Seq: 11, At: at, Realm: "r", Seat: seat.Event{Kind: seat.SeatFreed, Pool: "p", Person: "x", Was: seat.Seated, Cause: seat.ByRelease, Swap: "q"}},
		{Seq: 12, At: at, Realm: "r", Seat: seat.Event{Kind: seat.SeatTaken, Pool: "p", Person: "x", Was: seat.Offered, Cause: seat.ByAccept, Seat: 3}},
	} {
		var back holdfast.Event
		if err := parseEvent(e.AppendJSON(nil), &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(e, back) {
			t.Errorf("%s came back as\n%s", e.AppendJSON(nil), back.AppendJSON(nil))
		}
	}
	for _, bad := range []string{`{`, `{"seq":1,"kind":"sneezed"}`, `{"seq":1,"kind":"seated","was":"none","cause":"whim"}`, `{"seq":1,"kind":"seated","was":"lost","cause":"claim"}`, `{"seq":1,"kind":"pool_put"}`} {
		if err := parseEvent([]byte(bad), new(holdfast.Event)); err == nil {
			t.Errorf("%s was taken for an event", bad)
		}
	}
}

func TestPlanIsDeterminedByTheSeed(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Students = 4_000
	one, err := makePlan(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := makePlan(&cfg)
	if !reflect.DeepEqual(one, two) {
		t.Fatal("equal seeds gave different plans")
	}
	cfg.Seed++
	if three, _ := makePlan(&cfg); reflect.DeepEqual(one.wishes, three.wishes) {
		t.Fatal("different seeds gave equal wishes")
	}
	wanted := make([]int, len(one.courses))
	for _, basket := range one.wishes {
		seen := map[int32]bool{}
		for _, w := range basket {
			if w == 0 || seen[w] {
				t.Fatalf("basket %v", basket)
			}
			seen[w] = true
			wanted[w]++
		}
	}
	most, least := 0, 1<<30
	for _, n := range wanted[1:] {
		most, least = max(most, n), min(least, n)
	}
	if most < 20*max(1, least) {
		t.Errorf("the most wanted course is wanted %d times, the least wanted %d: far more was asked for", most, least)
	}
	again, before := 0, map[int32]bool{}
	for _, p := range one.order {
		if p.again != before[p.person] {
			t.Fatal("somebody pressed again before the first time, or twice for the first time")
		}
		before[p.person] = true
		if p.again {
			again++
		}
	}
	if share := float64(again) / 4_000; share < 0.25 || share > 0.35 {
		t.Errorf("%.2f pressed again, 0.3 was asked for", share)
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	const courses, wishes = "days,course,capacity\nmon,a,10\n,b,1\n,c,0\n,d,3\n", "student,course,rank\nx,b,2\nx,a,1\ny,d,1\n"
	read := func(t *testing.T, courses, wishes string) (*plan, error) {
		dir := t.TempDir()
		cfg := DefaultConfig()
		cfg.Students = 4
		cfg.Courses, cfg.Wishes = filepath.Join(dir, "courses.csv"), filepath.Join(dir, "wishes.csv")
		for file, text := range map[string]string{cfg.Courses: courses, cfg.Wishes: wishes} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return makePlan(&cfg)
	}
	p, err := read(t, courses, wishes)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.courses[1:], []course{{"a", 5}, {"b", 1}, {"c", 0}, {"d", 2}}; !reflect.DeepEqual(got, want) {
		t.Errorf("courses %v, want %v", got, want)
	}
	if got, want := p.wishes[:2], [][]int32{{1, 2}, {4}}; !reflect.DeepEqual(got, want) {
		t.Errorf("wishes %v, want %v: by rank", got, want)
	}
	for name, bad := range map[string][3]string{
		"no column":      {"course,places\na,1\n", wishes, `courses.csv:1: there is no column "capacity"`},
		"bad capacity":   {"course,capacity\na,10\nb,many\n", wishes, `courses.csv:3: capacity "many"`},
		"twice":          {"course,capacity\na,10\na,10\n", wishes, "courses.csv:3: course a is there twice"},
		"bad id":         {"course,capacity\na b,10\n", wishes, "courses.csv:2: course"},
		"empty":          {"", wishes, "courses.csv:1: the file is empty"},
		"no rows":        {"course,capacity\n", wishes, "courses.csv:2: there is no row"},
		"ragged":         {"course,capacity\na,1\nb\n", wishes, "courses.csv: record on line 3"},
		"unknown course": {courses, "student,course,rank\nx,a,1\nx,z,2\n", `wishes.csv:3: course "z"`},
		"bad rank":       {courses, "student,course,rank\nx,a,first\n", `wishes.csv:2: rank "first"`},
		"wish twice":     {courses, "student,course,rank\nx,a,1\nx,a,2\n", "wishes.csv:3: x wishes for a twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := read(t, bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), bad[2]) {
				t.Errorf("got %v, want %s", err, bad[2])
			}
		})
	}
}

func TestNumbersInAnswers(t *testing.T) {
	t.Parallel()
	if got := asOf([]byte(`{"items":[{"as_of":1}],"as_of":4711,"at":"x"}`)); got != 4711 {
		t.Errorf("as_of %d", got)
	}
	var status reading
	if err := json.Unmarshal([]byte(`{"status":409,"code":"full"}`), &status); err != nil || string(status.Status) != "409" {
		t.Errorf("a problem's status: %v, %s", err, status.Status)
	}
}

// TestNextCommand: the table ends with something that this rush did not show.
func TestNextCommand(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Summary{
		"--answers":         {Server: "child", Violations: 1},
		"--kill 3":          {Server: "child"},
		"--ws --storm":      {Server: "child", Kills: 3},
		"--ws --kill 1":     {Server: "child", Live: &Live{}},
		"--report":          {Server: "child", Kills: 3, Live: &Live{}},
		"--data ./":         {Server: "child", Kills: 3, Live: &Live{}, cfg: &Config{Report: "r.html"}},
		"holdfast verify d": {Server: "child", cfg: &Config{Data: "d"}},
	} {
		if s.cfg == nil {
			s.cfg = &Config{}
		}
		if got := s.next(); !strings.Contains(got, want) {
			t.Errorf("%q does not say %s", got, want)
		}
	}
}
