package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// mailspring is Mailspring: 3da58411 read, with xml2js. (Its built-in table of large
// providers, which goes first, is not repeated here.)
//
// It asks two URLs without the address, the second only if the first has no status of
// success or no well-formed body. A document without an IMAP server leaves its user
// with imap.DOMAIN and no port. With nothing at all it tries imap.DOMAIN and
// smtp.DOMAIN with implicit TLS.
var mailspring = client{
	name: "mailspring", title: "Mailspring", read: "Mailspring 3da58411", people: "some",
	http:     httpRules{redirects: 20, crosses: true, downgrade: true}, // Chromium's fetch
	discover: discoverMailspring,
}

func discoverMailspring(v *visit) []Setting {
	domain := v.address.Domain
	v.dns(domain, TypeMX) // for its table
	for _, u := range []string{"https://autoconfig." + domain + "/mail/config-v1.1.xml", "https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml"} {
		p := v.get(u)
		if !p.taken {
			continue
		}
		found, err := v.mailspringRead(p)
		switch {
		case errors.Is(err, errNotWellFormed):
			v.passOver(p, err.Error())
			continue
		case errors.Is(err, errNoProvider) && strings.TrimSpace(string(p.Body)) != "" && !strings.Contains(string(p.Body), "<clientConfig"):
			v.note("read the document", err.Error()+"; it looks no further", 0)
		case err != nil:
			v.reject(p, err.Error()+"; it looks no further")
		default:
			return fromSource(found, p.from)
		}
		break
	}
	return v.guessHosts("imap."+domain, "smtp."+domain)
}

var (
	errNotWellFormed = errors.New("not well-formed")
	errNoProvider    = errors.New("no emailProvider")
)

// mailspringRead reads a document; errNotWellFormed sends it to the next URL, and
// everything else to its guess.
func (v *visit) mailspringRead(p page) ([]Setting, error) {
	if strings.TrimSpace(string(p.Body)) == "" {
		return nil, errNoProvider // xml2js makes null of it
	}
	root, err := parseXML(p.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotWellFormed, err)
	}
	providers := root.all("emailProvider")
	if len(providers) > 1 { // of several, the one whose id is the domain
		providers = slices.DeleteFunc(providers, func(n *node) bool { return n.attrs["id"] != v.address.Domain })
	}
	if len(providers) == 0 {
		return nil, errNoProvider
	}
	provider := providers[0]
	incoming, outgoing := provider.all("incomingServer"), provider.all("outgoingServer")
	if len(incoming) == 0 || len(outgoing) == 0 {
		return nil, errors.New("no incomingServer, or no outgoingServer")
	}
	found := []Setting{}
	for _, n := range []*node{firstOfType(incoming, "imap"), firstOfType(outgoing, "smtp")} {
		if s, ok := v.mailspringServer(n); ok {
			found = append(found, s)
		}
	}
	if popOnly(provider) {
		v.noIMAP(p.from)
	}
	return found, nil
}

// firstOfType returns the first server of a type, or nil.
func firstOfType(nodes []*node, kind string) *node {
	for _, n := range nodes {
		if n.attrs["type"] == kind {
			return n
		}
	}
	return nil
}

func (v *visit) mailspringServer(n *node) (Setting, bool) {
	if n == nil {
		return Setting{}, false
	}
	role := settings.RoleIMAP
	if n.name == "outgoingServer" {
		role = settings.RoleSubmission
	}
	security := SecuritySTARTTLS // whatever it does not know
	switch n.value("socketType") {
	case "plain":
		security = SecurityNone
	case "SSL":
		security = SecurityTLS
	}
	user := v.address.String() // whatever it does not know
	if n.value("username") == "%EMAILLOCALPART%" {
		user = v.address.Local
	}
	s, ok := newSetting(role, n.value("hostname"), wholeInt(n.value("port")), security, user)
	if !ok {
		v.note("read the document", fmt.Sprintf("%s %q port %q is no address", n.name, n.value("hostname"), n.value("port")), 0)
		return s, false
	}
	v.compareLogin(n.value("username"), user)
	return s, true
}
