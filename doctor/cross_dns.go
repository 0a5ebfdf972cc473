package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// records finds what is wrong with the SRV records (A3.2 and more).
func (c *comparison) records() {
	domain := c.address.Domain
	for _, o := range c.srv {
		if o.host == "" {
			continue // "." says that the service is not offered
		}
		service, ok := o.service()
		where := fmt.Sprintf("%s leads to %s port %d", o.source, shown(o.host), o.port)
		switch {
		case on465(o):
			f := finding(KindSubmission465, where, fmt.Sprintf("_submissions._tcp.%s. SRV %d 1 465 %s.", domain, o.priority, o.host))
			f.explains = []string{service.String()}
			c.add(f, c.believers(o)...)
		case o.role == settings.RoleSubmission && o.port == 25:
			c.find(KindPort25, where, "", c.readers(o.source)...)
		case o.security == SecuritySTARTTLS && ok && !service.OnDefaultPort():
			c.find(KindSRVPort, where, "", c.misreaders(o)...)
		}
		if o.security == SecuritySTARTTLS {
			c.missingImplicit(o)
		}
		c.target(o)
	}
	c.autodiscoverRecords()
}

// on465 tells a record for STARTTLS that leads to the port for implicit TLS.
func on465(o offer) bool {
	return o.format == formatSRV && o.role == settings.RoleSubmission && o.security == SecuritySTARTTLS && o.port == 465
}

// missingImplicit looks for the record of the encrypted twin of a STARTTLS record, where
// that service works.
func (c *comparison) missingImplicit(o offer) {
	twin, ok := offer{role: o.role, host: o.host, port: 1, security: SecurityTLS}.service()
	twin.Port = twin.Scheme.DefaultPort()
	has := slices.ContainsFunc(c.srv, func(p offer) bool { return p.role == o.role && p.security == SecurityTLS && p.host != "" })
	if ok && !has && o.port != 465 && c.works(twin) {
		c.find(KindNoImplicitTLS, twin.String()+" works; "+o.source+" has no counterpart for it",
			fmt.Sprintf("_%s._tcp.%s. SRV %d 1 %d %s.", twin.Scheme, c.address.Domain, o.priority, twin.Port, twin.Host), c.readers(o.source)...)
	}
}

// target looks at where a record leads.
func (c *comparison) target(o offer) {
	if alias := c.lookUp(o.host, TypeCNAME); len(alias.Records) > 0 {
		c.add(finding(KindTargetAlias, "SRV records lead to "+shown(o.host)+", an alias of "+shown(alias.Records[0].Host), "let them lead to "+shown(alias.Records[0].Host)).of(o.host), c.readers(o.source)...)
	}
	outside := o.host != c.address.Domain && !strings.HasSuffix(o.host, "."+c.address.Domain)
	if outside && !c.lookUp(o.source, TypeSRV).Authentic {
		c.add(finding(KindTargetOutside, "SRV records lead to "+shown(o.host), "").of(o.host), c.readers(o.source)...)
	}
}

// autodiscoverRecords looks at the SRV records of Autodiscover.
func (c *comparison) autodiscoverRecords() {
	owner := "_autodiscover._tcp." + c.address.Domain
	records := slices.DeleteFunc(slices.Clone(c.lookUp(owner, TypeSRV).Records), func(r Record) bool { return r.Host == "" })
	if len(records) == 0 {
		return
	}
	remedy := fmt.Sprintf("%s. SRV 0 1 443 %s.", owner, sortedByPriority(records)[0].Host)
	switch {
	case len(records) > 1:
		c.find(KindAutodiscoverSRV, fmt.Sprintf("%s has %d records", owner, len(records)), remedy)
	case records[0].Port != 443:
		c.find(KindAutodiscoverSRV, fmt.Sprintf("%s leads to %s port %d", owner, shown(records[0].Host), records[0].Port), remedy)
	}
}

// hasAddress tells whether a name has an address; a resolver that fails proves nothing.
func (c *comparison) hasAddress(name string) bool {
	a, aaaa := c.lookUp(name, TypeA), c.lookUp(name, TypeAAAA)
	return len(a.Records)+len(aaaa.Records) > 0 || a.Failure != nil || aaaa.Failure != nil
}

// shadow is a name that nobody has; that it leads somewhere is a wildcard's work.
const shadow = "mailconfd-doctor-wildcard-test"

// askedLabels are the names under a domain that clients ask.
var askedLabels = []string{"autoconfig", "autodiscover", "ua-auto-config"}

// names looks at the names that clients ask.
func (c *comparison) names() {
	domain := c.address.Domain
	wild := c.addresses(shadow + "." + domain)
	known := c.relations()
	var shadowed []string
	for _, label := range askedLabels {
		name := label + "." + domain
		c.alias(label, name, known)
		if got := c.addresses(name); len(wild) > 0 && slices.Equal(wild, got) && c.misleads(label) {
			shadowed = append(shadowed, name)
		}
	}
	if len(shadowed) > 0 {
		c.find(KindWildcard, fmt.Sprintf("%s: leads to %s, as every name under %s does", strings.Join(shadowed, ", "), strings.Join(wild, ", "), domain), "")
	}
	if label, above, _ := strings.Cut(domain, "."); slices.Contains(askedLabels, label) && registrable(above) != "" {
		c.find(KindSubdomain, domain+" is where clients ask about "+above, "examine "+above)
	}
	if len(c.mx) > 0 {
		c.mailGoesElsewhere(c.mx[0])
		if !c.lookUp(domain, TypeMX).Authentic {
			c.find(KindUnsigned, "the zone of "+domain+" is not signed, or the resolver does not say so", "")
		}
	}
}

// alias looks at an alias that leads to somebody else.
func (c *comparison) alias(label, name string, known []string) {
	records := c.lookUp(name, TypeCNAME).Records
	if len(records) == 0 || records[0].Host == "" {
		return
	}
	target := records[0].Host
	if !c.hasAddress(name) {
		c.find(KindDangling, name+" is an alias of "+shown(target)+", which has no address", "remove "+name+". CNAME "+shown(target)+".")
		return
	}
	if theirs := registrable(target); theirs != "" && !slices.Contains(known, theirs) {
		c.find(KindLeftOver, name+" is an alias of "+shown(target)+", which gives no settings that work", "", c.askers(c.at(label)...)...)
	}
}

// relations are the registrable domains of those who have to do with the domain's mail:
// itself, its MX, servers that work, and who publishes those servers.
func (c *comparison) relations() []string {
	known := []string{registrable(c.address.Domain)}
	for _, host := range c.mx {
		known = append(known, registrable(host))
	}
	for _, o := range c.offers() {
		s, ok := o.service()
		if !ok || !c.works(s) {
			continue
		}
		known = append(known, registrable(o.host))
		if publisher := urlHost(o.source); publisher != "" {
			for _, r := range c.lookUp(publisher, TypeCNAME).Records {
				known = append(known, registrable(r.Host))
			}
		}
	}
	return known
}

// at returns the URLs under a label.
func (c *comparison) at(label string) []string {
	var urls []string
	for _, f := range c.files {
		if strings.Contains(f.url, "://"+label+".") {
			urls = append(urls, f.url)
		}
	}
	return urls
}

// misleads tells whether what answers under a label could be taken for an answer: not a
// document, and not a refusal.
func (c *comparison) misleads(label string) bool {
	return slices.ContainsFunc(c.files, func(f file) bool {
		return strings.Contains(f.url, "://"+label+".") && f.page.Status/100 == 2 && !f.document()
	})
}

// addresses returns the addresses of a name, of both families.
func (c *comparison) addresses(name string) []string {
	var all []string
	for _, kind := range []RecordType{TypeA, TypeAAAA} {
		for _, r := range c.lookUp(name, kind).Records {
			all = append(all, r.Host)
		}
	}
	slices.Sort(all)
	return all
}

// mailGoesElsewhere compares the registrable domain of the best MX with those of the
// servers that clients are sent to.
func (c *comparison) mailGoesElsewhere(mx string) {
	theirs := registrable(mx)
	var hosts []string
	for _, o := range c.offers() {
		if o.host == "" || strings.Contains(o.host, "%") {
			continue
		}
		if registrable(o.host) == theirs {
			return
		}
		if !slices.Contains(hosts, shown(o.host)) {
			hosts = append(hosts, shown(o.host))
		}
	}
	if len(hosts) > 0 && theirs != "" {
		c.find(KindMXElsewhere, "the best MX is "+shown(mx)+"; clients are sent to "+strings.Join(hosts, ", "), "")
	}
}
