package server_test

import (
	"slices"
	"strings"

	"holdfast/auth"
)

// desks asks with those who are of one desk, and with agents and clients where they may.
func (m *matrix) desks(method, path, target string, rank int, body string) {
	for role, token := range m.desk {
		may := slices.Index(ranks, role) >= rank || slices.Contains(m.also, string(role))
		party := slices.Contains(m.also, string(role))
		own := body
		if party && partyBody[m.op] != "" {
			own = partyBody[m.op]
		}
		switch {
		case !ofDesks(path) || !may:
			m.deny("desk", 403, "forbidden", method, target, body, bearerOf(token)...)
			m.deny("desk", 403, "forbidden", method, target, body, bearerOf(m.other[role])...)
			continue
		case party:
			m.right("party", method, target, own, m.tokens[role])
			m.foreign(method, path, own, m.autumn[role])
		}
		m.right("own desk", method, target, own, token)
		if strings.Contains(path, "{desk}") {
			m.otherDesk(method, path, own, m.other[role])
		}
	}
}

// otherDesk asks with a token of sales for help, which is there, and for nowhere, which is not: byte for byte the same.
func (m *matrix) otherDesk(method, path, body, token string) {
	m.t.Helper()
	m.asked["other desk"]++
	m.denied++
	answer := func(desk string) string {
		head := m.head()
		target := byHand(path, "spring", desk)
		r := m.do(method, target, body, bearerOf(token)...)
		if r.Code != 404 || r.text("code") != "unknown_desk" {
			m.t.Errorf("other desk: %s %s: %d %s, want 404 unknown_desk", method, target, r.Code, r.Body)
		}
		if m.head() != head {
			m.t.Errorf("other desk: %s %s changed something", method, target)
		}
		return strings.ReplaceAll(strings.ReplaceAll(r.Body.String(), `"`+desk+`"`, "DESK"), r.text("at"), "AT")
	}
	there, absent := answer("help"), answer("nowhere")
	if there != absent {
		m.t.Errorf("other desk: %s %s tells whether it is there:\n%s\n%s", method, path, there, absent)
	}
	if m.op == "putDesk" {
		return
	}
	r := m.do(method, byHand(path, "spring", "nowhere"), bodyOf[m.op], bearerOf(m.shard[auth.Admin])...)
	if text := strings.ReplaceAll(strings.ReplaceAll(r.Body.String(), `"nowhere"`, "DESK"), r.text("at"), "AT"); text != there {
		m.t.Errorf("other desk: %s %s is not what a desk says that is not there:\n%s\n%s", method, path, there, text)
	}
}
