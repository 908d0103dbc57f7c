package story_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/internal/story"
	"holdfast/seat"
)

var update = flag.Bool("update", false, "write the stories anew")

// world steps commands at times that the test sets, and keeps the events.
type world struct {
	t       *testing.T
	stepper holdfast.Stepper
	batch   holdfast.Batch
	now     seat.Time
	began   seat.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: seat.TimeOf(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))}
	w.began = w.now
	w.stepper.State = holdfast.NewState()
	w.do("", holdfast.Start{Epoch: 1})
	w.do("spring", holdfast.PutRealm{Limits: seat.DefaultLimits()})
	return w
}

// do decides a command a millisecond later, what is due before it first.
func (w *world) do(realm string, body holdfast.Body) holdfast.Result {
	w.t.Helper()
	w.now = w.now.Add(time.Millisecond)
	if err := body.Valid(); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range w.stepper.State.Realms() {
		for next, ok := r.NextDue(); ok && next <= w.now; next, ok = r.NextDue() {
			w.stepper.Due(r, w.now, w.now, &w.batch)
		}
	}
	return w.stepper.Step(&holdfast.Command{Realm: realm, At: w.now, Body: body}, &w.batch)
}

func (w *world) claim(pool string, people ...string) {
	for _, p := range people {
		w.do("spring", seat.Claim{Pool: pool, Person: p})
	}
}

func (w *world) release(pool string, people ...string) {
	for _, p := range people {
		w.do("spring", seat.Release{Pool: pool, Person: p})
	}
}

func (w *world) pool(name string, c seat.Config) { w.do("spring", seat.PutPool{Pool: name, Config: c}) }

// why tells the story from the events.
func (w *world) why(realm, pool, person string) string {
	w.t.Helper()
	teller := story.New(holdfast.NewState(), realm, pool, person)
	if err := holdfast.Decode(1, w.batch.Count, w.batch.Bytes, teller.Event); err != nil {
		w.t.Fatal(err)
	}
	text := fmt.Sprintf("# %s in %s of %s\n", person, pool, realm)
	for _, line := range teller.Lines() {
		text += line.String() + "\n"
	}
	return text + teller.End() + "\n\n"
}

func number(n uint32) *uint32 { return &n }

// line: the number in line, people who leave before and behind, promotion, release, and coming back.
func line(w *world) string {
	w.pool("c1", seat.Config{Capacity: 2, Waitlist: number(5)})
	w.claim("c1", "ann", "bob", "cid", "dee", "eve", "fay", "gus", "too-late")
	w.release("c1", "dee", "gus")
	w.release("c1", "bob")
	w.release("c1", "ann")
	w.release("c1", "cid")
	w.claim("c1", "bob")
	w.pool("c1", seat.Config{Capacity: 4, Waitlist: number(5)})
	var text string
	for _, p := range []string{"ann", "bob", "cid", "dee", "eve", "fay", "gus", "too-late"} {
		text += w.why("spring", "c1", p)
	}
	return text + w.why("spring", "c9", "ann") + w.why("autumn", "c1", "ann")
}

// offers: accepted, declined, run out, and a restart in between.
func offers(w *world) string {
	w.pool("c1", seat.Config{Capacity: 1, Promotion: seat.Offer, AnswerWithin: time.Hour})
	w.claim("c1", "ann", "bob", "cid", "dee", "eve")
	w.release("c1", "ann")
	w.release("c1", "bob")
	w.now = w.now.Add(59*time.Minute + 30*time.Second)
	w.do("", holdfast.Start{Epoch: 2, Grace: 60_000_000})
	w.now = w.now.Add(2 * time.Minute)
	w.claim("c1", "fay")
	if st, ok := w.stepper.State.Realm("spring").Seats.Standing("c1", "dee"); ok {
		w.do("spring", seat.Accept{Pool: "c1", Person: "dee", Offer: st.Seq})
	}
	var text string
	for _, p := range []string{"bob", "cid", "dee", "eve"} {
		text += w.why("spring", "c1", p)
	}
	return text
}

// staff: seated and removed out of order.
func staff(w *world) string {
	w.pool("c1", seat.Config{Capacity: 1})
	w.claim("c1", "ann", "bob", "cid")
	w.do("spring", seat.Override{Pool: "c1", Person: "cid", Action: seat.SeatPerson, Reason: "needs it to graduate", By: "dean"})
	w.do("spring", seat.Override{Pool: "c1", Person: "ann", Action: seat.RemovePerson, Reason: "left the university"})
	w.do("spring", seat.Override{Pool: "c1", Person: "cid", Action: seat.RemovePerson, Reason: "was a mistake", By: "dean"})
	return w.why("spring", "c1", "ann") + w.why("spring", "c1", "bob") + w.why("spring", "c1", "cid")
}

// swaps: kept until there is a seat, done by a promotion, and gone; and who may not sit because of a group.
func swaps(w *world) string {
	w.pool("m1", seat.Config{Capacity: 1, Group: "math"})
	w.pool("m2", seat.Config{Capacity: 1, Group: "math"})
	w.claim("m1", "ann")
	w.claim("m2", "bob")
	w.do("spring", seat.Basket{Person: "ann", Mode: seat.EachOrWait, Items: []seat.Item{{Pool: "m2", Swap: "m1"}}})
	w.claim("m1", "cid", "dee")
	w.claim("m2", "cid")
	w.release("m2", "bob")
	w.release("m2", "ann")
	w.release("m1", "cid")
	return w.why("spring", "m1", "ann") + w.why("spring", "m2", "ann") + w.why("spring", "m1", "cid") + w.why("spring", "m2", "cid") +
		w.why("spring", "m1", "dee")
}

// lots: entered, drawn into a seat, into the line, and out of both; withdrawn, by staff, and blocked at the draw.
func lots(w *world) string {
	seed := [32]byte{1}
	w.stepper.Seed = func([32]byte) ([32]byte, bool) { return seed, true }
	one := uint32(1)
	w.do("spring", holdfast.PutRealm{Limits: seat.Limits{MaxSeats: &one, MaxWaits: 20}})
	opens := w.now.Add(time.Hour)
	w.pool("c1", seat.Config{Capacity: 1, Waitlist: number(1), Order: seat.Lottery, OpensAt: opens, SeedHash: sha256.Sum256(seed[:])})
	w.pool("c2", seat.Config{Capacity: 2, Order: seat.Lottery, OpensAt: opens + 1, SeedHash: sha256.Sum256(seed[:])})
	w.claim("c1", "ann", "bob", "cid", "dee", "eve", "fay")
	w.claim("c2", "ann", "bob", "cid")
	w.release("c1", "eve")
	w.do("spring", seat.Override{Pool: "c1", Person: "fay", Action: seat.RemovePerson, Reason: "left the university"})
	text := w.why("spring", "c1", "ann")
	w.now = opens
	w.claim("c1", "gus")
	for _, p := range []string{"ann", "bob", "cid", "dee", "eve", "fay"} {
		text += w.why("spring", "c1", p)
	}
	for _, p := range []string{"ann", "bob", "cid"} {
		text += w.why("spring", "c2", p)
	}
	return text
}

func TestStories(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(*world) string{"line": line, "offers": offers, "staff": staff, "swaps": swaps, "lots": lots, "requests": requests, "agents": agents} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.TrimSpace(play(newWorld(t))) + "\n"
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the story is another one; see it with -update and git diff:\n%s", got)
			}
		})
	}
}

// TestFromSnapshot: a log whose beginning is gone.
func TestFromSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool("c1", seat.Config{Capacity: 1})
	w.claim("c1", "ann", "bob", "cid")
	var kept strings.Builder
	if err := w.stepper.State.WriteSnapshot(&kept); err != nil {
		t.Fatal(err)
	}
	state, err := holdfast.ReadSnapshot(strings.NewReader(kept.String()))
	if err != nil {
		t.Fatal(err)
	}
	w.batch.Reset()
	w.release("c1", "bob")
	teller := story.New(state, "spring", "c1", "cid")
	if err := holdfast.Decode(w.batch.First, w.batch.Count, w.batch.Bytes, teller.Event); err != nil {
		t.Fatal(err)
	}
	lines := teller.Lines()
	if len(lines) != 1 || lines[0].Seq != 6 || lines[0].Text != "the log begins after this: waits as number 2 in line" {
		t.Errorf("%v", lines)
	}
	if want := "Now: waits as number 1 in line, moved up from number 2 to number 1, because 1 person before left the line."; teller.End() != want {
		t.Errorf("%s", teller.End())
	}
}
