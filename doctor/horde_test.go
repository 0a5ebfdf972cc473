package doctor_test

import (
	"fmt"
	"strings"
	"testing"

	"mailconfd/doctor"
)

func TestHorde(t *testing.T) {
	t.Parallel()
	const zone = "-- zone --\n"
	testClient(t, "horde", []clientCase{
		{name: "http host", world: services + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "https is not asked", world: services + at(hostURL, xmlHead, configDocument(imap993, smtp587)), verdict: doctor.Fails},
		{name: "a redirect to https is followed", world: services + at(hostPlainURL, "301\nlocation "+hostURL, "") + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "well-known", world: services + at("http://example.test/.well-known/autoconfig/mail/config-v1.1.xml", xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "the ISPDB", world: services + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "any status but 404", world: services + at(hostPlainURL, "500 text/xml", configDocument(imap993, smtp587)), want: saysUsual},
		{name: "404", world: services + at(hostPlainURL, "404 text/xml", configDocument(imap993, smtp587))},
		{name: "HTML", world: services + at(hostPlainURL, "200 text/html", "<html><br></html>") + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "the directions are found apart", world: services + at(hostPlainURL, xmlHead, configDocument(imap993)) + at(ispdbURL, xmlHead, configDocument(smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "plain insists on STARTTLS", world: services + at(hostPlainURL, xmlHead, configDocument("imap mx1.example.test 143 plain %EMAILADDRESS%", smtp587)), want: saysIMAP + "; " + saysSubmission, verdict: doctor.Works},
		{name: "the first that it can connect to", world: services + at(hostPlainURL, xmlHead, configDocument("imap mx1.example.test 1143 STARTTLS %EMAILADDRESS%", pop995, imap993, smtp587)), want: "pop3 mx1.example.test:995 tls jane@example.test; " + saysSubmission},
		{name: "POP3 only", world: services + at(hostPlainURL, xmlHead, configDocument(pop995, smtp587)), want: "pop3 mx1.example.test:995 tls jane@example.test; " + saysSubmission, verdict: doctor.Works},
		{name: "local part", world: services + at(hostPlainURL, xmlHead, configDocument("imap mx1.example.test 993 SSL x-%EMAILLOCALPART%", smtp587)), want: "imap mx1.example.test:993 tls x-jane; " + saysSubmission},
		{name: "no %EMAILDOMAIN%", world: services + at(hostPlainURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%@%EMAILDOMAIN%", smtp587)), want: "imap mx1.example.test:993 tls jane@%EMAILDOMAIN%; " + saysSubmission, findings: []doctor.Kind{doctor.KindUsername}, verdict: doctor.Fails},
		{
			name: "a bad certificate does not stop it", world: "-- services --\nimaps://mx1.example.test certificate_expired\nsubmission://mx1.example.test ok\n" + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587)),
			want: saysUsual, findings: []doctor.Kind{doctor.KindCertificate},
		},
		{
			name: "SRV before a document, sorted over all labels", world: zone + "_imap._tcp.example.test. SRV 10 1 143 mx1.example.test.\n_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_pop3s._tcp.example.test. SRV 20 1 995 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n" + services[len("-- zone --\n"):] +
				at(hostPlainURL, xmlHead, configDocument(imap143, smtp465)),
			want: saysUsual, verdict: doctor.Works,
		},
		{
			name: "never _submissions", world: zone + "_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submissions._tcp.example.test. SRV 0 1 465 mx1.example.test.\n" + services[len("-- zone --\n"):],
			want: saysIMAPS, verdict: doctor.Fails,
		},
		{
			name: "SRV that does not work, then a document", world: zone + "_imaps._tcp.example.test. SRV 0 1 993 gone.example.test.\n_submission._tcp.example.test. SRV 0 0 0 .\n" + services[len("-- zone --\n"):] + at(hostPlainURL, xmlHead, configDocument(imap143, smtp465)),
			want: saysIMAP + "; " + saysSMTPS,
		},
		{
			name: "a guess", world: zone + "example.test. A 192.0.2.1\nmail.example.test. A 192.0.2.1\n-- services --\nimap://mail.example.test ok\nsubmission://mail.example.test ok\n",
			want: "imap mail.example.test:143 starttls jane@example.test; submission mail.example.test:587 starttls jane@example.test", verdict: doctor.Warns, findings: []doctor.Kind{doctor.KindGuess},
		},
	})
}

func TestHordeAsks(t *testing.T) {
	t.Parallel()
	const query = "?emailaddress=jane%2Btag%40sub.example.co.uk"
	testAsks(t, "horde", "", "jane+tag@sub.example.co.uk",
		"SRV _imap._tcp.sub.example.co.uk", "SRV _imaps._tcp.sub.example.co.uk", "SRV _pop3._tcp.sub.example.co.uk", "SRV _pop3s._tcp.sub.example.co.uk",
		"SRV _imap._tcp.example.co.uk", "SRV _imaps._tcp.example.co.uk", "SRV _pop3._tcp.example.co.uk", "SRV _pop3s._tcp.example.co.uk",
		"GET http://autoconfig.sub.example.co.uk/mail/config-v1.1.xml"+query, "GET http://sub.example.co.uk/.well-known/autoconfig/mail/config-v1.1.xml", "GET https://autoconfig.thunderbird.net/v1.1/sub.example.co.uk",
		"GET http://autoconfig.example.co.uk/mail/config-v1.1.xml"+query, "GET http://example.co.uk/.well-known/autoconfig/mail/config-v1.1.xml", "GET https://autoconfig.thunderbird.net/v1.1/example.co.uk",
		"SRV _submission._tcp.sub.example.co.uk", "SRV _submission._tcp.example.co.uk",
		"GET http://autoconfig.sub.example.co.uk/mail/config-v1.1.xml"+query, "GET http://sub.example.co.uk/.well-known/autoconfig/mail/config-v1.1.xml", "GET https://autoconfig.thunderbird.net/v1.1/sub.example.co.uk",
		"GET http://autoconfig.example.co.uk/mail/config-v1.1.xml"+query, "GET http://example.co.uk/.well-known/autoconfig/mail/config-v1.1.xml", "GET https://autoconfig.thunderbird.net/v1.1/example.co.uk")
}

func FuzzHorde(f *testing.F) {
	fuzzClient(f, "horde", map[string]string{"GET " + hostPlainURL: "text/xml"}, configDocument(imap993, smtp587), configDocument(pop995, smtp465))
}

// TestHordeTries: a document that names hundreds of servers does not make us connect to
// them all.
func TestHordeTries(t *testing.T) {
	t.Parallel()
	servers := []string{smtp587}
	for i := range 500 {
		servers = append(servers, fmt.Sprintf("imap victim.test %d SSL %%EMAILADDRESS%%", i+1))
	}
	w := parseWorld(t, services+at(hostPlainURL, xmlHead, configDocument(servers...)))
	r := examine(t, w, "jane@example.test", "horde").Clients[0]
	tries := 0
	for _, s := range r.Steps {
		if strings.HasPrefix(s.Did, "try imaps://victim.test") {
			tries++
		}
	}
	if tries != 10 {
		t.Errorf("connected %d times, want 10", tries)
	}
}
