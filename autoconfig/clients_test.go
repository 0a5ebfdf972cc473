package autoconfig_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"mailconfd/settings"
)

// This file reads documents by the rules of the clients themselves, each as far as it
// bears on which servers it would set up. The rules were read in the clients' sources;
// docs/autoconfig.md names the versions.

// server is what a client would set up. User is empty where the client does not read it.
type server struct{ kind, host, port, socket, user string }

// client is one reader of the document.
type client struct {
	name string
	pop3 bool // it takes POP3 where there is no IMAP
	read func(doc []byte, a settings.Address) ([]server, error)
}

var clients = []client{
	{"schema", true, schema},
	{"Thunderbird", true, thunderbird},
	{"Thunderbird for Android", false, thunderbirdAndroid},
	{"Delta Chat", false, deltaChat},
	{"KMail", true, kmail},
	{"Evolution", true, evolution},
	{"FairEmail", false, fairEmail},
	{"Geary", false, geary},
	{"GNOME Online Accounts", false, gnomeOnlineAccounts},
	{"Nextcloud Mail", false, nextcloud},
	{"Mailspring", false, mailspring},
	{"aerc", false, aerc},
	{"Himalaya", true, himalaya},
}

var hostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

func validPort(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1 && n <= 65535 && strconv.Itoa(n) == text
}

// schema holds the document to the skeleton of draft-ietf-mailmaint-autoconfig-06 in
// version 1.1, as its RELAX NG schema does, and to the order of elements that FairEmail needs.
func schema(doc []byte, a settings.Address) ([]server, error) {
	root, err := parse(doc)
	if err != nil {
		return nil, err
	}
	if fmt.Sprint(root.attrs) != "map[version:1.1]" || len(root.children) != 1 {
		return nil, errors.New("want clientConfig version 1.1 with one emailProvider and nothing else")
	}
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	if fmt.Sprint(p.attrs) != "map[id:"+a.Domain+"]" {
		return nil, fmt.Errorf("attributes of emailProvider: %v", p.attrs)
	}
	var order string
	var servers []server
	for _, c := range p.children {
		order += c.name + " "
		if c.name == "incomingServer" || c.name == "outgoingServer" {
			if err := checkServer(c); err != nil {
				return nil, err
			}
			servers = append(servers, c.server(a))
			continue
		}
		if len(c.attrs) > 0 || len(c.children) > 0 || c.text == "" {
			return nil, fmt.Errorf("%s: want text and nothing else", c.name)
		}
	}
	if !regexp.MustCompile(`^domain displayName displayShortName (incomingServer ){1,2}outgoingServer $`).MatchString(order) {
		return nil, fmt.Errorf("children of emailProvider: %s", order)
	}
	if p.first("domain") != a.Domain || utf8.RuneCountInString(p.first("displayName")) > 60 || utf8.RuneCountInString(p.first("displayShortName")) > 20 {
		return nil, errors.New("domain, displayName or displayShortName")
	}
	return servers, nil
}

func checkServer(c *element) error {
	var order []string
	for _, v := range c.children {
		order = append(order, v.name)
		if v.text == "" || len(v.attrs) > 0 || len(v.children) > 0 || strings.TrimSpace(v.text) != v.text {
			return fmt.Errorf("%s: %s: want text without spaces around it", c.name, v.name)
		}
	}
	if strings.Join(order, " ") != "hostname port socketType authentication username" || len(c.attrs) != 1 {
		return fmt.Errorf("%s: children %v, attributes %v", c.name, order, c.attrs)
	}
	return nil
}

// thunderbird: the first usable server of each side; a value is compared as it stands;
// a document without id, plain domain, incoming and outgoing server is rejected.
func thunderbird(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	plain := slices.ContainsFunc(p.all("domain"), func(d *element) bool { return len(d.attrs) == 0 && hostname.MatchString(d.text) })
	if !hostname.MatchString(p.attrs["id"]) || !plain {
		return nil, errors.New("id or domain")
	}
	usable := func(e *element, kinds ...string) bool {
		s := e.server(a)
		return slices.Contains(kinds, s.kind) && hostname.MatchString(s.host) && validPort(s.port) && s.user != "" &&
			slices.Contains([]string{"plain", "SSL", "STARTTLS"}, s.socket) &&
			slices.Contains([]string{"password-cleartext", "password-encrypted"}, e.first("authentication"))
	}
	in := slices.IndexFunc(p.all("incomingServer"), func(e *element) bool { return usable(e, "imap", "pop3") })
	out := slices.IndexFunc(p.all("outgoingServer"), func(e *element) bool { return usable(e, "smtp") })
	if in < 0 || out < 0 {
		return nil, errors.New("no usable incoming or no usable outgoing server")
	}
	return []server{p.all("incomingServer")[in].server(a), p.all("outgoingServer")[out].server(a)}, nil
}

// thunderbirdAndroid: one unusable imap or smtp server rejects the whole document; a
// value element may hold text only; POP3 is skipped.
func thunderbirdAndroid(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	if !hostname.MatchString(p.attrs["id"]) || !slices.ContainsFunc(p.all("domain"), func(d *element) bool { return hostname.MatchString(d.text) }) {
		return nil, errors.New("id or domain")
	}
	var found []server
	for _, e := range p.all("incomingServer", "outgoingServer") {
		s := e.server(a)
		if s.kind != "imap" && s.kind != "smtp" {
			continue
		}
		auth := e.first("authentication")
		if !hostname.MatchString(s.host) || !validPort(s.port) || s.user == "" || s.socket != "SSL" && s.socket != "STARTTLS" ||
			auth != "password-cleartext" && auth != "password-encrypted" && auth != "OAuth2" {
			return nil, fmt.Errorf("unusable server %v", s)
		}
		if !slices.ContainsFunc(found, func(f server) bool { return f.kind == s.kind }) {
			found = append(found, s)
		}
	}
	return found, nil
}

// deltaChat: every server with host, port and user name, in order; authentication is not
// read; POP3 is unknown.
func deltaChat(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	var found []server
	for _, e := range p.all("incomingServer", "outgoingServer") {
		s := e.server(a)
		if s.host != "" && validPort(s.port) && s.user != "" && s.kind != "pop3" {
			s.socket = map[string]string{"ssl": "SSL", "starttls": "STARTTLS", "plain": "plain"}[strings.ToLower(s.socket)]
			found = append(found, s)
		}
	}
	return found, nil
}

// kmail: incoming servers as listed; of the outgoing ones the last in the order none, SSL, STARTTLS.
func kmail(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	var found []server
	for _, e := range p.all("incomingServer") {
		found = append(found, e.server(a))
	}
	rank := []string{"plain", "SSL", "STARTTLS"}
	var best server
	for _, e := range p.all("outgoingServer") {
		if s := e.server(a); best.host == "" || slices.Index(rank, s.socket) > slices.Index(rank, best.socket) {
			best = s
		}
	}
	return append(found, best), nil
}

// evolution: the last value of each kind of server wins; a server element may have the
// attribute type and no other.
func evolution(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	last := map[string]server{}
	for _, e := range p.all("incomingServer", "outgoingServer") {
		if _, ok := e.attrs["type"]; !ok || len(e.attrs) != 1 {
			return nil, fmt.Errorf("attributes %v", e.attrs)
		}
		last[e.attrs["type"]] = e.server(a)
	}
	found := []server{}
	for _, kind := range []string{"imap", "pop3", "smtp"} {
		if s, ok := last[kind]; ok {
			found = append(found, s)
		}
	}
	return found, nil
}

// fairEmail: a stream. Any end of an incomingServer ends the search for IMAP, the same
// for SMTP; a port sets STARTTLS, a socketType after it overrides.
func fairEmail(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	var found []server
	for side, kind := range map[string]string{"incomingServer": "imap", "outgoingServer": "smtp"} {
		all := p.all(side)
		if len(all) == 0 || all[0].attrs["type"] != kind {
			continue
		}
		s := server{kind: kind}
		for _, v := range all[0].children {
			switch v.name {
			case "hostname":
				s.host = v.text
			case "port":
				s.port, s.socket = v.text, "SSL"
				if v.text == "143" || v.text == "587" {
					s.socket = "STARTTLS"
				}
			case "socketType":
				if v.text == "SSL" || v.text == "STARTTLS" {
					s.socket = v.text
				}
			case "username":
				s.user = map[string]string{"%EMAILADDRESS%": a.String(), "%EMAILLOCALPART%": a.Local}[v.text]
			}
		}
		found = append(found, s)
	}
	return found, nil
}

// geary: the first incoming server must be imap, the first outgoing smtp; an unknown
// socketType is none; the user name is not read.
func geary(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	in, out := p.all("incomingServer"), p.all("outgoingServer")
	if len(in) == 0 || len(out) == 0 || in[0].attrs["type"] != "imap" || out[0].attrs["type"] != "smtp" {
		return nil, errors.New("the first servers are not imap and smtp")
	}
	found := []server{in[0].server(a), out[0].server(a)}
	for i := range found {
		found[i].user = ""
		if found[i].socket != "SSL" && found[i].socket != "STARTTLS" {
			found[i].socket = "plain"
		}
	}
	return found, nil
}

// gnomeOnlineAccounts: every imap and smtp server; the user name only where it is a whole
// placeholder; port 65535 is ignored.
func gnomeOnlineAccounts(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	var found []server
	for _, e := range p.all("incomingServer", "outgoingServer") {
		s := e.server(a)
		s.user = map[string]string{"%EMAILADDRESS%": a.String(), "%EMAILLOCALPART%": a.Local}[e.first("username")]
		if s.user == "" || !validPort(s.port) || s.port == "65535" {
			return nil, fmt.Errorf("unusable server %v", s)
		}
		if s.kind != "pop3" {
			found = append(found, s)
		}
	}
	return found, nil
}

// nextcloud: the first imap and the first smtp; a socketType that is neither ssl nor
// starttls or tls is none.
func nextcloud(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	var found []server
	for _, kind := range []string{"imap", "smtp"} {
		for _, e := range p.all("incomingServer", "outgoingServer") {
			if s := e.server(a); s.kind == kind {
				s.socket = map[string]string{"ssl": "SSL", "starttls": "STARTTLS", "tls": "STARTTLS"}[strings.ToLower(s.socket)]
				found = append(found, s)
				break
			}
		}
	}
	return found, nil
}

// mailspring: the id must be the domain; whatever is not the local part's placeholder
// becomes the address; a socketType that is not SSL is STARTTLS.
func mailspring(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil || p.attrs["id"] != a.Domain {
		return nil, fmt.Errorf("id %v, error %w", p, err)
	}
	found, err := nextcloud(doc, a)
	for i := range found {
		if found[i].socket != "SSL" {
			found[i].socket = "STARTTLS"
		}
	}
	return found, err
}

// aerc: the first imap, and a single outgoing server of which the last value of each
// child stands; the local part's placeholder is not expanded.
func aerc(doc []byte, _ settings.Address) ([]server, error) {
	type serverXML struct {
		Type       string `xml:"type,attr"`
		Hostname   string `xml:"hostname"`
		Port       string `xml:"port"`
		SocketType string `xml:"socketType"`
	}
	var config struct {
		XMLName       xml.Name `xml:"clientConfig"`
		EmailProvider struct {
			Incoming []serverXML `xml:"incomingServer"`
			Outgoing serverXML   `xml:"outgoingServer"`
		} `xml:"emailProvider"`
	}
	if err := xml.Unmarshal(doc, &config); err != nil {
		return nil, err
	}
	p := config.EmailProvider
	first := slices.IndexFunc(p.Incoming, func(s serverXML) bool { return strings.EqualFold(s.Type, "imap") })
	if first < 0 {
		return nil, errors.New("no imap")
	}
	var found []server
	for _, s := range []serverXML{p.Incoming[first], p.Outgoing} {
		found = append(found, server{s.Type, s.Hostname, s.Port, s.SocketType, ""})
	}
	return found, nil
}

// himalaya: closed sets for type, socketType and authentication; one unknown word fails
// the whole document.
func himalaya(doc []byte, a settings.Address) ([]server, error) {
	p, err := provider(doc)
	if err != nil {
		return nil, err
	}
	var found []server
	for _, e := range p.all("incomingServer", "outgoingServer") {
		s := e.server(a)
		if !slices.Contains([]string{"imap", "pop3", "smtp"}, s.kind) || !slices.Contains([]string{"plain", "STARTTLS", "SSL"}, s.socket) ||
			!slices.Contains([]string{"password-cleartext", "password-encrypted"}, e.first("authentication")) {
			return nil, fmt.Errorf("unknown word in %v", s)
		}
		found = append(found, s)
	}
	return found, nil
}
