package play

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/lxzan/gws"
)

// Address is where a server listens.
type Address struct {
	Host   string // host:port to dial
	Name   string // the Host header
	Prefix string // path before /v1
	TLS    bool
	Token  string // empty = none
}

// ParseAddress reads the URL of a server.
func ParseAddress(target, token string) (Address, error) {
	u, err := url.Parse(target)
	if err != nil {
		return Address{}, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	prefix := u.EscapedPath()
	for len(prefix) > 0 && prefix[len(prefix)-1] == '/' {
		prefix = prefix[:len(prefix)-1]
	}
	return Address{Host: net.JoinHostPort(u.Hostname(), port), Name: u.Host, Prefix: prefix, TLS: u.Scheme == "https", Token: token}, nil
}

// DialRaw opens a connection; from is the local address, nil = whatever the system takes.
func DialRaw(ctx context.Context, a Address, from net.Addr) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: from}
	nc, err := d.DialContext(ctx, "tcp", a.Host)
	if err != nil || !a.TLS {
		return nc, err
	}
	name, _, _ := net.SplitHostPort(a.Host)
	t := tls.Client(nc, &tls.Config{ServerName: name, NextProtos: []string{"http/1.1"}})
	if err := t.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return t, nil
}

// WebSocket is how a realm's WebSocket is opened. Every field is set, so that gws changes none of a copy.
func (a *Address) WebSocket(realm string) gws.ClientOption {
	scheme := "ws://"
	if a.TLS {
		scheme = "wss://"
	}
	header := http.Header{"User-Agent": {"holdfast-play"}}
	if a.Token != "" {
		header.Set("Authorization", "Bearer "+a.Token)
	}
	return gws.ClientOption{
		Addr: scheme + a.Name + a.Prefix + "/v1/realms/" + realm + "/ws", RequestHeader: header,
		ReadBufferSize: 512, ReadMaxPayloadSize: 1 << 20, WriteMaxPayloadSize: 16 << 10, ParallelGolimit: 1,
		HandshakeTimeout: 20 * time.Second, NewSession: func() gws.SessionStorage { return nil },
	}
}

// portsEach is how many connections one local address is trusted to have: Linux has 28,232 ports for them by default.
const portsEach = 20_000

// Sources gives the local addresses needed for so many connections. Only loopback has more than one.
func Sources(host string, connections int) (ips []net.IP) {
	name, _, _ := net.SplitHostPort(host)
	ip := net.ParseIP(name)
	if connections <= portsEach || ip == nil || !ip.IsLoopback() || ip.To4() == nil {
		return nil
	}
	for i := range connections/portsEach + 1 {
		ips = append(ips, net.IPv4(127, 0, 0, byte(2+i)))
	}
	return ips
}
