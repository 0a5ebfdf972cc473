// Package srvrecords says which DNS records tell mail clients what was verified: the
// SRV records of RFC 6186, RFC 8314 section 5.1, RFC 5804 section 1.8, RFC 8620 section 2.2
// and, with TXT, RFC 6764; and, where the configuration server has a name, those by which
// clients find it. A set can be
// written in the form that a zone file, nsupdate, octoDNS or DNSControl takes, and
// [Delegate] makes aliases of a set that is kept once for many domains.
//
// An SRV record holds a host and a port. How the connection is encrypted follows from
// the label of its owner name alone, and several clients go by the port instead;
// which user name is right cannot be said at all. So [Compile] makes records only for
// services that SRV can say truthfully, and returns with them what it left out, each
// with the reason. docs/dns.md has the rules.
//
// It never makes a record for a service that is not published, never orders by weight
// (aerc takes the largest weight whatever the priority, Thunderbird the smallest), and
// never reads a zone, a clock or the network: the same arguments give the same bytes.
package srvrecords

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"mailconfd/settings"
)

// DefaultTTL is how long resolvers may keep a record where Options says nothing.
const DefaultTTL = time.Hour

// maxTTL is the longest time to live (RFC 2181 section 8).
const maxTTL = math.MaxInt32 * time.Second

// Template in place of a domain makes a set for any domain: owner names are relative to
// the zone that takes them in, and "@" is its apex, as in a zone file (RFC 1035 section
// 5.1). Targets stay absolute.
const Template = "@"

// Options are what a record set depends on besides the services. The zero value makes
// the records of the mail services, with DefaultTTL.
type Options struct {
	// ConfigHost is the name at which the configuration server answers over HTTPS. With
	// it the set holds the records by which clients find that server. They stand for the
	// server, not for a service, and so do not come and go with what is verified.
	ConfigHost string
	// ConfigAddresses are the addresses of ConfigHost. With them autoconfig,
	// autodiscover and ua-auto-config are address records; without, aliases of ConfigHost.
	ConfigAddresses []netip.Addr
	// Mailconf adds a TXT record that names the autoconfig document. It stands at the
	// domain itself, where other TXT records do (SPF), and only Himalaya reads it.
	Mailconf bool
	// Zone is the zone that the domain is in; "": the domain is the apex of its own. The
	// forms that write relative names need it.
	Zone string
	TTL  time.Duration // whole seconds from 1 to 2^31-1; 0: DefaultTTL
}

// Set is the record set of one domain.
type Set struct {
	Domain    string     `json:"domain"`                 // in A-labels, without a final dot; or Template
	Unicode   string     `json:"unicode,omitempty"`      // the domain in U-labels, where that differs
	Delegated string     `json:"delegated_to,omitempty"` // the domain at which the set is kept, of Delegate
	Records   []Record   `json:"records"`
	Withheld  []Withheld `json:"withheld"` // what is left out, the published services first

	zone  string // the zone that the domain is in; Template for a template
	names []Name
	offer bool // there is a way to fetch mail and one to send it
}

// Record is one DNS record of class IN. One that Compile has not made has no RR.
type Record struct {
	Owner   string   `json:"owner"` // absolute, with the final dot; in a template relative
	TTL     uint32   `json:"ttl"`   // in seconds
	Type    string   `json:"type"`  // "SRV", "CNAME", "A", "AAAA" or "TXT"
	Data    string   `json:"data"`  // as a zone file has it; names are absolute
	Service string   `json:"service,omitempty"`
	Basis   string   `json:"basis,omitempty"` // why Service may be published: a settings.Basis
	Why     string   `json:"why"`             // for people: what the record says and what stands behind it
	Readers []string `json:"readers"`         // the clients that are known to look it up

	rr dns.RR
}

// Name is an owner name and a type of which the set says all that there should be: a
// record there that is not in the set is not ours, or left over.
type Name struct {
	Owner  string // as Record has it
	Type   string // as Record has it
	Prefix string // of TXT records at a name that others use too: only those that begin so
}

// Withheld is something that has no record, and why.
type Withheld struct {
	Owner   string `json:"owner"`             // where the record would stand
	Service string `json:"service,omitempty"` // the service that it would tell
	Reason  string `json:"reason"`
}

// String says it to a person.
func (w Withheld) String() string {
	if w.Service != "" {
		return w.Service + ": " + w.Reason
	}
	return w.Owner + ": " + w.Reason
}

// RRs returns the records as the DNS library has them, in the order of Records. The
// caller owns them. A template has none.
func (s Set) RRs() []dns.RR {
	if s.Domain == Template {
		return nil
	}
	rrs := make([]dns.RR, len(s.Records))
	for i, r := range s.Records {
		rrs[i] = dns.Copy(r.rr)
	}
	return rrs
}

// Names returns all owner names and types that the set speaks of, those without a record
// included. The caller owns them.
func (s Set) Names() []Name { return slices.Clone(s.names) }

// Compile makes the record set of a domain, or the Template. It returns an error where
// the domain, the options, or an owner name that they lead to cannot stand in DNS; what
// is not verified or cannot be said is no error but in Withheld.
func Compile(result settings.Result, domain string, opt Options) (Set, error) {
	c, err := newCompiler(result.Verified.Provider(), domain, opt)
	if err != nil {
		return Set{}, err
	}
	c.mail(result)
	if c.host != "" {
		c.config(opt)
	}
	c.unverified(result.Withheld)
	return c.set, c.check()
}

// newCompiler checks what a set is made of.
func newCompiler(p settings.Provider, domain string, opt Options) (*compiler, error) {
	c := &compiler{
		set:     Set{Domain: Template, Records: []Record{}, Withheld: []Withheld{}, zone: Template},
		targets: map[string]bool{},
	}
	var err error
	if domain != Template {
		if domain, err = settings.ParseDomain(domain); err != nil {
			return nil, fmt.Errorf("records: %w", err)
		}
		c.set.Domain, c.set.zone = domain, domain
		if name, err := idna.Display.ToUnicode(domain); err == nil && name != domain {
			c.set.Unicode = name
		}
	}
	if c.ttl, err = opt.seconds(); err != nil {
		return nil, fmt.Errorf("records of %s: %w", domain, err)
	}
	if opt.ConfigHost != "" {
		if c.host, err = settings.ParseDomain(opt.ConfigHost); err != nil {
			return nil, fmt.Errorf("records of %s: configuration host: %w", domain, err)
		}
	}
	if opt.Zone != "" {
		zone, err := settings.ParseDomain(opt.Zone)
		if err != nil || !dns.IsSubDomain(zone, c.set.Domain) {
			return nil, fmt.Errorf("records of %s: zone %q: want the zone that the domain is in", domain, opt.Zone)
		}
		c.set.zone = zone
	}
	for _, s := range p.Candidates() {
		c.targets[s.Host] = true
	}
	for _, scheme := range settings.Schemes() {
		if scheme.WellKnown() != "" && !slices.Contains(declared(p), scheme) {
			continue // somebody else may offer it
		}
		c.speak(label(scheme), "SRV")
		if hasPath(scheme) {
			c.speak(label(scheme), "TXT")
		}
	}
	return c, nil
}

// seconds returns the time to live as a record holds it.
func (o Options) seconds() (uint32, error) {
	ttl := o.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if ttl < time.Second || ttl > maxTTL || ttl%time.Second != 0 {
		return 0, fmt.Errorf("TTL %s: want whole seconds, such as 1h or 300s", ttl)
	}
	return uint32(ttl / time.Second), nil
}

// check refuses owner names and targets that are too long: a domain may have 253 octets,
// and a name with a label before it no more (RFC 1035 section 2.3.4).
func (c *compiler) check() error {
	for _, r := range c.set.Records {
		names := []string{r.rr.Header().Name}
		if alias, ok := r.rr.(*dns.CNAME); ok {
			names = append(names, alias.Target)
		}
		for _, name := range names {
			if _, ok := dns.IsDomainName(name); !ok {
				return fmt.Errorf("records of %s: %s is longer than a name in DNS can be", c.set.Domain, strings.TrimSuffix(name, "."))
			}
		}
	}
	return nil
}
