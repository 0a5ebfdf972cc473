package doctor_test

import (
	"testing"

	"mailconfd/doctor"
)

func TestGeary(t *testing.T) {
	t.Parallel()
	testClient(t, "geary", []clientCase{
		{name: "as served", world: services + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "the status is ignored", world: services + at(hostURL, "404 text/plain", configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "the content type is ignored", world: services + at(hostURL, "200 application/octet-stream", configDocument(imap993, smtp587)), want: saysUsual},
		{name: "the first of each direction", world: services + at(hostURL, xmlHead, configDocument(imap143, imap993, smtp465, smtp587)), want: saysIMAP + "; " + saysSMTPS},
		{name: "POP3 first", world: services + at(hostURL, xmlHead, configDocument(pop995, imap993, smtp587)), verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindRejected}},
		{name: "POP3 only is its own inability", world: services + at(hostURL, xmlHead, configDocument(pop995, smtp587)), verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindNothingFound}, never: []doctor.Kind{doctor.KindRejected}},
		{
			name: "an unknown socketType means no encryption", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 TLS %EMAILADDRESS%", smtp587)),
			want: "imap mx1.example.test:993 none jane@example.test; " + saysSubmission, verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindPlaintext},
		},
		{name: "the user name is not read", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%", smtp587)), want: saysUsual, verdict: doctor.Works, findings: []doctor.Kind{doctor.KindUsername}},
		{name: "HTML, then the ISPDB", world: services + at(hostURL, "200 text/html", "<html><p>hello</html>") + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "well-known is not asked", world: services + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587))},
		{name: "a redirect to http is followed", world: services + at(hostURL, "302\nlocation "+hostPlainURL, "") + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "an untrusted certificate", world: services + at(hostURL, xmlHead+"\ncertificate certificate_untrusted", configDocument(imap993, smtp587))},
		{
			name: "no port means the default one", world: services + at(hostURL, xmlHead, `<clientConfig><emailProvider><incomingServer type="imap"><hostname>mx1.example.test</hostname><socketType>SSL</socketType></incomingServer><outgoingServer type="smtp"><hostname>mx1.example.test</hostname><socketType>STARTTLS</socketType></outgoingServer></emailProvider></clientConfig>`),
			want: saysUsual,
		},
		{
			name: "a guess", world: "-- zone --\nimap.example.test. A 192.0.2.1\nsmtp.example.test. A 192.0.2.1\n-- services --\nimaps://imap.example.test ok\nsubmissions://smtp.example.test ok\n",
			want: "imap imap.example.test:993 tls jane@example.test; submission smtp.example.test:465 tls jane@example.test", verdict: doctor.Warns, findings: []doctor.Kind{doctor.KindGuess},
		},
		{name: "it does not guess STARTTLS", world: "-- zone --\nimap.example.test. A 192.0.2.1\nsmtp.example.test. A 192.0.2.1\n-- services --\nimap://imap.example.test ok\nsubmission://smtp.example.test ok\n", verdict: doctor.Fails},
	})
}

func TestGearyAsks(t *testing.T) {
	t.Parallel()
	testAsks(t, "geary", "", "jane@example.test", "GET "+hostURL, "GET "+ispdbURL)
}

func FuzzGeary(f *testing.F) {
	fuzzClient(f, "geary", map[string]string{"GET " + hostURL: "text/xml"}, configDocument(imap993, smtp587), configDocument(pop995, smtp465))
}
