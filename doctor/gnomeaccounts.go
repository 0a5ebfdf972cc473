package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// gnomeAccounts is GNOME Online Accounts, which Evolution and others take their mail
// accounts from: bbe98a35 and librest 0.8 read.
//
// It wants status 200 and a clientConfig, however little is in it, and then looks no
// further. The port of the document is lost: it uses the default one of the encryption,
// which is never none.
var gnomeAccounts = client{
	name: "gnome-online-accounts", title: "GNOME Online Accounts", read: "GNOME Online Accounts bbe98a35", people: "some",
	http: httpRules{
		timeout: 15 * time.Second, redirects: 20, crosses: true, downgrade: true, // libsoup 3
		takes: func(status int) bool { return status == 200 },
	},
	discover: discoverGNOMEAccounts,
	// Its IMAP knows the LOGIN command only, its SMTP LOGIN and PLAIN.
	login: func(role settings.Role, offered settings.Mechanisms) bool {
		return slices.Contains(offered, "LOGIN") || role == settings.RoleSubmission && slices.Contains(offered, "PLAIN")
	},
}

func discoverGNOMEAccounts(v *visit) []Setting {
	domain, raw := v.address.Domain, "?emailaddress="+rawAddress(v.address.String())
	const ispdb = "https://v1.ispdb.net/"
	urls := []string{
		"https://autoconfig." + domain + "/.well-known/mail-v1.xml" + raw,
		"https://autoconfig." + domain + "/mail/config-v1.1.xml" + raw,
		"https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
		"http://autoconfig." + domain + "/mail/config-v1.1.xml",
		v.ispdb(ispdb) + domain,
	}
	if found := v.gnomeAsk(urls); found != nil {
		return found
	}
	hosts := v.mx(domain)
	if len(hosts) == 0 {
		return nil
	}
	domains := []string{hosts[0]} // the whole name of the MX, unlike the draft
	if base := registrable(hosts[0]); base != "" && base != hosts[0] {
		domains = append(domains, base)
	}
	urls = nil
	for _, d := range domains {
		urls = append(urls, "https://autoconfig."+d+"/.well-known/mail-v1.xml"+raw)
	}
	for _, d := range domains {
		urls = append(urls, v.ispdb(ispdb)+d)
	}
	return v.gnomeAsk(urls)
}

// gnomeAsk takes the first URL that answers with a clientConfig.
func (v *visit) gnomeAsk(urls []string) []Setting {
	for _, u := range urls {
		p := v.get(u)
		if !p.taken {
			continue
		}
		// Broken documents are read as far as they go.
		root, err := recoverXML(p.Body)
		if root == nil || root.name != "clientConfig" {
			v.passOver(p, fmt.Sprintf("it is no clientConfig (%v)", err))
			continue
		}
		if err != nil {
			v.reject(p, "it is broken, and read as far as it goes: "+err.Error())
		}
		return fromSource(v.gnomeRead(root, p.from), p.from)
	}
	return nil
}

// gnomeRead takes the first server of each kind. It is never nil.
func (v *visit) gnomeRead(root *node, source string) []Setting {
	found := []Setting{}
	provider := deepest(root, "emailProvider")
	for _, want := range []struct {
		element, kind string
		role          settings.Role
	}{
		{"incomingServer", "imap", settings.RoleIMAP},
		{"outgoingServer", "smtp", settings.RoleSubmission},
	} {
		for _, n := range siblings(provider, want.element) {
			if !strings.EqualFold(n.attrs["type"], want.kind) {
				continue
			}
			if s, ok := v.gnomeServer(want.role, n); ok {
				found = append(found, s)
			}
			break
		}
	}
	if popOnly(provider) {
		v.noIMAP(source)
	}
	return found
}

func (v *visit) gnomeServer(role settings.Role, n *node) (Setting, bool) {
	security, ports := SecurityTLS, map[settings.Role]int{settings.RoleIMAP: 993, settings.RoleSubmission: 465}
	if strings.EqualFold(deepest(n, "socketType").content(), "STARTTLS") {
		security, ports = SecuritySTARTTLS, map[settings.Role]int{settings.RoleIMAP: 143, settings.RoleSubmission: 587}
	}
	published := deepest(n, "username").content()
	user := map[string]string{
		"%EMAILADDRESS%": v.address.String(), "%EMAILLOCALPART%": v.address.Local, "%EMAILDOMAIN%": v.address.Domain,
	}[strings.ToUpper(published)]
	s, ok := newSetting(role, deepest(n, "hostname").content(), ports[role], security, user)
	if !ok {
		v.note("read the document", fmt.Sprintf("%s has no host", n.name), 0)
		return s, false
	}
	v.compareLogin(published, user)
	if port := leadingInt(deepest(n, "port").content()); port != 0 && port != ports[role] {
		s.Misread = fmt.Sprintf("GNOME Online Accounts ignores the published port %d", port)
	}
	if strings.EqualFold(deepest(n, "socketType").content(), "plain") {
		s.Misread = "GNOME Online Accounts encrypts although plain was published"
	}
	return s, true
}

// deepest finds an element at any depth, the nearest first, as librest does.
func deepest(n *node, name string) *node {
	if found := siblings(n, name); len(found) > 0 {
		return found[0]
	}
	return nil
}

// siblings returns the elements of a name that stand beside the one that deepest finds.
func siblings(n *node, name string) []*node {
	if found := n.all(name); len(found) > 0 || n == nil {
		return found
	}
	for _, c := range n.children {
		if found := siblings(c, name); len(found) > 0 {
			return found
		}
	}
	return nil
}
