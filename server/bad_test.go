package server_test

import (
	"fmt"
	"strings"
	"testing"
)

// bad is one request that must change nothing.
type bad struct {
	request string // METHOD PATH
	body    string
	header  string // NAME: VALUE
	status  int
	code    string
	field   string
}

// bodies makes the bad bodies of one route: BODY → FIELD.
func bodies(request string, cases ...[2]string) (list []bad) {
	for _, c := range cases {
		list = append(list, bad{request: request, body: c[0], status: 400, code: "malformed", field: c[1]})
	}
	return list
}

const (
	poolPut   = "PUT " + c1
	claimPut  = "PUT " + c1 + "/claims/ann"
	claimDel  = "DELETE " + c1 + "/claims/ann"
	acceptTo  = "POST " + c1 + "/claims/ann/accept"
	override  = "POST " + c1 + "/claims/ann/override"
	realmPut  = "PUT /v1/realms/spring"
	basketTo  = "POST /v1/realms/spring/baskets"
	rosterGet = "GET " + c1 + "/claims"
)

// broken is what no route takes as a body.
var broken = [][2]string{
	{`{`, "body"}, {`}`, "body"}, {`{}{}`, "body"}, {`{} x`, "body"}, {`{},`, "body"}, {`nul`, "body"}, {`{'a':1}`, "body"},
	{`{"a":}`, "body"}, {`{"a" 1}`, "body"}, {`{"a":1,}`, "body"}, {`{"a":01}`, "body"}, {`{"a":+1}`, "body"}, {`{"a":.5}`, "body"},
	{`{"a":1.}`, "body"}, {`{"a":1e}`, "body"}, {`{"a":NaN}`, "body"}, {`{"a":"`, "body"}, {"{\"a\":\"\x01\"}", "body"},
	{"{\"a\":\"\xff\"}", "body"}, {`{"a":"\x"}`, "body"}, {`{"a":"\ud800"}`, "body"}, {`{"a":"\u0000"}`, "body"}, {`{"a":"\u12"}`, "body"},
	{"\ufeff{}", "body"}, {`// c` + "\n{}", "body"}, {strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40), "body"},
	{strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40), "body"}, {`[]`, "body"}, {`"x"`, "body"}, {`7`, "body"}, {`null`, "body"}, {`true`, "body"},
	{`{"surplus":1}`, "surplus"}, {`{"a":1,"a":2}`, "a"}, {`{"x":{"y":1,"y":1}}`, "x.y"}, {`{"x":[0,{"y":1,"\u0079":1}]}`, "x[1].y"},
}

func badBodies() (list []bad) {
	for _, request := range []string{poolPut, claimPut, claimDel, realmPut} {
		list = append(list, bodies(request, broken...)...)
	}
	list = append(list, bodies(poolPut, [][2]string{
		{``, "capacity"}, {`{}`, "capacity"}, {`{"capacity":-1}`, "capacity"}, {`{"capacity":1.5}`, "capacity"}, {`{"capacity":1e3}`, "capacity"},
		{`{"capacity":"30"}`, "capacity"}, {`{"capacity":null}`, "capacity"}, {`{"capacity":10000001}`, "capacity"}, {`{"capacity":true}`, "capacity"},
		{`{"capacity":99999999999999999999}`, "capacity"}, {`{"capacity":1,"capacity":2}`, "capacity"}, {`{"Capacity":1}`, "Capacity"},
		{`{"capacity":1,"waitlist":-1}`, "waitlist"}, {`{"capacity":1,"waitlist":"no"}`, "waitlist"}, {`{"capacity":1,"waitlist":null}`, "waitlist"},
		{`{"capacity":1,"waitlist":4294967296}`, "waitlist"}, {`{"capacity":1,"opens_at":1}`, "opens_at"}, {`{"capacity":1,"opens_at":""}`, "opens_at"},
		{`{"capacity":1,"opens_at":"tomorrow"}`, "opens_at"}, {`{"capacity":1,"opens_at":"2026-02-30T00:00:00Z"}`, "opens_at"},
		{`{"capacity":1,"opens_at":"1969-01-01T00:00:00Z"}`, "opens_at"}, {`{"capacity":1,"closes_at":"2026-01-01"}`, "closes_at"},
		{`{"capacity":1,"opens_at":"2026-01-02T00:00:00Z","closes_at":"2026-01-01T00:00:00Z"}`, "closes_at"},
		{`{"capacity":1,"opens_at":"2026-01-02T00:00:00Z","closes_at":"2026-01-02T00:00:00Z"}`, "closes_at"},
		{`{"capacity":1,"opens_at":"2026-01-02T00:00:00Z","promote_until":"2026-01-01T00:00:00Z"}`, "promote_until"},
		{`{"capacity":1,"promotion":"magic"}`, "promotion"}, {`{"capacity":1,"promotion":1}`, "promotion"}, {`{"capacity":1,"promotion":""}`, "promotion"},
		{`{"capacity":1,"promotion":"offer"}`, "answer_seconds"}, {`{"capacity":1,"answer_seconds":60}`, "answer_seconds"},
		{`{"capacity":1,"promotion":"offer","answer_seconds":0}`, "answer_seconds"}, {`{"capacity":1,"promotion":"offer","answer_seconds":7776001}`, "answer_seconds"},
		{`{"capacity":1,"promotion":"offer","answer_seconds":1.5}`, "answer_seconds"}, {`{"capacity":1,"group":"a b"}`, "group"}, {`{"capacity":1,"group":".."}`, "group"},
		{`{"capacity":1,"group":""}`, "group"}, {`{"capacity":1,"group":"` + strings.Repeat("g", 129) + `"}`, "group"}, {`{"capacity":1,"order":"lottery"}`, "opens_at"},
		{`{"capacity":1,"order":"random"}`, "order"}, {`{"capacity":1,"data":null}`, "data"}, {`{"capacity":1,"data":"` + strings.Repeat("d", 17000) + `"}`, "data"},
		{`{"capacity":1,"data":{"a":1,"a":1}}`, "data.a"}, {`{"capacity":1,"pool":"c1"}`, "pool"},
	}...)...)
	list = append(list, bodies(realmPut, [][2]string{
		{`{"max_seats_per_person":0}`, "max_seats_per_person"}, {`{"max_seats_per_person":1001}`, "max_seats_per_person"}, {`{"max_seats_per_person":"3"}`, "max_seats_per_person"},
		{`{"max_seats_per_person":null}`, "max_seats_per_person"}, {`{"max_waits_per_person":-1}`, "max_waits_per_person"}, {`{"max_waits_per_person":1001}`, "max_waits_per_person"},
		{`{"max_waits_per_person":2.0}`, "max_waits_per_person"}, {`{"name":"spring"}`, "name"},
	}...)...)
	list = append(list, bodies(claimPut, [][2]string{{`{"if_seq":-1}`, "if_seq"}, {`{"if_seq":"1"}`, "if_seq"}, {`{"if_seq":null}`, "if_seq"}, {`{"if_seq":9223372036854775808}`, "if_seq"}, {`{"person":"ann"}`, "person"}}...)...)
	list = append(list, bodies(acceptTo, [][2]string{{``, "offer"}, {`{}`, "offer"}, {`{"offer":0}`, "offer"}, {`{"offer":-4}`, "offer"}, {`{"offer":"4"}`, "offer"}, {`{"offer":4,"x":1}`, "x"}}...)...)
	list = append(list, bodies(override, [][2]string{
		{``, "action"}, {`{"action":"seat"}`, "reason"}, {`{"action":"seat","reason":""}`, "reason"}, {`{"action":"sit","reason":"x"}`, "action"}, {`{"action":1,"reason":"x"}`, "action"},
		{`{"action":"seat","reason":"` + strings.Repeat("r", 1001) + `"}`, "reason"}, {`{"action":"seat","reason":"x","by":"` + strings.Repeat("b", 1001) + `"}`, "by"},
		{`{"action":"seat","reason":"x","by":7}`, "by"}, {`{"action":"seat","reason":"a\u0000b"}`, "body"},
	}...)...)
	return append(list, bodies(basketTo, [][2]string{
		{``, "person"}, {`{"person":"ann"}`, "mode"}, {`{"person":"ann","mode":"all"}`, "items"}, {`{"person":"ann","mode":"all","items":[]}`, "items"},
		{`{"person":"a b","mode":"all","items":[{"pool":"c1"}]}`, "person"}, {`{"person":"ann","mode":"some","items":[{"pool":"c1"}]}`, "mode"},
		{`{"person":"ann","mode":"all","items":{"pool":"c1"}}`, "items"}, {`{"person":"ann","mode":"all","items":["c1"]}`, "items[0]"},
		{`{"person":"ann","mode":"all","items":[{}]}`, "items[0].pool"}, {`{"person":"ann","mode":"all","items":[{"pool":"c1"},{"pool":""}]}`, "items[1].pool"},
		{`{"person":"ann","mode":"all","items":[{"pool":"c1"},{"pool":"c1"}]}`, "items[1].pool"}, {`{"person":"ann","mode":"all","items":[{"pool":"c1"},{"pool":"a/b"}]}`, "items[1].pool"},
		{`{"person":"ann","mode":"all","items":[{"pool":"c1","swap":"c1"}]}`, "items[0].swap"}, {`{"person":"ann","mode":"all","items":[{"pool":"c1","swap":""}]}`, "items[0].swap"},
		{`{"person":"ann","mode":"all","items":[{"pool":"c1","swap":3}]}`, "items[0].swap"}, {`{"person":"ann","mode":"all","items":[{"pool":"c1","if_seq":-1}]}`, "items[0].if_seq"},
		{`{"person":"ann","mode":"all","items":[{"pool":"c1","seat":4}]}`, "items[0].seat"}, {`{"person":"ann","mode":"all","items":[{"pool":"c1","pool":"c2"}]}`, "items[0].pool"},
		{`{"person":"ann","mode":"all","items":[` + strings.Repeat(`{"pool":"c1"},`, 32) + `{"pool":"c1"}]}`, "items"},
	}...)...)
}

func badRequests() (list []bad) {
	at := func(request string, status int, code, field string) bad {
		return bad{request: request, status: status, code: code, field: field}
	}
	long := strings.Repeat("x", 129)
	list = []bad{
		at("PUT "+c1+"/claims/a%20b", 400, "malformed", "person"), at("PUT "+c1+"/claims/a%2Fb", 400, "malformed", "person"),
		at("PUT "+c1+"/claims/"+long, 400, "malformed", "person"), at("PUT "+c1+"/claims/a%00b", 400, "malformed", "person"),
		at("PUT "+c1+"/claims/%C3%A9", 400, "malformed", "person"), at("PUT "+c1+"/claims/a;b", 400, "malformed", "person"),
		at("PUT "+c1+"/claims/..", 404, "not_found", ""), at("PUT "+c1+"/claims/.", 404, "not_found", ""),
		at("PUT /v1/realms/sp%20ring/pools/c1/claims/ann", 400, "malformed", "realm"), at("PUT /v1/realms/spring/pools/c%221/claims/ann", 400, "malformed", "pool"),
		at("PUT /v1/realms/spring/pools//claims/ann", 404, "not_found", ""), at("PUT /v1/realms/spring/pools/c1/claims/", 404, "not_found", ""),
		at("PUT /v1/realms/nowhere/pools/c1/claims/ann", 404, "unknown_realm", ""), at("PUT /v1/realms/spring/pools/nowhere/claims/ann", 404, "unknown_pool", ""),
		at("GET /v1/realms/spring/pools/nowhere/claims/ann", 404, "unknown_pool", ""), at("DELETE /v1/realms/spring/pools/nowhere/claims/ann", 404, "unknown_pool", ""),
		at("GET /v1/realms/nowhere/pools", 404, "unknown_realm", ""), at("GET /v1/realms/nowhere/people/ann", 404, "unknown_realm", ""),
		at("GET /v1/realms/nowhere/events", 404, "unknown_realm", ""), at("GET /v1/realms/spring/pools/nowhere", 404, "unknown_pool", ""),
		at("GET /v1/realms/spring/pools/nowhere/claims", 404, "unknown_pool", ""), at("GET /v1/realms/spring/pools?after=nowhere", 404, "unknown_pool", ""),
		at("GET /v1/realms?after=nowhere", 404, "unknown_realm", ""), at("GET /", 404, "not_found", ""), at("GET /v2/realms", 404, "not_found", ""),
		at("POST "+c1+"/claims/ann", 405, "method_not_allowed", ""), at("PATCH "+c1, 405, "method_not_allowed", ""), at("DELETE "+c1, 405, "method_not_allowed", ""),
		at("GET "+c1+"/claims/ann/accept", 405, "method_not_allowed", ""), at("GET /v1/realms/spring/baskets", 405, "method_not_allowed", ""),
		at("PUT "+c1+"/claims/ann?wait=forever", 400, "malformed", "wait"), at("PUT "+c1+"/claims/ann?wait=", 400, "malformed", "wait"),
		at("PUT "+c1+"/claims/ann?wait=none&wait=none", 400, "malformed", "wait"), at("PUT "+c1+"/claims/ann?Wait=none", 400, "malformed", "Wait"),
		at("PUT "+c1+"/claims/ann?surplus=1", 400, "malformed", "surplus"), at("PUT "+c1+"/claims/ann?timeout=0", 400, "malformed", "timeout"),
		at("PUT "+c1+"/claims/ann?timeout=61s", 400, "malformed", "timeout"), at("PUT "+c1+"/claims/ann?timeout=-1s", 400, "malformed", "timeout"),
		at("PUT "+c1+"/claims/ann?timeout=soon", 400, "malformed", "timeout"), at("PUT "+c1+"/claims/ann?timeout=", 400, "malformed", "timeout"),
		at("PUT "+c1+"/claims/ann?a=%zz", 400, "malformed", "query"), at("PUT "+c1+"/claims/ann?a;b", 400, "malformed", "query"),
		at(rosterGet+"?limit=0", 400, "malformed", "limit"), at(rosterGet+"?limit=1001", 400, "malformed", "limit"), at(rosterGet+"?limit=x", 400, "malformed", "limit"),
		at(rosterGet+"?after=-1", 400, "malformed", "after"), at(rosterGet+"?after=4294967296", 400, "malformed", "after"), at(rosterGet+"?status=sitting", 400, "malformed", "status"),
		at(rosterGet+"?status=none", 400, "malformed", "status"), at(rosterGet+"?status=", 400, "malformed", "status"), at(rosterGet+"?format=xml", 400, "malformed", "format"),
		at("GET /v1/realms/spring/pools?after=a%20b", 400, "malformed", "after"), at("GET /v1/realms/spring/pools?limit=1e3", 400, "malformed", "limit"),
		at("GET /v1/realms/spring/events?after=x", 400, "malformed", "after"), at("GET /v1/realms/spring/events?follow=perhaps", 400, "malformed", "follow"),
		at("GET /v1/realms/spring/events?limit=0", 400, "malformed", "limit"), at("GET /v1/realms/spring/events?wait=none", 400, "malformed", "wait"),
		at("GET /v1/realms/spring/events?after=999999", 409, "other_log", ""), at("GET /v1/realms/spring/events?log=00", 409, "other_log", ""),
		at("GET /healthz?verbose=1", 400, "malformed", "verbose"), at("GET /v1/log?x=1", 400, "malformed", "x"),
	}
	with := func(request, header, body string, status int, code, field string) {
		list = append(list, bad{request, body, header, status, code, field})
	}
	for _, tag := range []string{"4711", `W/"1"`, `"x"`, `""`, `"1","2"`, "*", `"-1"`, `"1`, `""1""`} {
		with(claimPut, "If-Match: "+tag, "", 400, "malformed", "If-Match")
	}
	with(claimPut, `If-None-Match: "1"`, "", 400, "malformed", "If-None-Match")
	with(claimPut, `If-Match: "1"`, `{"if_seq":2}`, 400, "malformed", "if_seq")
	with(claimDel, `If-None-Match: *`, `{"if_seq":2}`, 400, "malformed", "if_seq")
	with("GET /v1/realms/spring/events", "Last-Event-ID: x", "", 400, "malformed", "Last-Event-ID")
	with(claimPut, "Content-Type: text/plain", `{}`, 415, "unsupported_media_type", "")
	with(claimPut, "Content-Type: application/x-www-form-urlencoded", `{}`, 415, "unsupported_media_type", "")
	with(claimPut, "Content-Type: application/json; charset=latin1", `{}`, 415, "unsupported_media_type", "")
	with(poolPut, "", `{"capacity":1,"data":"`+strings.Repeat("d", 66000)+`"}`, 413, "too_large", "")
	with(claimPut, "", strings.Repeat(" ", 65537), 413, "too_large", "")
	with(claimPut, "Host: evil.example", "", 403, "forbidden", "")
	with(claimPut, "Host: 10.0.0.1:8080", "", 403, "forbidden", "")
	with(claimPut, "Host: localhost.evil.example", "", 403, "forbidden", "")
	with(claimPut, "Origin: https://evil.example", "", 403, "forbidden", "")
	with(claimPut, "Sec-Fetch-Site: cross-site", "", 403, "forbidden", "")
	return list
}

// TestBadInput: each gets its status and code, and the field is named, and nothing changes.
func TestBadInput(t *testing.T) {
	w := newWorld(t, nil)
	w.term()
	list := append(badBodies(), badRequests()...)
	if len(list) < 150 {
		t.Errorf("%d bad inputs, want 150", len(list))
	}
	w.refuseAll(list)
}

// refuseAll asks each, and sees that it is refused as it should be.
func (w *world) refuseAll(list []bad) {
	t := w.t
	t.Helper()
	head := w.head()
	for _, b := range list {
		method, target, _ := strings.Cut(b.request, " ")
		name, value, _ := strings.Cut(b.header, ": ")
		header := []string{name, value}
		if name == "" {
			header = nil
		}
		r := w.do(method, target, b.body, header...)
		got := fmt.Sprintf("%d %s %s", r.Code, r.text("code"), r.text("field"))
		if want := fmt.Sprintf("%d %s %s", b.status, b.code, b.field); got != want {
			t.Errorf("%s %.80q %s: %s, want %s\n%s", b.request, b.body, b.header, got, want, r.Body)
		}
		if r.Code != 404 && r.text("detail") == "" {
			t.Errorf("%s %.80q: no detail: %s", b.request, b.body, r.Body)
		}
		if now := w.head(); now != head {
			t.Fatalf("%s %.80q changed something: the head went from %d to %d", b.request, b.body, head, now)
		}
	}
	t.Logf("%d bad inputs", len(list))
}
