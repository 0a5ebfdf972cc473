package doctor_test

import (
	"strings"
	"testing"

	"mailconfd/doctor"
)

// TestThunderbirdAndroid takes its expectations from RealAutoconfigParser,
// AutoconfigDiscovery and OkHttpFetcher.
func TestThunderbirdAndroid(t *testing.T) {
	t.Parallel()
	in, out := server("imap", "993", "SSL"), server("smtp", "587", "STARTTLS")
	refused := func(name, document string) simulation {
		return simulation{name: name, world: get(mainHTTPS, document) + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS, kinds: []doctor.Kind{doctor.KindRejected}}
	}
	const database = "https://autoconfig.thunderbird.net/v1.1/"
	hosted := "\n-- zone --\nexample.test. MX 10 mx1.in.hoster.test.\n" + strings.TrimPrefix(mailServers, "\n-- zone --\n")
	asks := []doctor.Kind{doctor.KindAsksUser}
	simulate(t, "thunderbird-android", []simulation{
		{name: "good", world: get(mainHTTPS, good), want: imapsAndSubmission, source: mainHTTPS, asks: []string{"GET " + mainHTTPS}, avoids: []string{"GET " + knownHTTPS}},
		{name: "nothing", kinds: nothing, asks: []string{"GET " + mainHTTPS, "GET " + knownHTTPS, "GET " + mainHTTP, "GET " + knownHTTP, "GET " + database + "example.test", "MX example.test"}},
		{name: "http only", world: get(mainHTTP, good), want: imapsAndSubmission, kinds: asks},
		{name: "from https to http", world: recorded("GET", mainHTTPS, "301\nlocation http://elsewhere.test/a", "") + get("http://elsewhere.test/a", good), want: imapsAndSubmission, kinds: asks},
		{name: "an untrusted certificate", world: recorded("GET", mainHTTPS, "200 text/xml\ncertificate certificate_expired", good) + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "any content type", world: recorded("GET", mainHTTPS, "200 text/plain", good), want: imapsAndSubmission},
		{name: "any 2xx", world: recorded("GET", mainHTTPS, "203 text/xml", good), want: imapsAndSubmission},
		{name: "204: on to the next", world: recorded("GET", mainHTTPS, "204", "") + get(knownHTTPS, good), want: imapsAndSubmission},
		{name: "HTML: on to the next", world: recorded("GET", mainHTTPS, "200 text/html", "<p>hello") + get(knownHTTPS, good), want: imapsAndSubmission},
		{name: "404", world: recorded("GET", mainHTTPS, "404", good) + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "the ISPDB", world: get(database+"example.test", good), want: imapsAndSubmission},
		{name: "the MX's domain, unsigned", world: hosted + get("https://autoconfig.hoster.test/mail/config-v1.1.xml", good), want: imapsAndSubmission, kinds: asks, asks: []string{"GET https://autoconfig.in.hoster.test/mail/config-v1.1.xml", "GET " + database + "in.hoster.test"}},
		refused("plain", configFile(server("imap", "143", "plain"), out)),
		refused("a second server that is plain", configFile(in, out, server("smtp", "25", "plain"))),
		refused("TLS", configFile(server("imap", "993", "TLS"), out)),
		refused("spaces", strings.ReplaceAll(good, ">SSL<", "> SSL <")),
		refused("spaces in a host", strings.ReplaceAll(good, ">mx1.example.test<", "> mx1.example.test <")),
		refused("no username", strings.ReplaceAll(good, "<username>%EMAILADDRESS%</username>", "")),
		refused("no id", strings.ReplaceAll(good, ` id="example.test"`, "")),
		refused("no domain", strings.ReplaceAll(good, "<domain>example.test</domain>", "")),
		refused("no authentication that it knows", strings.ReplaceAll(good, "password-cleartext", "NTLM")),
		refused("an element in a value", strings.ReplaceAll(good, ">SSL<", "><b/>SSL<")),
		refused("a port that is no number", strings.ReplaceAll(good, ">993<", ">993 <")),
		refused("POP3 only", configFile(server("pop3", "995", "SSL"), out)),
		refused("no outgoing", configFile(in)),
		refused("oAuth2 without URLs", strings.ReplaceAll(good, "</emailProvider>", "<oAuth2><issuer>x</issuer></oAuth2></emailProvider>")),
		{name: "a bad POP3 server does no harm", world: get(mainHTTPS, configFile(server("pop3", "110", "plain"), in, out)), want: imapsAndSubmission},
		{name: "a comment in a value", world: get(mainHTTPS, strings.ReplaceAll(good, ">SSL<", "><!-- c -->SSL<")), want: imapsAndSubmission},
		{name: "the first of each", world: get(mainHTTPS, configFile(in, server("imap", "143", "STARTTLS"), out, server("smtp", "465", "SSL"))), want: imapsAndSubmission},
		{name: "an unknown method first", world: get(mainHTTPS, strings.ReplaceAll(good, "<authentication>", `<authentication>TLS-client-cert</authentication><authentication>`)), want: imapsAndSubmission},
		{name: "encrypted password", world: get(mainHTTPS, strings.ReplaceAll(good, "password-cleartext", "password-encrypted")), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "OAuth2 alone", world: get(mainHTTPS, strings.ReplaceAll(good, "password-cleartext", "OAuth2")), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "an MX of the domain itself", world: "\n-- zone --\nexample.test. MX 10 mx.example.test.\n" + strings.TrimPrefix(mailServers, "\n-- zone --\n"), kinds: nothing, avoids: []string{"GET https://autoconfig.example.test/mail/config-v1.1.xml?x"}},
		{name: "a composite user name", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "%EMAILLOCALPART%.%EMAILDOMAIN%")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "jane.example.test")},
		{name: "a placeholder for the domain", world: get(mainHTTPS, strings.ReplaceAll(good, "<domain>example.test", "<domain>%EMAILDOMAIN%")), want: imapsAndSubmission},
		{name: "2525", world: get(mainHTTPS, configFile(in, server("smtp", "2525", "STARTTLS"))), want: strings.Replace(imapsAndSubmission, ":587", ":2525", 1)},
		{name: "no Autodiscover, no SRV", world: post(poxHost, poxAnswer(protocol("IMAP", "993"), protocol("SMTP", "587"))), kinds: nothing, avoids: []string{"POST " + poxHost}},
	})
}
