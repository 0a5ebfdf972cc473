//go:build real

package real

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// awkward is a listener as one meets them, what it says to anybody, and what mailconfd must make of it.
type awkward struct {
	name     string
	listener listener
	greeting string // how its first line begins; "" when nothing comes before TLS
	starttls string // how its answer to STARTTLS begins; "" when it is not asked
	scheme   string // as which service mailconfd is told to look at it
	kind     string // of the failure; "" for a service that works all the same
}

func (a awkward) target() string { return a.scheme + "://" + mailName + ":" + a.listener.port }

func awkwardListeners(t *testing.T, w *world) []awkward {
	t.Helper()
	return append(cautiousListeners(), append(encryptionListeners(), certificateListeners(t, w)...)...)
}

// cautiousListeners keep clients waiting or send them away.
func cautiousListeners() []awkward {
	return []awkward{
		{
			name: "postscreen, and no login", // four seconds between "220-" and "220 ": who speaks there is a robot
			listener: listener{port: "2601", service: "postscreen", options: []string{
				"postscreen_greet_wait = 4s", "smtpd_service_name = smtpd-without-login",
			}},
			greeting: "220-", starttls: "220", scheme: "submission", kind: "no_auth",
		},
		{
			name: "greeting after three seconds, and the AUTH= of old clients",
			listener: listener{port: "2602", options: []string{
				"smtpd_delay_reject = no", "smtpd_client_restrictions = sleep 3", "broken_sasl_auth_clients = yes",
			}},
			greeting: "220 ", starttls: "220", scheme: "submission", kind: "",
		},
		{
			name: "one connection a minute", // the test used it up when it waited for the port
			listener: listener{port: "2603", options: []string{
				"smtpd_client_connection_rate_limit = 1", "smtpd_client_event_limit_exceptions =",
			}},
			greeting: "421 4.7.0", scheme: "submission", kind: "temporary",
		},
		{
			name:     "refusal for a greeting",
			listener: listener{port: "2604", options: []string{"smtpd_delay_reject = no", "smtpd_client_restrictions = reject"}},
			greeting: "554 5.7.1", starttls: "503", scheme: "submission", kind: "greeting",
		},
		{
			name:     "no login",
			listener: listener{port: "2605", options: []string{"smtpd_sasl_auth_enable = no"}},
			greeting: "220 ", starttls: "220", scheme: "submission", kind: "no_auth",
		},
	}
}

// encryptionListeners have too little TLS, or it is on the wrong port.
func encryptionListeners() []awkward {
	return []awkward{
		{
			name:     "no TLS",
			listener: listener{port: "2611", options: []string{"smtpd_tls_security_level = none"}},
			greeting: "220 ", starttls: "502", scheme: "submission", kind: "no_starttls",
		},
		{
			name:     "STARTTLS not shown, and refused",
			listener: listener{port: "2612", options: []string{"smtpd_discard_ehlo_keywords = starttls"}},
			greeting: "220 ", starttls: "502", scheme: "submission", kind: "no_starttls",
		},
		{
			name: "TLS 1.1 at most",
			listener: listener{port: "2613", options: []string{
				"smtpd_tls_mandatory_protocols = TLSv1, TLSv1.1", "smtpd_tls_mandatory_ciphers = low",
				"tls_low_cipherlist = ALL:@SECLEVEL=0",
			}},
			greeting: "220 ", starttls: "220", scheme: "submission", kind: "tls",
		},
		{
			name:     "implicit TLS where STARTTLS is expected",
			listener: listener{port: "2614", options: submissions.options},
			scheme:   "submission", kind: "tls_on_plaintext_port",
		},
		{
			name:     "STARTTLS where implicit TLS is expected",
			listener: listener{port: "2615"},
			greeting: "220 ", starttls: "220", scheme: "submissions", kind: "plaintext_on_tls_port",
		},
	}
}

// certificateListeners send a certificate that clients refuse, or want one from the client.
func certificateListeners(t *testing.T, w *world) []awkward {
	t.Helper()
	stranger := newAuthority(t, publicDir(t), "Stranger")
	with := func(port string, c certificate) listener {
		return listener{port: port, options: []string{"smtpd_tls_chain_files = " + c.file}}
	}
	expired := w.authority.issueUntil(t, mailName, time.Now().AddDate(0, 0, -1))
	cases := []awkward{
		{name: "another name", listener: with("2621", w.authority.issue(t, "other.example.test")), kind: "certificate_name"},
		{name: "expired", listener: with("2622", expired), kind: "certificate_expired"},
		{name: "no intermediate sent", listener: with("2623", w.authority.withoutChain(t, mailName)), kind: "certificate_chain_incomplete"},
		{name: "unknown root", listener: with("2624", stranger.issue(t, mailName)), kind: "certificate_untrusted"},
		// Postfix shakes hands all the same, and answers the next command with 421.
		{name: "a certificate wanted", listener: listener{port: "2625", options: []string{"smtpd_tls_req_ccert = yes"}}, kind: "client_certificate"},
	}
	for i := range cases {
		cases[i].greeting, cases[i].starttls, cases[i].scheme = "220 ", "220", "submission"
	}
	return cases
}

// listenAwkwardly starts Postfix with these listeners instead of the healthy ones.
func listenAwkwardly(t *testing.T, w *world) []awkward {
	t.Helper()
	cases := awkwardListeners(t, w)
	var listeners []listener
	for _, c := range cases {
		listeners = append(listeners, c.listener)
	}
	w.postfix.listen(t, listeners...)
	return cases
}

// TestAwkwardServersAnswer is TestServersAnswer for them: it looks without mailconfd.
func TestAwkwardServersAnswer(t *testing.T) {
	w := newWorld(t)
	for _, c := range listenAwkwardly(t, w) {
		t.Run(c.name, func(t *testing.T) {
			d := dial(t, w, c.listener.port)
			if c.greeting == "" {
				d.upgrade()
				d.hear("220 ")
				return
			}
			checkBegins(t, d.hear("220 ", "4", "5")[0], c.greeting)
			if c.starttls == "" {
				return
			}
			d.ask("EHLO client.example.test")
			d.hear("250 ", "4", "5")
			d.ask("STARTTLS")
			checkBegins(t, d.hear("2", "4", "5")[0], c.starttls)
		})
	}
}

// TestAwkwardListeners has mailconfd look at all of them in one round: none may delay or blur another.
func TestAwkwardListeners(t *testing.T) {
	w := newWorld(t)
	targets := []string{"submission://mail.example.test:2699"} // nobody listens there
	want := map[string]string{targets[0]: "refused"}
	for _, c := range listenAwkwardly(t, w) {
		targets = append(targets, c.target())
		want[c.target()] = c.kind
	}
	got := map[string]string{}
	for _, s := range probe(t, w, 1, targets...) {
		if s.Verified == (s.Failure != nil) {
			t.Errorf("%s: verified %v with failure %v", s.Service, s.Verified, s.Failure)
		}
		got[s.Service] = ""
		if s.Failure != nil {
			got[s.Service] = s.Failure.Kind
			t.Logf("%s: %s: %s", s.Service, s.Failure.Kind, s.Failure.Detail)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds of failure (-want +got):\n%s", diff)
	}
}
