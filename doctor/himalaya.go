package doctor

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// himalaya is Himalaya, on the command line, whose wizard searches with
// io-pim-discovery: 1ae71e65 of that (0.7.0), with serde-xml-rs 0.8, read.
//
// It asks everything at once: PACC, autoconfig over https, a URL in a TXT record, the
// ISPDB, SRV. From all that it takes the best secured server of each kind, implicit TLS
// before STARTTLS, and of equals the last. It follows no redirect and waits eight
// seconds. A document with one value that it does not know is rejected as a whole. The
// user name that it proposes is the address, unless another address is published. (JMAP
// and DAV, which it also looks for, are not looked at here.)
var himalaya = client{
	name: "himalaya", title: "Himalaya", read: "io-pim-discovery 0.7.0", people: "few",
	http:     httpRules{timeout: 8 * time.Second},
	discover: discoverHimalaya,
}

// himalayaConfig is a server that some source has yielded.
type himalayaConfig struct {
	Setting
	user string // as published, expanded; "": none
}

// same tells whether two configurations are merged into the first.
func (c himalayaConfig) same(d himalayaConfig) bool {
	return c.Role == d.Role && c.user == d.user && c.Host == d.Host && c.Port == d.Port && c.Security == d.Security
}

func discoverHimalaya(v *visit) []Setting {
	var all []himalayaConfig
	collect := func(some []himalayaConfig, source string) {
		for _, c := range some {
			if c.Source = source; !slices.ContainsFunc(all, c.same) {
				all = append(all, c)
			}
		}
	}
	if hosts := himalayaProvider(v.address.Domain, v.mx(v.address.Domain)); hosts != nil {
		v.note("decide", "it knows the provider from the domain or the MX, and takes its own settings", 0)
		return v.himalayaKnown(hosts)
	}
	domain := v.address.Domain
	pacc, source := v.himalayaPACC()
	collect(pacc, source)
	urls := []string{
		"https://autoconfig." + domain + "/mail/config-v1.1.xml?emailaddress=" + rawAddress(v.address.String()),
		"https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
		v.himalayaMailconf(),
		v.ispdb(thunderbirdNetISPDB) + domain,
	}
	for i, u := range urls {
		if u != "" {
			collect(v.himalayaDocument(u, i == 2), u)
		}
	}
	for _, label := range []string{"imap", "imaps", "submission", "submissions"} {
		collect(v.himalayaSRV(label), "_"+label+"._tcp."+domain)
	}
	return v.himalayaChoose(all)
}

// himalayaChoose pairs the best IMAP server with the best SMTP server. Without IMAP it
// offers nothing.
func (v *visit) himalayaChoose(all []himalayaConfig) []Setting {
	rank := map[Security]int{SecurityTLS: 2, SecuritySTARTTLS: 1}
	best := func(role settings.Role) *himalayaConfig {
		var best *himalayaConfig
		for i, c := range all {
			if c.Role == role && (best == nil || rank[c.Security] >= rank[best.Security]) { // the last of equals
				best = &all[i]
			}
		}
		return best
	}
	imap, smtp := best(settings.RoleIMAP), best(settings.RoleSubmission)
	if imap == nil {
		if slices.ContainsFunc(all, func(c himalayaConfig) bool { return c.Role == settings.RolePOP3 }) {
			v.noIMAP(v.address.Domain)
		}
		return nil
	}
	user := v.address.String()
	if local, domain, ok := strings.Cut(imap.user, "@"); ok && local != "" && domain != "" {
		user = imap.user
	}
	v.compareLogin(imap.user, user)
	var found []Setting
	for _, c := range []*himalayaConfig{imap, smtp} {
		if c != nil {
			c.Username = user
			found = append(found, c.Setting)
		}
	}
	return found
}

// himalayaProvider tells whether it has built-in settings.
func himalayaProvider(domain string, mx []string) []Setting {
	google := []Setting{
		{Role: settings.RoleIMAP, Host: "imap.gmail.com", Port: 993, Security: SecurityTLS},
		{Role: settings.RoleSubmission, Host: "smtp.gmail.com", Port: 465, Security: SecurityTLS},
	}
	microsoft := []Setting{
		{Role: settings.RoleIMAP, Host: "outlook.office365.com", Port: 993, Security: SecurityTLS, needs: settings.Mechanisms{"XOAUTH2"}},
		{Role: settings.RoleSubmission, Host: "smtp.office365.com", Port: 587, Security: SecuritySTARTTLS, needs: settings.Mechanisms{"XOAUTH2"}},
	}
	label, _, _ := strings.Cut(domain, ".")
	switch {
	case domain == "gmail.com" || domain == "googlemail.com":
		return google
	case domain == "msn.com" || slices.Contains([]string{"outlook", "hotmail", "live"}, label):
		return microsoft
	}
	for _, host := range mx {
		switch {
		case strings.HasSuffix(host, ".google.com") || strings.HasSuffix(host, ".googlemail.com"):
			return google
		case strings.HasSuffix(host, ".protection.outlook.com"):
			return microsoft
		}
	}
	return nil
}

func (v *visit) himalayaKnown(found []Setting) []Setting {
	for i := range found {
		found[i].Username = v.address.String()
	}
	return fromSource(found, "built in")
}

// himalayaMailconf returns the URL of a TXT record "mailconf=URL".
func (v *visit) himalayaMailconf() string {
	for _, r := range v.dns(v.address.Domain, TypeTXT).Records {
		text, ok := strings.CutPrefix(r.Text, "mailconf=")
		if u, err := url.Parse(strings.TrimSpace(text)); ok && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
			return u.String()
		}
	}
	return ""
}

// himalayaDocument reads the document at a URL, which DNS may have named.
func (v *visit) himalayaDocument(u string, named bool) []himalayaConfig {
	p := v.ask(Request{Method: "GET", URL: u, Public: named}, v.client.http)
	if !p.taken {
		return nil
	}
	found, err := himalayaRead(p.Body, v.address)
	if err != nil {
		v.passOver(p, err.Error())
		return nil
	}
	return found
}

// himalayaSRV returns the best record of a label: lowest priority, then heaviest.
func (v *visit) himalayaSRV(label string) []himalayaConfig {
	var best *Record
	for _, r := range sortedByPriority(v.srv(label)) {
		if best == nil || r.Priority == best.Priority && r.Weight > best.Weight {
			best = &r
		}
	}
	if best == nil {
		return nil
	}
	role, security := settings.RoleIMAP, SecuritySTARTTLS
	if strings.HasPrefix(label, "submission") {
		role = settings.RoleSubmission
	}
	if strings.HasSuffix(label, "s") {
		security = SecurityTLS
	}
	s, ok := newSetting(role, best.Host, int(best.Port), security, "")
	if !ok {
		return nil
	}
	return []himalayaConfig{{Setting: s}}
}
