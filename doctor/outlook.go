package doctor

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mailconfd/settings"
)

// outlook is classic Outlook for Windows, by Microsoft's documents (KB 3211279,
// cc511507, [MS-OXDISCO], [MS-OXDSCLI] 2.2.4.1.1.2.6) and what Gromox's authors
// observed; no version of it was run. The new Outlook and those for telephones are
// outlook-new.
//
// It asks one URL after the other, the domain itself first, and ends with the first
// that answers with settings. Its other sources (the last good answer, a local file,
// Active Directory, Microsoft 365) cannot be seen from outside.
var outlook = client{
	name: "outlook", title: "Outlook (classic)", read: "Outlook 2016 to 2021, by its documents", people: "many",
	http:     httpRules{timeout: 25 * time.Second}, // it follows redirects by itself
	discover: discoverOutlook,
}

// outlookRedirects is how many redirects of any kind it follows in all ([MS-OXDSCLI]).
const outlookRedirects = 10

func discoverOutlook(v *visit) []Setting {
	o := outlookVisit{visit: v}
	return o.look(v.address)
}

// outlookVisit is one search, with the redirects that it has followed.
type outlookVisit struct {
	*visit
	redirects int
	led       bool // a public host said where to ask: not in our own network
}

// look asks the URLs for an address in order.
func (o *outlookVisit) look(a settings.Address) []Setting {
	for _, host := range []string{a.Domain, "autodiscover." + a.Domain} {
		if found := o.askAt("https://"+host+autodiscoverPath, a); found != nil {
			return found
		}
	}
	if target := o.plainRedirect(a); target != "" {
		if found := o.askAt(target, a); found != nil {
			return found
		}
		o.led = false
	}
	for _, r := range sortedByPriority(o.dns("_autodiscover._tcp."+a.Domain, TypeSRV).Records) {
		if r.Host == "" {
			continue
		}
		if r.Host != a.Domain && !strings.HasSuffix(r.Host, "."+a.Domain) {
			o.find(finding(KindAsksUser, "Outlook warns that _autodiscover._tcp leads to "+r.Host+", outside "+a.Domain, "let the SRV record lead to autodiscover."+a.Domain))
		}
		return o.askAt("https://"+r.Host+autodiscoverPath, a) // it ignores the record's port
	}
	return nil
}

// plainRedirect asks over plain http and takes nothing but a redirect to https.
func (o *outlookVisit) plainRedirect(a settings.Address) string {
	p := o.get("http://autodiscover." + a.Domain + autodiscoverPath)
	if p.Status/100 != 3 || scheme(p.Location) != "https" || !strings.HasSuffix(strings.ToLower(p.Location), autodiscoverPath) {
		return ""
	}
	o.led = o.led || !p.Private
	host := urlHost(p.Location)
	if host != a.Domain && host != "autodiscover."+a.Domain {
		o.find(finding(KindAsksUser, "Outlook asks its user whether "+host+" may configure the account, because http://autodiscover."+a.Domain+" leads there", "answer at https://autodiscover."+a.Domain+autodiscoverPath))
	}
	return p.Location
}

// askAt posts to one URL and follows what it is told.
func (o *outlookVisit) askAt(u string, a settings.Address) []Setting {
	p := o.ask(Request{Method: "POST", URL: u, ContentType: "text/xml; charset=utf-8", Public: o.led, Body: compactPOX(`<?xml version="1.0" encoding="utf-8"?>`, a.String())}, o.client.http)
	switch {
	case slices.Contains([]int{301, 302, 307, 308}, p.Status) && scheme(p.Location) == "https":
		return o.follow("the redirect", p.Location, p, a)
	case p.Status == 401:
		o.find(finding(KindAsksUser, u+" answers 401: Outlook asks its user for a password, and takes no for an answer", "answer 404 for what is not served; never 401").of(about401(u)))
	}
	if !p.taken {
		return nil
	}
	root, err := parseXML(p.Body)
	if err != nil || root.name != "Autodiscover" {
		o.passOver(p, "it is no Autodiscover document that Outlook can read")
		return nil
	}
	account := root.child("Response").child("Account")
	switch action := field(account, "Action"); {
	case action == "redirectUrl" && scheme(field(account, "RedirectUrl")) == "https":
		return o.follow("RedirectUrl", field(account, "RedirectUrl"), p, a)
	case action == "redirectAddr":
		return o.followAddress(field(account, "RedirectAddr"), p)
	case action != "settings" || field(account, "AccountType") != "email":
		o.note("read the document", "it holds no settings; on to the next", 0)
		return nil
	}
	return fromSource(outlookRead(account, a), u)
}

// follow posts to another URL.
func (o *outlookVisit) follow(what, target string, p page, a settings.Address) []Setting {
	o.led = o.led || !p.Private
	if o.redirects++; o.redirects > outlookRedirects {
		o.note("follow "+what, "no: Outlook follows ten in all", 0)
		return nil
	}
	o.note("follow "+what, target, 0)
	return o.askAt(target, a)
}

// followAddress begins again for another address.
func (o *outlookVisit) followAddress(text string, p page) []Setting {
	o.led = o.led || !p.Private
	other, err := settings.ParseAddress(text)
	if o.redirects++; err != nil || o.redirects > outlookRedirects {
		o.note("follow RedirectAddr", "no: "+strconv.Quote(text), 0)
		return nil
	}
	o.note("follow RedirectAddr", other.String(), 0)
	return o.look(other)
}

// outlookRead takes the first incoming and the first outgoing Protocol.
func outlookRead(account *node, a settings.Address) []Setting {
	var incoming, outgoing []Setting
	for _, n := range account.all("Protocol") {
		s, ok := outlookProtocol(n, a)
		switch {
		case !ok:
		case s.Role == settings.RoleSubmission:
			outgoing = append(outgoing, s)
		default:
			incoming = append(incoming, s)
		}
	}
	return append(incoming[:min(1, len(incoming))], outgoing[:min(1, len(outgoing))]...)
}

func outlookProtocol(n *node, a settings.Address) (Setting, bool) {
	role := map[string]settings.Role{"IMAP": settings.RoleIMAP, "POP3": settings.RolePOP3, "SMTP": settings.RoleSubmission}[field(n, "Type")]
	port, err := strconv.Atoi(field(n, "Port"))
	user := field(n, "LoginName")
	if user == "" {
		user = a.Local // the documented default (cc511507)
	}
	s, ok := newSetting(role, field(n, "Server"), port, outlookSecurity(n), user)
	if !strings.EqualFold(field(n, "SPA"), "off") { // the default is on
		s.needs, s.mend = settings.Mechanisms{"NTLM"}, "add <SPA>off</SPA> to the "+field(n, "Type")+" Protocol"
	}
	return s, ok && role != "" && err == nil
}

// outlookSecurity: Encryption, where it is there, counts for more than SSL, whose default
// is on ([MS-OXDSCLI] 2.2.4.1.1.2.6).
func outlookSecurity(n *node) Security {
	switch strings.ToLower(field(n, "Encryption")) {
	case "ssl":
		return SecurityTLS
	case "tls":
		return SecuritySTARTTLS
	case "auto":
		return SecurityAuto
	case "none":
		return SecurityNone
	}
	if strings.EqualFold(field(n, "SSL"), "off") {
		return SecurityNone
	}
	return SecurityTLS
}

// field returns the text of the first child of a name without white space around it.
func field(n *node, name string) string { return strings.TrimSpace(n.value(name)) }
