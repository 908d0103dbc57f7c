package play

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

func TestConnReadsWhatServersSend(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("seat ", 5_000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/chunked":
			for i := range 5 {
				fmt.Fprint(w, long[i*5_000:(i+1)*5_000])
				_ = http.NewResponseController(w).Flush()
			}
		case "/length":
			fmt.Fprint(w, r.Method, r.ContentLength, r.Header.Get("If-None-Match"))
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/last":
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	a, err := ParseAddress(s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []struct {
		q      Request
		status int
		body   string
		last   bool
	}{
		{Request{Method: "GET", Path: []byte("/length")}, 200, "GET0", false},
		{Request{Method: "PUT", Path: []byte("/length"), Extra: "If-None-Match: *\r\n"}, 200, "PUT0*", false},
		{Request{Method: "GET", Path: []byte("/chunked")}, 200, long, false},
		{Request{Method: "POST", Path: []byte("/length"), Body: []byte("{}")}, 200, "POST2", false},
		{Request{Method: "GET", Path: []byte("/none")}, 204, "", false},
		{Request{Method: "GET", Path: []byte("/last")}, 503, "", true},
	} {
		rep, err := c.Do(&step.q)
		if err != nil {
			t.Fatalf("%s: %v", step.q.Path, err)
		}
		if rep.Status != step.status || string(rep.Body) != step.body || rep.Last != step.last {
			t.Errorf("%s: %d, %d bytes, last %v", step.q.Path, rep.Status, len(rep.Body), rep.Last)
		}
		if rep.Last && rep.RetryAfter != 2*time.Second {
			t.Errorf("Retry-After is %v", rep.RetryAfter)
		}
	}
}

// FuzzReply: whatever a server sends, reading it ends and does not panic.
func FuzzReply(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\n: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := net.Pipe()
		defer near.Close()
		far.Close()
		c := &Conn{Conn: near, r: bufio.NewReader(strings.NewReader(string(sent)))}
		rep, err := c.read()
		if err == nil && len(rep.Body) > len(sent) {
			t.Fatalf("%d bytes of body from %d bytes", len(rep.Body), len(sent))
		}
	})
}

func TestWhenToComeBack(t *testing.T) {
	t.Parallel()
	whole := func(span time.Duration) time.Duration { return span }
	closed := func(code uint16, reason string) error { return &gws.CloseError{Code: code, Reason: []byte(reason)} }
	for name, c := range map[string]struct {
		err   error
		tries int
		wait  time.Duration // negative: never
	}{
		"broken":                {errors.New("reset"), 0, 20 * time.Millisecond},
		"broken again":          {errors.New("reset"), 3, 160 * time.Millisecond},
		"broken for long":       {errors.New("reset"), 1_000, 5 * time.Second},
		"restart":               {closed(1012, `{"delay_ms":1234}`), 5, 1234 * time.Millisecond},
		"restart without":       {closed(1012, ``), 1, 40 * time.Millisecond},
		"crowded":               {closed(1013, `{"delay_ms":7}`), 0, 7 * time.Millisecond},
		"going away":            {closed(1001, ``), 0, 20 * time.Millisecond},
		"too slow":              {closed(4500, ``), 0, 20 * time.Millisecond},
		"failed":                {closed(4503, ``), 1, 40 * time.Millisecond},
		"not in time":           {closed(4408, ``), 0, 20 * time.Millisecond},
		"too often":             {closed(4429, ``), 0, time.Minute},
		"malformed":             {closed(4400, ``), 0, -1},
		"no token":              {closed(4401, ``), 0, -1},
		"no realm":              {closed(4404, ``), 0, -1},
		"too large":             {closed(1009, ``), 0, -1},
		"refused for good":      {&finalError{errors.New("404")}, 0, -1},
		"refused for some time": {&laterError{errors.New("503"), 2 * time.Second}, 9, 2500 * time.Millisecond},
	} {
		wait, err := ComeBack(c.err, whole, c.tries)
		if c.wait < 0 && err == nil || c.wait >= 0 && (err != nil || wait != c.wait) {
			t.Errorf("%s: back after %v, %v", name, wait, err)
		}
	}
}

func TestConnectionsComeFromSeveralAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host        string
		connections int
		want        string
	}{
		{"127.0.0.1:1", 20_000, "[]"},
		{"127.0.0.1:1", 40_000, "[127.0.0.2 127.0.0.3 127.0.0.4]"},
		{"192.0.2.1:1", 40_000, "[]"},
		{"[::1]:1", 40_000, "[]"},
		{"example.org:1", 40_000, "[]"},
	} {
		if got := fmt.Sprint(Sources(c.host, c.connections)); got != c.want {
			t.Errorf("%d connections to %s come from %s", c.connections, c.host, got)
		}
	}
}

func TestWordsAndNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) = %s", n, got)
		}
	}
	for ms, want := range map[float64]string{0.5: "0.50 ms", 12.34: "12.3 ms", 250: "250 ms", 4321: "4.32 s"} {
		if got := Duration(ms); got != want {
			t.Errorf("Duration(%v) = %s, want %s", ms, got, want)
		}
	}
	if got := Count(1, "wish") + ", " + Count(2, "wish") + ", " + Count(3, "seat"); got != "1 wish, 2 wishes, 3 seats" {
		t.Error(got)
	}
}
