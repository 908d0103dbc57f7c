package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Listen opens a listener on a loopback address, such as "127.0.0.1:8080", "[::1]:8080" or "localhost:8080". Any other is
// refused: there is no authentication yet, so whoever reaches the port may claim for anybody and change everything.
func Listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want HOST:PORT, such as 127.0.0.1:8080: %w", addr, err)
	}
	ips, err := loopback(host)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	// The address that was looked at is the one that is opened: the name is not resolved twice.
	l, err := net.Listen("tcp", net.JoinHostPort(ips[0].String(), port))
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	return l, nil
}

const onlyLoopback = "Holdfast has no authentication yet, so it listens on loopback only (127.0.0.1, [::1] or localhost): " +
	"whoever reaches the port may do everything. Listen on 127.0.0.1 and put what authenticates, such as your own backend, on the same machine"

// loopback gives the addresses of a host when all of them are loopback ones, IPv4 first.
func loopback(host string) ([]netip.Addr, error) {
	if host == "" {
		return nil, fmt.Errorf("no host means every address of this machine. %s", onlyLoopback)
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
			return nil, fmt.Errorf("%s is not a loopback address. %s", ip, onlyLoopback)
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
