package engine

import (
	"holdfast"
	"holdfast/internal/journal"
	"holdfast/internal/vfs"
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

// PanicInTurn decides something, half encodes it, and panics, as a defect in the rules would.
func (e *Engine) PanicInTurn() {
	e.mu.Lock()
	defer e.leaveLocked()
	e.turning = true
	e.stepper.Step(&holdfast.Command{Realm: "other", At: e.nowLocked(), Body: holdfast.PutRealm{}}, &e.open.Batch)
	panic("a defect")
}

// Log is what the engine runs on.
func (e *Engine) Log() Log { return e.log }

// Break leaves a state on which the next PutRealm panics.
func (e *Engine) Break() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stepper.State = new(holdfast.State)
}

// DirVault is the vault of OpenDir, on any file system.
func DirVault(fs vfs.FS, dir string) Vault { return dirVault{fs, dir} }
