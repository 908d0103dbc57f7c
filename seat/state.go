package seat

// State is the seats of one realm. See the package comment: pure, and not safe for concurrent use.
type State struct{}
