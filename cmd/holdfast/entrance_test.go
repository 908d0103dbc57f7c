package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// forge writes a certificate for this machine that is signed by itself.
func forge(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "holdfast"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, like, like, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestServeWithKeysAndTLS: beyond loopback, with a certificate that is made up; without a token nobody is served.
func TestServeWithKeysAndTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, _, code := cli(t, "key", "create", "--role", "admin", "--data", dir)
	if code != 0 {
		t.Fatal(out)
	}
	token := strings.TrimSpace(out)
	cert, key := forge(t, t.TempDir(), 1)
	c := startServer(t, dir, "--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key, "--origin", "https://portal.example.edu", "--log-level", "debug")
	expect(t, "the greeting", c.url, "https://")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(c.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	ask := func(method, path, token string) (int, string) {
		req, err := http.NewRequest(method, "https://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Proto
	}
	for _, q := range []struct {
		method, path, token string
		status              int
	}{{"GET", "/healthz", "", 200}, {"GET", "/v1/realms", "", 401}, {"GET", "/v1/realms", "hf_x", 401}, {"PUT", "/v1/realms/spring", token, 200}, {"GET", "/v1/realms", token, 200}} {
		if status, proto := ask(q.method, q.path, q.token); status != q.status || proto != "HTTP/2.0" {
			t.Errorf("%s %s: %d over %s, want %d over HTTP/2.0", q.method, q.path, status, proto, q.status)
		}
	}
	client.CloseIdleConnections()
	if code := c.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, c.stderr)
	}
	expect(t, "the greeting", c.stdout.String(), "who asks", "API keys ("+filepath.Join(dir, "keys.json")+")", "https://localhost:"+port+"/v1/realms\n")
	if !strings.Contains(c.stderr.String(), "a token was refused") || strings.Contains(c.stderr.String(), token) {
		t.Errorf("the log at debug level: %s", c.stderr)
	}
}

// TestPersonRate: a person's token may claim as often as the flags say.
func TestPersonRate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create := func(args ...string) string {
		out, _, code := cli(t, append([]string{"key", "create", "--data", dir}, args...)...)
		if code != 0 {
			t.Fatal(out)
		}
		return strings.TrimSpace(out)
	}
	admin, ada := create("--role", "admin"), create("--role", "person", "--realm", "spring", "--person", "ada")
	c := startServer(t, dir, "--database", "none", "--person-rate", "0.001", "--person-burst", "2")
	ask := func(method, path, token, body string) int {
		req, err := http.NewRequest(method, c.url+"/v1/realms/spring"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	const claim = "/pools/c1/claims/ada"
	for i, step := range []struct {
		method, path, token, body string
		want                      int
	}{
		{"PUT", "", admin, "", 200}, {"PUT", "/pools/c1", admin, `{"capacity":1}`, 200},
		{"PUT", claim, ada, "", 200}, {"PUT", claim, ada, "", 200}, {"PUT", claim, ada, "", 429},
		{"GET", claim, ada, "", 200}, {"DELETE", claim, ada, "", 200}, {"PUT", claim, admin, "", 200},
	} {
		if got := ask(step.method, step.path, step.token, step.body); got != step.want {
			t.Errorf("step %d, %s %s: %d, want %d", i, step.method, step.path, got, step.want)
		}
	}
}

// TestServeRefuses: what would leave the door open, or was not thought to the end, does not start, and says why.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	keyed := t.TempDir()
	if out, _, code := cli(t, "key", "create", "--role", "admin", "--data", keyed); code != 0 {
		t.Fatal(out)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--data", t.TempDir(), "--listen", "0.0.0.0:0"}, "loopback"},
		{[]string{"--data", keyed, "--listen", "0.0.0.0:0"}, "TLS"},
		{[]string{"--data", keyed, "--listen", ":0"}, "TLS"},
		{[]string{"--data", t.TempDir(), "--listen", "0.0.0.0:0", "--plain-http-behind-a-proxy"}, "authentication"},
		{[]string{"--data", keyed, "--tls-cert", "x"}, "--tls-key"},
		{[]string{"--data", keyed, "--tls-cert", "nowhere", "--tls-key", "nowhere"}, "nowhere"},
		{[]string{"--data", keyed, "--origin", "*"}, "origin"},
		{[]string{"--data", keyed, "--jwt-secret", secret}, "Issuer"},
		{[]string{"--data", keyed, "--jwt-issuer", "x"}, "JWKS"},
		{[]string{"--data", keyed, "--person-rate", "0"}, "--person-rate"},
		{[]string{"--data", keyed, "--person-rate", "NaN"}, "--person-rate"},
		{[]string{"--data", keyed, "--person-burst", "10000000"}, "--person-burst"},
		{[]string{"--data", keyed, "--jwt-person-claim", "upn"}, "--jwt-secret"},
		{[]string{"--data", keyed, "--max-in-flight", "0"}, "--max-in-flight"},
		{[]string{"--data", keyed, "--log-level", "loud"}, "--log-level"},
		{[]string{"--data", keyed, "--log-format", "loud"}, "--log-format"},
	} {
		_, stderr, code := cli(t, append([]string{"serve", "--database", "none"}, c.args...)...)
		if code == 0 || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit code %d, %q; want a word of %q", c.args, code, stderr, c.says)
		}
	}
}

// TestCertificateIsRenewed: new files are used without a restart; damaged ones are not.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := forge(t, dir, 1)
	logger := slog.New(slog.DiscardHandler)
	cfg, err := newTLS(cert, key, logger)
	if err != nil || cfg.MinVersion != tls.VersionTLS12 {
		t.Fatal(err, cfg)
	}
	c := &certificate{cert: cert, key: key, logger: logger}
	now := time.Now()
	serial := func() int64 {
		now = now.Add(lookEvery)
		return c.get(now).Leaf.SerialNumber.Int64()
	}
	if serial() != 1 {
		t.Error("the first certificate is not in use")
	}
	forge(t, dir, 2)
	if serial() != 2 {
		t.Error("the renewed certificate is not in use")
	}
	if err := os.WriteFile(cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial() != 2 {
		t.Error("a damaged file took the certificate away")
	}
	os.Remove(cert)
	if serial() != 2 {
		t.Error("a missing file took the certificate away")
	}
	forge(t, dir, 3)
	if serial() != 3 {
		t.Error("the certificate that was repaired is not in use")
	}
}

// TestFilesBoundConnections: who does not fit is told so, and the log keeps the files that it needs.
func TestFilesBoundConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wanted, files, want int
		warned              bool
	}{{100_000, 1024, 960, true}, {960, 1024, 960, false}, {961, 1024, 960, true}, {100_000, 0, 100_000, false}, {5, 10, 1, true}} {
		var told strings.Builder
		got := connections(c.wanted, c.files, slog.New(slog.NewTextHandler(&told, nil)))
		if got != c.want || strings.Contains(told.String(), "limit of open files") != c.warned {
			t.Errorf("%d with %d files: %d, told %q; want %d", c.wanted, c.files, got, told.String(), c.want)
		}
	}
	if n := openFiles(); n < 64 {
		t.Errorf("this process may open %d files?", n)
	}
}
