package desk

// index finds a request by its number, or by that of one of its offers or sessions. These rise and lie close together, so
// a leaf has eight neighbours: a third of the memory of a plain map, and what is new is added where something was just now.
type index struct {
	leaves map[uint64]*leaf
	count  int
}

type leaf [leafSize]*request

const leafSize = 8

// find gives nil where nothing has that number.
func (x *index) find(id uint64) *request {
	if l := x.leaves[id/leafSize]; l != nil {
		return l[id%leafSize]
	}
	return nil
}

// put adds a number that is not there.
func (x *index) put(id uint64, r *request) {
	l := x.leaves[id/leafSize]
	if l == nil {
		l = new(leaf)
		x.leaves[id/leafSize] = l
	}
	l[id%leafSize] = r
	x.count++
}

// drop takes out a number that is there.
func (x *index) drop(id uint64) {
	l := x.leaves[id/leafSize]
	l[id%leafSize] = nil
	if x.count--; *l == (leaf{}) {
		delete(x.leaves, id/leafSize)
	}
}
