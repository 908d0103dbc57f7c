package server_test

import (
	"strings"
	"testing"
)

const (
	deskPut     = "PUT /v1/realms/spring/desks/acme"
	agentPut    = deskPut + "/agents/eve"
	statePost   = "POST /v1/realms/spring/desks/acme/agents/eve/state"
	agentDelete = "DELETE /v1/realms/spring/desks/acme/agents/eve"
	askPost     = "POST /v1/realms/spring/desks/acme/requests"
	askDelete   = "DELETE /v1/realms/spring/desks/acme/requests/7"
	acceptPost  = "POST /v1/realms/spring/desks/acme/offers/7/accept"
	rejectPost  = "POST /v1/realms/spring/desks/acme/offers/7/reject"
	finishPost  = "POST /v1/realms/spring/desks/acme/sessions/7/finish"
)

// badDeskBodies are the bad bodies of desks.
func badDeskBodies() (list []bad) {
	for _, request := range []string{deskPut, agentPut, statePost, agentDelete, askPost, askDelete, acceptPost, rejectPost, finishPost} {
		list = append(list, bodies(request, broken...)...)
	}
	for _, name := range []string{"max_wait_ms", "offer_ms", "receipt_ms", "push_receipt_ms", "idle_grace_ms", "init_grace_ms", "busy_grace_ms", "client_grace_ms",
		"join_ms", "reject_pause_ms", "miss_pause_ms", "wrap_up_ms", "restart_grace_ms", "warm_up_ms", "misses", "max_attempts", "queue_limit"} {
		for _, value := range []string{"-1", "1.5", `"1000"`, "null", "99999999", "99999999999999999999", "true"} {
			list = append(list, bodies(deskPut, [2]string{`{"policy":"queue","` + name + `":` + value + `}`, name})...)
		}
	}
	return append(append(list, badSetups()...), badAsks()...)
}

func badSetups() (list []bad) {
	many := strings.TrimSuffix(strings.Repeat(`"t",`, 33), ",")
	list = append(list, bodies(deskPut, [][2]string{
		{`{"max_wait_ms":999}`, "max_wait_ms"}, {`{"offer_ms":0}`, "offer_ms"}, {`{"receipt_ms":99}`, "receipt_ms"}, {`{"offer_ms":1000,"receipt_ms":1001}`, "receipt_ms"},
		{`{"warm_up_ms":60001}`, "warm_up_ms"}, {`{"wrap_up_ms":3600001}`, "wrap_up_ms"}, {`{"max_attempts":0}`, "max_attempts"}, {`{"max_attempts":101}`, "max_attempts"},
		{`{"misses":101}`, "misses"}, {`{"queue_limit":5}`, "queue_limit"}, {`{"policy":"queue","queue_limit":0}`, "queue_limit"}, {`{"policy":"queue","queue_limit":10001}`, "queue_limit"},
		{`{"policy":"maybe"}`, "policy"}, {`{"policy":""}`, "policy"}, {`{"policy":1}`, "policy"}, {`{"on_lost":"weep"}`, "on_lost"}, {`{"single_device":1}`, "single_device"},
		{`{"single_device":"yes"}`, "single_device"}, {`{"topics":"tax"}`, "topics"}, {`{"topics":[1]}`, "topics[0]"}, {`{"topics":["tax","a b"]}`, "topics[1]"},
		{`{"topics":["tax","tax"]}`, "topics[1]"}, {`{"topics":[""]}`, "topics[0]"}, {`{"topics":[` + many + `]}`, "topics"}, {`{"topics":null}`, "topics"}, {`{"desk":"acme"}`, "desk"},
	}...)...)
	list = append(list, bodies(agentPut, [][2]string{
		{`{"reach":"pigeon"}`, "reach"}, {`{"reach":""}`, "reach"}, {`{"topics":["..",""]}`, "topics[0]"}, {`{"topics":{}}`, "topics"}, {`{"agent":"eve"}`, "agent"},
	}...)...)
	long := strings.Repeat("r", 1001)
	list = append(list, bodies(agentDelete, [][2]string{{`{"reason":"` + long + `"}`, "reason"}, {`{"by":"` + long + `"}`, "by"}, {`{"by":""}`, "by"}, {`{"agent":"eve"}`, "agent"}}...)...)
	return append(list, bodies(statePost, [][2]string{
		{``, "state"}, {`{}`, "state"}, {`{"state":""}`, "state"}, {`{"state":"busy"}`, "state"}, {`{"state":1}`, "state"}, {`{"state":"idle"}`, "reason"},
		{`{"state":"paused","by":"ops"}`, "reason"}, {`{"state":"online","by":"ops"}`, "reason"}, {`{"state":"offline","reason":""}`, "reason"},
		{`{"state":"paused","reason":"` + long + `"}`, "reason"}, {`{"state":"paused","reason":7}`, "reason"}, {`{"state":"online","surplus":1}`, "surplus"},
	}...)...)
}

func badAsks() (list []bad) {
	list = bodies(askPost, [][2]string{
		{``, "client"}, {`{}`, "client"}, {`{"client":""}`, "client"}, {`{"client":"a b"}`, "client"}, {`{"client":".."}`, "client"}, {`{"client":7}`, "client"},
		{`{"client":"zoe","topic":""}`, "topic"}, {`{"client":"zoe","topic":"a/b"}`, "topic"}, {`{"client":"zoe","priority":10}`, "priority"}, {`{"client":"zoe","priority":-1}`, "priority"},
		{`{"client":"zoe","priority":"1"}`, "priority"}, {`{"client":"zoe","data":{"a":1}}`, "data"}, {`{"client":"zoe","data":"` + strings.Repeat("d", 1025) + `"}`, "data"},
		{`{"client":"zoe","key":""}`, "key"}, {`{"client":"zoe","key":"` + strings.Repeat("k", 129) + `"}`, "key"}, {`{"client":"zoe","reach":"socket"}`, "reach"},
		{`{"client":"zoe","reach":"x"}`, "reach"}, {`{"client":"zoe","desk":"acme"}`, "desk"},
	}...)
	list = append(list, bodies(askDelete, [][2]string{{`{"client":"a b"}`, "client"}, {`{"client":""}`, "client"}, {`{"agent":"eve"}`, "agent"}, {`{"reason":1}`, "reason"}}...)...)
	list = append(list, bodies(acceptPost, [][2]string{{``, "agent"}, {`{"agent":""}`, "agent"}, {`{"agent":"a b"}`, "agent"}, {`{"agent":"eve","reason":"x"}`, "reason"}, {`{"offer":7}`, "offer"}}...)...)
	list = append(list, bodies(rejectPost, [][2]string{{`{"reason":"x"}`, "agent"}, {`{"agent":"eve","reason":"` + strings.Repeat("r", 1001) + `"}`, "reason"}, {`{"agent":"eve","reason":""}`, "reason"}}...)...)
	return append(list, bodies(finishPost, [][2]string{
		{`{"agent":"eve","client":"zoe"}`, "client"}, {`{"agent":"a b"}`, "agent"}, {`{"client":"a b"}`, "client"}, {`{"session":7}`, "session"}, {`{"by":7}`, "by"},
	}...)...)
}

// badDeskRequests are what is wrong beside the bodies.
func badDeskRequests() (list []bad) {
	const d = "/v1/realms/spring/desks"
	for _, c := range []struct {
		request string
		status  int
		code    string
		field   string
	}{
		{"GET " + d + "/a%20b", 400, "malformed", "desk"}, {"GET " + d + "/acme/agents/a%2Fb", 400, "malformed", "agent"},
		{"GET " + d + "/acme/requests/x", 400, "malformed", "request"}, {"GET " + d + "/acme/requests/0", 400, "malformed", "request"},
		{"GET " + d + "/acme/requests/-1", 400, "malformed", "request"}, {"GET " + d + "/acme/requests/9223372036854775808", 400, "malformed", "request"},
		{"GET " + d + "/acme/offers/1e3", 400, "malformed", "offer"}, {"GET " + d + "/acme/sessions/+7", 400, "malformed", "session"},
		{"POST " + d + "/acme/offers/x/accept", 400, "malformed", "offer"}, {"POST " + d + "/acme/sessions/x/finish", 400, "malformed", "session"},
		{"GET " + d + "/acme/agents?ready=perhaps", 400, "malformed", "ready"}, {"GET " + d + "/acme/agents?ready=true&after=eve", 400, "malformed", "after"},
		{"GET " + d + "/acme/agents?topic=tax", 400, "malformed", "topic"}, {"GET " + d + "/acme/agents?ready=true&topic=a%20b", 400, "malformed", "topic"},
		{"GET " + d + "/acme/agents?ready=true&topic=", 400, "malformed", "topic"}, {"GET " + d + "/acme/agents?limit=1001", 400, "malformed", "limit"},
		{"GET " + d + "/acme/agents?after=a%20b", 400, "malformed", "after"}, {"GET " + d + "/acme/availability?topic=a%2Fb", 400, "malformed", "topic"},
		{"GET " + d + "/acme/requests?state=waiting", 400, "malformed", "state"}, {"GET " + d + "/acme/requests?state=", 400, "malformed", "state"},
		{"GET " + d + "/acme/requests?after=x", 400, "malformed", "after"}, {"GET " + d + "/acme/requests?limit=0", 400, "malformed", "limit"},
		{"GET " + d + "/acme/sessions?live=1", 400, "malformed", "live"}, {"GET " + d + "/acme/sessions?after=-1", 400, "malformed", "after"},
		{"GET " + d + "?ready=true", 400, "malformed", "ready"}, {"GET " + d + "/acme?topic=tax", 400, "malformed", "topic"},
		{"GET /v1/realms/nowhere/desks", 404, "unknown_realm", ""}, {"GET /v1/realms/nowhere/desks/acme", 404, "unknown_realm", ""},
		{"PUT /v1/realms/nowhere/desks/acme", 404, "unknown_realm", ""}, {"PATCH " + d + "/acme", 405, "method_not_allowed", ""},
		{"DELETE " + d + "/acme", 405, "method_not_allowed", ""}, {"POST " + d + "/acme/agents/eve", 405, "method_not_allowed", ""},
		{"GET " + d + "/acme/agents/", 404, "not_found", ""}, {"GET " + d + "/acme/offers", 404, "not_found", ""},
	} {
		list = append(list, bad{request: c.request, status: c.status, code: c.code, field: c.field})
	}
	list = append(list, bad{request: askPost, body: `{"client":"zoe"}`, header: "Content-Type: text/plain", status: 415, code: "unsupported_media_type"})
	return append(list, bad{request: askPost, body: strings.Repeat(" ", 65537), status: 413, code: "too_large"})
}

// TestBadInputAtDesks: each gets its status and code, and the field is named, and nothing changes.
func TestBadInputAtDesks(t *testing.T) {
	w := newWorld(t, nil)
	w.term()
	w.must(200, "PUT", "/v1/realms/spring/desks/acme", `{"topics":["tax"]}`)
	w.must(200, "PUT", "/v1/realms/spring/desks/acme/agents/eve", `{"reach":"push"}`)
	list := append(badDeskBodies(), badDeskRequests()...)
	if len(list) < 500 {
		t.Errorf("%d bad inputs, want 500", len(list))
	}
	w.refuseAll(list)
}
