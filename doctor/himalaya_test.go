package doctor_test

import (
	"fmt"
	"strings"
	"testing"

	"mailconfd/doctor"
)

const (
	paccURL  = "https://ua-auto-config.example.test/.well-known/user-agent-configuration.json"
	paccBody = `{"protocols": {"imap": {"host": "imap.example.test"}, "smtp": {"host": "smtp.example.test"}, "jmap": {"url": "https://jmap.example.test/"}}, "authentication": {"password": true}, "info": {"provider": {"name": "Example"}}}`
)

// pacc records a PACC document and the TXT record for its bytes, with further records.
func pacc(body, zone string) string {
	return "-- zone --\nexample.test. TXT v=spf1\n_ua-auto-config.example.test. TXT " + digestRecord([]byte(body+"\n")) + "\n" + zone +
		"-- services --\nimaps://imap.example.test ok\nsubmissions://smtp.example.test ok\nimaps://mx1.example.test ok\nimap://mx1.example.test ok\nsubmission://mx1.example.test ok\nsubmissions://mx1.example.test ok\n" +
		at(paccURL, "200 application/json", body)
}

func TestHimalaya(t *testing.T) {
	t.Parallel()
	const (
		saysPACC = "imap imap.example.test:993 tls jane@example.test; submission smtp.example.test:465 tls jane@example.test"
		srv      = "_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n"
	)
	testClient(t, "himalaya", []clientCase{
		{name: "PACC", world: pacc(paccBody, ""), want: saysPACC, verdict: doctor.Works},
		{name: "the newer name of smtp", world: pacc(strings.Replace(paccBody, `"smtp"`, `"submit"`, 1), ""), want: "imap imap.example.test:993 tls jane@example.test"},
		{name: "a digest that does not match", world: services + at(paccURL, "200 application/json", paccBody), findings: []doctor.Kind{doctor.KindRejected}},
		{name: "PACC without authentication", world: pacc(strings.Replace(paccBody, `"authentication"`, `"auth"`, 1), ""), findings: []doctor.Kind{doctor.KindRejected}},
		{name: "PACC without a name", world: pacc(strings.Replace(paccBody, `"name"`, `"Name"`, 1), ""), findings: []doctor.Kind{doctor.KindRejected}},
		{name: "of equally secure ones the last: SRV", world: pacc(paccBody, srv), want: "imap mx1.example.test:993 tls jane@example.test; submission smtp.example.test:465 tls jane@example.test", verdict: doctor.Works},
		{name: "of equally secure ones the last: autoconfig", world: pacc(paccBody, "") + at(hostURL, xmlHead, configDocument(imap993, smtp465)), want: saysIMAPS + "; " + saysSMTPS},
		{name: "implicit TLS before STARTTLS", world: pacc(paccBody, "") + at(hostURL, xmlHead, configDocument(imap143, smtp587)), want: saysPACC},

		{name: "as served", world: services + at(hostURL, "200 text/plain", configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "well-known", world: services + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "http is not asked", world: services + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587))},
		{name: "no redirect is followed", world: services + at(hostURL, "302\nlocation "+wellKnownURL, "") + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "a URL in TXT", world: "-- zone --\nexample.test. TXT \"mailconf=http://elsewhere.test/x.xml\"\n" + services[len("-- zone --\n"):] + at("http://elsewhere.test/x.xml", xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "465 before 587", world: services + at(hostURL, xmlHead, configDocument(imap993, smtp587, smtp465)), want: saysIMAPS + "; " + saysSMTPS},
		{name: "no port, no socketType", world: services + at(hostURL, xmlHead, `<x version="1"><emailProvider id=""><incomingServer type="imap"><hostname> mx1.%EMAILDOMAIN% </hostname></incomingServer><outgoingServer type="smtp"><hostname>mx1.example.test</hostname><socketType>STARTTLS</socketType></outgoingServer></emailProvider></x>`), want: saysUsual},
		{name: "plain", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 143 plain %EMAILADDRESS%", smtp587)), want: "imap mx1.example.test:143 none jane@example.test; " + saysSubmission, findings: []doctor.Kind{doctor.KindPlaintext}},
		{name: "the local part is not taken", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%", smtp587)), want: saysUsual, findings: []doctor.Kind{doctor.KindUsername}, innocent: true},
		{name: "another address is taken", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%@login.test", smtp587)), want: "imap mx1.example.test:993 tls jane@login.test; submission mx1.example.test:587 starttls jane@login.test"},
		{name: "POP3 only", world: services + at(hostURL, xmlHead, configDocument(pop995, smtp587)), findings: []doctor.Kind{doctor.KindNothingFound}, innocent: true},
		{name: "slower than 8 s", world: services + at(hostURL, xmlHead+"\ntook 9s", configDocument(imap993, smtp587))},

		{name: "SRV: lowest priority, then heaviest", world: "-- zone --\n" + srv + "_submissions._tcp.example.test. SRV 9 9 465 gone.example.test.\n_submissions._tcp.example.test. SRV 1 2 465 gone.example.test.\n_submissions._tcp.example.test. SRV 1 3 465 mx1.example.test.\n" + services[len("-- zone --\n"):], want: saysIMAPS + "; " + saysSMTPS, verdict: doctor.Works},
		{name: "SRV: not offered", world: "-- zone --\n_imaps._tcp.example.test. SRV 0 0 0 .\n_imap._tcp.example.test. SRV 0 1 143 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 2525 mx1.example.test.\n" + services[len("-- zone --\n"):], want: saysIMAP + "; submission mx1.example.test:2525 starttls jane@example.test"},
		{name: "SRV without IMAP is nothing", world: "-- zone --\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n"},
		{name: "a known MX", world: "-- zone --\nexample.test. MX 1 smtp.google.com.\n-- services --\nimaps://imap.gmail.com ok\nsubmissions://smtp.gmail.com ok\n", want: "imap imap.gmail.com:993 tls jane@example.test; submission smtp.gmail.com:465 tls jane@example.test", verdict: doctor.Works},
	})
}

// TestHimalayaRejects: its types are closed, and one value loses all.
func TestHimalayaRejects(t *testing.T) {
	t.Parallel()
	good := configDocument(imap993, pop995, smtp587)
	var cases []clientCase
	for i, change := range [][2]string{
		{` version="1.1"`, ``},
		{` id="example.test"`, ``},
		{`type="pop3"`, `type="jmap"`},
		{`<socketType>SSL</socketType>`, `<socketType>ssl</socketType>`},
		{`<socketType>SSL</socketType>`, `<socketType/>`},
		{`<authentication>password-cleartext</authentication>`, `<authentication>GSSAPI</authentication>`},
		{`<authentication>password-cleartext</authentication>`, `<authentication>plain</authentication>`},
		{`<port>993</port>`, `<port/>`},
		{`<port>993</port>`, `<port>99300</port>`},
		{`<port>993</port>`, `<port>993</port><port>993</port>`},
		{`<hostname>`, `<hostname>x</hostname><hostname>`},
		{`<displayName>`, `<displayName>F</displayName><displayName>`},
		{`<domain>`, `<domain>a.test</domain><displayShortName/><domain>`},
		{`<emailProvider`, `<emailProvider id="x"/><emailProvider`},
		{`</emailProvider>`, `<incomingServer type="imap"/></emailProvider>`},
		{`</emailProvider>`, `<documentation/></emailProvider>`},
		{`</clientConfig>`, `<oAuth2><issuer>x</issuer></oAuth2></clientConfig>`},
		{`<emailProvider`, "\xff<emailProvider"},
	} {
		cases = append(cases, clientCase{
			name:  fmt.Sprintf("%d %q", i, change[1]),
			world: services + at(hostURL, xmlHead, strings.Replace(good, change[0], change[1], 1)), findings: []doctor.Kind{doctor.KindRejected}, verdict: doctor.Fails,
		})
	}
	cases = append(cases, clientCase{name: "and without a change", world: services + at(hostURL, xmlHead, good), want: saysUsual, verdict: doctor.Works})
	testClient(t, "himalaya", cases)
}

func TestHimalayaAsks(t *testing.T) {
	t.Parallel()
	testAsks(t, "himalaya", "", "jane+tag@example.test",
		"MX example.test", "GET "+paccURL, "TXT example.test",
		"GET "+hostURL+"?emailaddress=jane+tag@example.test", "GET "+wellKnownURL, "GET "+ispdbURL,
		"SRV _imap._tcp.example.test", "SRV _imaps._tcp.example.test", "SRV _submission._tcp.example.test", "SRV _submissions._tcp.example.test")
}

func FuzzHimalaya(f *testing.F) {
	fuzzClient(f, "himalaya", map[string]string{"GET " + hostURL: "text/xml"}, configDocument(imap993, smtp587), configDocument(pop995, smtp465))
}

func FuzzHimalayaPACC(f *testing.F) {
	fuzzClient(f, "himalaya", map[string]string{"GET " + paccURL: "application/json"}, paccBody, "{", "null", `{"protocols":null}`, `{"protocols":{"imap":{"host":3}}}`)
}
