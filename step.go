package holdfast

import (
	"fmt"
	"strings"

	"holdfast/desk"
	"holdfast/seat"
)

// Stepper decides commands against a State and encodes what it decides. It keeps the scratch space that lets a decision
// make no garbage. Like the State, it belongs to whoever holds the shard's lock.
type Stepper struct {
	State *State
	// Seed gives the seed of a lottery by its hash, at its draw; false: it is not to be had. It must not block: the shard's
	// lock is held. nil: no lottery is drawn.
	Seed  func(hash [32]byte) (seed [32]byte, ok bool)
	turn  seat.Turn
	desks desk.Turn
	event Event
}

// Step decides one command at its time, applies the events and appends them to batch. The caller has called
// cmd.Body.Valid and drained Due for the realm.
func (s *Stepper) Step(cmd *Command, batch *Batch) Result {
	switch body := cmd.Body.(type) {
	case Start:
		s.record(cmd.At, "", Event{Epoch: body.Epoch, Grace: body.Grace, Seat: seat.Event{Kind: Started}}, batch)
		return Result{}
	case PutRealm:
		return s.putRealm(cmd, &body, batch)
	case seat.Command:
		realm := s.State.realms[cmd.Realm]
		if realm == nil {
			return Result{Result: seat.Result{Refusal: seat.Refusal{Code: UnknownRealm}}}
		}
		s.begin(cmd.At)
		var res Result
		res.Result, res.Items = realm.Seats.Step(&s.turn, body)
		s.finish(realm, batch)
		return res
	case desk.Command:
		realm := s.State.realms[cmd.Realm]
		if realm == nil {
			return Result{Result: seat.Result{Refusal: seat.Refusal{Code: UnknownRealm}}}
		}
		s.beginDesks(cmd.At, cmd.At)
		res := realm.Desks.Step(&s.desks, body)
		s.finishDesks(realm, batch)
		return Result{Desk: &res}
	}
	panic(fmt.Sprintf("holdfast: unknown command %T", cmd.Body))
}

// Due runs what is due in a realm at the given time, of the seats or else of the desks, at most as many events as one
// turn makes, and says whether more is due by then.
// at may lie before clock: due work that comes late is decided as of its own time, but the time to answer an offer
// runs from clock, so that nobody's passes unseen.
func (s *Stepper) Due(realm *Realm, at, clock seat.Time, batch *Batch) bool {
	if next, due := realm.Seats.NextDue(); due && next <= at {
		s.begin(at)
		s.turn.Clock = clock
		realm.Seats.Due(&s.turn)
		s.finish(realm, batch)
	} else {
		s.beginDesks(at, clock)
		realm.Desks.Due(&s.desks)
		s.finishDesks(realm, batch)
	}
	next, due := realm.NextDue()
	return due && next <= at
}

func (s *Stepper) beginDesks(at, clock desk.Time) {
	s.desks = desk.Turn{Now: at, Clock: clock, Seq: s.State.seq, Events: s.desks.Events[:0]}
}

// finishDesks encodes the turn's events, which the realm has applied already.
func (s *Stepper) finishDesks(realm *Realm, batch *Batch) {
	for i := range s.desks.Events {
		s.State.seq++
		s.State.at = s.desks.Now
		e := &s.desks.Events[i]
		s.event = Event{Seq: s.State.seq, At: s.desks.Now, Realm: realm.Name, Seat: seat.Event{Kind: seat.Kind(e.Kind)}, Desk: e}
		batch.Append(&s.event)
	}
	s.event = Event{}
}

func (s *Stepper) begin(at seat.Time) {
	s.turn = seat.Turn{Now: at, Clock: at, Seq: s.State.seq, Seed: s.Seed, Events: s.turn.Events[:0]}
}

// finish encodes the turn's events, which the realm has applied already.
func (s *Stepper) finish(realm *Realm, batch *Batch) {
	for i := range s.turn.Events {
		s.State.seq++
		s.State.at = s.turn.Now
		s.event.Seq, s.event.At, s.event.Realm = s.State.seq, s.turn.Now, realm.Name
		s.event.Seat = s.turn.Events[i]
		batch.Append(&s.event)
	}
}

// record applies and encodes an event of the shard's own kinds.
func (s *Stepper) record(at seat.Time, realm string, e Event, batch *Batch) {
	e.Seq, e.At, e.Realm = s.State.seq+1, at, realm
	if err := s.State.Apply(&e); err != nil {
		panic("holdfast: a decision does not follow from the state: " + err.Error())
	}
	batch.Append(&e)
}

func (s *Stepper) putRealm(cmd *Command, body *PutRealm, batch *Batch) Result {
	var res Result
	realm := s.State.realms[cmd.Realm]
	if realm == nil || !realm.Seats.HasLimits(body.Limits) {
		limits := body.Limits
		s.record(cmd.At, cmd.Realm, Event{Limits: &limits, Seat: seat.Event{Kind: RealmPut}}, batch)
		realm = s.State.realms[cmd.Realm]
		s.Due(realm, cmd.At, cmd.At, batch) // who may sit now is promoted now, as far as one turn goes
	}
	res.Seq, res.At = realm.Seq, realm.At
	return res
}

// Apply folds one event into the state: all that recovery, the mirror's check and the verifier do. Events must come in
// the order of their sequence, without a gap. An error means that the log is damaged or of another history; the state
// is then undefined. Apply copies what it keeps of e.
func (s *State) Apply(e *Event) error {
	if e.Seq != s.seq+1 {
		return fmt.Errorf("event %d follows event %d", e.Seq, s.seq)
	}
	if e.At < s.at {
		return fmt.Errorf("event %d is older than the one before it", e.Seq)
	}
	switch e.Seat.Kind {
	case Started:
		if e.Epoch <= s.epoch {
			return fmt.Errorf("event %d starts epoch %d after epoch %d", e.Seq, e.Epoch, s.epoch)
		}
		s.epoch = e.Epoch
		for _, realm := range s.order {
			realm.Seats.ApplyStart(e.At + e.Grace)
			realm.Desks.ApplyStart(e.At)
		}
	case RealmPut:
		realm := s.realms[e.Realm]
		if realm == nil {
			realm = &Realm{Name: strings.Clone(e.Realm), Seats: seat.NewState(), Desks: desk.NewState()}
			s.realms[realm.Name] = realm
			s.order = append(s.order, realm)
		}
		realm.Seq, realm.At = e.Seq, e.At
		realm.Seats.ApplyLimits(*e.Limits)
	default:
		realm := s.realms[e.Realm]
		if realm == nil {
			return fmt.Errorf("event %d is of realm %q, which does not exist", e.Seq, e.Realm)
		}
		var err error
		if e.Desk != nil {
			err = realm.Desks.Apply(e.Seq, e.At, e.Desk)
		} else {
			err = realm.Seats.Apply(e.Seq, e.At, &e.Seat)
		}
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
	}
	s.seq, s.at = e.Seq, e.At
	return nil
}
