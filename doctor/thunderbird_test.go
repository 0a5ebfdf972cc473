package doctor_test

import (
	"strings"
	"testing"

	"mailconfd/doctor"
	"mailconfd/settings"
)

const goodAutoconfig = `
-- zone --
mail.example.test. A 192.0.2.1
-- services --
imaps://mail.example.test ok
submission://mail.example.test ok
-- GET https://autoconfig.example.test/mail/config-v1.1.xml --
200 text/xml; charset=utf-8

<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="example.test">
    <domain>example.test</domain>
    <displayName>Example</displayName>
    <displayShortName>Example</displayShortName>
    <incomingServer type="imap">
      <hostname>mail.example.test</hostname>
      <port>993</port>
      <socketType>SSL</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </incomingServer>
    <outgoingServer type="smtp">
      <hostname>mail.example.test</hostname>
      <port>587</port>
      <socketType>STARTTLS</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </outgoingServer>
  </emailProvider>
</clientConfig>
`

func TestThunderbirdGood(t *testing.T) {
	t.Parallel()
	r := examine(t, parseWorld(t, goodAutoconfig), "jane@example.test", "thunderbird")
	if got := say(r.Clients[0]); got != strings.ReplaceAll(imapsAndSubmission, "mx1", "mail") || r.Clients[0].Verdict != doctor.Works {
		t.Errorf("got %q, %s, want %q; %+v", got, r.Clients[0].Verdict, imapsAndSubmission, r.Clients[0])
	}
}

// nothing is what a client with no settings is told.
var nothing = []doctor.Kind{doctor.KindNothingFound}

var rejected = []doctor.Kind{doctor.KindNothingFound, doctor.KindRejected}

// TestThunderbirdAutoconfig has the answers that Thunderbird 153.7 ESR was given, and
// what it made of them.
func TestThunderbirdAutoconfig(t *testing.T) {
	t.Parallel()
	out := server("smtp", "587", "STARTTLS")
	in := server("imap", "993", "SSL")
	simulate(t, "thunderbird", []simulation{
		{name: "plain", world: get(mainHTTPS, configFile(server("imap", "143", "plain"), out)), want: strings.Replace(imapAndSubmission, "143 starttls", "143 none", 1), kinds: []doctor.Kind{doctor.KindPlaintext}},
		{name: "plain before SSL", world: get(mainHTTPS, configFile(server("imap", "143", "plain"), in, out)), want: strings.Replace(imapAndSubmission, "143 starttls", "143 none", 1), kinds: []doctor.Kind{doctor.KindPlaintext}},
		{name: "TLS", world: get(mainHTTPS, configFile(server("imap", "993", "TLS"), out)), kinds: rejected},
		{name: "ssl", world: get(mainHTTPS, configFile(server("imap", "993", "ssl"), out)), kinds: rejected},
		{name: "starttls", world: get(mainHTTPS, configFile(in, server("smtp", "587", "starttls"))), kinds: rejected},
		{name: "587 and 465", world: get(mainHTTPS, configFile(in, out, server("smtp", "465", "SSL"))), want: imapsAndSubmission},
		{name: "465 and 587", world: get(mainHTTPS, configFile(in, server("smtp", "465", "SSL"), out)), want: strings.Replace(imapsAndSubmission, "587 starttls", "465 tls", 1)},
		{name: "2525", world: get(mainHTTPS, configFile(in, server("smtp", "2525", "STARTTLS"))), want: strings.Replace(imapsAndSubmission, ":587", ":2525", 1)},
		{name: "POP3 before IMAP", world: get(mainHTTPS, configFile(server("pop3", "995", "SSL"), in, out)), want: strings.Replace(imapsAndSubmission, "imap mx1.example.test:993", "pop3 mx1.example.test:995", 1)},
		{name: "an unknown type first", world: get(mainHTTPS, configFile(server("jmap", "443", "SSL"), in, out)), want: imapsAndSubmission},
		{name: "OAuth2 and then password", world: get(mainHTTPS, configFile(strings.ReplaceAll(in, "<authentication>", "<authentication>OAuth2</authentication><authentication>"), out)), want: imapsAndSubmission},
		{name: "OAuth2 alone", world: get(mainHTTPS, configFile(strings.ReplaceAll(in, "password-cleartext", "OAuth2"), out)), kinds: rejected},
		{name: "no outgoing", world: get(mainHTTPS, configFile(in)), kinds: rejected},
		{name: "no domain", world: get(mainHTTPS, strings.ReplaceAll(good, "<domain>example.test</domain>", "")), kinds: rejected},
		{name: "no id", world: get(mainHTTPS, strings.ReplaceAll(good, ` id="example.test"`, "")), kinds: rejected},
		{name: "no authentication", world: get(mainHTTPS, strings.ReplaceAll(good, "<authentication>password-cleartext</authentication>", "")), kinds: rejected},
		{name: "a blank line before the declaration", world: get(mainHTTPS, "\n"+good), kinds: rejected},
		{name: "another domain", world: get(mainHTTPS, strings.ReplaceAll(good, "<domain>example.test", "<domain>other.test")), want: imapsAndSubmission},
		{name: "a default namespace", world: get(mainHTTPS, strings.Replace(good, "<clientConfig", `<clientConfig xmlns="https://www.example.test/ns"`, 1)), want: imapsAndSubmission},
		{name: "a byte order mark", world: get(mainHTTPS, "\ufeff"+good), want: imapsAndSubmission},
		{name: "capitals and spaces in a hostname", world: get(mainHTTPS, strings.ReplaceAll(good, "<hostname>mx1.example.test", "<hostname> Mx1.Example.test ")), want: imapsAndSubmission},
		{name: "no username", world: get(mainHTTPS, strings.ReplaceAll(good, "<username>%EMAILADDRESS%</username>", "")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "undefined"), kinds: []doctor.Kind{doctor.KindUsername}},
		{name: "an empty username", world: get(mainHTTPS, strings.ReplaceAll(good, "<username>%EMAILADDRESS%</username>", "<username/>")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "true"), kinds: []doctor.Kind{doctor.KindUsername}},
		{name: "a username that looks like a number", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "00123")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "123"), kinds: []doctor.Kind{doctor.KindUsername}},
		{name: "a username that looks like hexadecimal", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "0x10")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "0"), kinds: []doctor.Kind{doctor.KindUsername}},
		{name: "the local part", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "%EMAILLOCALPART%")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "jane")},
		{name: "a composite username", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "%EMAILLOCALPART%@%EMAILDOMAIN%")), want: imapsAndSubmission},
		{name: "spaces in the socket type", world: get(mainHTTPS, strings.ReplaceAll(good, ">SSL<", "> SSL <")), kinds: rejected},
		{name: "an attribute on the socket type", world: get(mainHTTPS, strings.ReplaceAll(good, "<socketType>SSL", `<socketType x="1">SSL`)), kinds: rejected},
		{name: "a SASL method before the password", world: get(mainHTTPS, strings.ReplaceAll(good, "<authentication>", `<authentication system="sasl">SCRAM-SHA-256</authentication><authentication>`)), want: imapsAndSubmission},
		{name: "a domain with a purpose alone", world: get(mainHTTPS, strings.ReplaceAll(good, "<domain>", `<domain purpose="mx">`)), kinds: rejected},
		{name: "a placeholder for the domain and in a host", world: get(mainHTTPS, strings.NewReplacer("<domain>example.test", "<domain>%EMAILDOMAIN%", "mx1.example.test", "mx1.%EMAILDOMAIN%").Replace(good)), want: imapsAndSubmission},
		{name: "letters of its own in a host", world: get(mainHTTPS, strings.ReplaceAll(good, "mx1.example.test", "mx1.bücher.test")), kinds: rejected},
		{name: "letters of its own in the domain", world: get(mainHTTPS, strings.ReplaceAll(good, "<domain>example.test", "<domain>bücher.test")), kinds: rejected},
		{name: "encrypted password where none is offered", world: get(mainHTTPS, strings.ReplaceAll(good, "password-cleartext", "password-encrypted")), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "Kerberos", world: get(mainHTTPS, strings.ReplaceAll(good, "password-cleartext", "GSSAPI")), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "no login to send", world: get(mainHTTPS, configFile(in, strings.NewReplacer("password-cleartext", "none", "<username>%EMAILADDRESS%</username>", "").Replace(out))), want: strings.TrimSuffix(imapsAndSubmission, "jane@example.test")},
		{name: "Latin-1", world: get(mainHTTPS, strings.NewReplacer("UTF-8", "iso-8859-1", "<domain>", "<displayName>\xfc</displayName><domain>").Replace(good)), want: imapsAndSubmission},
		{name: "a port with letters behind it", world: get(mainHTTPS, strings.ReplaceAll(good, ">993<", ">993abc<")), want: imapsAndSubmission},
		{name: "no port", world: get(mainHTTPS, strings.ReplaceAll(good, "<port>993</port>", "")), kinds: rejected},
	})
}

// TestThunderbirdAnswers is about what is not the document.
func TestThunderbirdAnswers(t *testing.T) {
	t.Parallel()
	html := "<!DOCTYPE html><html><head><meta charset=utf-8></head><body>hello<br></body></html>"
	second := get(knownHTTPS, good)
	simulate(t, "thunderbird", []simulation{
		{name: "what it asks", world: get(mainHTTPS, good), want: imapsAndSubmission, source: mainHTTPS + "?emailaddress=jane%40example.test", asks: []string{
			"GET " + mainHTTPS + "?emailaddress=jane%40example.test", "POST " + poxHost, "POST " + poxRoot, "POST " + poxPlain, "SRV _autodiscover._tcp.example.test",
		}},
		{name: "what it asks when nobody answers", world: "", kinds: nothing, asks: []string{
			"GET " + knownHTTPS + "?emailaddress=jane%40example.test", "GET " + mainHTTP + "?emailaddress=jane%40example.test", "GET " + knownHTTP + "?emailaddress=jane%40example.test",
			"GET https://live.thunderbird.net/autoconfig/v1.1/example.test", "MX example.test",
		}},
		{name: "octet-stream", world: recorded("GET", mainHTTPS, "200 application/octet-stream", good) + second, kinds: rejected},
		{name: "text/plain", world: recorded("GET", mainHTTPS, "200 text/plain", good) + second, kinds: rejected},
		{name: "no type", world: recorded("GET", mainHTTPS, "200", good) + second, kinds: rejected},
		{name: "Text/XML", world: recorded("GET", mainHTTPS, "200 Text/XML", good) + second, kinds: rejected},
		{name: "HTML", world: recorded("GET", mainHTTPS, "200 text/html", html) + second, kinds: rejected},
		{name: "malformed", world: get(mainHTTPS, "<clientConfig>") + second, kinds: rejected},
		{name: "another root", world: get(mainHTTPS, "<html/>") + second, kinds: rejected},
		{name: "204", world: recorded("GET", mainHTTPS, "204", "") + second, kinds: rejected},
		{name: "404", world: recorded("GET", mainHTTPS, "404 text/plain", "no") + second, want: imapsAndSubmission},
		{name: "503", world: recorded("GET", mainHTTPS, "503 text/plain", "no") + second, want: imapsAndSubmission},
		{name: "401", world: recorded("GET", mainHTTPS, "401 text/plain", "no") + second, want: imapsAndSubmission},
		{name: "XML without a body", world: "-- GET " + mainHTTPS + " --\n200 text/xml\n" + second, want: imapsAndSubmission},
		{name: "302 to another host", world: recorded("GET", mainHTTPS, "302\nlocation https://elsewhere.test/a.xml", "") + get("https://elsewhere.test/a.xml", good), want: imapsAndSubmission},
		{name: "301 from https to http", world: recorded("GET", mainHTTPS, "301\nlocation http://elsewhere.test/a.xml", "") + get("http://elsewhere.test/a.xml", good), want: imapsAndSubmission},
		{name: "an untrusted certificate", world: recorded("GET", mainHTTPS, "200 text/xml\ncertificate certificate_untrusted", good) + get(mainHTTP, good), want: imapsAndSubmission, source: mainHTTP + "?emailaddress=jane%40example.test"},
		{name: "a URL that hangs", world: recorded("GET", mainHTTPS, "took 20s\nfails timeout", "") + second, want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindSlow}},
		{name: "an Autodiscover host that hangs", world: get(mainHTTPS, good) + recorded("POST", poxHost, "took 20s\nfails timeout", ""), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindSlow}},
		{name: "a plus", address: "jane+tag@example.test", world: get(mainHTTPS, good), want: strings.ReplaceAll(imapsAndSubmission, "jane@", "jane+tag@"), asks: []string{"GET " + mainHTTPS + "?emailaddress=jane%2Btag%40example.test"}},
		{name: "a letter of its own", address: "jäne@example.test", world: get(mainHTTPS, good), want: strings.ReplaceAll(imapsAndSubmission, "jane@", "jäne@"), asks: []string{"GET " + mainHTTPS + "?emailaddress=j%C3%A4ne%40example.test"}},
		{name: "other signs", address: "a&b=c%x@example.test", world: get(mainHTTPS, good), want: strings.ReplaceAll(imapsAndSubmission, "jane@", "a&b=c%x@"), asks: []string{"GET " + mainHTTPS + "?emailaddress=a%26b%3Dc%25x%40example.test"}},
		{
			name: "a punycode domain", address: "jane@xn--bcher-kva.test", world: get("https://autoconfig.xn--bcher-kva.test/mail/config-v1.1.xml", good),
			want: strings.ReplaceAll(imapsAndSubmission, "@example.test", "@xn--bcher-kva.test"), kinds: []doctor.Kind{doctor.KindAsksUser},
		},
	})
}

// TestThunderbirdElsewhere is about the ISPDB, the MX and guesses.
func TestThunderbirdElsewhere(t *testing.T) {
	t.Parallel()
	const database = "https://live.thunderbird.net/autoconfig/v1.1/"
	hosted := "\n-- zone --\nexample.test. MX 20 backup.example.net.\nexample.test. MX 10 mx1.in.hoster.test.\n" + strings.TrimPrefix(mailServers, "\n-- zone --\n")
	simulate(t, "thunderbird", []simulation{
		{name: "the ISPDB", world: get(database+"example.test", good), want: imapsAndSubmission, source: database + "example.test"},
		{name: "its own before the ISPDB", world: get(mainHTTP, good) + get(database+"example.test", configFile(server("pop3", "995", "SSL"), server("smtp", "465", "SSL"))), want: imapsAndSubmission, avoids: []string{"GET " + database + "example.test"}},
		{name: "the MX's domain", world: hosted + get("https://autoconfig.hoster.test/mail/config-v1.1.xml", good), want: imapsAndSubmission, asks: []string{
			"GET https://autoconfig.in.hoster.test/mail/config-v1.1.xml?emailaddress=jane%40example.test", "GET " + database + "in.hoster.test",
		}},
		{name: "the MX's domain in the ISPDB", world: hosted + get(database+"hoster.test", good), want: imapsAndSubmission, avoids: []string{"GET http://autoconfig.hoster.test/mail/config-v1.1.xml?emailaddress=jane%40example.test"}},
		{
			name: "an MX of the domain itself", world: "\n-- zone --\nexample.test. MX 10 mx.in.example.test.\n" + strings.TrimPrefix(mailServers, "\n-- zone --\n") + get("https://autoconfig.in.example.test/mail/config-v1.1.xml", good),
			kinds: nothing, avoids: []string{"GET https://autoconfig.in.example.test/mail/config-v1.1.xml?emailaddress=jane%40example.test"},
		},
		{
			name: "a guess: encryption, IMAP, implicit TLS", world: "\n-- zone --\nmail.example.test. A 192.0.2.1\npop3.example.test. A 192.0.2.1\n-- services --\nimap://mail.example.test ok\npop3s://pop3.example.test ok\nsubmission://mail.example.test ok\n",
			want: "imap mail.example.test:143 starttls jane; submission mail.example.test:587 starttls jane", kinds: []doctor.Kind{doctor.KindGuess},
		},
		{
			name: "a guess: POP3 only", world: "\n-- zone --\npop3.example.test. A 192.0.2.1\nexample.test. A 192.0.2.1\n-- services --\npop3s://pop3.example.test ok\nsubmissions://example.test ok\n",
			want: "pop3 pop3.example.test:995 tls jane; submission example.test:465 tls jane", kinds: []doctor.Kind{doctor.KindGuess},
		},
	})
}

// TestThunderbirdAutodiscover has the answers of Autodiscover that Thunderbird 153.7 ESR
// was given, with no autoconfig.
func TestThunderbirdAutodiscover(t *testing.T) {
	t.Parallel()
	on, off, tls, ssl, none := "<SSL>on</SSL>", "<SSL>off</SSL>", "<Encryption>TLS</Encryption>", "<Encryption>SSL</Encryption>", "<Encryption>None</Encryption>"
	out := protocol("SMTP", "587", on, tls)
	in := protocol("IMAP", "993", on, ssl)
	answers := func(protocols ...string) string { return post(poxHost, poxAnswer(protocols...)) }
	plain := strings.ReplaceAll(imapAndSubmission, "starttls", "none")
	clear := []doctor.Kind{doctor.KindPlaintext}
	simulate(t, "thunderbird", []simulation{
		{name: "url1", world: answers(in, out), want: imapsAndSubmission, source: poxHost},
		{name: "url2", world: post(poxRoot, poxAnswer(in, out)), want: imapsAndSubmission, source: poxRoot},
		{name: "url3, without encryption", world: post(poxPlain, poxAnswer(in, out)), want: imapsAndSubmission, source: poxPlain},
		{name: "autoconfig counts more", world: get(knownHTTP, good) + answers(protocol("POP3", "995", on, ssl), out), want: imapsAndSubmission},
		{name: "401", world: recorded("POST", poxHost, "401 text/plain", "no"), kinds: []doctor.Kind{doctor.KindAsksUser, doctor.KindNothingFound}},
		{name: "401 but autoconfig", world: recorded("POST", poxHost, "401 text/plain", "no") + get(mainHTTPS, good), want: imapsAndSubmission},
		{name: "SSL off, TLS on 143 and 587", world: answers(protocol("IMAP", "143", off, tls), protocol("SMTP", "587", off, tls)), want: plain, kinds: clear},
		{name: "SSL on, TLS on 143 and 587", world: answers(protocol("IMAP", "143", on, tls), out), want: imapAndSubmission},
		{name: "no SSL, TLS on 143 and 587", world: answers(protocol("IMAP", "143", tls), protocol("SMTP", "587", tls)), want: imapAndSubmission},
		{name: "993 and 465 with TLS and Auto", world: answers(protocol("IMAP", "993", on, tls), protocol("SMTP", "465", "<Encryption>Auto</Encryption>")), want: strings.Replace(imapsAndSubmission, "587 starttls", "465 tls", 1)},
		{name: "Encryption None", world: answers(protocol("IMAP", "143", none), protocol("SMTP", "587", on, none)), want: plain, kinds: clear},
		{name: "2525, SSL on", world: answers(in, protocol("SMTP", "2525", on, tls)), want: strings.Replace(imapsAndSubmission, "587 starttls", "2525 tls", 1), kinds: []doctor.Kind{doctor.KindNotReached}},
		{name: "2525, SSL off", world: answers(in, protocol("SMTP", "2525", off, tls)), want: strings.Replace(imapsAndSubmission, "587 starttls", "2525 none", 1), kinds: clear},
		{name: "no SMTP", world: answers(in), want: "imap mx1.example.test:993 tls jane@example.test", kinds: nothing},
		{name: "only SMTP", world: answers(out), kinds: nothing},
		{name: "SPA on", world: answers(protocol("IMAP", "993", on, ssl, "<SPA>on</SPA>"), out), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "an error", world: post(poxHost, poxError), kinds: nothing},
		{name: "octet-stream", world: recorded("POST", poxHost, "200 application/octet-stream", poxAnswer(in, out)), kinds: nothing},
		{name: "a type in lower case", world: answers(strings.ReplaceAll(in, "IMAP", "imap"), out), kinds: nothing},
		{name: "no port", world: answers(strings.ReplaceAll(in, "<Port>993</Port>", ""), out), kinds: nothing},
		{name: "empty SSL", world: answers(protocol("IMAP", "993", "<SSL/>"), out), kinds: nothing},
		{name: "SSL true", world: answers(protocol("IMAP", "993", "<SSL>true</SSL>"), out), kinds: nothing},
		{name: "SSL yes", world: answers(protocol("IMAP", "993", "<SSL>yes</SSL>"), out), want: imapsAndSubmission},
		{name: "HTML, and a good answer behind", world: recorded("POST", poxHost, "200 text/html", "<p>hello") + post(poxRoot, poxAnswer(in, out)), kinds: nothing},
		{name: "404, and a good answer behind", world: recorded("POST", poxHost, "404 text/html", "<p>hello") + post(poxRoot, poxAnswer(in, out)), want: imapsAndSubmission},
		{
			name: "RedirectAddr", world: post(poxHost, account("<Action>redirectAddr</Action><RedirectAddr>jane@hoster.test</RedirectAddr>")) + post("https://autodiscover.hoster.test/autodiscover/autodiscover.xml", poxAnswer(in, out)),
			want: imapsAndSubmission,
		},
		{name: "RedirectAddr without end", world: post(poxHost, account("<RedirectAddr>jane@example.test</RedirectAddr>")), kinds: nothing},
		{name: "Exchange only", world: answers("<Protocol><Type>EXCH</Type><Server>mx1.example.test</Server></Protocol>"), kinds: nothing},
		{name: "RedirectUrl", world: post(poxHost, account("<Action>redirectUrl</Action><RedirectUrl>https://hoster.test/a.xml</RedirectUrl>")) + post("https://hoster.test/a.xml", poxAnswer(in, out)), kinds: nothing},
		{name: "http 302 to a third party", world: recorded("POST", poxPlain, "302\nlocation https://hoster.test/a.xml", "") + recorded("GET", "https://hoster.test/a.xml", "405", "") + post("https://hoster.test/a.xml", poxAnswer(in, out)), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindAsksUser}},
		{name: "http 302 to itself", world: recorded("POST", poxPlain, "302\nlocation "+poxRoot, "") + recorded("GET", poxRoot, "405", "") + recorded("POST", poxRoot, "404", ""), kinds: nothing},
		{name: "http 302, and autoconfig answers", world: recorded("POST", poxPlain, "302\nlocation https://hoster.test/a.xml", "") + recorded("GET", "https://hoster.test/a.xml", "405", "") + get(mainHTTPS, good), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindAsksUser}},
		{name: "http 307 to a third party", world: recorded("POST", poxPlain, "307\nlocation https://hoster.test/a.xml", "") + post("https://hoster.test/a.xml", poxAnswer(in, out)), want: imapsAndSubmission},
		{name: "https 302", world: recorded("POST", poxHost, "302\nlocation https://hoster.test/a.xml", "") + recorded("GET", "https://hoster.test/a.xml", "405", "") + post("https://hoster.test/a.xml", poxAnswer(in, out)), want: imapsAndSubmission},
		{
			name: "SRV: the lowest weight, whatever the port", world: "\n-- zone --\n_autodiscover._tcp.example.test. SRV 0 5 443 a.example.test.\n_autodiscover._tcp.example.test. SRV 9 1 8443 b.example.test.\n" + strings.TrimPrefix(mailServers, "\n-- zone --\n") +
				post("https://b.example.test/autodiscover/autodiscover.xml", poxAnswer(in, out)), want: imapsAndSubmission,
		},
		{
			name: "SRV to a third party", world: "\n-- zone --\n_autodiscover._tcp.example.test. SRV 0 1 443 hoster.test.\n" + strings.TrimPrefix(mailServers, "\n-- zone --\n") + post("https://hoster.test/autodiscover/autodiscover.xml", poxAnswer(in, out)),
			want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindAsksUser},
		},
		{name: "an empty LoginName", world: answers(protocol("IMAP", "993", on, ssl, "<LoginName/>"), protocol("SMTP", "587", on, tls, "<LoginName/>")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "true"), kinds: []doctor.Kind{doctor.KindUsername}},
		{name: "a LoginName", world: answers(protocol("IMAP", "993", on, ssl, "<LoginName>jane</LoginName>"), protocol("SMTP", "587", on, tls, "<LoginName>jane</LoginName>")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "jane")},
		{name: "two accounts: the first", world: post(poxHost, strings.Replace(poxAnswer(in), "</Account>", "</Account><Account>"+out+"</Account>", 1)), want: "imap mx1.example.test:993 tls jane@example.test", kinds: nothing},
	})
}

// Thunderbird 153.7 run: for jane@bücher.test it sends no request at all.
func TestThunderbirdOwnLetters(t *testing.T) {
	t.Parallel()
	w := parseWorld(t, strings.ReplaceAll(goodAutoconfig, "example.test", "xn--bcher-kva.test"))
	for typed, want := range map[string]string{"jane@bücher.test": "", "jane@xn--bcher-kva.test": "works"} {
		d, err := doctor.New(doctor.Options{World: w, Only: []string{"thunderbird"}, Typed: typed})
		if err != nil {
			t.Fatal(err)
		}
		r := d.Examine(t.Context(), settings.Address{Local: "jane", Domain: "xn--bcher-kva.test"})
		if text := trace(r.Clients[0]); strings.Contains(text, "xn--bcher-kva.test works") || !strings.Contains(text, "xn--bcher-kva.test is asked") {
			t.Errorf("%s: it says what nobody looked at: %s", typed, text)
		}
		if got := r.Clients[0]; (len(got.Settings) > 0) != (want == "works") || (r.Verdict == doctor.Works) != (want == "works") || strings.Contains(findingLines(r), "fault") {
			t.Errorf("%s: %+v, verdict %s", typed, got, r.Verdict)
		}
	}
}
