package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"holdfast/seat"
)

// poolRow is one line of the file of pools.
type poolRow struct {
	line   int
	name   string
	config seat.Config
	claims []claimRow // in the order of the file of claims
}

// claimRow is one line of the file of claims: a seat that is taken.
type claimRow struct {
	line   int
	person string
}

// plan is everything that is to be sent.
type plan struct {
	pools  []*poolRow
	claims int
}

// poolColumns are those that have a meaning; every other column goes into the pool's data.
func poolColumns() []string {
	return []string{"pool", "capacity", "waitlist", "opens_at", "closes_at", "promote_until", "promotion", "answer_seconds", "group", "order"}
}

// readPlan reads and checks both files; claims may be empty. The error has one Problem for each thing that is wrong.
func readPlan(pools, claims string) (*plan, error) {
	p := &plan{}
	byName := map[string]*poolRow{}
	err := p.readPools(pools, byName)
	if claims != "" {
		// A file of pools that cannot be read would make every line of claims wrong.
		known := byName
		if err != nil {
			known = nil
		}
		err = errors.Join(err, p.readClaims(claims, known))
	}
	return p, err
}

func (p *plan) readPools(path string, byName map[string]*poolRow) error {
	t, err := openTable(path, map[string]string{"course": "pool"}, "pool", "capacity")
	if err != nil {
		return err
	}
	for t.next() {
		row := &poolRow{line: t.line, name: t.get("pool")}
		if err := row.read(t); err != nil {
			t.add(t.line, "%v", err)
			continue
		}
		if before := byName[row.name]; before != nil {
			t.add(t.line, "pool: %q is on line %d already", row.name, before.line)
			continue
		}
		byName[row.name] = row
		p.pools = append(p.pools, row)
	}
	return t.close()
}

// read fills the row; the error names the column.
func (row *poolRow) read(t *table) error {
	c := &row.config
	capacity, err := number(t, "capacity", seat.MaxCapacity)
	if err != nil {
		return err
	}
	if capacity == nil {
		return &seat.Invalid{Field: "capacity", Problem: "is missing"}
	}
	c.Capacity = *capacity
	if c.Waitlist, err = number(t, "waitlist", 1<<32-2); err != nil {
		return err
	}
	for _, f := range []struct {
		column string
		at     *seat.Time
	}{{"opens_at", &c.OpensAt}, {"closes_at", &c.ClosesAt}, {"promote_until", &c.PromoteUntil}} {
		if text := t.get(f.column); text != "" {
			if err := f.at.UnmarshalText([]byte(text)); err != nil {
				return fmt.Errorf("%s: %w", f.column, err)
			}
		}
	}
	switch text := t.get("promotion"); text {
	case "", "auto":
	case "offer":
		c.Promotion = seat.Offer
	default:
		return &seat.Invalid{Field: "promotion", Problem: fmt.Sprintf(`%q must be "auto" or "offer"`, text)}
	}
	seconds, err := number(t, "answer_seconds", 90*24*60*60)
	if err != nil {
		return err
	}
	if seconds != nil {
		c.AnswerWithin = time.Duration(*seconds) * time.Second
	}
	switch text := t.get("order"); text {
	case "", "arrival":
	case "lottery":
		c.Order = seat.Lottery
	default:
		return &seat.Invalid{Field: "order", Problem: fmt.Sprintf(`%q must be "arrival" or "lottery"`, text)}
	}
	c.Group = t.get("group")
	c.Data = t.rest()
	return seat.PutPool{Pool: row.name, Config: *c}.Valid()
}

// number reads a whole number; nil where the field is empty.
func number(t *table, column string, most uint64) (*uint32, error) {
	text := t.get(column)
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > most {
		return nil, &seat.Invalid{Field: column, Problem: fmt.Sprintf("%.40q is not a whole number from 0 to %d", text, most)}
	}
	small := uint32(n)
	return &small, nil
}

// rest makes a JSON object of the columns that have no meaning here and are not empty, in their order; empty = none.
func (t *table) rest() string {
	b := []byte{'{'}
	for i, column := range t.columns {
		if t.fields[i] == "" || slices.Contains(poolColumns(), column) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		name, _ := json.Marshal(column) // a string always marshals
		value, _ := json.Marshal(t.fields[i])
		b = append(append(append(b, name...), ':'), value...)
	}
	if len(b) == 1 {
		return ""
	}
	return string(append(b, '}'))
}

// readClaims gives each line to its pool. pools nil: they could not be read, so the pools are not looked up.
func (p *plan) readClaims(path string, pools map[string]*poolRow) error {
	t, err := openTable(path, map[string]string{"course": "pool", "student": "person"}, "pool", "person")
	if err != nil {
		return err
	}
	type key struct{ pool, person string }
	seen := map[key]int{}
	for t.next() {
		k := key{t.get("pool"), t.get("person")}
		if err := (seat.Look{Pool: k.pool, Person: k.person}).Valid(); err != nil {
			t.add(t.line, "%v", err)
			continue
		}
		if status := t.get("status"); status != "" && status != seat.Seated.String() {
			t.add(t.line, `status: %.40q cannot be loaded: it must be "seated", or empty`, status)
			continue
		}
		if before := seen[k]; before != 0 {
			t.add(t.line, "person: %q in pool %q is on line %d already", k.person, k.pool, before)
			continue
		}
		seen[k] = t.line
		row := pools[k.pool]
		if row == nil {
			if pools != nil {
				t.add(t.line, "pool: %q is not among the pools", k.pool)
			}
			continue
		}
		row.claims = append(row.claims, claimRow{t.line, k.person})
		p.claims++
	}
	return t.close()
}
