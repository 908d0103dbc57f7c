package seat_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/seat"
)

var update = flag.Bool("update", false, "write what the scenarios say anew")

// TestScenarios runs testdata/*.txt: commands in, results and events out. Each scenario begins with "## " and the
// sentence that it covers; what is said to a command stands behind it, indented. Run with -update and review the diff.
// Times are seconds; the world begins at second 1.
//
//	realm max_seats=2 max_waits=20        pool P capacity=1 waitlist=0 opens=1 closes=9 until=9 offer=5 group=g data=1 lottery=SEED (7, 15 … are lost)
//	claim P who [if=SEQ]                  release P who [if=SEQ]      accept P who OFFER      look P who
//	seat P who REASON                     remove P who REASON         basket who all|each|each_or_wait P[<SWAP][=SEQ] …
//	at SECOND   start GRACE   due   turn (of what is due)   restore   show P   crowd P FIRST LAST
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScenarios(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s differs; run with -update and review:\n%s", file, firstDifference(string(want), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, a[i], b[min(i, len(b)-1)])
		}
	}
	return "it is longer"
}

func runScenarios(t *testing.T, text string) string {
	var out strings.Builder
	var w *world
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "  "):
			continue // said by the run before
		case strings.HasPrefix(line, "## "):
			w = &world{t: t, out: &out, now: second, stepper: holdfast.Stepper{State: holdfast.NewState(), Seed: seedOf}}
			w.quiet(holdfast.PutRealm{Limits: seat.DefaultLimits()})
		}
		out.WriteString(line + "\n")
		if fields := strings.Fields(line); len(fields) > 0 && fields[0][0] != '#' {
			w.at = line
			w.run(fields)
		}
	}
	return out.String()
}

// world runs the commands of one scenario.
type world struct {
	t       *testing.T
	out     *strings.Builder
	at      string
	now     seat.Time
	epoch   uint64
	stepper holdfast.Stepper
}

func (w *world) seats() *seat.State { return w.stepper.State.Realm(realm).Seats }

func (w *world) say(format string, args ...any) { fmt.Fprintf(w.out, "  "+format+"\n", args...) }

func (w *world) run(f []string) {
	switch f[0] {
	case "at":
		w.now = seat.Time(w.number(f[1])) * second
	case "realm":
		w.realm(f[1:])
	case "pool":
		w.pool(f[1], f[2:])
	case "claim":
		w.do(seat.Claim{Pool: f[1], Person: f[2], If: w.precondition(f[3:])})
	case "release":
		w.do(seat.Release{Pool: f[1], Person: f[2], If: w.precondition(f[3:])})
	case "accept":
		w.do(seat.Accept{Pool: f[1], Person: f[2], Offer: w.number(f[3])})
	case "look":
		w.do(seat.Look{Pool: f[1], Person: f[2]})
	case "seat":
		w.do(seat.Override{Pool: f[1], Person: f[2], Action: seat.SeatPerson, Reason: strings.Join(f[3:], " "), By: "dean"})
	case "remove":
		w.do(seat.Override{Pool: f[1], Person: f[2], Action: seat.RemovePerson, Reason: strings.Join(f[3:], " "), By: "dean"})
	case "basket":
		w.basket(f[1], f[2], f[3:])
	case "start":
		w.epoch++
		w.do(holdfast.Start{Epoch: w.epoch, Grace: seat.Time(w.number(f[1])) * second})
	case "due":
		if !w.due() {
			w.say("nothing is due")
		}
	case "turn":
		w.turn()
	case "restore":
		w.restore()
	case "show":
		w.show(f[1])
	case "crowd":
		for n := w.number(f[2]); n <= w.number(f[3]); n++ {
			w.quiet(seat.Claim{Pool: f[1], Person: fmt.Sprintf("s%04d", n)})
		}
	default:
		w.t.Fatalf("%s: unknown command", w.at)
	}
	if err := w.stepper.State.Check(); err != nil {
		w.t.Errorf("%s: %v", w.at, err)
	}
}

func (w *world) number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		w.t.Fatalf("%s: %v", w.at, err)
	}
	return n
}

func (w *world) precondition(rest []string) seat.Precondition {
	if len(rest) == 0 {
		return seat.Precondition{}
	}
	return seat.Precondition{Check: true, Seq: w.number(strings.TrimPrefix(rest[0], "if="))}
}

func (w *world) realm(settings []string) {
	l := seat.DefaultLimits()
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		n := uint32(w.number(value))
		if name == "max_seats" {
			l.MaxSeats = &n
		} else {
			l.MaxWaits = n
		}
	}
	w.do(holdfast.PutRealm{Limits: l})
}

func (w *world) pool(name string, settings []string) {
	c := seat.Config{}
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		if key == "group" {
			c.Group = value
			continue
		}
		if key == "data" {
			c.Data = value
			continue
		}
		n := w.number(value)
		switch key {
		case "capacity":
			c.Capacity = uint32(n)
		case "waitlist":
			most := uint32(n)
			c.Waitlist = &most
		case "opens":
			c.OpensAt = seat.Time(n) * second
		case "closes":
			c.ClosesAt = seat.Time(n) * second
		case "until":
			c.PromoteUntil = seat.Time(n) * second
		case "lottery":
			c.Order, c.SeedHash = seat.Lottery, seedHash(int(n))
		case "offer":
			c.Promotion, c.AnswerWithin = seat.Offer, time.Duration(n)*time.Second
		default:
			w.t.Fatalf("%s: %s", w.at, key)
		}
	}
	w.do(seat.PutPool{Pool: name, Config: c})
}

func (w *world) basket(who, mode string, items []string) {
	b := seat.Basket{Person: who, Mode: map[string]seat.Mode{"all": seat.All, "each": seat.Each, "each_or_wait": seat.EachOrWait}[mode]}
	for _, item := range items {
		pools, seq, has := strings.Cut(item, "=")
		it := seat.Item{}
		it.Pool, it.Swap, _ = strings.Cut(pools, "<")
		if has {
			it.If = seat.Precondition{Check: true, Seq: w.number(seq)}
		}
		b.Items = append(b.Items, it)
	}
	w.do(b)
}

// quiet does what needs no words.
func (w *world) quiet(body holdfast.Body) {
	var batch holdfast.Batch
	if err := body.Valid(); err != nil {
		w.t.Fatalf("%s: %v", w.at, err)
	}
	w.stepper.Step(&holdfast.Command{Realm: realm, At: w.now, Body: body}, &batch)
}

func (w *world) do(body holdfast.Body) {
	if err := body.Valid(); err != nil {
		w.t.Fatalf("%s: %v", w.at, err)
	}
	switch body.(type) {
	case seat.Look, holdfast.Start: // the one changes nothing, the other comes before all else
	default:
		w.due()
	}
	var batch holdfast.Batch
	res := w.stepper.Step(&holdfast.Command{Realm: realm, At: w.now, Body: body}, &batch)
	w.events("", &batch)
	switch body.(type) {
	case holdfast.Start, holdfast.PutRealm:
	case seat.PutPool:
		if res.Refused() || batch.Count == 0 {
			w.say("= pool %s%s", w.refusal(&res.Refusal), map[bool]string{true: "as it was"}[!res.Refused()])
		}
	case seat.Basket:
		if res.Refused() {
			w.say("= basket %s", w.refusal(&res.Refusal))
		}
		for i := range res.Items {
			w.result(&res.Items[i])
		}
	default:
		w.result(&res.Result)
	}
}

// due runs what is due, turn by turn.
func (w *world) due() (any bool) {
	for {
		next, ok := w.seats().NextDue()
		if !ok || next > w.now {
			return any
		}
		made, more := w.turn()
		if any = any || made; !more {
			return any
		}
	}
}

// turn runs one turn of what is due.
func (w *world) turn() (made, more bool) {
	var batch holdfast.Batch
	more = w.stepper.Due(w.stepper.State.Realm(realm), w.now, w.now, &batch)
	w.events("due: ", &batch)
	return batch.Count > 0, more
}

// restore goes on with what a snapshot gives.
func (w *world) restore() {
	var b bytes.Buffer
	if err := w.stepper.State.WriteSnapshot(&b); err != nil {
		w.t.Fatal(err)
	}
	again, err := holdfast.ReadSnapshot(&b)
	if err != nil || again.Hash() != w.stepper.State.Hash() {
		w.t.Fatalf("%s: %v, or another state", w.at, err)
	}
	w.stepper.State = again
}

func (w *world) show(pool string) {
	v, _ := w.seats().Pool(pool)
	entered := ""
	if v.Config.Order == seat.Lottery {
		entered = fmt.Sprintf("%d entered, ", v.Entered)
	}
	w.say("%s%d seated, %d offered, %d waiting, %d free, %d over", entered, v.Seated, v.Offered, v.Waiting, v.Free, v.Over)
	rows, _ := w.seats().Roster(pool, 0, seat.Status.Live, 12)
	for _, row := range rows {
		w.say("%s %s", row.Person, standingText(&row.Standing))
	}
}

// events says what happened; of a long turn the beginning and the end.
func (w *world) events(prefix string, batch *holdfast.Batch) {
	const most = 8
	if batch.Count == 0 {
		return
	}
	err := holdfast.Decode(batch.First, batch.Count, batch.Bytes, func(e *holdfast.Event) error {
		switch i := int(e.Seq - batch.First); {
		case batch.Count <= most || i < 3 || i == batch.Count-1:
			w.say("%s%d %s", prefix, e.Seq, eventText(e))
		case i == 3:
			w.say("%s… %d more, the last is", prefix, batch.Count-4)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func seconds(t seat.Time) string { return strconv.FormatFloat(float64(t)/float64(second), 'f', -1, 64) }

func eventText(e *holdfast.Event) string {
	s := &e.Seat
	if s.Person == "" {
		return strings.TrimSpace(e.KindName() + " " + s.Pool)
	}
	text := fmt.Sprintf("%s: %s %s by %s, was %s", s.Pool, s.Person, s.Kind, s.Cause, s.Was)
	switch s.Kind {
	case seat.SeatTaken:
		text += fmt.Sprintf(", seat %d", s.Seat)
	case seat.LineJoined:
		text += fmt.Sprintf(", ticket %d", s.Ticket)
	case seat.SeatOffered:
		text += fmt.Sprintf(", seat %d until %s", s.Seat, seconds(s.Deadline))
	}
	switch {
	case s.Swap != "" && s.Kind == seat.SeatTaken:
		text += ", gave up " + s.Swap
	case s.Swap != "" && s.Kind == seat.SeatFreed:
		text += ", lost by the swap for " + s.Swap
	case s.Swap != "":
		text += ", will give up " + s.Swap
	}
	if s.Reason != "" {
		text += fmt.Sprintf(" (%s: %s)", s.By, s.Reason)
	}
	return text
}

func (w *world) result(res *seat.Result) {
	refused := w.refusal(&res.Refusal)
	if refused != "" {
		refused += "; "
	}
	w.say("= %s: %s%s", res.Pool, refused, standingText(&res.Standing))
}

func (w *world) refusal(r *seat.Refusal) string {
	if r.Code == "" {
		return ""
	}
	text := "refused " + string(r.Code)
	if r.Time != 0 {
		text += ", time " + seconds(r.Time)
	}
	if r.Pool != "" {
		text += ", pool " + r.Pool
	}
	if r.Limit != 0 {
		text += fmt.Sprintf(", limit %d", r.Limit)
	}
	if r.Code == seat.Mismatch {
		text += fmt.Sprintf(", seq %d", r.Seq)
	}
	return text
}

func standingText(st *seat.Standing) string {
	text := st.Status.String()
	switch st.Status {
	case seat.Seated:
		text += fmt.Sprintf(" in %d", st.Seat)
	case seat.Offered:
		text += fmt.Sprintf(" %d until %s", st.Seat, seconds(st.Deadline))
	case seat.Waiting:
		text += fmt.Sprintf(" as number %d", st.Position)
	}
	if st.Swap != "" {
		text += ", will give up " + st.Swap
	}
	if st.Blocked != "" {
		text += ", blocked by " + string(st.Blocked)
	}
	if st.Seq != 0 {
		text += fmt.Sprintf(", seq %d", st.Seq)
	}
	return text
}
