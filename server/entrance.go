package server

import (
	"context"
	"slices"
	"time"

	"holdfast/auth"
	"holdfast/internal/door"
)

// entrance is what stands between the network and the handlers: who asks, from which pages, and how much is taken at once.
// All of it is safe for concurrent use.
type entrance struct {
	auth    *auth.Authority // nil: everybody may do everything
	refused *refusals
	origins *origins

	calls *gate // requests that may be turned away: newcomers and onlookers
	sure  *gate // requests that must be answered: of who has a place already, and of who sets up
	feeds *gate // open feeds

	load    *door.Load
	buckets *door.Buckets
	conns   *connections
	heads   *heads

	stopping context.Context // ended by stop: nobody waits any longer than for the confirmation
	stop     context.CancelFunc
}

func newEntrance(cfg *Config) (*entrance, error) {
	origins, err := newOrigins(cfg)
	if err != nil {
		return nil, err
	}
	load := door.DefaultLoadConfig()
	load.Limit = cfg.MaxDelay
	e := &entrance{
		auth: cfg.Auth, refused: &refusals{logger: cfg.Logger}, origins: origins, heads: &heads{most: cfg.MaxSocketsEach, open: map[string]int{}},
		calls: newGate(cfg.MaxInFlight), sure: newGate(cfg.MaxConnections), feeds: newGate(cfg.MaxFeeds),
		load: door.NewLoad(load), buckets: door.NewBuckets(cfg.PersonRate, cfg.PersonBurst, maxBuckets),
	}
	e.conns = &connections{most: int64(cfg.MaxConnections), after: e.comeAgain, secret: cfg.TLS != nil, parting: make(chan struct{}, maxParting)}
	e.stopping, e.stop = context.WithCancel(context.Background())
	return e, nil
}

// comeAgain is when somebody who is turned away shall come again.
func (e *entrance) comeAgain() time.Duration { return e.load.Return(int(e.calls.inside.Load())) }

// maxBuckets bounds the persons whose rate is known at once. Who is forgotten begins with a full bucket.
const maxBuckets = 1 << 18

// everybody is who asks a server without authentication.
var everybody = auth.Identity{Role: auth.Admin}

// check says who a token speaks for. Errors wrap auth.ErrToken.
func (e *entrance) check(token string) (auth.Identity, error) {
	if e.auth == nil {
		return everybody, nil
	}
	id, err := e.auth.Check(token)
	if err != nil {
		e.refused.tell(err)
	}
	return id, err
}

// verdict says what somebody may.
type verdict uint8

const (
	allowed   verdict = iota
	forbidden         // they may not: 403
	elsewhere         // it is of another realm than theirs: for them there is no such realm
	otherDesk         // it is of another desk than theirs: for them there is no such desk
)

// ranks orders the roles: each may do what those below may. Agents and clients are beside it: the routes say which are theirs too.
var ranks = map[auth.Role]int{auth.Person: 1, auth.Staff: 2, auth.Backend: 3, auth.Admin: 4}

// permitted says whether who asks may use the route; about is the realm that it is about.
func (c *call) permitted(about string) verdict {
	if !c.route.desks {
		return permit(&c.id, c.route.role, about, c.person)
	}
	return permitDesk(&c.id, c.route.role, c.route.also, about, c.desk, c.agent)
}

// permitDesk is permit for what is a desk's. Beside the role least and those above it, the roles also may, for themselves: an agent as
// that agent, a client as that client. Whoever is of one desk may at that desk; an empty desk is all that they may see.
func permitDesk(id *auth.Identity, least auth.Role, also []auth.Role, realm, desk, agent string) verdict {
	switch {
	case !slices.Contains(also, id.Role) && (ranks[id.Role] == 0 || ranks[id.Role] < ranks[least]):
		return forbidden
	case id.Realm != "" && id.Realm != realm:
		return elsewhere
	case id.Desk != "" && desk != "" && id.Desk != desk:
		return otherDesk
	case id.Role == auth.Agent && agent != "" && agent != id.Person:
		return forbidden
	}
	return allowed
}

// permit says whether id may use what needs at least the role least. Realm and person are what it is about; an empty realm is the whole
// shard, an empty person nobody. The verdict elsewhere does not depend on whether there is such a realm.
func permit(id *auth.Identity, least auth.Role, realm, person string) verdict {
	switch {
	case least == Public:
		return allowed
	case ranks[id.Role] == 0 || ranks[id.Role] < ranks[least] || ranks[least] == 0 || id.Desk != "":
		return forbidden
	case id.Realm != "" && realm == "":
		return forbidden
	case id.Realm != "" && id.Realm != realm:
		return elsewhere
	case id.Role == auth.Person && person != "" && person != id.Person:
		return forbidden
	}
	return allowed
}

// limit says how long id must wait until they may ask again; 0 = they may now, and it counts. Only persons, agents and clients are limited.
func (e *entrance) limit(id *auth.Identity) time.Duration {
	if e.auth == nil || id.Role != auth.Person && id.Role != auth.Agent && id.Role != auth.Client {
		return 0
	}
	return e.buckets.Take(id.Realm+"/"+id.Person, time.Now())
}

// admit says whether a newcomer is let in, by how much there is to do. The same key, a realm and person, is let in or not for a
// minute; without one it is drawn each time.
func (e *entrance) admit(key string) bool { return e.load.Admit(key) }
