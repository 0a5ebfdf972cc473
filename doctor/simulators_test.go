package doctor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailconfd/doctor"
)

// mailServers is a host that offers everything, and then some.
const mailServers = `
-- zone --
mx1.example.test. A 192.0.2.1
-- services --
imaps://mx1.example.test ok
imap://mx1.example.test ok
pop3s://mx1.example.test ok
pop3://mx1.example.test ok
submissions://mx1.example.test ok
submission://mx1.example.test ok
submission://mx1.example.test:2525 ok
submissions://mx1.example.test:587 tls_on_plaintext_port
`

// The URLs of example.test.
const (
	mainHTTPS  = "https://autoconfig.example.test/mail/config-v1.1.xml"
	mainHTTP   = "http://autoconfig.example.test/mail/config-v1.1.xml"
	knownHTTPS = "https://example.test/.well-known/autoconfig/mail/config-v1.1.xml"
	knownHTTP  = "http://example.test/.well-known/autoconfig/mail/config-v1.1.xml"
	poxRoot    = "https://example.test/autodiscover/autodiscover.xml"
	poxHost    = "https://autodiscover.example.test/autodiscover/autodiscover.xml"
	poxPlain   = "http://autodiscover.example.test/autodiscover/autodiscover.xml"
)

// recorded is one answer of a recorded deployment; head is its status and the rest.
func recorded(method, url, head, body string) string {
	return fmt.Sprintf("-- %s %s --\n%s\n\n%s\n", method, url, head, body)
}

// get and post answer with XML.
func get(url, body string) string { return recorded("GET", url, "200 text/xml; charset=utf-8", body) }

func post(url, body string) string {
	return recorded("POST", url, "200 text/xml; charset=utf-8", body)
}

// server is an incomingServer or outgoingServer; what replaces parts of it, pairwise.
func server(kind, port, socket string, replace ...string) string {
	element := "incomingServer"
	if kind == "smtp" {
		element = "outgoingServer"
	}
	return strings.NewReplacer(replace...).Replace(fmt.Sprintf(`<%s type="%s"><hostname>mx1.example.test</hostname><port>%s</port><socketType>%s</socketType><authentication>password-cleartext</authentication><username>%%EMAILADDRESS%%</username></%s>`,
		element, kind, port, socket, element))
}

// configFile is an autoconfig document with some servers.
func configFile(servers ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1"><emailProvider id="example.test"><domain>example.test</domain>` + strings.Join(servers, "\n") + `</emailProvider></clientConfig>`
}

// good is a document that every client takes.
var good = configFile(server("imap", "993", "SSL"), server("smtp", "587", "STARTTLS"))

// protocol is a Protocol of Autodiscover; more are further elements.
func protocol(kind, port string, more ...string) string {
	return fmt.Sprintf("<Protocol><Type>%s</Type><Server>mx1.example.test</Server><Port>%s</Port>%s</Protocol>", kind, port, strings.Join(more, ""))
}

// autodiscover is an answer of Autodiscover.
func autodiscover(protocols ...string) string {
	return account("<AccountType>email</AccountType><Action>settings</Action>" + strings.Join(protocols, ""))
}

func account(content string) string {
	return `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"><Account>` + content + `</Account></Response></Autodiscover>`
}

const poxError = `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response><Error Time="12:34:56" Id="1"><ErrorCode>600</ErrorCode><Message>Invalid Request</Message><DebugData /></Error></Response></Autodiscover>`

// simulation is one case for one client.
type simulation struct {
	name    string
	address string // default: jane@example.test
	world   string // pages and, in front of them, a zone and services if not mailServers
	want    string // what the client would set up, as say writes it
	source  string // of all settings, if not empty
	kinds   []doctor.Kind
	asks    []string // steps that it took, in any order
	avoids  []string // steps that it did not take
}

func (s simulation) run(t *testing.T, client string) {
	t.Helper()
	text := s.world
	if !strings.Contains(text, "-- services --") {
		text = mailServers + text
	}
	w := parseWorld(t, text)
	address := s.address
	if address == "" {
		address = "jane@example.test"
	}
	r := examine(t, w, address, client).Clients[0]
	if got := say(r); got != s.want {
		t.Errorf("sets up %q, want %q; steps %+v", got, s.want, r.Steps)
	}
	for _, set := range r.Settings {
		if s.source != "" && set.Source != s.source {
			t.Errorf("source %q, want %q", set.Source, s.source)
		}
	}
	var kinds []doctor.Kind
	for _, f := range r.Findings {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.Sort(kinds)
	want := slices.Sorted(slices.Values(s.kinds))
	if !slices.Equal(kinds, want) {
		t.Errorf("findings %q, want %q: %+v", kinds, want, r.Findings)
	}
	var requests []string // its own: others ask too
	for _, step := range r.Steps {
		requests = append(requests, step.Did)
	}
	for _, u := range s.asks {
		if !slices.Contains(requests, u) {
			t.Errorf("did not ask %s, only %q", u, requests)
		}
	}
	for _, u := range s.avoids {
		if slices.Contains(requests, u) {
			t.Errorf("asked %s", u)
		}
	}
}

func simulate(t *testing.T, client string, cases []simulation) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, client)
		})
	}
}

// What most cases come to.
const (
	imapsAndSubmission = "imap mx1.example.test:993 tls jane@example.test; submission mx1.example.test:587 starttls jane@example.test"
	imapAndSubmission  = "imap mx1.example.test:143 starttls jane@example.test; submission mx1.example.test:587 starttls jane@example.test"
)
