package rush

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"holdfast/internal/play"
)

// watcher asks the server again and again how far its log is durable and how far the database has it.
type watcher struct {
	crowd *crowd
	path  []byte
	end   context.CancelFunc
	ended chan struct{}

	mu   sync.Mutex // guards what follows
	last standpoint
	most uint64 // greatest lag seen, in events
}

// standpoint is what the server said of itself.
type standpoint struct {
	Durable  uint64  `json:"durable"`
	Recorded *uint64 `json:"recorded"` // nil: it has no database
	Mirror   struct {
		State string `json:"state"`
		Error string `json:"error"`
	} `json:"mirror"`
	at time.Duration
}

// watchEvery is the pause between two questions: often enough to time the database, seldom enough to cost nothing.
const watchEvery = 10 * time.Millisecond

func watch(ctx context.Context, c *crowd) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{crowd: c, path: []byte(c.door.Address.Prefix + "/v1/log"), end: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		var conn *play.Conn
		for play.Sleep(ctx, watchEvery) == nil {
			conn = w.ask(ctx, conn)
		}
		if conn != nil {
			conn.Close()
		}
	}()
	return w
}

// ask asks once, and gives the connection back for the next time; nil: it broke, as it does when the server is killed.
func (w *watcher) ask(ctx context.Context, conn *play.Conn) *play.Conn {
	if conn == nil {
		_, err := w.crowd.door.Pass(ctx)
		if err == nil {
			conn, err = play.Dial(ctx, w.crowd.door.Address)
		}
		if err != nil {
			return nil
		}
	}
	rep, err := conn.Do(&play.Request{Method: http.MethodGet, Path: w.path})
	if err != nil || rep.Last {
		conn.Close()
		conn = nil
	}
	now := standpoint{at: w.crowd.now()}
	if err != nil || rep.Status != http.StatusOK || json.Unmarshal(rep.Body, &now) != nil {
		return conn
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = now
	if now.Recorded != nil && now.Durable > *now.Recorded {
		w.most = max(w.most, now.Durable-*now.Recorded)
	}
	return conn
}

func (w *watcher) now() (last standpoint, most uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.most
}

// recordLimit is how long the rush waits for the database.
const recordLimit = 120 * time.Second

// recorded waits until the database has the log up to seq, and says when that was seen; there is false if this server has
// no database.
func (w *watcher) recorded(ctx context.Context, seq uint64) (at time.Duration, there bool, err error) {
	giveUp := time.Now().Add(recordLimit)
	for {
		last, _ := w.now()
		switch {
		case last.at == 0: // it was not asked yet
		case last.Recorded == nil:
			return 0, false, nil
		case *last.Recorded >= seq:
			return last.at, true, nil
		case last.Mirror.State == "halted":
			return 0, true, fmt.Errorf("the mirror halted: %s", last.Mirror.Error)
		}
		if time.Now().After(giveUp) {
			return 0, true, fmt.Errorf("the database did not follow within %v (mirror %s) %s", recordLimit, last.Mirror.State, last.Mirror.Error)
		}
		if err := play.Sleep(ctx, watchEvery/2); err != nil {
			return 0, true, err
		}
	}
}

func (w *watcher) stop() {
	w.end()
	<-w.ended
}
