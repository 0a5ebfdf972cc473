package srvrecords

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"mailconfd/settings"
)

// Delegate makes aliases for a domain, or for the Template, whose set is kept at another
// domain: _imaps._tcp.DOMAIN is an alias of _imaps._tcp.TO, and so on. The owner name of
// an SRV record may be an alias (RFC 2782; only the target may not). When a port changes,
// the set at TO changes and the customers' zones do not. So the aliases follow from what
// the provider declares and not from what is verified: one that leads to nothing is the
// same to clients as no record.
//
// Errors are those of Compile; TO must be another domain.
func Delegate(p settings.Provider, domain, to string, opt Options) (Set, error) {
	to, err := settings.ParseDomain(to)
	if err != nil {
		return Set{}, fmt.Errorf("records: delegate to: %w", err)
	}
	c, err := newCompiler(p, domain, opt)
	if err != nil {
		return Set{}, err
	}
	if c.set.Domain == to {
		return Set{}, fmt.Errorf("records of %s: it cannot be delegated to itself", to)
	}
	c.set.Delegated = to
	c.set.offer = true
	for _, scheme := range declared(p) {
		if !p.SaysAddress() {
			c.withholdName(label(scheme), noAddress)
			continue
		}
		c.alias(label(scheme), what(scheme)+": kept once, at "+to)
	}
	if c.host != "" {
		c.speak(autodiscoverSRV, "SRV")
		c.alias(autodiscoverSRV, "the host that answers Autodiscover: kept once, at "+to)
		c.delegateHosts(opt)
	}
	return c.set, c.check()
}

// delegateHosts adds the host names, and what cannot be an alias.
func (c *compiler) delegateHosts(opt Options) {
	said := false
	for _, label := range hostLabels {
		if reason := c.taken(label); reason != "" {
			c.withholdName(label, reason)
			continue
		}
		said = said || label == autoconfigHost
		c.speak(label, "CNAME")
		c.alias(label, hostWhy(label))
	}
	if opt.Mailconf {
		c.mailconf(said)
	}
}

// alias adds the alias of a label.
func (c *compiler) alias(label, why string) {
	c.add(Record{Why: why, Readers: readers(label)}, label, &dns.CNAME{
		Hdr: c.header(label, dns.TypeCNAME), Target: dns.Fqdn(label + "." + c.set.Delegated),
	})
}

// declared returns the labels that a provider's set may ever hold.
func declared(p settings.Provider) []settings.Scheme {
	var all []settings.Scheme
	for _, scheme := range settings.Schemes() {
		candidate := slices.ContainsFunc(p.Candidates(), func(s settings.Service) bool { return s.Scheme == scheme })
		if candidate {
			all = append(all, scheme)
		}
	}
	return all
}
