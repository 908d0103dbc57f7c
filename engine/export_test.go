package engine

import (
	"holdfast"
	"holdfast/internal/journal"
)

// JournalLog is the journal as OpenDir gives it to Open.
func JournalLog(j *journal.Journal) Log { return dirLog{j} }

// Recover makes the state as Open does.
func Recover(log Log, cfg Config) (*holdfast.State, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return recoverState(log, cfg.Logger)
}
