package live_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/seat"
)

func lottery(c *seat.Config) { c.Order = seat.Lottery }

// TestLottery: entries are told, also those withdrawn; the draw tells everybody what became of them, and that it is open.
func TestLottery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		people := crowd(2500) // more than one piece of the draw
		line := uint32(2000)
		w.pool("c1", 3, opens(time.Minute), lottery, func(c *seat.Config) { c.Waitlist = &line })
		pool, _ := w.subscribe("c1")
		ann, _ := w.settled(people[0])
		w.claim("c1", people...)
		time.Sleep(time.Second)
		synctest.Wait()
		if list := ann.take(); len(list) != 1 || list[0].pools() != "c1=entered" {
			t.Errorf("entered: %+v", list)
		}
		late, _ := w.settled(people[1])
		if late.view["c1"].Status != "entered" {
			t.Errorf("hello tells %+v", late.view)
		}
		list := pool.take()
		if p := list[len(list)-1]; p.Open || p.Entered != 2500 || p.Waiting != 0 {
			t.Errorf("before the draw: %+v", p)
		}
		gone, _ := w.settled(people[2])
		since := gone.since(memID)
		w.release("c1", people[2])
		gone.expect("c1=released")
		ears := []*ear{ann, late}
		for _, who := range people[3:] {
			e, _ := w.watch(who, since)
			ears = append(ears, e)
		}
		synctest.Wait()
		time.Sleep(58*time.Second - time.Nanosecond)
		synctest.Wait()
		for _, e := range ears[2:] {
			e.take()
		}
		pool.take()
		time.Sleep(time.Second + time.Nanosecond)
		synctest.Wait()
		outcomes := map[string]int{}
		for _, e := range ears {
			list := e.take()
			if len(list) == 0 || len(list[0].Claims) != 1 {
				t.Fatalf("told of the draw: %+v", list)
			}
			outcomes[list[len(list)-1].Claims[0].Status]++
		}
		if fmt.Sprint(outcomes) != "map[released:496 seated:3 waiting:2000]" {
			t.Errorf("%v", outcomes)
		}
		kinds := ""
		for _, p := range pool.take() {
			kinds += p.Push + " "
			if !p.Open {
				t.Errorf("at the draw: %+v", p)
			}
		}
		if kinds != "pool opening " && kinds != "pool opening pool " {
			t.Errorf("at the draw: %s", kinds)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.true(ann, people[0])
		w.true(late, people[1])
		for i, e := range ears[2:] {
			w.true(e, people[i+3])
		}
		late2, _ := w.subscribe("c1")
		if p := late2.only(); p.Entered != 0 || p.Waiting != 2000 || p.Seated != 3 || !p.Open {
			t.Errorf("after the draw: %+v", p)
		}
	})
}

// TestLotteryLost: a lottery whose seed is lost does not open, and who follows it is told so.
func TestLotteryLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pool("c1", 3, opens(time.Minute), lottery)
		w.claim("c1", "ann")
		w.restart() // the seed was in memory
		defer w.stop()
		s, _ := w.subscribe("c1")
		synctest.Wait()
		if list := s.take(); len(list) != 2 || list[0].Open || list[1].Open || list[1].MS != 60_000 {
			t.Errorf("before: %+v", list)
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		s.take()
		time.Sleep(time.Hour)
		s.none()
		late, _ := w.subscribe("c1")
		synctest.Wait()
		if list := late.take(); len(list) != 2 || list[0].Open || list[0].Entered != 1 || list[1].Open || list[1].MS != 0 || list[1].OpensAt == 0 {
			t.Errorf("after: %+v", list)
		}
		ann, _ := w.settled("ann")
		w.true(ann, "ann")
	})
}
