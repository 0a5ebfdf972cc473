// Package lab is a small internet on loopback: mail servers that can be told to
// misbehave, a certification authority, a DNS server, and a SOCKS5 proxy that leads
// from the addresses in DNS to where the servers really listen. It is what
// `mailconfd demo`, tests and benchmarks look at in place of the world.
//
// The domain is example.test (RFC 6761, section 6.2), the mail host
// mail.example.test. Its names have documentation addresses (192.0.2.0/24 of
// RFC 5737, 2001:db8::/32 of RFC 3849) that nothing on a real network answers to. A
// program sees the lab as if it were the internet, on the real ports, when it asks
// [Internet.Resolver] and connects through [Internet.ProxyURL]; a test in the same
// process can use [Internet.Dial].
//
// All eight services of [settings.Candidates] run on the mail host, on both its
// addresses: submission on go-smtp, IMAP on go-imap, POP3 and ManageSieve on small
// line servers that speak as Dovecot does. [Internet.Break] replaces any of them, at
// run time, by a scripted server that shows one [Fault].
//
// The lab listens on 127.0.0.1 and connects to loopback, nowhere else. It keeps
// nothing on disk, and its passwords and keys are worth nothing.
package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"mailconfd/settings"
)

// The names of the lab.
const (
	Domain = "example.test"
	Host   = "mail.example.test"
)

// Where names are: the mail host first, then what Map adds, one pair each.
const (
	mailPlace  = 10
	firstPlace = 20
	lastPlace  = 250
)

// Internet is a running lab. Methods may be called from any goroutine.
type Internet struct {
	ca     *CA
	dns    *DNS
	routes *routes
	proxy  *port
	tls    *tls.Config

	servers map[settings.Service]mailServer // do not change after New
	places  map[netip.AddrPort]place        // nor do these

	mu        sync.Mutex
	zone      []dns.RR // what is always there
	published []dns.RR // what SetRecords was told last
	nextPlace int
	closed    bool
}

// place is a service on one address.
type place struct {
	service settings.Service
	port    *port
}

// New starts a lab in which everything works. Close ends it.
func New() (*Internet, error) {
	n := &Internet{
		routes:    newRoutes(),
		servers:   map[settings.Service]mailServer{},
		places:    map[netip.AddrPort]place{},
		nextPlace: firstPlace,
	}
	if err := n.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start lab: %w", err), n.Close())
	}
	return n, nil
}

func (n *Internet) start() (err error) {
	if n.ca, err = NewCA(); err != nil {
		return err
	}
	cert, err := n.ca.Certificate(Host)
	if err != nil {
		return err
	}
	n.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
	if n.dns, err = NewDNS(); err != nil {
		return err
	}
	n.zone = append(zoneRecords(), addressRecords(Host, mailPlace)...)
	n.dns.Set(n.zone...)
	if err := n.serveZone(); err != nil {
		return err
	}
	for _, service := range settings.Candidates(Host) {
		if err := n.startService(service); err != nil {
			return err
		}
	}
	n.proxy, err = listen(proxy{n.routes, n.dns}.serve)
	return err
}

// serveZone lets the DNS server answer over TCP at the addresses of the zone's name
// server, which is the mail host.
func (n *Internet) serveZone() error {
	to, err := netip.ParseAddrPort(n.dns.Addr())
	if err != nil {
		return err
	}
	for _, ip := range n.Lookup(Host) {
		if err := n.routes.add(netip.AddrPortFrom(ip, 53), to); err != nil {
			return err
		}
	}
	return nil
}

// startService starts a healthy server and lets it listen for each address.
func (n *Internet) startService(service settings.Service) error {
	server, err := newMailServer(service, n.tls)
	if err != nil {
		return err
	}
	n.servers[service] = server
	for _, ip := range n.Lookup(service.Host) {
		p, err := listen(server.handle)
		if err != nil {
			return err
		}
		target := netip.AddrPortFrom(ip, service.Port)
		n.places[target] = place{service, p}
		if err := n.routes.add(target, p.addr()); err != nil {
			return err
		}
	}
	return nil
}

// zoneRecords is what the zone has besides addresses.
func zoneRecords() []dns.RR {
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: Domain + ".", Rrtype: kind, Class: dns.ClassINET, Ttl: 60}
	}
	return []dns.RR{
		&dns.SOA{
			Hdr: header(dns.TypeSOA), Ns: Host + ".", Mbox: "hostmaster." + Domain + ".",
			Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60,
		},
		&dns.NS{Hdr: header(dns.TypeNS), Ns: Host + "."},
		&dns.MX{Hdr: header(dns.TypeMX), Preference: 10, Mx: Host + "."},
	}
}

// addressRecords puts a name at a place: 192.0.2.PLACE and 2001:db8::PLACE.
func addressRecords(name string, place int) []dns.RR {
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: kind, Class: dns.ClassINET, Ttl: 60}
	}
	return []dns.RR{
		&dns.A{Hdr: header(dns.TypeA), A: net.ParseIP(fmt.Sprintf("192.0.2.%d", place))},
		&dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: net.ParseIP(fmt.Sprintf("2001:db8::%d", place))},
	}
}

// CA returns the authority whose root a client of the lab has to trust.
func (n *Internet) CA() *CA { return n.ca }

// DNS returns the DNS server, for names and faults beside the zone's.
func (n *Internet) DNS() *DNS { return n.dns }

// Resolver returns where the DNS server listens, as HOST:PORT.
func (n *Internet) Resolver() string { return n.dns.Addr() }

// ProxyURL returns where the SOCKS5 proxy listens, as socks5://HOST:PORT.
func (n *Internet) ProxyURL() string { return "socks5://" + n.proxy.addr().String() }

// Lookup returns the addresses of the name, IPv4 first, from the DNS server's data.
func (n *Internet) Lookup(name string) []netip.Addr { return n.dns.lookup(name) }

// Dials returns how many connections to the address and port were asked for so far,
// those that failed included.
func (n *Internet) Dials(target netip.AddrPort) int { return n.routes.dials(target) }

// Dial connects as if over the lab's network, without the proxy: the network is tcp,
// tcp4 or tcp6, the address HOST:PORT with a name or an IP address. Of several
// addresses it returns the first that connects, or the last one's error. Errors are
// those of [net.Dialer]: ECONNREFUSED, EHOSTUNREACH, a time-out when ctx ends.
func (n *Internet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s in the lab: %w", address, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("dial %s in the lab: port %q is not a number up to 65535", address, portText)
	}
	last := error(&net.DNSError{Err: "no such host", Name: host, IsNotFound: true})
	for _, ip := range n.Lookup(host) {
		if ip.Is4() && network == "tcp6" || ip.Is6() && network == "tcp4" {
			continue
		}
		conn, err := n.routes.dial(ctx, network, netip.AddrPortFrom(ip, uint16(port)))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// Map lets the name and port lead to real, an address and port on loopback where the
// caller listens: demo's own HTTP servers at autoconfig.example.test:443, say. A
// name without addresses gets a pair of its own and A and AAAA records.
func (n *Internet) Map(name string, port uint16, real string) error {
	to, err := netip.ParseAddrPort(real)
	if err != nil {
		return fmt.Errorf("map %s:%d: %w", name, port, err)
	}
	if err := n.settle(name); err != nil {
		return fmt.Errorf("map %s:%d: %w", name, port, err)
	}
	for _, ip := range n.Lookup(name) {
		target := netip.AddrPortFrom(ip, port)
		if at, taken := n.places[target]; taken {
			return fmt.Errorf("map %s:%d: %s is there", name, port, at.service)
		}
		if err := n.routes.add(target, to); err != nil {
			return err
		}
	}
	return nil
}

// settle gives the name addresses if it has none.
func (n *Internet) settle(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.Lookup(name)) > 0 {
		return nil
	}
	if n.nextPlace > lastPlace {
		return errors.New("all addresses of 192.0.2.0/24 that the lab hands out are taken")
	}
	records := addressRecords(strings.ToLower(name), n.nextPlace)
	n.nextPlace++
	n.zone = append(n.zone, records...)
	n.dns.Set(records...)
	return nil
}

// SetRecords publishes the records beside those that the lab has itself: what an
// earlier call published and this one does not is gone. A set that the lab has
// too replaces the lab's for as long as it is published.
func (n *Internet) SetRecords(records []dns.RR) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gone := keysOf(n.published)
	n.published = slices.Clone(records)
	n.dns.replace(gone, n.zone, n.published)
}

// Break replaces the service's server, on all addresses, by one that shows the failure
// in its usual way. New connections meet it and those that are open are cut. An
// error says which services there are, or what this one can show.
func (n *Internet) Break(service settings.Service, kind settings.FailureKind) error {
	return n.BreakAs(service, Fault{Kind: kind})
}

// BreakAs is Break for any variant of a fault.
func (n *Internet) BreakAs(service settings.Service, fault Fault) error {
	return n.breakAt(service, fault, n.addresses(service)...)
}

// BreakAt is BreakAs on one address of the service only.
func (n *Internet) BreakAt(ip netip.Addr, service settings.Service, fault Fault) error {
	return n.breakAt(service, fault, ip)
}

func (n *Internet) breakAt(service settings.Service, fault Fault, ips ...netip.Addr) error {
	if _, known := n.servers[service]; !known {
		return fmt.Errorf("break a service: %w", unknownService(service.String()))
	}
	if err := fault.check(service.Security()); err != nil {
		return fmt.Errorf("break %s: %w", service, err)
	}
	if fault.onRoute() {
		return n.change(service, n.servers[service].handle, fault, ips)
	}
	server, err := scriptFor(service, fault, n.tls, n.ca)
	if err != nil {
		return fmt.Errorf("break %s: %w", service, err)
	}
	return n.change(service, server.serve, Fault{}, ips)
}

// Mend brings the service's healthy server back on all addresses. Connections that are
// open are cut, also if nothing was broken.
func (n *Internet) Mend(service settings.Service) error {
	healthy, known := n.servers[service]
	if !known {
		return fmt.Errorf("mend a service: %w", unknownService(service.String()))
	}
	return n.change(service, healthy.handle, Fault{}, n.addresses(service))
}

// SetLogins says under which user names the service's healthy server lets the user in.
// Without it that is the whole address.
func (n *Internet) SetLogins(service settings.Service, l Logins) error {
	server, known := n.servers[service]
	if !known {
		return fmt.Errorf("set the logins of a service: %w", unknownService(service.String()))
	}
	server.logins.Store(&l)
	return nil
}

// addresses returns where the service is, whatever DNS says by now.
func (n *Internet) addresses(service settings.Service) []netip.Addr {
	var ips []netip.Addr
	for target, at := range n.places {
		if at.service == service {
			ips = append(ips, target.Addr())
		}
	}
	return ips
}

// change puts a server and a fault of the route where the service is.
func (n *Internet) change(service settings.Service, serve handler, onRoute Fault, ips []netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ip := range ips {
		target := netip.AddrPortFrom(ip, service.Port)
		at, known := n.places[target]
		if !known {
			return fmt.Errorf("change %s: it is not at %s", service, ip)
		}
		n.routes.fail(target, onRoute)
		at.port.use(serve)
	}
	return nil
}

// Close ends everything: connections are cut, listeners closed, and no goroutine of
// the lab is left when it returns. Closing again does nothing.
func (n *Internet) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	if n.proxy != nil {
		n.proxy.close()
	}
	for _, at := range n.places {
		at.port.close()
	}
	for _, server := range n.servers {
		server.close()
	}
	if n.dns != nil {
		return n.dns.Close()
	}
	return nil
}
