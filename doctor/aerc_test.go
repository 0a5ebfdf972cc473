package doctor_test

import (
	"testing"

	"mailconfd/doctor"
)

func TestAerc(t *testing.T) {
	t.Parallel()
	srv := func(records string) string {
		return "-- zone --\n" + records + services[len("-- zone --\n"):]
	}
	const both = "_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n"
	testClient(t, "aerc", []clientCase{
		{name: "SRV beats a document", world: srv(both) + at(hostURL, xmlHead, configDocument(imap143, smtp465)), want: saysUsual, verdict: doctor.Works},
		{name: "STARTTLS before implicit TLS", world: srv(both + "_imap._tcp.example.test. SRV 50 1 143 mx1.example.test.\n"), want: saysIMAP + "; " + saysSubmission},
		{name: "imap is not offered", world: srv(both + "_imap._tcp.example.test. SRV 0 0 0 .\n"), want: saysUsual},
		{name: "never _submissions", world: srv("_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submissions._tcp.example.test. SRV 0 1 465 mx1.example.test.\n") + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysIMAPS, verdict: doctor.Fails},
		{name: "_smtps instead", world: srv("_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_smtps._tcp.example.test. SRV 0 1 465 mx1.example.test.\n"), want: saysIMAPS + "; " + saysSMTPS},
		{name: "the heaviest, whatever its priority", world: srv("_imaps._tcp.example.test. SRV 0 1 993 gone.example.test.\n_imaps._tcp.example.test. SRV 10 5 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 0 587 mx1.example.test.\n_submission._tcp.example.test. SRV 1 0 587 gone.example.test.\n"), want: saysUsual},
		{name: "an odd port", world: srv("_imaps._tcp.example.test. SRV 0 1 993 mx1.example.test.\n_submission._tcp.example.test. SRV 0 1 2525 mx1.example.test.\n"), want: saysIMAPS + "; submission mx1.example.test:2525 starttls jane@example.test", verdict: doctor.Works},
		{name: "JMAP", world: srv(both + "_jmap._tcp.example.test. SRV 0 1 443 jmap.example.test.\n"), want: saysUsual, verdict: doctor.Unknown, findings: []doctor.Kind{doctor.KindUnknown}},
		{name: "JMAP only", world: srv("_jmap._tcp.example.test. SRV 0 1 443 jmap.example.test.\n"), verdict: doctor.Unknown, innocent: true},
		{name: "submission only is nothing", world: srv("_submission._tcp.example.test. SRV 0 1 587 mx1.example.test.\n") + at(hostURL, xmlHead, configDocument(imap143, smtp465)), want: saysIMAP + "; " + saysSMTPS},

		{name: "as served", world: services + at(hostURL, "404 text/plain", configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "HTML, then well-known", world: services + at(hostURL, "200 text/html", "<!DOCTYPE html><html></html>") + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, verdict: doctor.Works},
		{name: "the ISPDB", world: services + at(ispdbURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual},
		{name: "http is not asked", world: services + at(hostPlainURL, xmlHead, configDocument(imap993, smtp587))},
		{name: "the first imap, the last smtp", world: services + at(hostURL, xmlHead, configDocument(pop995, imap143, imap993, smtp587, smtp465)), want: saysIMAP + "; " + saysSMTPS},
		{
			name: "what the last smtp lacks comes from the one before",
			world: services + at(hostURL, xmlHead, `<clientConfig><emailProvider><incomingServer type="IMAP"><hostname>mx1.example.test</hostname><port>993</port><socketType>ssl</socketType></incomingServer>
<outgoingServer type="smtp"><hostname>mx1.example.test</hostname><port>465</port><socketType>SSL</socketType></outgoingServer><outgoingServer type="smtp"><port>587</port><socketType>STARTTLS</socketType></outgoingServer></emailProvider></clientConfig>`),
			want: saysUsual,
		},
		{
			name: "one answer is decoded over the other", world: services + at(hostURL, xmlHead, configDocument(imap143)) + at(wellKnownURL, xmlHead, configDocument(imap993, smtp587)),
			want: saysIMAP + "; " + saysSubmission, findings: []doctor.Kind{doctor.KindRejected},
		},
		{name: "a port with spaces", world: services + at(hostURL, xmlHead, `<clientConfig><emailProvider><incomingServer type="imap"><hostname>mx1.example.test</hostname><port> 993 </port></incomingServer></emailProvider></clientConfig>`), findings: []doctor.Kind{doctor.KindRejected}},
		{name: "an unknown socketType is STARTTLS", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 143 TLS %EMAILADDRESS%", smtp587)), want: saysIMAP + "; " + saysSubmission},
		{name: "plain is not chosen", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 143 plain %EMAILADDRESS%", smtp587)), want: "imap mx1.example.test:143 tls jane@example.test; " + saysSubmission, verdict: doctor.Fails, innocent: true},
		{name: "the user name is the address", world: services + at(hostURL, xmlHead, configDocument("imap mx1.example.test 993 SSL %EMAILLOCALPART%", smtp587)), want: saysUsual, findings: []doctor.Kind{doctor.KindUsername}, innocent: true},
		{name: "POP3 only", world: services + at(hostURL, xmlHead, configDocument(pop995, smtp587)), findings: []doctor.Kind{doctor.KindNothingFound}, innocent: true},
		{name: "five seconds for both", world: services + at(hostURL, "404 text/plain\ntook 3s", "no") + at(wellKnownURL, xmlHead+"\ntook 3s", configDocument(imap993, smtp587))},
		{
			name: "a guess looks at open ports only", world: "-- services --\nimap://imap.example.test no_starttls\nsubmission://mail.example.test ok\n",
			want: "imap imap.example.test:143 starttls jane@example.test; submission mail.example.test:587 starttls jane@example.test", verdict: doctor.Fails, findings: []doctor.Kind{doctor.KindGuess, doctor.KindOtherTLS},
		},
		{name: "half a guess is none", world: "-- services --\nimap://imap.example.test ok\n"},
		{name: "SMTP without PLAIN", world: "-- services --\nimaps://mx1.example.test ok LOGIN\nsubmission://mx1.example.test ok LOGIN\n" + at(hostURL, xmlHead, configDocument(imap993, smtp587)), want: saysUsual, findings: []doctor.Kind{doctor.KindNoPassword}},
	})
}

func TestAercAsks(t *testing.T) {
	t.Parallel()
	const query = "?emailaddress=jane%2Btag%40example.test"
	testAsks(t, "aerc", "", "jane+tag@example.test",
		"SRV _jmap._tcp.example.test", "SRV _imap._tcp.example.test", "SRV _imaps._tcp.example.test",
		"GET "+hostURL+query, "GET "+wellKnownURL+query, "GET "+ispdbURL)
}

func FuzzAerc(f *testing.F) {
	fuzzClient(f, "aerc", map[string]string{"GET " + hostURL: "text/xml"}, configDocument(imap993, smtp587), configDocument(pop995, smtp465))
}
