package rush

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"holdfast/internal/sim"
	"holdfast/seat"
)

// answer is one thing that a student was told about one pool.
type answer struct {
	sim.Answer
	errand errand
	act    uint8
	again  bool
	person int32
	course int32
	run    uint16
}

// reading is the form of every answer of the server. It is written down here once more, not shared with the server's own
// messages: who checks an answer must read it for themselves. Status is a word in an answer and a number in a problem.
type reading struct {
	Pool       string          `json:"pool"`
	Status     json.RawMessage `json:"status"`
	Seat       uint32          `json:"seat"`
	Position   uint32          `json:"position"`
	Durability string          `json:"durability"`
	Seq        uint64          `json:"seq"`
	AsOf       uint64          `json:"as_of"`
	At         seat.Time       `json:"at"`
	Code       string          `json:"code"`
	Refused    *struct {
		Code string `json:"code"`
	} `json:"refused"`
	Items  []reading `json:"items"`
	Person string    `json:"person"`
	Claims []reading `json:"claims"` // of a push
}

// readAnswers reads what is wanted of the shelves, sorted by as_of and then by arrival.
func readAnswers(c *crowd, want func(*record) bool) ([]answer, error) {
	var all []answer
	var err error
	c.records(func(r *record) {
		if err == nil && want(r) {
			all, err = readRecord(c, r, all)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, byPlace)
	return all, nil
}

func byPlace(a, b answer) int {
	return cmp.Or(cmp.Compare(a.AsOf, b.AsOf), a.ReceivedAt.Compare(b.ReceivedAt))
}

// mergeAnswers puts later answers among earlier ones.
func mergeAnswers(earlier, later []answer) []answer {
	all := append(earlier, later...)
	slices.SortStableFunc(all, byPlace)
	return all
}

// readRecord appends the answers of one record: one for each pool it was about.
func readRecord(c *crowd, r *record, all []answer) ([]answer, error) {
	var top reading
	if err := json.Unmarshal(r.body, &top); err != nil {
		return nil, fmt.Errorf("an answer with status %d is not JSON: %w: %.200q", r.status, err, r.body)
	}
	a := answer{errand: r.errand, act: r.act, again: r.again, person: r.person, course: r.course, run: r.run}
	a.Realm, a.Person = c.realm, c.plan.people[r.person]
	a.AsOf, a.Durability = top.AsOf, top.Durability
	a.SentAt, a.ReceivedAt = c.began.Add(r.sent), c.began.Add(r.received)
	if r.errand.push() {
		return a.readPush(c, &top, all)
	}
	courses := []int32{r.course}
	if r.course < 0 {
		courses = c.plan.wishes[r.person]
	}
	switch {
	case r.putOff():
		for _, course := range courses {
			b := a
			b.course, b.Pool = course, c.plan.courses[course].name
			b.Status, b.At, b.Durability, b.Code = "busy", top.At, "", top.Code
			if top.Code == "unknown" {
				b.Status = "unknown"
			}
			all = append(all, b)
		}
		return all, nil
	case r.course >= 0:
		return append(all, a.fill(c, r.course, &top, r.status >= 300)), nil
	case len(top.Items) != len(courses):
		return nil, fmt.Errorf("a basket of %d wishes was answered with %d items: %.200q", len(courses), len(top.Items), r.body)
	}
	for i := range top.Items {
		item := &top.Items[i]
		if item.Pool != c.plan.courses[courses[i]].name {
			return nil, fmt.Errorf("item %d of a basket is about %q and not about %q", i, item.Pool, c.plan.courses[courses[i]].name)
		}
		if item.At == 0 {
			item.At = top.At
		}
		all = append(all, a.fill(c, courses[i], item, false))
	}
	return all, nil
}

// readPush appends the answers of one push of claims: its rows.
func (a answer) readPush(c *crowd, top *reading, all []answer) ([]answer, error) {
	if top.Person != a.Person {
		return nil, fmt.Errorf("%s was told the claims of %q", a.Person, top.Person)
	}
	a.Durability = "confirmed"
	for i := range top.Claims {
		row := &top.Claims[i]
		course, ok := c.plan.index()[row.Pool]
		if !ok {
			return nil, fmt.Errorf("%s was told of a claim in %q, which is not of this rush", a.Person, row.Pool)
		}
		all = append(all, a.fill(c, course, row, false))
	}
	return all, nil
}

// fill completes a with what was said about one pool.
func (a answer) fill(c *crowd, course int32, said *reading, problem bool) answer {
	a.course, a.Pool = course, c.plan.courses[course].name
	a.Seat, a.Position, a.Seq, a.At = said.Seat, said.Position, said.Seq, said.At
	switch {
	case problem:
		a.Status, a.Code, a.Seq = "refused", said.Code, 0
	case said.Refused != nil:
		a.Status, a.Code, a.Seq = "refused", said.Refused.Code, 0
	default:
		a.Status = strings.Trim(string(said.Status), `"`)
	}
	return a
}

// standing says whether a is confirmed and about a standing.
func (a *answer) standing() bool {
	return stands(a.Durability) && a.Status != "refused"
}

// stands says whether a durability is a promise that a crash does not break.
func stands(durability string) bool { return durability == "confirmed" || durability == "recorded" }

// kindOf is the word under which an answer is counted: its status, or the code of its refusal.
func (a *answer) kindOf() string {
	if a.Status == "refused" && a.Code != "" {
		return a.Code
	}
	return a.Status
}

// claimKey names a claim by the plan's indexes.
type claimKey struct{ course, person int32 }

// told is the last confirmed standing of a person in a course.
type told struct {
	claimKey
	status string
	seq    uint64
}

// asOf finds as_of in an answer without reading the rest; 0 = there is none. It stands near the end, once.
func asOf(body []byte) uint64 {
	const name = `"as_of":`
	i := bytes.LastIndex(body, []byte(name))
	if i < 0 {
		return 0
	}
	rest := body[i+len(name):]
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, _ := strconv.ParseUint(string(rest[:end]), 10, 64) // no digits: 0
	return n
}

// writeAnswers writes one line for each answer and pool, in the order in which they were received.
func writeAnswers(file string, answers []answer) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	order := make([]int, len(answers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return answers[i].ReceivedAt.Compare(answers[j].ReceivedAt) })
	w := bufio.NewWriterSize(f, 64<<10)
	var line []byte
	for _, i := range order {
		line = answers[i].appendLine(line[:0])
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// appendLine appends a as one line of JSON. All its strings are ids, codes and words of the protocol; a server that said
// something else is quoted faithfully.
func (a *answer) appendLine(b []byte) []byte {
	str := func(name, v string) {
		b = append(append(append(b, '"'), name...), `":`...)
		quoted, _ := json.Marshal(v) // a string always marshals
		b = append(append(b, quoted...), ',')
	}
	num := func(name string, v uint64) {
		if v != 0 {
			b = append(append(append(b, '"'), name...), `":`...)
			b = append(strconv.AppendUint(b, v, 10), ',')
		}
	}
	b = append(b, '{')
	str("realm", a.Realm)
	str("pool", a.Pool)
	str("person", a.Person)
	str("status", a.Status)
	if a.Code != "" {
		str("code", a.Code)
	}
	num("seat", uint64(a.Seat))
	num("position", uint64(a.Position))
	if a.Durability != "" {
		str("durability", a.Durability)
	}
	num("seq", a.Seq)
	num("as_of", a.AsOf)
	if a.At != 0 {
		b = append(b, `"at":"`...)
		b, _ = a.At.AppendText(b)
		b = append(b, `",`...)
	}
	const layout = "2006-01-02T15:04:05.000000Z07:00"
	b = a.SentAt.UTC().AppendFormat(append(b, `"sent_at":"`...), layout)
	b = a.ReceivedAt.UTC().AppendFormat(append(b, `","received_at":"`...), layout)
	return append(b, "\"}\n"...)
}
