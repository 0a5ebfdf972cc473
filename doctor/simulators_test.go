package doctor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"mailconfd/doctor"
	"mailconfd/settings"
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

// poxAnswer is an answer of Autodiscover.
func poxAnswer(protocols ...string) string {
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

// guarded is a world that remembers what it was asked not to look for in our network.
type guarded struct {
	*world
	mu     sync.Mutex
	public []string
}

func (g *guarded) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	if r.Public {
		g.mu.Lock()
		g.public = append(g.public, r.Method+" "+r.URL)
		g.mu.Unlock()
	}
	return g.world.Fetch(ctx, r)
}

// TestLedAstray: where a public host says what to ask, that may not be in our network;
// where a private one does, it may, or a laboratory could not be looked at.
func TestLedAstray(t *testing.T) {
	t.Parallel()
	const target, inner = "https://127.0.0.1/a.xml", "https://127.0.0.1/autodiscover/autodiscover.xml"
	to := account("<Action>redirectUrl</Action><RedirectUrl>" + target + "</RedirectUrl>")
	for _, tt := range []struct {
		name, client, world string
		want                []string
	}{
		{"RedirectUrl, Outlook", "outlook", post(poxRoot, to), []string{"POST " + target}},
		{"RedirectUrl, Delta Chat", "delta-chat", get(poxRoot, to), []string{"GET " + target}},
		{"a redirect, Outlook", "outlook", recorded("POST", poxRoot, "307\nlocation "+target, ""), []string{"POST " + target}},
		{"a redirect over http, Outlook", "outlook", recorded("GET", poxPlain, "302\nlocation "+inner, ""), []string{"POST " + inner}},
		{"a redirect, Thunderbird", "thunderbird", recorded("POST", poxHost, "302\nlocation "+target, "") + recorded("GET", target, "405", ""), []string{"GET " + target, "POST " + target}},
		{"a redirect over http, Thunderbird", "thunderbird", recorded("POST", poxPlain, "302\nlocation "+target, "") + recorded("GET", target, "405", ""), []string{"GET " + target, "POST " + target}},
		{"a private host may", "outlook", recorded("POST", poxRoot, "307\nprivate\nlocation "+target, ""), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := &guarded{world: parseWorld(t, mailServers+tt.world)}
			d, err := doctor.New(doctor.Options{World: g, Only: []string{tt.client}})
			if err != nil {
				t.Fatal(err)
			}
			d.Examine(t.Context(), settings.Address{Local: "jane", Domain: "example.test"})
			var public []string
			for _, r := range g.public {
				if strings.Contains(r, "127.0.0.1") && !slices.Contains(public, r) {
					public = append(public, r)
				}
			}
			slices.Sort(public)
			if !slices.Equal(public, tt.want) {
				t.Errorf("asked with care: %q, want %q", public, tt.want)
			}
		})
	}
}

// TestDomainOnly: an examination without an address ends with the same servers.
func TestDomainOnly(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"thunderbird", "thunderbird-android", "delta-chat", "evolution", "kmail", "fairemail"} {
		d, err := doctor.New(doctor.Options{World: parseWorld(t, mailServers+get(mainHTTPS, good)), Only: []string{client}})
		if err != nil {
			t.Fatal(err)
		}
		r := d.Examine(t.Context(), settings.Address{Domain: "example.test"}).Clients[0]
		if len(r.Settings) != 2 || !r.Settings[0].Works || !r.Settings[1].Works || r.Verdict != doctor.Works {
			t.Errorf("%s: %+v", client, r)
		}
	}
}
