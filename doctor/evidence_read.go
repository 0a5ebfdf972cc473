package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"mailconfd/settings"
)

// readFile reads a document without judging it.
func readFile(f format, u string, p page) file {
	out := file{format: f, url: u, page: p}
	if !p.taken {
		return out
	}
	if f == formatPACC {
		out.offers = paccOffers(u, p.Body)
		return out
	}
	root, err := parseXML(p.Body)
	if err != nil {
		return out
	}
	switch {
	case f == formatAutoconfig && root.name == "clientConfig":
		out.root, out.offers = root, limit(autoconfigOffers(u, root), maxOffers)
	case f == formatAutodiscover && root.name == "Autodiscover":
		out.root, out.offers = root, limit(autodiscoverOffers(u, root), maxOffers)
	}
	return out
}

var (
	autoconfigRoles   = map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3, "smtp": settings.RoleSubmission}
	autoconfigWords   = map[string]Security{"SSL": SecurityTLS, "STARTTLS": SecuritySTARTTLS, "plain": SecurityNone}
	autodiscoverRoles = map[string]settings.Role{"IMAP": settings.RoleIMAP, "POP3": settings.RolePOP3, "SMTP": settings.RoleSubmission}
)

// servers returns the server elements of an autoconfig document, incoming first.
func servers(root *node) []*node {
	var all []*node
	for _, provider := range root.all("emailProvider") {
		all = slices.Concat(all, provider.all("incomingServer"), provider.all("outgoingServer"))
	}
	return all
}

func autoconfigOffers(source string, root *node) []offer {
	var offers []offer
	for _, n := range servers(root) {
		if o := serverOffer(n); o.role != "" {
			o.source = source
			offers = append(offers, o)
		}
	}
	return offers
}

// serverOffer reads an incomingServer or outgoingServer.
func serverOffer(n *node) offer {
	socket := n.value("socketType")
	return offer{
		format: formatAutoconfig, role: autoconfigRoles[n.attrs["type"]], host: hostOf(n.value("hostname")), port: portOf(n.value("port")),
		security: autoconfigWords[socket], said: "socketType " + shown(socket),
	}
}

// protocols returns the Protocol elements of every Account.
func protocols(root *node) []*node {
	var all []*node
	for _, account := range root.child("Response").all("Account") {
		all = append(all, account.all("Protocol")...)
	}
	return all
}

func autodiscoverOffers(source string, root *node) []offer {
	var offers []offer
	for _, n := range protocols(root) {
		if o := protocolOffer(n); o.role != "" {
			o.source = source
			offers = append(offers, o)
		}
	}
	return offers
}

// protocolOffer reads a Protocol.
func protocolOffer(n *node) offer {
	ssl, encryption, port := n.child("SSL"), n.child("Encryption"), portOf(n.value("Port"))
	return offer{
		format: formatAutodiscover, role: autodiscoverRoles[field(n, "Type")], host: hostOf(n.value("Server")), port: port,
		security: saidByPair(ssl, encryption, port), said: "SSL " + textOf(ssl) + ", Encryption " + textOf(encryption),
	}
}

// saidByPair reads SSL and Encryption as they are meant: Encryption where it is there,
// else SSL, which means STARTTLS on the ports that start in plaintext.
func saidByPair(ssl, encryption *node, port uint16) Security {
	switch strings.ToLower(textOf(encryption)) {
	case "ssl":
		return SecurityTLS
	case "tls":
		return SecuritySTARTTLS
	case "none":
		return SecurityNone
	case "auto":
		return SecurityAuto
	case absent:
	default:
		return ""
	}
	switch strings.ToLower(textOf(ssl)) {
	case "off":
		return SecurityNone
	case "on", absent:
		if slices.Contains([]uint16{25, 110, 143, 587}, port) {
			return SecuritySTARTTLS
		}
		return SecurityTLS
	}
	return ""
}

const absent = "absent"

// textOf returns what stands in an element, without white space around it.
func textOf(n *node) string {
	if n == nil {
		return absent
	}
	return shown(strings.TrimSpace(n.text))
}

// paccOffers reads a PACC document (draft-ietf-mailmaint-pacc): hosts alone, with
// implicit TLS at the usual ports. Submission was called smtp until revision 03.
func paccOffers(source string, body []byte) []offer {
	var doc struct {
		Protocols map[string]json.RawMessage `json:"protocols"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	var offers []offer
	for _, p := range []struct {
		name   string
		scheme settings.Scheme
	}{{"imap", settings.SchemeIMAPS}, {"pop3", settings.SchemePOP3S}, {"submit", settings.SchemeSubmissions}, {"smtp", settings.SchemeSubmissions}} {
		var server struct {
			Host string `json:"host"`
		}
		raw, listed := doc.Protocols[p.name]
		if !listed || json.Unmarshal(raw, &server) != nil || p.name == "smtp" && doc.Protocols["submit"] != nil {
			continue
		}
		offers = append(offers, offer{
			source: source, format: formatPACC, role: p.scheme.Role(), host: hostOf(server.Host),
			port: p.scheme.DefaultPort(), security: SecurityTLS, said: p.name,
		})
	}
	return offers
}

func srvOffer(scheme settings.Scheme, owner string, r Record) offer {
	o := offer{source: owner, format: formatSRV, role: scheme.Role(), host: r.Host, port: r.Port, priority: r.Priority, security: SecuritySTARTTLS}
	if scheme.Security() == settings.ImplicitTLS {
		o.security = SecurityTLS
	}
	o.said = fmt.Sprintf("_%s, priority %d", scheme, r.Priority)
	return o
}

// hostOf reads a host name; a placeholder stays as it was written.
func hostOf(text string) string {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "%") {
		return text
	}
	return strings.ToLower(text)
}

func portOf(text string) uint16 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// maxShown is how many characters of a stranger's text a finding quotes.
const maxShown = 80

// shown makes a stranger's text fit to quote.
func shown(text string) string { return printable(text, maxShown) }

// printable cuts a text and marks what cannot be printed.
func printable(text string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > limit {
			return b.String() + "…"
		}
		if !unicode.IsPrint(r) {
			r = '·'
		}
		b.WriteRune(r)
	}
	return b.String()
}
