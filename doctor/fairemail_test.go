package doctor_test

import (
	"strings"
	"testing"

	"mailconfd/doctor"
)

// TestFairEmail takes its expectations from EmailProvider.java, Misc.java and
// FragmentQuickSetup.java.
func TestFairEmail(t *testing.T) {
	t.Parallel()
	in, out := server("imap", "993", "SSL"), server("smtp", "587", "STARTTLS")
	const database = "https://autoconfig.thunderbird.net/v1.1/example.test"
	const query = "?emailaddress=jane@example.test"
	zoned := func(records string) string {
		return "\n-- zone --\n" + records + strings.TrimPrefix(mailServers, "\n-- zone --\n")
	}
	srv := func(imap, submission string) string {
		return zoned("_imap" + imap + " mx1.example.test.\n_submission" + submission + " mx1.example.test.\n")
	}
	refused := []doctor.Kind{doctor.KindRejected}
	guessed := []doctor.Kind{doctor.KindGuess}
	implicit := strings.Replace(imapsAndSubmission, "587 starttls", "465 tls", 1)
	other := configFile(in, server("smtp", "465", "SSL"))
	simulate(t, "fairemail", []simulation{
		{name: "good", world: get(mainHTTPS, good), want: imapsAndSubmission, source: mainHTTPS + query, asks: []string{"GET " + mainHTTPS + query, "SRV _imap._tcp.example.test", "POST " + poxRoot, "POST " + poxHost}, avoids: []string{"GET " + mainHTTP + query}},
		{name: "nothing", kinds: nothing, asks: []string{"GET " + knownHTTPS + query, "GET " + mainHTTP + query, "GET " + knownHTTP + query, "GET " + database, "MX example.test"}},
		{name: "a plus goes as it is", address: "jane+tag@example.test", world: get(mainHTTPS, good), want: strings.ReplaceAll(imapsAndSubmission, "jane@", "jane+tag@"), asks: []string{"GET " + mainHTTPS + "?emailaddress=jane+tag@example.test"}},
		{name: "only 200", world: recorded("GET", mainHTTPS, "203 text/xml", good) + get(knownHTTPS, other), want: implicit},
		{name: "HTML: on to the next", world: recorded("GET", mainHTTPS, "200 text/html", "<p>hello") + get(knownHTTPS, good), want: imapsAndSubmission},
		{name: "a certificate for another name", world: recorded("GET", mainHTTPS, "200 text/xml\ncertificate certificate_name", good), want: imapsAndSubmission},
		{name: "a certificate that nobody signed", world: recorded("GET", mainHTTPS, "200 text/xml\ncertificate certificate_untrusted", good) + get(mainHTTP, other), want: implicit, source: mainHTTP + query},
		{name: "a certificate for another name at the ISPDB", world: recorded("GET", database, "200 text/xml\ncertificate certificate_name", good), kinds: nothing},
		{name: "no redirect from http to https", world: recorded("GET", mainHTTP, "302\nlocation "+poxRoot, "") + get(poxRoot, good), kinds: nothing},
		{name: "a redirect by https", world: recorded("GET", mainHTTPS, "302\nlocation https://elsewhere.test/a", "") + get("https://elsewhere.test/a", good), want: imapsAndSubmission},
		{name: "the first of each", world: get(mainHTTPS, configFile(in, server("imap", "143", "STARTTLS"), out, server("smtp", "465", "SSL"))), want: imapsAndSubmission},
		{name: "IMAP behind POP3 is not read", world: get(mainHTTPS, configFile(server("pop3", "995", "SSL"), in, out)) + get(knownHTTPS, other), want: implicit, kinds: refused},
		{name: "no SMTP", world: get(mainHTTPS, configFile(in)), kinds: rejected},
		{name: "plain: by the port", world: get(mainHTTPS, configFile(server("imap", "143", "plain"), server("smtp", "587", "plain"))), want: imapAndSubmission},
		{name: "plain at another port: implicit TLS", world: get(mainHTTPS, configFile(in, server("smtp", "465", "plain"))), want: implicit},
		{name: "2525 with STARTTLS", world: get(mainHTTPS, configFile(in, server("smtp", "2525", "STARTTLS"))), want: strings.Replace(imapsAndSubmission, ":587", ":2525", 1)},
		{name: "the port behind the socket type decides", world: get(mainHTTPS, configFile(in, server("smtp", "2525", "STARTTLS", "<port>2525</port>", "", "</socketType>", "</socketType><port>2525</port>"))), want: strings.Replace(imapsAndSubmission, "587 starttls", "2525 tls", 1), kinds: []doctor.Kind{doctor.KindNotReached}},
		{name: "spaces in a port", world: get(mainHTTPS, strings.ReplaceAll(good, ">993<", "> 993<")) + get(knownHTTPS, other), want: implicit, kinds: refused},
		{name: "the local part", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "%EMAILLOCALPART%")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "jane")},
		{name: "a composite user name is taken as it is", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "%EMAILLOCALPART%@%EMAILDOMAIN%")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "%EMAILLOCALPART%@%EMAILDOMAIN%"), kinds: []doctor.Kind{doctor.KindUsername}},
		{name: "Autodiscover", world: post(poxHost, poxAnswer(protocol("IMAP", "993"), protocol("SMTP", "587", "<LoginName>x</LoginName>"))), want: imapsAndSubmission, source: poxHost},
		{name: "Autodiscover: the last of each, by the port", world: post(poxRoot, poxAnswer(protocol("IMAP", "993"), protocol("IMAP", "143"), protocol("SMTP", "587"), protocol("SMTP", "465"))), want: strings.Replace(imapAndSubmission, "587 starttls", "465 tls", 1)},
		{name: "Autodiscover: 2525", world: post(poxRoot, poxAnswer(protocol("IMAP", "993"), protocol("SMTP", "2525", "<Encryption>TLS</Encryption>"))), want: strings.Replace(imapsAndSubmission, "587 starttls", "2525 tls", 1), kinds: []doctor.Kind{doctor.KindNotReached}},
		{name: "Autodiscover: Protocol before AccountType", world: post(poxRoot, account(protocol("IMAP", "993")+protocol("SMTP", "587")+"<AccountType>email</AccountType><Action>settings</Action>")), kinds: rejected},
		{name: "autoconfig before Autodiscover", world: get(mainHTTPS, good) + post(poxRoot, poxAnswer(protocol("IMAP", "143"), protocol("SMTP", "465"))), want: imapsAndSubmission},
		{name: "SRV before autoconfig", world: srv("s._tcp.example.test. SRV 0 1 993", "s._tcp.example.test. SRV 0 1 465") + get(mainHTTPS, good), want: implicit},
		{name: "a literal user name before SRV", world: srv("s._tcp.example.test. SRV 0 1 993", "s._tcp.example.test. SRV 0 1 465") + get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "j123")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "j123")},
		{name: "SRV that does not work: autoconfig", world: srv("s._tcp.example.test. SRV 0 1 1993", "._tcp.example.test. SRV 0 1 587") + get(mainHTTPS, good), want: imapsAndSubmission, source: mainHTTPS + query},
		{name: "SRV: _submission at 2525 is taken for implicit TLS", world: srv("s._tcp.example.test. SRV 0 1 993", "._tcp.example.test. SRV 0 1 2525"), want: strings.Replace(imapsAndSubmission, "587 starttls", "2525 tls", 1), kinds: []doctor.Kind{doctor.KindNotReached}},
		{name: "SRV: nothing to send with", world: zoned("_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n"), kinds: nothing},
		{
			name: "SRV: priority, weight, then _imaps and _submission", world: zoned("_imap._tcp.example.test. SRV 0 1 143 mx1.example.test.\n_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n_submissions._tcp.example.test. SRV 0 1 465 mx1.example.test.\n"),
			want: imapsAndSubmission,
		},
		{
			name: "SRV: the heavier", world: zoned("_imap._tcp.example.test. SRV 0 5 143 mx1.example.test.\n_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 5 1 587 mx1.example.test.\n_submissions._tcp.example.test. SRV 0 1 465 mx1.example.test.\n"),
			want: strings.Replace(imapAndSubmission, "587 starttls", "465 tls", 1),
		},
		{name: "SRV: not offered", world: zoned("_imap._tcp.example.test. SRV 0 0 0 .\n_imaps._tcp.example.test. SRV 9 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n"), want: imapsAndSubmission},
		{name: "a scan", world: "\n-- zone --\nmail.example.test. A 192.0.2.1\nsmtps.example.test. A 192.0.2.1\n-- services --\nimap://mail.example.test ok\nsubmissions://smtps.example.test ok\n", want: "imap mail.example.test:143 starttls jane@example.test; submission smtps.example.test:465 tls jane@example.test", kinds: guessed},
		{name: "the MX's domain", world: zoned("example.test. MX 10 mx.in.hoster.test.\n") + get("https://autoconfig.hoster.test/mail/config-v1.1.xml", good), want: imapsAndSubmission, asks: []string{"GET https://autoconfig.mx.in.hoster.test/mail/config-v1.1.xml" + query}},
		{name: "the MX itself", world: zoned("example.test. MX 10 mx1.example.test.\n"), want: imapsAndSubmission, kinds: guessed},
	})
}
