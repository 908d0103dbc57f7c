package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/internal/sim"
)

// checked follows the whole log with the checker of every invariant, the draw among them.
func (w *world) checked() {
	w.t.Helper()
	sub, err := w.engine.Subscribe(0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer sub.Close()
	c := sim.NewChecker(holdfast.NewState())
	for {
		ev, ok, err := sub.TryNext()
		if err != nil {
			w.t.Fatal(err)
		}
		if !ok {
			break
		}
		for i := range ev.List {
			c.Event(&ev.List[i])
		}
	}
	if r := c.Finish(); r.Found > 0 {
		w.t.Errorf("%+v", r.Violations)
	}
}

// TestSocketLottery: a lottery from its PUT to its end, over HTTP, WebSocket, a stream of events and the feed.
func TestSocketLottery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.must(200, "PUT", "/v1/realms/spring", "")
		opens := time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339Nano)
		put := fmt.Sprintf(`{"capacity":1,"waitlist":1,"order":"lottery","opens_at":%q}`, opens)
		const pool = "/v1/realms/spring/pools/lots"
		made := s.must(200, "PUT", pool, put)
		if made.text("seed_hash") == "" || made.body["seed"] != nil || s.must(200, "PUT", pool, put).text("seed_hash") != made.text("seed_hash") {
			t.Errorf("made %v", made.body)
		}
		people := []string{"ann", "bob", "cid", "dan"}
		phones := map[string]*phone{}
		for _, who := range people {
			phones[who] = s.hello(who)
			phones[who].say(`{"id":2,"do":"subscribe","pool":"lots"}`)
			phones[who].skipTo("push=opening open=false in_ms=5000")
		}
		ann := phones["ann"]
		ann.say(`{"id":3,"do":"claim","pool":"lots","if_seq":0}`)
		ann.skipTo("reply=3 status=entered durability=preapproved seq=")
		entered := ann.skipTo("reply=3 status=entered durability=confirmed")
		for _, who := range people[1:] { // over HTTP, with a push
			if r := s.must(200, "PUT", pool+"/claims/"+who, ""); r.text("status") != "entered" {
				t.Errorf("%v", r.body)
			}
			if rows := phones[who].skipTo("push=claims")["claims"].([]any); rows[0].(map[string]any)["status"] != "entered" {
				t.Errorf("%v", rows)
			}
		}
		time.Sleep(time.Second)
		ann.skipTo("push=pool entered=4 waiting=0 seated=0 open=false")
		// Resumed from before the entry, and from behind it: an entry is no settled thing, and comes both times.
		for _, seq := range []int64{1, countOf(entered["as_of"])} {
			p := s.connect("spring")
			p.say(`{"id":1,"do":"hello","person":"ann","log":"6d656d00000000000000000000000000","seq":%d}`, seq)
			if rows := p.skipTo("push=claims")["claims"].([]any); len(rows) != 1 || rows[0].(map[string]any)["status"] != "entered" {
				t.Errorf("since %d: %v", seq, rows)
			}
			p.conn.CloseNow()
		}
		ann.say(`{"id":4,"do":"release","pool":"lots","quiet":true}{"id":5,"do":"claim","pool":"lots","quiet":true}`)
		ann.skipTo("reply=4 status=released durability=confirmed")
		ann.skipTo("reply=5 status=entered durability=confirmed")
		ann.say(`{"id":6,"do":"basket","mode":"all","items":[{"pool":"lots"}],"quiet":true}`)
		ann.skipTo("reply=6 code=not_open")
		stream := s.events("dan", "")
		stream.event()
		time.Sleep(6 * time.Second)
		view := s.must(200, "GET", pool, "")
		seed, err := hex.DecodeString(view.text("seed"))
		if hash := sha256.Sum256(seed); err != nil || hex.EncodeToString(hash[:]) != made.text("seed_hash") {
			t.Errorf("the seed %v", view.body)
		}
		order := slices.Clone(people)
		slices.SortFunc(order, func(a, b string) int {
			x, y := sha256.Sum256([]byte(string(seed)+"lots"+a)), sha256.Sum256([]byte(string(seed)+"lots"+b))
			return bytes.Compare(x[:], y[:])
		})
		for i, who := range order {
			want := []string{"seated", "waiting", "released", "released"}[i]
			for said := false; !said; {
				m := phones[who].skipTo("push=claims")
				said = m["claims"].([]any)[0].(map[string]any)["status"] == want
			}
			if who == "dan" && !strings.Contains(stream.event()["data"], `"status":"`+want+`"`) {
				t.Error("the stream of dan does not say so")
			}
			phones[who].say(`{"id":9,"do":"standing","pool":"lots"}`)
			phones[who].skipTo("reply=9 status=" + want)
		}
		late := s.hello("eve")
		late.say(`{"id":2,"do":"subscribe","pool":"lots"}`)
		late.skipTo("push=pool open=true entered=0 seated=1 waiting=1")
		kinds := ""
		for _, line := range lines(s.must(200, "GET", "/v1/realms/spring/events", "").Body) {
			var e struct{ Kind string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			kinds += e.Kind + " "
		}
		if strings.Count(kinds, "entered ") != 5 || strings.Count(kinds, "drawn ") != 1 {
			t.Errorf("the feed: %s", kinds)
		}
		s.checked()
	})
}

// TestSocketLotteryOpens: who is connected hears that it is open at the instant of the draw, and nobody refreshes.
func TestSocketLotteryOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.must(200, "PUT", "/v1/realms/spring", "")
		began := time.Now()
		s.must(200, "PUT", "/v1/realms/spring/pools/lots", fmt.Sprintf(`{"capacity":1,"order":"lottery","opens_at":%q}`, began.Add(time.Minute).UTC().Format(time.RFC3339Nano)))
		p := s.hello("ann")
		p.say(`{"id":2,"do":"subscribe","pool":"lots"}{"id":3,"do":"claim","pool":"lots","quiet":true}`)
		p.skipTo("reply=3 status=entered")
		seen := map[string]bool{}
		for len(seen) < 3 {
			m, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case m["push"] == "opening" && m["open"] == true:
				seen["opening"] = true
			case m["push"] == "pool" && m["open"] == true:
				seen["pool"] = true
			case m["push"] == "claims":
				seen["claims"] = true
			default:
				continue
			}
			if d := time.Since(began); d != time.Minute {
				t.Errorf("%v after %v", m, d)
			}
		}
	})
}
