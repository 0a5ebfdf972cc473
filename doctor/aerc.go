package doctor

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailconfd/settings"
)

// aerc is aerc, in the terminal: fab05311 read, 0.14 run.
//
// SRV counts more than a document, a document more than the ISPDB, and that more than
// a guess; five seconds for each. It reads with Go's encoding/xml whatever the status:
// the first IMAP server, but the last outgoing one, of which missing parts come from
// the one before. It logs in with the address, whatever is published.
var aerc = client{
	name: "aerc", title: "aerc", read: "aerc fab05311", people: "few",
	http: httpRules{
		timeout: aercTimeout, redirects: 10, crosses: true, downgrade: true, // Go's net/http
		takes: func(int) bool { return true },
	},
	discover: discoverAerc,
	// smtp:// and smtps:// without more mean AUTH PLAIN.
	login: func(role settings.Role, offered settings.Mechanisms) bool {
		return slices.Contains(offered, "PLAIN") || role == settings.RoleIMAP && slices.Contains(offered, "LOGIN")
	},
}

const aercTimeout = 5 * time.Second

func discoverAerc(v *visit) []Setting {
	domain := v.address.Domain
	if found := v.aercSRV(); found != nil {
		return found
	}
	query := "?emailaddress=" + escapeAddress(v.address.String())
	popSource := ""
	for _, urls := range [][]string{
		{"https://autoconfig." + domain + "/mail/config-v1.1.xml" + query, "https://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml" + query},
		{v.ispdb(thunderbirdNetISPDB) + domain},
	} {
		if found := v.aercDocument(urls, &popSource); found != nil {
			return found
		}
	}
	found := v.aercGuess()
	if len(found) == 0 && popSource != "" {
		v.noIMAP(popSource)
	}
	return found
}

// aercSRV asks for five labels. STARTTLS goes before implicit TLS, and JMAP before all.
func (v *visit) aercSRV() []Setting {
	jmap := v.aercBest("jmap")
	imap, source, security := v.aercBest("imap"), "_imap._tcp.", SecuritySTARTTLS
	if imap == nil {
		imap, source, security = v.aercBest("imaps"), "_imaps._tcp.", SecurityTLS
	}
	if jmap != nil {
		v.unknown = true
		v.find(finding(KindUnknown, fmt.Sprintf("aerc takes JMAP at %s for reading and sending, because _jmap._tcp.%s is published; JMAP is not looked at here", jmap.Host, v.address.Domain), ""))
	}
	if imap == nil {
		if jmap == nil {
			return nil
		}
		return []Setting{}
	}
	found := v.aercRecord([]Setting{}, settings.RoleIMAP, imap, source, security)
	smtp, source, security := v.aercBest("submission"), "_submission._tcp.", SecuritySTARTTLS
	if smtp == nil { // never _submissions
		smtp, source, security = v.aercBest("smtps"), "_smtps._tcp.", SecurityTLS
	}
	if smtp == nil {
		v.note("decide", "it looks no further, although there is no server for sending: it does not know _submissions", 0)
		v.find(finding(KindNothingFound, "aerc takes SRV records before any document, does not know _submissions, and so finds no server for sending", "publish _submission where port 587 is open"))
		return found
	}
	return v.aercRecord(found, settings.RoleSubmission, smtp, source, security)
}

func (v *visit) aercRecord(found []Setting, role settings.Role, r *Record, source string, security Security) []Setting {
	s, ok := newSetting(role, r.Host, int(r.Port), security, v.address.String())
	if !ok {
		return found
	}
	s.Source = source + v.address.Domain
	return append(found, s)
}

// aercBest returns the heaviest record of all, whatever its priority; among equals the
// one of the best priority.
func (v *visit) aercBest(label string) *Record {
	var best *Record
	for _, r := range sortedByPriority(v.dns("_"+label+"._tcp."+v.address.Domain, TypeSRV).Records) {
		if best == nil || r.Weight > best.Weight {
			best = &r
		}
	}
	if best == nil || best.Host == "" || best.Port == 0 {
		return nil
	}
	return best
}

// aercConfig is what it decodes a document into.
type aercConfig struct {
	XMLName  xml.Name `xml:"clientConfig"`
	Provider struct {
		Incoming []aercServer `xml:"incomingServer"`
		Outgoing aercServer   `xml:"outgoingServer"` // not a list: the last one overwrites
	} `xml:"emailProvider"`
}

type aercServer struct {
	Type     string `xml:"type,attr"`
	Host     string `xml:"hostname"`
	Port     string `xml:"port"`
	Socket   string `xml:"socketType"`
	Username string `xml:"username"`
}

// aercDocument asks some URLs, all within one time-out, and decodes one answer over
// the other. popSource becomes the URL of a document that offers POP3 only.
func (v *visit) aercDocument(urls []string, popSource *string) []Setting {
	var config aercConfig
	rules := v.client.http
	for _, u := range urls {
		if rules.timeout <= 0 {
			v.noteRequest("GET", u, "not asked in time", 0)
			continue
		}
		p := v.ask(Request{Method: "GET", URL: u}, rules)
		rules.timeout -= p.took
		if !p.taken {
			continue
		}
		if err := xml.NewDecoder(bytes.NewReader(p.Body)).Decode(&config); err != nil {
			v.passOver(p, err.Error())
			continue
		}
		found, err := v.aercRead(&config)
		switch {
		case errors.Is(err, errNoIMAP):
			*popSource = p.from
		case err != nil:
			v.passOver(p, err.Error())
		default:
			return fromSource(found, p.from)
		}
	}
	return nil
}

func (v *visit) aercRead(config *aercConfig) ([]Setting, error) {
	servers := config.Provider.Incoming
	first := slices.IndexFunc(servers, func(s aercServer) bool { return strings.EqualFold(s.Type, "imap") })
	if first < 0 {
		if slices.ContainsFunc(servers, func(s aercServer) bool { return s.Type == "pop3" }) {
			return nil, errNoIMAP
		}
		return nil, fmt.Errorf("no incomingServer of type imap")
	}
	found := []Setting{}
	for _, s := range []struct {
		role   settings.Role
		server aercServer
	}{{settings.RoleIMAP, servers[first]}, {settings.RoleSubmission, config.Provider.Outgoing}} {
		port, err := strconv.Atoi(s.server.Port)
		if err != nil {
			return nil, fmt.Errorf("%s port %q", s.role, s.server.Port)
		}
		setting, ok := newSetting(s.role, s.server.Host, port, SecuritySTARTTLS, v.address.String())
		if !ok {
			v.note("read the document", fmt.Sprintf("%s %q port %d is no address", s.role, s.server.Host, port), 0)
			continue
		}
		switch strings.ToLower(s.server.Socket) {
		case "ssl":
			setting.Security = SecurityTLS
		case "plain": // its form has a word for that, and does not choose it
			setting.Security, setting.Misread = SecurityTLS, "aerc chooses implicit TLS although plain was published"
		}
		v.compareLogin(s.server.Username, v.address.String())
		found = append(found, setting)
	}
	return found, nil
}

// aercGuess takes the first ports that take connections; it wants both directions.
func (v *visit) aercGuess() []Setting {
	domain := v.address.Domain
	first := func(hosts []string, schemes []settings.Scheme) []Setting {
		for _, h := range hosts {
			for _, scheme := range schemes {
				service := settings.Service{Scheme: scheme, Host: h, Port: scheme.DefaultPort()}
				if v.opens(service) {
					return []Setting{settingOf(service, v.address.String(), guess)}
				}
			}
		}
		return nil
	}
	imap := first([]string{"imap." + domain, "mail." + domain}, []settings.Scheme{settings.SchemeIMAP, settings.SchemeIMAPS})
	smtp := first([]string{"smtp." + domain, "mail." + domain}, []settings.Scheme{settings.SchemeSubmission, settings.SchemeSubmissions})
	if len(imap) == 0 || len(smtp) == 0 {
		return nil
	}
	return v.guessed(append(imap, smtp...))
}
