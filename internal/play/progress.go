package play

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress shows on a terminal how far it is; elsewhere it is silent. Phase and End are called by one goroutine.
type Progress struct {
	out      io.Writer
	terminal bool
	stop     chan struct{}
	all      sync.WaitGroup
}

// NewProgress shows on out, if that is a terminal.
func NewProgress(out io.Writer, terminal bool) *Progress {
	return &Progress{out: out, terminal: terminal}
}

// progressEvery is how often the bar is drawn: it must not take time from those it shows.
const progressEvery = 100 * time.Millisecond

// Phase ends what was shown, and shows the next thing: a bar of so many errands, of which done says how many are, or a
// spinner if there is no number.
func (p *Progress) Phase(name string, errands int, done func() int) {
	p.End()
	if !p.terminal {
		return
	}
	most := errands
	if most == 0 {
		most = -1
	}
	bar := progressbar.NewOptions(most,
		progressbar.OptionSetWriter(p.out),
		progressbar.OptionSetDescription(Pad(name, 10)),
		progressbar.OptionSetWidth(40),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionThrottle(0),
	)
	stop := make(chan struct{})
	p.stop = stop
	p.all.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				// A terminal that cannot be written to is no reason to stop.
				if errands > 0 {
					_ = bar.Set(min(done(), errands-1))
				} else {
					_ = bar.Add(1)
				}
			case <-stop:
				_ = bar.Clear()
				return
			}
		}
	})
}

// End takes the bar off the screen.
func (p *Progress) End() {
	if p.stop == nil {
		return
	}
	close(p.stop)
	p.all.Wait()
	p.stop = nil
}
