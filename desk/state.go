package desk

// Turn is one command's place in the order: its time, the log's head before it, and the events it makes.
type Turn struct {
	Now    Time
	Clock  Time    // of Due: the real time, not before Now: the time to answer an offer runs from here; elsewhere it is Now
	Seq    uint64  // the last event before this turn
	Events []Event // made so far; the caller reuses the slice between turns
	ask    Ask     // of the request that the turn makes: an event points to it
	bytes  int     // the size of Events on the log, no less
}

// MaxTurn bounds what the due work of one turn adds to the log, in bytes: a turn must fit one frame.
const MaxTurn = 256 << 10

// turnRoom is no less than the events that follow from one thing that is due.
const turnRoom = 8

// full says whether what is left must wait for the next turn.
func (t *Turn) full() bool { return len(t.Events)+turnRoom > MaxEvents || t.bytes >= MaxTurn }

func (t *Turn) next() stamp { return stamp{t.Seq + uint64(len(t.Events)) + 1, t.Now} }

// clock is from when the time to answer an offer runs.
func (t *Turn) clock() Time { return max(t.Now, t.Clock) }

// stamp is which event, and when.
type stamp struct {
	seq uint64
	at  Time
}

// State is all desks of one realm: a fold of its events. See the package comment: pure, not safe for concurrent use.
type State struct {
	desks    map[string]*desk
	order    []*desk // as they were made
	ids      index
	clients  map[string]*client
	keys     map[requestKey]*request
	timers   timers
	finished fifo // requests that have ended, the first first
	seq      uint64
	agents   int
	requests int
}

// requestKey is a client's idempotency key at a desk.
type requestKey struct {
	desk        *desk
	client, key string
}

// desk is one desk.
type desk struct {
	name     string
	number   uint64 // 1 is the first
	config   Config
	topics   []*topic // the first stands for all of the desk and has no name; a desk without topics has no other
	agents   map[string]*agent
	roll     roll[agent]
	requests roll[request]
	tally
	warm  Time // until then no new offer is made
	put   stamp
	timer timer // the end of the warm-up, or what a turn left unsettled
}

// tally counts the agents and the live requests of a desk by their state.
type tally struct {
	states   [AgentStates]uint32
	asks     [RequestStates]uint32
	enlisted uint64 // agents ever put
}

// topic is what requests of a desk are about, and who may be asked.
type topic struct {
	name    string
	ring    ring
	line    line   // requests that wait for an agent
	away    line   // requests that wait, but whose client is away: they are offered to nobody
	live    uint32 // requests that have not ended
	version uint64 // the event that last changed what clients are told
}

// client is somebody who asks, at any desk.
type client struct {
	name  string
	live  []*request    // at most one of each desk, by id
	ended roll[request] // by the event that ended it
}

// NewState is a realm without desks.
func NewState() *State {
	return &State{
		desks:   map[string]*desk{},
		ids:     index{leaves: map[uint64]*leaf{}},
		clients: map[string]*client{},
		keys:    map[requestKey]*request{},
	}
}

// Empty says whether no desk was ever made.
func (s *State) Empty() bool { return len(s.order) == 0 }

// topic finds a topic that a request may have; nil: there is none of that name, or the name is missing.
func (d *desk) topic(name string) *topic {
	if (name == "") != (len(d.topics) == 1) {
		return nil
	}
	return d.find(name)
}

// find finds a topic; the empty name is all of the desk.
func (d *desk) find(name string) *topic {
	for _, is := range d.topics {
		if is.name == name {
			return is
		}
	}
	return nil
}

// served is the topics whose requests are offered.
func (d *desk) served() []*topic {
	if len(d.topics) > 1 {
		return d.topics[1:]
	}
	return d.topics
}

// waiting counts the requests that are queued.
func (p *topic) waiting() uint32 { return uint32(p.line.len() + p.away.len()) }

// takes says whether a request now would not be refused, and if so, why.
func (d *desk) takes(p *topic) Code {
	warming := d.warming()
	switch {
	case p.ring.count > 0 && !warming:
		return ""
	case d.config.Policy == Refuse && warming && p.ring.count > p.waiting():
		return ""
	case d.config.Policy == Refuse:
		return NoAgent
	case d.asks[Queued] >= d.config.QueueLimit:
		return QueueFull
	}
	return ""
}

// warming says whether the warm-up goes on: until its timer has gone off, which settles the desk, and not only until its time.
func (d *desk) warming() bool { return d.timer.place != 0 && d.warm != 0 && d.timer.at == d.warm }

// liveOf gives the client's live request at a desk.
func (c *client) liveOf(d *desk) *request {
	if c == nil {
		return nil
	}
	for _, r := range c.live {
		if r.desk == d {
			return r
		}
	}
	return nil
}
