// Package engine runs one shard: group commit without a timer, confirmation, subscriptions to confirmed events,
// deadlines, recovery and snapshots. It is what a Go program embeds.
//
// The log is authoritative; the state in memory is a fold of it. A decision is preapproved when Do returns and confirmed
// when its Stamp's Wait returns nil. When the log fails, nothing more is confirmed: what was not is unknown, the engine
// ends, Done is closed and Err says why. Opening it again decides what is true.
package engine
