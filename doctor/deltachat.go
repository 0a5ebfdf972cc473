package doctor

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"mailconfd/settings"
)

// deltaChat is Delta Chat, and other programs on chatmail/core: 48888898e,
// src/configure.rs, read.
//
// It asks one URL after the other, https only, and ends with the first answer that its
// lenient parser can read, even one with no server in it: an empty page, a plain "OK"
// or an error of Autodiscover end the search. What is missing it guesses. Then it tries
// all servers in the order of the document, and uses the first that lets it log in.
var deltaChat = client{
	name: "delta-chat", title: "Delta Chat", read: "chatmail/core 48888898e (August 2026)", people: "some",
	http:     httpRules{redirects: 9, crosses: true, downgrade: true}, // ten requests in all
	discover: discoverDeltaChat,
}

func discoverDeltaChat(v *visit) []Setting {
	servers := v.deltaChatSearch()
	var found []Setting
	guessed := false
	for _, role := range []settings.Role{settings.RoleIMAP, settings.RoleSubmission} {
		var tries []Setting
		for _, s := range servers {
			if s.Role == role {
				tries = append(tries, deltaChatPorts(s, v.address)...)
			}
		}
		first := v.firstWorking
		if len(tries) == 0 {
			tries, guessed, first = deltaChatGuesses(role, v.address), true, v.firstGuess
		}
		s, ok := first(tries[:min(len(tries), maxTries)])
		switch {
		case ok:
			found = append(found, s)
		case tries[0].Source != guess:
			found = append(found, tries[0]) // what it complains of
		}
	}
	if guessed {
		return v.guessed(found)
	}
	return found
}

// deltaChatSearch returns the servers of the first answer that can be read. The
// well-known URL gets no address, on purpose.
func (v *visit) deltaChatSearch() []Setting {
	domain := v.address.Domain
	for _, source := range []struct {
		url  string
		read func(page) ([]Setting, error)
	}{
		{"https://autoconfig." + domain + "/mail/config-v1.1.xml?emailaddress=" + escapeAll(v.address.String()), v.deltaChatAutoconfig},
		{"https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml", v.deltaChatAutoconfig},
		{"https://" + domain + autodiscoverPath, v.deltaChatAutodiscover},
		{"https://autodiscover." + domain + autodiscoverPath, v.deltaChatAutodiscover},
		{v.ispdb(thunderbirdNetISPDB) + domain, v.deltaChatAutoconfig},
	} {
		p := v.get(source.url)
		if !p.taken {
			continue
		}
		found, err := source.read(p)
		if err != nil {
			v.passOver(p, err.Error())
			continue
		}
		if len(found) == 0 {
			v.find(finding(KindRejected, source.url+" answers, with no server in it: Delta Chat takes it for the answer, looks no further and guesses", "answer 404 for what is not served, also to GET"))
		}
		return fromSource(found, source.url)
	}
	return nil
}

// escapeAll encodes all but letters, digits and dots.
func escapeAll(address string) string {
	return strings.NewReplacer("-", "%2D", "_", "%5F", "~", "%7E").Replace(escapeComponent(address))
}

// deltaChatPorts returns the ways to connect to a server: a port that is not said
// follows from the encryption, and encryption that is not said is tried both ways.
func deltaChatPorts(s Setting, a settings.Address) []Setting {
	if s.Username == "" {
		s.Username = a.String()
	}
	ports := map[Security]uint16{SecurityTLS: 993, SecuritySTARTTLS: 143, SecurityNone: 143}
	if s.Role == settings.RoleSubmission {
		ports = map[Security]uint16{SecurityTLS: 465, SecuritySTARTTLS: 587, SecurityNone: 587}
	}
	ways := []Security{s.Security}
	if s.Security == SecurityAuto {
		ways = []Security{SecurityTLS, SecuritySTARTTLS}
	}
	var all []Setting
	for _, security := range ways {
		way := s
		way.Security = security
		if way.Port == 0 {
			way.Port = ports[security]
		}
		all = append(all, way)
	}
	return all
}

// deltaChatGuesses are the usual names, the domain itself last.
func deltaChatGuesses(role settings.Role, a settings.Address) []Setting {
	first := "imap."
	if role == settings.RoleSubmission {
		first = "smtp."
	}
	var all []Setting
	for _, host := range []string{first + a.Domain, "mail." + a.Domain, a.Domain} {
		all = append(all, deltaChatPorts(Setting{Role: role, Host: host, Security: SecurityAuto, Source: guess}, a)...)
	}
	return all
}

func (v *visit) deltaChatAutoconfig(p page) ([]Setting, error) {
	return deltaChatReadAutoconfig(p.Body, v.address)
}

// deltaChatAutodiscover follows a RedirectUrl, ten requests in all.
func (v *visit) deltaChatAutodiscover(p page) ([]Setting, error) {
	for range 10 {
		found, target, err := deltaChatReadAutodiscover(p.Body)
		if err != nil || target == "" {
			return found, err
		}
		v.note("follow RedirectUrl", target, 0)
		if s := scheme(target); s != "http" && s != "https" {
			break
		}
		if p = v.ask(Request{Method: "GET", URL: target, Public: !p.Private}, v.client.http); !p.taken {
			break
		}
	}
	return nil, errors.New("its RedirectUrl leads nowhere")
}

// deltaChatReader reads as quick_xml's events come: names of elements and values in any
// letter case, text of each piece over that of the piece before. Comments, CDATA and
// entities cut a text in pieces, and are no text themselves.
type deltaChatReader struct {
	outer map[string]bool // the elements that hold a server
	found []map[string]string
	inner map[string]string // the server that is open, or nil
	inTag string            // the server's element
	tag   string            // the value that text belongs to
	reset bool              // an end tag ends that
}

var entity = regexp.MustCompile(`&[^;&]*;`)

func (d *deltaChatReader) take(m markup) {
	name := strings.ToLower(strings.TrimSpace(m.name))
	switch {
	case m.kind == markupStart && d.inner == nil && d.outer[name]:
		d.inner, d.inTag, d.tag = map[string]string{"": ""}, name, ""
		for _, a := range m.attrs {
			if strings.EqualFold(qualified(a.Name), "type") {
				d.inner[""] = strings.ToLower(a.Value)
				break
			}
		}
	case d.inner == nil:
	case m.kind == markupStart:
		d.tag = name
	case m.kind == markupEnd && name == d.inTag:
		d.found = append(d.found, d.inner)
		d.inner = nil
	case m.kind == markupEnd && d.reset && name == d.tag:
		d.tag = ""
	case m.kind == markupText && d.tag != "":
		for _, piece := range entity.Split(m.raw, -1) {
			if piece = strings.TrimSpace(piece); piece != "" {
				d.inner[d.tag] = piece
			}
		}
	}
}

// deltaChatReadAutoconfig returns the servers of a document in their order, incoming
// first. A server without hostname, port or username is skipped; one with a port that
// is no number has none.
func deltaChatReadAutoconfig(body []byte, a settings.Address) ([]Setting, error) {
	d := deltaChatReader{outer: map[string]bool{"incomingserver": true, "outgoingserver": true}}
	var outgoing []bool
	err := scanMarkup(body, false, func(m markup) {
		before := len(d.found)
		d.take(m)
		if len(d.found) > before {
			outgoing = append(outgoing, d.inTag == "outgoingserver")
		}
	})
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	var found []Setting
	for _, direction := range []bool{false, true} {
		for i, server := range d.found {
			if outgoing[i] != direction || server["hostname"] == "" || server["port"] == "" || server["username"] == "" {
				continue
			}
			security, known := map[string]Security{"ssl": SecurityTLS, "starttls": SecuritySTARTTLS, "plain": SecurityNone}[strings.ToLower(server["sockettype"])]
			if !known {
				security = SecurityAuto
			}
			if s, ok := deltaChatSetting(server[""], fill(server["hostname"], a), server["port"], security); ok {
				s.Username = fill(server["username"], a)
				found = append(found, s)
			}
		}
	}
	return found, nil
}

// deltaChatReadAutodiscover returns the servers of an answer, or where it redirects. It
// looks at Type, Server, Port and SSL only; the login is the address.
func deltaChatReadAutodiscover(body []byte) (found []Setting, target string, err error) {
	d := deltaChatReader{outer: map[string]bool{"protocol": true, "redirecturl": true}, reset: true}
	redirects := false
	err = scanMarkup(body, false, func(m markup) {
		if d.inner != nil && d.inTag == "redirecturl" {
			if m.kind == markupText && target == "" {
				target = strings.TrimSpace(entity.Split(m.raw, 2)[0])
			}
		}
		d.take(m)
		redirects = redirects || d.inner != nil && d.inTag == "redirecturl"
	})
	switch {
	case target != "": // what stands behind it was not read
		return nil, target, nil
	case redirects:
		return nil, "", errors.New("its RedirectUrl is empty")
	case err != nil:
		return nil, "", fmt.Errorf("it cannot be read: %w", err)
	}
	for _, server := range d.found {
		if server["type"] == "" || server["server"] == "" || server["port"] == "" {
			continue
		}
		security := SecurityAuto
		if server["ssl"] == "off" {
			security = SecurityNone
		}
		if s, ok := deltaChatSetting(strings.ToLower(server["type"]), server["server"], server["port"], security); ok {
			found = append(found, s)
		}
	}
	return found, "", nil
}

// deltaChatSetting makes a setting. A port that is no port is 0: by the encryption.
func deltaChatSetting(kind, host, port string, security Security) (Setting, bool) {
	role := map[string]settings.Role{"imap": settings.RoleIMAP, "smtp": settings.RoleSubmission}[kind]
	number, err := strconv.ParseUint(strings.TrimPrefix(port, "+"), 10, 16)
	if err != nil {
		number = 0
	}
	s, ok := newSetting(role, host, 1, security, "")
	s.Port = uint16(number)
	return s, ok && role != ""
}
