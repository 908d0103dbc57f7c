package seat

// Since appends to rows the standings of a person that an event after seq made, and those that change without an event of
// their own whatever their seq: in line (position, what blocks, what is given up), offered (the deadline), entered. With
// seq 0 these are all. The claim made last comes first.
func (s *State) Since(rows []Standing, person string, seq uint64) []Standing {
	who, _ := s.people.find(person)
	if who == 0 {
		return rows
	}
	for n := s.people.at(who).claims; n != 0; {
		c := s.claims.at(n)
		if c.seq > seq || c.status != Seated && c.status != Released {
			rows = append(rows, s.standing(refs{pool: s.poolAt(c.pool), person: who, claim: n}))
		}
		n = c.nextOfPerson
	}
	return rows
}
