package doctor

import (
	"fmt"
	"slices"

	"mailconfd/settings"
)

// mailRoles are the services that a client is set up with.
var mailRoles = []settings.Role{settings.RoleIMAP, settings.RolePOP3, settings.RoleSubmission}

// order finds the weaker service before the stronger, where both work (A9.1, A9.2).
// Submission on 587 before 465 is a choice that many make on purpose.
func (c *comparison) order() {
	for _, f := range c.docs {
		for _, role := range mailRoles {
			of := slices.DeleteFunc(slices.Clone(f.offers), func(o offer) bool { return o.role != role })
			if len(of) > 1 {
				c.find(KindAlternatives, fmt.Sprintf("%s lists %d servers for %s", bare(f.url), len(of), role), "", c.others(f, of[0])...)
			}
			c.weakerFirst(KindWeakerFirst, of, f.urls)
		}
	}
	for _, role := range mailRoles {
		of := slices.DeleteFunc(slices.Clone(c.srv), func(o offer) bool { return o.role != role || o.host == "" })
		slices.SortStableFunc(of, func(a, b offer) int { return int(a.priority) - int(b.priority) })
		if len(of) > 1 && of[0].priority < of[len(of)-1].priority {
			c.weakerFirst(KindWeakerFirstSRV, of, []string{of[0].source, of[len(of)-1].source})
		}
	}
}

// others are the clients that took another server of a document than the first.
func (c *comparison) others(f *file, first offer) []string {
	return c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Settings, func(s Setting) bool {
			return slices.ContainsFunc(f.urls, func(u string) bool { return bare(u) == bare(s.Source) }) &&
				s.Role == first.role && (s.Host != first.host || s.Port != first.port)
		})
	})
}

// weakerFirst compares the first of several offers with those behind it.
func (c *comparison) weakerFirst(k Kind, of []offer, sources []string) {
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
			c.findLess(Note, k, detail, "nothing, if it is meant so; RFC 8314 section 4 prefers implicit TLS", c.readers(sources...)...)
			return
		}
		c.find(k, detail, "", c.readers(sources...)...)
		return
	}
}

// agreement finds contradictions (A10.1, paths), and formats that send their clients to
// different places.
func (c *comparison) agreement() {
	c.contradictions()
	for _, f := range c.docs {
		first := c.first(f.format)
		if first == nil || first == f || len(f.offers) == 0 {
			continue
		}
		if what := difference(first.offers, f.offers); what != "" {
			c.find(KindPathsDiffer, fmt.Sprintf("%s and %s: %s", bare(first.url), bare(f.url), what), "", c.readers(f.urls...)...)
		}
	}
	c.formats()
	c.notOffered()
	c.centralDatabase()
}

// contradictions finds one port that is said to encrypt in two ways.
func (c *comparison) contradictions() {
	said := map[string]offer{}
	for _, o := range c.offers() {
		if o.security == "" || o.security == SecurityAuto || o.host == "" {
			continue
		}
		before, known := said[o.place()]
		if !known {
			said[o.place()] = o
			continue
		}
		if before.security == o.security || on465(o) {
			continue
		}
		wrong, right, truth := o, before, c.truth(o.role, o.host, o.port)
		if truth == o.security {
			wrong, right = before, o
		}
		detail, remedy := fmt.Sprintf("%s port %d: %s (%s) and %s (%s)", shown(o.host), o.port, before.said, bare(before.source), o.said, bare(o.source)), ""
		if truth != "" {
			detail = fmt.Sprintf("%s port %d: %s is false (%s); %s is true (%s)", shown(o.host), o.port, wrong.said, bare(wrong.source), right.said, bare(right.source))
			remedy = "in " + bare(wrong.source) + ", " + c.instead(wrong, truth)
		}
		f := finding(KindContradiction, detail, remedy).of(o.place())
		if s, ok := wrong.service(); ok && truth != "" {
			f.explains = []string{s.String()}
		}
		c.add(f, c.believers(wrong)...)
	}
}

// statement is the line or record that would say how an offer encrypts.
func (e *examination) statement(o offer, security Security) string {
	if o.format != formatSRV {
		return line(o.format, security)
	}
	o.security = security
	s, _ := o.service()
	return fmt.Sprintf("_%s._tcp.%s. SRV %d 1 %d %s.", s.Scheme, e.address.Domain, o.priority, o.port, o.host)
}

// difference returns what the first offers of two documents differ in, or "".
func difference(a, b []offer) string {
	for _, role := range mailRoles {
		x, y := firstOf(a, role), firstOf(b, role)
		switch {
		case x == nil && y == nil:
		case x == nil || y == nil:
			return fmt.Sprintf("only one of them has a server for %s", role)
		case !sameOffer(x, y):
			return fmt.Sprintf("%s, and %s", x, y)
		}
	}
	return ""
}

func sameOffer(x, y *offer) bool {
	return x.host == y.host && x.port == y.port && x.security == y.security
}

func firstOf(offers []offer, role settings.Role) *offer {
	for i := range offers {
		if offers[i].role == role && offers[i].host != "" {
			return &offers[i]
		}
	}
	return nil
}

// formats holds each format against the one that can say most. What a format cannot
// say is no disagreement: it then has the next service that works.
func (c *comparison) formats() {
	reference := c.first(formatAutoconfig)
	if reference == nil {
		reference = c.first(formatAutodiscover)
	}
	if reference == nil {
		return
	}
	srv := slices.SortedStableFunc(slices.Values(c.srv), func(a, b offer) int { return int(a.priority) - int(b.priority) })
	for _, other := range [][]offer{offersOf(c.first(formatAutodiscover)), srv, offersOf(c.first(formatPACC))} {
		for _, role := range mailRoles {
			x, y := firstOf(reference.offers, role), firstOf(other, role)
			if x == nil || y == nil || x.format == y.format || !c.tried(x) || !c.tried(y) || listed(other, x) || listed(reference.offers, y) {
				continue // nothing to compare, or a question of order alone
			}
			kind := KindFormatsDiffer
			if !y.format.says(x) {
				kind = KindByDesign
			} else if x.host == y.host && x.port == y.port {
				continue // a contradiction, which is told
			}
			c.find(kind, fmt.Sprintf("%s: %s; %s: %s", bare(x.source), x, bare(y.source), y), "", c.readers(y.source)...)
		}
	}
}

// tried tells an offer that works; what is wrong with others is told, and that they differ
// from those that work follows from it.
func (c *comparison) tried(o *offer) bool {
	s, ok := o.service()
	return ok && c.works(s)
}

// sound tells an offer of a service that can be tried.
func (o *offer) sound() bool {
	_, ok := o.service()
	return ok
}

func listed(offers []offer, x *offer) bool {
	return slices.ContainsFunc(offers, func(o offer) bool { return sameOffer(x, &o) })
}

func offersOf(f *file) []offer {
	if f == nil {
		return nil
	}
	return f.offers
}

// says tells whether a format can say a service so that all its readers understand.
func (f format) says(o *offer) bool {
	service, ok := o.service()
	switch f {
	case formatPACC:
		return ok && o.security == SecurityTLS && service.OnDefaultPort()
	case formatAutodiscover: // SnappyMail takes every IMAP port but 993 for STARTTLS
		return ok && (o.security == SecurityTLS && o.role != settings.RoleIMAP || service.OnDefaultPort())
	case formatSRV:
		return ok && (o.security == SecurityTLS || service.OnDefaultPort())
	default:
		return true
	}
}

// notOffered compares an SRV record that says "not offered" (RFC 6186 section 3.4) with
// the documents.
func (c *comparison) notOffered() {
	for _, no := range c.srv {
		for _, f := range c.docs {
			for _, o := range f.offers {
				if s, ok := o.service(); ok && no.host == "" && o.role == no.role && o.security == no.security && c.works(s) {
					c.add(finding(KindFormatsDiffer, fmt.Sprintf("%s says that the service is not offered; %s: %s", no.source, bare(f.url), o), "remove the record, or take the service out of the documents").of(no.source))
				}
			}
		}
	}
}

// centralDatabase compares the ISPDB's entry with the domain's own document.
func (c *comparison) centralDatabase() {
	own := c.first(formatAutoconfig)
	if own == nil {
		return
	}
	v := &visit{examination: c.examination}
	entry := c.inquireOne(askGET(formatAutoconfig, v.ispdb(thunderbirdNetISPDB)+c.address.Domain))
	if len(entry.offers) == 0 {
		return
	}
	if what := difference(own.offers, entry.offers); what != "" {
		c.find(KindISPDB, fmt.Sprintf("%s: %s", entry.url, what), "", c.readers(entry.url)...)
	}
}
