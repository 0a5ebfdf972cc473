package doctor_test

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mailconfd/autoconfig"
	"mailconfd/autodiscover"
	"mailconfd/doctor"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
	"mailconfd/srvrecords"
)

// layout is what a provider's servers offer; everything else is closed.
type layout struct {
	name     string
	services []string
	username settings.Username
}

const host = "mail.example.test"

// layouts are those of the matrix.
var layouts = []layout{
	{"all", offering("submission", 587, "submission", 2525, "submissions", 465, "imaps", 993, "imap", 143, "pop3s", 995, "pop3", 110), settings.UsernameAddress},
	{"587 993", offering("submission", 587, "imaps", 993), settings.UsernameAddress},
	{"465 993", offering("submissions", 465, "imaps", 993), settings.UsernameAddress},
	{"2525 993", offering("submission", 2525, "imaps", 993), settings.UsernameAddress},
	{"587 143", offering("submission", 587, "imap", 143), settings.UsernameAddress},
	{"465 143", offering("submissions", 465, "imap", 143), settings.UsernameAddress},
	{"587 993 995", offering("submission", 587, "imaps", 993, "pop3s", 995), settings.UsernameAddress},
	{"587 995", offering("submission", 587, "pop3s", 995), settings.UsernameAddress},
	{"587 465 993 143", offering("submission", 587, "submissions", 465, "imaps", 993, "imap", 143), settings.UsernameAddress},
	{"587 993, local part", offering("submission", 587, "imaps", 993), settings.UsernameLocalPart},
	{"2525 465 993", offering("submission", 2525, "submissions", 465, "imaps", 993), settings.UsernameAddress},
	{"8465 8993", offering("submissions", 8465, "imaps", 8993), settings.UsernameAddress},
}

// offering makes service URLs of schemes and ports.
func offering(pairs ...any) []string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, fmt.Sprintf("%s://%s:%d", pairs[i], host, pairs[i+1]))
	}
	return all
}

// deployment is what mailconfd serves and prints for a layout, and the mail servers.
type deployment struct {
	*world
	config  autoconfig.Document
	pox     *autodiscover.Document // nil: Autodiscover cannot say what works
	servers []settings.Service
	broken  map[settings.Service]settings.FailureKind
}

// deploy publishes a layout as serve and records do.
func deploy(t *testing.T, l layout) *deployment {
	t.Helper()
	provider := settingstest.Provider(l.services...)
	provider.Username = l.username
	histories := map[settings.Service]settings.Views{}
	for _, s := range provider.Services {
		histories[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now))}
	}
	result := settings.Verify(provider, histories, settingstest.Now, settings.DefaultPolicy())
	d := &deployment{world: parseWorld(t, "-- zone --\n; signed\nexample.test. MX 10 "+host+".\n"+host+". A 192.0.2.1\n"), servers: provider.Services}
	var err error
	if d.config, err = autoconfig.Compile(result.Verified); err != nil {
		t.Fatal(err)
	}
	if pox, err := autodiscover.Compile(result.Verified); err == nil {
		d.pox = &pox
	}
	set, err := srvrecords.Compile(result, "example.test", srvrecords.Options{ConfigHost: "config.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	zone := "config.example.test. A 192.0.2.2\n"
	for _, r := range set.Records {
		zone += r.Owner + " " + r.Type + " " + r.Data + "\n"
	}
	if err := d.parseZone(zone); err != nil {
		t.Fatal(err)
	}
	return d
}

// Fetch answers as serve does: http is redirected to https, any name is answered that
// leads here, and an unknown domain or a document that is not published is 404.
func (d *deployment) Fetch(_ context.Context, r doctor.Request) doctor.Hop {
	d.note(strings.TrimSpace(r.Method + " " + r.URL + " " + r.ContentType + " " + r.Body))
	u, err := url.Parse(r.URL)
	if err != nil || !slices.Contains([]string{"example.test", "autoconfig.example.test", "autodiscover.example.test", "config.example.test"}, u.Hostname()) {
		return doctor.Hop{Request: r, Failure: &settings.Failure{Kind: settings.FailureDNS, Detail: "no such host"}}
	}
	if u.Scheme == "http" {
		u.Scheme = "https"
		return doctor.Hop{Request: r, Status: 302, Location: u.String()}
	}
	h := doctor.Hop{Request: r, Status: 404, ContentType: "text/plain; charset=utf-8", Body: []byte("not found\n")}
	var body []byte
	switch path := strings.ToLower(u.Path); {
	case path == "/mail/config-v1.1.xml" || path == "/.well-known/autoconfig/mail/config-v1.1.xml" || path == "/.well-known/mail-v1.xml":
		if a, ok := who(strings.ReplaceAll(u.Query().Get("emailaddress"), " ", "+")); ok {
			body = d.config.Append(nil, a)
		}
	case path == "/autodiscover/autodiscover.xml" && d.pox != nil:
		address := ""
		if r.Method == "POST" {
			address = posted(r.Body)
		}
		if a, ok := who(address); ok {
			body = d.pox.Append(nil, a)
		}
	}
	if body != nil {
		h.Status, h.ContentType, h.Body = 200, "text/xml; charset=utf-8", body
	}
	return h
}

// who is asked for: an address decides, and without one the name of the host.
func who(address string) (settings.Address, bool) {
	if address == "" {
		return settings.Address{Domain: "example.test"}, true
	}
	a, err := settings.ParseAddress(address)
	return a, err == nil && a.Domain == "example.test"
}

// Probe answers as the mail servers do.
func (d *deployment) Probe(_ context.Context, s settings.Service) settings.Observation {
	d.note("probe " + s.String())
	if kind := d.broken[s]; kind != "" {
		return failing(s, kind)
	}
	if slices.Contains(d.servers, s) || d.speaks(s) {
		return settingstest.Seen(s, settingstest.Now, "PLAIN", "LOGIN")
	}
	failure := settings.Failure{Kind: settings.FailureRefused, Detail: "connection refused"}
	if slices.ContainsFunc(d.servers, func(o settings.Service) bool { return o.Host == s.Host && o.Port == s.Port }) {
		failure = settings.Failure{Kind: settings.FailureProtocol, Detail: "it encrypts in another way"}
	}
	return settings.Observation{Service: s, Addresses: []settings.AddressResult{{IP: netip.MustParseAddr("192.0.2.1"), Failure: &failure}}}
}

// speaks tells whether a server that is broken does this in place of what it should.
func (d *deployment) speaks(s settings.Service) bool {
	for o, kind := range d.broken {
		other := kind == settings.FailurePlaintextOnTLSPort || kind == settings.FailureTLSOnPlaintextPort
		if other && o.Host == s.Host && o.Port == s.Port && o.Role() == s.Role() && o.Scheme != s.Scheme {
			return true
		}
	}
	return false
}

func failing(s settings.Service, kind settings.FailureKind) settings.Observation {
	failure := settings.Failure{Kind: kind, Detail: "as broken"}
	return settings.Observation{Service: s, Addresses: []settings.AddressResult{{IP: netip.MustParseAddr("192.0.2.1"), Failure: &failure}}}
}

// TestMatrix holds every client against everything that mailconfd can have to say. Each
// ends encrypted and verified, or it is its own inability, which docs/clients.md tells.
func TestMatrix(t *testing.T) {
	t.Parallel()
	var reports []doctor.Report
	for _, l := range layouts {
		report := examineAs(t, deploy(t, l))
		reports = append(reports, report)
		for _, f := range report.Findings {
			if f.Weight != doctor.Note {
				t.Errorf("%s: %s %s: %s (%v)", l.name, f.Weight, f.Kind, f.Detail, f.Affected)
			}
		}
		for _, c := range report.Clients {
			checkCell(t, l, c)
		}
	}
	page(t, "../docs/clients.md", clientsPage(reports))
}

func examineAs(t *testing.T, w doctor.World) doctor.Report {
	t.Helper()
	d, err := doctor.New(doctor.Options{World: w, Now: func() time.Time { return settingstest.Now }})
	if err != nil {
		t.Fatal(err)
	}
	a, err := settings.ParseAddress("jane@example.test")
	if err != nil {
		t.Fatal(err)
	}
	return d.Examine(t.Context(), a)
}

func checkCell(t *testing.T, l layout, c doctor.ClientReport) {
	t.Helper()
	switch c.Verdict {
	case doctor.Unknown:
	case doctor.Fails:
		if len(c.Findings) == 0 {
			t.Errorf("%s: %s fails and does not say why: %s", l.name, c.Title, say(c))
		}
	default:
		for _, s := range c.Settings {
			if !s.Works || s.Security != doctor.SecurityTLS && s.Security != doctor.SecuritySTARTTLS {
				t.Errorf("%s: %s is said to work with %s", l.name, c.Title, say(c))
			}
		}
	}
}

// clientsPage is the matrix for people.
func clientsPage(reports []doctor.Report) string {
	var b strings.Builder
	b.WriteString(`# What each mail client makes of mailconfd

Which ports each client sets itself up with, when a provider's servers offer those of a
column and mailconfd publishes all that it can: the documents over https, http redirected,
and the records of ` + "`mailconfd records`" + `. This page is written by a test
(` + "`doctor/matrix_test.go`" + `) from the simulators of ` + "`doctor`" + ` and mailconfd's own output, and
fails when it drifts; what the simulators say is held against real clients where those can be run
(` + "`test/real`" + `).

A cell has the port for reading and then the one for sending; every one of them is encrypted,
with a certificate that is checked. – is a direction that the client finds nothing for. A
number leads to a remark.

`)
	head, line := "| client |", "|---|"
	for _, l := range layouts {
		head, line = head+" "+l.name+" |", line+"---|"
	}
	b.WriteString(head + "\n" + line + "\n")
	var remarks []string
	for i, c := range reports[0].Clients {
		fmt.Fprintf(&b, "| %s |", c.Title)
		for _, r := range reports {
			fmt.Fprintf(&b, " %s |", cellOf(r.Clients[i], &remarks))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for i, r := range remarks {
		fmt.Fprintf(&b, "%d. %s\n", i+1, r)
	}
	b.WriteString(`
## How documents are read

Delta Chat and Evolution are simulated with a reader that is as lenient as theirs, and aerc with the
parser that it uses. The others share one XML parser (Go's ` + "`encoding/xml`" + `), whichever theirs is. For a
well-formed document, which is all that mailconfd writes, that makes no difference. What
` + "`mailconfd doctor`" + ` says of somebody's malformed document is what that parser makes of it: a
client may read more of it, or less.
`)
	b.WriteString("\n## What was read\n\n| client | `--client` | read or run |\n|---|---|---|\n")
	for _, c := range doctor.Read() {
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", c[1], c[0], cell(c[2]))
	}
	return b.String()
}

// cellOf says what a client ends with, and adds what is remarkable to the remarks.
func cellOf(c doctor.ClientReport, remarks *[]string) string {
	reading, sending := "–", "–"
	for _, s := range c.Settings {
		word := fmt.Sprint(s.Port)
		if !s.Works {
			word = "~~" + word + "~~"
		}
		if s.Role == settings.RoleSubmission {
			sending = word
		} else {
			reading = word
		}
	}
	text := reading + " " + sending
	if c.Verdict == doctor.Unknown {
		text = "?"
	}
	for _, f := range c.Findings {
		remark := cell(f.Detail)
		i := slices.Index(*remarks, remark)
		if i < 0 {
			*remarks = append(*remarks, remark)
			i = len(*remarks) - 1
		}
		if number := fmt.Sprintf(" (%d)", i+1); !strings.Contains(text, number) {
			text += number
		}
	}
	return text
}
