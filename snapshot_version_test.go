package holdfast_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// lotteryWorld has a lottery before its draw, one in the middle of it, and one that is done.
func lotteryWorld(t testing.TB) *holdfast.State {
	t.Helper()
	seeds := map[[32]byte][32]byte{}
	stepper := holdfast.Stepper{State: smallWorld(t), Seed: func(hash [32]byte) (seed [32]byte, ok bool) {
		seed, ok = seeds[hash]
		return seed, ok
	}}
	var batch holdfast.Batch
	do := func(body holdfast.Body) {
		if res := stepper.Step(&holdfast.Command{Realm: "autumn", At: someTime, Body: body}, &batch); res.Refused() {
			t.Fatalf("%+v: %+v", body, res.Refusal)
		}
	}
	for n, pool := range []string{"done", "begun", "before"} {
		seed := [32]byte{byte(n + 1)}
		hash := sha256.Sum256(seed[:])
		seeds[hash] = seed
		do(seat.PutPool{Pool: pool, Config: seat.Config{Capacity: 1, OpensAt: someTime + seat.Time(n) + 1, Order: seat.Lottery, SeedHash: hash}})
		for _, who := range []string{"ann", "bob", "cem"} {
			do(seat.Claim{Pool: pool, Person: who})
		}
	}
	realm := stepper.State.Realm("autumn")
	stepper.Due(realm, someTime+1, someTime+1, &batch)
	begun := [32]byte{2}
	err := stepper.State.Apply(&holdfast.Event{Seq: stepper.State.Seq() + 1, At: someTime + 2, Realm: "autumn",
		Seat: seat.Event{Kind: seat.Drawn, Pool: "begun", Seed: &begun}})
	if err != nil {
		t.Fatal(err)
	}
	return stepper.State
}

// TestSnapshotVersions: a snapshot of the version before lotteries is read, and a state without one is written as it was then,
// byte for byte; one with a lottery says that it is of version 2.
func TestSnapshotVersions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/snapshot-version-1.hex")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if now := snapshotOf(t, smallWorld(t)); !bytes.Equal(now, stored) {
		t.Errorf("this version writes other bytes than version 1 but calls itself 1:\n%x", now)
	}
	if s, err := holdfast.ReadSnapshot(bytes.NewReader(stored)); err != nil || s.Hash() != smallWorld(t).Hash() {
		t.Errorf("a snapshot of version 1 is not read: %v", err)
	}

	world := lotteryWorld(t)
	written := snapshotOf(t, world)
	again, err := holdfast.ReadSnapshot(bytes.NewReader(written))
	if err != nil || written[4] != 2 || !bytes.Equal(snapshotOf(t, again), written) || again.Check() != nil {
		t.Fatalf("a snapshot of version %d with lotteries: %v", written[4], err)
	}
	seats := again.Realm("autumn").Seats
	for pool, want := range map[string]seat.PoolView{"done": {Seated: 1, Waiting: 2, Drawn: true}, "begun": {Entered: 3, Drawn: true}, "before": {Entered: 3}} {
		v, _ := seats.Pool(pool)
		if old, _ := world.Realm("autumn").Seats.Pool(pool); v.Seated != want.Seated || v.Waiting != want.Waiting || v.Entered != want.Entered ||
			v.Drawn != want.Drawn || v.Seed != old.Seed || v.Config.SeedHash != old.Config.SeedHash {
			t.Errorf("%s came back as %+v", pool, v)
		}
	}
	if next, ok := seats.NextDue(); next != 1 || !ok {
		t.Errorf("a draw is under way, next due is %d", next)
	}

	for name, change := range map[string]func(b []byte){
		"a lottery in version 1": func(b []byte) { b[4] = 1 },
		"another seed":           func(b []byte) { b[bytes.Index(b, []byte{2, 0, 0, 0, 0, 0})]++ },
	} {
		b := bytes.Clone(written)
		change(b)
		if _, err := holdfast.ReadSnapshot(bytes.NewReader(b)); err == nil || errors.Is(err, holdfast.ErrSnapshotVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, version := range []byte{0, 4} {
		b := bytes.Clone(written)
		b[4] = version
		if _, err := holdfast.ReadSnapshot(bytes.NewReader(b)); !errors.Is(err, holdfast.ErrSnapshotVersion) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	plain := bytes.Clone(stored)
	plain[4] = 2
	if _, err := holdfast.ReadSnapshot(bytes.NewReader(plain)); err == nil {
		t.Error("a state without a lottery in version 2 is accepted: it would be written otherwise")
	}
}

// deskWorld is lotteryWorld with desks in one of its realms: agents and requests in every state.
func deskWorld(t testing.TB) *holdfast.State {
	t.Helper()
	stepper := holdfast.Stepper{State: lotteryWorld(t)}
	var batch holdfast.Batch
	do := func(body holdfast.Body) *desk.Result {
		if err := body.Valid(); err != nil {
			t.Fatal(err)
		}
		res := stepper.Step(&holdfast.Command{Realm: "spring", At: someTime + 9, Body: body}, &batch)
		if res.Refused() || res.Desk.Refused() {
			t.Fatalf("%+v: %+v", body, res)
		}
		return res.Desk
	}
	queue := desk.DefaultConfig()
	queue.Topics, queue.Policy, queue.QueueLimit = []string{"tax", "law"}, desk.Queue, 9
	do(desk.PutDesk{Desk: "acme", Config: queue})
	do(desk.PutDesk{Desk: "empty", Config: desk.DefaultConfig()})
	for n, name := range []string{"eve", "bob", "cem", "off"} {
		do(desk.PutAgent{Desk: "acme", Agent: name, Profile: desk.Profile{Topics: queue.Topics[n%2 : n%2+1]}})
		if name != "off" {
			do(desk.Attach{Desk: "acme", Agent: name, Conn: uint64(n) + 1})
			do(desk.Online{Desk: "acme", Agent: name, Conn: uint64(n) + 1})
		}
	}
	ask := func(client, topic string, conn uint64) *desk.RequestView {
		return do(desk.Request{Desk: "acme", Client: client, Conn: conn, Ask: desk.Ask{Topic: topic, Data: "1", Key: "k " + client}}).Request
	}
	served := ask("zoe", "tax", 11)
	do(desk.AcceptOffer{Desk: "acme", Agent: "eve", Offer: served.Offer, Conn: 1})
	declined := ask("yan", "law", 12)
	do(desk.RejectOffer{Desk: "acme", Agent: "bob", Offer: declined.Offer, Conn: 2, Reason: "no time"})
	ask("xia", "tax", 13)
	do(desk.Cancel{Desk: "acme", Client: "wim", Request: ask("wim", "law", 14).ID})
	do(desk.Detach{Desk: "acme", Agent: "cem", Conn: 3})
	return stepper.State
}

// TestSnapshotOfDesks: a state with a desk says that it is of version 3, and comes back whole; a desk in an older version, or
// version 3 without a desk, is refused.
func TestSnapshotOfDesks(t *testing.T) {
	t.Parallel()
	world := deskWorld(t)
	written := snapshotOf(t, world)
	again, err := holdfast.ReadSnapshot(bytes.NewReader(written))
	if err != nil || written[4] != 3 || !bytes.Equal(snapshotOf(t, again), written) || again.Check() != nil || again.Hash() != world.Hash() {
		t.Fatalf("a snapshot of version %d with desks: %v", written[4], err)
	}
	for _, name := range []string{"acme", "empty"} {
		is, _ := again.Realm("spring").Desks.Desk(name)
		if want, ok := world.Realm("spring").Desks.Desk(name); !ok || !reflect.DeepEqual(is, want) {
			t.Errorf("%s came back as %+v", name, is)
		}
	}
	if is := again.Realm("spring").Desks.Agents("acme", "", 9); len(is) != 4 || !reflect.DeepEqual(is, world.Realm("spring").Desks.Agents("acme", "", 9)) {
		t.Errorf("the agents came back as %+v", is)
	}
	for name, from := range map[string]*holdfast.State{"desks": world, "a lottery": lotteryWorld(t), "seats": smallWorld(t)} {
		right := snapshotOf(t, from)[4]
		for version := byte(1); version <= 3; version++ {
			b := snapshotOf(t, from)
			b[4] = version
			if _, err := holdfast.ReadSnapshot(bytes.NewReader(b)); (err == nil) != (version == right) || errors.Is(err, holdfast.ErrSnapshotVersion) {
				t.Errorf("%s in version %d: %v", name, version, err)
			}
		}
	}
	for cut := len(written) - 1; cut > 0; cut -= 7 {
		if _, err := holdfast.ReadSnapshot(bytes.NewReader(written[:cut])); err == nil {
			t.Errorf("%d of %d bytes are accepted", cut, len(written))
		}
	}
}

// TestLotteryHistories: events about lotteries that do not follow from the state are refused.
func TestLotteryHistories(t *testing.T) {
	t.Parallel()
	seed, wrong := [32]byte{3}, [32]byte{9}
	arrival := seat.Config{Capacity: 1}
	other := seat.Config{Capacity: 1, OpensAt: 1, Order: seat.Lottery, SeedHash: [32]byte{9}}
	for name, e := range map[string]seat.Event{
		"drawn with another seed":       {Kind: seat.Drawn, Pool: "before", Seed: &wrong},
		"drawn twice":                   {Kind: seat.Drawn, Pool: "done", Seed: &[32]byte{1}},
		"drawn, and is no lottery":      {Kind: seat.Drawn, Pool: "nowhere", Seed: &seed},
		"entered in a drawn lottery":    {Kind: seat.LotteryEntered, Pool: "begun", Person: "dee", Cause: seat.ByClaim},
		"entered twice":                 {Kind: seat.LotteryEntered, Pool: "before", Person: "ann", Was: seat.Entered, Cause: seat.ByClaim},
		"put with another hash":         {Kind: seat.PoolPut, Pool: "before", Config: &other},
		"by arrival, with some entered": {Kind: seat.PoolPut, Pool: "before", Config: &arrival},
	} {
		s := lotteryWorld(t)
		if err := s.Apply(&holdfast.Event{Seq: s.Seq() + 1, At: someTime + 5, Realm: "autumn", Seat: e}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	s := lotteryWorld(t)
	if err := s.Apply(&holdfast.Event{Seq: s.Seq() + 1, At: someTime + 5, Realm: "autumn", Seat: seat.Event{Kind: seat.Drawn, Pool: "before", Seed: &seed}}); err != nil {
		t.Error(err)
	}
}
