package outside

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxAliases is how many CNAME records are followed for one answer. Real chains have
// one to three.
const maxAliases = 8

// Resolver looks names up in DNS. It is safe for concurrent use.
type Resolver struct {
	server     string // "": those of resolvConf
	resolvConf string
	hostsFile  string // "": not read
}

// NewResolver returns a resolver that asks the server, the IP address and port of a
// recursive one. Without a server it asks those of /etc/resolv.conf, and reads
// /etc/hosts where DNS has no answer. The error says what is wrong with the server's
// name; nothing is asked yet.
func NewResolver(server string) (*Resolver, error) {
	if server == "" {
		return &Resolver{resolvConf: "/etc/resolv.conf", hostsFile: "/etc/hosts"}, nil
	}
	server, err := ParseServer(server)
	if err != nil {
		return nil, err
	}
	return &Resolver{server: server}, nil
}

// Addresses returns the IPv4 and IPv6 addresses of a host name, sorted, each once.
// None and no error: the name has no address. hosts tells that they come from
// /etc/hosts because DNS has none. The error means that our resolver does not work,
// and says nothing about the name. An IP address is its own address.
func (r *Resolver) Addresses(ctx context.Context, host string) (ips []netip.Addr, hosts bool, err error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, false, nil
	}
	ips, err = r.addressesByDNS(ctx, host)
	if len(ips) > 0 || r.hostsFile == "" || ctx.Err() != nil {
		return ips, false, err
	}
	// A file that cannot be read is as good as an empty one: DNS has spoken already.
	file, openErr := os.Open(r.hostsFile)
	if openErr != nil {
		return nil, false, err
	}
	defer file.Close()
	if ips = addressesIn(file, host); len(ips) > 0 {
		return ips, true, nil
	}
	return nil, false, err
}

// AddressRecords returns the addresses that DNS has for a host name, sorted, each once; it reads no file. The
// error means that those of one family or both are not known.
func (r *Resolver) AddressRecords(ctx context.Context, host string) ([]netip.Addr, error) {
	var ips []netip.Addr
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := r.records(ctx, host, kind)
		if err != nil {
			return nil, err
		}
		for _, rr := range answer.records {
			ips = append(ips, addressOf(rr)...)
		}
	}
	return unique(ips), nil
}

// addressesByDNS asks for both families at once. If one question fails, what the other
// brought counts; if that is nothing, the error does.
func (r *Resolver) addressesByDNS(ctx context.Context, host string) ([]netip.Addr, error) {
	type family struct {
		ips []netip.Addr
		err error
	}
	families := make(chan family, 2)
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		go func() {
			answer, err := r.records(ctx, host, kind)
			var ips []netip.Addr
			for _, rr := range answer.records {
				ips = append(ips, addressOf(rr)...)
			}
			families <- family{ips, err}
		}()
	}
	a, b := <-families, <-families
	ips := unique(append(a.ips, b.ips...))
	if len(ips) > 0 {
		return ips, nil
	}
	return nil, cmp.Or(a.err, b.err)
}

// addressOf returns the address in an A or AAAA record.
func addressOf(rr dns.RR) []netip.Addr {
	var raw []byte
	switch rr := rr.(type) {
	case *dns.A:
		raw = rr.A.To4()
	case *dns.AAAA:
		raw = rr.AAAA
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return nil
	}
	return []netip.Addr{ip.Unmap()}
}

// unique sorts addresses and drops what stands there twice.
func unique(ips []netip.Addr) []netip.Addr {
	slices.SortFunc(ips, netip.Addr.Compare)
	return slices.Compact(ips)
}

// MX is where the mail of a domain goes.
type MX struct {
	Host       string // lower case, without the final dot; "" for a null MX
	Preference uint16 // the lowest is tried first
}

// Null tells that the domain takes no mail at all (RFC 7505).
func (m MX) Null() bool { return m.Host == "" }

// MX returns the MX records of a domain, best first; hosts of one preference in
// alphabetical order. None and no error: the domain has none, or does not exist. The
// error means that our resolver does not work.
func (r *Resolver) MX(ctx context.Context, domain string) ([]MX, error) {
	answer, err := r.records(ctx, domain, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	var all []MX
	for _, rr := range answer.records {
		if mx, ok := rr.(*dns.MX); ok {
			all = append(all, MX{canonical(mx.Mx), mx.Preference})
		}
	}
	slices.SortFunc(all, func(a, b MX) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), strings.Compare(a.Host, b.Host))
	})
	return all, nil
}

// canonical puts a name of DNS into lower case without the final dot.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// ErrAliases means that a name is an alias of an alias and so on, without an end.
var ErrAliases = errors.New("more CNAME records in a row than can be meant")

// chain is what the end of a chain of aliases has.
type chain struct {
	records   []dns.RR
	alias     string // where the name itself points, if it is an alias
	authentic bool   // the resolver vouches for every step (RFC 4035 section 3.2.3)
	nowhere   bool   // the name does not exist (NXDOMAIN); an alias does, wherever it leads
}

// records returns the records of a kind that a name has, through CNAME records where
// it is an alias. None and no error: NXDOMAIN, or a name without such records. Records
// of other names that a server adds are not believed.
func (r *Resolver) records(ctx context.Context, name string, kind uint16) (chain, error) {
	if name == "" {
		return chain{}, errors.New("look up a domain: no name is given")
	}
	at := dns.CanonicalName(name)
	whole := chain{authentic: true}
	for aliases := 0; aliases <= maxAliases; {
		answer, err := r.query(ctx, at, kind)
		if err != nil {
			return chain{}, err
		}
		if whole.alias == "" {
			_, whole.alias = owned(answer, at, kind)
		}
		whole.authentic = whole.authentic && answer.AuthenticatedData
		records, end, steps := follow(answer, at, kind)
		if len(records) > 0 || steps == 0 || answer.Rcode == dns.RcodeNameError {
			whole.records = records
			whole.nowhere = answer.Rcode == dns.RcodeNameError && whole.alias == ""
			return whole, nil
		}
		// A server that is not recursive leaves the end of the chain to us.
		at, aliases = end, aliases+steps
	}
	return chain{}, fmt.Errorf("look up %s: %w", name, ErrAliases)
}

// follow walks through the CNAME records of an answer. It returns what the end of the
// chain has, the end, and how many steps away it is.
func follow(answer *dns.Msg, name string, kind uint16) (found []dns.RR, end string, steps int) {
	for {
		found, alias := owned(answer, name, kind)
		if len(found) > 0 || alias == "" || steps > maxAliases {
			return found, name, steps
		}
		name, steps = alias, steps+1
	}
}

// owned returns the answer's records of the name and kind, and where the name points
// if it is an alias.
func owned(answer *dns.Msg, name string, kind uint16) (found []dns.RR, alias string) {
	for _, rr := range answer.Answer {
		h := rr.Header()
		if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
			continue
		}
		if h.Rrtype == kind {
			found = append(found, rr)
		}
		if cname, ok := rr.(*dns.CNAME); ok {
			alias = dns.CanonicalName(cname.Target)
		}
	}
	return found, alias
}
