// Package engine runs one shard: group commit without a timer, confirmation, subscriptions, deadlines, recovery,
// snapshots.
package engine
