package doctor

import (
	"cmp"
	"html"
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
	all := v.fairDomain(domain)
	var mx string
	if hosts := v.mx(domain); len(hosts) > 0 {
		mx = hosts[0]
		for host := mx; len(all) == 0 && strings.Contains(host, "."); {
			all = v.fairDomain(host)
			if host = parent(host); registrable(host) == "" {
				break
			}
		}
	}
	if mx != "" && len(v.lookUp(mx, TypeA).Records)+len(v.lookUp(mx, TypeAAAA).Records) > 0 {
		for _, smtp := range []settings.Service{{Scheme: settings.SchemeSubmission, Host: mx, Port: 587}, {Scheme: settings.SchemeSubmissions, Host: mx, Port: 465}} {
			imap := settings.Service{Scheme: settings.SchemeIMAPS, Host: mx, Port: 993}
			all = append(all, fairCandidate{settingOf(imap, v.address.String(), "guess"), settingOf(smtp, v.address.String(), "guess"), 0})
		}
	}
	slices.SortStableFunc(all, func(a, b fairCandidate) int { return cmp.Compare(b.score, a.score) })
	return v.fairChoose(all)
}

// fairChoose tries the candidates and takes the first that works.
func (v *visit) fairChoose(all []fairCandidate) []Setting {
	for _, c := range all {
		_, reads := v.firstWorking([]Setting{c.imap})
		if !reads {
			continue
		}
		if _, sends := v.firstWorking([]Setting{c.smtp}); sends {
			if c.imap.Source == "guess" {
				v.guessed([]Setting{c.imap})
			}
			return []Setting{c.imap, c.smtp}
		}
	}
	if len(all) > 0 && all[0].imap.Source != "guess" {
		return []Setting{all[0].imap, all[0].smtp} // what it complains of
	}
	return nil
}

// fairDomain collects what one domain offers.
func (v *visit) fairDomain(domain string) []fairCandidate {
	var all []fairCandidate
	for _, source := range []func(string) (fairCandidate, bool){v.fairSRV, v.fairAutoconfig, v.fairAutodiscover, v.fairScan} {
		if c, ok := source(domain); ok {
			all = append(all, c)
		}
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
	if best.label == plain && best.Port == port {
		s.Security = SecuritySTARTTLS
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
	body := `<?xml version="1.0" encoding="UTF-8" standalone="no"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>` +
		html.EscapeString(v.address.String()) + `</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>`
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
				tries = append(tries, settingOf(settings.Service{Scheme: scheme, Host: prefix + domain, Port: scheme.DefaultPort()}, v.address.String(), "guess"))
			}
		}
		return tries
	}
	imap, reads := v.firstWorking(list(settings.SchemeIMAPS, settings.SchemeIMAP, "imap"))
	if !reads {
		return fairCandidate{}, false
	}
	smtp, sends := v.firstWorking(list(settings.SchemeSubmission, settings.SchemeSubmissions, "smtp"))
	return fairCandidate{imap, smtp, 20}, sends
}
