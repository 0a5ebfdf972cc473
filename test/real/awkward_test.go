//go:build real

package real

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// awkward is a listener as one meets them, and what mailconfd must say about it.
type awkward struct {
	name     string
	scheme   string
	listener listener
	kind     string // of the failure; "" for a service that works all the same
}

// TestAwkwardListeners lets Postfix show what real servers show when they are busy, cautious or set up wrongly.
func TestAwkwardListeners(t *testing.T) {
	w := newWorld(t)
	cases := awkwardListeners(t, w)
	var listeners []listener
	targets := []string{"submission://mail.example.test:2699"} // nobody listens there
	want := map[string]string{targets[0]: "refused"}
	for _, c := range cases {
		target := c.scheme + "://" + mailName + ":" + c.listener.port
		targets = append(targets, target)
		want[target] = c.kind
		listeners = append(listeners, c.listener)
	}
	w.postfix.listen(t, listeners...)

	got := map[string]string{}
	detail := map[string]string{}
	for _, s := range probe(t, w, 1, targets...) {
		got[s.Service] = ""
		if s.Failure != nil {
			got[s.Service], detail[s.Service] = s.Failure.Kind, s.Failure.Detail
		}
		if s.Verified != (s.Failure == nil) {
			t.Errorf("%s: verified %v with failure %v", s.Service, s.Verified, s.Failure)
		}
	}
	for _, c := range cases {
		target := c.scheme + "://" + mailName + ":" + c.listener.port
		t.Logf("%s, %s: %q %s", target, c.name, got[target], detail[target])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds of failure (-want +got):\n%s", diff)
	}
}

func awkwardListeners(t *testing.T, w *world) []awkward {
	t.Helper()
	return append(cautiousListeners(), append(encryptionListeners(), certificateListeners(t, w)...)...)
}

// cautiousListeners keep clients waiting or send them away.
func cautiousListeners() []awkward {
	return []awkward{
		{
			// "220-" at once, "220 " four seconds later: a client that speaks in between is a robot.
			"postscreen's teaser, and then no AUTH", "submission",
			listener{port: "2601", service: "postscreen", options: []string{
				"postscreen_greet_wait = 4s", "smtpd_service_name = smtpd-without-login",
			}},
			"no_auth",
		},
		{
			"greeting after 3 s, and the AUTH= of old clients", "submission",
			listener{port: "2602", options: []string{
				"smtpd_delay_reject = no", "smtpd_client_restrictions = sleep 3", "broken_sasl_auth_clients = yes",
			}},
			"",
		},
		{
			// The connection that the test makes when it waits for the port is the one that is allowed.
			"421 from the second connection of a minute", "submission",
			listener{port: "2603", options: []string{
				"smtpd_client_connection_rate_limit = 1", "smtpd_client_event_limit_exceptions =",
			}},
			"temporary",
		},
		{
			"554 for a greeting", "submission",
			listener{port: "2604", options: []string{"smtpd_delay_reject = no", "smtpd_client_restrictions = reject"}},
			"greeting",
		},
		{
			"no login", "submission",
			listener{port: "2605", options: []string{"smtpd_sasl_auth_enable = no"}},
			"no_auth",
		},
	}
}

// encryptionListeners have too little TLS, or it is on the wrong port.
func encryptionListeners() []awkward {
	return []awkward{
		{
			"no TLS", "submission",
			listener{port: "2611", options: []string{"smtpd_tls_security_level = none"}},
			"no_starttls",
		},
		{
			"STARTTLS not shown, and refused", "submission",
			listener{port: "2612", options: []string{"smtpd_discard_ehlo_keywords = starttls"}},
			"no_starttls",
		},
		{
			"TLS 1.1 at most", "submission",
			listener{port: "2613", options: []string{
				"smtpd_tls_mandatory_protocols = TLSv1, TLSv1.1", "smtpd_tls_mandatory_ciphers = low",
				"tls_low_cipherlist = ALL:@SECLEVEL=0",
			}},
			"tls",
		},
		{
			"implicit TLS where STARTTLS is expected", "submission",
			listener{port: "2614", options: submissions.options},
			"tls_on_plaintext_port",
		},
		{"STARTTLS where implicit TLS is expected", "submissions", listener{port: "2615"}, "plaintext_on_tls_port"},
		{
			"a client certificate wanted", "submission",
			listener{port: "2616", options: []string{"smtpd_tls_req_ccert = yes"}},
			"client_certificate",
		},
	}
}

// certificateListeners send a certificate that clients refuse.
func certificateListeners(t *testing.T, w *world) []awkward {
	t.Helper()
	stranger := newAuthority(t, publicDir(t))
	with := func(port string, c certificate) listener {
		return listener{port: port, options: []string{"smtpd_tls_chain_files = " + c.file}}
	}
	expired := w.authority.issueUntil(t, mailName, time.Now().AddDate(0, 0, -1))
	return []awkward{
		{"another name", "submission", with("2621", w.authority.issue(t, "other.example.test")), "certificate_name"},
		{"expired", "submission", with("2622", expired), "certificate_expired"},
		{"no intermediate sent", "submission", with("2623", w.authority.withoutChain(t, mailName)), "certificate_chain_incomplete"},
		{"unknown root", "submission", with("2624", stranger.issue(t, mailName)), "certificate_untrusted"},
	}
}
