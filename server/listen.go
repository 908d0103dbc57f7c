package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Listen opens a listener on a loopback address, such as "127.0.0.1:8080", "[::1]:8080" or "localhost:8080". Any other is
// refused: without authentication whoever reaches the port may claim for anybody and change everything.
func Listen(addr string) (net.Listener, error) { return new(Config).Listen(addr) }

// Listen opens a listener on addr, HOST:PORT. Beyond loopback it does so only with Auth, and with TLS or PlainHTTPBehindAProxy; no host is then every
// address of this machine.
func (c *Config) Listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want HOST:PORT, such as 127.0.0.1:8080: %w", addr, err)
	}
	if why := c.confined(); why != "" {
		ips, err := loopback(host)
		if err != nil {
			return nil, fmt.Errorf("listen on %q: %w. %s", addr, err, why)
		}
		host = ips[0].String() // the address that was looked at is the one that is opened: the name is not resolved twice
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	return l, nil
}

// confined says why the server may listen on loopback only; empty = it may listen anywhere.
func (c *Config) confined() string {
	switch {
	case c.Auth == nil:
		return onlyLoopback
	case c.TLS == nil && !c.PlainHTTPBehindAProxy:
		return onlySecret
	}
	return ""
}

const (
	onlyLoopback = "Without authentication Holdfast listens on loopback only (127.0.0.1, [::1] or localhost): " +
		"whoever reaches the port may do everything. Configure keys or tokens, or listen on 127.0.0.1 and put what authenticates, such as your own backend, on the same machine"
	onlySecret = "Without TLS Holdfast listens on loopback only: tokens would cross the network readable. Give it a certificate, or say that a proxy in front of it does the TLS"
)

// loopback gives the addresses of a host when all of them are loopback ones, IPv4 first.
func loopback(host string) ([]netip.Addr, error) {
	if host == "" {
		return nil, fmt.Errorf("no host means every address of this machine")
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = net.DefaultResolver.LookupNetIP(context.Background(), "ip", host); err != nil {
		return nil, err
	}
	first := 0
	for i, ip := range ips {
		if !ip.Unmap().IsLoopback() {
			return nil, fmt.Errorf("%s is not a loopback address", ip)
		}
		if ip.Unmap().Is4() && !ips[first].Unmap().Is4() {
			first = i
		}
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	ips[0], ips[first] = ips[first], ips[0]
	return ips, nil
}

// localHost says whether a Host header names this machine. Without this a page of any origin could reach the server
// through a name of its own that resolves to 127.0.0.1 (DNS rebinding).
func localHost(host string) bool {
	if strings.HasPrefix(host, "[") { // IPv6, with or without a port
		host, _, _ = strings.Cut(host[1:], "]")
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
