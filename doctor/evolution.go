package doctor

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// evolution is GNOME's Evolution: e-mail-autoconfig.c 6901b223 and
// e-srv-config-lookup.c read, 3.46 run.
//
// It asks the four URLs with a made-up address, then the ISPDB, then the same for the
// MX's host and each domain above it, and always SRV. Its parser reports events: the
// last server of a kind wins, each value by itself, and what stands before an error is
// kept. A certificate that is not trusted sends it to http without a word.
var evolution = client{
	name: "evolution", title: "Evolution", read: "Evolution 6901b223 read, 3.46 run", people: "some",
	http:     httpRules{timeout: 15 * time.Second, redirects: 20, crosses: true, downgrade: true}, // libsoup's defaults
	discover: discoverEvolution,
}

func discoverEvolution(v *visit) []Setting {
	e := evolutionVisit{visit: v, read: evolutionReader{address: v.address, servers: map[string]*evolutionServer{}}}
	found := e.evolutionSRV()
	if source, ok := e.search(); ok {
		found = append(e.read.choices(source), found...)
		if len(e.read.servers) == 0 {
			v.find(finding(KindRejected, source+" answers with well-formed XML that holds no server: Evolution takes it for the answer and looks at no other URL", "answer 404 for what is not served"))
		}
	}
	return evolutionBest(found)
}

// evolutionVisit is a search for a document. What was read is kept from URL to URL.
type evolutionVisit struct {
	*visit
	read     evolutionReader
	notFound bool // the ISPDB, which is asked last, answered 404
}

// search asks for the domain, and then, if the ISPDB says 404, for the MX's host and
// what is above it.
func (e *evolutionVisit) search() (source string, ok bool) {
	if source, ok = e.lookup(e.address.Domain); ok || !e.notFound {
		return source, ok
	}
	hosts := e.mx(e.address.Domain)
	if len(hosts) == 0 {
		return "", false
	}
	for host := hosts[0]; strings.Contains(host, "."); host = parent(host) {
		if source, ok = e.lookup(host); ok || !e.notFound {
			return source, ok
		}
	}
	return "", false
}

// lookup asks the five URLs of one domain. It does not tell the address: what it sends
// is EVOLUTIONUSER and the address's MD5 sum.
func (e *evolutionVisit) lookup(domain string) (source string, ok bool) {
	sum := md5.Sum([]byte(strings.ToLower(e.address.String())))
	query := "?emailaddress=EVOLUTIONUSER%40" + e.address.Domain + "&emailmd5=" + hex.EncodeToString(sum[:])
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml"+query, "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+query
	e.notFound = false
	for _, u := range []string{"https" + host, "http" + host, "https" + wellKnown, "http" + wellKnown, e.ispdb(thunderbirdNetISPDB) + domain} {
		p := e.get(u)
		e.notFound = p.Status == 404
		if !p.taken {
			continue
		}
		if err := e.read.document(p.Body); err != nil {
			e.passOver(p, err.Error())
			continue
		}
		return u, true
	}
	return "", false
}

// evolutionReader is what GMarkup's events have set so far.
type evolutionReader struct {
	address settings.Address
	servers map[string]*evolutionServer
	open    *evolutionServer
	tags    []string
	err     error
}

type evolutionServer struct {
	kind       string // imap, pop3 or smtp
	host, user string
	port       int
	security   Security
	needs      settings.Mechanisms
}

// document reads one more document. GMarkup wants one that begins with an element or a
// declaration: a byte order mark is an error.
func (r *evolutionReader) document(body []byte) error {
	r.open, r.tags, r.err = nil, nil, nil
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		return errors.New("a byte order mark, which GMarkup does not take")
	}
	if err := scanMarkup(body, true, r.take); r.err == nil && err != nil {
		return fmt.Errorf("not well-formed: %w", err)
	}
	return r.err
}

func (r *evolutionReader) take(m markup) {
	if r.err != nil { // it has stopped
		return
	}
	server := m.name == "incomingServer" || m.name == "outgoingServer"
	switch m.kind {
	case markupStart:
		r.tags = append(r.tags, m.name)
		if server {
			r.begin(m.name, m.attrs)
		}
	case markupEnd:
		r.tags = r.tags[:len(r.tags)-1]
		if server {
			r.open = nil
		}
	case markupText:
		if r.open != nil && len(r.tags) > 0 {
			r.open.set(r.tags[len(r.tags)-1], fill(m.text, r.address))
		}
	case markupEmpty: // never: strict
	}
}

// begin opens a server. An attribute beside type is an error (g_markup_collect_attributes).
func (r *evolutionReader) begin(element string, attrs []xml.Attr) {
	if len(attrs) != 1 || qualified(attrs[0].Name) != "type" {
		r.err = fmt.Errorf("%s has other attributes than type", element)
		return
	}
	kind := attrs[0].Value
	if !slices.Contains([]string{"imap", "pop3", "smtp"}, kind) {
		r.open = nil
		return
	}
	if r.servers[kind] == nil {
		r.servers[kind] = &evolutionServer{kind: kind, security: SecurityNone}
	}
	r.open = r.servers[kind]
}

// set takes one piece of text, as it is.
func (s *evolutionServer) set(name, text string) {
	switch name {
	case "hostname":
		s.host = text
	case "username":
		s.user = text
	case "port":
		if n := leadingInt(text); n >= 1 && n <= 65535 {
			s.port = n
		}
	case "socketType":
		if security, known := map[string]Security{"plain": SecurityNone, "SSL": SecurityTLS, "STARTTLS": SecuritySTARTTLS}[text]; known {
			s.security = security
		}
	case "authentication":
		switch text {
		case "password-cleartext", "plain":
			// The protocol's own command, which servers do not list beside mechanisms; for
			// SMTP nothing but LOGIN.
			s.needs = map[string]settings.Mechanisms{"imap": {"LOGIN", "PLAIN"}, "pop3": {"USER", "PLAIN", "LOGIN"}, "smtp": {"LOGIN"}}[s.kind]
		case "password-encrypted":
			s.needs = settings.Mechanisms{"CRAM-MD5"}
		}
	}
}

// evolutionChoice is a server with what Evolution thinks of it; the least rank is best.
type evolutionChoice struct {
	Setting
	rank int
}

// choices returns what was read. A server without a host or port is of no use.
func (r *evolutionReader) choices(source string) []evolutionChoice {
	var all []evolutionChoice
	for _, kind := range []string{"imap", "pop3", "smtp"} {
		server := r.servers[kind]
		if server == nil {
			continue
		}
		role := map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3, "smtp": settings.RoleSubmission}[kind]
		s, ok := newSetting(role, server.host, server.port, server.security, server.user)
		if s.Source, s.needs = source, server.needs; ok && strings.TrimSpace(server.host) == server.host {
			all = append(all, evolutionChoice{s, map[string]int{"imap": 1000, "pop3": 2000, "smtp": 1000}[kind]})
		}
	}
	return all
}

// evolutionSRV asks the labels of RFC 6186 and 8314. A document outranks them, and those
// with implicit TLS the others; the records' priority orders only those of one label.
// The user name is the address.
func (v *visit) evolutionSRV() []evolutionChoice {
	var all []evolutionChoice
	for _, label := range []struct {
		name   string
		scheme settings.Scheme
		rank   int
	}{
		{"imaps", settings.SchemeIMAPS, 1100},
		{"imap", settings.SchemeIMAP, 1150},
		{"pop3s", settings.SchemePOP3S, 2100},
		{"pop3", settings.SchemePOP3, 2150},
		{"submissions", settings.SchemeSubmissions, 1100},
		{"submission", settings.SchemeSubmission, 1150},
	} {
		for _, r := range sortedByPriority(v.srv(label.name)) {
			s := settingOf(settings.Service{Scheme: label.scheme, Host: r.Host, Port: r.Port}, v.address.String(), "_"+label.name+"._tcp."+v.address.Domain)
			if s.Role == settings.RoleSubmission {
				s.needs = settings.Mechanisms{"PLAIN"}
			}
			if r.Port != 0 {
				all = append(all, evolutionChoice{s, label.rank})
			}
		}
	}
	return all
}

// evolutionBest returns the best server to read with and the best to send with.
func evolutionBest(all []evolutionChoice) []Setting {
	slices.SortStableFunc(all, func(a, b evolutionChoice) int { return cmp.Compare(a.rank, b.rank) })
	var found []Setting
	for _, sends := range []bool{false, true} {
		for _, c := range all {
			if (c.Role == settings.RoleSubmission) == sends {
				found = append(found, c.Setting)
				break
			}
		}
	}
	return found
}
