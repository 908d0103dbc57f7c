package rush

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows on a terminal how far the rush is; elsewhere it is silent. phase and end are called by one goroutine.
type progress struct {
	cfg  *Config
	stop chan struct{}
	all  sync.WaitGroup
}

func newProgress(cfg *Config) *progress { return &progress{cfg: cfg} }

// progressEvery is how often the bar is drawn: it must not take time from those it shows.
const progressEvery = 100 * time.Millisecond

// phase ends what was shown, and shows the next thing: a bar of the crowd's errands, or a spinner if there is no number.
func (p *progress) phase(name string, errands int, c *crowd) {
	p.end()
	if !p.cfg.Terminal {
		return
	}
	most := errands
	if most == 0 {
		most = -1
	}
	bar := progressbar.NewOptions(most,
		progressbar.OptionSetWriter(p.cfg.Stderr),
		progressbar.OptionSetDescription(pad(name, 10)),
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
					_ = bar.Set(min(int(c.done.Load()), errands-1))
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

// end takes the bar off the screen.
func (p *progress) end() {
	if p.stop == nil {
		return
	}
	close(p.stop)
	p.all.Wait()
	p.stop = nil
}
