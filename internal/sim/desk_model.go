package sim

import (
	"slices"

	"holdfast/desk"
)

// deskModel is one desk as its events tell it: maps, and walks over them. It shares no code with the rules of package desk.
type deskModel struct {
	name     string
	config   desk.Config
	agents   map[string]*agentModel
	ready    map[*agentModel]bool     // those of them who are
	requests map[uint64]*requestModel // those that live
	line     []*requestModel          // those queued, the next one first
	warm     desk.Time                // until then no offer is made
	changed  map[string]uint64        // topic → the event that changed its availability last
	last     map[string]desk.Availability
}

type agentModel struct {
	name      string
	profile   desk.Profile
	state     desk.AgentState
	accepting bool
	silent    bool
	notBefore desk.Time
	place     uint64    // the event since which they are in line for an offer: the lower, the sooner
	until     desk.Time // when who is away is gone, at the earliest
	conns     map[uint64]bool
	offer     *offerModel
	session   *sessionModel
}

type requestModel struct {
	id       uint64
	client   string
	ask      desk.Ask
	state    desk.RequestState
	expires  desk.Time
	until    desk.Time // when who is away is gone, at the earliest
	conns    map[uint64]bool
	tried    map[string]bool
	attempts uint32
	offer    *offerModel
	session  *sessionModel
}

// offerModel is kept when it has ended: what was heard of it comes later.
type offerModel struct {
	id, request uint64
	agent       string
	desk        string
	state       desk.OfferState
	received    bool
	end         desk.Time // the earliest instant at which it may time out
	receipt     desk.Time
	shown       []desk.Time // the deadlines that were ever shown
	session     uint64
}

type sessionModel struct {
	id, request, offer uint64
	agent, client      string
	ended              bool
	joinBy             desk.Time
}

func newDeskModel(name string) *deskModel {
	return &deskModel{name: name, agents: map[string]*agentModel{}, ready: map[*agentModel]bool{}, requests: map[uint64]*requestModel{},
		changed: map[string]uint64{}, last: map[string]desk.Availability{}}
}

func (a *agentModel) away() bool { return len(a.conns) == 0 && a.profile.Reach == desk.Socket }

func (a *agentModel) ready() bool {
	return a.state == desk.Idle && a.accepting && !a.away() && !a.silent && a.notBefore == 0
}

func (a *agentModel) serves(topic string) bool {
	return topic == "" || len(a.profile.Topics) == 0 || slices.Contains(a.profile.Topics, topic)
}

func (r *requestModel) away() bool { return len(r.conns) == 0 && r.ask.Reach == desk.Socket }

// could: the agent could be offered the request.
func (a *agentModel) could(r *requestModel) bool {
	return a.ready() && r.state == desk.Queued && !r.away() && a.serves(r.ask.Topic) && !r.tried[a.name]
}

// follow keeps who is ready.
func (d *deskModel) follow(a *agentModel) {
	if a.ready() && d.agents[a.name] == a {
		d.ready[a] = true
	} else {
		delete(d.ready, a)
	}
}

// before: r is next before o.
func (r *requestModel) before(o *requestModel) bool {
	if r.ask.Priority != o.ask.Priority {
		return r.ask.Priority > o.ask.Priority
	}
	return r.id < o.id
}

// waits puts r in line, at its place.
func (d *deskModel) waits(r *requestModel) {
	r.state = desk.Queued
	at := len(d.line)
	for at > 0 && r.before(d.line[at-1]) {
		at--
	}
	d.line = slices.Insert(d.line, at, r)
}

func (d *deskModel) leaves(r *requestModel) {
	if at := slices.Index(d.line, r); at >= 0 {
		d.line = slices.Delete(d.line, at, at+1)
	}
}

// position counts from the front of the line, 1 is next.
func (d *deskModel) position(r *requestModel) int { return slices.Index(d.line, r) + 1 }

// availability is what clients are to be told of a topic.
func (d *deskModel) availability(topic string) desk.Availability {
	v := desk.Availability{Desk: d.name, Topic: topic}
	for a := range d.ready {
		if a.serves(topic) {
			v.Idle++
		}
	}
	for _, r := range d.line {
		if topic == "" || r.ask.Topic == topic {
			v.Waiting++
		}
	}
	return v
}

// topics are those of which availability is told.
func (d *deskModel) topics() []string {
	if len(d.config.Topics) == 0 {
		return []string{""}
	}
	return d.config.Topics
}
