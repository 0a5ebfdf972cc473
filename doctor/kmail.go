package doctor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mailconfd/settings"
)

// kmail is KDE's account wizard: kmail-account-wizard 8163b657 read, ispdb 22.12 run.
//
// It asks the ISPDB first, so that an entry there counts more than what the domain
// says. Each further URL is asked only if the one before did not answer 200: a page of
// HTML with status 200 ends the search. Nothing else is looked at. (ispdb 22.12, where
// the last URL does not answer 200 either, asks it again and again without a pause.)
var kmail = client{
	name: "kmail", title: "KMail", read: "kmail-account-wizard 8163b657 read, ispdb 22.12 run", people: "some",
	http:     httpRules{redirects: 50, crosses: true, takes: func(status int) bool { return status == 200 }}, // Qt's NoLessSafeRedirectPolicy
	discover: discoverKMail,
}

func discoverKMail(v *visit) []Setting {
	domain := v.address.Domain
	host := "://autoconfig." + domain + "/mail/config-v1.1.xml"
	for _, u := range []string{v.ispdb(thunderbirdNetISPDB) + domain, "https" + host, "http" + host, "https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml"} {
		p := v.get(u)
		if !p.taken {
			continue
		}
		found, err := kmailRead(p.Body, v.address)
		if err != nil {
			v.reject(p, err.Error()+"; it looks no further")
			return nil
		}
		return fromSource(found, u)
	}
	return nil
}

// kmailRead reads the first emailProvider, wherever it stands. It offers its user all
// that receives, IMAP first; here the first is taken.
func kmailRead(body []byte, a settings.Address) ([]Setting, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	var provider *node
	for n := range root.descendants() {
		if n.name == "emailProvider" {
			provider = n
			break
		}
	}
	if provider == nil {
		return nil, errors.New("no emailProvider")
	}
	var found []Setting
	for _, kind := range []string{"imap", "pop3"} {
		if servers := kmailServers(provider, "incomingServer", kind, a); len(servers) > 0 {
			found = append(found, servers[0])
			break
		}
	}
	// To send with, STARTTLS counts more than SSL, and that more than neither.
	rank := map[Security]int{SecuritySTARTTLS: 2, SecurityTLS: 1}
	var best *Setting
	for _, s := range kmailServers(provider, "outgoingServer", "smtp", a) {
		if best == nil || rank[s.Security] > rank[best.Security] {
			best = &s
		}
	}
	if best != nil {
		found = append(found, *best)
	}
	if len(found) == 0 {
		return nil, errors.New("no server that KMail can use")
	}
	return found, nil
}

func kmailServers(provider *node, element, kind string, a settings.Address) []Setting {
	var usable []Setting
	for _, n := range provider.all(element) {
		if n.attrs["type"] != kind {
			continue
		}
		if s, ok := kmailServer(n, kind, a); ok {
			usable = append(usable, s)
		}
	}
	return usable
}

// kmailServer reads a server; of repeated elements the last counts. One without a port
// is left out.
func kmailServer(server *node, kind string, a settings.Address) (Setting, bool) {
	role := map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3, "smtp": settings.RoleSubmission}[kind]
	security, method := SecurityTLS, "" // the defaults
	var host, user string
	port := 0
	for _, n := range server.children {
		text := n.allText()
		switch n.name {
		case "hostname":
			host = fill(text, a)
		case "port":
			port, _ = strconv.Atoi(strings.TrimSpace(text)) // what is no number is 0
		case "username":
			user = fill(text, a)
		case "socketType":
			if known, is := map[string]Security{"plain": SecurityNone, "SSL": SecurityTLS, "STARTTLS": SecuritySTARTTLS}[text]; is {
				security = known
			}
		case "authentication":
			if method == "" {
				method = kmailMethods[text]
			}
		}
	}
	s, ok := newSetting(role, host, port, security, user)
	s.needs = settings.Mechanisms{"PLAIN", "LOGIN", "USER"}
	if method != "" {
		s.needs, s.mend = settings.Mechanisms{method}, "say password-cleartext alone: KMail keeps the first method of any other name, wherever it stands"
	}
	if method == "none" {
		s.needs = nil
	}
	return s, ok
}

// kmailMethods are the methods that count more than password-cleartext, wherever they
// stand, and what KMail uses for them.
var kmailMethods = map[string]string{
	"password-encrypted": "CRAM-MD5", "secure": "CRAM-MD5", "NTLM": "NTLM", "GSSAPI": "GSSAPI",
	"OAuth2": "XOAUTH2", "client-ip-based": "none", "none": "none",
}
