package server

import (
	"errors"
	"math/rand/v2"
	"time"

	"holdfast"
	"holdfast/auth"
	"holdfast/engine"
	"holdfast/internal/live"
	"holdfast/internal/wire"
	"holdfast/seat"
)

// guest is who a socket speaks for, and what it has open.
type guest struct {
	inside  bool // counted among MaxSockets
	closed  bool // the close frame is sent
	id      auth.Identity
	person  string // empty: many, each named by as; or an agent or a client
	most    int    // commands that may wait besides those that do; a basket counts as each of its items
	pending []pending
	awaited <-chan struct{} // what the confirmer was asked to wait for
	record  []recording
	reply   *[]byte // answers not yet written; nil: none

	party
	follows
}

// follows is what a socket has open at the hub.
type follows struct {
	watch  *live.Watch            // of person
	others map[string]*live.Watch // where it speaks for many
	pools  map[string]*live.Subscription
	topics map[deskTopic]*live.Subscription // availability
}

// pending is a command that is decided and not yet confirmed.
type pending struct {
	reply  uint64
	answer engine.Answer
	start  time.Time
	person string
	pool   string       // of an answer about one pool
	basket *seat.Basket // of a basket
	desk   atDesk
	record bool
}

// weight is what it counts among those that may wait.
func (p *pending) weight() int { return max(1, len(p.answer.Items)) }

// frame handles what one frame has.
func (s *socket) frame(frame []byte) {
	err := wire.ParseMessages(frame, func(m *wire.Message, err error) {
		if s.closed || !s.count() {
			return
		}
		switch {
		case err != nil:
			s.fail(m.ID, err)
			if !s.known.Load() {
				s.end(wire.CloseMalformed, "hello first")
			}
		case m.Do == wire.DoHello:
			s.hello(m)
		case !s.known.Load():
			s.fail(m.ID, invalid("do", `must be "hello": the first message says who comes`))
			s.end(wire.CloseMalformed, "hello first")
		default:
			s.do(m)
		}
	})
	if err == nil {
		return
	}
	s.fail(0, err)
	if errors.Is(err, wire.ErrNotUTF8) {
		s.end(wire.CloseNotUTF8, "not UTF-8")
	} else {
		s.end(wire.CloseMalformed, "not a message")
	}
}

// do handles one message of somebody known.
func (s *socket) do(m *wire.Message) {
	if s.expired() {
		return
	}
	s.hear()
	switch m.Do {
	case wire.DoPing:
		now := s.house.engine.Now()
		s.message(func(b []byte) []byte { return wire.AppendPing(b, m.ID, now) })
		return
	case wire.DoSubscribe, wire.DoUnsubscribe:
		s.subscription(m)
		return
	}
	if s.atDesk() {
		s.partyCommand(m)
		return
	}
	if m.OfDesks() {
		s.fail(m.ID, invalid("do", "is a command of an agent or a client: hello says who comes"))
		return
	}
	person, err := s.speaker(m.As)
	switch {
	case err == nil && m.Do == wire.DoAccept && m.Pool == "":
		s.fail(m.ID, invalid("pool", "is missing"))
	case err != nil:
		s.fail(m.ID, err)
	case m.Do == wire.DoStanding && m.Pool == "":
		s.again(m, person)
	default:
		s.command(m, person)
	}
}

// speaker says whose command it is.
func (s *socket) speaker(as string) (person string, err error) {
	switch {
	case as == "" && s.person != "":
		return s.person, nil
	case as == "":
		return "", invalid("as", "is missing: this connection acts for many, so each command names its person")
	case s.person != "" && as != s.person:
		return "", &refusedError{notForYou}
	}
	return as, seat.ValidID("as", as)
}

// command decides, and answers: preapproved at once, confirmed when it is.
func (s *socket) command(m *wire.Message, person string) {
	if p := s.turnedAway(m, person); p != nil {
		s.problem(m.ID, p, m.Pool, person)
		return
	}
	body, err := m.Command(person)
	if err != nil {
		s.fail(m.ID, err)
		return
	}
	p := pending{reply: m.ID, start: time.Now(), person: person, pool: m.Pool, record: m.Recorded}
	p.answer, err = s.house.engine.Do(s.realm, body)
	s.house.metrics.decide.Observe(time.Since(p.start).Seconds())
	if err != nil {
		s.fail(m.ID, err)
		return
	}
	if asksForPlace(m) {
		s.house.load.Answered()
	}
	s.decided(m, &p, body)
	if !p.answer.Confirmed() {
		if !m.Quiet {
			s.answer(&p, wire.Preapproved)
		}
		s.pending = append(s.pending, p)
		s.most -= p.weight()
		return
	}
	s.settle(p.answer.AsOf) // what was asked before is answered before
	s.confirmed(&p)
}

// turnedAway says why a command is not even decided; nil: it is. Who has a place already is never turned away for the crowd.
func (s *socket) turnedAway(m *wire.Message, person string) *wire.Problem {
	if s.house.inside.closing() {
		return &stopping
	}
	if len(s.record) >= s.most {
		return &piled
	}
	if !asksForPlace(m) {
		return nil
	}
	if wait := s.house.limit(&s.id); wait > 0 {
		s.house.metrics.turned[byRate].Inc()
		p := tooOften
		p.RetryAfterMS = max(1, int64((wait+time.Millisecond-1)/time.Millisecond))
		return &p
	}
	if !s.house.admit(s.realm + "/" + person) {
		s.house.load.Turned()
		s.house.metrics.turned[byLoad].Inc()
		p := overloaded
		p.RetryAfterMS = s.house.comeAgain().Milliseconds()
		return &p
	}
	return nil
}

// asksForPlace says whether a command asks for a place that the person does not have, or an agent for the client.
func asksForPlace(m *wire.Message) bool {
	return m.Do == wire.DoClaim || m.Do == wire.DoBasket || m.Do == wire.DoSwap || m.Do == wire.DoRequest
}

// Made once: they must cost nothing.
var (
	stopping = wire.New(wire.Busy, "The server is stopping. Nothing was recorded: ask again.")
	piled    = wire.New(wire.Busy, "As many commands of this connection wait for their confirmation, or for the record they asked for, as may. Nothing was recorded: ask again.")
)

// decided counts what was decided, and tells the hub what this connection hears by itself. What a swap answers is its item.
func (s *socket) decided(m *wire.Message, p *pending, body holdfast.Body) {
	a, watch := &p.answer, s.watchOf(p.person)
	if basket, ok := body.(seat.Basket); ok {
		for i := range a.Items {
			s.house.metrics.decided(&a.Items[i])
			if a.Items[i].Standing.Pool = basket.Items[i].Pool; watch != nil && !a.Items[i].Refused() {
				watch.Told(&a.Items[i].Standing)
			}
		}
		if m.Do == wire.DoBasket {
			p.basket = &basket
		} else if len(a.Items) == 1 {
			a.Result.Result, a.Items = a.Items[0], nil
		}
		return
	}
	if m.Do != wire.DoStanding {
		s.house.metrics.decided(&a.Result.Result)
	}
	if a.Standing.Pool = p.pool; watch != nil && !a.Refused() {
		watch.Told(&a.Standing)
	}
}

// settle answers what is confirmed by now, or rests on no more than upTo, which is known to be confirmed. In order: what comes
// behind something that is not confirmed is not either.
func (s *socket) settle(upTo uint64) {
	n := 0
	for ; n < len(s.pending); n++ {
		p := &s.pending[n]
		if p.answer.AsOf > upTo {
			select {
			case <-p.answer.Settled():
			default:
				if !p.answer.Confirmed() {
					s.shift(n)
					return
				}
			}
			if !p.answer.Confirmed() {
				s.fail(p.reply, engine.ErrUnknown)
				continue
			}
		}
		s.confirmed(p)
	}
	s.shift(n)
}

// shift drops the first n that wait.
func (s *socket) shift(n int) {
	if n == 0 {
		return
	}
	for i := range s.pending[:n] {
		s.most += s.pending[i].weight()
	}
	if s.pending = append(s.pending[:0], s.pending[n:]...); len(s.pending) == 0 {
		s.pending = nil
	}
}

// confirmed answers that p is, and waits for the record where that was wished.
func (s *socket) confirmed(p *pending) {
	s.house.metrics.confirm.Observe(time.Since(p.start).Seconds())
	s.answer(p, wire.Confirmed)
	if p.record && s.house.recorder != nil {
		mark := p.answer.AsOf
		if p.basket == nil && p.desk.do == "" {
			mark = markOf(&p.answer.Standing, p.answer.Refused(), mark)
		}
		s.record = append(s.record, recording{p.reply, p.answer.AsOf, mark, p.start})
	}
}

// answer tells one stage.
func (s *socket) answer(p *pending, d wire.Durability) {
	a, st := &p.answer, stamp(d, p.answer.Stamp)
	if p.desk.do != "" {
		s.deskAnswer(p, st)
		return
	}
	if p.basket != nil {
		if r, pool := wholeRefusal(p.basket, a); r != nil {
			problem := s.refusal(r, pool, p.person, st)
			s.message(func(b []byte) []byte {
				return wire.AppendReply(b, p.reply, func(b []byte) []byte { return problem.AppendRefusedBasket(b, p.basket, a.Items) })
			})
			return
		}
		s.message(func(b []byte) []byte {
			return wire.AppendReply(b, p.reply, func(b []byte) []byte { return wire.AppendBasket(b, s.realm, p.basket, a.Items, st) })
		})
		return
	}
	if a.Refused() {
		problem := s.refusal(&a.Refusal, p.pool, p.person, st)
		s.message(func(b []byte) []byte { return wire.AppendReply(b, p.reply, problem.Append) })
		return
	}
	s.message(func(b []byte) []byte {
		return wire.AppendReply(b, p.reply, func(b []byte) []byte { return wire.AppendAnswer(b, s.realm, p.person, &a.Standing, st) })
	})
}

func (s *socket) refusal(r *seat.Refusal, pool, person string, st wire.Stamp) wire.Problem {
	p := wire.Refused(r, pool)
	p.Realm, p.Person = s.realm, person
	p.Durability, p.AsOf, p.At = st.Durability, st.AsOf, st.At
	return p
}

// fail answers an error of the engine or of the message.
func (s *socket) fail(reply uint64, err error) {
	p, known := problemOf(err)
	if !known {
		s.house.cfg.Logger.Error("a command failed", "error", err)
	}
	s.problem(reply, &p, "", "")
}

// problem answers with what went wrong.
func (s *socket) problem(reply uint64, problem *wire.Problem, pool, person string) {
	p := *problem
	switch p.Code {
	case wire.Busy, wire.Unknown:
		if p.RetryAfterMS == 0 { // jittered, so that who was turned away together does not come back together
			p.RetryAfterMS = int64((time.Second + rand.N(4*time.Second)) / time.Millisecond)
		}
		s.house.metrics.outcome(p.Code).Inc()
	case wire.Limited:
		s.house.metrics.outcome(p.Code).Inc()
	}
	if p.Code != wire.Malformed {
		p.Realm, p.Pool, p.Person = s.realm, pool, person
	}
	s.message(func(b []byte) []byte { return wire.AppendReply(b, reply, p.Append) })
}
