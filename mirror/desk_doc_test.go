package mirror

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// helpDesk is a shift of eve and bob at desk acme, from 08:00:00 to 08:03:35, of which the reports of docs/DATABASE.md are
// known: zoe is answered in 5 s, yan in 60 s (bob declines), wes in 3 s; xia gives up (bob does not answer); vic and uma wait.
func helpDesk(w *world) { aDesk(w, "acme") }

// aDesk is helpDesk under any name.
func aDesk(w *world, name string) {
	w.tb.Helper()
	began := w.now
	at := func(seconds float64) {
		w.now = began.Add(time.Duration(seconds * float64(time.Second)))
		w.do("help", desk.LookAgent{Desk: name, Agent: "eve"}) // what is due by then
	}
	w.do("help", holdfast.PutRealm{Limits: seat.DefaultLimits()})
	c := desk.DefaultConfig()
	c.Policy, c.QueueLimit = desk.Queue, 5
	w.do("help", desk.PutDesk{Desk: name, Config: c})
	for _, agent := range []string{"eve", "bob"} {
		w.do("help", desk.PutAgent{Desk: name, Agent: agent, Profile: desk.Profile{Reach: desk.Push}})
		w.do("help", desk.Online{Desk: name, Agent: agent})
	}
	asks := func(seconds float64, client string) (offer uint64) {
		at(seconds)
		res := w.do("help", desk.Request{Desk: name, Client: client, Ask: desk.Ask{Reach: desk.Push}})
		return res.Desk.Request.Offer
	}
	takes := func(seconds float64, agent string) (session uint64) {
		at(seconds)
		v, _ := w.step.State.Realm("help").Desks.Agent(name, agent)
		res := w.do("help", desk.AcceptOffer{Desk: name, Agent: agent, Offer: v.Offer.ID})
		return res.Desk.Session.ID
	}
	asks(10, "zoe")
	zoe := takes(15, "eve")
	offer := asks(20, "yan")
	at(30)
	w.do("help", desk.RejectOffer{Desk: name, Agent: "bob", Offer: offer, Reason: "lunch"})
	at(75)
	w.do("help", desk.Finish{Desk: name, Agent: "eve", Session: zoe})
	yan := takes(80, "eve")
	asks(100, "xia")
	at(120.5)
	at(130)
	w.do("help", desk.Cancel{Desk: name, Client: "xia", Request: w.lastOf("xia")})
	at(140)
	w.do("help", desk.Finish{Desk: name, Agent: "eve", Session: yan})
	asks(150, "wes")
	wes := takes(153, "bob")
	at(180)
	w.do("help", desk.Finish{Desk: name, Client: "wes", Session: wes})
	at(200)
	w.do("help", desk.GoOffline{Desk: name, Agent: "bob"})
	asks(210, "vic")
	asks(215, "uma")
}

// lastOf is a client's last request in realm help.
func (w *world) lastOf(client string) uint64 {
	rows := w.step.State.Realm("help").Desks.OfClient(client, 0, 10)
	return rows[len(rows)-1].ID
}

// reports are what the documented queries give of helpDesk, by words that only one of them has.
var reports = map[string]string{
	"p90_seconds":             "acme|3|5|60",
	"in_time":                 "acme|4|2|50",
	"abandoned":               "acme|4|1|25",
	"attempts FROM":           "id|uma|<nil>|0|2026-09-01 08:03:35|0",
	"AS percent\nFROM offers": "eve|2|2|100\nbob|3|1|33.3",
	"AS why":                  "accepted||3\npending||1\nrejected|agent|1\ntimed_out|deadline|1",
	"occupancy":               "eve|80|15|120|55.8\nbob|139.5|33.5|27|13.5",
	"accepting, state_since":  "eve|init|true|2026-09-01 08:03:30\nbob|offline|false|2026-09-01 08:03:20",
	"request_state\nFROM":     "id|1|bob|rejected|2026-09-01 08:00:20|2026-09-01 08:00:30|agent|lunch|done\nid|2|eve|accepted|2026-09-01 08:01:15|2026-09-01 08:01:20|<nil>|<nil>|done",
}

// checkReport compares a documented query's rows with what they should be, and says which of the reports it was.
func checkReport(t *testing.T, query string, rows []string) string {
	for words, want := range reports {
		if !strings.Contains(query, words) {
			continue
		}
		got := strings.Join(rows, "\n")
		if strings.HasPrefix(query, "SELECT request,") || strings.HasPrefix(query, "SELECT r.request,") {
			got = regexp.MustCompile(`(?m)^\d+\|`).ReplaceAllString(got, "id|") // how many events came before is nothing to a report
		}
		for _, same := range [][2]string{{" +0000 UTC", ""}, {".000000Z", ""}, {"2026-09-01T", "2026-09-01 "}, {"|1|2026", "|true|2026"}, {"|0|2026-09-01 08:03:20", "|false|2026-09-01 08:03:20"}} {
			got = strings.ReplaceAll(got, same[0], same[1])
		}
		if got != want {
			t.Errorf("%s\ngives\n%s\nshould be\n%s", query, got, want)
		}
		return words
	}
	return ""
}
