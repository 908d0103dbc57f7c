package server

import (
	"strconv"
	"time"

	"holdfast/internal/wire"
)

// The answers to who is turned away, made once: they must cost nothing.
var (
	crowded    = wire.New(wire.Busy, "More requests are at work than the server takes at once, or it is stopping. Nothing was recorded: ask again.")
	overloaded = wire.New(wire.Busy, "More is asked than the server can do at once. Nothing was recorded: ask again.")
	tooMany    = wire.New(wire.Limited, "You have more connections open than one person may. Close some.")
	tooOften   = wire.New(wire.Limited, "You ask too often. Nothing was recorded: ask again.")
)

// Why somebody is turned away, as the metric has it.
const (
	byLoad        = "load"
	byRate        = "rate"
	byConnections = "connections"
	bySockets     = "sockets"
	byPerson      = "person_sockets"
)

// full is the reason of a gate that is full. The class open has none.
func (k class) full() string {
	return [...]string{newcomer: "in_flight", placed: "placed", feeding: "feeds"}[k]
}

// key is whom a newcomer's request is for, as the load knows them; empty = nobody in particular.
func (c *call) key() string {
	person := c.person
	if person == "" {
		person = c.id.Person
	}
	if person == "" {
		return ""
	}
	return c.realm + "/" + person
}

// turnAway answers that there is no room now. Nothing was read of the body, nothing decided.
func (c *call) turnAway(why string, p wire.Problem) int {
	c.load.Turned()
	c.metrics.turned[why].Inc()
	c.retry(&p, c.comeAgain())
	return c.problem(p)
}

// limited answers who asks more often than a person may.
func (c *call) limited(wait time.Duration) int {
	c.metrics.turned[byRate].Inc()
	p := tooOften
	c.retry(&p, wait)
	return c.problem(p)
}

// retry says when to come back: in milliseconds, and in whole seconds for who knows HTTP only.
func (c *call) retry(p *wire.Problem, after time.Duration) {
	p.RetryAfterMS = max(1, int64((after+time.Millisecond-1)/time.Millisecond))
	c.w.Header()["Retry-After"] = []string{strconv.FormatInt((p.RetryAfterMS+999)/1000, 10)}
}
