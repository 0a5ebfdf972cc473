package probe

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"mailconfd/settings"
)

// Open goes as far towards a service as Probe does before it asks, inside TLS, how to
// log in, and hands the connection on: STARTTLS and its go-ahead, the handshake and the
// certificate have passed as they have to pass in Probe. What comes next is, with
// implicit TLS, the server's greeting; after STARTTLS it is the client's turn, but for
// ManageSieve, which repeats its capabilities. helo is the name for EHLO.
//
// Addresses are tried one after the other, as clients do, until one lets itself be
// connected to; any other failure is final. The connection ends with ctx, or when
// Timeouts.Dialogue is over: deadlines that are set on it are clamped to that. It hands
// over no more octets than Probe would read. The caller has to close it.
//
// Open waits for no turn and takes none, so that it never holds a Probe back.
func (p *Prober) Open(ctx context.Context, s settings.Service) (conn net.Conn, helo string, failure *settings.Failure) {
	if s.Role() == "" {
		return nil, "", &settings.Failure{Kind: settings.FailureLocal, Detail: "a kind of service that is not known: " + printable(s.String(), maxDetail)}
	}
	at := p.lookup(ctx, s.Host)
	failure = at.failure
	for _, ip := range at.ips {
		if conn, helo, failure = p.openAt(ctx, s, ip); failure == nil || !failure.Kind.Connecting() {
			break
		}
	}
	return conn, helo, failure
}

// openAt opens a connection to one address, a second time with an older TLS client if it
// may be Go's own that the server cannot stand.
func (p *Prober) openAt(ctx context.Context, s settings.Service, ip netip.Addr) (net.Conn, string, *settings.Failure) {
	conn, intolerant, err := p.newVisit(s, ip).secure(ctx, false)
	if intolerant {
		if again, _, stillNot := p.newVisit(s, ip).secure(ctx, true); stillNot == nil {
			conn, err = again, nil
		}
	}
	if err != nil {
		return nil, "", failureOf(err)
	}
	return conn, p.helo(conn.LocalAddr()), nil
}

// secure has the part of the conversation that comes before the way to log in.
// intolerant tells that the TLS handshake did not get through, and that an older client
// may do better.
func (v *visit) secure(ctx context.Context, legacy bool) (conn *secured, intolerant bool, err error) {
	raw, err := v.connect(ctx, v.prober.options.Timeouts.Connect)
	if err != nil {
		return nil, false, err
	}
	v.end = time.Now().Add(v.prober.options.Timeouts.Dialogue)
	if by, ok := ctx.Deadline(); ok && by.Before(v.end) {
		v.end = by
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	d := newDialogue(ctx, raw, v.end, &v.log)
	d.proxied = v.prober.options.Proxied
	c := &conversation{dialogue: d, visit: v, legacy: legacy, protocol: newProtocol(v.service.Role(), v.prober.helo(raw.LocalAddr()))}
	steps := []func() error{c.greet, c.startTLS, c.upgrade}
	if v.service.Security() == settings.ImplicitTLS {
		steps = []func() error{c.upgrade}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			stop()
			_ = d.conn.Close()
			return nil, c.intolerant, err
		}
	}
	return &secured{d.conn.(*tls.Conn), v.end, stop}, false, nil
}

// secured is a connection whose deadlines cannot go beyond its end.
type secured struct {
	*tls.Conn
	end  time.Time
	stop func() bool // lets go of the context
}

// Close closes the connection.
func (s *secured) Close() error {
	s.stop()
	return s.Conn.Close()
}

func (s *secured) clamp(t time.Time) time.Time {
	if t.IsZero() || t.After(s.end) {
		return s.end
	}
	return t
}

// SetDeadline sets both deadlines.
func (s *secured) SetDeadline(t time.Time) error { return s.Conn.SetDeadline(s.clamp(t)) }

// SetReadDeadline sets the deadline of reads.
func (s *secured) SetReadDeadline(t time.Time) error { return s.Conn.SetReadDeadline(s.clamp(t)) }

// SetWriteDeadline sets the deadline of writes.
func (s *secured) SetWriteDeadline(t time.Time) error { return s.Conn.SetWriteDeadline(s.clamp(t)) }
