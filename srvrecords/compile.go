package srvrecords

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"mailconfd/settings"
)

// compiler holds a set while it is made.
type compiler struct {
	set     Set
	ttl     uint32
	targets map[string]bool // the hosts that SRV records point at
}

// comparable lists the roles whose records clients compare by priority: the ways to
// send; IMAP with POP3, where the lower priority is what the provider prefers (RFC
// 6186 section 3.4); the filters.
func comparable() [][]settings.Role {
	return [][]settings.Role{{settings.RoleSubmission}, {settings.RoleIMAP, settings.RolePOP3}, {settings.RoleSieve}}
}

// mail makes the records of the mail services, in the order of Verified: the policy's,
// with failing services behind.
func (c *compiler) mail(result settings.Result) {
	v := result.Verified
	for _, roles := range comparable() {
		place := 0
		for _, role := range roles {
			var said []settings.Service
			for _, p := range v.Services(role) {
				if reason := cannotSay(v.Provider(), p, said); reason != "" {
					c.withhold(p.Service, reason)
					continue
				}
				c.service(p, place)
				said = append(said, p.Service)
				place++
			}
		}
	}
	for _, scheme := range settings.Schemes() {
		if slices.Contains(v.Provider().NotOffered, scheme.Role()) && closed(result, scheme) {
			c.notOffered(scheme)
		}
	}
}

// cannotSay returns why a published service has no SRV record, or "". said holds the
// services of its role that have one and come before it.
func cannotSay(provider settings.Provider, p settings.Published, said []settings.Service) string {
	s := p.Service
	switch {
	case p.SaysAddress:
	case provider.SaysAddress():
		return "a login has shown that the whole address is rejected there; users log in with the local part, which SRV cannot say, " +
			"and clients try the whole address first (RFC 6186 section 4)"
	default:
		return "users log in with the local part, which SRV cannot say, and clients try the whole address first (RFC 6186 section 4); " +
			"if the whole address works too, set accepts_address"
	}
	if _, err := netip.ParseAddr(s.Host); err == nil {
		return "the target of an SRV record is a host name, not an address (RFC 2782)"
	}
	if s.Security() != settings.STARTTLS {
		return ""
	}
	if !s.OnDefaultPort() {
		return fmt.Sprintf("SRV cannot say STARTTLS on another port than %d: %s", s.Scheme.DefaultPort(), guesses(s.Role()))
	}
	if s.Role() == settings.RoleSubmission {
		return "" // RFC 8314 section 3.3: both ports should be offered
	}
	for _, t := range said {
		if t.Security() == settings.ImplicitTLS {
			return fmt.Sprintf("%s comes before it, and %s", t, prefers(s.Role()))
		}
	}
	return ""
}

// guesses says what clients make of a STARTTLS label with an unusual port.
func guesses(r settings.Role) string {
	if r == settings.RoleSubmission || r == settings.RoleIMAP {
		return "FairEmail would use implicit TLS there, and SnappyMail no encryption"
	}
	return "clients may guess the encryption from the port"
}

// prefers says what clients may do with both labels of a role.
func prefers(r settings.Role) string {
	if r == settings.RoleIMAP {
		return "aerc would prefer the label without implicit TLS"
	}
	return "a client may prefer the label without implicit TLS"
}

// closed tells whether "." may be said of a label: nothing is published that it names,
// and each of its candidates is proved closed, one on the default port among them. RFC
// 6186 section 3.4 makes "." a strong statement, so anything less is silence.
func closed(result settings.Result, scheme settings.Scheme) bool {
	if !result.Verified.Provider().SaysAddress() {
		return false
	}
	for _, p := range result.Verified.Services(scheme.Role()) {
		if p.Service.Scheme == scheme {
			return false
		}
	}
	proved := false
	for _, w := range result.Withheld {
		if w.Service.Scheme != scheme {
			continue
		}
		if !w.Closed {
			return false
		}
		proved = proved || w.Service.OnDefaultPort()
	}
	return proved
}

// service adds the record of a published service. Weights are equal; the priority is
// its place, in steps of ten that leave room for an edit by hand.
func (c *compiler) service(p settings.Published, place int) {
	s := p.Service
	priority := uint16(min(10*place, math.MaxUint16))
	c.srv(Record{
		Service: s.String(),
		Basis:   string(p.Basis),
		Why:     what(s.Scheme) + ": " + basis(p) + remark(s),
		Readers: readers(label(s.Scheme)),
	}, label(s.Scheme), priority, 1, s.Port, dns.Fqdn(s.Host))
	c.targets[s.Host] = true
}

// notOffered adds the record that tells clients not to look for a service (RFC 2782,
// RFC 6186 section 3.4).
func (c *compiler) notOffered(scheme settings.Scheme) {
	c.srv(Record{
		Why:     what(scheme) + ": not offered, as the operator says, and the port was seen closed from outside",
		Readers: readers(label(scheme)),
	}, label(scheme), 0, 0, 0, ".")
}

// config adds the records by which clients find the configuration server.
func (c *compiler) config(host string, p settings.Provider) {
	// One record, on 443: Thunderbird takes the one with the lowest weight, and neither it
	// nor Outlook goes by the port.
	c.srv(Record{
		Why:     "Autodiscover is answered by this host over HTTPS",
		Readers: readers("_autodiscover._tcp"),
	}, "_autodiscover._tcp", 0, 1, 443, dns.Fqdn(host))
	c.targets[host] = true
	for _, s := range p.Candidates() {
		c.targets[s.Host] = true
	}
	for _, label := range []string{"autoconfig", "autodiscover"} {
		c.alias(label, host)
	}
}

// alias adds a CNAME to the configuration host, unless the name has to hold addresses.
func (c *compiler) alias(label, host string) {
	name := label + "." + c.set.Domain
	switch {
	case name == host:
		c.withholdName(name, "it is the configuration host itself: give it an address record")
		return
	case c.targets[name]:
		c.withholdName(name, "a mail service is on this host, and the target of an SRV record must not be an alias (RFC 2782)")
		return
	}
	rr := &dns.CNAME{Hdr: c.header(label, dns.TypeCNAME), Target: dns.Fqdn(host)}
	c.add(Record{
		Why:     "mail clients ask this name for their settings; the certificate there must hold it",
		Readers: readers(label),
	}, rr)
}

// unverified lists the candidates that may not be published at all.
func (c *compiler) unverified(withheld []settings.Withheld) {
	for _, w := range withheld {
		c.withhold(w.Service, strings.TrimPrefix(w.String(), w.Service.String()+": "))
	}
}

func (c *compiler) withhold(s settings.Service, reason string) {
	owner := c.header(label(s.Scheme), dns.TypeSRV).Name
	c.set.Withheld = append(c.set.Withheld, Withheld{Owner: owner, Service: s.String(), Reason: reason})
}

func (c *compiler) withholdName(name, reason string) {
	c.set.Withheld = append(c.set.Withheld, Withheld{Owner: dns.Fqdn(name), Reason: reason})
}

func (c *compiler) srv(r Record, label string, priority, weight, port uint16, target string) {
	c.add(r, &dns.SRV{Hdr: c.header(label, dns.TypeSRV), Priority: priority, Weight: weight, Port: port, Target: target})
}

func (c *compiler) header(label string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: dns.Fqdn(label + "." + c.set.Domain), Rrtype: rrtype, Class: dns.ClassINET, Ttl: c.ttl}
}

// add completes a record by what the resource record says.
func (c *compiler) add(r Record, rr dns.RR) {
	h := rr.Header()
	r.Owner, r.TTL, r.Type = h.Name, h.Ttl, dns.TypeToString[h.Rrtype]
	r.Data = strings.TrimPrefix(rr.String(), h.String())
	r.rr = rr
	c.set.Records = append(c.set.Records, r)
}
