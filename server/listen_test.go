package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast/auth"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// TestListenBeyondLoopback: only with authentication, and with TLS or a proxy that does it.
func TestListenBeyondLoopback(t *testing.T) {
	k := newLock(t)
	for _, c := range []struct {
		change func(*server.Config)
		says   string
	}{
		{func(*server.Config) {}, "authentication"},
		{func(cfg *server.Config) { cfg.TLS = &tls.Config{} }, "authentication"},
		{func(cfg *server.Config) { k.use(nil, cfg) }, "TLS"},
		{func(cfg *server.Config) { k.use(nil, cfg); cfg.TLS = &tls.Config{} }, ""},
		{func(cfg *server.Config) { k.use(nil, cfg); cfg.PlainHTTPBehindAProxy = true }, ""},
	} {
		for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
			cfg := server.DefaultConfig()
			c.change(&cfg)
			l, err := cfg.Listen(addr)
			if err == nil {
				l.Close()
			}
			if (err == nil) != (c.says == "") || (err != nil && !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %v, want %q", addr, err, c.says)
			}
		}
		cfg := server.DefaultConfig()
		c.change(&cfg)
		l, err := cfg.Listen("127.0.0.1:0")
		if err != nil {
			t.Errorf("loopback: %v", err)
			continue
		}
		l.Close()
	}
	// A listener from elsewhere does not get around it.
	w := newWorld(t, nil)
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.server.Serve(l); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("without authentication it served on %s: %v", l.Addr(), err)
	}
	keyed := newWorld(t, nil, k.use)
	if l, err = net.Listen("tcp", "0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	if err := keyed.server.Serve(l); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("with keys and without TLS it served on %s: %v", l.Addr(), err)
	}
	if _, err := server.New(w.engine, nil, func() server.Config {
		cfg := server.DefaultConfig()
		cfg.PlainHTTPBehindAProxy = true
		return cfg
	}()); err == nil {
		t.Error("PlainHTTPBehindAProxy was taken without authentication")
	}
}

// TestOrigins: pages of the list may ask, with what their browsers want to know; others may not; and nothing says *.
func TestOrigins(t *testing.T) {
	const portal, dev = "https://portal.example.edu", "http://localhost:5173"
	k := newLock(t)
	token := k.key(auth.Key{Role: auth.Admin})
	w := newWorld(t, nil, k.use, func(_ *memlog.Log, cfg *server.Config) { cfg.Origins = []string{portal, dev} })
	w.must(200, "PUT", "/v1/realms/spring", "", bearerOf(token)...)
	for _, c := range []struct {
		method, origin, fetch string
		status                int
	}{
		{"GET", portal, "cross-site", 200}, {"PUT", portal, "cross-site", 200}, {"PUT", dev, "", 200}, {"GET", "", "", 200}, {"PUT", "", "", 200},
		{"PUT", "http://localhost", "", 200}, // its own
		{"PUT", "https://inside.example.edu", "same-origin", 200},
		{"GET", "https://evil.example", "cross-site", 403}, {"PUT", "https://evil.example", "", 403}, {"GET", "null", "", 403}, {"PUT", "null", "", 403},
		{"GET", portal + ".evil.example", "", 403}, {"GET", "http://portal.example.edu", "", 403}, {"GET", portal + ":8443", "", 403}, {"GET", "HTTPS://PORTAL.EXAMPLE.EDU", "", 403},
		{"PUT", "", "cross-site", 403},
	} {
		header := append(bearerOf(token), "Origin", c.origin, "Sec-Fetch-Site", c.fetch)
		if c.fetch == "" {
			header = header[:4]
		}
		if c.origin == "" {
			header = append(bearerOf(token), header[4:]...)
		}
		r := w.do(c.method, "/v1/realms/spring", "", header...)
		allow := r.Header().Get("Access-Control-Allow-Origin")
		listed := c.origin == portal || c.origin == dev
		if r.Code != c.status || (allow != "") != listed || (listed && allow != c.origin) || r.Header().Get("Vary") != "Origin" {
			t.Errorf("%s from %q (%s): %d, Allow-Origin %q, Vary %q; want %d", c.method, c.origin, c.fetch, r.Code, allow, r.Header().Get("Vary"), c.status)
		}
		if expose := r.Header().Get("Access-Control-Expose-Headers"); listed && (!strings.Contains(expose, "ETag") || !strings.Contains(expose, "Retry-After")) {
			t.Errorf("exposed is %q", expose)
		}
		if r.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed: there are none but the token")
		}
	}
	if r := w.do("GET", "/v1/realms/spring", "", "Origin", portal); r.Code != 401 || r.Header().Get("Access-Control-Allow-Origin") != portal {
		t.Errorf("a page without a token gets %d, which it cannot read: %v", r.Code, r.Header())
	}
	if r := w.do("PUT", "/v1/realms/spring", "", append(bearerOf(token), "Origin", portal, "Origin", "https://evil.example")...); r.Code != 403 {
		t.Errorf("two origins at once get %d", r.Code)
	}
	testPreflight(t, w, portal)
}

// testPreflight: what a browser asks before it asks; it has no token then.
func testPreflight(t *testing.T, w *world, portal string) {
	t.Helper()
	for _, path := range []string{"/v1/realms/spring/pools/c1/claims/ann", "/v1/realms/spring/baskets", "/v1/realms/spring/events"} {
		r := w.raw("OPTIONS", path, "", "Origin", portal, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization,if-match")
		h := r.Header()
		if r.Code != 204 || h.Get("Access-Control-Allow-Origin") != portal || h.Get("Vary") != "Origin" || r.Body.Len() > 0 {
			t.Errorf("%s: %d %v", path, r.Code, h)
		}
		for _, name := range []string{"Authorization", "Content-Type", "If-Match", "If-None-Match", "Last-Event-ID"} {
			if !strings.Contains(h.Get("Access-Control-Allow-Headers"), name) {
				t.Errorf("%s may not be sent: %v", name, h)
			}
		}
		for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
			if !strings.Contains(h.Get("Access-Control-Allow-Methods"), method) {
				t.Errorf("%s may not be used: %v", method, h)
			}
		}
	}
	for _, origin := range []string{"https://evil.example", "null", ""} {
		r := w.raw("OPTIONS", "/v1/realms/spring/baskets", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		if r.Code == 204 || r.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: %d %v", origin, r.Code, r.Header())
		}
	}
}

// TestOriginsAreChecked: what no browser would ever send is an error at the start.
func TestOriginsAreChecked(t *testing.T) {
	w := newWorld(t, nil)
	for _, origin := range []string{"*", "https://*.example.edu", "https://", "portal.example.edu", "https://portal.example.edu/", "https://portal.example.edu/app", "https://Portal.example.edu",
		"https://portal.example.edu:443", "http://x:80", "null", "file://x", "https://u:p@x", "https://x?y", "https://x#y", ""} {
		cfg := server.DefaultConfig()
		cfg.Origins = []string{origin}
		if _, err := server.New(w.engine, nil, cfg); err == nil {
			t.Errorf("%q was taken for an origin", origin)
		}
	}
}

// TestTLS: HTTP/1.1 and HTTP/2 over a certificate that is made up; old versions of TLS and plain HTTP are refused.
func TestTLS(t *testing.T) {
	made := httptest.NewUnstartedServer(nil)
	made.StartTLS()
	certificate := made.TLS.Certificates[0]
	made.Close()
	k := newLock(t)
	w, url := live(t, k.use, func(_ *memlog.Log, cfg *server.Config) {
		cfg.TLS, cfg.MaxStreams = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, 3
	})
	_ = w
	addr := strings.TrimPrefix(url, "http://")
	for _, two := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: two}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + addr + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.StatusCode != 200 || (resp.ProtoMajor == 2) != two {
			t.Errorf("%d over %s", resp.StatusCode, resp.Proto)
		}
	}
	if conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was spoken")
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if line, _ := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(line, " 400 ") {
		t.Errorf("plain HTTP got %q", line)
	}
}
