package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"holdfast"
	"holdfast/desk"
	"holdfast/engine"
	"holdfast/internal/pgtest"
	"holdfast/seat"
)

const (
	benchDesks    = 1_000
	benchAgents   = 20      // of each desk
	deskCallers   = 10_000  // so at most ten of the twenty agents of a desk are taken
	cyclesTarget  = 100_000 // a second, on 2 cores
	postgresConns = 32      // the best of 2, 4, 8, 16 and 32 on 2 cores
)

// deskWorld is an engine on a directory with 1,000 desks of 20 agents, all online on a connection of their own. The names
// are made beforehand, as the wire would have them.
type deskWorld struct {
	*engine.Engine
	desks, clients []string
	cycles         atomic.Int64 // begun
}

func newDeskWorld(b *testing.B) *deskWorld {
	b.Helper()
	cfg := engine.DefaultConfig()
	cfg.SnapshotEvery = 0
	e, err := engine.OpenDir(b.TempDir(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	w := &deskWorld{Engine: e}
	for n := range 1 << 17 {
		w.clients = append(w.clients, fmt.Sprintf("c%06d", n))
	}
	mustDo(b, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
	config := desk.DefaultConfig()
	config.WarmUp, config.Receipt, config.OfferTime = 0, 0, time.Minute // nobody is late because the machine is
	for n := range benchDesks {
		name := fmt.Sprintf("d%04d", n)
		w.desks = append(w.desks, name)
		mustDo(b, e, desk.PutDesk{Desk: name, Config: config})
		var last engine.Answer
		for m := range benchAgents {
			agent := fmt.Sprintf("%s-%02d", name, m)
			conn := connOf(n, agent)
			mustDo(b, e, desk.PutAgent{Desk: name, Agent: agent})
			mustDo(b, e, desk.Attach{Desk: name, Agent: agent, Conn: conn})
			last = mustDo(b, e, desk.Online{Desk: name, Agent: agent, Conn: conn})
		}
		mustConfirm(b, last)
	}
	return w
}

// connOf is the connection of an agent of the n-th desk.
func connOf(n int, agent string) uint64 {
	tens, ones := agent[len(agent)-2]-'0', agent[len(agent)-1]-'0'
	return uint64(n*benchAgents+int(tens)*10+int(ones)) + 1
}

var errNoOffer = errors.New("the request was not offered at once")

// cycle is one request from its making to the end of its session: three commands and four events. after is called behind
// each command: what the offer and the session are told on.
func (w *deskWorld) cycle(caller int, after func(engine.Answer) error) error {
	at, n := caller%len(w.desks), int(w.cycles.Add(1))
	name, client := w.desks[at], w.clients[n%len(w.clients)]
	a, err := w.decide(desk.Request{Desk: name, Client: client, Conn: uint64(1<<32 + n)}, after)
	if err != nil {
		return err
	}
	if a.Request == nil || a.Request.Offer == 0 {
		return fmt.Errorf("%w: %+v", errNoOffer, a.Refusal)
	}
	agent, offer := a.Request.Agent, a.Request.Offer
	conn := connOf(at, agent)
	if a, err = w.decide(desk.AcceptOffer{Desk: name, Agent: agent, Conn: conn, Offer: offer}, after); err != nil {
		return err
	}
	_, err = w.decide(desk.Finish{Desk: name, Agent: agent, Conn: conn, Session: a.Session.ID}, after)
	return err
}

func (w *deskWorld) decide(body desk.Command, after func(engine.Answer) error) (*desk.Result, error) {
	a, err := w.Do(workRealm, body)
	for errors.Is(err, engine.ErrBusy) {
		time.Sleep(time.Millisecond)
		a, err = w.Do(workRealm, body)
	}
	if err == nil && a.Desk.Refused() && a.Desk.Refusal.Code != desk.NoAgent {
		err = fmt.Errorf("%T: %+v", body, a.Desk.Refusal)
	}
	if err == nil {
		err = after(a)
	}
	return a.Desk, err
}

func confirmed(a engine.Answer) error { return a.Wait(context.Background()) }

// run makes callers go through cycles until there were n of them or, with n = 0, the time is over, and gives how many.
func (w *deskWorld) run(b *testing.B, callers, n int, over <-chan struct{}, each func(caller int) error) int {
	b.Helper()
	var wait sync.WaitGroup
	var begun, ended atomic.Int64
	for caller := range callers {
		wait.Go(func() {
			for n == 0 || int(begun.Add(1)) <= n {
				select {
				case <-over:
					return
				default:
				}
				if err := each(caller); err != nil {
					b.Error(err)
					return
				}
				ended.Add(1)
			}
		})
	}
	wait.Wait()
	return int(ended.Load())
}

// BenchmarkDeskCycles: request, offer, accept, finish. Waiting: that many callers, each waiting after every command until it
// is on the disk, as the offer and the session are told then; the figure is that of 300, which keep log and disk busy. The more
// there are, the colder is each one's stack. NotWaiting: a few callers that wait after every hundredth cycle only: what the
// decisions cost by themselves.
func BenchmarkDeskCycles(b *testing.B) {
	for _, callers := range []int{300, 1_000, 10_000} {
		b.Run(fmt.Sprint("Waiting-", callers), func(b *testing.B) {
			w := newDeskWorld(b)
			before := w.Durable().Seq
			b.ResetTimer()
			b.ReportAllocs()
			used := cpu()
			w.run(b, callers, b.N, nil, func(caller int) error { return w.cycle(caller, confirmed) })
			w.report(b, before, used)
		})
	}
	for _, callers := range []int{2, 8} {
		b.Run(fmt.Sprint("NotWaiting-", callers), func(b *testing.B) {
			w := newDeskWorld(b)
			before := w.Durable().Seq
			b.ResetTimer()
			b.ReportAllocs()
			used := cpu()
			counts := make([]struct {
				n int
				_ [56]byte // a cache line each
			}, callers)
			w.run(b, callers, b.N, nil, func(caller int) error {
				var last engine.Answer
				err := w.cycle(caller, func(a engine.Answer) error { last = a; return nil })
				if counts[caller].n++; err == nil && counts[caller].n%100 == 0 {
					err = confirmed(last)
				}
				return err
			})
			if err := w.WaitDurable(); err != nil {
				b.Fatal(err)
			}
			w.report(b, before, used)
		})
	}
}

// WaitDurable returns when all that was decided is on the disk.
func (w *deskWorld) WaitDurable() error {
	a, err := w.Do(workRealm, desk.LookAgent{Desk: w.desks[0], Agent: w.desks[0] + "-00"})
	return errors.Join(err, a.Wait(context.Background()))
}

func (w *deskWorld) report(b *testing.B, before uint64, used time.Duration) {
	b.StopTimer()
	b.ReportMetric(float64(cpu()-used)/float64(b.N), "cpu-ns/op")
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(b.N)/seconds, "cycles/s")
	b.ReportMetric(float64(b.N)/seconds/cyclesTarget, "of-100k")
	b.ReportMetric(float64(w.Durable().Seq-before)/seconds, "events/s")
	mustClose(b, w.Engine)
}

// BenchmarkDeskPostgres: what one writes with Postgres instead: a row for each agent, the one idle longest is taken with
// FOR UPDATE SKIP LOCKED and put back, in one statement each. It records no request, no offer and no session, so the ratio
// flatters it. Ours is the full cycle, confirmed. The ratio is to a Postgres that syncs as we do; nosync is one that does not.
// The numbers of connections are the best of 2, 4, 8, 16 and 32.
func BenchmarkDeskPostgres(b *testing.B) {
	const each = 3 * time.Second
	w := newDeskWorld(b)
	synced, unsynced := postgresDesks(b, 32, "fsync=on", "full_page_writes=on"), postgresDesks(b, 8)
	var ours, theirs, nosync float64
	for b.Loop() {
		ours += w.rate(b, deskCallers, each, func(caller int) error { return w.cycle(caller, confirmed) })
		theirs += w.rate(b, len(synced), each, func(caller int) error { return w.take(synced[caller]) })
		nosync += w.rate(b, len(unsynced), each, func(caller int) error { return w.take(unsynced[caller]) })
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours/float64(b.N), "cycles/s")
	b.ReportMetric(theirs/float64(b.N), "postgres-cycles/s")
	b.ReportMetric(nosync/float64(b.N), "nosync-cycles/s")
	b.ReportMetric(ours/theirs, "ratio-vs-postgres")
	b.ReportMetric(ours/nosync, "ratio-vs-nosync")
	mustClose(b, w.Engine)
}

// take takes who has been idle longest at a desk, and puts them back.
func (w *deskWorld) take(conn *pgx.Conn) error {
	var agent string
	name := w.desks[int(w.cycles.Add(1))%len(w.desks)]
	if err := conn.QueryRow(context.Background(), takeIdle, name).Scan(&agent); err != nil {
		return err
	}
	_, err := conn.Exec(context.Background(), putIdle, name, agent)
	return err
}

// rate is how many cycles are done in a second.
func (w *deskWorld) rate(b *testing.B, callers int, during time.Duration, each func(caller int) error) float64 {
	b.Helper()
	over := make(chan struct{})
	began := time.Now()
	time.AfterFunc(during, func() { close(over) })
	n := w.run(b, callers, 0, over, each)
	return float64(n) / time.Since(began).Seconds()
}

const (
	takeIdle = `UPDATE agents SET state = 'busy' WHERE (desk, agent) = (SELECT desk, agent FROM agents
		WHERE desk = $1 AND state = 'idle' ORDER BY idle_since LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING agent`
	putIdle = `UPDATE agents SET state = 'idle', idle_since = clock_timestamp() WHERE desk = $1 AND agent = $2`
)

// postgresDesks gives connections to a Postgres of its own with the same desks and agents.
func postgresDesks(b *testing.B, connections int, settings ...string) (conns []*pgx.Conn) {
	b.Helper()
	server, ctx := pgtest.Start(b), context.Background()
	server.Kill()
	if err := server.Restart(settings...); err != nil {
		b.Fatal(err)
	}
	url := server.Database(b)
	for range connections {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close(ctx) })
		conns = append(conns, conn)
	}
	for _, sql := range []string{
		`CREATE TABLE agents (desk text, agent text, state text NOT NULL, idle_since timestamptz NOT NULL, PRIMARY KEY (desk, agent))`,
		`CREATE INDEX ON agents (desk, idle_since) WHERE state = 'idle'`,
		fmt.Sprintf(`INSERT INTO agents SELECT d, d || '-' || lpad(n::text, 2, '0'), 'idle', clock_timestamp()
			FROM (SELECT 'd' || lpad(i::text, 4, '0') AS d FROM generate_series(0, %d) i) t, generate_series(0, %d) n`,
			benchDesks-1, benchAgents-1),
		`ANALYZE agents`,
	} {
		if _, err := conns[0].Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	return conns
}
