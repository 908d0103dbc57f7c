package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"holdfast"
	"holdfast/engine"
	"holdfast/seat"
)

// A program that embeds the engine: no server, a directory is all it needs.
func Example() {
	dir, err := os.MkdirTemp("", "holdfast")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	e, err := engine.OpenDir(dir, engine.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	var last engine.Answer
	for _, body := range []holdfast.Body{
		holdfast.PutRealm{Limits: seat.DefaultLimits()},
		seat.PutPool{Pool: "chess", Config: seat.Config{Capacity: 30}},
		seat.Claim{Pool: "chess", Person: "ada"},
	} {
		if last, err = e.Do("spring", body); err != nil {
			log.Fatal(err) // not decided; a refusal is a result: see Answer.Refused
		}
	}
	fmt.Println("preapproved:", last.Status, last.Seat)
	if err := last.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("confirmed:", last.Confirmed())
	fmt.Println("closed:", e.Close())
	// Output:
	// preapproved: seated 1
	// confirmed: true
	// closed: <nil>
}
