package engine_test

import (
	"fmt"
	"testing"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.OpenDir(dir, engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	do := func(b holdfast.Body) engine.Answer {
		a, err := e.Do("r", b)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	do(holdfast.PutRealm{Limits: seat.DefaultLimits()})
	do(seat.PutPool{Pool: "c1", Config: seat.Config{Capacity: 3}})
	for i := range 6 {
		a := do(seat.Claim{Pool: "c1", Person: fmt.Sprintf("s%d", i)})
		t.Log(a.Status, a.Seat, a.Position, a.AsOf)
	}
	a := do(seat.Release{Pool: "c1", Person: "s1"})
	t.Log(a.Status, a.AsOf)
	a = do(seat.Look{Pool: "c1", Person: "s3"})
	t.Log(a.Status, a.Seat, a.AsOf)
	if err := e.Snapshot(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, err = engine.OpenDir(dir, engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	a = do(seat.Look{Pool: "c1", Person: "s3"})
	t.Log(a.Status, a.Seat, a.AsOf)
	e.Close()
}
