package seat

import "container/heap"

// deadlines is the seat offers by (deadline, offer's seq). Answered offers stay in the heap until they come to its top,
// or until they are most of it.
type deadlines struct {
	heap deadlineHeap
	of   map[uint32]Time // offered claim → its deadline
}

type deadline struct {
	at    Time
	seq   uint64
	claim uint32
}

type deadlineHeap []deadline

func (h deadlineHeap) Len() int { return len(h) }
func (h deadlineHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h deadlineHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *deadlineHeap) Push(x any)   { *h = append(*h, x.(deadline)) }
func (h *deadlineHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// set gives an offered claim its deadline, a new one or another. seqOf is as in next.
func (d *deadlines) set(claim uint32, at Time, seqOf func(claim uint32) uint64) {
	d.of[claim] = at
	if len(d.heap) >= 64 && len(d.heap) >= 2*len(d.of) {
		d.heap = d.heap[:0]
		for claim, at := range d.of { // in any order: the heap's order is total
			d.heap = append(d.heap, deadline{at, seqOf(claim), claim})
		}
		heap.Init(&d.heap)
		return
	}
	heap.Push(&d.heap, deadline{at, seqOf(claim), claim})
}

func (d *deadlines) drop(claim uint32) { delete(d.of, claim) }

// next gives the offer that ends first. The seq tells an old entry of a claim that is offered again from the live one.
func (d *deadlines) next(seqOf func(claim uint32) uint64) (deadline, bool) {
	for len(d.heap) > 0 {
		top := d.heap[0]
		if at, live := d.of[top.claim]; live && at == top.at && seqOf(top.claim) == top.seq {
			return top, true
		}
		heap.Pop(&d.heap)
	}
	return deadline{}, false
}

// poolHeap is pools by number, lowest first: the order in which they are settled must not depend on history.
type poolHeap []*pool

func (h poolHeap) Len() int           { return len(h) }
func (h poolHeap) Less(i, j int) bool { return h[i].number < h[j].number }
func (h poolHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *poolHeap) Push(x any)        { *h = append(*h, x.(*pool)) }
func (h *poolHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
