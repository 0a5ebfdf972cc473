package doctor_test

import (
	"strings"
	"testing"

	"mailconfd/doctor"
)

// TestKMail takes its expectations from ispdbservice.cpp, serverconfiguration.cpp and
// configurationmodel.cpp, and from ispdb 22.12 as it ran.
func TestKMail(t *testing.T) {
	t.Parallel()
	in, out := server("imap", "993", "SSL"), server("smtp", "587", "STARTTLS")
	const database = "https://autoconfig.thunderbird.net/v1.1/example.test"
	other := configFile(server("pop3", "995", "SSL"), server("smtp", "465", "SSL"))
	const otherSettings = "pop3 mx1.example.test:995 tls jane@example.test; submission mx1.example.test:465 tls jane@example.test"
	simulate(t, "kmail", []simulation{
		{name: "good", world: get(mainHTTPS, good), want: imapsAndSubmission, source: mainHTTPS, asks: []string{"GET " + database, "GET " + mainHTTPS}},
		{name: "nothing", kinds: nothing, asks: []string{"GET " + database, "GET " + mainHTTPS, "GET " + mainHTTP, "GET " + knownHTTPS}, avoids: []string{"GET " + knownHTTP, "MX example.test"}},
		{name: "the ISPDB counts more", world: get(database, other) + get(mainHTTPS, good), want: otherSettings, source: database, avoids: []string{"GET " + mainHTTPS}},
		{name: "http before well-known", world: get(mainHTTP, good) + get(knownHTTPS, other), want: imapsAndSubmission, source: mainHTTP},
		{name: "a certificate that is not trusted: http", world: recorded("GET", mainHTTPS, "200 text/xml\ncertificate certificate_untrusted", other) + get(mainHTTP, good), want: imapsAndSubmission},
		{name: "404, 503", world: recorded("GET", mainHTTPS, "404", "") + recorded("GET", mainHTTP, "503", "") + get(knownHTTPS, good), want: imapsAndSubmission},
		{name: "204: on to the next", world: recorded("GET", mainHTTPS, "204", "") + get(knownHTTPS, good), want: imapsAndSubmission},
		{name: "200 with HTML ends it", world: recorded("GET", mainHTTPS, "200 text/html", "<p>hello") + get(knownHTTPS, good), kinds: rejected},
		{name: "200 with another document ends it", world: get(mainHTTPS, "<x/>") + get(knownHTTPS, good), kinds: rejected},
		{name: "no redirect from https to http", world: recorded("GET", mainHTTPS, "302\nlocation http://elsewhere.test/a", "") + get("http://elsewhere.test/a", other) + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "any content type", world: recorded("GET", mainHTTPS, "200 text/plain", good), want: imapsAndSubmission},
		{name: "STARTTLS before SSL before plain", world: get(mainHTTPS, configFile(in, server("smtp", "25", "plain"), server("smtp", "465", "SSL"), out)), want: imapsAndSubmission},
		{name: "IMAP before POP3", world: get(mainHTTPS, configFile(server("pop3", "995", "SSL"), in, out)), want: imapsAndSubmission},
		{name: "POP3 only", world: get(mainHTTPS, other), want: otherSettings},
		{name: "no id and no domain", world: get(mainHTTPS, strings.NewReplacer(` id="example.test"`, "", "<domain>example.test</domain>", "").Replace(good)), want: imapsAndSubmission},
		{name: "a server without a port", world: get(mainHTTPS, configFile(server("imap", "", "SSL", "<port></port>", ""), server("imap", "143", "STARTTLS"), out)), want: imapAndSubmission},
		{name: "spaces in a port", world: get(mainHTTPS, strings.ReplaceAll(good, ">993<", "> 993 <")), want: imapsAndSubmission},
		{name: "CDATA", world: get(mainHTTPS, strings.ReplaceAll(good, ">mx1.example.test<", "><![CDATA[mx1.example.test]]><")), want: imapsAndSubmission},
		{name: "plain", world: get(mainHTTPS, configFile(server("imap", "143", "plain"), out)), want: strings.Replace(imapAndSubmission, "143 starttls", "143 none", 1), kinds: []doctor.Kind{doctor.KindPlaintext}},
		{name: "OAuth2 behind a password counts more", world: get(mainHTTPS, strings.ReplaceAll(good, "</authentication>", "</authentication><authentication>OAuth2</authentication>")), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "an encrypted password is CRAM-MD5", world: get(mainHTTPS, strings.ReplaceAll(good, "</authentication>", "</authentication><authentication>password-encrypted</authentication>")), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "no outgoing", world: get(mainHTTPS, configFile(in)), want: "imap mx1.example.test:993 tls jane@example.test", kinds: nothing},
		{name: "no username: it asks", world: get(mainHTTPS, strings.ReplaceAll(good, "<username>%EMAILADDRESS%</username>", "")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "")},
		{name: "the local part", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "%EMAILLOCALPART%")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "jane")},
	})
}
