package rush

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"holdfast"
	"holdfast/seat"
)

// eventJSON is the form of an event in the feed: holdfast.Event.AppendJSON writes it.
type eventJSON struct {
	Seq   uint64    `json:"seq"`
	At    seat.Time `json:"at"`
	Realm string    `json:"realm"`
	Kind  string    `json:"kind"`

	Epoch        uint64  `json:"epoch"`
	GraceSeconds float64 `json:"grace_seconds"`
	MaxSeats     *uint32 `json:"max_seats_per_person"`
	MaxWaits     uint32  `json:"max_waits_per_person"`

	Pool     string      `json:"pool"`
	Person   string      `json:"person"`
	Was      string      `json:"was"`
	Cause    string      `json:"cause"`
	Seat     uint32      `json:"seat"`
	Ticket   uint32      `json:"ticket"`
	Swap     string      `json:"swap"`
	Deadline seat.Time   `json:"deadline"`
	By       string      `json:"by"`
	Reason   string      `json:"reason"`
	Config   *configJSON `json:"config"`
}

type configJSON struct {
	Capacity     uint32          `json:"capacity"`
	Waitlist     *uint32         `json:"waitlist"`
	OpensAt      seat.Time       `json:"opens_at"`
	ClosesAt     seat.Time       `json:"closes_at"`
	PromoteUntil seat.Time       `json:"promote_until"`
	Promotion    string          `json:"promotion"`
	AnswerSecs   int64           `json:"answer_seconds"`
	Group        string          `json:"group"`
	Order        string          `json:"order"`
	Data         json.RawMessage `json:"data"`
}

// parseEvent reads the JSON form of an event back. A kind that this version does not know is an error: what cannot be
// read cannot be checked.
func parseEvent(line []byte, e *holdfast.Event) error {
	var j eventJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("a line of the feed is not an event: %w: %.200q", err, line)
	}
	*e = holdfast.Event{Seq: j.Seq, At: j.At, Realm: j.Realm}
	switch j.Kind {
	case "started":
		e.Seat.Kind, e.Epoch, e.Grace = holdfast.Started, j.Epoch, seat.Time(math.Round(j.GraceSeconds*1e6))
		return nil
	case "realm_put":
		e.Seat.Kind, e.Limits = holdfast.RealmPut, &seat.Limits{MaxSeats: j.MaxSeats, MaxWaits: j.MaxWaits}
		return nil
	}
	for kind := seat.PoolPut; kind <= seat.SeatFreed; kind++ {
		if kind.String() == j.Kind {
			e.Seat.Kind = kind
		}
	}
	e.Seat.Pool, e.Seat.Person, e.Seat.Seat, e.Seat.Ticket = j.Pool, j.Person, j.Seat, j.Ticket
	e.Seat.Swap, e.Seat.Deadline, e.Seat.By, e.Seat.Reason = j.Swap, j.Deadline, j.By, j.Reason
	switch e.Seat.Kind {
	case 0:
		return fmt.Errorf("event %d is of the unknown kind %q", j.Seq, j.Kind)
	case seat.PoolPut:
		if j.Config == nil {
			return fmt.Errorf("event %d has no config", j.Seq)
		}
		e.Seat.Config = j.Config.config()
		return nil
	}
	was, ok := seat.ParseStatus(j.Was)
	if !ok {
		return fmt.Errorf("event %d: unknown status %q", j.Seq, j.Was)
	}
	e.Seat.Was = was
	for cause := seat.ByClaim; cause <= seat.ByStaff; cause++ {
		if cause.String() == j.Cause {
			e.Seat.Cause = cause
			return nil
		}
	}
	return fmt.Errorf("event %d: unknown cause %q", j.Seq, j.Cause)
}

func (j *configJSON) config() *seat.Config {
	c := &seat.Config{
		Capacity: j.Capacity, Waitlist: j.Waitlist,
		OpensAt: j.OpensAt, ClosesAt: j.ClosesAt, PromoteUntil: j.PromoteUntil,
		AnswerWithin: time.Duration(j.AnswerSecs) * time.Second,
		Group:        j.Group, Data: string(j.Data),
	}
	if j.Promotion == seat.Offer.String() {
		c.Promotion = seat.Offer
	}
	return c
}

// move is one person who moved up from the line into a freed seat.
type move struct {
	claim   claimKey
	freedBy claimKey
	seen    time.Duration // when the feed showed it
}

var errFeedEnded = errors.New("the server ended the feed")

// follower reads the feed while students leave, as an app would that tells people the good news.
type follower struct {
	crowd  *crowd
	cancel context.CancelFunc
	ended  chan error
	heads  chan uint64 // the highest sequence seen, newest only

	courses map[string]int32
	people  map[string]int32
	moves   []move // owned by the reading goroutine until ended
}

// follow begins behind a sequence.
func follow(ctx context.Context, c *crowd, after uint64) *follower {
	ctx, cancel := context.WithCancel(ctx)
	f := &follower{
		crowd: c, cancel: cancel, ended: make(chan error, 1), heads: make(chan uint64, 1),
		courses: map[string]int32{}, people: map[string]int32{},
	}
	for i, course := range c.plan.courses {
		f.courses[course.name] = int32(i)
	}
	for i, person := range c.plan.people {
		f.people[person] = int32(i)
	}
	freed := map[string]claimKey{}
	go func() {
		var e holdfast.Event
		_, err := c.door.Address.ReadFeed(ctx, c.realm, after, true, func(line []byte) (uint64, error) {
			if err := parseEvent(line, &e); err != nil {
				return 0, err
			}
			f.note(&e, freed)
			select {
			case <-f.heads:
			default:
			}
			f.heads <- e.Seq
			return e.Seq, nil
		})
		if err == nil {
			err = errFeedEnded
		}
		f.ended <- err
	}()
	return f
}

func (f *follower) note(e *holdfast.Event, freed map[string]claimKey) {
	key := claimKey{f.courses[e.Seat.Pool], f.people[e.Seat.Person]}
	switch {
	case e.Seat.Kind == seat.SeatFreed:
		freed[e.Seat.Pool] = key
	case e.Seat.Kind == seat.SeatTaken && e.Seat.Cause == seat.ByPromotion:
		f.moves = append(f.moves, move{key, freed[e.Seat.Pool], f.crowd.now()})
	}
}

// feedQuiet is how long the feed may be silent before its end is believed although a higher sequence was named: behind it
// may be another realm's events.
const feedQuiet = time.Second

// until waits for the event with the given number, ends the following and gives the moves seen.
func (f *follower) until(ctx context.Context, seq uint64) ([]move, error) {
	for {
		select {
		case head := <-f.heads:
			if head < seq {
				continue
			}
		case err := <-f.ended:
			return nil, err
		case <-ctx.Done():
			f.cancel()
			<-f.ended
			return nil, context.Cause(ctx)
		case <-time.After(feedQuiet):
		}
		f.cancel()
		if err := <-f.ended; err != nil && !errors.Is(err, context.Canceled) {
			return nil, err
		}
		return f.moves, nil
	}
}

// stop ends the following when nobody calls until.
func (f *follower) stop() {
	f.cancel()
}

// feedSource reads the whole feed of the realm and keeps it. Everything that anybody was told is confirmed by now, or it
// never was.
func (p *performance) feedSource(ctx context.Context) (source, error) {
	var lines [][]byte
	keep := func(line []byte) (uint64, error) {
		lines = append(lines, bytes.Clone(line))
		var head struct {
			Seq uint64 `json:"seq"`
		}
		if err := json.Unmarshal(line, &head); err != nil {
			return 0, fmt.Errorf("a line of the feed is not an event: %w: %.200q", err, line)
		}
		return head.Seq, nil
	}
	// A feed that breaks off does so without a word: its end is believed once nothing more comes behind it.
	for last := p.before; ; {
		seq, err := p.crowd.door.Address.ReadFeed(ctx, p.crowd.realm, last, false, keep)
		if err != nil {
			return nil, fmt.Errorf("reading the feed: %w", err)
		}
		if seq == last {
			break
		}
		last = seq
	}
	return func(each func(*holdfast.Event) error) error {
		for _, line := range lines {
			var e holdfast.Event
			if err := parseEvent(line, &e); err != nil {
				return err
			}
			if err := each(&e); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
