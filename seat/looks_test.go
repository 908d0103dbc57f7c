package seat_test

import (
	"reflect"

	"holdfast/seat"
)

// looks compares everything that can be seen.
func (m *machine) looks() {
	state := m.stepper.State
	if state.Seq() != m.oracle.seq || state.Hash() != m.replayed.Hash() {
		m.t.Fatalf("%s: seq %d, wanted %d; or the replay is another state", m.at, state.Seq(), m.oracle.seq)
	}
	if err := state.Check(); err != nil {
		m.t.Fatalf("%s: %v", m.at, err)
	}
	seats := state.Realm(realm).Seats
	for _, p := range m.oracle.pools {
		m.lookPool(seats, p)
	}
	for _, person := range personNames {
		var want []seat.Standing
		for _, c := range m.oracle.claims {
			if c.person == person {
				want = append([]seat.Standing{m.oracle.standing(c.in, person)}, want...)
			}
		}
		if got := readAll(seats, person); !reflect.DeepEqual(got, want) {
			m.t.Fatalf("%s: standings of %s\n%+v, wanted\n%+v", m.at, person, got, want)
		}
	}
	next, ok := seats.NextDue()
	c := m.oracle.nextDeadline()
	want := seat.Time(0)
	if c != nil {
		want = c.Deadline
	}
	if p := m.oracle.nextDraw(); p != nil && (c == nil || p.OpensAt < want) {
		want = p.OpensAt
	}
	sealed := false // whose seed is lost: due until it was asked for
	for _, p := range m.oracle.pools {
		_, known := seedOf(p.SeedHash)
		sealed = sealed || m.oracle.undrawn(p) && !known && p.OpensAt == next
	}
	if ok && next > 1 && next != want && !sealed || !ok && want != 0 {
		m.t.Fatalf("%s: next due %d %t, wanted %d", m.at, next, ok, want)
	}
}

// readAll pages through a person's standings two by two.
func readAll(seats *seat.State, person string) (all []seat.Standing) {
	for cursor := uint32(0); ; {
		rows, next := seats.Person(person, cursor, 2)
		all = append(all, rows...)
		if next == 0 {
			return all
		}
		cursor = next
	}
}

func (m *machine) lookPool(seats *seat.State, p *oraclePool) {
	view, ok := seats.Pool(p.name)
	held := m.oracle.count(p, seat.Seated) + m.oracle.count(p, seat.Offered)
	want := seat.PoolView{
		Name: p.name, Config: p.Config, Seq: p.seq, At: p.at, Free: m.oracle.free(p), Over: held - min(held, p.Capacity),
		Seated: m.oracle.count(p, seat.Seated), Offered: m.oracle.count(p, seat.Offered), Waiting: m.oracle.count(p, seat.Waiting),
		Entered: m.oracle.count(p, seat.Entered), Drawn: p.drawn, Seed: p.seed,
	}
	if !ok || !reflect.DeepEqual(view, want) {
		m.t.Fatalf("%s: pool %+v, wanted %+v", m.at, view, want)
	}
	var rows, wantRows []seat.Row
	for _, c := range m.oracle.claims {
		if c.in == p && c.Status.Live() {
			wantRows = append(wantRows, seat.Row{Person: c.person, Standing: m.oracle.standing(p, c.person)})
		}
	}
	for cursor := uint32(0); ; {
		page, next := seats.Roster(p.name, cursor, seat.Status.Live, 2)
		rows = append(rows, page...)
		if cursor = next; next == 0 {
			break
		}
	}
	if !reflect.DeepEqual(rows, wantRows) {
		m.t.Fatalf("%s: roster of %s\n%+v, wanted\n%+v", m.at, p.name, rows, wantRows)
	}
	for _, person := range personNames {
		got, _ := seats.Standing(p.name, person)
		if want := m.oracle.standing(p, person); got != want {
			m.t.Fatalf("%s: %s in %s is %+v, wanted %+v", m.at, person, p.name, got, want)
		}
		m.compared++
	}
}
