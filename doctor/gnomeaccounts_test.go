package doctor_test

import (
	"testing"

	"mailconfd/doctor"
)

func TestGNOMEAccounts(t *testing.T) {
	t.Parallel()
	const asks = "imap mx1.example.test:993 tls ; submission mx1.example.test:587 starttls "
	testClient(t, "gnome-online-accounts", []clientCase{
		{name: "mail-v1.xml", world: services + at(mailV1URL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "the older path", world: services + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "plain http", world: services + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "its own ISPDB", world: services + at("https://v1.ispdb.net/example.test", xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "Thunderbird's ISPDB is not asked", world: services + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), verdict: doctor.Fails},
		{name: "201 is not 200", world: services + at(mailV1URL, "201 text/xml", configDocument(imap143, smtp465)) + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "HTML for mail-v1.xml", world: services + at(mailV1URL, "200 text/html", "<html></html>") + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "an empty clientConfig ends the search", world: services + at(mailV1URL, xmlHead, "<clientConfig/>") + at(hostURL, xmlHead, configDocument(imap993, smtp587)), verdict: doctor.Fails},
		{name: "a broken end is read as far as it goes", world: services + at(mailV1URL, xmlHead, configDocument(imap993, smtp587)+"</oops>"), want: saysUsual},
		{name: "the first of a kind", world: services + at(mailV1URL, xmlHead, configDocument(pop995, imap143, imap993, smtp465, smtp587)), want: saysIMAP + "; " + saysSMTPS},
		{name: "letter case of socketType and placeholders", world: services + at(mailV1URL, xmlHead, configDocument("imap mx1.example.test 993 ssl %EmailAddress%", "smtp mx1.example.test 587 StartTLS %emailaddress%")), want: saysUsual},
		{name: "local part", world: services + at(mailV1URL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%")), want: "imap mx1.example.test:993 tls jane"},
		{
			name: "a composite user name", world: services + at(mailV1URL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%@%EMAILDOMAIN%", "smtp mx1.example.test 587 STARTTLS %EMAILLOCALPART%@%EMAILDOMAIN%")),
			want: asks, verdict: doctor.Works, findings: []doctor.Kind{doctor.KindUsername},
		},
		{name: "a literal user name", world: services + at(mailV1URL, xmlHead, configDocument("imap mx1.example.test 993 SSL jane1", "smtp mx1.example.test 587 STARTTLS jane1")), want: asks},
		{
			name: "the port is lost: 2525 becomes 587", world: services + at(mailV1URL, xmlHead, configDocument(imap993, smtp2525)),
			want: saysUsual, verdict: doctor.Works,
		},
		{
			name: "the port is lost, and that breaks it", world: "-- services --\nimaps://mx1.example.test ok\nsubmission://mx1.example.test:2525 ok\n" + at(mailV1URL, xmlHead, configDocument(imap993, smtp2525)),
			want: saysUsual, verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindNotReached},
		},
		{name: "plain becomes implicit TLS", world: services + at(mailV1URL, xmlHead, configDocument("imap mx1.example.test 993 plain %EMAILADDRESS%", smtp587)), want: saysUsual},
		{name: "POP3 only", world: services + at(mailV1URL, xmlHead, configDocument(pop995, smtp587)), want: saysSubmission, findings: []doctor.Kind{doctor.KindNothingFound}, verdict: doctor.Fails},
		{
			name: "the MX's own name, then its domain", world: "-- zone --\nexample.test. MX 20 mx2.hoster.test.\nexample.test. MX 10 mx.in.hoster.test.\n-- services --\nimaps://mx1.example.test ok\nsubmission://mx1.example.test ok\n" +
				at("https://autoconfig.hoster.test/.well-known/mail-v1.xml", xmlHead, configDocument(imap993, smtp587)),
			want: saysUsual, verdict: doctor.Works,
		},
		{name: "slower than 15 s", world: services + at(mailV1URL, xmlHead+"\ntook 16s", configDocument(imap993, smtp587))},
		{name: "401", world: services + at(mailV1URL, "401 text/html", "") + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{
			name: "IMAP without the LOGIN command", world: "-- services --\nimaps://mx1.example.test ok PLAIN\nsubmission://mx1.example.test ok PLAIN\n" + at(mailV1URL, xmlHead, configDocument(imap993, smtp587)),
			want: saysUsual, verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindNoPassword},
		},
	})
}

func TestGNOMEAccountsAsks(t *testing.T) {
	t.Parallel()
	testAsks(t, "gnome-online-accounts", "-- zone --\nexample.test. MX 10 mx.in.hoster.test.\n", "jane+tag@example.test",
		"GET "+mailV1URL+"?emailaddress=jane+tag@example.test",
		"GET "+hostURL+"?emailaddress=jane+tag@example.test",
		"GET "+wellKnownURL, "GET "+hostPlainURL, "GET https://v1.ispdb.net/example.test",
		"MX example.test",
		"GET https://autoconfig.mx.in.hoster.test/.well-known/mail-v1.xml?emailaddress=jane+tag@example.test",
		"GET https://autoconfig.hoster.test/.well-known/mail-v1.xml?emailaddress=jane+tag@example.test",
		"GET https://v1.ispdb.net/mx.in.hoster.test", "GET https://v1.ispdb.net/hoster.test")
}

func FuzzGNOMEAccounts(f *testing.F) {
	fuzzClient(f, "gnome-online-accounts", map[string]string{"GET " + mailV1URL: "text/xml"}, configDocument(imap993, smtp587), configDocument(imap143, smtp2525)+"</x>")
}
