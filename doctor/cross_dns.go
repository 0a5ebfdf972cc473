package doctor

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// records finds what is wrong with the SRV records (A3.2 and more).
func (c *court) records() {
	domain := c.address.Domain
	for _, o := range c.srv {
		if o.host == "" {
			continue // "." says that the service is not offered
		}
		service, _ := o.service()
		switch {
		case o.role == settings.RoleSubmission && o.security == SecuritySTARTTLS && o.port == 465:
			c.find(KindSubmission465, o.source+" leads to "+o.host+" port 465", fmt.Sprintf("_submissions._tcp.%s. SRV %d 1 465 %s.", domain, o.priority, o.host))
		case o.role == settings.RoleSubmission && o.port == 25:
			c.find(KindPort25, o.source+" leads to "+o.host+" port 25", "")
		case o.security == SecuritySTARTTLS && !service.OnDefaultPort():
			c.find(KindSRVPort, fmt.Sprintf("%s leads to %s port %d", o.source, o.host, o.port), "")
		}
		if o.security == SecuritySTARTTLS {
			c.missingImplicit(o)
		}
		c.target(o)
	}
}

// missingImplicit looks for the record of the encrypted twin of a STARTTLS record, where
// that service works.
func (c *court) missingImplicit(o offer) {
	twin := Setting{Role: o.role, Host: o.host, Security: SecurityTLS}
	service, _ := twin.Service()
	service.Port = service.Scheme.DefaultPort()
	has := slices.ContainsFunc(c.srv, func(p offer) bool { return p.role == o.role && p.security == SecurityTLS && p.host != "" })
	if !has && o.port != 465 && c.works(service) {
		c.find(KindNoImplicitTLS, service.String()+" works; "+o.source+" has no counterpart for it",
			fmt.Sprintf("_%s._tcp.%s. SRV 10 1 %d %s.", service.Scheme, c.address.Domain, service.Port, service.Host))
	}
}

// target looks at where a record leads.
func (c *court) target(o offer) {
	alias := c.lookUp(o.host, TypeCNAME)
	if len(alias.Records) > 0 {
		c.find(KindTargetAlias, o.source+" leads to "+o.host+", an alias of "+alias.Records[0].Host, "")
	}
	if !c.hasAddress(o.host) {
		c.find(KindTargetNowhere, o.source+" leads to "+o.host, "")
	}
	outside := o.host != c.address.Domain && !strings.HasSuffix(o.host, "."+c.address.Domain)
	if outside && !c.lookUp(o.source, TypeSRV).Authentic {
		c.find(KindTargetOutside, "SRV records lead to "+o.host, "")
	}
}

// hasAddress tells whether a name has an address; a resolver that fails proves nothing.
func (c *court) hasAddress(name string) bool {
	a, aaaa := c.lookUp(name, TypeA), c.lookUp(name, TypeAAAA)
	return len(a.Records)+len(aaaa.Records) > 0 || a.Failure != nil || aaaa.Failure != nil
}

// shadow is a name that nobody has; that it leads somewhere is a wildcard's work.
const shadow = "mailconfd-doctor-wildcard-test"

// names looks at the names that clients ask.
func (c *court) names() {
	domain := c.address.Domain
	wild := addresses(c.lookUp(shadow+"."+domain, TypeA))
	for _, label := range []string{"autoconfig", "autodiscover", "ua-auto-config"} {
		name := label + "." + domain
		if alias := c.lookUp(name, TypeCNAME); len(alias.Records) > 0 && alias.Records[0].Host != "" && !c.hasAddress(name) {
			c.find(KindDangling, name+" is an alias of "+alias.Records[0].Host+", which has no address", "")
		}
		if got := addresses(c.lookUp(name, TypeA)); len(wild) > 0 && slices.Equal(wild, got) && c.misleads(label) {
			c.find(KindWildcard, name+" leads to "+strings.Join(got, ", ")+", as every name under "+domain+" does", "")
		}
	}
	if mx := c.lookUp(domain, TypeMX); mx.Failure == nil && len(mx.Records) > 0 {
		c.mailGoesElsewhere(sortedByPriority(mx.Records)[0].Host)
		if !mx.Authentic {
			c.find(KindUnsigned, domain+": DNSSEC does not vouch for its records", "")
		}
	}
}

func addresses(a Answer) []string {
	var all []string
	for _, r := range a.Records {
		all = append(all, r.Host)
	}
	slices.Sort(all)
	return all
}

// misleads tells whether what answers under a label could be taken for an answer: not a
// document, and not a refusal.
func (c *court) misleads(label string) bool {
	return slices.ContainsFunc(c.files, func(f file) bool {
		return strings.Contains(f.url, "://"+label+".") && f.page.Status/100 == 2 && f.root == nil
	})
}

// mailGoesElsewhere compares the registrable domain of the best MX with those of the
// servers that clients are sent to.
func (c *court) mailGoesElsewhere(mx string) {
	if mx == "" {
		return
	}
	theirs := registrable(mx)
	var hosts []string
	for _, o := range c.offers() {
		if o.host == "" || strings.Contains(o.host, "%") {
			continue
		}
		if registrable(o.host) == theirs {
			return
		}
		if !slices.Contains(hosts, o.host) {
			hosts = append(hosts, o.host)
		}
	}
	if len(hosts) > 0 && theirs != "" {
		c.find(KindMXElsewhere, "the best MX is "+mx+"; clients are sent to "+strings.Join(hosts, ", "), "")
	}
}

// others looks at what is published elsewhere, or in other formats.
func (c *court) others() {
	c.centralDatabase()
	c.pacc()
}

// centralDatabase compares the ISPDB's entry with the domain's own document.
func (c *court) centralDatabase() {
	own := c.first(formatAutoconfig)
	if own == nil {
		return
	}
	v := &visit{examination: c.examination}
	u := v.ispdb("https://autoconfig.thunderbird.net/v1.1/") + c.address.Domain
	entry := readFile(formatAutoconfig, u, v.ask(Request{Method: "GET", URL: u}, gatherRules))
	if len(entry.offers) == 0 {
		return
	}
	if what := difference(own.offers, entry.offers); what != "" {
		c.find(KindISPDB, what+" ("+u+")", "")
	}
}

// pacc checks the digest of a PACC document, where there is one
// (draft-ietf-mailmaint-pacc).
func (c *court) pacc() {
	v := &visit{examination: c.examination}
	u := "https://ua-auto-config." + c.address.Domain + "/.well-known/user-agent-configuration.json"
	rules := gatherRules
	rules.redirects = 0
	p := v.ask(Request{Method: "GET", URL: u}, rules)
	if p.Status != 200 || !strings.HasPrefix(strings.ToLower(p.ContentType), "application/json") {
		return
	}
	sum := sha256.Sum256(p.Body)
	digest := base64.StdEncoding.EncodeToString(sum[:])
	owner := "_ua-auto-config." + c.address.Domain
	for _, r := range c.lookUp(owner, TypeTXT).Records {
		if paccDigest(r.Text) == digest {
			return
		}
	}
	c.find(KindPACC, u+" has a digest that no TXT record at "+owner+" has", owner+". TXT \"v=UAAC1; a=sha256; d="+digest+"\"")
}

// paccDigest returns the digest of a TXT record "v=UAAC1; a=sha256; d=…", or "".
func paccDigest(text string) string {
	tags := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		tags[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if tags["v"] != "UAAC1" || !strings.EqualFold(tags["a"], "sha256") {
		return ""
	}
	return tags["d"]
}
