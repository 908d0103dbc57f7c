package desk

import "sort"

// line is the requests that wait for one topic, in the order in which they are served: by priority, then by id. Who comes
// back stands where they stood. To join at the end and to leave from the front cost nothing; in the middle what lies
// behind is moved, at most MaxQueue words.
type line struct {
	rows []*request
	head int // what is before it has left
}

func (l *line) len() int { return len(l.rows) - l.head }

// waiting gives the line, the next one first. The caller must not change it.
func (l *line) waiting() []*request { return l.rows[l.head:] }

// before says whether r is served before other.
func (r *request) before(other *request) bool {
	return r.ask.Priority > other.ask.Priority || r.ask.Priority == other.ask.Priority && r.id < other.id
}

// rank counts who is served before r.
func (l *line) rank(r *request) int {
	rows := l.waiting()
	if n := len(rows); n == 0 || rows[n-1].before(r) {
		return n
	}
	return sort.Search(len(rows), func(i int) bool { return !rows[i].before(r) })
}

func (l *line) join(r *request) {
	at := l.head + l.rank(r)
	if at == l.head && l.head > 0 {
		l.head--
		l.rows[l.head] = r
		return
	}
	if l.head > 16 && 2*l.head > len(l.rows) {
		rest := copy(l.rows, l.rows[l.head:])
		clear(l.rows[rest:])
		l.rows, at, l.head = l.rows[:rest], at-l.head, 0
	}
	l.rows = append(l.rows, nil)
	copy(l.rows[at+1:], l.rows[at:])
	l.rows[at] = r
}

// leave takes out r, which is there.
func (l *line) leave(r *request) {
	at := l.head + l.rank(r)
	if at == l.head {
		l.rows[at] = nil
		l.head++
	} else {
		rest := append(l.rows[:at], l.rows[at+1:]...)
		l.rows[len(l.rows)-1] = nil
		l.rows = rest
	}
	if l.len() == 0 {
		l.rows, l.head = l.rows[:0], 0
	}
}

// oldest gives when the first of the line was made, whatever its priority; zero = nobody is there.
func (l *line) oldest() Time {
	var made Time
	rows := l.waiting()
	for len(rows) > 0 {
		if first := rows[0].made; made == 0 || first < made {
			made = first
		}
		priority := rows[0].ask.Priority
		rows = rows[sort.Search(len(rows), func(i int) bool { return rows[i].ask.Priority < priority }):]
	}
	return made
}

// fifo is requests in the order in which they came.
type fifo struct {
	rows []*request
	head int
}

func (f *fifo) len() int { return len(f.rows) - f.head }

func (f *fifo) push(r *request) {
	if f.head > 64 && 2*f.head > len(f.rows) {
		rest := copy(f.rows, f.rows[f.head:])
		clear(f.rows[rest:])
		f.rows, f.head = f.rows[:rest], 0
	}
	f.rows = append(f.rows, r)
}

// first gives the one that came first; nil: none is there.
func (f *fifo) first() *request {
	if f.len() == 0 {
		return nil
	}
	return f.rows[f.head]
}

func (f *fifo) pop() {
	f.rows[f.head] = nil
	f.head++
}

// roll lists what has a number, in the order of the numbers. Numbers rise as they are added. What left stays as a hole
// until holes are half of all.
type roll[T any] struct {
	rows  []row[T]
	holes int
}

// row is one number; of is nil when it has left.
type row[T any] struct {
	number uint64
	of     *T
}

func (l *roll[T]) len() int { return len(l.rows) - l.holes }

func (l *roll[T]) add(number uint64, of *T) { l.rows = append(l.rows, row[T]{number, of}) }

// from gives the rows of this number and above.
func (l *roll[T]) from(number uint64) []row[T] {
	return l.rows[sort.Search(len(l.rows), func(i int) bool { return l.rows[i].number >= number }):]
}

// remove takes out a number that is there.
func (l *roll[T]) remove(number uint64) {
	l.from(number)[0].of = nil
	l.holes++
	if l.holes < 32 || 2*l.holes < len(l.rows) {
		return
	}
	kept := l.rows[:0]
	for _, r := range l.rows {
		if r.of != nil {
			kept = append(kept, r)
		}
	}
	clear(l.rows[len(kept):])
	l.rows, l.holes = kept, 0
}
