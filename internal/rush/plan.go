package rush

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"holdfast/seat"
)

// course is one pool of the rush.
type course struct {
	name     string
	capacity int
}

// plan is who wants what. Equal Configs give equal plans. Courses and people are named by their index everywhere else.
type plan struct {
	courses []course
	people  []string
	opening []int32   // act 1: the people who press for courses[0]
	wishes  [][]int32 // act 2: for each person the courses, first wish first; none = takes no part
	order   []press   // act 2: who presses, in the order of the crowd
	maxWish int       // longest of wishes

	byName map[string]int32 // courses; index makes it
}

// index finds courses by name. One goroutine at a time may call it.
func (p *plan) index() map[string]int32 {
	if p.byName == nil {
		p.byName = make(map[string]int32, len(p.courses))
		for i, c := range p.courses {
			p.byName[c.name] = int32(i)
		}
	}
	return p.byName
}

// press is one student pressing the button once in act 2.
type press struct {
	person int32
	again  bool
}

// The streams of randomness that one seed gives, so that one more draw here moves nothing elsewhere.
const (
	streamWishes = iota + 1
	streamMoments
	streamOrder
	streamLeave
	streamBackOff
)

func random(seed uint64, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// openingCourse is the pool of act 1.
const openingCourse = "the-one-course"

// makePlan draws the wishes, or reads them from the catalogue.
func makePlan(cfg *Config) (*plan, error) {
	p := &plan{courses: []course{{openingCourse, cfg.Seats}}}
	index := map[string]int32{}
	if cfg.Courses != "" {
		if err := p.readCatalogue(cfg, index); err != nil {
			return nil, err
		}
	} else {
		p.draw(cfg, index)
	}
	for i := range cfg.Students / 4 {
		p.opening = append(p.opening, p.person(index, studentName(i)))
	}
	p.wishes = append(p.wishes, make([][]int32, len(p.people)-len(p.wishes))...)
	for _, w := range p.wishes {
		p.maxWish = max(p.maxWish, len(w))
	}
	p.crowd(cfg)
	return p, nil
}

func studentName(i int) string { return fmt.Sprintf("s%05d", i+1) }

// person gives the index of a name, a new one for a new name.
func (p *plan) person(index map[string]int32, name string) int32 {
	i, ok := index[name]
	if !ok {
		i = int32(len(p.people))
		index[name] = i
		p.people = append(p.people, name)
	}
	return i
}

// draw makes the courses and a basket for every student. Popularity follows Zipf's law with the exponent cfg.Skew: the
// course of rank k is drawn in proportion to 1/k^Skew, each at most once in a basket. Which course has which rank is
// drawn too, so that c0001 is not always the popular one.
func (p *plan) draw(cfg *Config, index map[string]int32) {
	rng := random(cfg.Seed, streamWishes)
	byRank := rng.Perm(cfg.Pools)
	sums := make([]float64, cfg.Pools)
	sum := 0.0
	for k := range sums {
		p.courses = append(p.courses, course{fmt.Sprintf("c%04d", k+1), cfg.Seats})
		sum += 1 / math.Pow(float64(k+1), cfg.Skew)
		sums[k] = sum
	}
	for i := range cfg.Students {
		p.person(index, studentName(i))
		basket := make([]int32, 0, cfg.Choices)
		for tries := 0; len(basket) < cfg.Choices; tries++ {
			rank := sort.SearchFloat64s(sums, rng.Float64()*sum)
			if tries > 50*cfg.Choices { // steep popularity and almost every course wanted: take any other
				rank = rng.IntN(cfg.Pools)
			}
			wish := int32(1 + byRank[min(rank, cfg.Pools-1)])
			if !slices.Contains(basket, wish) {
				basket = append(basket, wish)
			}
		}
		p.wishes = append(p.wishes, basket)
	}
}

// crowd decides in which order the students press, and who presses again, some time after the first.
func (p *plan) crowd(cfg *Config) {
	rng := random(cfg.Seed, streamOrder)
	type turn struct {
		press
		when float64
	}
	var turns []turn
	for person, w := range p.wishes {
		if len(w) == 0 {
			continue
		}
		when := rng.Float64()
		turns = append(turns, turn{press{person: int32(person)}, when})
		if rng.Float64() < cfg.Refresh {
			turns = append(turns, turn{press{int32(person), true}, when + (1-when)*rng.Float64()})
		}
	}
	slices.SortFunc(turns, func(a, b turn) int {
		switch {
		case a.when < b.when:
			return -1
		case a.when > b.when:
			return 1
		}
		return int(a.person) - int(b.person)
	})
	for _, t := range turns {
		p.order = append(p.order, t.press)
	}
}

// students counts who takes part in act 2.
func (p *plan) students() int {
	n := 0
	for _, w := range p.wishes {
		if len(w) > 0 {
			n++
		}
	}
	return n
}

// claims counts the wishes of act 2.
func (p *plan) claims() int {
	n := 0
	for _, w := range p.wishes {
		n += len(w)
	}
	return n
}

// seats counts the seats of act 2.
func (p *plan) seats() int {
	n := 0
	for _, c := range p.courses[1:] {
		n += c.capacity
	}
	return n
}

// waits is the least max_waits_per_person with which nobody is refused for waiting too often.
func (p *plan) waits() int {
	return max(int(seat.DefaultLimits().MaxWaits), p.maxWish+1)
}
