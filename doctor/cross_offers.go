package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// values finds what means nothing to clients, or not what was meant (A3.1, A4.1, pair).
func (c *court) values() {
	for _, f := range c.files {
		for _, o := range f.offers {
			switch {
			case o.security == "" || o.port == 0 || o.host == "" || unexpanded(o):
				c.find(KindMeaningless, fmt.Sprintf("%s: %s", bare(f.url), o), "")
			case o.security == SecurityNone:
				c.find(KindPlaintextOffered, fmt.Sprintf("%s: %s", bare(f.url), o), "")
			}
			if o.role == settings.RoleSubmission && o.port == 25 {
				c.find(KindPort25, fmt.Sprintf("%s: %s", bare(f.url), o), "")
			}
		}
		if f.format == formatAutodiscover {
			c.pairs(f)
		}
		c.usernames(f)
	}
}

// unexpanded tells a placeholder that Autodiscover has no meaning for.
func unexpanded(o offer) bool {
	return o.format == formatAutodiscover && strings.Contains(o.host, "%")
}

// pairs looks at SSL and Encryption together.
func (c *court) pairs(f file) {
	for _, account := range f.root.child("Response").all("Account") {
		for _, n := range account.all("Protocol") {
			ssl, encryption := n.child("SSL"), n.child("Encryption")
			words := strings.ToLower(strings.TrimSpace(textOf(encryption)))
			where := fmt.Sprintf("%s: %s %s port %s", bare(f.url), n.value("Type"), n.value("Server"), n.value("Port"))
			switch {
			case ssl == nil && (words == "ssl" || words == "tls"):
				c.find(KindPair, where, "")
			case words == "tls" && strings.EqualFold(strings.TrimSpace(textOf(ssl)), "off"):
				c.find(KindPairOff, where, "")
			}
		}
	}
}

// composites are user names that only some clients can make.
func (c *court) usernames(f file) {
	if f.format != formatAutoconfig {
		return
	}
	for _, provider := range f.root.all("emailProvider") {
		for _, n := range slices.Concat(provider.all("incomingServer"), provider.all("outgoingServer")) {
			name := n.value("username")
			if strings.Contains(name, "%") && name != "%EMAILADDRESS%" && name != "%EMAILLOCALPART%" {
				c.find(KindUsername, fmt.Sprintf("%s: %q: FairEmail, aerc, Mailspring, GNOME Online Accounts and Horde do not expand it", bare(f.url), name), "")
			}
		}
	}
}

// works tells whether a service does what a client needs.
func (c *court) works(s settings.Service) bool { return c.probe(s).Verdict().Verified }

// order finds the weaker service before the stronger, where both work (A9.1, A9.2).
// Submission on 587 before 465 is a choice that many make on purpose.
func (c *court) order() {
	for _, f := range c.files {
		if scheme(f.url) == "http" {
			continue
		}
		for _, role := range []settings.Role{settings.RoleIMAP, settings.RolePOP3, settings.RoleSubmission} {
			of := slices.DeleteFunc(slices.Clone(f.offers), func(o offer) bool { return o.role != role })
			if len(of) > 1 {
				c.find(KindAlternatives, fmt.Sprintf("%s lists %d %s servers", bare(f.url), len(of), role), "")
			}
			c.weakerFirst(KindWeakerFirst, of)
		}
	}
	for _, role := range []settings.Role{settings.RoleIMAP, settings.RolePOP3, settings.RoleSubmission} {
		of := slices.DeleteFunc(slices.Clone(c.srv), func(o offer) bool { return o.role != role || o.host == "" })
		slices.SortStableFunc(of, func(a, b offer) int { return int(a.priority) - int(b.priority) })
		c.weakerFirst(KindWeakerFirstSRV, of)
	}
}

// weakerFirst compares the first of several offers with those behind it.
func (c *court) weakerFirst(k Kind, of []offer) {
	if len(of) < 2 {
		return
	}
	strength := map[Security]int{SecurityNone: 1, SecuritySTARTTLS: 2, SecurityTLS: 3}
	first := of[0]
	for _, o := range of[1:] {
		service, ok := o.service()
		if strength[o.security] <= strength[first.security] || strength[first.security] == 0 || !ok || !c.works(service) {
			continue
		}
		detail := fmt.Sprintf("%s: %s before %s", bare(first.source), first, o)
		if first.security == SecuritySTARTTLS && first.role == settings.RoleSubmission {
			c.findAs(Note, k, detail, "nothing, if it is meant so; RFC 8314 section 4 prefers implicit TLS")
			return
		}
		c.find(k, detail, "")
		return
	}
}

// agreement finds contradictions (A10.1, paths), and formats that send their clients to
// different places.
func (c *court) agreement() {
	c.contradictions()
	for _, f := range []format{formatAutoconfig, formatAutodiscover} {
		first := c.first(f)
		for _, other := range c.files {
			if first == nil || other.format != f || len(other.offers) == 0 {
				continue
			}
			if what := difference(first.offers, other.offers); what != "" {
				c.find(KindPathsDiffer, fmt.Sprintf("%s and %s: %s", bare(first.url), bare(other.url), what), "")
			}
		}
	}
	a, b := c.first(formatAutoconfig), c.first(formatAutodiscover)
	if a != nil && b != nil {
		c.compareFormats(a.offers, b.offers, bare(a.url), bare(b.url))
	}
}

// contradictions finds one port that is said to encrypt in two ways.
func (c *court) contradictions() {
	type place struct {
		role settings.Role
		host string
		port uint16
	}
	said := map[place]offer{}
	for _, o := range c.offers() {
		if o.security == "" || o.security == SecurityAuto || o.host == "" {
			continue
		}
		p := place{o.role, o.host, o.port}
		before, known := said[p]
		if !known {
			said[p] = o
			continue
		}
		if before.security != o.security {
			c.find(KindContradiction, fmt.Sprintf("%s port %d: %s (%s) and %s (%s)", o.host, o.port, before.said, bare(before.source), o.said, bare(o.source)), "")
		}
	}
}

// difference returns what the first offers of two documents differ in, or "".
func difference(a, b []offer) string {
	for _, role := range []settings.Role{settings.RoleIMAP, settings.RolePOP3, settings.RoleSubmission} {
		x, y := firstOf(a, role), firstOf(b, role)
		switch {
		case x == nil && y == nil:
		case x == nil || y == nil:
			return fmt.Sprintf("only one of them has a server for %s", role)
		case x.host != y.host || x.port != y.port || x.security != y.security:
			return fmt.Sprintf("%s, and %s", x, y)
		}
	}
	return ""
}

func firstOf(offers []offer, role settings.Role) *offer {
	for i := range offers {
		if offers[i].role == role {
			return &offers[i]
		}
	}
	return nil
}

// compareFormats holds autoconfig against Autodiscover, which cannot say STARTTLS on a
// port of its own: it then has the next service that works.
func (c *court) compareFormats(a, b []offer, from, other string) {
	for _, role := range []settings.Role{settings.RoleIMAP, settings.RoleSubmission} {
		x, y := firstOf(a, role), firstOf(b, role)
		if x == nil || y == nil || x.host == y.host && x.port == y.port {
			continue
		}
		detail := fmt.Sprintf("%s: %s; %s: %s", from, x, other, y)
		usual, _ := x.service()
		if x.host == y.host && x.security == SecuritySTARTTLS && !usual.OnDefaultPort() {
			c.find(KindByDesign, detail, "")
			continue
		}
		c.find(KindFormatsDiffer, detail, "")
	}
}

// servers finds what the mail servers themselves show: injection, and better services
// than those that are published.
func (c *court) servers() {
	published := map[settings.Service]bool{}
	hosts := map[string]map[settings.Role]bool{}
	for _, o := range c.offers() {
		service, ok := o.service()
		if !ok || o.host == "" || strings.Contains(o.host, "%") || o.port == 0 {
			continue
		}
		published[service] = true
		if hosts[o.host] == nil {
			hosts[o.host] = map[settings.Role]bool{}
		}
		hosts[o.host][o.role] = true
		if f := c.probe(service).Verdict().Failure; f != nil && f.Kind == settings.FailureSTARTTLSInjection {
			c.find(KindInjection, service.String()+": "+f.Detail, "")
		}
	}
	for _, o := range c.offers() {
		if hosts[o.host] == nil {
			continue
		}
		for _, s := range settings.Candidates(o.host) {
			if published[s] || !hosts[o.host][s.Role()] || s.Role() == settings.RoleSieve {
				continue
			}
			published[s] = true // told once
			if s.Security() == settings.ImplicitTLS && c.works(s) {
				c.find(KindBetterOffered, s.String()+" works and is not published anywhere", "")
			}
		}
	}
}
