package mirror

import (
	"context"
	"errors"
	"testing"

	"holdfast/engine"
)

// forgetful is a store with a planted bug: it commits rows and leaves the cursor where it was.
type forgetful struct{ store }

func (f forgetful) begin(ctx context.Context) (tx, error) {
	t, err := f.store.begin(ctx)
	if err != nil {
		return nil, err
	}
	return forgetfulTx{t}, nil
}

type forgetfulTx struct{ tx }

func (forgetfulTx) moveCursor(context.Context, engine.Position, engine.Position) error { return nil }

// TestLostCursorIsCaught: what a mirror wrote without moving its cursor is not written again by the next one: the tables'
// own constraints stop it, and it halts.
func TestLostCursorIsCaught(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		log := history(t, 11, 60)
		m, err := Open(db.cfg)
		check(t, err)
		m.store = forgetful{m.store}
		check(t, m.Run(within(t), log))
		next, err := Open(db.cfg)
		check(t, err)
		if err := next.Run(within(t), log); !errors.Is(err, ErrHalted) {
			t.Errorf("the next mirror wrote everything again: %v", err)
		}
	})
}
