package seat

import (
	"hash/maphash"
	"strings"
)

// people is everybody of a realm who ever had a claim. A person's number is the place in order of first appearance, from 1.
type people struct {
	seed    maphash.Seed // callers choose names: they must not be able to choose collisions
	numbers table        // by name
	list    store[person]
	names   strings.Builder // names are cut from one block of memory: one allocation for thousands
}

// person is one line of people.
type person struct {
	name    string
	claims  uint32 // first of the person's claims, linked by claim.nextOfPerson
	waits   uint32 // first of the waiting ones, linked by claim.nextWait
	seats   uint32 // how many seated and offered
	waiting uint32 // how many waiting and entered
}

const nameBlock = 64 << 10

// find gives the person of a name; 0 = nobody. The hash is for add.
func (p *people) find(name string) (n uint32, hash uint64) {
	hash = maphash.String(p.seed, name)
	return p.numbers.find(hash, func(n uint32) bool { return p.at(n).name == name }), hash
}

func (p *people) at(n uint32) *person { return p.list.at(n) }

// add gives a new person, whom find did not find, a number. It copies the name.
func (p *people) add(name string, hash uint64) uint32 {
	if p.names.Cap()-p.names.Len() < len(name) {
		p.names = strings.Builder{}
		p.names.Grow(max(len(name), min(nameBlock, 1<<10+16*int(p.list.count)))) // small realms stay small
	}
	start := p.names.Len()
	p.names.WriteString(name)
	name = p.names.String()[start:]
	n := p.list.add(person{name: name})
	p.numbers.add(hash, n)
	return n
}

// store is a list that grows without moving what it holds: no decision waits for a copy. The first item is number 1.
type store[T any] struct {
	chunks [][]T
	count  uint32
}

const chunk = 4096

func (s *store[T]) at(n uint32) *T { return &s.chunks[(n-1)/chunk][(n-1)%chunk] }

func (s *store[T]) add(v T) uint32 {
	if s.count%chunk == 0 {
		// The first chunk grows as a slice does, so that small states stay small.
		size := chunk
		if s.count == 0 {
			size = 0
		}
		s.chunks = append(s.chunks, make([]T, 0, size))
	}
	last := len(s.chunks) - 1
	s.chunks[last] = append(s.chunks[last], v)
	s.count++
	return s.count
}
