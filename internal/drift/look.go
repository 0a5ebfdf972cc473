package drift

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// Limits of a look.
const (
	maxServers = 32 // name servers, and addresses of them, that are asked; real zones have up to 26
	atOnce     = 8  // servers that are asked at the same time
)

// look is a look while it goes on.
type look struct {
	world World
	want  Want
	seen  Seen
}

// Look asks DNS what there is to compare. An error means that the resolver does not work
// or that ctx ended; name servers that do not answer are in Seen.
func Look(ctx context.Context, world World, want Want) (Seen, error) {
	l := &look{world: world, want: want}
	if err := l.findZone(ctx); err != nil || l.seen.NoDomain {
		return l.seen, err
	}
	if err := l.findServers(ctx); err != nil {
		return l.seen, err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for i := range l.seen.Servers {
		all.Go(func() error { return l.server(ctx, &l.seen.Servers[i]) })
	}
	all.Go(func() error { return l.public(ctx) })
	err := all.Wait()
	return l.seen, err
}

// query makes a message to the resolver, or with recurse false to a name server.
func query(q Question, recurse bool) *dns.Msg {
	m := new(dns.Msg)
	m.Question = []dns.Question{{Name: q.Name, Qtype: dns.StringToType[q.Type], Qclass: dns.ClassINET}}
	m.RecursionDesired = recurse
	m.AuthenticatedData = recurse // we understand the bit in the answer (RFC 6840 section 5.7)
	return m
}

// ask asks the resolver, and follows an alias that it left to us.
func (l *look) ask(ctx context.Context, q Question) (Answer, error) {
	a, err := l.askOnce(ctx, q)
	if err != nil {
		return a, err
	}
	for steps := 0; len(a.Records) == 0 && len(a.Aliases) > 0 && a.Code == dns.RcodeSuccess && steps < maxAliases; steps++ {
		b, err := l.askOnce(ctx, Question{a.Aliases[len(a.Aliases)-1], q.Type})
		if err != nil {
			return a, err
		}
		a.Records, a.Code, a.Err = b.Records, b.Code, b.Err
		if len(b.Aliases) == 0 {
			break
		}
		a.Aliases = append(a.Aliases, b.Aliases...)
	}
	return a, nil
}

func (l *look) askOnce(ctx context.Context, q Question) (Answer, error) {
	ask := query(q, true)
	ask.CheckingDisabled = l.seen.Bogus // RFC 4035 section 3.2.2
	m, err := l.world.Public(ctx, ask)
	if err != nil {
		return Answer{}, err
	}
	return readAnswer(m, q), nil
}

// findZone finds the zone that the domain is in: an answer about its SOA record names the
// apex, in the answer or beside it (RFC 2308 section 2).
func (l *look) findZone(ctx context.Context) error {
	q := Question{dns.CanonicalName(l.want.Domain), "SOA"}
	m, err := l.world.Public(ctx, query(q, true))
	if err != nil {
		return err
	}
	if m.Rcode == dns.RcodeServerFailure {
		unchecked := query(q, true)
		unchecked.CheckingDisabled = true // RFC 4035 section 3.2.2
		again, err := l.world.Public(ctx, unchecked)
		if err == nil && again.Rcode == dns.RcodeSuccess {
			l.seen.Bogus = true
			m = again
		}
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return fmt.Errorf("find the zone of %s: the resolver answers %s", l.want.Domain, codeText(m.Rcode))
	}
	l.seen.NoDomain = m.Rcode == dns.RcodeNameError
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, q.Name) {
			l.seen.SOA = soa
			l.seen.Zone = bare(soa.Hdr.Name)
			l.seen.Authentic = m.AuthenticatedData
			return nil
		}
	}
	if l.seen.NoDomain {
		return nil
	}
	return fmt.Errorf("find the zone of %s: the resolver's answer names none", l.want.Domain)
}

// bare is a name in lower case without the final dot; the root is ".".
func bare(name string) string {
	return cmp.Or(strings.TrimSuffix(dns.CanonicalName(name), "."), ".")
}

// findServers finds the name servers: those that the zone names, and those that the
// parent zone does, with all their addresses.
func (l *look) findServers(ctx context.Context) error {
	apex := dns.CanonicalName(l.seen.Zone)
	named, err := l.names(ctx, apex)
	if err != nil {
		return err
	}
	l.seen.Named = named
	if l.seen.Delegated, err = l.delegation(ctx, apex); err != nil {
		return err
	}
	all := slices.Concat(l.seen.Named, l.seen.Delegated)
	slices.Sort(all)
	all = slices.Compact(all)
	for _, name := range all[:min(len(all), maxServers)] {
		ips, err := l.addresses(ctx, name)
		if err != nil {
			return err
		}
		if len(ips) == 0 {
			l.seen.Servers = append(l.seen.Servers, Server{Name: name, Lame: "the name has no address"})
		}
		for _, ip := range ips {
			l.seen.Servers = append(l.seen.Servers, Server{Name: name, IP: ip})
		}
	}
	l.seen.Servers = l.seen.Servers[:min(len(l.seen.Servers), maxServers)]
	return nil
}

// names returns the name servers of a zone as the resolver knows them.
func (l *look) names(ctx context.Context, apex string) ([]string, error) {
	a, err := l.ask(ctx, Question{apex, "NS"})
	return targets(a.Records), err
}

// targets returns the name servers of NS records, sorted.
func targets(records []dns.RR) []string {
	var names []string
	for _, rr := range records {
		if ns, ok := rr.(*dns.NS); ok {
			names = append(names, bare(ns.Ns))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// addresses returns the addresses of a host as the resolver knows them.
func (l *look) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	var ips []netip.Addr
	for _, kind := range []string{"A", "AAAA"} {
		a, err := l.ask(ctx, Question{dns.CanonicalName(host), kind})
		if err != nil {
			return nil, err
		}
		for _, rr := range a.Records {
			if ip, ok := addressOf(rr); ok {
				ips = append(ips, ip)
			}
		}
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	return slices.Compact(ips), nil
}

func addressOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		ip, ok := netip.AddrFromSlice(rr.A)
		return ip.Unmap(), ok
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}

// delegation asks the parent zone's name servers whom they name (RFC 1034 section 4.3.2,
// a referral). None: it could not be learned, which is no finding.
func (l *look) delegation(ctx context.Context, apex string) ([]string, error) {
	next, end := dns.NextLabel(apex, 0)
	if end || apex == "." {
		return nil, nil
	}
	m, err := l.world.Public(ctx, query(Question{apex[next:], "SOA"}, true))
	if err != nil {
		return nil, err
	}
	parent := ""
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		if soa, ok := rr.(*dns.SOA); ok {
			parent = dns.CanonicalName(soa.Hdr.Name)
		}
	}
	if parent == "" || parent == apex {
		return nil, nil
	}
	names, err := l.names(ctx, parent)
	if err != nil {
		return nil, err
	}
	const enough = 3
	for _, name := range names[:min(len(names), enough)] {
		ips, err := l.addresses(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, ip := range ips[:min(len(ips), enough)] {
			m, err := l.world.At(ctx, ip, query(Question{apex, "NS"}, false))
			if err != nil || m.Rcode != dns.RcodeSuccess {
				continue
			}
			if m.Authoritative {
				return nil, nil // it serves both zones and answers for the lower one
			}
			return targets(m.Ns), nil
		}
	}
	return nil, nil
}

// public asks the resolver what clients ask.
func (l *look) public(ctx context.Context) error {
	l.seen.Public, l.seen.Targets = map[Question]Answer{}, map[string]Answer{}
	for _, q := range l.questions() {
		a, err := l.ask(ctx, q)
		if err != nil {
			return err
		}
		l.seen.Public[q] = a
	}
	for _, host := range l.want.targets() {
		whole := Answer{}
		for _, kind := range []string{"A", "AAAA"} {
			a, err := l.ask(ctx, Question{host, kind})
			if err != nil {
				return err
			}
			whole.Records = append(whole.Records, a.Records...)
			whole.Aliases = a.Aliases
			whole.Err = cmp.Or(whole.Err, a.Err)
		}
		l.seen.Targets[host] = whole
	}
	ds, err := l.ask(ctx, Question{dns.CanonicalName(l.seen.Zone), "DS"})
	l.seen.DS = len(ds.Records) > 0
	return err
}

// questions returns what is asked of the resolver and of each server, each once.
func (l *look) questions() []Question {
	var all []Question
	add := func(q Question) {
		if !slices.Contains(all, q) {
			all = append(all, q)
		}
	}
	for _, n := range l.want.Names {
		owner := dns.CanonicalName(n.Owner)
		switch n.Type {
		case "CNAME", "A", "AAAA":
			// What counts for a host name is where it leads.
			add(Question{owner, "A"})
			add(Question{owner, "AAAA"})
		default:
			add(Question{owner, n.Type})
		}
	}
	return all
}

// targets returns the hosts that the wanted records name, each once: targets of SRV
// records, and what host names are aliases of.
func (w Want) targets() []string {
	var all []string
	for _, rr := range w.Records {
		host := ""
		switch rr := rr.(type) {
		case *dns.SRV:
			host = dns.CanonicalName(rr.Target)
		case *dns.CNAME:
			if !strings.HasPrefix(rr.Hdr.Name, "_") {
				host = dns.CanonicalName(rr.Target)
			}
		}
		if host != "" && host != "." && !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all
}
