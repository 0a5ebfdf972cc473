package outside

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// How an exchange gets its connection.
const (
	connectTimeout = 10 * time.Second
	headStart      = 250 * time.Millisecond // of one address before the next (RFC 8305 section 5)
	maxTargets     = 6
)

// targets returns where to connect, IPv6 and IPv4 in turn (RFC 8305 section 4). Only
// what stands here is ever connected to, so that a name cannot be another address by
// then.
func (f *Fetcher) targets(ctx context.Context, host string, port uint16, public bool) ([]netip.AddrPort, error) {
	ips, _, err := f.options.Resolver.Addresses(ctx, host)
	switch {
	case err != nil:
		return nil, err
	case len(ips) == 0:
		return nil, ErrNoAddress
	}
	var families [2][]netip.AddrPort
	for _, ip := range ips {
		if public && f.options.Local(ip) != "" {
			continue
		}
		family := 0
		if ip.Is4() {
			family = 1
		}
		families[family] = append(families[family], netip.AddrPortFrom(ip, port))
	}
	var targets []netip.AddrPort
	for i := range ips {
		for _, family := range families {
			if i < len(family) && len(targets) < maxTargets {
				targets = append(targets, family[i])
			}
		}
	}
	if len(targets) == 0 {
		return nil, ErrNotPublic
	}
	return targets, nil
}

// connected is what became of connecting to one address.
type connected struct {
	conn net.Conn
	at   netip.AddrPort
	err  error
}

// dial connects to the first that answers. Each has a head start before the next is
// tried beside it, as in clients: one address that is dead must not look like a slow
// server.
func (f *Fetcher) dial(ctx context.Context, targets []netip.AddrPort) (net.Conn, netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	outcomes := make(chan connected)
	start := time.NewTimer(0)
	defer start.Stop()
	var failed *connected
	for next, open := 0, 0; next < len(targets) || open > 0; {
		select {
		case <-start.C:
			if next == len(targets) {
				continue
			}
			at := targets[next]
			next, open = next+1, open+1
			go func() {
				conn, err := f.options.Dialer.DialContext(ctx, "tcp", at.String())
				outcomes <- connected{conn, at, err}
			}()
			start.Reset(headStart)
		case o := <-outcomes:
			open--
			if o.err == nil {
				cancel()
				dismiss(outcomes, open)
				return o.conn, o.at, nil
			}
			if failed == nil || noRoute(failed.err) {
				failed = &o
			}
			start.Reset(0)
		}
	}
	return nil, failed.at, failed.err
}

// dismiss closes connections that are not needed any more.
func dismiss(outcomes <-chan connected, open int) {
	for range open {
		if o := <-outcomes; o.conn != nil {
			_ = o.conn.Close()
		}
	}
}

// noRoute tells an error that says more about this machine than about the address.
func noRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// secure makes the handshake: TLS 1.2 at least, then, on a new connection, what older
// servers understand. One that has nothing but TLS 1.0 and 1.1 is told from one that
// fails: no current client talks to it.
func (f *Fetcher) secure(ctx context.Context, conn net.Conn, host string, at netip.AddrPort) (*tls.Conn, error) {
	config := &tls.Config{
		ServerName: host, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // what is seen is judged elsewhere
	}
	secure := tls.Client(conn, config)
	err := secure.HandshakeContext(ctx)
	if err == nil {
		return secure, nil
	}
	_ = conn.Close()
	if ctx.Err() != nil {
		return nil, err
	}
	again, dialErr := f.options.Dialer.DialContext(ctx, "tcp", at.String())
	if dialErr != nil {
		return nil, err
	}
	config.MinVersion = tls.VersionTLS10
	config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		config.CipherSuites = append(config.CipherSuites, suite.ID)
	}
	secure = tls.Client(again, config)
	if secure.HandshakeContext(ctx) != nil {
		_ = again.Close()
		return nil, err
	}
	if secure.ConnectionState().Version < tls.VersionTLS12 {
		_ = again.Close()
		return nil, errOldTLS
	}
	return secure, nil
}
