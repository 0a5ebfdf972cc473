package doctor

import (
	"errors"
	"fmt"
	"strings"

	"mailconfd/settings"
)

// geary is Geary, GNOME's mail program: 3e8d4f1a3 read, 43 run.
//
// It asks one URL of the domain and then the ISPDB, without the address, and parses
// whatever comes back, whatever its status. It looks at the first server of each
// direction only, which must be IMAP and SMTP, and never at the user name: that is the
// address until its user types another. If nothing is found it fills in imap.DOMAIN and
// smtp.DOMAIN with implicit TLS.
var geary = client{
	name: "geary", title: "Geary", read: "Geary 43", people: "some",
	http: httpRules{
		redirects: 20, crosses: true, downgrade: true, // libsoup 3
		takes: func(int) bool { return true },
	},
	discover: discoverGeary,
}

func discoverGeary(v *visit) []Setting {
	domain, popSource := v.address.Domain, ""
	for _, u := range []string{"https://autoconfig." + domain + "/mail/config-v1.1.xml", v.ispdb(thunderbirdNetISPDB) + domain} {
		p := v.get(u)
		if !p.taken {
			continue
		}
		found, err := v.gearyRead(p.Body)
		switch {
		case errors.Is(err, errNoIMAP):
			popSource = p.from
		case err != nil:
			v.passOver(p, err.Error())
		default:
			return fromSource(found, p.from)
		}
	}
	found := v.guessHosts("imap."+domain, "smtp."+domain)
	if len(found) == 0 && popSource != "" {
		v.noIMAP(popSource)
	}
	return found
}

// errNoIMAP means that a document offers POP3 only, which the client does not speak.
var errNoIMAP = errors.New("it offers POP3 only")

func (v *visit) gearyRead(body []byte) ([]Setting, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	provider := root.child("emailProvider")
	incoming, outgoing := provider.child("incomingServer"), provider.child("outgoingServer")
	switch {
	case incoming == nil || outgoing == nil:
		return nil, errors.New("no incomingServer and outgoingServer in emailProvider")
	case popOnly(provider):
		return nil, errNoIMAP
	case incoming.attrs["type"] != "imap" || outgoing.attrs["type"] != "smtp":
		return nil, fmt.Errorf("the first incomingServer is %q and the first outgoingServer %q: it wants imap and smtp", incoming.attrs["type"], outgoing.attrs["type"])
	}
	v.compareLogin(incoming.value("username"), v.address.String())
	var found []Setting
	for _, n := range []*node{incoming, outgoing} {
		if s, ok := v.gearyServer(n); ok {
			found = append(found, s)
		} else {
			v.note("read the document", fmt.Sprintf("%s %q port %q is no address", n.name, n.value("hostname"), n.value("port")), 0)
		}
	}
	return append([]Setting{}, found...), nil
}

// gearyServer puts "HOST:PORT" into the form. A socketType that it does not know means
// no encryption.
func (v *visit) gearyServer(n *node) (Setting, bool) {
	role := settings.RoleIMAP
	if n.name == "outgoingServer" {
		role = settings.RoleSubmission
	}
	security := SecurityNone
	switch n.value("socketType") {
	case "SSL":
		security = SecurityTLS
	case "STARTTLS":
		security = SecuritySTARTTLS
	}
	port := gearyDefaultPort(role, security)
	if text := strings.TrimSpace(n.value("port")); text != "" {
		port = leadingInt(text)
	}
	return newSetting(role, n.value("hostname"), port, security, v.address.String())
}

func gearyDefaultPort(role settings.Role, security Security) int {
	switch {
	case role == settings.RoleIMAP && security == SecurityTLS:
		return 993
	case role == settings.RoleIMAP:
		return 143
	case security == SecurityTLS:
		return 465
	default:
		return 587
	}
}
