package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"holdfast/auth"
)

// refusals tells the log why tokens are refused: who sent one is told only that it was. At most once a second, with how many there were since,
// for anybody can send tokens. It is safe for concurrent use.
type refusals struct {
	logger *slog.Logger

	mu   sync.Mutex // guards what follows
	next time.Time  // nothing is told before
	more int        // not told since
}

// refusalsEvery is how often at most a refused token is told.
const refusalsEvery = time.Second

func (r *refusals) tell(err error) {
	if !r.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.next) {
		r.more++
		return
	}
	r.next = now.Add(refusalsEvery)
	r.logger.Debug("a token was refused", "why", err, "not_told", r.more) // no reason of auth repeats a part of a token
	r.more = 0
}

// redeem takes a ticket. Errors wrap auth.ErrToken.
func (e *entrance) redeem(ticket, realm, origin string) (auth.Identity, error) {
	id, err := e.auth.Redeem(ticket, realm, origin)
	if err != nil {
		e.refused.tell(err)
	}
	return id, err
}

// heads counts the open connections of each person, so that one of them cannot take the places of all. It is safe for concurrent use.
type heads struct {
	most int

	mu   sync.Mutex // guards what follows
	open map[string]int
}

// enter says whether id may open one more; only persons, agents and clients are counted. Who entered leaves.
func (h *heads) enter(id *auth.Identity) bool {
	if !single(id) {
		return true
	}
	key := id.Realm + "/" + id.Person
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[key] >= h.most {
		return false
	}
	h.open[key]++
	return true
}

// single says whether a token is that of one human being.
func single(id *auth.Identity) bool {
	return id.Role == auth.Person || id.Role == auth.Agent || id.Role == auth.Client
}

func (h *heads) leave(id *auth.Identity) {
	if !single(id) {
		return
	}
	key := id.Realm + "/" + id.Person
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[key]--; h.open[key] <= 0 {
		delete(h.open, key)
	}
}
