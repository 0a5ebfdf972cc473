package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"mailconfd/settings"
)

// maxAddresses is how many addresses of a host are looked at, of each family.
const maxAddresses = 8

// found is what a host name leads to.
type found struct {
	ips      []netip.Addr
	warnings []settings.Warning
	failure  *settings.Failure // when there is no address
}

// lookup finds the addresses of a host.
func (p *Prober) lookup(ctx context.Context, host string) found {
	if ip, err := netip.ParseAddr(host); err == nil {
		return found{ips: []netip.Addr{ip.Unmap()}}
	}
	ctx, cancel := context.WithTimeout(ctx, p.options.Timeouts.Lookup)
	defer cancel()
	ips, hosts, err := p.options.Resolver.Addresses(ctx, host)
	ips = choose(ips)
	switch {
	case err != nil:
		return found{failure: &settings.Failure{Kind: settings.FailureLocal, Detail: printable(err.Error(), maxDetail)}}
	case len(ips) == 0:
		return found{failure: &settings.Failure{Kind: settings.FailureDNS, Detail: host + " has no A or AAAA record"}}
	case hosts:
		detail := fmt.Sprintf("%s: %v", host, ips)
		return found{ips: ips, warnings: []settings.Warning{{Kind: settings.WarnHostsFile, Detail: printable(detail, maxDetail)}}}
	}
	return found{ips: ips}
}

// choose sorts the addresses, drops what stands there twice, and keeps a bounded number
// of each family.
func choose(ips []netip.Addr) []netip.Addr {
	var four, six []netip.Addr
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			four = append(four, ip)
		} else if ip.IsValid() {
			six = append(six, ip.WithZone(""))
		}
	}
	var chosen []netip.Addr
	for _, family := range [][]netip.Addr{four, six} {
		slices.SortFunc(family, netip.Addr.Compare)
		family = slices.Compact(family)
		chosen = append(chosen, family[:min(len(family), maxAddresses)]...)
	}
	return chosen
}

var (
	sharedAddresses = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	thisNetwork     = netip.MustParsePrefix("0.0.0.0/8")     // RFC 1122 section 3.2.1.3
	reserved        = netip.MustParsePrefix("240.0.0.0/4")   // RFC 1112 section 4; 255.255.255.255 too
	translated      = netip.MustParsePrefix("64:ff9b::/96")  // RFC 6052 section 2.1
	sixToFour       = netip.MustParsePrefix("2002::/16")     // RFC 3056 section 2
)

// Locality says why an address is not one that clients elsewhere reach, or "". Through a
// proxy, this machine's own addresses are not known to be near.
func (p *Prober) Locality(ip netip.Addr) string {
	return locality(ip.Unmap().WithZone(""), p.options.OwnAddresses())
}

// locality says why an address is not one that clients elsewhere reach, or "".
func locality(ip netip.Addr, own []netip.Addr) string {
	switch {
	case ip.IsLoopback():
		return "a loopback address"
	case ip.IsPrivate(): // RFC 1918, RFC 4193
		return "a private address"
	case ip.IsLinkLocalUnicast():
		return "a link-local address"
	case sharedAddresses.Contains(ip):
		return "an address that providers share out among their customers (RFC 6598)"
	case thisNetwork.Contains(ip) || ip.IsUnspecified():
		return "the address of this machine itself"
	case ip.IsMulticast() || reserved.Contains(ip):
		return "an address that no host has"
	case slices.Contains(own, ip):
		return "an address of this machine"
	}
	if inner, ok := embedded(ip); ok {
		return locality(inner, own)
	}
	return ""
}

// embedded returns the IPv4 address that a translator or a 6to4 relay would go to
// (RFC 6052 section 2.1, RFC 3056 section 2).
func embedded(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	switch {
	case translated.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// interfaceAddresses returns the addresses of this machine's interfaces. If they cannot
// be had, it has none that we know.
func interfaceAddresses() []netip.Addr {
	addresses, _ := net.InterfaceAddrs()
	var own []netip.Addr
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return own
}

// systemResolver is Go's own resolver.
type systemResolver struct{}

// Addresses cannot tell where an address comes from: the hosts file goes first.
func (systemResolver) Addresses(ctx context.Context, host string) ([]netip.Addr, bool, error) {
	// With the final dot no search list is used.
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host+".")
	var none *net.DNSError
	if errors.As(err, &none) && none.IsNotFound {
		return nil, false, nil
	}
	return ips, false, err
}
