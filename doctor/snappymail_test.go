package doctor_test

import (
	"testing"

	"mailconfd/doctor"
)

func TestSnappyMail(t *testing.T) {
	t.Parallel()
	const (
		root  = "-- POST https://example.test/autodiscover/autodiscover.xml --\n200 text/xml\n\n"
		imap  = "<Type>IMAP</Type><Server>mx1.example.test</Server><Port>993</Port><LoginName>autodiscover@example.test</LoginName><SSL>on</SSL>"
		imap3 = "<Type>IMAP</Type><Server>mx1.example.test</Server><Port>143</Port><LoginName>autodiscover@example.test</LoginName>"
		smtp  = "<Type>SMTP</Type><Server>mx1.example.test</Server><Port>587</Port><LoginName>autodiscover@example.test</LoginName><SSL>on</SSL>"
		smtp4 = "<Type>SMTP</Type><Server>mx1.example.test</Server><Port>465</Port><LoginName>autodiscover@example.test</LoginName><SSL>on</SSL>"
	)
	testClient(t, "snappymail", []clientCase{
		{name: "mail-v1.xml", world: services + at(mailV1URL, "200 application/octet-stream", configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "the usual path over https is not asked", world: services + at(hostURL, xmlHead, configDocument(imap993, smtp587))},
		{name: "well-known", world: services + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "http", world: services + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "the ISPDB", world: services + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "HTML and 401 are passed over", world: services + at(mailV1URL, "200 text/html", "<html></html>") + at(wellKnownURL, "401 text/html", configDocument(imap143, smtp465)) + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "a broken document is passed over", world: services + at(mailV1URL, xmlHead, configDocument(imap143)+"</x>") + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, findings: []doctor.Kind{doctor.KindRejected}},
		{name: "the first of each direction", world: services + at(mailV1URL, xmlHead, configDocument(imap143, imap993, smtp465, smtp587)), want: saysIMAP + "; " + saysSMTPS},
		{name: "POP3 first: its page finds nothing", world: services + at(mailV1URL, xmlHead, configDocument(pop995, imap993, smtp587)), findings: []doctor.Kind{doctor.KindRejected}},
		{name: "POP3 only", world: services + at(mailV1URL, xmlHead, configDocument(pop995, smtp587)), innocent: true, findings: []doctor.Kind{doctor.KindNothingFound}},
		{name: "no outgoing", world: services + at(mailV1URL, xmlHead, configDocument(imap993)), want: saysIMAPS, findings: []doctor.Kind{doctor.KindRejected}},
		{name: "an unknown socketType is none", world: services + at(mailV1URL, xmlHead, configDocument("imap mx1.example.test 993 ssl %EMAILADDRESS%", smtp587)), want: "imap mx1.example.test:993 none jane@example.test; " + saysSubmission, findings: []doctor.Kind{doctor.KindPlaintext}},
		{name: "another user name means the local part", world: services + at(mailV1URL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%", "smtp mx1.example.test 587 STARTTLS %EMAILLOCALPART%@%EMAILDOMAIN%")), want: "imap mx1.example.test:993 tls jane; submission mx1.example.test:587 starttls jane", findings: []doctor.Kind{doctor.KindUsername}},

		{name: "Autodiscover", world: services + root + pox(imap, smtp), want: saysUsual, verdict: doctor.Works},
		{name: "Autodiscover on autodiscover.", world: services + "-- POST https://autodiscover.example.test/autodiscover/autodiscover.xml --\n200 text/html\n\n" + pox(imap, smtp4), want: saysIMAPS + "; " + saysSMTPS},
		{name: "no SSL element is no encryption", world: services + root + pox(imap3+"<Encryption>TLS</Encryption>", smtp), want: "imap mx1.example.test:143 none jane@example.test; " + saysSubmission, findings: []doctor.Kind{doctor.KindPlaintext}},
		{name: "SSL on 143 is STARTTLS", world: services + root + pox(imap3+"<SSL>on</SSL>", smtp), want: saysIMAP + "; " + saysSubmission},
		{name: "587 is STARTTLS whatever is said", world: services + root + pox(imap, "<Type>SMTP</Type><Server>mx1.example.test</Server><Port>587</Port><SSL>off</SSL><LoginName>jane</LoginName>"), want: saysIMAPS + "; submission mx1.example.test:587 starttls jane"},
		{name: "2525 is implicit TLS", world: services + root + pox(imap, "<Type>SMTP</Type><Server>mx1.example.test</Server><Port>2525</Port><SSL>on</SSL><Encryption>TLS</Encryption>"), want: saysIMAPS + "; submission mx1.example.test:2525 tls jane"},
		{name: "one Protocol kills it", world: services + root + pox(imap), findings: []doctor.Kind{doctor.KindRejected}},
		{name: "an error document", world: services + root + "<Autodiscover><Response><Error/></Response></Autodiscover>\n-- POST https://autodiscover.example.test/autodiscover/autodiscover.xml --\n200 text/xml\n\n" + pox(imap, smtp), want: saysUsual},
		{
			name: "Autodiscover by SRV, with its port", world: "-- zone --\n_autodiscover._tcp.example.test. SRV 0 0 8443 ad.example.test.\n-- services --\nimaps://mx1.example.test ok\nsubmission://mx1.example.test ok\n-- POST https://ad.example.test:8443/autodiscover/autodiscover.xml --\n200 text/xml\n\n" + pox(imap, smtp),
			want: saysUsual, verdict: doctor.Works,
		},
		{
			name: "SRV loses the server for sending", world: "-- zone --\n_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submissions._tcp.example.test. SRV 0 1 465 mx1.example.test.\n-- services --\nimaps://mx1.example.test ok\n",
			want: saysIMAPS, verdict: doctor.Fails, innocent: true, findings: []doctor.Kind{doctor.KindNothingFound},
		},
		{name: "SRV without submission is nothing", world: "-- zone --\n_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 0 0 .\n", verdict: doctor.Fails},
		{
			name: "SRV for 143 is without encryption", world: "-- zone --\n_imap._tcp.example.test. SRV 0 1 143 mx1.example.test.\n_imaps._tcp.example.test. SRV 0 0 0 .\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n",
			want: "imap mx1.example.test:143 none jane@example.test", innocent: true, findings: []doctor.Kind{doctor.KindPlaintext},
		},
	})
}

func TestSnappyMailAsks(t *testing.T) {
	t.Parallel()
	testAsks(t, "snappymail", "", "jane@example.test",
		"GET "+mailV1URL+"?emailaddress=test%40example.test", "GET "+wellKnownURL, "GET "+hostPlainURL, "GET "+ispdbURL,
		"POST https://example.test/autodiscover/autodiscover.xml",
		"POST https://autodiscover.example.test/autodiscover/autodiscover.xml",
		"POST http://autodiscover.example.test/autodiscover/autodiscover.xml",
		"SRV _autodiscover._tcp.example.test", "SRV _submissions._tcp.example.test", "SRV _submission._tcp.example.test")
}

func FuzzSnappyMail(f *testing.F) {
	fuzzClient(f, "snappymail", map[string]string{"GET " + mailV1URL: "text/xml"}, configDocument(imap993, smtp587), configDocument(pop995, smtp465))
}

func FuzzSnappyMailAutodiscover(f *testing.F) {
	fuzzClient(f, "snappymail", map[string]string{"POST https://example.test/autodiscover/autodiscover.xml": "text/xml"},
		pox("<Type>IMAP</Type><Server>h.test</Server><Port>993</Port><SSL>on</SSL>", "<Type>SMTP</Type><Server>h.test</Server><Port>65536</Port>"))
}
