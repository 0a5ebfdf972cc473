package doctor

import (
	"fmt"
	"html"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailconfd/settings"
)

// thunderbird is Thunderbird for the desktop: releases-comm-central cf9726f563 read,
// 153.7 ESR run.
//
// It asks everything at once and takes the best source that answers: the domain's own
// four URLs, then the ISPDB, then the MX's domain; Autodiscover only if all of those
// fail. Of the four URLs the first that answers at all decides: a page of HTML with
// status 200 hides a good document behind the next URL.
var thunderbird = client{
	name: "thunderbird", title: "Thunderbird", read: "Thunderbird 153", people: "many",
	http: httpRules{
		timeout: 5 * time.Second, redirects: 20, crosses: true, downgrade: true,
		parses: xmlTypes("text/xml", "application/xml", "text/rdf"),
	},
	discover: discoverThunderbird,
}

func discoverThunderbird(v *visit) []Setting {
	domain, address := v.address.Domain, v.address.String()
	if strings.Contains("."+domain, ".xn--") {
		note := finding(KindAsksUser, "Thunderbird asks nothing at all when the domain is typed with its own letters; "+domain+" works", "tell users to type the address as "+address)
		note.Weight = Note // its own inability
		v.find(note)
	}
	query := "?emailaddress=" + escapeAddress(address)
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml"+query, "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+query
	// It waits for Autodiscover even when autoconfig has answered.
	exchange := v.thunderbirdAutodiscover(domain, address)
	sources := [][]string{
		{"https" + host, "https" + wellKnown, "http" + host, "http" + wellKnown},
		{v.ispdb("https://live.thunderbird.net/autoconfig/v1.1/") + domain},
	}
	for _, urls := range sources {
		if found := v.thunderbirdAutoconfig(urls); found != nil {
			return found
		}
	}
	if found := v.thunderbirdMX(domain, query); found != nil {
		return found
	}
	if exchange != nil {
		return exchange
	}
	return v.guess([]string{"imap." + domain, "mail." + domain, "pop." + domain}, []string{"smtp." + domain, "mail." + domain})
}

// thunderbirdAutoconfig takes the first URL that answers, for better or worse.
func (v *visit) thunderbirdAutoconfig(urls []string) []Setting {
	rules := v.client.http
	if len(urls) == 1 {
		rules.timeout = 10 * time.Second // the ISPDB
	}
	for _, u := range urls {
		p := v.ask(Request{Method: "GET", URL: u}, rules)
		if !p.taken || p.parsed && len(p.Body) == 0 {
			continue
		}
		if !p.parsed {
			v.reject(p, fmt.Sprintf("Content-Type %q is none that it parses; it looks no further", p.ContentType))
			return nil
		}
		found, err := thunderbirdRead(p.Body, v.address)
		if err != nil {
			v.reject(p, err.Error()+"; it looks no further")
			return nil
		}
		return fromSource(found, p.from)
	}
	return nil
}

// reject notes that a document was refused as a whole.
func (v *visit) reject(p page, why string) {
	v.note("read the document", why, 0)
	v.find(finding(KindRejected, p.from+": "+why, ""))
}

// fromSource says where settings come from.
func fromSource(found []Setting, source string) []Setting {
	for i := range found {
		found[i].Source = source
	}
	return found
}

// thunderbirdMX asks the domains of the best MX: its registrable domain, and its host
// without the first label.
func (v *visit) thunderbirdMX(domain, query string) []Setting {
	hosts := v.mx(domain)
	if len(hosts) == 0 {
		return nil
	}
	base := registrable(hosts[0])
	var domains []string
	for _, d := range []string{parent(hosts[0]), base} {
		if d != "" && d != domain && strings.HasSuffix("."+d, "."+base) && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	for _, d := range domains {
		for _, u := range []string{"https://autoconfig." + d + "/mail/config-v1.1.xml" + query, v.ispdb("https://live.thunderbird.net/autoconfig/v1.1/") + d} {
			if found := v.thunderbirdAutoconfig([]string{u}); found != nil {
				return found
			}
		}
	}
	return nil
}

var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?$`)

// jxon is how Thunderbird reads the text of an element: a number or boolean where it
// looks like one, true where it is empty. An attribute makes it an object, which is
// equal to no text.
func jxon(n *node) (text string, ok bool) {
	switch {
	case n == nil:
		return "undefined", false
	case len(n.attrs) > 0 || len(n.children) > 0:
		return "[object Object]", false
	case n.text == "":
		return "true", false
	}
	if f, err := strconv.ParseFloat(strings.TrimSpace(n.text), 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && !strings.ContainsAny(n.text, "_pP") {
		return strconv.FormatFloat(f, 'f', -1, 64), true
	}
	return n.text, true
}

// thunderbirdRead reads an autoconfig document as readFromXML does. A server that it
// cannot use is skipped; without one of each direction all is refused.
func thunderbirdRead(body []byte, a settings.Address) ([]Setting, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	provider := root.child("emailProvider")
	if root.name != "clientConfig" || provider == nil {
		return nil, fmt.Errorf("the root is %s, with no emailProvider in clientConfig", root.name)
	}
	if !hostName.MatchString(strings.ToLower(provider.attrs["id"])) {
		return nil, fmt.Errorf("emailProvider has the id %q", provider.attrs["id"])
	}
	if !slices.ContainsFunc(provider.all("domain"), func(n *node) bool {
		text, ok := jxon(n)
		return ok && (hostName.MatchString(strings.ToLower(text)) || strings.HasPrefix(text, "%EMAILDOMAIN"))
	}) {
		return nil, fmt.Errorf("no usable domain")
	}
	incoming, why := thunderbirdServers(provider.all("incomingServer"), a)
	if len(incoming) == 0 {
		return nil, fmt.Errorf("no usable incomingServer%s", why)
	}
	outgoing, why := thunderbirdServers(provider.all("outgoingServer"), a)
	if len(outgoing) == 0 {
		return nil, fmt.Errorf("no usable outgoingServer%s", why)
	}
	return []Setting{incoming[0], outgoing[0]}, nil
}

func thunderbirdServers(nodes []*node, a settings.Address) (usable []Setting, why string) {
	for _, n := range nodes {
		s, err := thunderbirdServer(n, a)
		if err != nil {
			why += ": " + err.Error()
			continue
		}
		usable = append(usable, s)
	}
	return usable, why
}

func thunderbirdServer(n *node, a settings.Address) (s Setting, err error) {
	roles := map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3}
	if n.name == "outgoingServer" {
		roles = map[string]settings.Role{"smtp": settings.RoleSubmission}
	}
	s.Role = roles[n.attrs["type"]]
	if s.Role == "" {
		return s, fmt.Errorf("type %q", n.attrs["type"])
	}
	host, _ := jxon(n.child("hostname"))
	s.Host = strings.ToLower(strings.TrimSpace(fill(host, a)))
	if !hostName.MatchString(s.Host) {
		return s, fmt.Errorf("hostname %q", host)
	}
	port, _ := jxon(n.child("port"))
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return s, fmt.Errorf("port %q", port)
	}
	s.Port = uint16(number)
	if s.Security, err = thunderbirdSocket(n.all("socketType")); err != nil {
		return s, err
	}
	password, err := thunderbirdAuth(n.all("authentication"), s.Role)
	if err != nil {
		return s, err
	}
	user, _ := jxon(n.child("username"))
	if n.child("username") == nil && (s.Role != settings.RoleSubmission || password) {
		return s, fmt.Errorf("no username")
	}
	s.Username = fill(user, a)
	return s, nil
}

// thunderbirdSocket takes the first value that it knows; letter case and spaces count.
func thunderbirdSocket(nodes []*node) (Security, error) {
	known := map[string]Security{"SSL": SecurityTLS, "STARTTLS": SecuritySTARTTLS, "plain": SecurityNone}
	var seen []string
	for _, n := range nodes {
		text, ok := jxon(n)
		if security, is := known[text]; ok && is {
			return security, nil
		}
		seen = append(seen, text)
	}
	return "", fmt.Errorf("socketType %q", seen)
}

// thunderbirdAuth takes the first method that it knows. OAuth2 counts only for hosts
// built into it, of which a domain that needs a doctor is none.
func thunderbirdAuth(nodes []*node, role settings.Role) (password bool, err error) {
	var seen []string
	for _, n := range nodes {
		text, _ := jxon(n)
		switch text {
		case "password-cleartext", "plain", "password-encrypted", "secure":
			return true, nil
		case "GSSAPI", "NTLM":
			return false, nil
		case "none", "client-IP-address", "smtp-after-pop":
			if role == settings.RoleSubmission {
				return false, nil
			}
		}
		seen = append(seen, text)
	}
	return false, fmt.Errorf("authentication %q", seen)
}

// fill expands the placeholders of autoconfig.
func fill(text string, a settings.Address) string {
	return strings.NewReplacer("%EMAILADDRESS%", a.String(), "%EMAILLOCALPART%", a.Local, "%EMAILDOMAIN%", a.Domain).Replace(text)
}

// thunderbirdAutodiscover posts to the three URLs and the SRV's host, and takes the
// first that answers.
func (v *visit) thunderbirdAutodiscover(domain, address string) []Setting {
	body := poxRequest(address)
	const path = "/autodiscover/autodiscover.xml"
	urls := []string{"https://autodiscover." + domain + path, "https://" + domain + path, "http://autodiscover." + domain + path}
	var decided, found = false, []Setting(nil)
	for _, u := range urls {
		p := v.post(u, "text/xml; charset=utf-8", body)
		if p.Took > v.client.http.timeout {
			v.find(finding(KindSlow, fmt.Sprintf("%s does not answer: everyone who sets up Thunderbird waits %s for it, even when autoconfig has answered", u, v.client.http.timeout), "answer, refuse the connection, or take the name out of DNS"))
		}
		if decided || !p.taken || p.parsed && len(p.Body) == 0 {
			continue
		}
		decided = true
		if p.parsed {
			found = fromSource(thunderbirdPOX(p.Body, v.address), p.from)
		}
	}
	return found
}

// thunderbirdPOX reads an Autodiscover answer. What it cannot use is skipped.
func thunderbirdPOX(body []byte, a settings.Address) []Setting {
	root, err := parseXML(body)
	if err != nil {
		return nil
	}
	var incoming, outgoing []Setting
	for _, account := range root.child("Response").all("Account") {
		for _, n := range account.all("Protocol") {
			s, ok := thunderbirdProtocol(n, a)
			switch {
			case !ok:
			case s.Role == settings.RoleSubmission:
				outgoing = append(outgoing, s)
			default:
				incoming = append(incoming, s)
			}
		}
	}
	switch {
	case len(incoming) == 0:
		return nil
	case len(outgoing) == 0:
		return incoming[:1]
	}
	return []Setting{incoming[0], outgoing[0]}
}

func thunderbirdProtocol(n *node, a settings.Address) (s Setting, ok bool) {
	roles := map[string]settings.Role{"IMAP": settings.RoleIMAP, "POP3": settings.RolePOP3, "SMTP": settings.RoleSubmission}
	s.Role = roles[n.value("Type")]
	host, hasHost := jxon(n.child("Server"))
	port, _ := jxon(n.child("Port"))
	number, err := strconv.ParseUint(port, 10, 16)
	ssl := n.child("SSL")
	if s.Role == "" || !hasHost || err != nil || ssl != nil && slices.Contains([]string{"", "true", "false"}, ssl.text) {
		return s, false
	}
	s.Host, s.Port, s.Username = strings.ToLower(host), uint16(number), a.String()
	if login := n.child("LoginName"); login != nil {
		text, _ := jxon(login)
		s.Username = html.UnescapeString(text)
	}
	switch encryption := strings.ToLower(n.value("Encryption")); {
	case ssl != nil && strings.EqualFold(ssl.text, "off") || encryption == "none":
		s.Security = SecurityNone
	case slices.Contains([]uint16{143, 110, 587, 25}, s.Port):
		s.Security = SecuritySTARTTLS
	default:
		s.Security = SecurityTLS
	}
	return s, true
}
