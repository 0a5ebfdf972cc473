// Package probe looks at a mail service as a mail client would, and says in a
// [settings.Observation] what it saw: SMTP submission (RFC 6409), IMAP (RFC 9051), POP3
// (RFC 1939) and ManageSieve (RFC 5804), with STARTTLS or implicit TLS (RFC 8314); and
// over HTTPS JMAP (RFC 8620), CalDAV (RFC 4791) and CardDAV (RFC 6352).
//
// Every address of the host is looked at by itself. A service passes when the
// connection, the greeting, TLS 1.2 or later, the certificate and, inside TLS, a way to
// log in with a password are all there. What is said before TLS is used to get to TLS
// and for warnings, and then forgotten.
//
// Whatever the dialogue meets first is the failure. Of a certificate's faults the first
// in this order counts: another name, expired, not yet valid, intermediate missing,
// root unknown.
//
// The four mail protocols run on one line dialogue with a byte limit and a deadline that
// no server can stretch. What is asked over HTTP has the same limits.
//
// The prober never logs in, never sends MAIL FROM, never follows a referral, nor a
// redirect to another host, and says goodbye before it leaves.
package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"mailconfd/settings"
)

// Resolver finds the addresses of a host. None and no error means that the name has no
// address; an error means that the resolver itself does not work. hosts tells that the
// addresses come from the machine's own hosts file because DNS has none.
type Resolver interface {
	Addresses(ctx context.Context, host string) (ips []netip.Addr, hosts bool, err error)
}

// Options say how to look. The zero Options look from this machine as it is.
type Options struct {
	// Resolver finds addresses. Default: Go's own resolver, which reads the hosts file
	// first and does not tell.
	Resolver Resolver
	// Dial connects; the address is IP:PORT. Its errors are told apart by errors.Is:
	// ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, a time-out; any other is taken for a
	// fault on our side. Default: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Proxied tells that Dial goes through a proxy. Many proxies say "connected" before
	// they are, so that a connection which ends without a byte proves nothing about
	// the server's load; and nothing is seen from this machine's own addresses.
	Proxied bool
	// Roots are believed. Default: the system's. Extra are believed too, with a warning,
	// since clients lack them. Default: none.
	Roots, Extra *x509.CertPool
	// HELO is the name to give in EHLO (RFC 5321 section 4.1.4): a host name that leads
	// to this machine, or an address literal. Default: the machine's full name, or its
	// address literal where it has none; never localhost.
	HELO string
	// Vantage names the place that is looked from. Default: "here".
	Vantage string
	// Timeouts bound each wait. Zero ones are those of DefaultTimeouts.
	Timeouts Timeouts
	// Connections is how many may be open at once. Default: 250; most of them wait. To one
	// address and port there is always one at a time, except for the look at a silent
	// port that Timeouts.Silence describes. Open does not count.
	Connections int
	// Now is the clock for certificates and observations. Default: time.Now.
	Now func() time.Time
	// OwnAddresses returns the addresses of this machine. Default: those of its
	// interfaces, or none when Proxied.
	OwnAddresses func() []netip.Addr
}

// Timeouts bound the waits of a probe.
type Timeouts struct {
	Lookup    time.Duration // for the addresses of a host
	Connect   time.Duration // for a connection
	Greeting  time.Duration // for the whole greeting; servers delay it on purpose
	Silence   time.Duration // with no byte of a greeting: try whether TLS is spoken, on a second connection
	Handshake time.Duration // for the TLS handshake
	Dialogue  time.Duration // for everything at one address, whatever happens
	Goodbye   time.Duration // for the answer to QUIT or LOGOUT
	Others    time.Duration // for the other addresses of a host, once one has passed; three times as long for those that answer
}

// DefaultTimeouts returns 30 seconds for a greeting, although RFC 5321 section 4.5.3.2.1
// allows five minutes (no client waits that long), and 60 seconds in all.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Lookup:    10 * time.Second,
		Connect:   10 * time.Second,
		Greeting:  30 * time.Second,
		Silence:   6 * time.Second,
		Handshake: 10 * time.Second,
		Dialogue:  60 * time.Second,
		Goodbye:   5 * time.Second,
		Others:    5 * time.Second,
	}
}

// orDefaults fills in what is zero.
func (t Timeouts) orDefaults() Timeouts {
	d := DefaultTimeouts()
	for _, pair := range []struct{ set, standard *time.Duration }{
		{&t.Lookup, &d.Lookup},
		{&t.Connect, &d.Connect},
		{&t.Greeting, &d.Greeting},
		{&t.Silence, &d.Silence},
		{&t.Handshake, &d.Handshake},
		{&t.Dialogue, &d.Dialogue},
		{&t.Goodbye, &d.Goodbye},
		{&t.Others, &d.Others},
	} {
		if *pair.set <= 0 {
			*pair.set = *pair.standard
		}
	}
	return t
}

const defaultConnections = 250

// Prober looks at services. It is safe for concurrent use; what it promises about the
// number of connections holds across all calls.
type Prober struct {
	options  Options
	hostname string
	turns    turns
	slots    chan struct{}
	proofs   sync.Map // of proof
}

// New returns a prober.
func New(o Options) *Prober {
	if o.Resolver == nil {
		o.Resolver = systemResolver{}
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Vantage == "" {
		o.Vantage = "here"
	}
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OwnAddresses == nil {
		o.OwnAddresses = interfaceAddresses
		if o.Proxied {
			o.OwnAddresses = func() []netip.Addr { return nil }
		}
	}
	o.Timeouts = o.Timeouts.orDefaults()
	hostname, _ := os.Hostname() // without one there is the address literal
	return &Prober{options: o, hostname: hostname, slots: make(chan struct{}, o.Connections)}
}

// Probe looks at one service, at all addresses of its host at once. When ctx is
// cancelled it ends at once, and what was not seen yet fails as local.
func (p *Prober) Probe(ctx context.Context, s settings.Service) settings.Observation {
	return p.probe(ctx, s, func() found { return p.lookup(ctx, s.Host) })
}

// Round looks at all the services at once, and looks each host up once. report is called
// for each, as it ends, by one goroutine at a time; Round returns after the last.
func (p *Prober) Round(ctx context.Context, services []settings.Service, report func(settings.Observation)) {
	hosts := map[string]func() found{}
	observations := make(chan settings.Observation)
	for _, s := range services {
		addresses, known := hosts[s.Host]
		if !known {
			addresses = sync.OnceValue(func() found { return p.lookup(ctx, s.Host) })
			hosts[s.Host] = addresses
		}
		go func() { observations <- p.probe(ctx, s, addresses) }()
	}
	for range services {
		report(<-observations)
	}
}

// errLate cuts off the addresses that keep a service waiting which works at another.
var errLate = errors.New("another address of the host has passed long ago")

// visitAll visits all the addresses at once. Once one has passed, the others have a
// little time left: an address that leads nowhere, as many a host's IPv6 address does,
// must not hold back what is known of the service.
func (p *Prober) visitAll(ctx context.Context, visits []*visit) {
	unconnected, cutUnconnected := context.WithCancelCause(ctx)
	defer cutUnconnected(nil)
	slow, cutSlow := context.WithCancelCause(ctx)
	defer cutSlow(nil)
	patience := p.options.Timeouts.Others
	var all sync.WaitGroup
	var passed sync.Once
	for _, v := range visits {
		all.Go(func() {
			v.run(slow, unconnected)
			f := v.result.Failure
			late := errors.Is(context.Cause(slow), errLate) || !v.connected && errors.Is(context.Cause(unconnected), errLate)
			switch {
			case f == nil:
				passed.Do(func() {
					time.AfterFunc(patience, func() { cutUnconnected(errLate) })
					time.AfterFunc(slowness*patience, func() { cutSlow(errLate) })
				})
			case f.Kind == settings.FailureLocal && late:
				v.result.Failure = &settings.Failure{
					Kind:   settings.FailureTimeout,
					Detail: "no result long after another address of the host had passed",
				}
			}
		})
	}
	all.Wait()
}

// slowness is how many times longer an address may take that does answer: a server that
// delays its greeting on purpose takes six seconds, and may then turn out to be unsafe.
const slowness = 3

// probe looks at the service at each of the addresses.
func (p *Prober) probe(ctx context.Context, s settings.Service, addresses func() found) settings.Observation {
	o := settings.Observation{Service: s, Vantage: p.options.Vantage, Proxied: p.options.Proxied}
	if s.Role() == "" {
		o.Failure = &settings.Failure{Kind: settings.FailureLocal, Detail: "a kind of service that is not known: " + printable(s.String(), maxDetail)}
		o.At = p.options.Now()
		return o
	}
	at := addresses()
	o.Failure, o.Warnings = at.failure, at.warnings
	visits := make([]*visit, len(at.ips))
	for i, ip := range at.ips {
		visits[i] = p.newVisit(s, ip)
	}
	p.visitAll(ctx, visits)
	judgeRoutes(visits)
	for _, v := range visits {
		v.close()
		o.Addresses = append(o.Addresses, v.result)
	}
	o.At = p.options.Now()
	return o
}
