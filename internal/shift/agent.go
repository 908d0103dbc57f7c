package shift

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"holdfast/desk"
)

// agent is one employee: goes online, answers offers as people do, talks, pauses, loses the connection and comes back.
type agent struct {
	peer // its lock guards what follows
	desk *deskPlan
	name string
	rng  *rand.Rand

	asOf    uint64 // of the newest that was heard
	offer   uint64 // that is before them
	answer  answer // what they will do with it
	session uint64 // that they are in
	resting bool   // paused, and will be back
	away    time.Duration
	seen    []sight
}

// sight is when an offer was first seen.
type sight struct {
	request, offer uint64
	at             time.Duration
}

// answer is what an agent does with an offer.
type answer uint8

const (
	answerAccept answer = iota
	answerReject
	answerMiss // they have it, and say nothing
	answerLate // the same, and accept when it is over
	answerMute // not even their device says that it has it
	answerGo   // they pause
)

func newAgent(f *floor, number, desk, place int32) *agent {
	d := &f.plan.desks[desk]
	a := &agent{desk: d, name: d.agents[place], rng: random(f.cfg.Seed, streamAgents+uint64(number))}
	a.peer = peer{floor: f, number: number, party: a}
	return a
}

// hello implements party.
func (a *agent) hello(b []byte) []byte {
	b = append(append(b, `"agent":"`...), a.name...)
	b = append(append(b, `","desk":"`...), a.desk.name...)
	return append(b, '"')
}

// command implements party.
func (a *agent) command(b []byte, q *ask) []byte {
	switch q.do {
	case doReceipt, doAccept, doReject:
		b = strconv.AppendUint(append(b, `,"offer":`...), q.what, 10)
	case doFinish:
		b = strconv.AppendUint(append(b, `,"session":`...), q.what, 10)
	}
	if q.do == doReject {
		b = append(b, `,"reason":"not my topic"`...)
	}
	return b
}

// welcomed implements party.
func (a *agent) welcomed() {
	if a.asOf == 0 && len(a.asks) == 0 { // for the first time
		a.askLocked(doOnline, 0)
	}
}

// absence implements party.
func (a *agent) absence() time.Duration {
	away := a.away
	a.away = 0
	return away
}

// told implements party.
func (a *agent) told(line []byte, now time.Duration) error {
	switch {
	case bytes.HasPrefix(line, beginsOffer):
		a.offered(line, now)
	case bytes.HasPrefix(line, beginsOfferClosed):
		if number(line, memberOffer) == a.offer {
			a.offer = 0
		}
	case bytes.HasPrefix(line, beginsAgent):
		a.stands(line)
	default:
		return fmt.Errorf("an agent was told: %.300q", line)
	}
	return nil
}

// stands takes how the agent stands by the server.
func (a *agent) stands(line []byte) {
	at := asOf(line)
	if at < a.asOf {
		return // an answer on its way overtook it
	}
	a.asOf = at
	state := word(line, memberState)
	session := uint64(0)
	if i := bytes.Index(line, nestedSession); i >= 0 && string(state) == "busy" {
		session = number(line[i+len(nestedSession):], memberSession)
	}
	if session != a.session {
		a.session = session
		if session != 0 {
			a.talk()
		}
	}
	if string(state) != "init" {
		a.offer = 0
	}
	if !bytes.Contains(line, saysAccepting) && !a.asked(doOnline) {
		a.rest()
	}
}

// rest: the agent is back online after a while.
func (a *agent) rest() {
	if a.resting || a.floor.closing.Load() {
		return
	}
	a.resting = true
	a.later(exponential(a.rng, a.floor.cfg.life(meanRest)), func() {
		a.resting = false
		if !a.floor.closing.Load() {
			a.askLocked(doOnline, 0)
		}
	})
}

// offered takes an offer, new or again.
func (a *agent) offered(line []byte, now time.Duration) {
	id := number(line, memberOffer)
	fresh := id != a.offer
	if fresh {
		a.offer, a.answer = id, a.choose()
		a.seen = append(a.seen, sight{number(line, memberRequest), id, now})
	}
	cfg, does := a.floor.cfg, a.answer
	think := min(lognormal(a.rng, cfg.life(cfg.Think), spreadThink), offerTime(cfg)*9/10)
	if does == answerLate {
		think = offerTime(cfg) + desk.Slack + 300*time.Millisecond
	}
	speaks := does != answerMiss && does != answerMute
	if does != answerMute && (think > 0 || !speaks || !fresh) { // an answer that comes at once shows by itself that they have it
		a.askLocked(doReceipt, id)
	}
	if !fresh || !speaks {
		return // what they will do with it is on its way, or nothing is
	}
	if think == 0 {
		a.respond(id, does)
		return
	}
	if a.unlucky() {
		a.floor.after(think/2, a.breakAway)
	}
	a.later(think, func() {
		if a.offer == id || does == answerLate {
			a.respond(id, does)
		}
	})
}

// choose says what the agent does with an offer.
func (a *agent) choose() answer {
	cfg := a.floor.cfg
	if a.rng.Float64() < cfg.Accept {
		return answerAccept
	}
	if cfg.Calm || a.floor.closing.Load() {
		return answerReject
	}
	switch x := a.rng.Float64(); {
	case x < 0.55:
		return answerReject
	case x < 0.70:
		return answerMiss
	case x < 0.80:
		return answerLate
	case x < 0.87:
		return answerMute
	}
	return answerGo
}

func (a *agent) respond(offer uint64, does answer) {
	switch does {
	case answerAccept, answerLate:
		a.askLocked(doAccept, offer)
		if a.unlucky() {
			a.askLocked(doAccept, offer) // a second press, or a device that sends twice
		}
	case answerReject:
		a.askLocked(doReject, offer)
	case answerGo:
		a.askLocked([]do{doPause, doOffline}[a.rng.IntN(2)], 0)
	}
}

// unlucky says whether something goes wrong now.
func (a *agent) unlucky() bool {
	cfg := a.floor.cfg
	return !cfg.Calm && a.rng.Float64() < cfg.Lose
}

// breakAway breaks the connection; the agent is back soon, or too late.
func (a *agent) breakAway() {
	a.mu.Lock()
	if a.conn == nil || a.floor.closing.Load() {
		a.mu.Unlock()
		return
	}
	if a.desk.kind.single && a.rng.IntN(2) == 0 { // they open another device instead
		a.comeLocked()
		a.mu.Unlock()
		return
	}
	a.away = absence(a.rng, graceBusy)
	a.mu.Unlock()
	a.cut()
}

// absence is how long somebody stays away whose connection broke: mostly short, sometimes longer than the grace.
func absence(rng *rand.Rand, grace time.Duration) time.Duration {
	if rng.IntN(5) == 0 {
		return grace + time.Second + time.Duration(rng.Int64N(int64(time.Second)))
	}
	return time.Duration(rng.Int64N(int64(time.Second))) + time.Millisecond
}

// answered implements party.
func (a *agent) answered(q *ask, status int, line []byte, now time.Duration) error {
	if at := asOf(line); at > a.asOf {
		a.asOf = at
	}
	switch q.do {
	case doAccept:
		if status == http.StatusOK {
			if session := number(line, memberSession); session != a.session {
				a.offer, a.session = 0, session
				a.talk()
			}
		} else if q.what == a.offer {
			a.offer = 0
		}
	case doReject:
		if q.what == a.offer {
			a.offer = 0
		}
	case doFinish:
		if q.what == a.session {
			a.session = 0
			a.between()
		}
	case doOnline, doPause, doOffline:
		if status != http.StatusOK {
			a.rest() // their connection went meanwhile: once more
			break
		}
		a.stands(line)
		if q.do == doOnline {
			a.floor.tally.online.Add(1)
		}
	}
	return nil
}

// talk is a session, from its begin to its end.
func (a *agent) talk() {
	cfg, session := a.floor.cfg, a.session
	length := lognormal(a.rng, cfg.life(cfg.Talk), spreadTalk)
	if length == 0 || a.floor.closing.Load() {
		a.askLocked(doFinish, session)
		return
	}
	if a.unlucky() {
		a.floor.after(length/2, a.breakAway)
	}
	if a.unlucky() { // they want a break after this one
		a.askLocked(doPause, 0)
	}
	a.later(length, func() {
		if a.session == session {
			a.askLocked(doFinish, session)
		}
	})
}

// between two sessions: sometimes a break, sometimes a dead network.
func (a *agent) between() {
	switch {
	case a.floor.closing.Load():
	case a.unlucky():
		a.askLocked([]do{doPause, doOffline}[a.rng.IntN(2)], 0)
	case a.unlucky():
		a.floor.after(time.Millisecond, a.breakAway)
	}
}

// wrapUp ends what the agent is in, at the end of the shift.
func (a *agent) wrapUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != 0 && !a.asked(doFinish) {
		a.askLocked(doFinish, a.session)
	}
	a.flushLocked()
}

// goHome takes the agent offline for good.
func (a *agent) goHome() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.askLocked(doOffline, 0)
	a.flushLocked()
}

func (a *agent) talks() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session != 0
}
