package server_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAlarm: an alarm rings ConfirmWait after each of those who share it began, or up to 20 ms earlier, however late they ask for it; and who
// began before it was born has another.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wait, span = 250 * time.Millisecond, 20 * time.Millisecond
		w := newWorld(t, nil)
		began := time.Now()
		time.Sleep(100 * time.Millisecond) // deciding took a while
		var current <-chan struct{}
		for _, c := range []struct {
			start time.Duration // behind began
			which string
		}{{0, "new"}, {0, "shared"}, {span, "shared"}, {-time.Millisecond, "alone"}, {-50 * time.Millisecond, "alone"}, {span / 2, "shared"},
			{span + 1, "new"}, {2 * span, "shared"}, {span, "alone"}, {span + 2, "shared"}} {
			start := began.Add(c.start)
			done := w.server.Alarm(start)
			if (done == current) != (c.which == "shared") {
				t.Errorf("%v: the alarm is not %s", c.start, c.which)
			}
			if c.which == "new" {
				current = done
			}
			go func() {
				<-done
				if late := time.Since(start.Add(wait)); late > 0 || late < -span {
					t.Errorf("%v: it rang %v behind its time", c.start, late)
				}
			}()
		}
		time.Sleep(time.Second)
	})
}
