package seat

// seats numbers the seats of a pool and gives the lowest free number first.
type seats struct {
	freed []uint32 // min-heap of numbers below fresh that are free
	fresh uint32   // numbers above it were never given
}

// lowest is the lowest free number, from 1.
func (s *seats) lowest() uint32 {
	if len(s.freed) > 0 {
		return s.freed[0]
	}
	return s.fresh + 1
}

// take marks n as given, and says whether it was free. n is the lowest free number as a rule; a log written by other
// rules may name another, but none that no pool can have.
func (s *seats) take(n uint32) bool {
	if n > s.fresh+1 && n > 2*MaxCapacity {
		return false
	}
	for s.fresh+1 < n {
		s.fresh++
		s.free(s.fresh)
	}
	if n == s.fresh+1 {
		s.fresh = n
		return true
	}
	for i, f := range s.freed {
		if f == n {
			s.removeAt(i)
			return true
		}
	}
	return false
}

// free gives n back.
func (s *seats) free(n uint32) {
	s.freed = append(s.freed, n)
	for i := len(s.freed) - 1; i > 0; {
		up := (i - 1) / 2
		if s.freed[up] <= s.freed[i] {
			break
		}
		s.freed[up], s.freed[i] = s.freed[i], s.freed[up]
		i = up
	}
}

func (s *seats) removeAt(i int) {
	last := len(s.freed) - 1
	s.freed[i] = s.freed[last]
	s.freed = s.freed[:last]
	for i < last {
		down := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if s.freed[c] < s.freed[down] {
				down = c
			}
		}
		if down == i {
			break
		}
		s.freed[i], s.freed[down] = s.freed[down], s.freed[i]
		i = down
	}
	for i > 0 && i < last && s.freed[i] < s.freed[(i-1)/2] {
		up := (i - 1) / 2
		s.freed[i], s.freed[up] = s.freed[up], s.freed[i]
		i = up
	}
}
