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
	host    string          // the configuration host, or ""
	targets map[string]bool // hosts that SRV records may point at: no aliases
}

// comparable lists the roles whose records clients compare by priority: the ways to
// send; IMAP with POP3, where the lower priority is what the provider prefers (RFC
// 6186 section 3.4); everything else by itself.
func comparable() [][]settings.Role {
	return [][]settings.Role{
		{settings.RoleSubmission},
		{settings.RoleIMAP, settings.RolePOP3},
		{settings.RoleSieve},
		{settings.RoleJMAP},
		{settings.RoleCalendar},
		{settings.RoleContacts},
	}
}

// mail makes the records of the mail services, in the order of Verified: the policy's,
// with failing services behind.
func (c *compiler) mail(result settings.Result) {
	v := result.Verified
	said := map[settings.Role]bool{}
	for _, roles := range comparable() {
		place := 0
		for _, role := range roles {
			var before []settings.Service
			var told []settings.Published
			for _, p := range v.Services(role) {
				if reason := cannotSay(v.Provider(), p, before); reason != "" {
					c.withhold(p.Service, reason)
					continue
				}
				c.service(p, place)
				before, told = append(before, p.Service), append(told, p)
				said[role] = true
				place++
			}
			c.contextPath(told)
		}
	}
	c.set.offer = said[settings.RoleSubmission] && (said[settings.RoleIMAP] || said[settings.RolePOP3])
	for _, scheme := range settings.Schemes() {
		if slices.Contains(v.Provider().NotOffered, scheme.Role()) && closed(result, scheme) {
			c.notOffered(scheme)
		}
	}
}

// noAddress is why there are no mail records where a whole address does not log in.
const noAddress = "users log in with the local part, which SRV cannot say, and clients try the whole address first (RFC 6186 section 4); " +
	"if the whole address works too, set accepts_address"

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
		return noAddress
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
}

// pathKey begins the TXT record that tells a context path (RFC 6764 section 4).
const pathKey = "path="

// hasPath tells the schemes whose context path a TXT record says. Clients always ask for
// JMAP at its well-known path.
func hasPath(s settings.Scheme) bool {
	return s == settings.SchemeCalDAVS || s == settings.SchemeCardDAVS
}

// contextPath adds the record that says where on its hosts a service is. Without one,
// clients ask at the well-known path, which was seen to lead there.
func (c *compiler) contextPath(told []settings.Published) {
	if len(told) == 0 || !hasPath(told[0].Service.Scheme) {
		return
	}
	scheme, path := told[0].Service.Scheme, told[0].Path
	if slices.ContainsFunc(told, func(p settings.Published) bool { return p.Path != path }) {
		c.withholdName(label(scheme), "TXT: the hosts are not known to have the same context path, and the record holds for all of them; clients ask at "+scheme.WellKnown())
		return
	}
	if path == "" {
		return
	}
	c.add(Record{
		Why:     what(scheme) + ": the context path, to which " + scheme.WellKnown() + " was seen to lead",
		Readers: readers(label(scheme)),
	}, label(scheme), &dns.TXT{Hdr: c.header(label(scheme), dns.TypeTXT), Txt: split(pathKey + path)})
}

// notOffered adds the record that tells clients not to look for a service (RFC 2782,
// RFC 6186 section 3.4).
func (c *compiler) notOffered(scheme settings.Scheme) {
	c.srv(Record{
		Why:     what(scheme) + ": not offered, as the operator says, and the port was seen closed from outside",
		Readers: readers(label(scheme)),
	}, label(scheme), 0, 0, 0, ".")
}

// unverified lists the candidates that may not be published at all.
func (c *compiler) unverified(withheld []settings.Withheld) {
	for _, w := range withheld {
		c.withhold(w.Service, strings.TrimPrefix(w.String(), w.Service.String()+": "))
	}
}

func (c *compiler) withhold(s settings.Service, reason string) {
	c.set.Withheld = append(c.set.Withheld, Withheld{Owner: c.owner(label(s.Scheme)), Service: s.String(), Reason: reason})
}

func (c *compiler) withholdName(label, reason string) {
	c.set.Withheld = append(c.set.Withheld, Withheld{Owner: c.owner(label), Reason: reason})
}

func (c *compiler) srv(r Record, label string, priority, weight, port uint16, target string) {
	c.add(r, label, &dns.SRV{Hdr: c.header(label, dns.TypeSRV), Priority: priority, Weight: weight, Port: port, Target: target})
}

// header makes the header of a record. The records of a template have names at the root.
func (c *compiler) header(label string, rrtype uint16) dns.RR_Header {
	name := label
	switch {
	case label == apex:
		name = c.set.Domain
	case c.set.Domain != Template:
		name = label + "." + c.set.Domain
	}
	return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: rrtype, Class: dns.ClassINET, Ttl: c.ttl}
}

// owner is the owner name of a label as Record has it.
func (c *compiler) owner(label string) string {
	if c.set.Domain == Template {
		return label
	}
	return c.header(label, dns.TypeNone).Name
}

// speak says that the set tells all there should be of a type at a label.
func (c *compiler) speak(label string, types ...string) {
	for _, t := range types {
		c.set.names = append(c.set.names, Name{Owner: c.owner(label), Type: t})
	}
}

// add completes a record by what the resource record says.
func (c *compiler) add(r Record, label string, rr dns.RR) {
	h := rr.Header()
	r.Owner, r.TTL, r.Type = c.owner(label), h.Ttl, dns.TypeToString[h.Rrtype]
	r.Data = strings.TrimPrefix(rr.String(), h.String())
	r.rr = rr
	c.set.Records = append(c.set.Records, r)
}
