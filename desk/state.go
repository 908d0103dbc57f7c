package desk

// Turn is one command's place in the order: its time, the log's head before it, and the events it makes.
type Turn struct {
	Now    Time
	Clock  Time    // of Due: the real time, not before Now: the time to answer an offer runs from here; elsewhere it is Now
	Seq    uint64  // the last event before this turn
	Events []Event // made so far; the caller reuses the slice between turns
}

// State is all desks of one realm: a fold of its events.
type State struct{}

// NewState is a realm without desks.
func NewState() *State { return &State{} }

// Step decides one command and applies what it decided. The caller has drained Due first and has called cmd.Valid.
func (s *State) Step(t *Turn, cmd Command) Result { panic("not yet") }

// Apply folds one event into the state. An error means that it does not follow from the state.
func (s *State) Apply(seq uint64, at Time, e *Event) error { panic("not yet") }

// ApplyStart is the event Started: every connection is gone (6.3).
func (s *State) ApplyStart(at Time) {}

// Due runs what is due at t.Now, at most MaxEvents events, and says whether more is due.
func (s *State) Due(t *Turn) bool { return false }

// NextDue is when Due has something to do.
func (s *State) NextDue() (Time, bool) { return 0, false }

// Empty says whether no desk was ever made.
func (s *State) Empty() bool { return true }
