package doctor_test

import (
	"strings"
	"testing"

	"mailconfd/doctor"
)

// TestOutlook takes its expectations from cc511507, KB 3211279 and [MS-OXDSCLI].
func TestOutlook(t *testing.T) {
	t.Parallel()
	const login, spa = "<LoginName>jane@example.test</LoginName>", "<SPA>off</SPA>"
	on, off, tls, ssl := "<SSL>on</SSL>", "<SSL>off</SSL>", "<Encryption>TLS</Encryption>", "<Encryption>SSL</Encryption>"
	in := protocol("IMAP", "993", login, spa, on, ssl)
	out := protocol("SMTP", "587", login, spa, on, tls)
	both := poxAnswer(in, out)
	answers := func(protocols ...string) string { return post(poxRoot, poxAnswer(protocols...)) }
	redirect := func(target string) string { return recorded("GET", poxPlain, "302\nlocation "+target, "") }
	asks, unencrypted, closed := []doctor.Kind{doctor.KindAsksUser}, []doctor.Kind{doctor.KindPlaintext}, []doctor.Kind{doctor.KindOtherTLS}
	zoned := func(records string) string {
		return "\n-- zone --\n" + records + strings.TrimPrefix(mailServers, "\n-- zone --\n")
	}
	simulate(t, "outlook", []simulation{
		{name: "the domain itself", world: post(poxRoot, both) + post(poxHost, poxAnswer()), want: imapsAndSubmission, source: poxRoot, avoids: []string{"POST " + poxHost}},
		{name: "autodiscover", world: post(poxHost, both), want: imapsAndSubmission, source: poxHost, avoids: []string{"GET " + poxPlain}},
		{name: "HTML at the domain", world: recorded("POST", poxRoot, "200 text/html", "<p>hello") + post(poxHost, both), want: imapsAndSubmission, source: poxHost},
		{name: "an error at the domain", world: post(poxRoot, poxError) + post(poxHost, both), want: imapsAndSubmission, source: poxHost},
		{name: "everything fails", kinds: nothing, asks: []string{"POST " + poxRoot, "POST " + poxHost, "GET " + poxPlain, "SRV _autodiscover._tcp.example.test"}, avoids: []string{"POST " + poxPlain}},
		{name: "any content type", world: recorded("POST", poxHost, "200 text/plain", both), want: imapsAndSubmission},
		{name: "a document that is cut off", world: post(poxHost, both[:len(both)-20]), kinds: rejected},
		{name: "http redirect to itself", world: redirect("https://example.test/x/Autodiscover/Autodiscover.xml") + post("https://example.test/x/Autodiscover/Autodiscover.xml", both), want: imapsAndSubmission},
		{name: "http redirect to a third party", world: redirect("https://hoster.test/autodiscover/autodiscover.xml") + post("https://hoster.test/autodiscover/autodiscover.xml", both), want: imapsAndSubmission, kinds: asks},
		{name: "http redirect to http", world: redirect("http://hoster.test/autodiscover/autodiscover.xml") + post("http://hoster.test/autodiscover/autodiscover.xml", both), kinds: nothing},
		{name: "http redirect to a web page", world: redirect("https://www.example.test/") + post("https://www.example.test/", both), kinds: nothing},
		{name: "http with settings", world: recorded("GET", poxPlain, "200 text/xml", both), kinds: nothing},
		{name: "SRV, whose port it ignores", world: zoned("_autodiscover._tcp.example.test. SRV 0 1 8443 ad.example.test.\n") + post("https://ad.example.test/autodiscover/autodiscover.xml", both), want: imapsAndSubmission},
		{name: "SRV to a third party", world: zoned("_autodiscover._tcp.example.test. SRV 0 1 443 hoster.test.\n") + post("https://hoster.test/autodiscover/autodiscover.xml", both), want: imapsAndSubmission, kinds: asks},
		{name: "a certificate that is not trusted", world: recorded("POST", poxRoot, "200 text/xml\ncertificate certificate_name", both), kinds: nothing},
		{name: "401", world: recorded("POST", poxRoot, "401", "") + post(poxHost, both), want: imapsAndSubmission, kinds: asks},
		{name: "a redirect by https", world: recorded("POST", poxRoot, "302\nlocation https://hoster.test/a.xml", "") + post("https://hoster.test/a.xml", both), want: imapsAndSubmission},
		{name: "RedirectUrl", world: post(poxRoot, account("<AccountType>email</AccountType><Action>redirectUrl</Action><RedirectUrl>https://hoster.test/a.xml</RedirectUrl>")) + post("https://hoster.test/a.xml", both), want: imapsAndSubmission},
		{name: "RedirectUrl without end", world: post(poxRoot, account("<Action>redirectUrl</Action><RedirectUrl>"+poxRoot+"</RedirectUrl>")), kinds: nothing},
		{name: "RedirectAddr", world: post(poxRoot, account("<Action>redirectAddr</Action><RedirectAddr>jane@hoster.test</RedirectAddr>")) + post("https://hoster.test/autodiscover/autodiscover.xml", both), want: imapsAndSubmission},
		{name: "RedirectAddr without end", world: post(poxRoot, account("<Action>redirectAddr</Action><RedirectAddr>jane@example.test</RedirectAddr>")), kinds: nothing},
		{name: "no LoginName", world: answers(strings.ReplaceAll(in, login, ""), strings.ReplaceAll(out, login, "")), want: strings.ReplaceAll(imapsAndSubmission, "jane@example.test", "jane")},
		{name: "no SPA", world: answers(strings.ReplaceAll(in, spa, ""), out), want: imapsAndSubmission, kinds: []doctor.Kind{doctor.KindNoPassword}},
		{name: "TLS at 993: it waits for a greeting", world: answers(protocol("IMAP", "993", login, spa, on, tls), out), want: strings.Replace(imapsAndSubmission, "993 tls", "993 starttls", 1), kinds: []doctor.Kind{doctor.KindNotReached}},
		{name: "Encryption counts more than SSL", world: answers(protocol("IMAP", "143", login, spa, off, tls), out), want: imapAndSubmission},
		{name: "SSL alone at 587", world: answers(in, protocol("SMTP", "587", login, spa, on)), want: strings.Replace(imapsAndSubmission, "587 starttls", "587 tls", 1), kinds: closed},
		{name: "neither", world: answers(protocol("IMAP", "993", login, spa), out), want: imapsAndSubmission},
		{name: "SSL off alone", world: answers(in, protocol("SMTP", "587", login, spa, off)), want: strings.Replace(imapsAndSubmission, "587 starttls", "587 none", 1), kinds: unencrypted},
		{name: "None", world: answers(in, protocol("SMTP", "587", login, spa, on, "<Encryption>None</Encryption>")), want: strings.Replace(imapsAndSubmission, "587 starttls", "587 none", 1), kinds: unencrypted},
		{name: "Auto", world: answers(protocol("IMAP", "993", login, spa, "<Encryption>Auto</Encryption>"), protocol("SMTP", "587", login, spa, "<Encryption>Auto</Encryption>")), want: imapsAndSubmission},
		{name: "the first of each", world: answers(protocol("POP3", "995", login, spa), in, out, protocol("SMTP", "465", login, spa)), want: "pop3 mx1.example.test:995 tls jane@example.test; submission mx1.example.test:587 starttls jane@example.test"},
		{name: "2525", world: answers(in, protocol("SMTP", "2525", login, spa, on, tls)), want: strings.Replace(imapsAndSubmission, ":587", ":2525", 1)},
		{name: "the first account only", world: post(poxRoot, strings.Replace(poxAnswer(in), "</Account>", "</Account><Account>"+out+"</Account>", 1)), want: "imap mx1.example.test:993 tls jane@example.test", kinds: nothing},
		{name: "a server without a name", world: answers(in, strings.ReplaceAll(out, "mx1.example.test", "")), want: "imap mx1.example.test:993 tls jane@example.test", kinds: nothing},
		{name: "signs in the address", address: "a&b@example.test", world: post(poxRoot, both), want: imapsAndSubmission},
	})
}
