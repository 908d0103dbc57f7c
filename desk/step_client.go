package desk

// request: a client asks (C1, C2, C3).
func (s *State) request(t *Turn, c *Request) Result {
	d := s.desks[c.Desk]
	if d == nil {
		return Result{Refusal: Refusal{Code: UnknownDesk}}
	}
	if c.Key != "" {
		if r := s.keys[requestKey{d, c.Client, c.Key}]; r != nil {
			return s.again(t, r, c.Conn)
		}
	}
	if r := s.clients[c.Client].liveOf(d); r != nil {
		return s.again(t, r, c.Conn)
	}
	p := d.topic(c.Topic)
	if p == nil {
		return Result{Refusal: Refusal{Code: UnknownTopic, Topic: c.Topic}}
	}
	switch code := d.takes(p); code {
	case NoAgent:
		return Result{Refusal: Refusal{Code: code, Version: p.version}}
	case QueueFull:
		return Result{Refusal: Refusal{Code: code, Limit: d.config.QueueLimit}}
	}
	// From here on the request is taken.
	id := t.next().seq
	t.ask = c.Ask
	s.emit(t, Event{Kind: RequestMade, Who: Who{Desk: d.name, Client: c.Client}, About: About{Conn: c.Conn},
		Until: t.Now.Add(d.config.MaxWait), Content: Content{Ask: &t.ask}}, refs{desk: d})
	r := s.ids.find(id)
	s.place(t, r)
	return Result{Request: r.view()}
}

// again shows a request to who asks twice (C3). A live one has a connection more.
func (s *State) again(t *Turn, r *request, conn uint64) Result {
	if conn != 0 && r.course.state.Live() {
		s.join(t, r, conn)
	}
	return Result{Request: r.view()}
}

// join gives a live request a connection more. Who was away waits in line again, or has joined the session.
func (s *State) join(t *Turn, r *request, conn uint64) {
	for _, has := range r.conns {
		if has == conn {
			return
		}
	}
	e := Event{Kind: ClientConnected, Who: Who{Desk: r.desk.name, Client: r.client.name}, About: About{Request: r.id, Conn: conn}}
	s.emit(t, e, refs{desk: r.desk, request: r})
	if len(r.conns) > MaxDevices {
		e.Kind, e.Conn, e.Cause = ClientDisconnected, r.conns[0], BySuperseded
		s.emit(t, e, refs{desk: r.desk, request: r})
	}
	if !r.desk.warming() {
		s.place(t, r)
	}
}

// liveAt finds a client's live request at a desk.
func (s *State) liveAt(desk, name string) (*request, Code) {
	d := s.desks[desk]
	if d == nil {
		return nil, UnknownDesk
	}
	return s.clients[name].liveOf(d), ""
}

func (s *State) attachClient(t *Turn, c *AttachClient) Result {
	r, refusal := s.liveAt(c.Desk, c.Client)
	if r == nil {
		return Result{Refusal: Refusal{Code: refusal}}
	}
	return s.again(t, r, c.Conn)
}

// detachClient: a connection of a client ended. With the last one they are away (C5), but a session goes on without them.
func (s *State) detachClient(t *Turn, c *DetachClient) Result {
	r, refusal := s.liveAt(c.Desk, c.Client)
	if r == nil {
		return Result{Refusal: Refusal{Code: refusal}}
	}
	there := false
	for _, has := range r.conns {
		there = there || has == c.Conn
	}
	if there {
		e := Event{Kind: ClientDisconnected, Who: Who{Desk: r.desk.name, Client: r.client.name},
			About: About{Request: r.id, Conn: c.Conn}, Cause: ByLostLink}
		if len(r.conns) == 1 && r.ask.Reach == Socket && r.course.state.Waits() {
			e.Until = t.Now.Add(r.desk.config.ClientGrace)
		}
		s.emit(t, e, refs{desk: r.desk, request: r})
	}
	return Result{Request: r.view()}
}

// requestAt finds a request of a desk.
func (s *State) requestAt(desk string, id uint64) (*request, Code) {
	d := s.desks[desk]
	if d == nil {
		return nil, UnknownDesk
	}
	r := s.ids.find(id)
	if r == nil || r.id != id || r.desk != d {
		return nil, UnknownRequest
	}
	return r, ""
}

func (s *State) lookRequest(c *LookRequest) Result {
	r, refusal := s.requestAt(c.Desk, c.Request)
	if r == nil {
		return Result{Refusal: Refusal{Code: refusal}}
	}
	return Result{Request: r.view()}
}

// cancel ends a request that waits (C4, T10), or finishes its session as the client (T15).
func (s *State) cancel(t *Turn, c *Cancel) Result {
	r, refusal := s.requestAt(c.Desk, c.Request)
	if r != nil && c.Client != "" && r.client.name != c.Client {
		r, refusal = nil, UnknownRequest
	}
	if r == nil {
		return Result{Refusal: Refusal{Code: refusal}}
	}
	cause := ByClient
	if c.Client == "" {
		cause = ByStaff
	}
	if r.course.state == Assigned {
		a := r.agent
		s.endSession(t, r, a.wrapUp(t, Event{Then: Done, Cause: cause, Staff: c.Staff}))
		s.serve(t, a)
	} else if r.course.state.Live() {
		s.endRequest(t, r, Cancelled, cause, c.Staff)
	}
	return Result{Request: r.view()}
}

// finishSession ends a session as the agent, the client or staff (T13, T15).
func (s *State) finishSession(t *Turn, c *Finish) Result {
	cause := ByStaff
	var d *desk
	if c.Agent != "" {
		a, refusal := s.comes(t, c.Desk, c.Agent, c.Conn, c.Session)
		if refusal != "" {
			return s.shown(a, refusal)
		}
		d, cause = a.desk, ByAgent
		defer s.serve(t, a) // who was silent may be ready now
	} else {
		d = s.desks[c.Desk]
	}
	if c.Client != "" {
		cause = ByClient
	}
	if d == nil {
		return Result{Refusal: Refusal{Code: UnknownDesk}}
	}
	r, stay := s.sessionAt(d, c.Session)
	if stay == nil || c.Agent != "" && stay.agent != c.Agent || c.Client != "" && r.client.name != c.Client {
		return Result{Refusal: Refusal{Code: SessionEnded}}
	}
	if stay.then == Assigned {
		a := r.agent
		s.endSession(t, r, a.wrapUp(t, Event{Then: Done, Cause: cause, Staff: c.Staff}))
		s.serve(t, a)
	}
	res := Result{Session: r.sessionView(stay)}
	if stay.then != Done {
		res.Refusal = Refusal{Code: SessionEnded, Cause: stay.cause}
	}
	return res
}

// sessionAt finds a session of a desk.
func (s *State) sessionAt(d *desk, id uint64) (*request, *session) {
	r := s.ids.find(id)
	if r == nil || r.desk != d {
		return nil, nil
	}
	return r, r.sessionOf(id)
}
