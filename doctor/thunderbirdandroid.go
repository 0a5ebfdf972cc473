package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailconfd/settings"
)

// thunderbirdAndroid is Thunderbird for Android and K-9 Mail: thunderbird-android
// a59bd67985, feature/autodiscovery, read.
//
// It asks the same URLs as Thunderbird, but without the address, and goes on to the
// next when one gives it nothing. It looks at no Content-Type, and refuses a document
// as a whole where Thunderbird skips a server. It has no SRV, Autodiscover or guess.
var thunderbirdAndroid = client{
	name: "thunderbird-android", title: "Thunderbird for Android", read: "thunderbird-android a59bd67985 (August 2026)", people: "many",
	http:     httpRules{timeout: 10 * time.Second, redirects: 20, crosses: true, downgrade: true}, // OkHttp's defaults
	discover: discoverThunderbirdAndroid,
}

const thunderbirdNetISPDB = "https://autoconfig.thunderbird.net/v1.1/"

func discoverThunderbirdAndroid(v *visit) []Setting {
	domain := v.address.Domain
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml", "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"
	for _, u := range []string{"https" + host, "https" + wellKnown, "http" + host, "http" + wellKnown, v.ispdb(thunderbirdNetISPDB) + domain} {
		if found := v.androidAutoconfig(u, true); found != nil {
			return found
		}
	}
	hosts := v.mx(domain)
	if len(hosts) == 0 {
		return nil
	}
	base := registrable(hosts[0])
	if base == "" {
		base = hosts[0]
	}
	if base == domain {
		v.note("look at the MX's domain", "no: it is the domain itself", 0)
		return nil
	}
	domains := []string{base}
	if full := parent(hosts[0]); strings.HasSuffix(full, "."+base) {
		domains = []string{full, base}
	}
	trusted := v.lookUp(domain, TypeMX).Authentic
	for _, d := range domains {
		for _, u := range []string{"https://autoconfig." + d + "/mail/config-v1.1.xml", v.ispdb(thunderbirdNetISPDB) + d} {
			if found := v.androidAutoconfig(u, trusted); found != nil {
				return found
			}
		}
	}
	return nil
}

// androidAutoconfig asks one URL. What plain http or unsigned DNS had a part in has to
// be approved by the user.
func (v *visit) androidAutoconfig(u string, trusted bool) []Setting {
	p := v.get(u)
	if !p.taken {
		return nil
	}
	found, err := androidRead(p.Body, v.address)
	if err != nil {
		v.passOver(p, err.Error())
		return nil
	}
	switch {
	case p.plain:
		v.find(finding(KindAsksUser, "Thunderbird for Android asks its user to approve what "+u+" says, since it came over plain http", "serve the document over https"))
	case !trusted:
		v.find(finding(KindAsksUser, "Thunderbird for Android asks its user to approve what "+u+" says, since the MX record that leads there is not signed", "serve a document for "+v.address.Domain+" itself, or sign the zone"))
	}
	return fromSource(found, u)
}

// androidRead reads a document as RealAutoconfigParser does: one server of IMAP or SMTP
// that is not as it should be spoils all of it, even a second one.
func androidRead(body []byte, a settings.Address) ([]Setting, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	providers := root.all("emailProvider")
	if root.name != "clientConfig" || len(providers) == 0 {
		return nil, fmt.Errorf("the root is %s, with no emailProvider in a clientConfig", root.name)
	}
	var found []Setting
	for _, provider := range providers { // the last one counts, and each has to be right
		if found, err = androidProvider(provider, a); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func androidProvider(provider *node, a settings.Address) ([]Setting, error) {
	if id := strings.TrimSpace(provider.attrs["id"]); !legalHost(id) {
		return nil, fmt.Errorf("emailProvider has the id %q", provider.attrs["id"])
	}
	domain := false
	servers := map[string]Setting{}
	for _, n := range provider.children {
		switch n.name {
		case "domain":
			text, err := androidText(n)
			if err != nil {
				return nil, err
			}
			domain = domain || legalHost(strings.TrimSpace(fill(text, a)))
		case "incomingServer", "outgoingServer":
			if n.attrs["type"] != map[string]string{"incomingServer": "imap", "outgoingServer": "smtp"}[n.name] {
				continue
			}
			s, err := androidServer(n, a)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n.name, err)
			}
			if _, has := servers[n.name]; !has { // the first counts
				servers[n.name] = s
			}
		case "oAuth2":
			if n.child("authURL") == nil || n.child("tokenURL") == nil {
				return nil, errors.New("oAuth2 without authURL and tokenURL")
			}
		}
	}
	incoming, receives := servers["incomingServer"]
	outgoing, sends := servers["outgoingServer"]
	switch {
	case !domain:
		return nil, errors.New("no usable domain")
	case !receives:
		return nil, errors.New("no incomingServer of type imap")
	case !sends:
		return nil, errors.New("no outgoingServer of type smtp")
	}
	return []Setting{incoming, outgoing}, nil
}

// androidServer reads a server; of repeated elements the last counts, and all methods
// of authentication are kept.
func androidServer(server *node, a settings.Address) (s Setting, err error) {
	s.Role = settings.RoleIMAP
	if server.name == "outgoingServer" {
		s.Role = settings.RoleSubmission
	}
	text := map[string]string{}
	var methods []string
	for n := range server.descendants() {
		if !slices.Contains([]string{"hostname", "port", "username", "authentication", "socketType"}, n.name) {
			continue
		}
		if text[n.name], err = androidText(n); err != nil {
			return s, err
		}
		if err := androidValue(&s, n.name, text[n.name], a); err != nil {
			return s, err
		}
		if n.name == "authentication" {
			methods = append(methods, text[n.name])
		}
	}
	for _, name := range []string{"hostname", "port", "username", "socketType"} {
		if _, has := text[name]; !has {
			return s, errors.New("no " + name)
		}
	}
	if s.needs, err = androidAuth(methods); err != nil {
		return s, err
	}
	usable, ok := newSetting(s.Role, s.Host, int(s.Port), s.Security, s.Username)
	if usable.needs = s.needs; !ok { // which it would take, and not connect
		return s, fmt.Errorf("%s port %d", s.Host, s.Port)
	}
	return usable, nil
}

// androidValue sets one value of a server.
func androidValue(s *Setting, name, text string, a settings.Address) error {
	switch name {
	case "hostname":
		host := fill(text, a)
		if !legalHost(host) {
			return fmt.Errorf("hostname %q", text)
		}
		s.Host = host
	case "port":
		port, err := strconv.Atoi(text)
		if err != nil || port < 0 || port > 65535 {
			return fmt.Errorf("port %q", text)
		}
		s.Port = uint16(port)
	case "username":
		s.Username = fill(text, a)
	case "socketType":
		security, known := map[string]Security{"SSL": SecurityTLS, "STARTTLS": SecuritySTARTTLS}[text]
		if !known {
			return fmt.Errorf("socketType %q", text)
		}
		s.Security = security
	}
	return nil
}

// androidAuth returns what the methods that it knows can mean. OAuth needs a provider
// that is built in, which this is not.
func androidAuth(methods []string) (settings.Mechanisms, error) {
	oauth := false
	for _, method := range methods {
		switch method {
		case "password-cleartext":
			return settings.Mechanisms{"PLAIN", "LOGIN"}, nil
		case "password-encrypted":
			return settings.Mechanisms{"CRAM-MD5"}, nil
		case "OAuth2":
			oauth = true
		}
	}
	if !oauth {
		return nil, fmt.Errorf("authentication %q", methods)
	}
	return settings.Mechanisms{"XOAUTH2", "OAUTHBEARER"}, nil
}

// androidText returns the text of an element, as it is; an element in it is an error.
func androidText(n *node) (string, error) {
	if len(n.children) > 0 {
		return "", fmt.Errorf("%s has an element in it", n.name)
	}
	return n.text, nil
}
