package desk

import (
	"fmt"
	"time"

	"holdfast/internal/rule"
)

func invalid(field, problem string) error { return &Invalid{Field: field, Problem: problem} }

func validPair(desk, field, id string) error {
	if err := rule.ValidID("desk", desk); err != nil {
		return err
	}
	return rule.ValidID(field, id)
}

func validAgent(desk, agent string) error { return validPair(desk, "agent", agent) }

func validConnection(desk, field, id string, conn uint64) error {
	if conn == 0 {
		return invalid("connection", "is missing")
	}
	return validPair(desk, field, id)
}

func validOffer(desk, agent string, offer uint64) error {
	if err := validAgent(desk, agent); err != nil {
		return err
	}
	return validNumber("offer", offer)
}

// validNumber checks the id of an event.
func validNumber(field string, id uint64) error {
	if id == 0 {
		return invalid(field, "is missing: it is the number that the "+field+" was shown with")
	}
	return nil
}

func validOptional(field, id string) error {
	if id == "" {
		return nil
	}
	return rule.ValidID(field, id)
}

func (s *Staff) valid() error {
	if err := rule.ValidText("reason", s.Reason, MaxReason); err != nil {
		return err
	}
	return rule.ValidText("by", s.By, MaxReason)
}

// validTopics checks a list of ids, each there once.
func validTopics(topics []string) error {
	if len(topics) > MaxTopics {
		return invalid("topics", fmt.Sprintf("must be at most %d", MaxTopics))
	}
	for i, topic := range topics {
		if err := rule.ValidID(fmt.Sprintf("topics[%d]", i), topic); err != nil {
			return err
		}
		for _, before := range topics[:i] {
			if before == topic {
				return invalid(fmt.Sprintf("topics[%d]", i), fmt.Sprintf("%q is there twice", topic))
			}
		}
	}
	return nil
}

// span is a duration of a Config with its range; where zero may be it stands for "not".
type span struct {
	field       string
	is          time.Duration
	least, most time.Duration
	zero        bool
}

func (s *span) valid() error {
	if s.zero && s.is == 0 {
		return nil
	}
	if s.is < s.least || s.is > s.most || s.is%time.Millisecond != 0 {
		or := ""
		if s.zero && s.least > 0 {
			or = "0 or "
		}
		return invalid(s.field, fmt.Sprintf("must be %s%d to %d", or, s.least/time.Millisecond, s.most/time.Millisecond))
	}
	return nil
}

// Valid checks every field and how they go together. The error is an *Invalid.
func (c *Config) Valid() error {
	if err := validTopics(c.Topics); err != nil {
		return err
	}
	const least = 100 * time.Millisecond
	for _, s := range []span{
		{"max_wait_ms", c.MaxWait, time.Second, 24 * time.Hour, false},
		{"offer_ms", c.OfferTime, time.Second, 15 * time.Minute, false},
		{"receipt_ms", c.Receipt, least, c.OfferTime, true},
		{"push_receipt_ms", c.PushReceipt, least, c.OfferTime, true},
		{"idle_grace_ms", c.IdleGrace, 0, time.Hour, true},
		{"init_grace_ms", c.InitGrace, 0, time.Hour, true},
		{"busy_grace_ms", c.BusyGrace, 0, time.Hour, true},
		{"client_grace_ms", c.ClientGrace, 0, time.Hour, true},
		{"join_ms", c.JoinWithin, 0, time.Hour, true},
		{"reject_pause_ms", c.RejectPause, 0, time.Hour, true},
		{"miss_pause_ms", c.MissPause, 0, time.Hour, true},
		{"wrap_up_ms", c.WrapUp, 0, time.Hour, true},
		{"restart_grace_ms", c.RestartGrace, 0, time.Hour, true},
		{"warm_up_ms", c.WarmUp, 0, time.Minute, true},
	} {
		if err := s.valid(); err != nil {
			return err
		}
	}
	switch {
	case c.Policy > Queue:
		return invalid("policy", `must be "refuse" or "queue"`)
	case c.Policy == Refuse && c.QueueLimit != 0:
		return invalid("queue_limit", `is only for policy "queue"`)
	case c.Policy == Queue && (c.QueueLimit == 0 || c.QueueLimit > MaxQueue):
		return invalid("queue_limit", fmt.Sprintf("must be 1 to %d", MaxQueue))
	case c.Misses > maxMisses:
		return invalid("misses", fmt.Sprintf("must be 0 to %d", maxMisses))
	case c.MaxAttempts == 0 || c.MaxAttempts > MaxAttempts:
		return invalid("max_attempts", fmt.Sprintf("must be 1 to %d", MaxAttempts))
	case c.OnLost > Close:
		return invalid("on_lost", `must be "requeue" or "close"`)
	}
	return nil
}

const maxMisses = 100

// Valid checks every field. Whether the desk has the topics is a question of its state. The error is an *Invalid.
func (p *Profile) Valid() error {
	if err := validTopics(p.Topics); err != nil {
		return err
	}
	if p.Reach > Push {
		return invalid("reach", `must be "socket" or "push"`)
	}
	return nil
}

// Valid checks every field. Whether the desk has the topic is a question of its state. The error is an *Invalid.
func (a *Ask) Valid() error {
	if err := validOptional("topic", a.Topic); err != nil {
		return err
	}
	if a.Priority > MaxPriority {
		return invalid("priority", fmt.Sprintf("must be 0 to %d", MaxPriority))
	}
	if err := rule.ValidText("data", a.Data, MaxData); err != nil {
		return err
	}
	if err := rule.ValidText("key", a.Key, MaxID); err != nil {
		return err
	}
	if a.Reach > Push {
		return invalid("reach", `must be "socket" or "push"`)
	}
	return nil
}
