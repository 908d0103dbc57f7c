package desk

// Desk shows one desk; false: there is none of that name.
func (s *State) Desk(name string) (DeskView, bool) { panic("not yet") }

// Desks shows at most most desks in the order they were made, behind the one named after ("" = from the first). An unknown
// after gives none.
func (s *State) Desks(after string, most int) []DeskView { panic("not yet") }

// Agent shows one agent; false: the desk or the agent is not there.
func (s *State) Agent(desk, agent string) (AgentView, bool) { panic("not yet") }

// Agents shows at most most agents of a desk in the order they were made, behind the one named after ("" = from the first).
func (s *State) Agents(desk, after string, most int) []AgentView { panic("not yet") }

// Ring shows at most most ready agents for a topic, the one who is next first; an empty topic is all of the desk.
func (s *State) Ring(desk, topic string, most int) []AgentView { panic("not yet") }

// Request shows one request; false: it is not there (any more).
func (s *State) Request(desk string, id uint64) (RequestView, bool) { panic("not yet") }

// Requests shows a desk's requests that are wanted, the oldest first, from the id cursor on (0 = the first). next is the
// cursor of the following page, 0 at the end; a page may have fewer than most rows, even none, and still a next.
func (s *State) Requests(desk string, cursor uint64, want func(RequestState) bool, most int) (rows []RequestView, next uint64) {
	panic("not yet")
}

// OfClient shows what a client has asked, at all desks of the realm: what lives, and what ended behind the event since. In
// the order of their ids, at most most.
func (s *State) OfClient(client string, since uint64, most int) []RequestView { panic("not yet") }

// Offer shows one offer; false: it is not there (any more).
func (s *State) Offer(desk string, id uint64) (OfferView, bool) { panic("not yet") }

// Offers shows the offers of a request, the first first.
func (s *State) Offers(desk string, request uint64) []OfferView { panic("not yet") }

// Session shows one session; false: it is not there (any more).
func (s *State) Session(desk string, id uint64) (SessionView, bool) { panic("not yet") }

// Sessions shows a desk's sessions, the oldest first; cursor and next as in Requests, but of the session's request.
func (s *State) Sessions(desk string, cursor uint64, want func(live bool) bool, most int) (rows []SessionView, next uint64) {
	panic("not yet")
}

// Availability shows what clients are told of a topic of a desk, "" where it has none; false: there is no such topic.
func (s *State) Availability(desk, topic string) (Availability, bool) { panic("not yet") }

// DeskCount is the number of desks.
func (s *State) DeskCount() int { panic("not yet") }

// Counts says how much the state holds: desks, agents, requests (ended ones too).
func (s *State) Counts() (desks, agents, requests int) { panic("not yet") }
