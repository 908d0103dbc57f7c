package load

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/seat"
)

// files writes the two files; an empty text makes no file.
func files(t *testing.T, pools, claims string) (poolsPath, claimsPath string) {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) string {
		if text == "" {
			return ""
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return put("pools.csv", pools), put("claims.csv", claims)
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	const good = "pool,capacity\nc1,2\nc2,3\n"
	for _, row := range []struct {
		name, pools, claims string
		want                []string
	}{
		{"empty file", "\n", "", []string{"pools.csv:1: the file is empty; its first line must name the columns: pool, capacity"}},
		{"missing column", "course,seats\nc1,2\n", "", []string{`pools.csv:1: the column "capacity" is missing; there are: pool, seats`}},
		{"column twice", "course,pool,capacity\nc1,c1,2\n", "", []string{`pools.csv:1: the column "pool" is there twice`}},
		{"bad number", "pool,capacity\nc1,2\nc2,-3\nc3,2.5\nc4,\n", "", []string{
			`pools.csv:3: capacity: "-3" is not a whole number`, `pools.csv:4: capacity: "2.5"`, "pools.csv:5: capacity: is missing"}},
		{"too large", "pool,capacity\nc1,99999999\n", "", []string{`pools.csv:2: capacity: "99999999" is not a whole number from 0 to 10000000`}},
		{"bad id", "pool,capacity\nc 1,2\n,2\n", "", []string{`pools.csv:2: pool: "c 1"`, "pools.csv:3: pool: is missing"}},
		{"pool twice", good + "c1,5\n", "", []string{`pools.csv:4: pool: "c1" is on line 2 already`}},
		{"short row", "pool,capacity\nc1\n", "", []string{"pools.csv:2: the row has 1 fields, the header 2"}},
		{"open quote", "pool,capacity\n\"c1,2\n", "", []string{"pools.csv:2: not CSV:"}},
		{"not UTF-8", "pool,capacity,room\nc1,2,\xff\n", "", []string{"pools.csv:2: room: is not UTF-8"}},
		{"bad time", "pool,capacity,opens_at\nc1,2,tomorrow\n", "", []string{`pools.csv:2: opens_at: "tomorrow" is not an RFC 3339 time`}},
		{"times", "pool,capacity,opens_at,closes_at\nc1,2,2026-09-02T08:00:00Z,2026-09-01T08:00:00Z\n", "", []string{"pools.csv:2: closes_at: must lie after opens_at"}},
		{"promotion", "pool,capacity,promotion\nc1,2,maybe\nc2,2,offer\n", "", []string{"pools.csv:2: promotion:", "pools.csv:3: answer_seconds:"}},
		{"order", "pool,capacity,order\nc1,2,chance\nc2,2,lottery\n", "", []string{`pools.csv:2: order: "chance"`, "pools.csv:3: opens_at:"}},
		{"lines are counted", "pool,capacity,note\nc1,2,\"one\ntwo\"\nc2,x,\n", "", []string{`pools.csv:4: capacity: "x"`}},
		{"unknown pool", good, "pool,person\nc1,ann\nc9,ann\n", []string{`claims.csv:3: pool: "c9" is not among the pools`}},
		{"claims: missing column", good, "course,name\nc1,ann\n", []string{`claims.csv:1: the column "person" is missing`}},
		{"claims: bad person", good, "course,student\nc1,\nc1,a b\n", []string{"claims.csv:2: person: is missing", `claims.csv:3: person: "a b"`}},
		{"claims: twice", good, "course,student\nc1,ann\nc2,ann\nc1,ann\n", []string{`claims.csv:4: person: "ann" in pool "c1" is on line 2 already`}},
		{"claims: status", good, "course,student,status\nc1,ann,seated\nc1,bob,waiting\n", []string{`claims.csv:3: status: "waiting"`}},
		{"both files", "pool,capacity\nc1,x\n", "course,student\nc1,a b\n", []string{"pools.csv:2: capacity", "claims.csv:2: person"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			pools, claims := files(t, row.pools, row.claims)
			// The target is not asked: nobody listens there, and the error would be another.
			_, err := Run(t.Context(), Config{Realm: "r", Pools: pools, Claims: claims, Target: "http://127.0.0.1:1", Workers: 1})
			problem := new(Problem)
			if !errors.As(err, &problem) {
				t.Fatalf("the error names no line: %v", err)
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("lacks %q:\n%v", want, err)
				}
			}
			if n := strings.Count(err.Error(), "\n") + 1; n > len(row.want) {
				t.Errorf("%d problems, want at most %d:\n%v", n, len(row.want), err)
			}
		})
	}
}

func TestManyProblemsAreCut(t *testing.T) {
	t.Parallel()
	pools, _ := files(t, "pool,capacity\n"+strings.Repeat("c1,x\n", 1000), "")
	_, err := readPlan(pools, "")
	if n := strings.Count(err.Error(), "\n") + 1; n != mostProblems {
		t.Errorf("%d problems are told, want %d", n, mostProblems)
	}
}

func TestReadPlan(t *testing.T) {
	t.Parallel()
	pools, claims := files(t,
		"\ufeffCourse, capacity ,waitlist,opens_at,closes_at,promote_until,promotion,answer_seconds,group,days,room\n"+
			"c1,2,0,2026-09-01T08:00:00Z,2026-09-02T08:00:00Z,2026-09-03T08:00:00Z,offer,3600,math,mon wed,\"A \"\"1\"\"\"\n"+
			"c2,3,,,,,,,,,\n",
		"student,course\nbob,c1\nann,c1\nann,c2\n")
	p, err := readPlan(pools, claims)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.pools) != 2 || p.claims != 3 {
		t.Fatalf("%d pools, %d claims", len(p.pools), p.claims)
	}
	at := func(text string) (at seat.Time) {
		if err := at.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return at
	}
	c := p.pools[0].config
	if *c.Waitlist != 0 {
		t.Errorf("waitlist %d", *c.Waitlist)
	}
	c.Waitlist = nil
	if want := (seat.Config{Capacity: 2, OpensAt: at("2026-09-01T08:00:00Z"), ClosesAt: at("2026-09-02T08:00:00Z"),
		PromoteUntil: at("2026-09-03T08:00:00Z"), Promotion: seat.Offer, AnswerWithin: time.Hour, Group: "math",
		Data: `{"days":"mon wed","room":"A \"1\""}`}); c != want {
		t.Errorf("read %+v, want %+v", c, want)
	}
	if second := p.pools[1].config; second.Waitlist != nil || second.Data != "" || second.Capacity != 3 {
		t.Errorf("empty fields read as %+v", second)
	}
	if got := p.pools[0].claims; len(got) != 2 || got[0] != (claimRow{2, "bob"}) || got[1] != (claimRow{3, "ann"}) {
		t.Errorf("claims of c1: %v", got)
	}
}
