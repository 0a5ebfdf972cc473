package drift

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// resolverName is who says what the resolver says.
const resolverName = "resolver"

// Compare says what differs. It is pure: the same arguments give the same report.
func Compare(want Want, seen Seen) Report {
	c := comparison{want: want, seen: seen}
	if seen.NoDomain {
		c.find(NoDomain, Finding{Owner: want.Domain, Detail: "DNS knows no such name"})
		return c.report()
	}
	c.servers()
	c.records()
	if want.Optional {
		c.unpublished()
	}
	c.targets()
	c.zone()
	return c.report()
}

// comparison is a report while it is made.
type comparison struct {
	want     Want
	seen     Seen
	findings []Finding
}

// find adds a finding with what is fixed for its kind.
func (c *comparison) find(kind Kind, f Finding) {
	i := slices.IndexFunc(kinds, func(k kindOf) bool { return k.kind == kind })
	f.Kind, f.Weight, f.Remedy = kind, kinds[i].weight, kinds[i].remedy
	c.findings = append(c.findings, f)
}

// report puts the findings into order: by kind, the gravest first, then as found.
func (c *comparison) report() Report {
	r := Report{Domain: c.want.Domain, Zone: c.seen.Zone, Servers: []string{}, Findings: []Finding{}}
	for _, s := range c.seen.Servers {
		if s.Lame == "" && s.Far == "" {
			r.Servers = append(r.Servers, s.String())
		}
	}
	for _, kind := range Kinds() {
		for _, f := range c.findings {
			if f.Kind == kind {
				r.Findings = append(r.Findings, f)
				r.Drift = r.Drift || f.Weight == Fault
			}
		}
	}
	return r
}

// servers says which name servers do not serve the zone, and whether the rest agree.
func (c *comparison) servers() {
	var serials []string
	versions := map[uint32]bool{}
	for _, s := range c.seen.Servers {
		switch {
		case s.Far != "":
			c.find(NotAsked, Finding{Owner: c.seen.Zone, Servers: []string{s.String()}, Detail: s.Far})
		case s.Lame != "":
			c.find(Lame, Finding{Owner: c.seen.Zone, Servers: []string{s.String()}, Detail: s.Lame})
		default:
			versions[s.Serial] = true
			serials = append(serials, fmt.Sprintf("%s has %d", s, s.Serial))
		}
	}
	if len(c.seen.Servers) == 0 {
		c.find(Lame, Finding{Owner: c.seen.Zone, Detail: "the zone names no name server"})
	}
	if len(versions) > 1 {
		c.find(Serials, Finding{Owner: c.seen.Zone, Type: "SOA", Detail: strings.Join(serials, ", ")})
	}
	if len(c.seen.Delegated) > 0 && !slices.Equal(c.seen.Delegated, c.seen.Named) {
		c.find(Delegation, Finding{
			Owner: c.seen.Zone, Type: "NS", Want: c.seen.Named, Got: c.seen.Delegated,
			Detail: fmt.Sprintf("the zone names %s, the parent zone %s", list(c.seen.Named), list(c.seen.Delegated)),
		})
	}
}

// records compares what each name server has, then what the resolver says: once for all
// that say the same.
func (c *comparison) records() {
	var found []Finding
	asked := 0
	for _, s := range c.seen.Servers {
		if s.Lame != "" || s.Far != "" {
			continue
		}
		asked++
		for _, f := range c.judge(s.Answers, s.Wildcard) {
			found = join(found, f, s.String())
		}
	}
	public := c.judge(c.seen.Public, nil)
	for _, f := range public {
		switch at := slices.IndexFunc(found, func(g Finding) bool { return sameName(f, g) }); {
		case asked == 0:
			found = join(found, f, resolverName)
		case at < 0 && f.Kind != TTLTooLong:
			f.Detail = "the name servers are right; by the resolver, " + f.Detail
			f.Servers = []string{resolverName}
			c.find(Cached, f)
		}
	}
	for _, f := range found {
		if len(f.Servers) == asked {
			f.Servers = nil
		}
		c.find(f.Kind, f)
	}
}

func sameName(f, g Finding) bool { return f.Owner == g.Owner && f.Type == g.Type }

// join adds what a server says to what others have said.
func join(found []Finding, f Finding, server string) []Finding {
	for i, g := range found {
		if sameName(f, g) && f.Kind == g.Kind && slices.Equal(f.Want, g.Want) && slices.Equal(f.Got, g.Got) {
			found[i].Servers = append(g.Servers, server)
			return found
		}
	}
	f.Servers = []string{server}
	return append(found, f)
}

// targets looks at the hosts that the wanted records name.
func (c *comparison) targets() {
	for _, host := range c.want.targets() {
		a := c.seen.Targets[host]
		isSRV := slices.ContainsFunc(c.want.Records, func(rr dns.RR) bool {
			srv, ok := rr.(*dns.SRV)
			return ok && dns.CanonicalName(srv.Target) == host
		})
		switch {
		case len(a.Records) == 0:
			detail := "no A and no AAAA record"
			if a.Err != "" {
				detail = "the resolver " + a.Err
			}
			c.find(TargetNoAddr, Finding{Owner: bare(host), Type: "A", Detail: detail})
		case isSRV && len(a.Aliases) > 0:
			c.find(TargetAlias, Finding{Owner: bare(host), Type: "CNAME", Got: a.Aliases[:1], Detail: "it is an alias of " + bare(a.Aliases[0])})
		}
	}
}

// zone says what about the zone matters: DNSSEC, and how long "there is none" is kept.
func (c *comparison) zone() {
	zone := c.seen.Zone
	switch {
	case c.seen.Bogus:
		c.find(Bogus, Finding{Owner: zone, Detail: "the resolver answers only when it is told not to validate"})
	case !c.seen.DS:
		detail := "the parent zone has no DS record"
		if outside := c.outside(); len(outside) > 0 {
			detail += "; careful clients ask the user before they follow " + c.want.Domain + " to " + list(outside) + " (RFC 6186 section 6)"
		}
		c.find(Unsigned, Finding{Owner: zone, Type: "DS", Detail: detail})
	case !c.seen.Authentic:
		c.find(NotValidated, Finding{Owner: zone, Detail: "the zone is signed; the resolver does not say that it validated the answer"})
	}
	if soa := c.seen.SOA; soa != nil && c.want.TTL > 0 {
		if negative := min(soa.Minttl, soa.Hdr.Ttl); float64(negative) > c.want.TTL.Seconds() {
			c.find(NegativeTTL, Finding{
				Owner: zone, Type: "SOA",
				Detail: fmt.Sprintf("who asked before a record was there may not see it for %d s; a change should be seen in %d s", negative, int(c.want.TTL.Seconds())),
			})
		}
	}
}

// outside returns the targets of SRV records that are not in the domain.
func (c *comparison) outside() []string {
	var all []string
	for _, rr := range c.want.Records {
		srv, ok := rr.(*dns.SRV)
		if ok && srv.Target != "." && !dns.IsSubDomain(dns.Fqdn(c.want.Domain), srv.Target) && !slices.Contains(all, bare(srv.Target)) {
			all = append(all, bare(srv.Target))
		}
	}
	return all
}

func list(words []string) string { return strings.Join(words, ", ") }
