package shift

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// The streams of chance, so that a change in one does not move the others.
const (
	streamArrivals = 1
	streamTopics   = 2
	streamAgents   = 1 << 32
	streamClients  = 2 << 32
)

func random(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// plan is who works where and who comes when, made from the seed alone.
type plan struct {
	desks    []deskPlan
	arrivals []arrival // by their instant; none where Rate is 0
}

// deskPlan is one company.
type deskPlan struct {
	name   string
	kind   kind
	config string // the body of its PUT
	agents []string
}

// kind is one of the sorts of desks that a shift has, in turns.
type kind struct {
	queue  bool
	single bool // one device for each agent
	close  bool // a request whose agent is lost is closed
	topics []string
}

var kinds = [...]kind{
	{},
	{queue: true},
	{queue: true, topics: []string{"tax", "loan"}},
	{single: true, close: true, topics: []string{"tax", "loan"}},
	{queue: true, single: true},
}

// arrival is one client who comes.
type arrival struct {
	at       time.Duration // since clients began to come
	number   int
	desk     int32
	topic    int8 // of the desk's; -1 = it has none
	priority uint8
	phone    bool // over HTTP
}

// Of the arrivals, burstShare come in bursts: burstEach times as many as a desk has agents, within burstSpan.
const (
	burstShare = 0.15
	burstEach  = 2
	burstSpan  = time.Second
	skew       = 0.7 // a few companies have much to do, most have little
)

func makePlan(cfg *Config) *plan {
	p := &plan{}
	for i := range cfg.Desks {
		p.desks = append(p.desks, planDesk(cfg, i))
	}
	if cfg.Rate == 0 {
		return p
	}
	rng := random(cfg.Seed, streamArrivals)
	c, poisson, lot := newCurve(dayCurve[:]), cfg.Rate, newRanks(cfg.Desks, skew)
	if cfg.Calm {
		c, lot = newCurve([]float64{1, 1}), newRanks(cfg.Desks, 0)
	} else {
		poisson *= 1 - burstShare
	}
	for _, at := range c.poisson(rng, poisson, cfg.Duration) {
		p.arrivals = append(p.arrivals, arrival{at: at, desk: int32(lot.draw(rng))})
	}
	if !cfg.Calm {
		size := burstEach * cfg.Agents
		for _, at := range c.poisson(rng, cfg.Rate*burstShare/float64(size), cfg.Duration) {
			desk := int32(lot.draw(rng))
			for range size {
				late := time.Duration(rng.Int64N(int64(burstSpan)))
				p.arrivals = append(p.arrivals, arrival{at: min(at+late, cfg.Duration), desk: desk})
			}
		}
	}
	slices.SortStableFunc(p.arrivals, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	rng = random(cfg.Seed, streamTopics)
	for i := range p.arrivals {
		a := &p.arrivals[i]
		a.number = i
		p.want(cfg, rng, a)
	}
	return p
}

// want says what a client comes for, and how.
func (p *plan) want(cfg *Config, rng *rand.Rand, a *arrival) {
	a.topic = -1
	if n := len(p.desks[a.desk].kind.topics); n > 0 {
		a.topic = int8(rng.IntN(n))
	}
	if !cfg.Calm && rng.Float64() < 0.05 {
		a.priority = 5
	}
	a.phone = rng.Float64() < cfg.Phone
}

// planDesk is the company number i. What takes minutes in life takes as much less in a shift as it is compressed, but never so
// little that a busy machine is mistaken for people.
func planDesk(cfg *Config, i int) deskPlan {
	d := deskPlan{name: fmt.Sprintf("d%05d", i+1), kind: kinds[i%len(kinds)]}
	if cfg.Calm {
		d.kind = kind{queue: true}
	}
	for k := range cfg.Agents {
		d.agents = append(d.agents, fmt.Sprintf("%s-a%03d", d.name, k+1))
	}
	ms := func(life, least time.Duration) int64 { return max(cfg.life(life), least).Milliseconds() }
	b := []byte("{")
	if d.kind.topics != nil {
		b = append(b, `"topics":["tax","loan"],`...)
	}
	if d.kind.queue {
		b = fmt.Appendf(b, `"policy":"queue","queue_limit":%d,`, queueLimit(cfg))
	}
	if d.kind.close {
		b = append(b, `"on_lost":"close",`...)
	}
	b = strconv.AppendBool(append(b, `"single_device":`...), d.kind.single)
	b = fmt.Appendf(b, `,"max_wait_ms":%d,"offer_ms":%d,"receipt_ms":%d`, ms(15*time.Minute, 30*time.Second), offerTime(cfg).Milliseconds(), 2_000)
	b = fmt.Appendf(b, `,"idle_grace_ms":%d,"init_grace_ms":%d,"busy_grace_ms":%d,"client_grace_ms":%d,"join_ms":%d`,
		graceIdle.Milliseconds(), graceInit.Milliseconds(), graceBusy.Milliseconds(), graceClient.Milliseconds(), graceClient.Milliseconds())
	b = fmt.Appendf(b, `,"misses":2,"reject_pause_ms":%d,"miss_pause_ms":%d,"wrap_up_ms":%d`, ms(2*time.Second, 0), ms(10*time.Second, 0), wrapUp(cfg))
	d.config = string(fmt.Appendf(b, `,"max_attempts":10,"restart_grace_ms":%d,"warm_up_ms":1500}`, restartGrace(cfg).Milliseconds()))
	return d
}

// The graces of the desks of a shift: long enough for a machine that is busy with twenty thousand connections.
const (
	graceIdle   = 4 * time.Second
	graceInit   = 2 * time.Second
	graceBusy   = 5 * time.Second
	graceClient = 4 * time.Second
)

// offerTime is how long an agent of the shift has to answer.
func offerTime(cfg *Config) time.Duration {
	return max(cfg.life(20*time.Second), 2*time.Second+cfg.crowd(100*time.Microsecond))
}

// restartGrace is how long everybody has to come back after a kill: they all dial at once.
func restartGrace(cfg *Config) time.Duration {
	return 3*time.Second + cfg.crowd(500*time.Microsecond)
}

func queueLimit(cfg *Config) int {
	if cfg.Calm {
		return 10_000
	}
	return 3 * cfg.Agents
}

func wrapUp(cfg *Config) int64 {
	if cfg.Calm {
		return 0
	}
	return cfg.life(15 * time.Second).Milliseconds()
}
