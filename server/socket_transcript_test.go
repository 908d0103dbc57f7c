package server_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"holdfast/internal/memlog"
	"holdfast/server"
)

var update = flag.Bool("update", false, "write what the server says into docs/PROTOCOL.md")

const protocolPage = "../docs/PROTOCOL.md"

// transcripts begin a transcript on the page, with what is there before it.
var transcripts = map[string]func(*served){
	"```transcript\n": func(s *served) {
		s.must(200, "PUT", "/v1/realms/spring/pools/c0101", `{"capacity":1}`)
	},
	"```transcript desk\n": func(s *served) {
		s.must(200, "PUT", "/v1/realms/spring/desks/acme", `{"topics":["tax"]}`)
		s.must(200, "PUT", "/v1/realms/spring/desks/acme/agents/eve", "")
		time.Sleep(2 * time.Second)
	},
}

// TestTranscript replays the transcripts of docs/PROTOCOL.md: what is said is sent, and all that is heard stands there. Times and the log's
// id are its own. What comes between two messages is compared without its order.
func TestTranscript(t *testing.T) {
	for fence, before := range transcripts {
		page, err := os.ReadFile(protocolPage)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, found := strings.Cut(string(page), fence)
		script, after, ended := strings.Cut(rest, "```\n")
		if !found || !ended {
			t.Fatal("the page lacks a transcript")
		}
		var got string
		synctest.Test(t, func(t *testing.T) { got = replay(t, script, before) })
		if *update {
			if err := os.WriteFile(protocolPage, []byte(head+fence+got+"```\n"+after), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if masked(got) != masked(script) {
			t.Errorf("the server says otherwise than the page (-update writes it there):\n%s", got)
		}
		if n := strings.Count(script, "< "); n < 12 {
			t.Errorf("only %d messages are heard in the transcript", n)
		}
	}
}

// replay says what the script says, and writes down what is heard.
func replay(t *testing.T, script string, before func(*served)) string {
	s := serve(t, nil, func(l *memlog.Log, _ *server.Config) {
		l.Gate = func(uint64, int) error { time.Sleep(time.Millisecond); return nil } // a sync takes its time: both answers come
	})
	s.must(200, "PUT", "/v1/realms/spring", "")
	before(s)
	heard := make(chan string, 100)
	phones := map[string]*websocket.Conn{}
	var out strings.Builder
	for line := range strings.Lines(script) {
		who, message, said := strings.Cut(strings.TrimSuffix(line, "\n"), "> ")
		if !said {
			continue
		}
		if phones[who] == nil {
			phones[who] = s.connect("spring").conn
			go func() {
				for {
					_, frame, err := phones[who].Read(t.Context())
					if err != nil {
						if code := websocket.CloseStatus(err); code > 0 {
							heard <- fmt.Sprintf("%s< (closed with %d)\n", who, code)
						}
						return
					}
					for m := range bytes.Lines(frame) {
						heard <- who + "< " + strings.TrimSuffix(string(m), "\n") + "\n"
					}
				}
			}()
		}
		out.WriteString(line)
		if err := phones[who].Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // counts are told four times a second
		synctest.Wait()
		lines := []string{}
		for len(heard) > 0 {
			lines = append(lines, <-heard)
		}
		slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(a[:3], b[:3]) })
		out.WriteString(strings.Join(lines, ""))
	}
	return out.String()
}

var own = regexp.MustCompile(`"(at|time|log|opens_at|made|expires|deadline|idle_since|not_before|began|ended)":"[^"]*"|"(retry_after|remaining)_ms":\d+`)

// masked is a transcript without what is another each time.
func masked(script string) string {
	groups, heard := strings.Builder{}, []string{}
	flush := func() {
		slices.Sort(heard)
		groups.WriteString(strings.Join(heard, ""))
		heard = heard[:0]
	}
	for line := range strings.Lines(own.ReplaceAllString(script, "$1")) {
		if strings.Contains(line[:min(6, len(line))], "> ") {
			flush()
			groups.WriteString(line)
		} else {
			heard = append(heard, line)
		}
	}
	flush()
	return groups.String()
}

// TestTranscriptMessages: every example on the page that looks like a message is JSON.
func TestTranscriptMessages(t *testing.T) {
	page, err := os.ReadFile(protocolPage)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		if example, ok := strings.CutPrefix(line, "    {"); ok {
			if n++; !json.Valid([]byte("{" + example)) {
				t.Errorf("not JSON: %s", line)
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d examples", n)
	}
}
