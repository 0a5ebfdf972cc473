package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailconfd/settings"
)

// evidence is what a domain publishes, read plainly: not as some client would read it,
// but so that what was said can be held against what is true.
type evidence struct {
	files []file
	srv   []offer
}

// format is a kind of document.
type format string

const (
	formatAutoconfig   format = "autoconfig"
	formatAutodiscover format = "Autodiscover"
)

// file is one URL that answered.
type file struct {
	format format
	url    string
	page   page
	root   *node // nil: no well-formed document of the format
	offers []offer
}

// offer is one service as a document or an SRV record offers it.
type offer struct {
	source   string // the URL, or the owner name of the record
	format   format // "": SRV
	role     settings.Role
	host     string
	port     uint16
	security Security // "": the words mean nothing to any client
	said     string   // the words themselves
	priority uint16   // SRV
	position int      // in the document
}

// service returns the offer as the rest of mailconfd names it.
func (o offer) service() (settings.Service, bool) {
	return Setting{Role: o.role, Host: o.host, Port: o.port, Security: o.security}.Service()
}

func (o offer) String() string {
	return fmt.Sprintf("%s %s port %d %s", o.role, o.host, o.port, o.said)
}

// gatherRules follow every redirect and take every certificate: the evidence says which
// there were.
var gatherRules = httpRules{redirects: 10, crosses: true, downgrade: true, anyName: true}

// Where documents are. The first of each are what most clients ask.
func autoconfigURLs(domain, address string) []string {
	query := "?emailaddress=" + escapeAddress(address)
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml"+query, "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+query
	return []string{"https" + host, "https" + wellKnown, "http" + host, "http" + wellKnown}
}

func autodiscoverURLs(domain string) []string {
	const path = "/autodiscover/autodiscover.xml"
	return []string{"https://autodiscover." + domain + path, "https://" + domain + path, "http://autodiscover." + domain + path}
}

// gather asks for everything that the domain publishes. Nearly all of it has been asked
// for by some client already.
func (e *examination) gather() *evidence {
	v := &visit{examination: e, client: client{title: "doctor"}}
	domain, address := e.address.Domain, e.address.String()
	ev := &evidence{}
	for _, u := range autoconfigURLs(domain, address) {
		p := v.ask(Request{Method: "GET", URL: u}, gatherRules)
		ev.files = append(ev.files, readFile(formatAutoconfig, u, p))
	}
	for _, u := range autodiscoverURLs(domain) {
		p := v.ask(Request{Method: "POST", URL: u, ContentType: "text/xml; charset=utf-8", Body: poxRequest(address)}, gatherRules)
		ev.files = append(ev.files, readFile(formatAutodiscover, u, p))
	}
	for _, scheme := range settings.Schemes() {
		if scheme == settings.SchemeSieve {
			continue
		}
		owner := "_" + string(scheme) + "._tcp." + domain
		for _, r := range v.dns(owner, TypeSRV).Records {
			ev.srv = append(ev.srv, srvOffer(scheme, owner, r))
		}
	}
	return ev
}

func srvOffer(scheme settings.Scheme, owner string, r Record) offer {
	o := offer{source: owner, role: scheme.Role(), host: r.Host, port: r.Port, priority: r.Priority, said: "by SRV"}
	o.security = SecuritySTARTTLS
	if scheme.Security() == settings.ImplicitTLS {
		o.security = SecurityTLS
	}
	return o
}

// readFile reads a document without judging it.
func readFile(f format, u string, p page) file {
	out := file{format: f, url: u, page: p}
	if !p.taken {
		return out
	}
	root, err := parseXML(p.Body)
	if err != nil {
		return out
	}
	switch {
	case f == formatAutoconfig && root.name == "clientConfig":
		out.root = root
		out.offers = autoconfigOffers(u, root)
	case f == formatAutodiscover && root.name == "Autodiscover":
		out.root = root
		out.offers = autodiscoverOffers(u, root)
	}
	return out
}

func autoconfigOffers(source string, root *node) []offer {
	roles := map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3, "smtp": settings.RoleSubmission}
	words := map[string]Security{"SSL": SecurityTLS, "STARTTLS": SecuritySTARTTLS, "plain": SecurityNone}
	var offers []offer
	for _, provider := range root.all("emailProvider") {
		for _, n := range slices.Concat(provider.all("incomingServer"), provider.all("outgoingServer")) {
			o := offer{source: source, format: formatAutoconfig, role: roles[n.attrs["type"]], position: len(offers)}
			if o.role == "" {
				continue
			}
			socket := n.value("socketType")
			o.host, o.port, o.security = hostOf(n.value("hostname")), portOf(n.value("port")), words[socket]
			o.said = "socketType " + socket
			offers = append(offers, o)
		}
	}
	return offers
}

func autodiscoverOffers(source string, root *node) []offer {
	roles := map[string]settings.Role{"IMAP": settings.RoleIMAP, "POP3": settings.RolePOP3, "SMTP": settings.RoleSubmission}
	var offers []offer
	for _, account := range root.child("Response").all("Account") {
		for _, n := range account.all("Protocol") {
			o := offer{source: source, format: formatAutodiscover, role: roles[strings.TrimSpace(n.value("Type"))], position: len(offers)}
			if o.role == "" {
				continue
			}
			o.host, o.port = hostOf(n.value("Server")), portOf(n.value("Port"))
			ssl, encryption := n.child("SSL"), n.child("Encryption")
			o.security = saidByPair(ssl, encryption, o.port)
			o.said = "SSL " + textOf(ssl) + ", Encryption " + textOf(encryption)
			offers = append(offers, o)
		}
	}
	return offers
}

// saidByPair reads SSL and Encryption as they are meant: Encryption where it is there,
// else SSL, which means STARTTLS on the ports that start in plaintext.
func saidByPair(ssl, encryption *node, port uint16) Security {
	switch strings.ToLower(strings.TrimSpace(textOf(encryption))) {
	case "ssl":
		return SecurityTLS
	case "tls":
		return SecuritySTARTTLS
	case "none":
		return SecurityNone
	case "auto":
		return SecurityAuto
	case "absent":
	default:
		return ""
	}
	switch strings.ToLower(strings.TrimSpace(textOf(ssl))) {
	case "off":
		return SecurityNone
	case "on", "absent":
		if slices.Contains([]uint16{25, 110, 143, 587}, port) {
			return SecuritySTARTTLS
		}
		return SecurityTLS
	}
	return ""
}

func textOf(n *node) string {
	if n == nil {
		return "absent"
	}
	return n.text
}

func hostOf(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

func portOf(text string) uint16 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// offers returns all that is offered, documents first.
func (ev *evidence) offers() []offer {
	var all []offer
	for _, f := range ev.files {
		all = append(all, f.offers...)
	}
	return append(all, ev.srv...)
}

// first returns the first document of a format in the order in which clients ask.
func (ev *evidence) first(f format) *file {
	for i := range ev.files {
		if ev.files[i].format == f && len(ev.files[i].offers) > 0 {
			return &ev.files[i]
		}
	}
	return nil
}
