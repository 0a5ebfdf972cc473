package doctor_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/doctor"
	"mailconfd/settings"
)

// clientCase is a recorded deployment and what a client makes of it.
type clientCase struct {
	name     string
	address  string // default: jane@example.test
	world    string // txtar
	want     string // as say writes it; "": nothing
	verdict  doctor.Verdict
	findings []doctor.Kind // those that must be there; the rest may
	never    []doctor.Kind // those that must not
	innocent bool          // no fault: it is the client's own inability
}

func testClient(t *testing.T, client string, cases []clientCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.address == "" {
				tt.address = "jane@example.test"
			}
			r := examine(t, parseWorld(t, tt.world), tt.address, client).Clients[0]
			if got := say(r); got != tt.want {
				t.Errorf("got %q, want %q\n%s", got, tt.want, trace(r))
			}
			if tt.verdict != "" && r.Verdict != tt.verdict {
				t.Errorf("got verdict %s, want %s\n%s", r.Verdict, tt.verdict, trace(r))
			}
			if tt.innocent && slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Weight == doctor.Fault }) {
				t.Errorf("a fault\n%s", trace(r))
			}
			for _, k := range tt.findings {
				if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Kind == k }) {
					t.Errorf("no finding %s\n%s", k, trace(r))
				}
			}
			for _, k := range tt.never {
				if slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Kind == k }) {
					t.Errorf("finding %s\n%s", k, trace(r))
				}
			}
		})
	}
}

// trace writes a client's steps and findings for a failed test.
func trace(r doctor.ClientReport) string {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %s: %s\n", s.Did, s.Saw)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %s %s: %s\n", f.Weight, f.Kind, f.Detail)
	}
	return b.String()
}

// testAsks compares what a client asks, in its order. Probes are not looked at.
func testAsks(t *testing.T, client, world, address string, want ...string) {
	t.Helper()
	r := examine(t, parseWorld(t, world), address, client).Clients[0]
	var got []string
	for _, s := range r.Steps {
		switch word, _, _ := strings.Cut(s.Did, " "); word {
		case "GET", "POST", "MX", "SRV", "TXT":
			got = append(got, s.Did)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it asks (-want +got):\n%s", diff)
	}
}

// configDocument writes an autoconfig document. A server is "TYPE HOST PORT SOCKETTYPE USERNAME".
func configDocument(servers ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n<emailProvider id=\"example.test\"><domain>example.test</domain><displayName>E</displayName>\n")
	for _, s := range servers {
		f := strings.Fields(s)
		element := "incomingServer"
		if f[0] == "smtp" {
			element = "outgoingServer"
		}
		fmt.Fprintf(&b, "<%s type=%q><hostname>%s</hostname><port>%s</port><socketType>%s</socketType><authentication>password-cleartext</authentication><username>%s</username></%s>\n", element, f[0], f[1], f[2], f[3], f[4], element)
	}
	b.WriteString("</emailProvider>\n</clientConfig>\n")
	return b.String()
}

// at records an answer to a GET.
func at(url, head, body string) string {
	return "-- GET " + url + " --\n" + head + "\n\n" + body + "\n"
}

// pox writes an Autodiscover answer from the insides of its Protocol elements.
func pox(protocols ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\"><Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\"><Account><AccountType>email</AccountType><Action>settings</Action>")
	for _, p := range protocols {
		b.WriteString("<Protocol>" + p + "</Protocol>")
	}
	b.WriteString("</Account></Response></Autodiscover>\n")
	return b.String()
}

const (
	hostURL      = "https://autoconfig.example.test/mail/config-v1.1.xml"
	hostPlainURL = "http://autoconfig.example.test/mail/config-v1.1.xml"
	wellKnownURL = "https://example.test/.well-known/autoconfig/mail/config-v1.1.xml"
	mailV1URL    = "https://autoconfig.example.test/.well-known/mail-v1.xml"
	ispdbURL     = "https://autoconfig.thunderbird.net/v1.1/example.test"

	xmlHead  = "200 text/xml; charset=utf-8"
	services = `-- zone --
mx1.example.test. A 192.0.2.1
-- services --
imaps://mx1.example.test ok
imap://mx1.example.test ok
pop3s://mx1.example.test ok
submission://mx1.example.test ok
submissions://mx1.example.test ok
submission://mx1.example.test:2525 ok
`
	imap993  = "imap mx1.example.test 993 SSL %EMAILADDRESS%"
	imap143  = "imap mx1.example.test 143 STARTTLS %EMAILADDRESS%"
	pop995   = "pop3 mx1.example.test 995 SSL %EMAILADDRESS%"
	smtp587  = "smtp mx1.example.test 587 STARTTLS %EMAILADDRESS%"
	smtp465  = "smtp mx1.example.test 465 SSL %EMAILADDRESS%"
	smtp2525 = "smtp mx1.example.test 2525 STARTTLS %EMAILADDRESS%"

	saysIMAPS      = "imap mx1.example.test:993 tls jane@example.test"
	saysIMAP       = "imap mx1.example.test:143 starttls jane@example.test"
	saysSubmission = "submission mx1.example.test:587 starttls jane@example.test"
	saysSMTPS      = "submission mx1.example.test:465 tls jane@example.test"
	saysUsual      = saysIMAPS + "; " + saysSubmission
)

// fuzzClient feeds a client one document and checks that what it would set up can be
// connected to.
func fuzzClient(f *testing.F, client string, pages map[string]string, seeds ...string) {
	f.Helper()
	for _, s := range append(seeds, "", "<", "<a/>", "\ufeff<clientConfig/>", strings.Repeat("<a>", 60), "<clientConfig version='1'><emailProvider id='x'>&e;") {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &world{pages: map[string]doctor.Hop{}, hosts: map[string]bool{}, zone: map[string][]doctor.Record{}, services: map[settings.Service]settings.Observation{}}
		for key, contentType := range pages {
			w.pages[key] = doctor.Hop{Status: 200, ContentType: contentType, Body: body}
		}
		w.zone["TXT _ua-auto-config.example.test"] = []doctor.Record{{Text: digestRecord(body)}}
		checkSettings(t, examine(t, w, "jane@example.test", client).Clients[0])
	})
}

func checkSettings(t *testing.T, r doctor.ClientReport) {
	t.Helper()
	for _, s := range r.Settings {
		host, err := settings.ParseHost(s.Host)
		if err != nil || host != s.Host || s.Port == 0 || s.Role == "" || s.Security == "" || s.Source == "" {
			t.Errorf("%+v cannot be connected to: %v", s, err)
		}
	}
}

// digestRecord is the TXT record that vouches for a PACC document.
func digestRecord(body []byte) string {
	sum := sha256.Sum256(body)
	return "v=UAAC1; a=sha256; d=" + base64.StdEncoding.EncodeToString(sum[:])
}
