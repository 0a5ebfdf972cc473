package doctor_test

import (
	"strings"
	"testing"

	"mailconfd/doctor"
)

func TestMailspring(t *testing.T) {
	t.Parallel()
	good := configDocument(imap993, smtp587)
	second := strings.Replace(strings.Replace(configDocument(imap143, smtp465), "example.test\"", "other.test\"", 1), "</clientConfig>", good[strings.Index(good, "<emailProvider"):], 1)
	testClient(t, "mailspring", []clientCase{
		{name: "as served", world: services + at(hostURL, "200 text/plain", good), want: saysUsual, verdict: doctor.Works},
		{name: "404, then well-known", world: services + at(hostURL, "404 text/plain", "no") + at(wellKnownURL, xmlHead, good), want: saysUsual, verdict: doctor.Works},
		{name: "malformed, then well-known", world: services + at(hostURL, "200 text/html", "<html><br></html>") + at(wellKnownURL, xmlHead, good), want: saysUsual, verdict: doctor.Works},
		{name: "a well-formed page ends the search", world: services + at(hostURL, "200 text/html", "<html><p/></html>") + at(wellKnownURL, xmlHead, good), verdict: doctor.Fails},
		{name: "an empty 200 ends the search", world: services + at(hostURL, "200 text/xml", "") + at(wellKnownURL, xmlHead, good), verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindRejected}},
		{name: "the ISPDB is not asked", world: services + at(ispdbURL, xmlHead, good), verdict: doctor.Fails},
		{name: "http is not asked", world: services + at(hostPlainURL, xmlHead, good), verdict: doctor.Fails},
		{name: "the first of a kind", world: services + at(hostURL, xmlHead, configDocument(pop995, imap143, imap993, smtp465, smtp587)), want: saysIMAP + "; " + saysSMTPS},
		{name: "of several providers the domain's", world: services + at(hostURL, xmlHead, second), want: saysUsual},
		{name: "of several providers none", address: "jane@third.test", world: services + at("https://autoconfig.third.test/mail/config-v1.1.xml", xmlHead, second), verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindRejected}},
		{name: "an unknown socketType is STARTTLS", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 143 ssl %EMAILADDRESS%", smtp587)), want: saysIMAP + "; " + saysSubmission},
		{name: "plain", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 143 plain %EMAILADDRESS%", smtp587)), want: "imap mx1.example.test:143 none jane@example.test; " + saysSubmission, findings: []doctor.Kind{doctor.KindPlaintext}},
		{name: "local part", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%", smtp587)), want: "imap mx1.example.test:993 tls jane; " + saysSubmission, never: []doctor.Kind{doctor.KindUsername}},
		{name: "another template becomes the address", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%.example", smtp587)), want: saysUsual, findings: []doctor.Kind{doctor.KindUsername}},
		{name: "POP3 only", world: services + at(hostURL, xmlHead, configDocument(pop995, smtp587)), want: saysSubmission, verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindNothingFound}},
		{name: "no outgoing", world: services + at(hostURL, xmlHead, configDocument(imap993)), verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindRejected}},
		{
			name: "a guess", world: "-- zone --\nimap.example.test. A 192.0.2.1\nsmtp.example.test. AAAA 2001:db8::1\n-- services --\nimaps://imap.example.test ok\nsubmissions://smtp.example.test ok\n",
			want: "imap imap.example.test:993 tls jane@example.test; submission smtp.example.test:465 tls jane@example.test", findings: []doctor.Kind{doctor.KindGuess},
		},
	})
}

func TestMailspringAsks(t *testing.T) {
	t.Parallel()
	testAsks(t, "mailspring", "", "jane+tag@example.test", "MX example.test", "GET "+hostURL, "GET "+wellKnownURL)
}

func FuzzMailspring(f *testing.F) {
	fuzzClient(f, "mailspring", map[string]string{"GET " + hostURL: "text/xml"}, configDocument(imap993, smtp587), "<a><emailProvider/><emailProvider id='example.test'/></a>")
}
