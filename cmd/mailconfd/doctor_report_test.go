package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"

	"mailconfd/doctor"
	"mailconfd/settings"
)

var update = flag.Bool("update", false, "write the golden files")

// sick is a report with something of everything.
func sick() doctor.Report {
	const url = "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=jane%40example.org"
	imap := doctor.Setting{Role: settings.RoleIMAP, Host: "imap.example.org", Port: 993, Security: doctor.SecurityTLS, Username: "jane@example.org", Source: url, Works: true}
	smtp := doctor.Setting{Role: settings.RoleSubmission, Host: "smtp.example.org", Port: 587, Security: doctor.SecuritySTARTTLS, Username: "jane@example.org", Source: url, Works: true}
	shut := smtp
	shut.Works, shut.Port, shut.Failure = false, 465, &settings.Failure{Kind: settings.FailureRefused, Detail: "connection refused"}
	shut.Security, shut.Username, shut.Source = doctor.SecurityTLS, "jane", "_submissions._tcp.example.org"
	bare := smtp
	bare.Security, bare.Works = doctor.SecurityNone, false
	busy := smtp
	busy.Works, busy.Failure = false, &settings.Failure{Kind: settings.FailureTemporary, Detail: "421 try again later"}
	steps := []doctor.Step{{Did: "GET " + url, Saw: "200 text/xml, 1050 bytes", MS: 12}, {Did: "read the document", Saw: "evil \x1b[2J\u202e text"}}
	return doctor.Report{
		Address: "jane@example.org", At: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), Verdict: doctor.Fails,
		Clients: []doctor.ClientReport{
			{Client: "thunderbird", Title: "Thunderbird", Verdict: doctor.Works, Settings: []doctor.Setting{imap, smtp}, Steps: steps},
			{Client: "apple", Title: "Apple Mail", Verdict: doctor.Unknown, Findings: []doctor.Finding{{Kind: doctor.KindUnknown}}},
			{Client: "gnome", Title: "GNOME Online Accounts", Verdict: doctor.Unknown, Settings: []doctor.Setting{imap, busy}},
			{Client: "outlook", Title: "Outlook (classic)", Verdict: doctor.Fails, Settings: []doctor.Setting{imap, shut}},
			{Client: "evolution", Title: "Evolution", Verdict: doctor.Works, Settings: []doctor.Setting{imap, smtp}},
			{Client: "kmail", Title: "KMail", Verdict: doctor.Warns, Settings: []doctor.Setting{imap, smtp}},
			{Client: "aerc", Title: "aerc", Verdict: doctor.Fails},
			{Client: "geary", Title: "Geary", Verdict: doctor.Fails, Settings: []doctor.Setting{imap, bare}},
		},
		Findings: []doctor.Finding{
			{Kind: doctor.KindNotReached, Weight: doctor.Fault, Affected: []string{"Outlook (classic)"}, People: "many", Detail: "submissions://smtp.example.org:465: connect 192.0.2.1:465: connection refused", Sees: "an error message, or a wait", Remedy: "switch the service on, or leave the port out of the configuration", Reference: "RFC 8314, section 3"},
			{Kind: doctor.KindNothingFound, Weight: doctor.Fault, Affected: []string{"aerc"}, People: "few", Detail: "no settings are found: the user is asked for everything", Sees: "it asks for host names, ports and encryption", Remedy: "publish autoconfig at https://autoconfig.example.org/mail/config-v1.1.xml", Reference: "draft-ietf-mailmaint-autoconfig-06, section 4"},
			{Kind: doctor.KindPlaintext, Class: "A3.1", Weight: doctor.Fault, Affected: []string{"Geary"}, People: "some", Detail: "Geary would use smtp.example.org 587 without encryption", Sees: "nothing, or a warning that is easily clicked away", Remedy: "offer only encrypted services: SSL or STARTTLS", Reference: "RFC 8314, section 4.1"},
			{Kind: doctor.KindAsksUser, Weight: doctor.Warning, Affected: []string{"KMail", "Thunderbird", "Outlook (classic)", "Evolution", "aerc", "Geary"}, Detail: "the host is outside the domain \x1b]0;evil\x07", Remedy: "use a host under the mail domain", Reference: "draft-ietf-mailmaint-autoconfig-06, section 4"},
			{Kind: doctor.KindSlow, Weight: doctor.Warning, Affected: []string{"aerc"}, People: "few", Detail: "https://a.example.org answers after 6 s", Remedy: "answer within 5 seconds, or refuse", Reference: "Thunderbird 153 waits 5 s"},
			{Kind: doctor.KindSlow, Weight: doctor.Warning, Affected: []string{"Thunderbird"}, People: "many", Detail: "https://b.example.org answers after 6 s", Remedy: "answer within 5 seconds, or refuse", Reference: "Thunderbird 153 waits 5 s"},
			{Kind: doctor.KindUnauthorized, Weight: doctor.Warning, People: "many", Detail: "https://example.org/autodiscover/autodiscover.xml answers 401", Sees: "that the password is wrong", Remedy: "answer 404 for what is not served; never 401", Reference: "Thunderbird 153"},
			{Kind: doctor.KindUnsigned, Weight: doctor.Note, People: "many", Detail: "example.org", Sees: "nothing", Remedy: "sign it", Reference: "RFC 6186, section 6"},
			{Kind: doctor.KindUnknown, Weight: doctor.Note, Affected: []string{"Apple Mail"}, Detail: "Apple Mail asks nobody but Apple", Remedy: "try it by hand", Reference: "the client's own documentation"},
		},
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]reportPrinter{
		"wide":    {screen: screen{width: 100}},
		"narrow":  {screen: screen{width: 60}, madeUp: true},
		"explain": {screen: screen{width: 100}, flags: doctorFlags{explain: true, trace: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			p.Writer, p.Report = &b, sick()
			p.print()
			golden := filepath.Join("testdata", "report", name+".golden")
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Error(diff)
			}
			for line := range strings.Lines(b.String()) {
				if width := text.StringWidth(strings.TrimSuffix(line, "\n")); width > p.width {
					t.Errorf("%d columns: %s", width, line)
				}
			}
			if strings.ContainsAny(b.String(), "\x1b\x07\u202e") {
				t.Error("a stranger's text reaches the terminal as it is")
			}
		})
	}
}

// Colour is beside the words, never instead of them.
func TestReportInColour(t *testing.T) {
	t.Parallel()
	var plain, coloured bytes.Buffer
	(reportPrinter{screen: screen{Writer: &plain, width: 80}, Report: sick()}).print()
	(reportPrinter{screen: screen{Writer: &coloured, width: 80, colour: true}, Report: sick()}).print()
	trim := regexp.MustCompile(` +\n`)
	if diff := cmp.Diff(plain.String(), trim.ReplaceAllString(text.StripEscape(coloured.String()), "\n")); diff != "" {
		t.Error(diff)
	}
}

// However many clients there are, and however many meet the same, it is told once, and
// all is on one screen.
func TestReportIsShort(t *testing.T) {
	t.Parallel()
	r := doctor.Report{Address: "jane@example.org", Verdict: doctor.Fails}
	for i := range 40 {
		title := fmt.Sprintf("Client %d", i)
		r.Clients = append(r.Clients, doctor.ClientReport{Client: title, Title: title, Verdict: doctor.Works})
		r.Findings = append(r.Findings, doctor.Finding{Kind: doctor.KindServer, Weight: doctor.Fault, Affected: []string{title}, Detail: title, Remedy: "mend it"})
	}
	var b bytes.Buffer
	(reportPrinter{screen: screen{Writer: &b, width: 80}, Report: r}).print()
	if n := strings.Count(b.String(), "\n"); n > 23 {
		t.Errorf("%d lines:\n%s", n, &b)
	}
}
