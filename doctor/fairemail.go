package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// fairEmail is FairEmail in the build of its own web site: M66B/FairEmail e23dd9df80,
// EmailProvider.java, read. The builds of Google Play and F-Droid leave out the
// domain's own URLs and ask SRV, the ISPDB and the usual names only.
//
// It collects candidates from SRV, autoconfig, Autodiscover and a scan of the usual
// names, and those of the MX if there are none. It tries them by score until one works.
// It never goes without encryption, and derives from the port how to encrypt where it
// is not told. For most URLs it does not check for whom a certificate is.
var fairEmail = client{
	name: "fairemail", title: "FairEmail", read: "M66B/FairEmail e23dd9df80 (August 2026), GitHub build", people: "some",
	http: httpRules{ // HttpURLConnection: it stays with http or https
		timeout: 10 * time.Second, redirects: 20, anyName: true,
		takes: func(status int) bool { return status == 200 },
	},
	discover: discoverFairEmail,
}

// fairCandidate is a pair of servers with a score. The scores are those of
// EmailProvider: 100 from SRV, 40 from a document, 20 from a scan, 100 more with a
// literal user name, 0 from the MX.
type fairCandidate struct {
	imap, smtp Setting
	score      int
}

func discoverFairEmail(v *visit) []Setting {
	domain := v.address.Domain
	all, chosen := v.fairDomain(domain)
	hosts := v.mx(domain)
	if len(hosts) > 0 && chosen == nil {
		for host := hosts[0]; len(all) == 0 && registrable(host) != ""; host = parent(host) {
			all, chosen = v.fairDomain(host)
		}
		if chosen == nil {
			chosen = v.fairChoose(fairMX(hosts[0], v.address))
		}
	}
	switch {
	case chosen != nil && chosen[0].Source == guess:
		return v.guessed(chosen)
	case chosen == nil && len(all) > 0 && all[0].imap.Source != guess:
		return []Setting{all[0].imap, all[0].smtp} // what it complains of
	}
	return chosen
}

// fairDomain collects what one domain offers, best first, and what works of that. The
// scan, which comes last by its score, is left out if something else works.
func (v *visit) fairDomain(domain string) (all []fairCandidate, chosen []Setting) {
	for _, source := range []func(string) (fairCandidate, bool){v.fairSRV, v.fairAutoconfig, v.fairAutodiscover} {
		if c, ok := source(domain); ok {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b fairCandidate) int { return cmp.Compare(b.score, a.score) })
	if chosen = v.fairChoose(all); chosen == nil {
		if c, ok := v.fairScan(domain); ok {
			all, chosen = append(all, c), []Setting{c.imap, c.smtp}
		}
	}
	return all, chosen
}

// fairChoose tries the candidates and takes the first that works.
func (v *visit) fairChoose(all []fairCandidate) []Setting {
	for _, c := range all {
		if _, reads := v.firstWorking([]Setting{c.imap}); !reads {
			continue
		}
		if _, sends := v.firstWorking([]Setting{c.smtp}); sends {
			return []Setting{c.imap, c.smtp}
		}
	}
	return nil
}

// fairMX takes the MX's host for the mail server.
func fairMX(host string, a settings.Address) []fairCandidate {
	imap := settingOf(settings.Service{Scheme: settings.SchemeIMAPS, Host: host, Port: 993}, a.String(), guess)
	var all []fairCandidate
	for _, scheme := range []settings.Scheme{settings.SchemeSubmission, settings.SchemeSubmissions} {
		all = append(all, fairCandidate{imap, settingOf(settings.Service{Scheme: scheme, Host: host, Port: scheme.DefaultPort()}, a.String(), guess), 0})
	}
	return all
}

// fairSRV takes the best record of either label, _imaps and _submission first; it needs
// one to read with and one to send with.
func (v *visit) fairSRV(domain string) (fairCandidate, bool) {
	imap, reads := v.fairBest(domain, settings.RoleIMAP, "imap", "imaps", "imaps", 143)
	if !reads {
		return fairCandidate{}, false
	}
	smtp, sends := v.fairBest(domain, settings.RoleSubmission, "submission", "submissions", "submission", 587)
	return fairCandidate{imap, smtp, 100}, sends
}

// fairBest merges the records of two labels. STARTTLS is only for the label without an
// "s" on one port: _submission that leads to 2525 is taken for implicit TLS.
func (v *visit) fairBest(domain string, role settings.Role, plain, secure, first string, port uint16) (Setting, bool) {
	type labelled struct {
		Record
		label string
	}
	var all []labelled
	for _, label := range []string{plain, secure} {
		for _, r := range v.dns("_"+label+"._tcp."+domain, TypeSRV).Records {
			if r.Host != "" {
				all = append(all, labelled{r, label})
			}
		}
	}
	if len(all) == 0 {
		return Setting{}, false
	}
	rank := func(r labelled) int {
		if r.label == first {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b labelled) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight), cmp.Compare(rank(a), rank(b)))
	})
	best := all[0]
	s, ok := newSetting(role, best.Host, int(best.Port), SecurityTLS, v.address.String())
	switch {
	case best.label == plain && best.Port == port:
		s.Security = SecuritySTARTTLS
	case best.label == plain:
		s.Misread = fmt.Sprintf("FairEmail takes _%s on any port but %d for implicit TLS", plain, port)
	}
	s.Source = "_" + best.label + "._tcp." + domain
	return s, ok
}

// fairAutoconfig takes the first URL whose document it can use, then the ISPDB, of
// which alone it checks the name in the certificate. The address goes as it is.
func (v *visit) fairAutoconfig(domain string) (fairCandidate, bool) {
	query := "?emailaddress=" + rawAddress(v.address.String())
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml"+query, "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+query
	for _, u := range []string{"https" + host, "https" + wellKnown, "http" + host, "http" + wellKnown, v.ispdb(thunderbirdNetISPDB) + domain} {
		rules := v.client.http
		rules.anyName = strings.Contains(u, query)
		p := v.ask(Request{Method: "GET", URL: u}, rules)
		if !p.taken {
			continue
		}
		c, err := fairReadAutoconfig(p.Body, v.address)
		if err != nil {
			v.passOver(p, err.Error())
			continue
		}
		c.imap.Source, c.smtp.Source = u, u
		return c, true
	}
	return fairCandidate{}, false
}

// fairAutodiscover posts to the two URLs, with the type of a web form.
func (v *visit) fairAutodiscover(domain string) (fairCandidate, bool) {
	body := compactPOX(`<?xml version="1.0" encoding="UTF-8" standalone="no"?>`, v.address.String())
	for _, u := range []string{"https://" + domain + autodiscoverPath, "https://autodiscover." + domain + autodiscoverPath} {
		p := v.post(u, "application/x-www-form-urlencoded", body)
		if !p.taken {
			continue
		}
		c, err := fairReadAutodiscover(p.Body, v.address)
		if err != nil {
			v.passOver(p, err.Error())
			continue
		}
		c.imap.Source, c.smtp.Source = u, u
		return c, true
	}
	return fairCandidate{}, false
}

// fairScan tries the usual names: for reading implicit TLS first, for sending STARTTLS.
func (v *visit) fairScan(domain string) (fairCandidate, bool) {
	list := func(first, second settings.Scheme, name string) []Setting {
		var tries []Setting
		for _, scheme := range []settings.Scheme{first, second} {
			names := []string{name + ".", "mail.", "mx.", ""}
			if scheme.Security() == settings.ImplicitTLS {
				names = slices.Insert(names, 1, name+"s.")
			}
			for _, prefix := range names {
				tries = append(tries, settingOf(settings.Service{Scheme: scheme, Host: prefix + domain, Port: scheme.DefaultPort()}, v.address.String(), guess))
			}
		}
		return tries
	}
	imap, reads := v.firstGuess(list(settings.SchemeIMAPS, settings.SchemeIMAP, "imap"))
	if !reads {
		return fairCandidate{}, false
	}
	smtp, sends := v.firstGuess(list(settings.SchemeSubmission, settings.SchemeSubmissions, "smtp"))
	return fairCandidate{imap, smtp, 20}, sends
}
