package play

import (
	"context"
	"sync"
)

// Door is the way to the server: shut while the server is dead, open while it answers. Any goroutine may use it.
//
// Nobody dials while it is shut, so that nobody's own socket can end up on the port the server is coming back to.
type Door struct {
	Address Address

	mu   sync.Mutex    // guards what follows
	run  int           // counts the runs of the server, from 0; rises when one is about to end
	open chan struct{} // closed while the server answers
}

// NewDoor gives an open door.
func NewDoor(a Address) *Door {
	open := make(chan struct{})
	close(open)
	return &Door{Address: a, open: open}
}

// Pass waits until the door is open, and says which run of the server is behind it. Who has dialled asks now whether it
// is still that one.
func (d *Door) Pass(ctx context.Context) (run int, err error) {
	d.mu.Lock()
	run, open := d.run, d.open
	d.mu.Unlock()
	select {
	case <-open:
		return run, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Now says which run of the server the door leads to.
func (d *Door) Now() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.run
}

// Shut says that the server is about to die; what answers later is its next run.
func (d *Door) Shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run++
	d.open = make(chan struct{})
}

// Reopen says that the next run of the server answers.
func (d *Door) Reopen() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.open)
}
