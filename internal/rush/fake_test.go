package rush

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"holdfast"
	"holdfast/seat"
)

// fake is the least server a rush can be played against: the rules in a few lines, a log in memory. It has no database
// and confirms at once. With a trick it breaks one promise, and the rush must find that.
type fake struct {
	trick string

	mu      sync.Mutex // guards what follows
	tricked bool       // the trick was played, those that are played once
	seq     uint64
	log     [][]byte
	pools   map[string]*fakePool
	asks    int
	more    chan struct{} // closed and replaced with each event
	sockets map[*gws.Conn]*fakeSocket
	touched []claimName // since the last pushes
}

type fakePool struct {
	config seat.Config
	seats  map[uint32]string
	line   []string
	ticket uint32
	claims map[string]*entry
}

// The tricks.
const (
	trickOversell  = "oversell"   // one more seat than there is
	trickSameSeat  = "same seat"  // seat 1 twice
	trickForget    = "forget"     // a confirmed claim that is not in the log
	trickOvertake  = "overtake"   // the second in line moves up
	trickPosition  = "position"   // one position told is not the true one
	trickRough     = "rough"      // no broken promise: busy now and then, and connections that break before the answer
	trickDuplicate = "duplicates" // a late duplicate undoes a release
	trickWorse     = "worse"      // who presses again is told a worse place

	// On connections only.
	trickLostPush  = "lost push" // who moves up is not told
	trickPushed    = "pushed"    // one pushed position is not the true one
	trickReleased  = "released"  // who comes back is not told what was released meanwhile
	trickPromoted  = "promoted"  // who comes back is not told that they moved up meanwhile
	trickStale     = "stale"     // who comes back is told everything, but not where they stand in line now
	trickCounts    = "counts"    // the counts of a pool are not the true ones
	trickEverybody = "everybody" // a push comes to somebody else
)

func newFake(t *testing.T, trick string) *httptest.Server {
	f := &fake{trick: trick, pools: map[string]*fakePool{}, more: make(chan struct{}), sockets: map[*gws.Conn]*fakeSocket{}}
	f.emit("", seat.Event{Kind: holdfast.Started}, nil)
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func (f *fake) emit(realm string, e seat.Event, limits *seat.Limits) uint64 {
	f.seq++
	full := holdfast.Event{Seq: f.seq, At: seat.TimeOf(time.Now()), Realm: realm, Seat: e, Limits: limits, Epoch: 1}
	f.log = append(f.log, append(full.AppendJSON(nil), '\n'))
	close(f.more)
	f.more = make(chan struct{})
	return f.seq
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if len(parts) == 3 && parts[2] == "events" {
		f.events(w, r)
		return
	}
	if len(parts) == 3 && parts[2] == "ws" {
		f.upgrade(w, r, parts[1])
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.push()
	if f.asks++; f.trick == trickRough && len(parts) > 4 && f.asks%7 == 0 {
		w.Header().Set("Retry-After", "0.001")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"status":503,"code":"busy"}`)
		return
	}
	switch {
	case parts[0] == "log":
		fmt.Fprintf(w, `{"durable":%d}`, f.seq)
	case len(parts) == 2:
		f.emit(parts[1], seat.Event{Kind: holdfast.RealmPut}, &seat.Limits{MaxWaits: 20})
	case len(parts) == 3:
		f.basket(w, r, parts[1])
	case len(parts) == 4:
		var in struct {
			Capacity uint32
			OpensAt  seat.Time `json:"opens_at"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p := &fakePool{config: seat.Config{Capacity: in.Capacity, OpensAt: in.OpensAt}, seats: map[uint32]string{}, claims: map[string]*entry{}}
		f.pools[parts[3]] = p
		f.opensAt(parts[3], in.OpensAt)
		f.emit(parts[1], seat.Event{Kind: seat.PoolPut, Pool: parts[3], Config: &p.config}, nil)
	default:
		f.claim(w, r, parts[1], parts[3], parts[5])
	}
	if f.trick == trickRough && f.asks%11 == 0 && len(parts) > 4 {
		panic(http.ErrAbortHandler)
	}
}

func (f *fake) claim(w http.ResponseWriter, r *http.Request, realm, pool, person string) {
	p := f.pools[pool]
	had := p.claims[person]
	switch {
	case r.Method == http.MethodPut && (had == nil || had.status == seat.Released):
		if had != nil && f.trick != trickDuplicate {
			w.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprintf(w, `{"status":412,"code":"precondition","seq":%d,"durability":"confirmed","as_of":%d}`, had.seq, f.seq)
			return
		}
		f.take(realm, pool, person)
	case r.Method == http.MethodDelete && had != nil && had.status == seat.Seated:
		f.release(realm, pool, person, had)
	}
	fmt.Fprintf(w, `{"realm":%q,"pool":%q,"person":%q%s,"durability":"confirmed","as_of":%d,"at":"2026-09-01T08:00:00.000000Z"}`,
		realm, pool, person, f.standing(pool, person, false), f.seq)
}

func (f *fake) basket(w http.ResponseWriter, r *http.Request, realm string) {
	var in struct {
		Person string
		Items  []struct{ Pool string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var items []string
	for _, it := range in.Items {
		again := f.pools[it.Pool].claims[in.Person] != nil
		if !again {
			f.take(realm, it.Pool, in.Person)
		}
		items = append(items, fmt.Sprintf(`{"pool":%q%s}`, it.Pool, f.standing(it.Pool, in.Person, again)))
	}
	fmt.Fprintf(w, `{"realm":%q,"person":%q,"mode":"each_or_wait","items":[%s],"durability":"confirmed","as_of":%d,"at":"2026-09-01T08:00:00.000000Z"}`,
		realm, in.Person, strings.Join(items, ","), f.seq)
}

func (f *fake) once() bool {
	first := !f.tricked
	f.tricked = true
	return first
}

func (f *fake) take(realm, pool, person string) {
	p := f.pools[pool]
	if f.trick == trickForget && len(p.seats) == 2 && f.once() {
		p.claims[person] = &entry{status: seat.Seated, seat: 3, seq: f.seq}
		return
	}
	limit := p.config.Capacity
	if f.trick == trickOversell && uint32(len(p.seats)) == limit && f.once() {
		limit++
	}
	if uint32(len(p.seats)) >= limit {
		p.ticket++
		p.line = append(p.line, person)
		seq := f.emit(realm, seat.Event{Kind: seat.LineJoined, Cause: seat.ByClaim, Pool: pool, Person: person, Ticket: p.ticket}, nil)
		p.claims[person] = &entry{status: seat.Waiting, ticket: p.ticket, seq: seq}
		f.touched = append(f.touched, claimName{pool, person})
		return
	}
	number := uint32(1)
	for p.seats[number] != "" {
		number++
	}
	if f.trick == trickSameSeat && len(p.seats) == 1 && f.once() {
		number = 1
	}
	f.sit(realm, pool, person, number, seat.None, seat.ByClaim)
}

func (f *fake) sit(realm, pool, person string, number uint32, was seat.Status, cause seat.Cause) {
	p := f.pools[pool]
	p.seats[number] = person
	seq := f.emit(realm, seat.Event{Kind: seat.SeatTaken, Was: was, Cause: cause, Pool: pool, Person: person, Seat: number}, nil)
	p.claims[person] = &entry{status: seat.Seated, seat: number, seq: seq}
	f.touched = append(f.touched, claimName{pool, person})
}

func (f *fake) release(realm, pool, person string, had *entry) {
	p := f.pools[pool]
	number := had.seat
	delete(p.seats, number)
	seq := f.emit(realm, seat.Event{Kind: seat.SeatFreed, Was: seat.Seated, Cause: seat.ByRelease, Pool: pool, Person: person}, nil)
	p.claims[person] = &entry{status: seat.Released, seq: seq}
	f.touched = append(f.touched, claimName{pool, person})
	if len(p.line) == 0 {
		return
	}
	next := 0
	if f.trick == trickOvertake && len(p.line) > 1 && f.once() {
		next = 1
	}
	who := p.line[next]
	p.line = slices.Delete(p.line, next, next+1)
	f.sit(realm, pool, who, number, seat.Waiting, seat.ByPromotion)
	if f.trick == trickLostPush && f.once() {
		f.touched = f.touched[:len(f.touched)-1]
	}
	for _, still := range p.line {
		f.touched = append(f.touched, claimName{pool, still})
	}
}

// standing gives the members that say where a person stands.
func (f *fake) standing(pool, person string, again bool) string {
	c := f.pools[pool].claims[person]
	if c == nil {
		return `,"status":"none"`
	}
	s := fmt.Sprintf(`,"status":%q,"seq":%d`, c.status, c.seq)
	switch c.status {
	case seat.Seated:
		s += fmt.Sprintf(`,"seat":%d`, c.seat)
	case seat.Waiting:
		position := slices.Index(f.pools[pool].line, person) + 1
		if f.trick == trickPosition && position > 3 && f.once() {
			position--
		}
		if f.trick == trickWorse && again && f.once() {
			position += len(f.pools[pool].line) + 1
		}
		s += fmt.Sprintf(`,"position":%d`, position)
	}
	return s
}

func (f *fake) events(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.URL.Query().Get("after"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for {
		f.mu.Lock()
		lines, more := f.log[min(after, len(f.log)):], f.more
		f.mu.Unlock()
		for _, line := range lines {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
		after += len(lines)
		_ = http.NewResponseController(w).Flush() // the reader's going shows in the context
		if r.URL.Query().Get("follow") != "true" {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}
