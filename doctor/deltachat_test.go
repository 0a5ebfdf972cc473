package doctor_test

import (
	"fmt"
	"strings"
	"testing"

	"mailconfd/doctor"
)

// TestDeltaChat takes its expectations from src/configure.rs, auto_mozilla.rs,
// auto_outlook.rs and server_params.rs.
func TestDeltaChat(t *testing.T) {
	t.Parallel()
	in, out := server("imap", "993", "SSL"), server("smtp", "587", "STARTTLS")
	const database = "https://autoconfig.thunderbird.net/v1.1/example.test"
	first := mainHTTPS + "?emailaddress=jane%40example.test"
	guesses := "\n-- zone --\nmail.example.test. A 192.0.2.1\nimap.example.test. A 192.0.2.1\nexample.test. A 192.0.2.1\n-- services --\nimap://imap.example.test ok\nimaps://mail.example.test ok\nsubmission://mail.example.test ok\nsubmissions://example.test ok\n"
	const guess = "imap imap.example.test:143 starttls jane@example.test; submission mail.example.test:587 starttls jane@example.test"
	end := []doctor.Kind{doctor.KindNothingFound, doctor.KindRejected}
	simulate(t, "delta-chat", []simulation{
		{name: "good", world: get(mainHTTPS, good), want: imapsAndSubmission, source: first, asks: []string{"GET " + first}, avoids: []string{"GET " + knownHTTPS}},
		{name: "nothing", kinds: nothing, asks: []string{"GET " + first, "GET " + knownHTTPS, "GET " + poxRoot, "GET " + poxHost, "GET " + database}, avoids: []string{"GET " + mainHTTP, "MX example.test"}},
		{name: "a plus and a hyphen", address: "jane-x+tag@example.test", world: get(mainHTTPS, good), want: strings.ReplaceAll(imapsAndSubmission, "jane@", "jane-x+tag@"), asks: []string{"GET " + mainHTTPS + "?emailaddress=jane%2Dx%2Btag%40example.test"}},
		{name: "http only", world: get(mainHTTP, good), kinds: nothing},
		{name: "the well-known URL", world: get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "Autodiscover by GET", world: get(poxHost, poxAnswer(protocol("IMAP", "993", "<SSL>on</SSL><LoginName>other</LoginName>"), protocol("SMTP", "587", "<Encryption>TLS</Encryption>"))), want: imapsAndSubmission, source: poxHost},
		{name: "Autodiscover, SSL off", world: get(poxRoot, poxAnswer(protocol("IMAP", "143", "<SSL>off</SSL>"), protocol("SMTP", "587", "<SSL>off</SSL><Encryption>TLS</Encryption>"))), want: strings.ReplaceAll(imapAndSubmission, "starttls", "none"), kinds: []doctor.Kind{doctor.KindPlaintext}},
		{name: "Autodiscover, SSL OFF", world: get(poxRoot, poxAnswer(protocol("IMAP", "143", "<SSL>OFF</SSL>"), protocol("SMTP", "587"))), want: imapAndSubmission},
		{name: "RedirectUrl", world: get(poxRoot, account("<Action>redirectUrl</Action><RedirectUrl>https://hoster.test/a.xml</RedirectUrl>")) + get("https://hoster.test/a.xml", poxAnswer(protocol("IMAP", "993"), protocol("SMTP", "465"))), want: strings.Replace(imapsAndSubmission, "587 starttls", "465 tls", 1)},
		{name: "RedirectUrl without end: on to the next", world: get(poxRoot, account("<RedirectUrl>"+poxRoot+"</RedirectUrl>")) + get(database, good), want: imapsAndSubmission, source: database, kinds: []doctor.Kind{doctor.KindRejected}},
		{name: "an empty RedirectUrl: on to the next", world: get(poxRoot, account("<RedirectUrl></RedirectUrl>")) + get(database, good), want: imapsAndSubmission, source: database, kinds: []doctor.Kind{doctor.KindRejected}},
		{name: "an error of Autodiscover ends it", world: get(poxRoot, poxError) + get(database, good), kinds: end},
		{name: "OK ends it", world: recorded("GET", mainHTTPS, "200 text/plain", "OK") + get(knownHTTPS, good), kinds: end},
		{name: "204 ends it", world: recorded("GET", mainHTTPS, "204", "") + get(knownHTTPS, good), kinds: end},
		{name: "well-formed HTML ends it", world: recorded("GET", mainHTTPS, "200 text/html", "<!DOCTYPE html><html><body class=x>no</body></html>") + get(knownHTTPS, good), kinds: end},
		{name: "other HTML does not", world: recorded("GET", mainHTTPS, "200 text/html", "<html><head><meta charset=utf-8></head></html>") + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "404", world: recorded("GET", mainHTTPS, "404 text/xml", good) + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "401", world: recorded("GET", mainHTTPS, "401 text/xml", good) + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "an untrusted certificate", world: recorded("GET", mainHTTPS, "200 text/xml\ncertificate certificate_name", good) + get(knownHTTPS, good), want: imapsAndSubmission, source: knownHTTPS},
		{name: "a redirect to http", world: recorded("GET", mainHTTPS, "302\nlocation http://elsewhere.test/a", "") + get("http://elsewhere.test/a", good), want: imapsAndSubmission},
		{name: "ssl and other letters", world: get(mainHTTPS, strings.NewReplacer(">SSL<", "> ssl <", "incomingServer", "INCOMINGSERVER", "hostname", "HostName").Replace(good)), want: imapsAndSubmission},
		{name: "an unknown socket type is tried both ways", world: get(mainHTTPS, configFile(server("imap", "143", "TLS"), out)), want: imapAndSubmission},
		{name: "no number for a port", world: get(mainHTTPS, configFile(server("imap", "x", "SSL"), server("smtp", "x", "STARTTLS"))), want: imapsAndSubmission},
		{name: "plain", world: get(mainHTTPS, configFile(server("imap", "143", "plain"), out)), want: strings.Replace(imapAndSubmission, "143 starttls", "143 none", 1), kinds: []doctor.Kind{doctor.KindPlaintext}},
		{name: "the first that works", world: get(mainHTTPS, configFile(server("imap", "1993", "SSL"), in, out)), want: imapsAndSubmission},
		{name: "none works", world: get(mainHTTPS, configFile(server("imap", "1993", "SSL"), out)), want: strings.Replace(imapsAndSubmission, ":993", ":1993", 1), kinds: []doctor.Kind{doctor.KindNotReached}},
		{name: "no username: left out", world: get(mainHTTPS, configFile(server("imap", "993", "SSL", "<username>%EMAILADDRESS%</username>", ""), server("imap", "143", "STARTTLS"), out)), want: imapAndSubmission},
		{name: "CDATA is no text", world: get(mainHTTPS, strings.ReplaceAll(good, "<hostname>mx1.example.test<", "<hostname><![CDATA[mx1.example.test]]><")), kinds: end},
		{name: "an entity cuts a text", world: get(mainHTTPS, strings.ReplaceAll(good, "%EMAILADDRESS%", "jane&#64;example.test")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "example.test")},
		{name: "POP3 is left out", world: guesses + get(mainHTTPS, configFile(server("pop3", "995", "SSL"))), want: guess, kinds: []doctor.Kind{doctor.KindGuess, doctor.KindRejected}},
		{name: "a guess", world: guesses, want: guess, kinds: []doctor.Kind{doctor.KindGuess}},
		{name: "no SMTP: a guess", world: "\n-- zone --\nmx1.example.test. A 192.0.2.1\nsmtp.example.test. A 192.0.2.1\n-- services --\nimaps://mx1.example.test ok\nsubmissions://smtp.example.test ok\n" + get(mainHTTPS, configFile(in)), want: "imap mx1.example.test:993 tls jane@example.test; submission smtp.example.test:465 tls jane@example.test", kinds: []doctor.Kind{doctor.KindGuess}},
		{name: "an encrypted password is not looked at", world: get(mainHTTPS, strings.ReplaceAll(good, "password-cleartext", "GSSAPI")), want: imapsAndSubmission},
	})
}

// TestDeltaChatTries: a document cannot make it connect to hundreds of services.
func TestDeltaChatTries(t *testing.T) {
	t.Parallel()
	var servers []string
	for i := range 300 {
		servers = append(servers, server("imap", fmt.Sprint(1000+i), "SSL"))
	}
	w := parseWorld(t, mailServers+get(mainHTTPS, configFile(append(servers, server("smtp", "587", "STARTTLS"))...)))
	r := examine(t, w, "jane@example.test", "delta-chat").Clients[0]
	tries := 0
	for _, step := range r.Steps {
		if strings.HasPrefix(step.Did, "try ") {
			tries++
		}
	}
	if tries != 11 { // ten for reading, one for sending
		t.Errorf("%d services were tried, want 11", tries)
	}
}
