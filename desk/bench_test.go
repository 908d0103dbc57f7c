package desk

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pickSizes are numbers of idle agents at one desk.
var pickSizes = [...]int{10, 1_000, 100_000}

const (
	pickAgent = "a%06d"
	picks     = 2_000_000 // of one measure; a tenth of it for what takes microseconds
)

// picker is one desk with ready agents, who came in no order.
type picker struct {
	*State
	turn    Turn
	desk    *desk
	clients []string
	asked   int
}

func newPicker(b *testing.B, agents int) *picker {
	b.Helper()
	p := &picker{State: NewState()}
	config := DefaultConfig()
	config.WarmUp = 0
	p.do(b, PutDesk{Desk: "acme", Config: config})
	for n := range agents {
		p.do(b, PutAgent{Desk: "acme", Agent: fmt.Sprintf(pickAgent, n)})
	}
	for _, n := range rand.New(rand.NewPCG(1, 2)).Perm(agents) {
		name := fmt.Sprintf(pickAgent, n)
		p.do(b, Attach{Desk: "acme", Agent: name, Conn: uint64(n + 1)})
		p.do(b, Online{Desk: "acme", Agent: name, Conn: uint64(n + 1)})
	}
	p.desk = p.desks["acme"]
	if ready := p.desk.topics[0].ring.count; int(ready) != agents {
		b.Fatalf("%d of %d agents are ready", ready, agents)
	}
	for n := range 1 << 16 {
		p.clients = append(p.clients, fmt.Sprintf("c%06d", n))
	}
	return p
}

// do decides one command, a microsecond after the one before.
func (p *picker) do(b *testing.B, cmd Command) Result {
	p.turn = Turn{Now: p.turn.Now + 1, Seq: p.seq, Events: p.turn.Events[:0]}
	p.turn.Clock = p.turn.Now
	res := p.Step(&p.turn, cmd)
	if res.Refused() {
		b.Fatalf("%T: %+v", cmd, res.Refusal)
	}
	return res
}

// pick takes who has been idle longest out of the ring and puts them back at the end: all that an offer and its end do to it.
func (p *picker) pick() {
	ring := &p.desk.topics[0].ring
	for range picks {
		a := ring.first().agent
		p.seq++
		now := stamp{p.seq, p.turn.Now}
		a.leave(now)
		a.idle = now
		a.enter(now)
	}
}

// cycle is a request, its offer, the accept, and the end of the session: three commands and four events, decided and applied.
func (p *picker) cycle(b *testing.B) {
	p.asked++
	asked := p.do(b, Request{Desk: "acme", Client: p.clients[p.asked%len(p.clients)], Conn: 1})
	agent := asked.Request.Agent
	accepted := p.do(b, AcceptOffer{Desk: "acme", Agent: agent, Offer: asked.Request.Offer})
	p.do(b, Finish{Desk: "acme", Agent: agent, Session: accepted.Session.ID})
}

// BenchmarkPick: whoever has been idle longest is taken and put back, against the same in an ETS table (scripts/ets.exs,
// which runs beside it; without Elixir its side is left out). What is compared is the bare ring and the bare table, of the
// fastest variant; ratio-of-cycle is the whole cycle in the core against the bare table. Targets: ratio 2 at every size, and
// at 100,000 idle agents at most three times what it costs at ten (metric x).
func BenchmarkPick(b *testing.B) {
	theirs := startETS(b)
	ring, cycle, own := map[int]float64{}, map[int]float64{}, map[int]float64{}
	for _, agents := range pickSizes {
		b.Run(strconv.Itoa(agents), func(b *testing.B) {
			p := newPicker(b, agents)
			var rings, cycles []float64
			tables := map[string][]float64{}
			for range b.N { // by turns: the machine is not always the same
				runtime.GC()
				rings = append(rings, clock(picks, p.pick))
				cycles = append(cycles, clock(picks/10, func() {
					for range picks / 10 {
						p.cycle(b)
					}
				}))
				for _, variant := range theirs.variants {
					tables[variant] = append(tables[variant], theirs.run(b, variant, agents, theirs.picks(variant)))
				}
			}
			ring[agents], cycle[agents] = median(rings), median(cycles)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ring[agents], "ring-ns")
			b.ReportMetric(cycle[agents], "cycle-ns")
			for variant, took := range tables {
				b.ReportMetric(median(took), "ets-"+variant+"-ns")
			}
			if own[agents] = median(tables["own"]); own[agents] > 0 {
				b.ReportMetric(own[agents]/ring[agents], "ratio")
				b.ReportMetric(own[agents]/cycle[agents], "ratio-of-cycle")
			}
			few, many := pickSizes[0], agents
			b.ReportMetric(ring[many]/ring[few], "x-ring")
			b.ReportMetric(cycle[many]/cycle[few], "x-cycle")
			if own[few] > 0 {
				b.ReportMetric(own[many]/own[few], "x-ets")
			}
		})
	}
}

// clock gives the nanoseconds of one of n.
func clock(n int, work func()) float64 {
	began := time.Now()
	work()
	return float64(time.Since(began)) / float64(n)
}

// median gives 0 of none.
func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[len(of)/2]
}

// ets is scripts/ets.exs while it runs.
type ets struct {
	variants []string // none: there is no Elixir
	in       io.Writer
	out      *bufio.Scanner
}

func startETS(b *testing.B) *ets {
	b.Helper()
	path, err := exec.LookPath("elixir")
	if err != nil {
		b.Log("without Elixir there is nothing to compare with")
		return &ets{}
	}
	cmd := exec.Command(path, "../scripts/ets.exs")
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if errIn != nil || errOut != nil {
		b.Fatal(errIn, errOut)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	return &ets{[]string{"own", "public", "trees", "server"}, in, bufio.NewScanner(out)}
}

// picks are fewer of what takes microseconds.
func (e *ets) picks(variant string) int {
	if variant == "own" {
		return picks
	}
	return picks / 10
}

// run gives the nanoseconds of one pick.
func (e *ets) run(b *testing.B, variant string, agents, n int) float64 {
	b.Helper()
	fmt.Fprintln(e.in, variant, agents, n)
	if !e.out.Scan() {
		b.Fatalf("ets.exs ended: %v", e.out.Err())
	}
	took, err := strconv.ParseFloat(strings.TrimSpace(e.out.Text()), 64)
	if err != nil {
		b.Fatal(err)
	}
	return took
}
