package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mailconfd/settings"
)

const autodiscoverPath = "/autodiscover/autodiscover.xml"

// thunderbirdExchange is Thunderbird's look for Autodiscover (ExchangeAutoDiscover).
type thunderbirdExchange struct {
	*visit
	login        string // the address that the user typed: the login, whatever address a RedirectAddr names
	redirected   int
	decided      bool // a URL answered; whatever it says, no other is read
	found        []Setting
	unauthorized string // a URL that answered 401
	led          bool   // a public host said where to ask: not in our own network
}

// look posts to the three URLs, to where the third redirects, and to the host of the
// SRV record. All are asked at once and the first that answers decides.
func (e *thunderbirdExchange) look(a settings.Address) {
	https, root, plain := "https://autodiscover."+a.Domain+autodiscoverPath, "https://"+a.Domain+autodiscoverPath, "http://autodiscover."+a.Domain+autodiscoverPath
	for _, u := range []string{https, root} {
		p := e.postTo(u, a, false)
		if lostBody(p) {
			p = e.postTo(p.Request.URL, a, p.Request.Public)
		}
		e.take(p, a)
	}
	if p := e.postTo(plain, a, false); lostBody(p) {
		e.lookElsewhere(p.Request.URL, a, p.Request.Public)
	} else {
		e.take(p, a)
	}
	// Of several SRV records the one with the lowest weight, whatever the priority and port.
	srv := slices.Clone(e.dns("_autodiscover._tcp."+a.Domain, TypeSRV).Records)
	slices.SortStableFunc(srv, func(r, s Record) int { return int(r.Weight) - int(s.Weight) })
	if len(srv) > 0 && srv[0].Host != "" {
		e.lookElsewhere("https://"+srv[0].Host+autodiscoverPath, a, false)
	}
}

// lostBody tells whether a request failed after a redirect to https. A redirect makes a
// GET of a POST, so it is worth asking again.
func lostBody(p page) bool {
	return !p.taken && p.Status != 0 && p.Certificate == nil && p.Request.URL != p.from && scheme(p.Request.URL) == "https"
}

// lookElsewhere goes where plain http or DNS has led, and asks the user first if that
// is another domain.
func (e *thunderbirdExchange) lookElsewhere(u string, a settings.Address, led bool) {
	if e.decided {
		return
	}
	host := urlHost(u)
	if base := registrable(host); base != registrable(a.Domain) && base != "office365.com" && base != "outlook.com" {
		e.find(finding(KindAsksUser, "Thunderbird asks its user whether "+host+" may be told the password, because Autodiscover for "+a.Domain+" leads there", "answer https://autodiscover."+a.Domain+autodiscoverPath+" itself, or let the name not exist"))
	}
	e.take(e.postTo(u, a, led), a)
}

// postTo asks one URL; led tells whether a public host said where to ask.
func (e *thunderbirdExchange) postTo(u string, a settings.Address, led bool) page {
	p := e.ask(Request{Method: "POST", URL: u, ContentType: "text/xml; charset=utf-8", Body: poxRequest(a.String()), Public: e.led || led}, e.client.http)
	if p.took > e.client.http.timeout {
		e.find(finding(KindSlow, fmt.Sprintf("%s does not answer: everyone who sets up Thunderbird waits %s for it, even when autoconfig has answered", u, e.client.http.timeout), "answer, refuse the connection, or take the name out of DNS").of(bare(u)))
	}
	if p.Status == 401 {
		e.unauthorized = u
	}
	return p
}

// redirectAddress is an address that Thunderbird follows (Sanitizer.emailAddress).
var redirectAddress = regexp.MustCompile(`^(?i)[a-z0-9%+_.*-]+@[a-z0-9.-]+\.[a-z]+$`)

// take reads an answer, unless a better one was there. XML without a body is none.
func (e *thunderbirdExchange) take(p page, a settings.Address) {
	if e.decided || !p.taken || p.parsed && len(p.Body) == 0 {
		return
	}
	e.decided = true
	root, err := parseXML(p.Body)
	if !p.parsed || err != nil {
		e.note("read the document", "it is no XML; nothing else is read", 0)
		return
	}
	account := root.child("Response").child("Account")
	if other := account.value("RedirectAddr"); redirectAddress.MatchString(other) {
		e.led = e.led || !p.Private
		e.redirect(other)
		return
	}
	e.found = thunderbirdPOX(account, e.login)
	if root.name != "Autodiscover" || e.found == nil {
		e.found = nil
		e.note("read the document", "it holds no settings that Thunderbird can use; nothing else is read", 0)
		return
	}
	e.oddLogins(e.found)
	e.found = fromSource(e.found, p.from)
}

// redirect begins again for another address, with the same login, at most twice.
func (e *thunderbirdExchange) redirect(other string) {
	address, err := settings.ParseAddress(strings.ToLower(other))
	if e.redirected++; err != nil || e.redirected > 2 {
		e.note("follow RedirectAddr", "no: "+other, 0)
		return
	}
	e.note("follow RedirectAddr", other, 0)
	e.decided = false
	e.look(address)
}

// thunderbirdPOX reads the first Account of an Autodiscover answer. A Protocol that it
// cannot use is skipped. Without SMTP it takes the server that the user has already.
func thunderbirdPOX(account *node, login string) []Setting {
	var incoming, outgoing *Setting
	for _, n := range account.all("Protocol") {
		s, ok := thunderbirdProtocol(n, login)
		switch {
		case !ok:
		case s.Role == settings.RoleSubmission && outgoing == nil:
			outgoing = &s
		case s.Role != settings.RoleSubmission && incoming == nil:
			incoming = &s
		}
	}
	switch {
	case incoming == nil:
		return nil
	case outgoing == nil:
		return []Setting{*incoming}
	}
	return []Setting{*incoming, *outgoing}
}

func thunderbirdProtocol(n *node, login string) (s Setting, ok bool) {
	role := map[string]settings.Role{"IMAP": settings.RoleIMAP, "POP3": settings.RolePOP3, "SMTP": settings.RoleSubmission}[jxElement(n.child("Type")).text]
	host, named := jxElement(n.child("Server")).hostname()
	port, numbered := jxElement(n.child("Port")).port()
	s, ok = newSetting(role, host, int(port), SecurityNone, login)
	if role == "" || !named || !numbered || !ok {
		return s, false
	}
	if n.child("LoginName") != nil {
		name := jxElement(n.child("LoginName"))
		s.Username, s.meant = name.text, name.mangled(n.child("LoginName"))
		if name.falsy() {
			return s, false
		}
	}
	if s.Security, ok = thunderbirdEncryption(n, port); !ok {
		return s, false
	}
	if s.Security == SecurityTLS && strings.EqualFold(field(n, "Encryption"), "tls") {
		s.Misread = "Thunderbird takes every port of Autodiscover but 143, 110, 25 and 587 for implicit TLS"
	}
	// Without SPA it sends the password as it is; with it, CRAM-MD5 or better.
	s.needs = settings.Mechanisms{"PLAIN", "LOGIN", "USER"}
	if spa := n.child("SPA"); spa != nil {
		value := jxElement(spa)
		if strings.EqualFold(value.text, "on") {
			s.needs, s.mend = settings.Mechanisms{"CRAM-MD5", "NTLM", "GSSAPI"}, "say <SPA>off</SPA> in the Protocol"
		}
		return s, value.kind == jxString
	}
	return s, true
}

// thunderbirdEncryption looks at SSL first: off is off, whatever Encryption says; then
// the port decides. What is no string throws, and drops the Protocol.
func thunderbirdEncryption(n *node, port uint16) (Security, bool) {
	for _, part := range []struct{ name, none string }{{"SSL", "off"}, {"Encryption", "none"}} {
		child := n.child(part.name)
		if child == nil {
			continue
		}
		value := jxElement(child)
		if value.kind != jxString {
			return "", false
		}
		if strings.EqualFold(value.text, part.none) {
			return SecurityNone, true
		}
	}
	if slices.Contains([]uint16{143, 110, 587, 25}, port) {
		return SecuritySTARTTLS, true
	}
	return SecurityTLS, true
}
