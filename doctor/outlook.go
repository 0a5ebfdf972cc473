package doctor

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"time"

	"mailconfd/settings"
)

// outlook is classic Outlook for Windows, by Microsoft's documents (KB 3211279,
// cc511507, [MS-OXDSCLI] 2.2.4.1.1.2.6) and what Gromox's authors observed. The new
// Outlook and those for telephones are outlook-new.
var outlook = client{
	name: "outlook", title: "Outlook (classic)", read: "Outlook 2016 to 2021, by its documents", people: "many",
	http:     httpRules{timeout: 25 * time.Second, redirects: 10, crosses: true},
	discover: discoverOutlook,
}

const outlookPath = "/autodiscover/autodiscover.xml"

func discoverOutlook(v *visit) []Setting {
	domain := v.address.Domain
	for _, host := range []string{domain, "autodiscover." + domain} {
		if found := v.outlookPost("https://"+host+outlookPath, 0); found != nil {
			return found
		}
	}
	if target := v.outlookRedirect("http://autodiscover." + domain + outlookPath); target != "" {
		if found := v.outlookPost(target, 0); found != nil {
			return found
		}
	}
	answer := v.dns("_autodiscover._tcp."+domain, TypeSRV)
	for _, r := range sortedByPriority(answer.Records) {
		if r.Host == "" {
			continue
		}
		if r.Host != domain && !strings.HasSuffix(r.Host, "."+domain) {
			v.find(finding(KindAsksUser, "Outlook warns that _autodiscover._tcp leads to "+r.Host+", outside "+domain, "let the SRV record lead to autodiscover."+domain))
		}
		return v.outlookPost("https://"+r.Host+outlookPath, 0) // it ignores the record's port
	}
	return nil
}

// outlookRedirect asks over plain http and takes nothing but a redirect to https.
func (v *visit) outlookRedirect(u string) string {
	rules := v.client.http
	rules.redirects = 0
	p := v.ask(Request{Method: "GET", URL: u}, rules)
	if p.Status/100 != 3 || scheme(p.Location) != "https" || !strings.HasSuffix(strings.ToLower(p.Location), outlookPath) {
		return ""
	}
	v.note("follow the redirect to https", p.Location, 0)
	return p.Location
}

// outlookPost asks one URL and follows the redirects of the protocol, at most ten.
func (v *visit) outlookPost(u string, redirects int) []Setting {
	p := v.post(u, "text/xml; charset=utf-8", `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>`+
		html.EscapeString(v.address.String())+`</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>`)
	if !p.taken {
		return nil
	}
	root, err := parseXML(p.Body)
	if err != nil || root.name != "Autodiscover" {
		v.note("read the document", "it is no Autodiscover document; on to the next", 0)
		return nil
	}
	account := root.child("Response").child("Account")
	if target := account.value("RedirectUrl"); account.value("Action") == "redirectUrl" && target != "" && redirects < 10 && scheme(target) == "https" {
		v.note("follow RedirectUrl", target, 0)
		return v.outlookPost(target, redirects+1)
	}
	if account.value("AccountType") != "email" || account.value("Action") != "settings" {
		v.note("read the document", "it holds no settings; on to the next", 0)
		return nil
	}
	return fromSource(v.outlookRead(account), u)
}

// outlookRead takes the first incoming and the first outgoing Protocol.
func (v *visit) outlookRead(account *node) []Setting {
	var incoming, outgoing *Setting
	for _, n := range account.all("Protocol") {
		s, ok := v.outlookProtocol(n)
		switch {
		case !ok:
		case s.Role == settings.RoleSubmission && outgoing == nil:
			outgoing = &s
		case s.Role != settings.RoleSubmission && incoming == nil:
			incoming = &s
		}
	}
	var found []Setting
	for _, s := range []*Setting{incoming, outgoing} {
		if s != nil {
			found = append(found, *s)
		}
	}
	return found
}

func (v *visit) outlookProtocol(n *node) (s Setting, ok bool) {
	roles := map[string]settings.Role{"IMAP": settings.RoleIMAP, "POP3": settings.RolePOP3, "SMTP": settings.RoleSubmission}
	s.Role = roles[strings.TrimSpace(n.value("Type"))]
	port, err := strconv.ParseUint(strings.TrimSpace(n.value("Port")), 10, 16)
	s.Host, s.Port = strings.ToLower(strings.TrimSpace(n.value("Server"))), uint16(port)
	if s.Role == "" || err != nil || s.Host == "" {
		return s, false
	}
	s.Security = outlookSecurity(n)
	s.Username = strings.TrimSpace(n.value("LoginName"))
	if s.Username == "" {
		s.Username = v.address.Local // the documented default
	}
	if !strings.EqualFold(strings.TrimSpace(n.value("SPA")), "off") { // the default is on
		v.find(finding(KindNoPassword, fmt.Sprintf("Outlook would log in to %s %d by NTLM only: SPA is not off", s.Host, s.Port), "add <SPA>off</SPA> to the "+n.value("Type")+" Protocol"))
	}
	return s, true
}

// outlookSecurity: Encryption, where it is there, counts for more than SSL, whose default
// is on ([MS-OXDSCLI] 2.2.4.1.1.2.6).
func outlookSecurity(n *node) Security {
	switch strings.ToLower(strings.TrimSpace(n.value("Encryption"))) {
	case "ssl":
		return SecurityTLS
	case "tls":
		return SecuritySTARTTLS
	case "auto":
		return SecurityAuto
	case "none":
		return SecurityNone
	}
	if strings.EqualFold(strings.TrimSpace(n.value("SSL")), "off") {
		return SecurityNone
	}
	return SecurityTLS
}
