package doctor

import (
	"fmt"
	"strings"
	"time"

	"mailconfd/settings"
)

// snappymail is SnappyMail, a webmail whose administrator sets a domain up once:
// ba496919d and its admin page of 2.38 read.
//
// It asks for test@DOMAIN and takes a 2xx or 3xx answer that holds "<clientConfig";
// then Autodiscover, for autodiscover@DOMAIN; then SRV. The page fills in the first
// server of each direction only, and loses the outgoing one of SRV. Users log in with
// their address if %EMAILADDRESS% was published, otherwise with the local part.
var snappymail = client{
	name: "snappymail", title: "SnappyMail", read: "SnappyMail ba496919d", people: "few",
	http: httpRules{
		timeout: 60 * time.Second, redirects: 19, crosses: true, downgrade: true, // PHP's streams
		takes: func(status int) bool { return status < 400 },
	},
	discover: discoverSnappyMail,
}

func discoverSnappyMail(v *visit) []Setting {
	domain := v.address.Domain
	for _, u := range []string{
		"https://autoconfig." + domain + "/.well-known/mail-v1.xml?emailaddress=" + escapeAddress("test@"+domain),
		"https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
		"http://autoconfig." + domain + "/mail/config-v1.1.xml",
		v.ispdb(thunderbirdNetISPDB) + domain,
	} {
		p := v.get(u)
		if !p.taken {
			continue
		}
		found, err := v.snappymailRead(p)
		if err != nil {
			v.passOver(p, err.Error())
			continue
		}
		return fromSource(found, p.from)
	}
	if found := v.snappymailAutodiscover(); found != nil {
		return found
	}
	return v.snappymailSRV()
}

// snappymailRead reads a document. It is nil, with a reason, if the client goes on.
func (v *visit) snappymailRead(p page) ([]Setting, error) {
	if !strings.Contains(string(p.Body), "<clientConfig") {
		return nil, fmt.Errorf("it does not hold <clientConfig")
	}
	root, err := parseXML(p.Body)
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	providers := root.all("emailProvider")
	switch {
	case len(providers) == 0 || len(providers[0].children) == 0 && len(providers[0].attrs) == 0:
		return nil, fmt.Errorf("no emailProvider")
	case len(providers) > 1: // PHP makes a list of them, in which nothing is found
		v.reject(p, "several emailProvider; it looks no further")
		return []Setting{}, nil
	case popOnly(providers[0]):
		v.noIMAP(p.from)
		return []Setting{}, nil
	}
	return v.snappymailServers(p, providers[0]), nil
}

// snappymailServers takes number 0 of each direction; the page stumbles if another type
// stands there.
func (v *visit) snappymailServers(p page, provider *node) []Setting {
	found := []Setting{}
	for _, want := range []struct {
		element, kind string
		role          settings.Role
	}{
		{"incomingServer", "imap", settings.RoleIMAP},
		{"outgoingServer", "smtp", settings.RoleSubmission},
	} {
		first := provider.child(want.element)
		if first == nil || first.attrs["type"] != want.kind {
			v.reject(p, fmt.Sprintf("the first %s is not %s; its page finds none", want.element, want.kind))
			break
		}
		s, ok := v.snappymailServer(want.role, first.value("hostname"), first.value("port"), first.value("socketType"), first.value("username"))
		if ok {
			found = append(found, s)
		}
	}
	return found
}

// snappymailServer fills a form in as the admin page does.
func (v *visit) snappymailServer(role settings.Role, host, port, socketType, username string) (Setting, bool) {
	security := SecurityNone
	switch socketType {
	case "STARTTLS":
		security = SecuritySTARTTLS
	case "SSL":
		security = SecurityTLS
	}
	user := v.address.Local
	if username == "%EMAILADDRESS%" {
		user = v.address.String()
	}
	s, ok := newSetting(role, host, leadingInt(port), security, user)
	if !ok {
		v.note("read the document", fmt.Sprintf("%s %q port %q is no address", role, host, port), 0)
		return s, false
	}
	v.compareLogin(username, user)
	return s, true
}

// snappymailAutodiscover asks three hosts, and those of the SRV records with their port.
func (v *visit) snappymailAutodiscover() []Setting {
	domain := v.address.Domain
	for _, host := range []string{"https://" + domain, "https://autodiscover." + domain, "http://autodiscover." + domain} {
		if found := v.snappymailPost(host); found != nil {
			return found
		}
	}
	for _, r := range v.srv("autodiscover") {
		host := fmt.Sprintf("https://%s:%d", r.Host, r.Port)
		switch r.Port {
		case 443:
			host = "https://" + r.Host
		case 80:
			host = "http://" + r.Host
		}
		if found := v.snappymailPost(host); found != nil {
			return found
		}
	}
	return nil
}

func (v *visit) snappymailPost(host string) []Setting {
	p := v.post(host+"/autodiscover/autodiscover.xml", "application/xml", `<?xml version="1.0" encoding="utf-8" ?>
		<Autodiscover xmlns="`+requestSchema+`">
			<Request>
				<AcceptableResponseSchema>`+responseSchema+`</AcceptableResponseSchema>
				<EMailAddress>autodiscover@`+v.address.Domain+`</EMailAddress>
			</Request>
		</Autodiscover>`)
	if !p.taken || len(p.Body) == 0 {
		return nil
	}
	return fromSource(v.snappymailPOX(p), p.from)
}

// snappymailPOX reads an Autodiscover answer; nil: it goes on.
func (v *visit) snappymailPOX(p page) []Setting {
	root, err := parseXML(p.Body)
	if err != nil {
		return nil
	}
	accounts := root.child("Response").all("Account")
	if len(accounts) != 1 || accounts[0].value("AccountType") != "email" {
		return nil
	}
	protocols := accounts[0].all("Protocol")
	switch len(protocols) {
	case 0:
		return nil
	case 1: // PHP makes no list of one, and its program dies of that
		v.reject(p, "one Protocol only, of which it cannot make a list; it looks no further")
		return []Setting{}
	}
	found := []Setting{}
	for _, want := range []struct {
		kind string
		role settings.Role
	}{{"IMAP", settings.RoleIMAP}, {"SMTP", settings.RoleSubmission}} {
		for _, n := range protocols {
			if n.value("Type") != want.kind {
				continue
			}
			if s, ok := v.snappymailProtocol(want.role, n); ok {
				found = append(found, s)
			}
			break
		}
	}
	return found
}

// snappymailProtocol goes by SSL and the port, and never looks at Encryption.
func (v *visit) snappymailProtocol(role settings.Role, n *node) (Setting, bool) {
	port, on := n.value("Port"), n.value("SSL") == "on"
	socketType := ""
	switch {
	case role == settings.RoleSubmission && port == "587", role == settings.RoleIMAP && on && port != "993":
		socketType = "STARTTLS"
	case on:
		socketType = "SSL"
	}
	username := ""
	if n.value("LoginName") == "autodiscover@"+v.address.Domain {
		username = "%EMAILADDRESS%"
	}
	return v.snappymailServer(role, n.value("Server"), port, socketType, username)
}

// snappymailSRV wants both directions and takes the first record of the resolver.
func (v *visit) snappymailSRV() []Setting {
	outgoing, incoming := v.srv("submissions"), []Record(nil)
	if len(outgoing) == 0 {
		outgoing = v.srv("submission")
	}
	if len(outgoing) == 0 {
		return nil
	}
	if incoming = v.srv("imaps"); len(incoming) == 0 {
		incoming = v.srv("imap")
	}
	if len(incoming) == 0 {
		return nil
	}
	socketType := ""
	if incoming[0].Port == 993 {
		socketType = "SSL"
	}
	found := []Setting{}
	if s, ok := v.snappymailServer(settings.RoleIMAP, incoming[0].Host, fmt.Sprint(incoming[0].Port), socketType, "%EMAILADDRESS%"); ok {
		if s.Security == SecurityNone {
			s.Misread = "SnappyMail encrypts a server from SRV on port 993 only"
		}
		found = append(found, s)
	}
	f := finding(KindNothingFound, "SnappyMail looks SRV records up and then loses the server for sending", "publish autoconfig")
	f.Weight = Note // its own inability
	v.find(f)
	return fromSource(found, "_imaps._tcp."+v.address.Domain)
}
