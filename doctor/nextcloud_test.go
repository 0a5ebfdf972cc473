package doctor_test

import (
	"testing"

	"mailconfd/doctor"
)

func TestNextcloud(t *testing.T) {
	t.Parallel()
	testClient(t, "nextcloud", []clientCase{
		{name: "as served", world: services + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "well-known", world: services + at(wellKnownURL, "200 text/plain", configDocument(imap993, smtp587)), want: saysUsual},
		{name: "204", world: services + at(hostURL, "204", "") + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "HTML with status 200", world: services + at(hostURL, "200 text/html", "<html><br></html>") + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "the ISPDB before http", world: services + at(hostPlainURL, xmlHead, configDocument(imap143, smtp465)) + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "http at last", world: services + at("http://example.test/.well-known/autoconfig/mail/config-v1.1.xml", xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "the first imap and the first smtp", world: services + at(hostURL, xmlHead, configDocument(pop995, imap143, imap993, smtp465, smtp587)), want: saysIMAP + "; " + saysSMTPS},
		{name: "tls and letter case", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 143 TLS %EMAILADDRESS%", "smtp mx1.example.test 465 ssl %EMAILADDRESS%")), want: saysIMAP + "; " + saysSMTPS},
		{
			name: "another socketType is none", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 yes %EMAILADDRESS%", smtp587)),
			want: "imap mx1.example.test:993 none jane@example.test; " + saysSubmission, findings: []doctor.Kind{doctor.KindPlaintext},
		},
		{name: "placeholders anywhere", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%.%EMAILDOMAIN%", smtp587)), want: "imap mx1.example.test:993 tls jane.example.test; " + saysSubmission},
		{name: "one direction ends the search", world: services + at(hostURL, xmlHead, configDocument(imap993)) + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysIMAPS, verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindNothingFound}},
		{name: "POP3 only", world: services + at(hostURL, xmlHead, configDocument(pop995, smtp587)), want: saysSubmission, verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindNothingFound}},
		{name: "slower than 7 s", world: services + at(hostURL, xmlHead+"\ntook 8s", configDocument(imap143, smtp465)) + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{
			name: "the MX that comes first, as if it were the domain", world: "-- zone --\nexample.test. MX 20 mx.hoster.test.\nexample.test. MX 10 best.other.test.\n-- services --\nimaps://mx1.example.test ok\nsubmission://mx1.example.test ok\n" +
				at("https://autoconfig.hoster.test/mail/config-v1.1.xml", xmlHead, configDocument(imap993, smtp587)),
			want: saysUsual, verdict: doctor.Works,
		},
		{
			name: "ports of the MX", world: "-- zone --\nexample.test. MX 10 mx.hoster.test.\n-- services --\nimaps://mx.hoster.test ok\nsubmission://hoster.test certificate_name\n",
			want: "imap mx.hoster.test:993 tls jane@example.test; submission hoster.test:587 starttls jane@example.test", verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindGuess, doctor.KindCertificateName},
		},
		{name: "143 at the MX does not count", world: "-- zone --\nexample.test. MX 10 mx.hoster.test.\n-- services --\nimap://mx.hoster.test ok\nsubmission://mx.hoster.test ok\n", verdict: doctor.Fails},
	})
}

func TestNextcloudAsks(t *testing.T) {
	t.Parallel()
	const query = "?emailaddress=jane+tag@example.co.uk"
	testAsks(t, "nextcloud", "-- zone --\nexample.co.uk. MX 10 hoster.co.uk.\n", "jane+tag@example.co.uk",
		"GET https://autoconfig.example.co.uk/mail/config-v1.1.xml"+query,
		"GET https://example.co.uk/.well-known/autoconfig/mail/config-v1.1.xml"+query,
		"GET https://autoconfig.thunderbird.net/v1.1/example.co.uk",
		"GET http://autoconfig.example.co.uk/mail/config-v1.1.xml"+query,
		"GET http://example.co.uk/.well-known/autoconfig/mail/config-v1.1.xml"+query,
		"MX example.co.uk",
		"GET https://autoconfig.hoster.co.uk/mail/config-v1.1.xml"+query,
		"GET https://hoster.co.uk/.well-known/autoconfig/mail/config-v1.1.xml"+query,
		"GET https://autoconfig.thunderbird.net/v1.1/hoster.co.uk",
		"GET http://autoconfig.hoster.co.uk/mail/config-v1.1.xml"+query,
		"GET http://hoster.co.uk/.well-known/autoconfig/mail/config-v1.1.xml"+query,
		"MX example.co.uk")
}

func FuzzNextcloud(f *testing.F) {
	fuzzClient(f, "nextcloud", map[string]string{"GET " + hostURL: "text/xml"}, configDocument(imap993, smtp587), configDocument("imap h -1 tls x", "smtp [::1] +587x yes y"))
}
