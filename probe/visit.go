package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// visit is a look at one service at one address.
type visit struct {
	prober  *Prober
	service settings.Service
	address netip.AddrPort
	started time.Time
	end     time.Time // of the whole visit
	log     transcript
	result  settings.AddressResult
	noRoute bool // the system says that there is no way to such addresses
	// connect ends with this context until there is a connection.
	connecting context.Context
	connected  bool
}

func (p *Prober) newVisit(s settings.Service, ip netip.Addr) *visit {
	v := &visit{prober: p, service: s, address: netip.AddrPortFrom(ip, s.Port), connecting: context.Background()}
	v.result.IP = ip
	if why := locality(ip, p.options.OwnAddresses()); why != "" {
		v.result.Local = true
		v.result.Warnings = []settings.Warning{{Kind: settings.WarnLocalAddress, Detail: ip.String() + " is " + why}}
	}
	return v
}

// run waits for its turn and looks. Both contexts end it; connecting does so only until
// there is a connection.
func (v *visit) run(ctx, connecting context.Context) {
	v.connecting = connecting
	dead, leave, err := v.prober.turns.enter(ctx, v.address)
	if err == nil {
		defer func() { leave(v.dead()) }()
		if dead != nil {
			v.log.note("not tried: another name at this address was visited just now")
			v.result.Failure = dead
			return
		}
		select {
		case v.prober.slots <- struct{}{}:
			defer func() { <-v.prober.slots }()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		v.result.Failure = failureOf(fail(settings.FailureLocal, "connect %s: the probe was stopped before its turn", v.address))
		return
	}
	v.started = time.Now()
	v.end = v.started.Add(v.prober.options.Timeouts.Dialogue)
	v.look(ctx)
}

// dead returns the failure if it came before the server could know which host was meant,
// so that any other name at the address would have met it too.
func (v *visit) dead() *settings.Failure {
	f := v.result.Failure
	if f != nil && v.result.TLS == nil && (f.Kind == settings.FailureRefused || f.Kind == settings.FailureUnreachable || f.Kind == settings.FailureTimeout) {
		return f
	}
	return nil
}

// look talks to the server, a second time with an older TLS client if it may be Go's own
// that the server cannot stand.
func (v *visit) look(ctx context.Context) {
	seen := v.talk(ctx, false)
	if seen.intolerant && time.Until(v.end) > 0 {
		v.log.note("once more, as an older TLS client: classical key exchange, RSA, a small first packet")
		if again := v.talk(ctx, true); again.tls != nil {
			again.warnings = append(again.warnings, settings.Warning{
				Kind:   settings.WarnLegacyTLS,
				Detail: "the usual handshake fails: " + failureOf(seen.err).Detail,
			})
			seen = again
		}
	}
	v.result.TLS, v.result.Auth, v.result.Path = seen.tls, seen.auth, seen.path
	v.result.Warnings = append(v.result.Warnings, seen.warnings...)
	if seen.err != nil {
		v.result.Failure = failureOf(seen.err)
		v.noRoute = errors.Is(seen.err, errNoRoute)
	}
	v.result.Took = seen.took
}

// seen is what one connection brought.
type seen struct {
	tls        *settings.TLS
	auth       settings.Mechanisms
	path       string // of a service over HTTP
	warnings   []settings.Warning
	err        error // nil: passed
	intolerant bool  // the TLS handshake did not get through: an older client may do better
	took       time.Duration
}

// close writes the last line of the transcript.
func (v *visit) close() {
	if v.result.Failure != nil {
		v.log.note("%s", v.result.Failure)
	} else {
		v.log.note("verified")
	}
	v.result.Transcript = v.log.lines
}

// talk asks the server all there is to ask.
func (v *visit) talk(ctx context.Context, legacy bool) seen {
	if v.service.Scheme.WellKnown() != "" {
		return v.browse(ctx, legacy)
	}
	return v.converse(ctx, legacy, (*conversation).hold)
}

// converse connects to the server and has one conversation with it.
func (v *visit) converse(ctx context.Context, legacy bool, hold func(*conversation) error) seen {
	conn, err := v.connect(ctx, min(v.prober.options.Timeouts.Connect, time.Until(v.end).Round(time.Millisecond)))
	if err != nil {
		return seen{err: err, took: time.Since(v.started)}
	}
	v.log.note("connected to %s", v.address)
	// Closing ends every wait at once, and no deadline can come after it.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	end := v.end
	if by, ok := ctx.Deadline(); ok && by.Before(end) {
		end = by
	}
	d := newDialogue(ctx, conn, end, &v.log)
	d.proxied = v.prober.options.Proxied
	defer func() { _ = d.conn.Close() }()

	c := &conversation{dialogue: d, visit: v, legacy: legacy}
	c.protocol = newProtocol(v.service.Role(), v.prober.helo(conn.LocalAddr()))
	err = hold(c)
	took := time.Since(v.started)
	if d.open {
		d.allow(time.Now(), v.prober.options.Timeouts.Goodbye)
		_ = c.protocol.goodbye(d)
	}
	return seen{tls: c.tls, auth: c.auth, warnings: d.warnings, err: err, intolerant: c.intolerant, took: took}
}

// connect opens a connection to the address.
func (v *visit) connect(ctx context.Context, patience time.Duration) (net.Conn, error) {
	dial, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !v.connected {
		defer context.AfterFunc(v.connecting, cancel)()
	}
	network := "tcp6"
	if v.address.Addr().Is4() {
		network = "tcp4"
	}
	conn, err := v.prober.options.Dial(dial, network, v.address.String())
	if err != nil {
		if v.connecting.Err() != nil && !v.connected {
			ctx = v.connecting // it was that which ended it
		}
		return nil, connectFailure(ctx, v.address.String(), patience, err)
	}
	v.connected = true
	return conn, nil
}

// helo returns the name for EHLO (RFC 5321 section 4.1.4).
func (p *Prober) helo(local net.Addr) string {
	if p.options.HELO != "" {
		return p.options.HELO
	}
	name, err := settings.ParseDomain(p.hostname)
	if err == nil && !slices.Contains(strings.Split(name, "."), "localhost") && !strings.HasSuffix(name, ".localdomain") {
		return name
	}
	// RFC 5321 section 4.1.3
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if at, err := netip.ParseAddrPort(fmt.Sprint(local)); err == nil {
		ip = at.Addr().Unmap().WithZone("")
	}
	if ip.IsLoopback() && p.options.Proxied { // our end of the way to the proxy is no address of ours elsewhere
		ip = outward(interfaceAddresses(), ip)
	}
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

// outward returns the first address by which others could know this machine, or the one
// given.
func outward(own []netip.Addr, otherwise netip.Addr) netip.Addr {
	for _, ip := range own {
		if ip = ip.Unmap(); ip.IsGlobalUnicast() {
			return ip.WithZone("")
		}
	}
	return otherwise
}
