// Package srvrecords says which DNS records tell mail clients what was verified: the
// SRV records of RFC 6186, RFC 8314 section 5.1 and RFC 5804 section 1.8, and, where
// the configuration server has a name, those by which clients find it.
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

// Options are what a record set depends on besides the services. The zero value makes
// the records of the mail services, with DefaultTTL.
type Options struct {
	// ConfigHost is the name at which the configuration server answers over HTTPS. With
	// it the set holds the records by which clients find that server. They stand for the
	// server, not for a service, and so do not come and go with what is verified.
	ConfigHost string
	TTL        time.Duration // whole seconds from 1 to 2^31-1; 0: DefaultTTL
}

// Set is the record set of one domain.
type Set struct {
	Domain   string     `json:"domain"`            // in A-labels, without a final dot
	Unicode  string     `json:"unicode,omitempty"` // the domain in U-labels, where that differs
	Records  []Record   `json:"records"`
	Withheld []Withheld `json:"withheld"` // what is left out, the published services first
}

// Record is one DNS record of class IN. One that Compile has not made has no RR.
type Record struct {
	Owner   string   `json:"owner"` // absolute, with the final dot
	TTL     uint32   `json:"ttl"`   // in seconds
	Type    string   `json:"type"`  // "SRV" or "CNAME"
	Data    string   `json:"data"`  // as a zone file has it; names are absolute
	Service string   `json:"service,omitempty"`
	Basis   string   `json:"basis,omitempty"` // why Service may be published: a settings.Basis
	Why     string   `json:"why"`             // for people: what the record says and what stands behind it
	Readers []string `json:"readers"`         // the clients that are known to look it up

	rr dns.RR
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
// caller owns them.
func (s Set) RRs() []dns.RR {
	rrs := make([]dns.RR, len(s.Records))
	for i, r := range s.Records {
		rrs[i] = dns.Copy(r.rr)
	}
	return rrs
}

// Compile makes the record set of a domain. It returns an error where the domain, the
// options, or an owner name that they lead to cannot stand in DNS; what is not
// verified or cannot be said is no error but in Withheld.
func Compile(result settings.Result, domain string, opt Options) (Set, error) {
	domain, err := settings.ParseDomain(domain)
	if err != nil {
		return Set{}, fmt.Errorf("records: %w", err)
	}
	ttl, err := opt.seconds()
	if err != nil {
		return Set{}, fmt.Errorf("records of %s: %w", domain, err)
	}
	c := compiler{
		set:     Set{Domain: domain, Records: []Record{}, Withheld: []Withheld{}},
		ttl:     ttl,
		targets: map[string]bool{},
	}
	if name, err := idna.Display.ToUnicode(domain); err == nil && name != domain {
		c.set.Unicode = name
	}
	c.mail(result)
	if opt.ConfigHost != "" {
		host, err := settings.ParseDomain(opt.ConfigHost)
		if err != nil {
			return Set{}, fmt.Errorf("records of %s: configuration host: %w", domain, err)
		}
		c.config(host, result.Verified.Provider())
	}
	c.unverified(result.Withheld)
	return c.set, c.check()
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

// check refuses owner names that are too long: a domain may have 253 octets, and a
// name with a label before it no more (RFC 1035 section 2.3.4).
func (c *compiler) check() error {
	for _, r := range c.set.Records {
		if _, ok := dns.IsDomainName(r.Owner); !ok {
			return fmt.Errorf("records of %s: %s is longer than a name in DNS can be", c.set.Domain, strings.TrimSuffix(r.Owner, "."))
		}
	}
	return nil
}
