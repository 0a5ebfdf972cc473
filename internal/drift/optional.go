package drift

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// unpublished tells once that there is no SRV record at all, in place of each that is
// missing: whoever never asked for them has nothing to mend. The names of the
// configuration host are among them where these are not there either; where some are,
// somebody has published them, and one that is missing is told.
func (c *comparison) unpublished() {
	var services, hosts []string
	for _, rr := range c.want.Records {
		owner := dns.CanonicalName(rr.Header().Name)
		switch rr.Header().Rrtype {
		case dns.TypeSRV:
			services = append(services, owner)
		case dns.TypeA, dns.TypeAAAA, dns.TypeCNAME:
			hosts = append(hosts, owner)
		}
	}
	taken := c.taken()
	for _, n := range c.want.Names {
		if n.Type == "SRV" && taken[dns.CanonicalName(n.Owner)] {
			return
		}
	}
	none := !slices.ContainsFunc(hosts, func(owner string) bool { return taken[owner] })
	var owners []string
	c.findings = slices.DeleteFunc(c.findings, func(f Finding) bool {
		owner := dns.CanonicalName(dns.Fqdn(f.Owner))
		folded := f.Kind == Missing && (slices.Contains(services, owner) || none && slices.Contains(hosts, owner))
		if folded && !slices.Contains(owners, f.Owner) {
			owners = append(owners, f.Owner)
		}
		return folded
	})
	if len(owners) > 0 {
		c.find(Unpublished, Finding{Owner: c.want.Domain, Detail: "none of these is in DNS: " + strings.Join(owners, ", ")})
	}
}

// taken returns the owner names at which anybody has something, or has not answered.
func (c *comparison) taken() map[string]bool {
	taken := map[string]bool{}
	note := func(answers map[Question]Answer) {
		for q, a := range answers {
			if len(a.Records)+len(a.Aliases) > 0 || a.Err != "" {
				taken[q.Name] = true
			}
		}
	}
	note(c.seen.Public)
	for _, s := range c.seen.Servers {
		if s.Lame == "" && s.Far == "" {
			note(s.Answers)
		}
	}
	return taken
}
