package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/internal/sim"
)

// maxShown bounds how many violations are kept in words; Found counts all.
const maxShown = 100

// verifyReport is what verify compared and what it found.
type verifyReport struct {
	Directory string `json:"directory"`
	logReport
	StatesCompared int               `json:"states_compared"` // snapshots and the recovered state, by hash
	StateChecks    int               `json:"state_checks"`    // whole states checked
	Checks         map[string]uint64 `json:"checks"`          // at single events, by name
	Database       *databaseReport   `json:"database,omitempty"`

	Found      int             `json:"violations_found"`
	Violations []sim.Violation `json:"violations"` // at most maxShown

	rebuild string // the command that makes the database anew
}

// logReport is the log as it was found.
type logReport struct {
	Base         uint64 `json:"base"` // the replay began behind this event: 0, or that of a snapshot
	Last         uint64 `json:"last"`
	Frames       int    `json:"frames"`
	Events       uint64 `json:"events"`
	Segments     int    `json:"segments"`
	SegmentBytes int64  `json:"segment_bytes"`
	Sealed       bool   `json:"sealed"`
	TornBytes    int64  `json:"torn_bytes"`
}

// databaseReport is the database's rows as they were compared.
type databaseReport struct {
	URL    string `json:"url"`
	Cursor uint64 `json:"cursor"`
	Behind uint64 `json:"behind"` // durable events that are not recorded yet: no difference
	Realms uint64 `json:"realms"`
	Pools  uint64 `json:"pools"`
	Claims uint64 `json:"claims"`
	Events uint64 `json:"events"`
	// The rows of desks.
	Desks    uint64 `json:"desks"`
	Agents   uint64 `json:"agents"`
	Requests uint64 `json:"requests"`
	Offers   uint64 `json:"offers"`
	Sessions uint64 `json:"sessions"`
}

// text is the report for a person.
func (r *verifyReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s "+format+"\n", append([]any{name}, args...)...)
	}
	fmt.Fprintf(&b, "Checked %s\n", r.Directory)
	line("log", "events %d to %d: checksums and hash chain of %d frames in %d segments (%d MiB)", r.Base+1, r.Last, r.Frames,
		r.Segments, r.SegmentBytes>>20)
	switch {
	case r.Sealed:
		line("", "closed in good order")
	case r.TornBytes > 0:
		line("", "not closed; %d bytes behind the last whole frame, which were never confirmed: a server writes, or was killed", r.TornBytes)
	default:
		line("", "not closed: a server runs on it, or was killed; checked is what is durable")
	}
	if r.Base > 0 {
		line("", "what was before event %d is gone with trimmed segments; the snapshot there was taken as true", r.Base+1)
	}
	line("rules", "at each of %d events: %s", r.Events, r.checks())
	line("", "on the whole state: %d times", r.StateChecks)
	line("state", "snapshots and recovery: %d compared with the replay by hash", r.StatesCompared)
	if d := r.Database; d == nil {
		line("database", "none was compared: there is no holdfast.db, and no --database")
	} else {
		line("database", "%s: %d realms, %d pools, %d claims, %d events, as of event %d; %d more are not recorded yet", d.URL,
			d.Realms, d.Pools, d.Claims, d.Events, d.Cursor, d.Behind)
		if d.Desks > 0 {
			line("", "%d desks, %d agents, %d requests, %d offers, %d sessions", d.Desks, d.Agents, d.Requests, d.Offers, d.Sessions)
		}
	}
	if r.Found == 0 {
		b.WriteString("Nothing is wrong.\n")
		return b.String()
	}
	fmt.Fprintf(&b, "%d things are wrong:\n", r.Found)
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "  %s\n", v)
	}
	if more := r.Found - len(r.Violations); more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	fmt.Fprintf(&b, "next: %s\n", r.next())
	return b.String()
}

// next is what to do about the violations.
func (r *verifyReport) next() string {
	database := func(v sim.Violation) bool { return v.Name == "J7" }
	if !slices.ContainsFunc(r.Violations, func(v sim.Violation) bool { return !database(v) }) {
		return "the log is right and the database is not: stop the server, then: " + r.rebuild
	}
	return fmt.Sprintf("stop the server, copy %s as it is, and see docs/RUNBOOK.md, \"The log is corrupt\"", r.Directory)
}

func (r *verifyReport) checks() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Checks)) {
		parts = append(parts, fmt.Sprintf("%s %d×", name, r.Checks[name]))
	}
	return strings.Join(parts, ", ")
}
