package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/engine"
)

// Log is what the mirror reads: an engine (FromEngine), or whatever else gives frames.
type Log interface {
	// Durable is the durable end.
	Durable() engine.Position
	// Subscribe starts behind the given sequence; engine.ErrTrimmed: the log no longer has the next one.
	Subscribe(after uint64) (Subscription, error)
	// Retain says from behind which sequence on the log is still needed.
	Retain(name string, seq uint64)
}

// Subscription gives durable frames in order. Next waits for more; engine.ErrStopped: there will be none.
type Subscription interface {
	Next(ctx context.Context) (engine.Events, error)
	Close() error
}

// FromEngine gives the log of an engine.
func FromEngine(e *engine.Engine) Log { return engineLog{e} }

type engineLog struct{ *engine.Engine }

func (l engineLog) Subscribe(after uint64) (Subscription, error) {
	sub, err := l.Engine.Subscribe(after)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

// Reader is the mirror's name among those for whom the engine keeps its log.
const Reader = "mirror"

// Mirror writes one database. Run does the work; all other methods may be called by any goroutine, before, beside and
// after it.
type Mirror struct {
	cfg     Config
	store   store // owned by Run
	metrics *metrics
	demand
	stop    context.CancelCauseFunc
	stopped context.Context

	mu      sync.Mutex // guards what follows
	log     Log        // nil before Run
	started bool
	current progress
	step    chan struct{} // closed at the next change of current
	ended   chan struct{} // closed when Run has ended
}

// demand is who waits for a record just now.
type demand struct {
	waiting atomic.Int64  // callers of Wait
	wanted  chan struct{} // holds one: somebody began to wait
}

// progress is how far a mirror has come.
type progress struct {
	connected bool
	recorded  engine.Position
	oldest    time.Time // of the first event that is being written; zero: none is
	since     time.Time // when connected or recorded last changed
	err       error     // why it is not connected, or halted
	halted    bool
	over      bool // Run has ended
}

// Open makes a Mirror. It does not connect: a database that is down is no error. Errors are those of cfg.
func Open(cfg Config) (*Mirror, error) {
	store, err := cfg.newStore()
	if err != nil {
		return nil, err
	}
	m := &Mirror{cfg: cfg, store: store, step: make(chan struct{}), ended: make(chan struct{})}
	m.wanted = make(chan struct{}, 1)
	m.current.since = time.Now()
	m.stopped, m.stop = context.WithCancelCause(context.Background())
	m.metrics, err = newMetrics(m, cfg.Registerer)
	return m, err
}

// errClosed is why Run ends after Close.
var errClosed = errors.New("the mirror is closed")

// Close ends Run, if it runs, and waits for it. What is not recorded by then is recorded when a mirror runs again.
func (m *Mirror) Close() error {
	m.stop(errClosed)
	m.mu.Lock()
	started := m.started
	m.mu.Unlock()
	if started {
		<-m.ended
	}
	return nil
}

// Run mirrors log until one of these: the log has ended and all of it is recorded (nil); ctx ends or Close is called (the
// context's error, or one that says closed); the mirror halts (ErrHalted). A database that cannot be reached ends nothing:
// Run tries again. Run is called once.
func (m *Mirror) Run(ctx context.Context, log Log) error {
	m.mu.Lock()
	if m.started {
		m.mu.Unlock()
		return errors.New("mirror: Run was called before")
	}
	m.log, m.started = log, true
	m.mu.Unlock()
	log.Retain(Reader, 0) // until the cursor is known, all of it is needed
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.stopped, func() { cancel(errClosed) })()
	err := m.loop(ctx, log)
	m.change(func(p *progress) { p.over = true })
	close(m.ended)
	return err
}

// loop runs one session after the other. A session that broke left nothing behind but the database's cursor, and the next
// one begins there: after a lost connection, a commit whose reply was lost, or another mirror's commit.
func (m *Mirror) loop(ctx context.Context, log Log) error {
	const least = 50 * time.Millisecond
	bound := least
	for {
		before := m.Recorded()
		err := m.session(ctx, log)
		m.store.close()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if v := new(violation); errors.As(err, &v) {
			return m.halt(err)
		}
		if m.Recorded() != before {
			bound = least
		}
		m.disconnected(err)
		pause := time.NewTimer(rand.N(bound))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
		bound = min(2*bound, m.cfg.RetryMost)
	}
}

// session connects and mirrors until something breaks; nil: the log has ended and all is recorded.
func (m *Mirror) session(ctx context.Context, log Log) error {
	if err := m.store.open(ctx); err != nil {
		return err
	}
	cursor, err := m.attach(ctx, log)
	if err != nil {
		return err
	}
	sub, err := m.subscribe(ctx, log, cursor)
	if err != nil {
		return err
	}
	defer sub.Close()
	log.Retain(Reader, cursor.Seq)
	m.connected(cursor)
	return m.stream(ctx, log, cursor, sub)
}

// stream applies batch after batch.
func (m *Mirror) stream(ctx context.Context, log Log, cursor engine.Position, sub Subscription) error {
	p := newPipe(m.cfg.BatchRows, cursor)
	reading, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { p.fill(reading, sub) })
	defer reader.Wait()
	defer cancel()
	for {
		b, err := p.take(ctx)
		if err != nil {
			if ended(err) {
				return nil
			}
			return fmt.Errorf("read the log: %w", err)
		}
		m.writing(b)
		start := time.Now()
		if err := m.write(ctx, b); err != nil {
			return err
		}
		m.metrics.batch(len(b.events), time.Since(start))
		log.Retain(Reader, b.to.Seq)
		m.recorded(b.to)
		m.rest(ctx, log, p, time.Since(start))
	}
}

// A crowd is there while at least hotEvents become durable in each hotPause: 5,000 a second.
const (
	hotPause  = 10 * time.Millisecond
	hotEvents = 50
)

// rest leaves the processors to the decisions while a crowd is there: after a write that took so long, it waits until
// the write was no more than HotShare of the time. It ends early when the crowd has gone, when somebody waits for a
// record, or when the database is HotLag behind.
func (m *Mirror) rest(ctx context.Context, log Log, p *pipe, wrote time.Duration) {
	most := time.Duration(float64(wrote) * (1/m.cfg.HotShare - 1))
	tick := time.NewTimer(hotPause)
	defer tick.Stop()
	for begun, seen := time.Now(), log.Durable().Seq; time.Since(begun) < most && m.waiting.Load() == 0; {
		tick.Reset(min(hotPause, most))
		select {
		case <-tick.C:
		case <-m.wanted:
			return
		case <-ctx.Done():
			return
		}
		now := log.Durable().Seq
		if now < seen+hotEvents || time.Since(p.begun()) > m.cfg.HotLag {
			return
		}
		seen = now
	}
}

func (m *Mirror) write(ctx context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	return apply(ctx, m.store, b, m.cfg.hook)
}

// attach reads the cursor, and makes it in an empty database.
func (m *Mirror) attach(ctx context.Context, log Log) (engine.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	end := log.Durable()
	cursor, ok, err := readCursor(ctx, m.store)
	if err != nil {
		return cursor, err
	}
	if !ok {
		return m.claimDatabase(ctx, end)
	}
	if cursor.LogID != end.LogID {
		return cursor, violated("this database belongs to another log: its table progress names log %s, and this server's log is %s. "+
			"Give this server a database of its own, or make the tables anew from its log with `holdfast mirror rebuild`",
			hexID(cursor), hexID(end))
	}
	if cursor.Seq > end.Seq {
		return cursor, violated("the database is ahead of the log: table progress says that %d events are recorded, and the log ends at %d. "+
			"The log has lost its end (was its directory restored from an older copy?); %s", cursor.Seq, end.Seq, nextCommand)
	}
	return cursor, nil
}

// claimDatabase puts the first cursor. Tables that hold rows without a cursor are not ours to write.
func (m *Mirror) claimDatabase(ctx context.Context, end engine.Position) (engine.Position, error) {
	start := engine.Position{LogID: end.LogID}
	t, err := m.store.begin(ctx)
	if err != nil {
		return start, err
	}
	defer t.rollback()
	if err := t.setCursor(ctx, start); err != nil { // from here on no other mirror can begin
		return start, err
	}
	for _, name := range append(deskTables(), "realms", "pools", "claims", "events") {
		err := m.store.query(ctx, "SELECT seq FROM "+m.store.table(name)+" LIMIT 1", nil, func(func(...any) error) error {
			return violated("table progress has no row shard=main, and table %s has rows; %s", name, nextCommand)
		})
		if err != nil {
			return start, err
		}
	}
	return start, t.commit(ctx)
}

// subscribe starts behind the cursor, and makes sure that the log's frame there is the one that the cursor names.
func (m *Mirror) subscribe(ctx context.Context, log Log, cursor engine.Position) (Subscription, error) {
	if cursor.Seq == 0 {
		return behind(log, cursor)
	}
	sub, err := log.Subscribe(cursor.Seq - 1)
	if errors.Is(err, engine.ErrTrimmed) { // the frame is gone, and with it the comparison
		return behind(log, cursor)
	}
	if err != nil {
		return nil, err
	}
	frame, err := sub.Next(ctx)
	if err == nil && (frame.Seq != cursor.Seq || frame.Hash != cursor.Hash) {
		err = violated("the database has another history than the log: table progress says hash %s at event %d, the log %s at %d; %s",
			hexHash(cursor), cursor.Seq, hexHash(frame.Position), frame.Seq, nextCommand)
	}
	if err != nil {
		sub.Close()
		return nil, err
	}
	return sub, nil
}

func behind(log Log, cursor engine.Position) (Subscription, error) {
	sub, err := log.Subscribe(cursor.Seq)
	if errors.Is(err, engine.ErrTrimmed) {
		return nil, violated("the log no longer has event %d, which the database needs next (%v): "+
			"make the tables anew with `holdfast mirror rebuild`", cursor.Seq+1, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return sub, nil
}
