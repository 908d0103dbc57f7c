package seat

import (
	"crypto/sha256"
	"testing"
)

// TestForgottenDraw: a lottery that nobody would draw, and a draw that nobody would go on with, are seen.
func TestForgottenDraw(t *testing.T) {
	t.Parallel()
	seed := [32]byte{1}
	s := NewState()
	for i, e := range []Event{
		{Kind: PoolPut, Pool: "p", Config: &Config{Capacity: 1, Order: Lottery, OpensAt: 100, SeedHash: sha256.Sum256(seed[:])}},
		{Kind: LotteryEntered, Pool: "p", Person: "s", Cause: ByClaim},
		{Kind: Drawn, Pool: "p", Seed: &seed},
	} {
		if err := s.Apply(uint64(i)+1, 10+Time(i)*50, &e); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		kept := s.draws
		s.draws = draws{}
		if s.CheckL2() == nil {
			t.Errorf("forgotten after event %d", i+1)
		}
		s.draws = kept
		s.draws.sealed++
		if s.CheckL2() == nil {
			t.Errorf("a missing seed too many after event %d", i+1)
		}
		s.draws = kept
	}
}
