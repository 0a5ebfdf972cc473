package doctor

import (
	"fmt"
	"strings"
	"time"

	"mailconfd/settings"
)

// nextcloud is the Mail app of Nextcloud: lib/Service/AutoConfig and the account form
// of 3.6 read (%EMAILLOCALPART% came out empty before that). The requests come from the
// Nextcloud server.
//
// The address is pasted into the URLs as it is. It asks the ISPDB before plain http,
// and the MX's own host as if it were the mail domain. At the end it tries the ports of
// the MX hosts.
var nextcloud = client{
	name: "nextcloud", title: "Nextcloud Mail", read: "Nextcloud Mail 3.6", people: "some",
	http: httpRules{
		timeout: 7 * time.Second, redirects: 5, crosses: true, downgrade: true, // Guzzle
		takes: func(status int) bool { return status < 400 },
	},
	discover: discoverNextcloud,
}

func discoverNextcloud(v *visit) []Setting {
	if found := v.nextcloudAsk(v.address.Domain); found != nil {
		return found
	}
	if found := v.nextcloudMX(); found != nil {
		return found
	}
	return v.nextcloudPorts()
}

// nextcloudMX asks for the host of the first MX record, whatever its preference, and for
// what is above it.
func (v *visit) nextcloudMX() []Setting {
	records := v.dns(v.address.Domain, TypeMX).Records
	if len(records) == 0 || records[0].Host == "" {
		return nil
	}
	if found := v.nextcloudAsk(records[0].Host); found != nil {
		return found
	}
	above := parent(records[0].Host)
	if registrable(above) == "" {
		v.note("ask for "+above, "not done here, for it is nobody's domain; this client would", 0)
		return nil
	}
	return v.nextcloudAsk(above)
}

// nextcloudAsk asks everything about one domain.
func (v *visit) nextcloudAsk(domain string) []Setting {
	query := "?emailaddress=" + rawAddress(v.address.String())
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml"+query, "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+query
	for _, u := range []string{
		"https" + host, "https" + wellKnown,
		v.ispdb(thunderbirdNetISPDB) + domain,
		"http" + host, "http" + wellKnown,
	} {
		p := v.get(u)
		if !p.taken {
			continue
		}
		found, err := v.nextcloudRead(p)
		if err != nil {
			v.passOver(p, err.Error())
			continue
		}
		return fromSource(found, p.from)
	}
	return nil
}

// nextcloudRead takes the first IMAP and the first SMTP server. One of them is enough
// to look no further.
func (v *visit) nextcloudRead(p page) ([]Setting, error) {
	root, err := parseXML(p.Body)
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	provider := root.child("emailProvider")
	if provider == nil {
		return nil, fmt.Errorf("no emailProvider in %s", root.name)
	}
	found, seen := []Setting{}, 0
	for _, want := range []struct {
		element, kind string
		role          settings.Role
	}{
		{"incomingServer", "imap", settings.RoleIMAP},
		{"outgoingServer", "smtp", settings.RoleSubmission},
	} {
		for _, n := range provider.all(want.element) {
			if n.attrs["type"] != want.kind {
				continue
			}
			seen++
			if s, ok := v.nextcloudServer(want.role, n); ok {
				found = append(found, s)
			}
			break
		}
	}
	if seen == 0 {
		return nil, fmt.Errorf("no imap and no smtp server")
	}
	if popOnly(provider) {
		v.noIMAP(p.from)
	}
	return found, nil
}

func (v *visit) nextcloudServer(role settings.Role, n *node) (Setting, bool) {
	security := SecurityNone
	switch strings.ToLower(n.value("socketType")) {
	case "ssl":
		security = SecurityTLS
	case "starttls", "tls":
		security = SecuritySTARTTLS
	}
	s, ok := newSetting(role, n.value("hostname"), leadingInt(n.value("port")), security, fill(n.value("username"), v.address))
	if !ok {
		v.note("read the document", fmt.Sprintf("%s %q port %q is no address", n.name, n.value("hostname"), n.value("port")), 0)
	}
	return s, ok
}

// nextcloudPorts tries the MX hosts and their domains. A port that takes connections is
// enough, except that 143 never counts.
func (v *visit) nextcloudPorts() []Setting {
	var hosts []string
	mx := v.mx(v.address.Domain)
	mx = mx[:min(maxTries, len(mx))]
	hosts = append(hosts, mx...)
	for _, h := range mx {
		labels := strings.Split(h, ".")
		hosts = append(hosts, strings.Join(labels[max(0, len(labels)-2):], "."))
	}
	first := func(schemes ...settings.Scheme) (Setting, bool) {
		for _, h := range hosts {
			for _, scheme := range schemes {
				service := settings.Service{Scheme: scheme, Host: h, Port: scheme.DefaultPort()}
				if v.opens(service) {
					return settingOf(service, v.address.String(), guess), true
				}
			}
		}
		return Setting{}, false
	}
	imap, hasIMAP := first(settings.SchemeIMAPS)
	smtp, hasSMTP := first(settings.SchemeSubmissions, settings.SchemeSubmission)
	if !hasIMAP || !hasSMTP {
		return nil
	}
	return v.guessed([]Setting{imap, smtp})
}
