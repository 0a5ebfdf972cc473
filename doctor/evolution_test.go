package doctor_test

import (
	"strings"
	"testing"

	"mailconfd/doctor"
)

// TestEvolution takes its expectations from e-mail-autoconfig.c and
// e-srv-config-lookup.c, and from Evolution 3.46 as it ran.
func TestEvolution(t *testing.T) {
	t.Parallel()
	in, out := server("imap", "993", "SSL"), server("smtp", "587", "STARTTLS")
	const database = "https://autoconfig.thunderbird.net/v1.1/"
	// md5 of jane@example.test, by md5sum.
	const query = "?emailaddress=EVOLUTIONUSER%40example.test&emailmd5=33e89525c1768b83de106c0ef199bbe3"
	zoned := func(records string) string {
		return "\n-- zone --\n" + records + strings.TrimPrefix(mailServers, "\n-- zone --\n")
	}
	srv := zoned("_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n")
	const noISPDB = "-- GET " + database + "example.test --\n404 text/plain\n\n"
	hosted := zoned("example.test. MX 10 mx.in.hoster.test.\n") + noISPDB + "-- GET " + database + "mx.in.hoster.test --\n404 text/plain\n\n-- GET " + database + "in.hoster.test --\n404 text/plain\n\n"
	refused := []doctor.Kind{doctor.KindRejected}
	simulate(t, "evolution", []simulation{
		{name: "good", world: get(mainHTTPS, good), want: imapsAndSubmission, asks: []string{"GET " + mainHTTPS + query, "SRV _imaps._tcp.example.test", "SRV _submissions._tcp.example.test"}, avoids: []string{"GET " + mainHTTP + query}},
		{name: "nothing", kinds: nothing, asks: []string{"GET " + mainHTTP + query, "GET " + knownHTTPS + query, "GET " + knownHTTP + query, "GET " + database + "example.test"}, avoids: []string{"MX example.test"}},
		{name: "http before well-known", world: get(mainHTTP, good) + get(knownHTTPS, configFile(out)), want: imapsAndSubmission, source: mainHTTP + query},
		{name: "an untrusted certificate: http", world: recorded("GET", mainHTTPS, "200 text/xml\ncertificate certificate_name", configFile(out)) + get(mainHTTP, good), want: imapsAndSubmission},
		{name: "the last of each, value by value", world: get(mainHTTPS, configFile(in, server("imap", "143", "STARTTLS"), out, server("smtp", "465", "SSL"))), want: "imap mx1.example.test:143 starttls jane@example.test; submission mx1.example.test:465 tls jane@example.test"},
		{name: "a value that the last one lacks", world: get(mainHTTPS, configFile(in, out, `<outgoingServer type="smtp"><port>2525</port></outgoingServer>`)), want: strings.Replace(imapsAndSubmission, ":587", ":2525", 1)},
		{name: "IMAP before POP3", world: get(mainHTTPS, configFile(server("pop3", "995", "SSL"), in, out)), want: imapsAndSubmission},
		{name: "POP3 only", world: get(mainHTTPS, configFile(server("pop3", "995", "SSL"), out)), want: strings.Replace(imapsAndSubmission, "imap mx1.example.test:993", "pop3 mx1.example.test:995", 1)},
		{name: "an unknown type", world: get(mainHTTPS, configFile(in, server("jmap", "443", "SSL"), out)), want: imapsAndSubmission},
		{name: "another attribute: what stood before is kept", world: get(mainHTTPS, configFile(in, strings.ReplaceAll(out, `type="smtp"`, `type="smtp" x="1"`))) + get(knownHTTPS, configFile(server("smtp", "465", "SSL"))), want: strings.Replace(imapsAndSubmission, "587 starttls", "465 tls", 1), kinds: refused},
		{name: "cut off, and nothing else", world: get(mainHTTPS, good[:len(good)-20]), kinds: rejected},
		{name: "a byte order mark", world: get(mainHTTPS, "\ufeff"+good), kinds: rejected},
		{name: "HTML: on to the next", world: recorded("GET", mainHTTPS, "200 text/html", "<html><br></html>") + get(knownHTTPS, good), want: imapsAndSubmission},
		{name: "well-formed HTML ends it", world: recorded("GET", mainHTTPS, "200 text/html", "<html></html>") + get(knownHTTPS, good), kinds: rejected},
		{name: "204: on to the next", world: recorded("GET", mainHTTPS, "204", "") + get(knownHTTPS, good), want: imapsAndSubmission},
		{name: "any 2xx and content type", world: recorded("GET", mainHTTPS, "203 text/plain", good), want: imapsAndSubmission},
		{name: "TLS: no encryption", world: get(mainHTTPS, configFile(server("imap", "143", "TLS"), out)), want: strings.Replace(imapAndSubmission, "143 starttls", "143 none", 1), kinds: []doctor.Kind{doctor.KindPlaintext}},
		{name: "CDATA is no text", world: get(mainHTTPS, strings.Replace(good, ">mx1.example.test<", "><![CDATA[mx1.example.test]]><", 1)), want: "submission mx1.example.test:587 starttls jane@example.test", kinds: nothing},
		{name: "a comment: what stands behind it", world: get(mainHTTPS, strings.Replace(good, ">mx1.example.test<", ">nonsense<!-- c -->mx1.example.test<", 1)), want: imapsAndSubmission},
		{name: "a port with letters behind it", world: get(mainHTTPS, strings.ReplaceAll(good, ">993<", ">993abc<")), want: imapsAndSubmission},
		{name: "no username: it asks", world: get(mainHTTPS, strings.ReplaceAll(good, "<username>%EMAILADDRESS%</username>", "")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "")},
		{name: "a composite user name", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "%EMAILLOCALPART%.%EMAILDOMAIN%")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "jane.example.test")},
		{name: "SMTP by document wants LOGIN", world: strings.ReplaceAll(mailServers, "submission://mx1.example.test ok", "submission://mx1.example.test ok PLAIN") + get(mainHTTPS, good), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "SMTP by SRV wants PLAIN", world: strings.ReplaceAll(srv, "submission://mx1.example.test ok", "submission://mx1.example.test ok LOGIN"), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "the last method counts", world: get(mainHTTPS, strings.ReplaceAll(good, "</authentication>", "</authentication><authentication>password-encrypted</authentication>")), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "SRV", world: srv, want: imapsAndSubmission},
		{name: "SRV: the label with an s, whatever the priority", world: zoned("_imaps._tcp.example.test. SRV 9 1 993 mx1.example.test.\n_imap._tcp.example.test. SRV 0 1 143 mx1.example.test.\n_submissions._tcp.example.test. SRV 9 1 465 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n"), want: strings.Replace(imapsAndSubmission, "587 starttls", "465 tls", 1)},
		{name: "SRV: STARTTLS on any port", world: zoned("_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 2525 mx1.example.test.\n"), want: strings.Replace(imapsAndSubmission, ":587", ":2525", 1)},
		{name: "SRV: not offered", world: zoned("_imaps._tcp.example.test. SRV 0 0 0 .\n_pop3s._tcp.example.test. SRV 0 1 995 mx1.example.test.\n_submissions._tcp.example.test. SRV 0 1 465 mx1.example.test.\n"), want: "pop3 mx1.example.test:995 tls jane@example.test; submission mx1.example.test:465 tls jane@example.test"},
		{name: "a document outranks SRV", world: srv + get(mainHTTPS, configFile(server("imap", "143", "STARTTLS"), server("smtp", "465", "SSL"))), want: "imap mx1.example.test:143 starttls jane@example.test; submission mx1.example.test:465 tls jane@example.test"},
		{name: "IMAP by SRV outranks POP3 by document", world: srv + get(mainHTTPS, configFile(server("pop3", "995", "SSL"), server("smtp", "465", "SSL"))), want: strings.Replace(imapsAndSubmission, "587 starttls", "465 tls", 1)},
		{name: "the ISPDB", world: get(database+"example.test", good), want: imapsAndSubmission, source: database + "example.test"},
		{name: "the MX, label by label", world: hosted + get("http://autoconfig.hoster.test/mail/config-v1.1.xml", good), want: imapsAndSubmission, asks: []string{"GET https://autoconfig.mx.in.hoster.test/mail/config-v1.1.xml" + query, "GET " + database + "in.hoster.test"}},
		{name: "no MX without a 404 of the ISPDB", world: zoned("example.test. MX 10 mx.hoster.test.\n") + "-- GET " + database + "example.test --\n500 text/plain\n\n" + get("https://autoconfig.hoster.test/mail/config-v1.1.xml", good), kinds: nothing},
	})
}
