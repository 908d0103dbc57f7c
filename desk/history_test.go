package desk_test

import (
	"math/rand/v2"
	"testing"

	"holdfast/desk"
)

// TestDamagedHistories: where one event of a log is another, or is missing, or is there twice, what does not follow from the
// state is an error, and never a panic.
func TestDamagedHistories(t *testing.T) {
	t.Parallel()
	refused, harmless := map[string]int{}, 0
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 7))
		m := newMachine(t, map[string]int{})
		for range 300 {
			m.run(spread(rng.Uint64()))
		}
		for range 150 {
			at := rng.IntN(len(m.log))
			if m.log[at].is == nil {
				continue
			}
			log := append([]logged(nil), m.log...)
			kind := log[at].is.Kind
			switch rng.IntN(8) {
			case 0:
				log = append(log[:at], log[at+1:]...)
			case 1:
				twice := *log[at].is
				log[(at+1)%len(log)].is = &twice
			default:
				damaged := *log[at].is
				damage(rng, &damaged)
				log[at].is = &damaged
			}
			if err := apply(log); err != nil {
				refused[kind.String()]++
			} else {
				harmless++
			}
		}
	}
	for kind := range documented {
		if refused[kind.String()] == 0 && kind != desk.AgentHeard && kind != desk.RequestEnded {
			t.Errorf("no damage to %s was refused: %v", kind, refused)
		}
	}
	t.Log(refused, harmless)
}

func apply(log []logged) error {
	s := desk.NewState()
	for _, l := range log {
		if l.is == nil {
			s.ApplyStart(l.at)
		} else if err := s.Apply(l.seq, l.at, l.is); err != nil {
			return err
		}
	}
	return nil
}

// damage changes one field of an event to what another event may have.
func damage(rng *rand.Rand, e *desk.Event) {
	switch rng.IntN(10) {
	case 0:
		e.Desk = []string{deskNames[rng.IntN(3)], "nowhere"}[rng.IntN(4)/3]
	case 1:
		e.Agent = agentNames[rng.IntN(4)]
	case 2:
		e.Client = clientNames[rng.IntN(6)]
	case 3:
		e.Request += rng.Uint64N(9) - 4
	case 4:
		e.Offer += rng.Uint64N(9) - 4
	case 5:
		e.Session, e.Conn = e.Session+rng.Uint64N(9)-4, e.Conn+rng.Uint64N(5)-2
	case 6:
		e.State = desk.AgentState(rng.IntN(desk.AgentStates))
	case 7:
		e.Then, e.Outcome = desk.RequestState(rng.IntN(desk.RequestStates)), desk.OfferState(rng.IntN(desk.OfferStates))
	case 8:
		e.Config, e.Profile, e.Ask = nil, nil, nil
	case 9:
		e.Kind = desk.DeskPut + desk.Kind(rng.IntN(int(desk.RequestEnded-desk.DeskPut)+2))
	}
}
