package server

import (
	"fmt"
	"time"

	"holdfast/desk"
	"holdfast/internal/live"
	"holdfast/internal/wire"
)

// deskTopic is whose availability is followed.
type deskTopic struct{ desk, topic string }

// atDesk is what an answer of a desk is about.
type atDesk struct {
	do, name  string
	elsewhere bool // an accept of what was accepted before, and not here
}

// partyCommand decides a command of an agent or a client. The answer comes once, confirmed.
func (s *socket) partyCommand(m *wire.Message) {
	if p := s.turnedAway(m, s.client); p != nil {
		s.deskProblem(m.ID, p, m.Desk)
		return
	}
	at := atDesk{do: m.Do, name: m.Desk}
	body, err := m.ClientCommand(s.client, s.conn)
	if s.agent != "" {
		at.name = s.desk
		body, err = m.AgentCommand(s.desk, s.agent, s.conn)
	}
	if err != nil {
		s.fail(m.ID, err)
		return
	}
	if s.id.Desk != "" && at.name != s.id.Desk { // for them there is no other
		p := wire.RefusedAtDesk(at.name, &desk.Result{Refusal: desk.Refusal{Code: desk.UnknownDesk}})
		s.deskProblem(m.ID, &p, at.name)
		return
	}
	answers := s.agent != "" && (m.Do == wire.DoAccept || m.Do == wire.DoReject)
	if answers {
		s.device.Load().Answering(m.Offer)
	}
	p := pending{reply: m.ID, start: time.Now(), desk: at, record: m.Recorded}
	p.answer, err = s.house.engine.Do(s.realm, body)
	s.house.metrics.decide.Observe(time.Since(p.start).Seconds())
	r := deskResult(&p.answer)
	if answers {
		s.device.Load().Answered(err == nil && !r.Refused())
	}
	if err != nil {
		s.fail(m.ID, err)
		return
	}
	if asksForPlace(m) {
		s.house.load.Answered()
	}
	s.partyDecided(m, &p, r)
	if !p.answer.Confirmed() {
		s.pending = append(s.pending, p)
		s.most -= p.weight()
		return
	}
	s.settle(p.answer.AsOf)
	s.confirmed(&p)
}

// partyDecided tells the hub what this connection hears by itself.
func (s *socket) partyDecided(m *wire.Message, p *pending, r *desk.Result) {
	switch {
	case r.Refused():
		s.house.metrics.outcome(r.Refusal.Code).Inc()
		return
	case m.Do == wire.DoAccept:
		p.desk.elsewhere = r.AcceptedElsewhere && s.accepted != m.Offer
		s.accepted = m.Offer
	case s.requests != nil && r.Request != nil && m.Do != wire.DoFinish: // that one is answered with its session
		s.requests.Told(r.Request)
	}
	if s.agent != "" && r.Agent != nil {
		s.device.Load().Told(r.Agent)
	}
}

// deskAnswer tells what a desk decided.
func (s *socket) deskAnswer(p *pending, st wire.Stamp) {
	r := deskResult(&p.answer)
	s.message(func(b []byte) []byte {
		return wire.AppendReply(b, p.reply, func(b []byte) []byte {
			if r.Refused() {
				problem := wire.RefusedAtDesk(p.desk.name, r)
				problem.Realm, problem.Durability, problem.AsOf, problem.At = s.realm, st.Durability, st.AsOf, st.At
				return problem.Append(b)
			}
			switch p.desk.do {
			case wire.DoOnline, wire.DoPause, wire.DoOffline:
				return wire.AppendAgent(b, s.realm, r.Agent, s.house.engine.Now(), st)
			case wire.DoReceipt, wire.DoReject:
				return wire.AppendOffer(b, s.realm, r.Offer, s.house.engine.Now(), st)
			case wire.DoAccept:
				b = wire.AppendSession(b, s.realm, r.Session, st)
				if p.desk.elsewhere {
					b = append(b[:len(b)-1], `,"accepted_elsewhere":true}`...)
				}
				return b
			case wire.DoFinish:
				return wire.AppendSession(b, s.realm, r.Session, st)
			}
			return wire.AppendRequest(b, s.realm, r.Request, st)
		})
	})
	if do := p.desk.do; !r.Refused() && (do == wire.DoAccept || do == wire.DoReject) { // in the same frame
		s.message(func(b []byte) []byte {
			return wire.AppendPush(b, live.Agent, st.AsOf, func(b []byte) []byte { return wire.AppendAgentRow(b, r.Agent, st.At, true) })
		})
	}
}

// deskProblem answers with what went wrong at a desk.
func (s *socket) deskProblem(reply uint64, problem *wire.Problem, name string) {
	p := *problem
	p.Desk = name
	s.problem(reply, &p, "", "")
}

// availability begins or ends to follow whether a desk has somebody.
func (s *socket) availability(m *wire.Message) {
	of := deskTopic{m.Desk, m.Topic}
	old := s.topics[of]
	switch {
	case m.Do == wire.DoUnsubscribe:
		if old != nil {
			old.Close()
			delete(s.topics, of)
		}
		s.done(m)
		return
	case old != nil:
		s.done(m)
		return
	case len(s.pools)+len(s.topics) >= s.mostFollowed():
		s.fail(m.ID, invalid("desk", fmt.Sprintf("is one more than one connection may follow: %d", s.mostFollowed())))
		return
	}
	hub, err := s.house.live()
	if err != nil {
		s.fail(m.ID, err)
		return
	}
	code, sub := desk.UnknownDesk, (*live.Subscription)(nil)
	if s.id.Desk == "" || s.id.Desk == m.Desk {
		sub, code, err = hub.SubscribeDesk(s.realm, m.Desk, m.Topic, s)
	}
	switch {
	case err != nil:
		s.fail(m.ID, err)
	case code != "":
		p := wire.RefusedAtDesk(m.Desk, &desk.Result{Refusal: desk.Refusal{Code: code, Topic: m.Topic}})
		s.deskProblem(m.ID, &p, m.Desk)
	default:
		if s.topics == nil {
			s.topics = map[deskTopic]*live.Subscription{}
		}
		s.topics[of] = sub
		s.done(m)
	}
}
